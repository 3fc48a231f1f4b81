//! Results for programs.

use serde::Serialize;

use super::{
    catalogue::Measure,
    contender::Kind,
    machine::Machine,
    rounds::{NoValue, Outcome, Rounds, Row},
    stats::Spread,
    table::against,
    verdict::Judged,
};

/// All that a run has found.
#[derive(Serialize)]
pub(crate) struct Report<'r> {
    pub(crate) machine: &'r Machine,
    pub(crate) runs: usize,
    pub(crate) quick: bool,
    pub(crate) seed: u64,
    pub(crate) cases: Vec<CaseReport<'r>>,
}

#[derive(Serialize)]
pub(crate) struct CaseReport<'r> {
    name: &'r str,
    about: &'r str,
    rows: Vec<RowReport<'r>>,
    goals: &'r [Judged],
}

#[derive(Serialize)]
struct RowReport<'r> {
    name: &'r str,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<&'r str>,
    values: Vec<Value<'r>>,
}

#[derive(Serialize)]
struct Value<'r> {
    #[serde(flatten)]
    measure: &'r Measure,
    #[serde(flatten)]
    spread: Spread,
    /// Speed against the best median of a peer, and of a limit.
    against_best_peer: Option<f64>,
    against_the_limit: Option<f64>,
    runs: &'r [f64],
}

impl<'r> Report<'r> {
    pub(crate) fn new(machine: &'r Machine, rounds: Rounds) -> Self {
        Self {
            machine,
            runs: rounds.runs,
            quick: rounds.scale == super::Scale::Quick,
            seed: rounds.seed,
            cases: Vec::new(),
        }
    }
}

impl<'r> CaseReport<'r> {
    pub(crate) fn new(outcome: &'r Outcome<'_>, goals: &'r [Judged]) -> Self {
        Self {
            name: &outcome.case.name,
            about: &outcome.case.about,
            rows: outcome
                .rows
                .iter()
                .map(|row| row_report(outcome, row))
                .collect(),
            goals,
        }
    }
}

fn row_report<'r>(outcome: &'r Outcome<'_>, row: &'r Row) -> RowReport<'r> {
    let measures = outcome.case.measures.iter().enumerate();
    let value = |(at, measure): (usize, &'r Measure)| {
        let runs = row.values(at)?;
        let spread = Spread::of(runs);
        let ratio = |kind| {
            let other = against(outcome, at, kind)?;
            Some(measure.better.speed(spread.median, other))
        };
        Some(Value {
            measure,
            spread,
            against_best_peer: ratio(Kind::Peer),
            against_the_limit: ratio(Kind::Limit),
            runs,
        })
    };
    let skipped = match &row.result {
        Err(NoValue::Skipped(why)) => Some(why.as_str()),
        _ => None,
    };
    RowReport {
        name: &row.name,
        kind: row.kind,
        skipped,
        wrong: row.wrong(),
        values: measures.filter_map(value).collect(),
    }
}
