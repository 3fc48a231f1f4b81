//! The drawing as a Graphviz digraph.

use std::fmt::Write;

use super::{Edge, edges, head, heading, manner, marks, name};
use crate::model::{Model, Place};
use crate::plan::{self, Plan};

/// The pipeline as a Graphviz digraph.
pub fn dot<P: Place>(model: &Model<P>, plan: &Plan) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("digraph {} {{", quote(&model.name)));
    line(&mut out, format_args!("    rankdir=LR;"));
    line(
        &mut out,
        format_args!("    node [shape=box, fontname=\"sans-serif\"];"),
    );
    line(
        &mut out,
        format_args!("    edge [fontname=\"sans-serif\"];"),
    );
    for (index, segment) in plan.segments.iter().enumerate() {
        line(
            &mut out,
            format_args!("    subgraph cluster_{} {{", index + 1),
        );
        line(
            &mut out,
            format_args!("        label={};", quote(&heading(plan, index))),
        );
        for stage in head(segment).iter().chain(&segment.stages) {
            line(
                &mut out,
                format_args!("        {} [{}];", id(*stage), node(model, *stage)),
            );
        }
        line(&mut out, format_args!("    }}"));
    }
    for edge in edges(model, plan) {
        let style = style(plan, &edge);
        line(
            &mut out,
            format_args!("    {} -> {}{style};", id(edge.from), id(edge.to)),
        );
    }
    out.push_str("}\n");
    out
}

/// The attributes of a line: its door, how it hands over, and a bold stroke between segments.
fn style(plan: &Plan, edge: &Edge<'_>) -> String {
    let label: Vec<String> = edge
        .door
        .map(str::to_owned)
        .into_iter()
        .chain(edge.link.map(|link| manner(plan, link)))
        .collect();
    match (label.join(": "), edge.link) {
        (label, Some(_)) => format!(" [label={}, style=bold]", quote(&label)),
        (label, None) if !label.is_empty() => format!(" [label={}]", quote(&label)),
        _ => String::new(),
    }
}

/// Writing to a string cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

fn id(stage: usize) -> String {
    if stage == plan::INPUT {
        "input".into()
    } else {
        format!("n{stage}")
    }
}

fn node<P: Place>(model: &Model<P>, stage: usize) -> String {
    let mut label = name(model, stage).to_owned();
    let found = model.stages.get(stage);
    let marks = found.map(|found| marks(model, found)).unwrap_or_default();
    if !marks.is_empty() {
        label.push_str(&format!("\n{}", marks.join(", ")));
    }
    let shape = match found {
        Some(stage) if stage.is_sink() => ", peripheries=2",
        Some(stage) if !stage.from.is_empty() => "",
        _ => ", shape=oval",
    };
    format!("label={}{shape}", quote(&label))
}

fn quote(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
