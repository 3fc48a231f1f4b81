//! What follows from the measurements: how steady the machine is, its grade, its floor, and cpus that share a core.

use std::fmt;

use pipewright_bench::stats::{standard_deviation, theil_sen};
use serde::{Deserialize, Serialize};

use super::{
    result::{Detail, Outcome, Probe, Rating, Row, Unit},
    stats::{Summary, detectable},
};
use crate::{
    floor::{Floor, Handoff, Percentiles},
    saved::Figure,
};

pub(crate) const VARIES: &str = "varies by";
pub(crate) const DRIFTS: &str = "drifts by, over all rounds";
pub(crate) const DETECTABLE: &str = "smallest difference that 10 blocks show";

/// Pairs of comparisons for which the smallest visible difference is told.
const BLOCKS: u32 = 10;

/// How steady the same work is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Steadiness {
    /// The standard deviation of the logarithms of the times, from one round to the next: drift does not count.
    pub varies: f64,
    /// By which part the times rise or fall from the first round to the last, by the slope of Theil and Sen.
    pub drifts: f64,
    /// The smallest difference, as a part, that ten blocks of a comparison show in four of five cases.
    pub detectable: f64,
}

/// How steady rounds of the same work were; nothing with fewer than five of them.
pub fn steadiness(took: &[f64]) -> Option<Steadiness> {
    if took.len() < 5 || took.iter().any(|ns| *ns <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = took.iter().map(|ns| ns.ln()).collect();
    let points: Vec<(f64, f64)> = (0..).map(f64::from).zip(logs.iter().copied()).collect();
    let drifts = (theil_sen(&points)? * (logs.len() - 1) as f64).exp() - 1.0;
    let steps: Vec<f64> = logs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A difference of two has twice the variance of one.
    let varies = standard_deviation(&steps) / 2f64.sqrt();
    Some(Steadiness {
        varies,
        drifts,
        detectable: detectable(varies, BLOCKS),
    })
}

impl fmt::Display for Steadiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = pipewright_draw::format::percent;
        write!(
            f,
            "noise of {}: a comparison of {BLOCKS} blocks shows differences of {} and more",
            part(self.varies),
            part(self.detectable)
        )
    }
}

/// How far figures from a machine can be trusted.
///
/// By the smallest difference that ten blocks of a comparison show (A14), and by the jitter (A3): `A` shows 1 % and has no gap of
/// 20 us; `B` shows 3 %, and its 99.9th percentile of gaps is below 200 us; `C` shows 10 %; `D` is what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Grade {
    /// For what is said of single per cents and of microseconds.
    A,
    /// For comparisons.
    B,
    /// For large differences.
    C,
    /// For nothing that depends on time.
    D,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The grade, or nothing if what it is made of was not measured.
pub fn grade(probe: &Probe) -> Option<Grade> {
    let shows = probe.row("A14", DETECTABLE)?.summary.p50;
    let gaps = jitter(probe)?;
    Some(match () {
        () if shows <= 0.01 && gaps.max < 20_000.0 => Grade::A,
        () if shows <= 0.03 && gaps.p999 < 200_000.0 => Grade::B,
        () if shows <= 0.10 => Grade::C,
        () => Grade::D,
    })
}

/// The machine's floor: what no pipeline can be faster than.
pub fn floor(probe: &Probe) -> Floor {
    let min = |id, name: &str| probe.row(id, name).map(|row| row.summary.min);
    let rows = |id| probe.measured(id).into_iter().flat_map(|one| &one.rows);
    let skew = rows("A2")
        .map(|row| row.summary.p50.abs())
        .max_by(f64::total_cmp);
    let wakes = || rows("A5").filter(|row| row.name.starts_with("park, after 1 ms"));
    // A thread that is woken on the waker's own cpu needs no other one to wake up; it counts where there is no other.
    let others = wakes().filter(|row| !row.name.ends_with("one cpu"));
    let slowest = |rows: &mut dyn Iterator<Item = &Row>| {
        rows.max_by(|a, b| a.summary.p50.total_cmp(&b.summary.p50))
            .map(|row| percentiles(&row.summary))
    };
    let wake = slowest(&mut { others }).or_else(|| slowest(&mut wakes()));
    let bandwidth = rows("A9")
        .filter(|row| row.name.starts_with("triad"))
        .map(|row| row.summary.max)
        .max_by(f64::total_cmp);
    Floor {
        clock: min("A1", "Instant::now"),
        tsc_skew: skew,
        wake,
        oversleep: probe
            .row("A4", "each 1 ms")
            .map(|row| percentiles(&row.summary)),
        jitter: jitter(probe),
        stolen: worst(probe, "time taken").map(|part| part * 100.0),
        handoffs: handoffs(probe),
        bandwidth,
    }
}

/// The longer ones of the gaps of all cpus at once, at each percentile.
fn jitter(probe: &Probe) -> Option<Percentiles> {
    let rows = probe
        .measured("A3")?
        .rows
        .iter()
        .filter(|row| row.name.ends_with(", a gap") && !row.name.contains("alone"));
    rows.map(|row| percentiles(&row.summary))
        .reduce(|a, b| Percentiles {
            p50: a.p50.max(b.p50),
            p99: a.p99.max(b.p99),
            p999: a.p999.max(b.p999),
            max: a.max.max(b.max),
        })
}

