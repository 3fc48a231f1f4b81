//! `cargo xtask graph`: draws pipelines.

use std::path::Path;

use pipewright_spec::{draw, plan};

use crate::{
    Outcome,
    read::{self, Pipeline},
    say,
};

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Text,
    Mermaid,
    Dot,
}

/// Draws each pipeline of a file. Only pipelines without problems have a plan; what this version does not have
/// can be drawn all the same.
pub(crate) fn run(file: &Path, format: Format) -> Outcome {
    let reading = read::read(file);
    for note in reading.notes() {
        eprintln!("note: {note}");
    }
    let wrong: Vec<&String> = reading.problems().collect();
    if !wrong.is_empty() {
        wrong.iter().for_each(|problem| eprintln!("{problem}\n"));
        return Ok(false);
    }
    if reading.pipelines.is_empty() {
        return Err(format!("there is no pipeline in `{}`", file.display()));
    }
    let drawings: Vec<String> = reading
        .pipelines
        .iter()
        .map(|pipeline| draw(pipeline, format))
        .collect();
    say::text(&drawings.join("\n"))?;
    Ok(true)
}

/// One drawing, with the name of the pipeline in it.
fn draw(pipeline: &Pipeline, format: Format) -> String {
    let model = &pipeline.model;
    let plan = plan(model);
    match format {
        Format::Text => draw::text(model, &plan),
        Format::Mermaid => format!("%% {}\n{}", model.name, draw::mermaid(model, &plan)),
        Format::Dot => draw::dot(model, &plan),
    }
}
