//! Models for tests from a few lines of text: `name: words | from | key=value ..`.
//!
//! The words say what the function is: `source`, `stage` or `sink`, how it holds state (`serial`,
//! `keyed`, `per_worker`), what it gives (`result`, `option`, `many`, `poll`, ..). A place is a path
//! such as `price`, `price.from[0]`, `price.batch` for a key and `price.batch=` for its value.

use crate::model::{Door, Given, Gives, Kind, Model, Name, Signature, Stage, StateKind, Takes};
use crate::options::{PipelineOptions, RawField, RawValue, StageOptions, find, find_pipeline};
use crate::report::Problems;

/// The model that `text` sketches; a line that starts with `@` holds options of the pipeline.
pub(crate) fn sketch(text: &str) -> Model<String> {
    let mut options = PipelineOptions::default();
    let mut stages = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix('@') {
            Some(given) => pipeline(given.trim(), &mut options),
            None => stages.push(stage(line)),
        }
    }
    Model {
        name: "sketch".into(),
        place: "sketch".into(),
        stages,
        options,
    }
}

/// Each problem as `CODE at place: message`.
pub(crate) fn show(problems: &Problems<String>) -> Vec<String> {
    problems
        .iter()
        .map(|p| format!("{} at {}: {}", p.code, p.place, p.message))
        .collect()
}

fn stage(line: &str) -> Stage<String> {
    let (name, rest) = line
        .split_once(": ")
        .unwrap_or((line.trim_end_matches(':'), ""));
    let mut parts = rest.split('|').map(str::trim);
    let mut stage = Stage::new(Name::new(name, name.to_owned()));
    words(parts.next().unwrap_or(""), &mut stage);
    let doors = parts
        .next()
        .unwrap_or("")
        .split(',')
        .map(str::trim)
        .filter(|door| !door.is_empty());
    stage.from = doors
        .enumerate()
        .map(|(n, path)| door(path, format!("{name}.from[{n}]")))
        .collect();
    for (key, value) in pairs(parts.next().unwrap_or("")) {
        give(&mut stage.options, name, key, value);
    }
    stage
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn door(path: &str, place: String) -> Door<String> {
    let (stage, door) = path
        .split_once("::")
        .map_or((path, None), |(stage, door)| (stage, Some(door)));
    let door = door.map(|door| Name::new(door, format!("{place}.door")));
    Door {
        stage: Name::new(stage, place),
        door,
    }
}

fn words(text: &str, stage: &mut Stage<String>) {
    let mut signature = Signature {
        takes: Takes::Item,
        gives: Gives::One,
        state: StateKind::None,
        env: false,
        is_async: false,
    };
    for word in text.split_whitespace() {
        match word {
            "source" => {
                stage.kind = Some(Kind::Source);
                (signature.takes, signature.gives) = (Takes::Nothing, Gives::Many);
            }
            "stage" => stage.kind = Some(Kind::Stage),
            "sink" => (stage.kind, signature.gives) = (Some(Kind::Sink), Gives::Unit),
            "serial" => signature.state = StateKind::Serial,
            "keyed" => signature.state = StateKind::Keyed,
            "per_worker" => signature.state = StateKind::PerWorker,
            "option" => signature.gives = Gives::Option,
            "result" if stage.is_sink() => signature.gives = Gives::UnitResult,
            "result" => signature.gives = Gives::Result,
            "many" => signature.gives = Gives::Many,
            "cut" => signature.gives = Gives::Splittable,
            "unit" => signature.gives = Gives::Unit,
            "poll" => signature.gives = Gives::Flow,
            "batch" => (signature.takes, signature.gives) = (Takes::Batch, Gives::Unit),
            "verdicts" => (signature.takes, signature.gives) = (Takes::Batch, Gives::Verdicts),
            "slice_mut" => (signature.takes, signature.gives) = (Takes::SliceMut, Gives::Unit),
            "async" => signature.is_async = true,
            _ => panic!("the sketch has no word `{word}`"),
        }
    }
    stage.signature = stage.kind.map(|_| signature);
}

fn raw(value: &str) -> RawValue<String> {
    match value {
        "" => RawValue::Flag,
        "code" => RawValue::Code,
        "group" => RawValue::Group(Vec::new()),
        _ if value.starts_with("group:") => {
            RawValue::Group(value[6..].split(',').map(inner).collect())
        }
        "true" => RawValue::Bool(true),
        _ if value.starts_with('"') => RawValue::Str(value.trim_matches('"').into()),
        _ => value
            .parse()
            .map_or_else(|_| RawValue::Ident(value.into()), RawValue::Int),
    }
}

/// A field of a group: `group:open="1s",probes=3`.
fn inner(text: &str) -> RawField<String> {
    let (name, value) = text.split_once('=').expect("a field has a value");
    RawField {
        name: name.into(),
        key: name.into(),
        value: raw(value),
        place: format!("{name}="),
    }
}

fn give(options: &mut StageOptions<String>, stage: &str, key: &str, value: &str) {
    let info = find(key).expect("a key of the table");
    let place = format!("{stage}.{key}");
    options
        .set(info, raw(value), place.clone(), format!("{place}="))
        .expect("a good value");
}

/// `@ reply=price`, or fields of a group: `@ pool workers=4 cores="0-3"`.
fn pipeline(text: &str, options: &mut PipelineOptions<String>) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (key, value) = first.split_once('=').unwrap_or((first, "group"));
    let place = format!("@{key}");
    if key == "reply" {
        let reply = door(value, format!("{place}="));
        options.reply = Some(Given {
            value: reply,
            key: place.clone(),
            place,
        });
        return;
    }
    let value = match raw(value) {
        RawValue::Group(_) => RawValue::Group(
            pairs(rest)
                .map(|(key, value)| field(&place, key, value))
                .collect(),
        ),
        other => other,
    };
    let info = find_pipeline(key).expect("a key of the table");
    options
        .set(info, value, place.clone(), format!("{place}="))
        .expect("a good value");
}

fn field(outer: &str, name: &str, value: &str) -> RawField<String> {
    let key = format!("{outer}.{name}");
    RawField {
        name: name.into(),
        place: format!("{key}="),
        key,
        value: raw(value),
    }
}
