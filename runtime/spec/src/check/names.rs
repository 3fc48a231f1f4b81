//! Rules about names: of stages, and in `from`.

use std::collections::BTreeMap;

use crate::model::{Door, INPUT, Model, Name, Place};
use crate::report::{MAX_SHOWN, Problem, Problems};
use crate::suggest;
use crate::units::{is_hidden, short};

/// Stage names are Rust names, and a few are taken.
pub(super) fn reserved<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let Name { text, place } = &stage.name;
        if !is_rust_name(text) {
            let message = format!("`{}` is not the name of a function", short(text));
            let help = match text.len() > MAX_NAME {
                true => format!("use at most {MAX_NAME} letters, digits and `_`"),
                false => "use letters, digits and `_`, like `decode_frame`".to_owned(),
            };
            problems.push(Problem::new("E_NAME", message, place.clone()).help(help));
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
        _ if is_word_of_rust(name) => Some("is a word of Rust"),
        _ => None,
    }
}

/// No name of a stage, or of a door, is longer; it becomes a part of names in the generated code, and of threads and metrics.
const MAX_NAME: usize = 128;

/// Could this be the name of a Rust function? Characters that are not seen are no part of one.
pub(crate) fn is_rust_name(text: &str) -> bool {
    let mut chars = text.strip_prefix("r#").unwrap_or(text).chars();
    text.len() <= MAX_NAME
        && chars
            .next()
            .is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c))
        && chars.all(unicode_ident::is_xid_continue)
        && !text.chars().any(is_hidden)
}

/// Could this be the name of a variant?
pub(crate) fn is_variant_name(text: &str) -> bool {
    is_rust_name(text) && !is_word_of_rust(text)
}

/// Words that are no names, not even behind `r#`.
fn is_word_of_rust(text: &str) -> bool {
    let plain = text.strip_prefix("r#").unwrap_or(text);
    matches!(plain, "self" | "Self" | "super" | "crate" | "_")
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
        let mut seen = BTreeMap::new();
        for door in &stage.from {
            let name = door.door.as_ref().map(|name| &name.text);
            let first: &Door<P> = seen.entry((&door.stage.text, name)).or_insert(door);
            if std::ptr::eq(first, door) {
                continue;
            }
            let (path, reader) = (door.path(), &stage.name.text);
            let message = format!("`{reader}` reads `{}` twice", short(&path));
            problems.push(
                Problem::new("E_FROM_TWICE", message, door.stage.place.clone())
                    .help("keep one")
                    .related(first.stage.place.clone(), "first given here"),
            );
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
