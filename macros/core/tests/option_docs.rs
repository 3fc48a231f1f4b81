//! The tables of options in the documentation of the macros are those of the one table of options.
//!
//! `UPDATE_DOCS=1 cargo test -p pipewright-macros-core` writes them anew.

use std::{fmt::Write, fs, path::Path};

use pipewright_spec::options::{Field, Key, KeyInfo, PIPELINE_KEYS, STAGE_KEYS, ValueType};

fn table(keys: &[KeyInfo]) -> String {
    let mut text = String::from("| key | value | default | |\n|---|---|---|---|\n");
    for key in keys.iter().filter(|key| key.key != Key::Run) {
        let default = match key.default.contains('`') || key.default.contains(' ') {
            true => key.default.to_owned(),
            false => format!("`{}`", key.default),
        };
        let tuning = if key.is_tunable() {
            " Tunable at run time."
        } else {
            ""
        };
        writeln!(
            text,
            "| `{}` | {} | {default} | {}{tuning} |",
            key.name,
            value(key.value),
            key.doc
        )
        .expect("a string can be written to");
    }
    text
}

/// The fields of the groups that stages take.
fn groups() -> String {
    let mut text = String::new();
    for key in STAGE_KEYS {
        let ValueType::Group(fields) = key.value else {
            continue;
        };
        writeln!(
            text,
            "The fields of `{}`:\n\n| field | value | |\n|---|---|---|",
            key.name
        )
        .expect("a string can be written to");
        for field in fields {
            writeln!(
                text,
                "| `{}` | {} | {} |",
                field.name,
                value(field.value),
                field.doc
            )
            .expect("a string can be written to");
        }
        text.push('\n');
    }
    text
}

/// Most fields of a group that the table names.
const MOST_FIELDS: usize = 4;

/// What is written for a key.
fn value(value: ValueType) -> String {
    match value {
        ValueType::Doors => "output, or list of outputs".to_owned(),
        ValueType::Stage => "stage".to_owned(),
        ValueType::Cores => "core list".to_owned(),
        ValueType::Code => "path or closure".to_owned(),
        ValueType::Flag => "nothing".to_owned(),
        ValueType::Count { .. } => "count".to_owned(),
        ValueType::CountOrCode { .. } => "count, path or closure".to_owned(),
        ValueType::Time { .. } => "time".to_owned(),
        ValueType::Word(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        ValueType::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("one of {}, or a list of them", words.join(", "))
        }
        ValueType::Group(fields) => {
            let names: Vec<&str> = fields.iter().map(|field: &Field| field.name).collect();
            let more = if names.len() > MOST_FIELDS {
                ", .."
            } else {
                ""
            };
            let shown = &names[..names.len().min(MOST_FIELDS)];
            format!("`({} = ..{more})`", shown.join(" = .., "))
        }
        ValueType::TimeOrCount { .. } => "time, or count".to_owned(),
        ValueType::Rate => "rate".to_owned(),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check(file: &str, text: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../src")
        .join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &text).expect("the documentation can be written");
    }
    assert_eq!(
        fs::read_to_string(&path).expect("the documentation can be read"),
        text,
        "run with UPDATE_DOCS=1"
    );
}

#[test]
fn the_options_of_a_stage_are_documented() {
    check("stage-options.md", table(STAGE_KEYS));
}

#[test]
fn the_fields_of_groups_are_documented() {
    check("group-options.md", groups());
}

#[test]
fn the_options_of_a_pipeline_are_documented() {
    check("pipeline-options.md", table(PIPELINE_KEYS));
}