fn worst(probe: &Probe, what: &str) -> Option<f64> {
    let rows = probe
        .measured("A3")?
        .rows
        .iter()
        .filter(|row| row.name.ends_with(what) && !row.name.contains("alone"));
    rows.map(|row| row.summary.max).max_by(f64::total_cmp)
}

/// A percentile that there are too few samples for is the most there was: a floor must not be too good.
fn percentiles(summary: &Summary) -> Percentiles {
    let p999 = summary.p999.unwrap_or(summary.max);
    Percentiles {
        p50: summary.p50,
        p99: summary.p99.unwrap_or(p999),
        p999,
        max: summary.max,
    }
}

fn handoffs(probe: &Probe) -> Vec<Handoff> {
    let details = probe
        .measured("A7")
        .into_iter()
        .flat_map(|one| &one.details);
    let matrix = details.filter_map(|detail| match detail {
        Detail::Handoffs(matrix) => Some(matrix),
        _ => None,
    });
    let cells = matrix
        .flatten()
        .enumerate()
        .flat_map(|(a, row)| row.iter().enumerate().map(move |(b, ns)| (a, b, *ns)));
    cells
        .filter(|(a, b, _)| a < b)
        .filter_map(|(a, b, ns)| {
            Some(Handoff {
                cpus: (*probe.cpus.get(a)?, *probe.cpus.get(b)?),
                ns: ns?,
            })
        })
        .collect()
}

/// The floor in one line.
pub fn floor_line(probe: &Probe) -> String {
    let ns = pipewright_draw::format::nanoseconds;
    let floor = floor(probe);
    let near = floor
        .handoffs
        .iter()
        .map(|handoff| handoff.ns)
        .min_by(f64::total_cmp);
    let far = floor
        .handoffs
        .iter()
        .map(|handoff| handoff.ns)
        .max_by(f64::total_cmp);
    let handoff = near.zip(far).map(|(near, far)| match ns(near) == ns(far) {
        true => format!("cpu to cpu {}", ns(near)),
        false => format!("cpu to cpu {} .. {}", ns(near), ns(far)),
    });
    let varies = probe
        .row("A14", VARIES)
        .map(|row| row.summary.p50)
        .zip(probe.row("A14", DETECTABLE).map(|row| row.summary.p50));
    let part = pipewright_draw::format::percent;
    let parts = [
        floor.clock.map(|clock| format!("clock {}", ns(clock))),
        floor
            .wake
            .map(|wake| format!("wake {} / {}", ns(wake.p50), ns(wake.p99))),
        floor
            .jitter
            .map(|gap| format!("jitter p99.9 {}, max {}", ns(gap.p999), ns(gap.max))),
        handoff,
        varies.map(|(varies, shows)| {
            format!(
                "noise {}, shows {} in {BLOCKS} blocks",
                part(varies),
                part(shows)
            )
        }),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    if known.is_empty() {
        "not measured".to_owned()
    } else {
        known.join(" \u{b7} ")
    }
}

/// Losses from which on two cpus share something, and times between cpus that only threads of one core have.
const LOSS: f64 = 0.25;
const ALL_LOSE: f64 = 0.10;
const SIBLINGS: f64 = 20.0;

/// Says of A11 what its losses mean, with the times of A7.
pub(super) fn disguised_siblings(probe: &mut Probe) {
    let handoffs = handoffs(probe);
    let ns = |cpus: (u32, u32)| {
        handoffs
            .iter()
            .find(|handoff| handoff.cpus == cpus)
            .map(|handoff| handoff.ns)
    };
    let found = |one: &super::Measurement| one.id == "A11" && one.outcome == Outcome::Measured;
    let Some(smt) = probe.measurements.iter_mut().find(|one| found(one)) else {
        return;
    };
    let losses: Vec<((u32, u32), f64)> = smt
        .rows
        .iter()
        .filter_map(|row| Some((named(row)?, row.summary.p50)))
        .collect();
    smt.rating = Rating::Pass;
    for (cpus, loss) in &losses {
        if *loss > LOSS && ns(*cpus).is_some_and(|ns| ns < SIBLINGS) {
            smt.rating = Rating::Warn;
            smt.notes.push(format!(
                "cpus {} and {} are threads of one core, whatever the kernel tells",
                cpus.0, cpus.1
            ));
        }
    }
    if smt.rating == Rating::Pass
        && !losses.is_empty()
        && losses.iter().all(|(_, loss)| *loss > ALL_LOSE)
    {
        smt.rating = Rating::Warn;
        smt.notes.push("each cpu loses beside each other one: the host is shared with others, or its time is limited".to_owned());
    }
}

/// The cpus of `cpu 0 loses beside 1`.
fn named(row: &Row) -> Option<(u32, u32)> {
    let (a, b) = row
        .name
        .strip_prefix("cpu ")?
        .split_once(" loses beside ")?;
    Some((a.parse().ok()?, b.parse().ok()?))
}

/// The middle of each row by the name `A7 cpu 0 to 1`, as results are compared by `hw diff`.
pub fn figures(probe: &Probe) -> impl Iterator<Item = (String, Figure)> + '_ {
    probe.measurements.iter().flat_map(|one| {
        one.rows.iter().map(move |row| {
            let unit: Unit = row.unit;
            (
                format!("{} {}", one.id, row.name),
                Figure {
                    value: row.summary.p50,
                    unit: unit.name().to_owned(),
                },
            )
        })
    })
}
