//! The drawing as plain text, for documentation and terminals.
//!
//! Each segment is a box; in it chains run to the right and branches hang below:
//!
//! ```text
//! ╭ 1 parallel, in order
//! │ ingest ─▶ classify
//! │   ├─ Swap ═▶ 2 price (in order)
//! │   └─ Lookup ─▶ enrich ═▶ 3 publish (in order)
//! ╰
//! ```

use super::{Edge, edges, head, heading, manner, marks, name};
use crate::model::{Model, Place};
use crate::plan::Plan;

/// The pipeline as text.
pub fn text<P: Place>(model: &Model<P>, plan: &Plan) -> String {
    let mut writer = Writer {
        model,
        plan,
        edges: edges(model, plan),
        drawn: vec![false; model.stages.len()],
        out: String::new(),
    };
    writer.out.push_str(&model.name);
    writer.out.push('\n');
    for segment in 0..plan.segments.len() {
        writer.segment(segment);
    }
    writer.out
}

struct Writer<'a, P> {
    model: &'a Model<P>,
    plan: &'a Plan,
    edges: Vec<Edge<'a>>,
    drawn: Vec<bool>,
    out: String,
}

impl<'a, P: Place> Writer<'a, P> {
    fn segment(&mut self, index: usize) {
        let segment = &self.plan.segments[index];
        self.out
            .push_str(&format!("\n╭ {}\n│ ", heading(self.plan, index)));
        if let Some(start) = head(segment).or_else(|| segment.stages.first().copied()) {
            self.chain(start, "");
        }
        self.out.push_str("╰\n");
    }

    /// A stage and what follows it in a line, then its branches below.
    fn chain(&mut self, start: usize, indent: &str) {
        let mut stage = start;
        loop {
            self.stage(stage);
            let next = self.readers(stage);
            match next.as_slice() {
                [] => return self.out.push('\n'),
                [edge] if edge.link.is_none() && !self.drawn[edge.to] => {
                    self.out.push_str(&arrow(edge));
                    stage = edge.to;
                }
                [edge] => {
                    self.end(*edge);
                    return self.out.push('\n');
                }
                branches => {
                    self.out.push('\n');
                    return self.branches(branches, indent);
                }
            }
        }
    }

    fn branches(&mut self, branches: &[Edge<'_>], indent: &str) {
        for (n, edge) in branches.iter().enumerate() {
            let last = n + 1 == branches.len();
            self.out
                .push_str(&format!("│   {indent}{}", if last { '└' } else { '├' }));
            if edge.link.is_none() && !self.drawn[edge.to] {
                self.out.push_str(arrow(edge).trim_start());
                self.chain(
                    edge.to,
                    &format!("{indent}{}  ", if last { ' ' } else { '│' }),
                );
            } else {
                self.end(*edge);
                self.out.push('\n');
            }
        }
    }

    /// The end of a line: a stage of another segment, or one that is drawn already.
    fn end(&mut self, edge: Edge<'_>) {
        let line = arrow(&edge);
        let line = if self.out.ends_with(['├', '└']) {
            line.trim_start()
        } else {
            &line
        };
        self.out.push_str(line);
        let name = name(self.model, edge.to);
        match edge.link {
            Some(link) => {
                let segment = self.plan.links[link].segment + 1;
                self.out
                    .push_str(&format!("{segment} {name} ({})", manner(self.plan, link)));
            }
            None => self.out.push_str(&format!("{name} (above)")),
        }
    }

    fn stage(&mut self, stage: usize) {
        self.out.push_str(name(self.model, stage));
        let Some(found) = self.model.stages.get(stage) else {
            return;
        };
        self.drawn[stage] = true;
        let marks = marks(self.model, found);
        if !marks.is_empty() {
            self.out.push_str(&format!(" [{}]", marks.join(", ")));
        }
    }

    fn readers(&self, stage: usize) -> Vec<Edge<'a>> {
        self.edges
            .iter()
            .filter(|edge| edge.from == stage)
            .copied()
            .collect()
    }
}

/// ` ─▶ ` inside of a segment, ` ═▶ ` out of it, with the door before the arrow.
fn arrow(edge: &Edge<'_>) -> String {
    let tip = if edge.link.is_some() {
        "═▶"
    } else {
        "─▶"
    };
    match edge.door {
        Some(door) => format!(" ─ {door} {tip} "),
        None => format!(" {tip} "),
    }
}
