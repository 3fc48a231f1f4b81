//! Series and changes as documents of JSON.

use serde::Serialize;
use serde_json::{Value, json};

use super::Seen;
use crate::history::{self, Changed, Key, Line};

/// All series with their runs, the newest last.
pub(super) fn series(all: &[(Key, Vec<&Line>)]) -> Value {
    /// A run beside what it would be at the machine's usual speed, where the canary tells that.
    #[derive(Serialize)]
    struct Run<'a> {
        #[serde(flatten)]
        line: &'a Line,
        at_usual_speed: Option<f64>,
    }
    let one = |(key, lines): &(Key, Vec<&Line>)| {
        let normal = history::at_usual_speed(lines);
        let runs = lines.iter().zip(normal).map(|(line, at_usual_speed)| Run {
            line,
            at_usual_speed,
        });
        json!({
            "scenario": key.scenario,
            "metric": key.metric,
            "setup": key.setup,
            "runs": runs.collect::<Vec<_>>(),
        })
    };
    all.iter().map(one).collect()
}

/// Where series changed; `null` for those that are too short to tell.
pub(super) fn changes(seen: &[Seen<'_>]) -> Value {
    /// A change with the reason that somebody gave for it.
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(flatten)]
        change: &'a Changed,
        acknowledged: Option<&'a str>,
    }
    let one = |seen: &Seen<'_>| {
        let changes = seen.changes.as_ref().map(|changes| {
            let told = changes.iter().map(|(change, reason)| Told {
                change,
                acknowledged: *reason,
            });
            told.collect::<Vec<_>>()
        });
        json!({
            "scenario": seen.key.scenario,
            "metric": seen.key.metric,
            "setup": seen.key.setup,
            "runs": seen.lines.len(),
            "changes": changes,
        })
    };
    seen.iter().map(one).collect()
}

/// A change and the series that it is in.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) scenario: String,
    pub(super) metric: String,
    pub(super) setup: String,
    #[serde(flatten)]
    pub(super) change: Changed,
}

impl Change {
    pub(super) fn of(key: &Key, change: &Changed) -> Self {
        Self {
            scenario: key.scenario.clone(),
            metric: key.metric.clone(),
            setup: key.setup.clone(),
            change: change.clone(),
        }
    }
}
