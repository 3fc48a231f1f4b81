//! The drawing as a mermaid flowchart.

use std::fmt::Write;

use super::{edges, head, heading, manner, marks, name};
use crate::model::{Model, Place};
use crate::plan::{self, Plan};

/// The pipeline as a mermaid flowchart.
pub fn mermaid<P: Place>(model: &Model<P>, plan: &Plan) -> String {
    let mut out = String::from("flowchart LR\n");
    for (index, segment) in plan.segments.iter().enumerate() {
        line(
            &mut out,
            format_args!("    subgraph s{}[\"{}\"]", index + 1, heading(plan, index)),
        );
        for stage in head(segment).iter().chain(&segment.stages) {
            line(
                &mut out,
                format_args!("        {}{}", id(*stage), node(model, *stage)),
            );
        }
        line(&mut out, format_args!("    end"));
    }
    for edge in edges(model, plan) {
        let mut label: Vec<String> = edge.door.map(escape).into_iter().collect();
        label.extend(edge.link.map(|link| manner(plan, link)));
        let arrow = if edge.link.is_some() { "==>" } else { "-->" };
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("|\"{}\"|", label.join(": "))
        };
        line(
            &mut out,
            format_args!("    {} {arrow}{label} {}", id(edge.from), id(edge.to)),
        );
    }
    out
}

/// Writing to a string cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

/// Names may be words of mermaid, such as `end`, so nodes have numbers.
fn id(stage: usize) -> String {
    if stage == plan::INPUT {
        "input".into()
    } else {
        format!("n{stage}")
    }
}

fn node<P: Place>(model: &Model<P>, stage: usize) -> String {
    let mut label = escape(name(model, stage));
    let found = model.stages.get(stage);
    let marks = found.map(|found| marks(model, found)).unwrap_or_default();
    if !marks.is_empty() {
        label.push_str(&format!("<br/>{}", marks.join(", ")));
    }
    match found {
        Some(stage) if stage.is_sink() => format!("[[\"{label}\"]]"),
        Some(stage) if !stage.from.is_empty() => format!("[\"{label}\"]"),
        _ => format!("([\"{label}\"])"),
    }
}

fn escape(text: &str) -> String {
    text.replace('"', "#quot;")
        .replace(['<', '>', '\n', '\r'], "_")
}
