//! Rules about names: of stages, and in `from`.

use crate::model::{Door, INPUT, Model, Name, Place};
use crate::report::{MAX_SHOWN, Problem, Problems};
use crate::suggest;
use crate::units::short;

/// Stage names are Rust names, and a few are taken.
pub(super) fn reserved<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Name { text, place } = &stage.name;
        if !is_rust_name(text) {
            let message = format!("`{}` is not the name of a function", short(text));
            problems.push(
                Problem::new("E_NAME", message, place.clone())
                    .help("use letters, digits and `_`, like `decode_frame`"),
            );
        } else if let Some(why) = taken(text) {
            problems.push(
                Problem::new("E_RESERVED", format!("`{text}` {why}"), place.clone())
                    .help("rename the stage"),
            );
        }
    }
}

fn taken(name: &str) -> Option<&'static str> {
    match name {
        INPUT => Some("is the push input, not a stage"),
        "pipeline" => Some("is generated for every pipeline"),
        "self" | "Self" | "super" | "crate" | "_" => Some("is a word of Rust"),
        _ => None,
    }
}

/// Could this be the name of a Rust function?
pub(crate) fn is_rust_name(text: &str) -> bool {
    let mut chars = text.strip_prefix("r#").unwrap_or(text).chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
}

/// Each stage has a name of its own.
pub(super) fn duplicate<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for (n, stage) in model.stages.iter().enumerate() {
        let Name { text, place } = &stage.name;
        if let Some(first) = model.stages[..n]
            .iter()
            .find(|other| other.name.text == *text)
        {
            problems.push(
                Problem::new(
                    "E_DUPLICATE_STAGE",
                    format!("`{}` is already a stage", short(text)),
                    place.clone(),
                )
                .help(format!(
                    "in RON, give the second another name and `run: \"{}\"`",
                    short(text)
                ))
                .related(first.name.place.clone(), "first given here"),
            );
        }
    }
}

/// `from` names stages of this pipeline.
pub(super) fn unknown<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for door in doors(model).filter(|door| !door.is_input()) {
        let Name { text, place } = &door.stage;
        if model.find(text).is_none() {
            // Only what is shown needs help, and looking for neighbours is slow.
            if problems.len() >= MAX_SHOWN {
                problems.push(Problem::new(
                    "E_UNKNOWN_STAGE",
                    "no such stage",
                    place.clone(),
                ));
                continue;
            }
            problems.push(no_stage("E_UNKNOWN_STAGE", model, text, place.clone()));
        }
    }
}

/// The problem that a name is that of no stage.
pub(super) fn no_stage<P: Place>(
    code: &'static str,
    model: &Model<P>,
    name: &str,
    place: P,
) -> Problem<P> {
    let stages = model.stages.iter().map(|stage| stage.name.text.as_str());
    let help = match suggest::nearest(name, [INPUT]) {
        Some(input) if suggest::nearest(name, stages.clone()).is_none() => {
            format!("did you mean `{input}`?")
        }
        _ => suggest::help(name, "stages here", stages),
    };
    Problem::new(code, format!("no stage is called `{}`", short(name)), place).help(help)
}

/// `from` names each output once.
pub(super) fn listed_twice<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        for (n, door) in stage.from.iter().enumerate() {
            let path = door.path();
            if let Some(first) = stage.from[..n].iter().find(|other| other.path() == path) {
                let message = format!("`{}` reads `{}` twice", stage.name.text, short(&path));
                problems.push(
                    Problem::new("E_FROM_TWICE", message, door.stage.place.clone())
                        .help("keep one")
                        .related(first.stage.place.clone(), "first given here"),
                );
            }
        }
    }
}

/// The push input is one output.
pub(super) fn input_has_no_doors<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for door in doors(model).filter(|door| door.is_input()) {
        if let Some(name) = &door.door {
            let message = format!("`input` has no door `{}`", short(&name.text));
            problems.push(
                Problem::new("E_INPUT_DOOR", message, name.place.clone()).help("write `input`"),
            );
        }
    }
}

fn doors<P: Place>(model: &Model<P>) -> impl Iterator<Item = &Door<P>> {
    model.stages.iter().flat_map(|stage| &stage.from)
}
