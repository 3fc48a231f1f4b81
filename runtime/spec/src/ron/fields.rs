//! Shared by both readers: fields, keys, and values for the check of options.

use std::collections::BTreeMap;

use super::tree::{Node, Tree};
use crate::model::{Door, Name};
use crate::options::{RawField, RawValue};
use crate::report::{Problem, Problems, Span};
use crate::suggest;
use crate::units::short;

/// A field: key, place of the key, value.
pub(super) type Field<'src> = (&'src str, Span, Node<'src>);

/// The fields of a value, each once; `what` is what has them, for messages.
pub(super) fn fields<'src>(
    node: Node<'src>,
    what: &str,
    example: &str,
    problems: &mut Problems<Span>,
) -> Vec<Field<'src>> {
    let Tree::Fields(all) = node.value else {
        let message = format!(
            "{what} stand in parentheses, and this is {}",
            describe(&node.value)
        );
        problems
            .push(Problem::new("E_TYPE", message, node.place).help(format!("write `{example}`")));
        return Vec::new();
    };
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    let mut kept = Vec::with_capacity(all.len());
    for (key, place, value) in all {
        if let Some(first) = seen.get(key) {
            problems.push(Problem::twice(&short(key), place, first.clone()));
            continue;
        }
        seen.insert(key, place.clone());
        kept.push((key, place, value));
    }
    kept
}

/// The entries of `stages: { "name": .. }`, in their order; names may still be doubled.
pub(super) fn stages<'src>(
    node: Node<'src>,
    problems: &mut Problems<Span>,
) -> Vec<(Name<Span>, Node<'src>)> {
    const EXAMPLE: &str = "stages: { \"decode\": (from: \"ingest\"), }";
    let Tree::Map(entries) = node.value else {
        let message = format!(
            "`stages` is a map in braces, and this is {}",
            describe(&node.value)
        );
        problems
            .push(Problem::new("E_TYPE", message, node.place).help(format!("write `{EXAMPLE}`")));
        return Vec::new();
    };
    let mut named = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        match name(&key, "a stage name") {
            Ok(name) => named.push((name, value)),
            Err(found) => problems.extend(found),
        }
    }
    named
}

/// A name in quotes.
pub(super) fn name(node: &Node<'_>, what: &str) -> Result<Name<Span>, Problems<Span>> {
    let problem = |code, message| Problem::new(code, message, node.place.clone());
    let problem = match &node.value {
        Tree::Str(text, place) => return Ok(Name::new(*text, place.clone())),
        Tree::Escaped(_) => problem("E_ESCAPE", format!("{what} has no escapes"))
            .help("write the name itself, with letters, digits and `_`"),
        Tree::Ident(word) => problem("E_TYPE", format!("{what} stands in quotes"))
            .help(format!("write \"{}\"", short(word))),
        other => problem(
            "E_TYPE",
            format!("{what} is a string, and this is {}", describe(other)),
        )
        .help("write a name in quotes, like \"decode\""),
    };
    Err(problem.into())
}

/// An output in quotes: `"decode"`, `"classify::Swap"`.
pub(super) fn door(node: &Node<'_>) -> Result<Door<Span>, Problems<Span>> {
    let Name { text, place } = name(node, "an output")?;
    let part =
        |from: usize, to: usize| Name::new(&text[from..to], place.start + from..place.start + to);
    match text.split_once("::") {
        None => Ok(Door {
            stage: part(0, text.len()),
            door: None,
        }),
        Some((stage, door)) if crate::check::is_variant_name(door) => Ok(Door {
            stage: part(0, stage.len()),
            door: Some(part(stage.len() + 2, text.len())),
        }),
        Some(_) => {
            let problem = Problem::new(
                "E_DOOR",
                format!("`{}` is not an output", short(&text)),
                place,
            );
            Err(problem
                .help("write \"stage\", \"stage::Variant\", \"stage::Err\" or \"input\"")
                .into())
        }
    }
}

/// A key that is in no table.
pub(super) fn unknown_key(
    of: &str,
    key: &str,
    place: Span,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Problem<Span> {
    Problem::new(
        "E_UNKNOWN_KEY",
        format!("{of} has no option `{}`", short(key)),
        place,
    )
    .help(suggest::option(key, known))
}

/// The value in the form that the check of options takes from both languages.
pub(super) fn raw(value: Tree<'_>) -> RawValue<Span> {
    match value {
        Tree::Int(number) => RawValue::Int(number),
        Tree::Float(number) => RawValue::Float(number),
        Tree::Bool(truth) => RawValue::Bool(truth),
        Tree::Str(text, _) => RawValue::Str(text.into()),
        Tree::Escaped(text) => RawValue::Str(text),
        Tree::Ident(word) => RawValue::Ident(word.into()),
        Tree::List(items) => RawValue::List(
            items
                .into_iter()
                .map(|node| (raw(node.value), node.place))
                .collect(),
        ),
        Tree::Fields(fields) => RawValue::Group(fields.into_iter().map(raw_field).collect()),
        Tree::Map(_) => RawValue::Other("a map".into()),
        Tree::Other(what) => RawValue::Other(what.into()),
    }
}

fn raw_field((name, key, node): Field<'_>) -> RawField<Span> {
    RawField {
        name: name.into(),
        key,
        value: raw(node.value),
        place: node.place,
    }
}

/// What a value is, in a few words.
pub(super) fn describe(value: &Tree<'_>) -> &'static str {
    match value {
        Tree::Int(_) | Tree::Float(_) => "a number",
        Tree::Bool(_) => "a truth value",
        Tree::Str(..) | Tree::Escaped(_) => "a string",
        Tree::Ident(_) => "a word",
        Tree::List(_) => "a list",
        Tree::Fields(_) => "a group of fields",
        Tree::Map(_) => "a map",
        Tree::Other(what) => what,
    }
}
