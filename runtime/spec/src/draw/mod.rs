//! Drawings of a pipeline: plain text, mermaid and Graphviz.
//!
//! All three show the same: segments, the links between them with their kind, doors, lanes, and how
//! stages hold state.

mod dot;
mod mermaid;
mod text;

#[cfg(test)]
mod tests;

pub use dot::dot;
pub use mermaid::mermaid;
pub use text::text;

use crate::model::{INPUT, Model, Place, Stage, StateKind};
use crate::options::{Order, Priority};
use crate::plan::{self, Class, Head, LinkKind, Plan, Segment};

/// A line from an output to its reader.
#[derive(Clone, Copy)]
struct Edge<'a> {
    /// The producer; `plan::INPUT` is the push input.
    from: usize,
    to: usize,
    door: Option<&'a str>,
    /// The link that it crosses, if it leaves its segment.
    link: Option<usize>,
}

/// Every line, in the order of the plan and of the readers' `from`.
fn edges<'a, P: Place>(model: &'a Model<P>, plan: &Plan) -> Vec<Edge<'a>> {
    let mut edges = Vec::new();
    for &to in &plan.order {
        let link = plan.link_to(to);
        for door in &model.stages[to].from {
            let from = if door.is_input() {
                Some(plan::INPUT)
            } else {
                model.find(&door.stage.text)
            };
            let label = door.door.as_ref().map(|name| name.text.as_str());
            edges.extend(from.map(|from| Edge {
                from,
                to,
                door: label,
                link,
            }));
        }
    }
    edges
}

/// What feeds a segment and is drawn in it: the source or the push input.
fn head(segment: &Segment) -> Option<usize> {
    match segment.head {
        Head::Source(stage) => Some(stage),
        Head::Input => Some(plan::INPUT),
        Head::Link(_) => None,
    }
}

fn name<P: Place>(model: &Model<P>, stage: usize) -> &str {
    model
        .stages
        .get(stage)
        .map_or(INPUT, |stage| &stage.name.text)
}

/// The heading of a segment: `2 serial, in order`.
fn heading(plan: &Plan, index: usize) -> String {
    let segment = &plan.segments[index];
    let class = match (&segment.cores, segment.class) {
        (Some(_), _) => "pinned",
        (None, Class::Parallel) => "parallel",
        (None, Class::Serial) => "serial",
        (None, Class::Keyed) => "keyed",
    };
    let order = if segment.ordered { ", in order" } else { "" };
    format!("{} {class}{order}", index + 1)
}

/// How a link hands over: `in order, by 2 paths`.
fn manner(plan: &Plan, link: usize) -> String {
    let link = &plan.links[link];
    let kind = match link.kind {
        LinkKind::Direct => "to any worker",
        LinkKind::Ring => "item by item",
        LinkKind::Ordered => "in order",
        LinkKind::Arrival => "as they arrive",
        LinkKind::Keyed { ordered: true } => "by key, in order",
        LinkKind::Keyed { ordered: false } => "by key",
    };
    match link.paths {
        0 | 1 => kind.to_owned(),
        paths => format!("{kind}, by {paths} paths"),
    }
}

/// What is special about a stage, in the order of importance.
fn marks<P: Place>(model: &Model<P>, stage: &Stage<P>) -> Vec<String> {
    let options = &stage.options;
    let mut marks = Vec::new();
    let state = match stage.state() {
        Some(StateKind::Serial) if !stage.is_source() => Some("serial"),
        Some(StateKind::PerWorker) => Some("per worker"),
        Some(StateKind::Keyed) => Some("keyed"),
        _ => None,
    };
    marks.extend(state.map(str::to_owned));
    marks.extend(
        options
            .batch
            .as_ref()
            .map(|batch| format!("batch {}", batch.value)),
    );
    marks.extend(
        options
            .workers
            .as_ref()
            .map(|workers| format!("{} workers", workers.value)),
    );
    marks.extend(
        options
            .cores
            .as_ref()
            .map(|cores| format!("cores {}", cores.value)),
    );
    let lane = options
        .priority
        .as_ref()
        .filter(|priority| priority.value != Priority::Normal);
    marks.extend(lane.map(|priority| format!("{} lane", priority.value)));
    let any = options
        .order
        .as_ref()
        .filter(|order| order.value == Order::Any);
    marks.extend(any.map(|_| "any order".to_owned()));
    let reply = model.options.reply.as_ref();
    let answers = reply.filter(|reply| reply.value.stage.text == stage.name.text);
    marks.extend(answers.map(|_| "answers".to_owned()));
    marks
}
