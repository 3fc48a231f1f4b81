//! The reader of topologies.

use super::fields::{self, Field};
use super::syntax;
use super::tree::{Node, Tree};
use crate::model::{Door, Given, Model, Stage};
use crate::options::{self, Key, KeyInfo, PIPELINE_KEYS, PipelineOptions, STAGE_KEYS};
use crate::report::{Problem, Problems, Source, Span};

/// Reads a topology.
///
/// What a text means by itself is checked here; [`crate::check()`] then checks the pipeline. The
/// pipeline is called like the stem of the file.
pub fn topology(source: &Source) -> Result<Model<Span>, Problems<Span>> {
    let node = syntax::read(source)?;
    let place = node.place.start..node.place.start + 1;
    let mut problems = Problems::new();
    let mut model = Model {
        name: stem(&source.path),
        place,
        stages: Vec::new(),
        options: PipelineOptions::default(),
    };
    for field in fields::fields(
        node,
        "the parts of a pipeline",
        "( stages: { .. }, )",
        &mut problems,
    ) {
        match field.0 {
            "stages" => model.stages = stages(field.2, &mut problems),
            _ => pipeline_key(field, &mut model.options, &mut problems),
        }
    }
    problems.sort();
    problems.into_result(model)
}

/// `mempool` of `src/mempool.ron`.
fn stem(path: &str) -> String {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).to_owned()
}

fn pipeline_key(
    (key, at, node): Field<'_>,
    options: &mut PipelineOptions<Span>,
    problems: &mut Problems<Span>,
) {
    let known = || {
        PIPELINE_KEYS
            .iter()
            .filter(|info| !info.rust_only)
            .map(|info| info.name)
    };
    match options::find_pipeline(key) {
        None => problems.push(fields::unknown_key(
            "a pipeline",
            key,
            at,
            known().chain(["stages"]),
        )),
        Some(info) if info.rust_only => problems.push(rust_only(info, at)),
        Some(info) if info.key == Key::Reply => match fields::door(&node) {
            Ok(door) => {
                options.reply = Some(Given {
                    value: door,
                    key: at,
                    place: node.place,
                })
            }
            Err(found) => problems.extend(found),
        },
        Some(info) => {
            if let Err(found) = options.set(info, fields::raw(node.value), at, node.place) {
                problems.extend(found);
            }
        }
    }
}

fn stages(node: Node<'_>, problems: &mut Problems<Span>) -> Vec<Stage<Span>> {
    let entries = fields::stages(node, problems);
    let mut stages = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        let mut stage = Stage::new(name);
        let example = format!(
            "\"{}\": (from: \"..\")",
            crate::units::short(&stage.name.text)
        );
        for field in fields::fields(node, "the options of a stage", &example, problems) {
            stage_key(field, &mut stage, problems);
        }
        stages.push(stage);
    }
    stages
}

fn stage_key((key, at, node): Field<'_>, stage: &mut Stage<Span>, problems: &mut Problems<Span>) {
    let known = STAGE_KEYS
        .iter()
        .filter(|info| !info.rust_only)
        .map(|info| info.name);
    let Some(info) = options::find(key) else {
        problems.push(fields::unknown_key("a stage", key, at, known));
        return;
    };
    match info.key {
        _ if info.rust_only => problems.push(rust_only(info, at)),
        Key::From => stage.from = from(node, problems),
        Key::Run => match fields::name(&node, "a function") {
            Ok(name) => stage.run = Some(name),
            Err(found) => problems.extend(found),
        },
        _ => {
            if let Err(found) = stage
                .options
                .set(info, fields::raw(node.value), at, node.place)
            {
                problems.extend(found);
            }
        }
    }
}

/// One output, or a list of them.
fn from(node: Node<'_>, problems: &mut Problems<Span>) -> Vec<Door<Span>> {
    let items = match node.value {
        Tree::List(items) if items.is_empty() => {
            problems.push(
                Problem::new("E_EMPTY_FROM", "`from` names no output", node.place)
                    .help("write the name of a stage, or remove `from` from a source"),
            );
            return Vec::new();
        }
        Tree::List(items) => items,
        value => vec![Node {
            value,
            place: node.place,
        }],
    };
    let mut doors = Vec::with_capacity(items.len());
    for item in items {
        match fields::door(&item) {
            Ok(door) => doors.push(door),
            Err(found) => problems.extend(found),
        }
    }
    doors
}

/// A key whose value is code.
fn rust_only(info: &KeyInfo, place: Span) -> Problem<Span> {
    let message = format!(
        "`{}` belongs to the code, so it is written in Rust",
        info.name
    );
    let help = match (info.key, info.on.is_empty()) {
        (_, true) => format!("write `#[pipeline(\"..\", {} = ..)]`", info.name),
        (Key::PerWorker, _) => format!("write `#[stage({})]`", info.name),
        _ => format!("write `#[stage({} = ..)]`", info.name),
    };
    Problem::new("E_RUST_ONLY", message, place).help(help)
}
