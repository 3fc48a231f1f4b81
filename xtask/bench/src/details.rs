//! What a saved result has for reports besides the values of its metrics: time series, stages, memory, curves. Nothing of it decides
//! anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    protocol::{Answer, Part, Passage, Request, StageShare},
    results::merged,
    session::Side,
    stats::median,
};

/// What is shown of a scenario besides its metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Details {
    /// What each trial was asked; the seed is that from which theirs were drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Request>,
    /// What happened in equal parts of the trials' time.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) timeline: BTreeMap<Side, Vec<Moment>>,
    /// How items came through the stages.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) stages: BTreeMap<Side, Vec<Stage>>,
    /// Live bytes at equal distances in time, of the last trial that counted them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) live_bytes: BTreeMap<Side, Vec<i64>>,
    /// Did the generator of an open loop share its processors with what was measured, in a trial? Else it had one of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shared: BTreeMap<Side, bool>,
    /// What came of each rate that was tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) curve: Vec<Tried>,
}

/// A part of the time, of all trials of a side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Moment {
    /// When it ended, in milliseconds after the warm-up.
    pub(crate) end_ms: f64,
    /// Items a second that were to come, the median of the trials; 0 where the loop is closed.
    pub(crate) offered: f64,
    /// Items a second that were done, the median of the trials.
    pub(crate) done: f64,
    /// Items that found the input full, in all trials.
    pub(crate) refused: u64,
    /// The most items in the pipeline, in any trial.
    pub(crate) queued: u64,
    /// Resident bytes, the median of the trials; 0 where the system does not tell.
    pub(crate) resident: f64,
    /// Percentiles of the latency in nanoseconds, where at least ten values lie beyond them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    /// How many latencies there were up to each length in nanoseconds, five lengths for each power of ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) latencies: Vec<(u64, u64)>,
}

/// A stage, as the mean of its items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// Items that were looked at.
    pub(crate) items: u64,
    /// How long an item was kept outside before it, in nanoseconds.
    pub(crate) blocked_ns: f64,
    /// How long an item waited before it, in nanoseconds.
    pub(crate) wait_ns: f64,
    /// How long it worked on an item, in nanoseconds.
    pub(crate) work_ns: f64,
    /// Items a second that came to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    /// Percentiles of how long an item waited and was worked on, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p95: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    /// The share of the workers' time that it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) utilisation: Option<f64>,
    /// Allocations for an item, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allocations: Option<f64>,
}

/// What came of a rate that was tried, in a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Tried {
    /// Items a second that were to come.
    pub(crate) offered: f64,
    /// Items a second that came through.
    pub(crate) achieved: f64,
    /// Percentiles of the latency in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    /// Can it go on like this?
    pub(crate) sustainable: bool,
}

impl Details {
    /// Of the answers of the trials that count.
    pub(crate) fn of(all: &[(Side, &Answer)]) -> Self {
        let mut sides: BTreeMap<Side, Vec<&Answer>> = BTreeMap::new();
        for (side, answer) in all {
            sides.entry(*side).or_default().push(answer);
        }
        let mut found = Self::default();
        for (side, answers) in sides {
            let timeline = moments(&answers);
            if !timeline.is_empty() {
                found.timeline.insert(side, timeline);
            }
            let stages = stages(&answers);
            if !stages.is_empty() {
                found.stages.insert(side, stages);
            }
            let counted = answers.iter().rfind(|answer| !answer.live_bytes.is_empty());
            if let Some(answer) = counted {
                found.live_bytes.insert(side, answer.live_bytes.clone());
            }
            let generators = answers.iter().filter_map(|answer| answer.generator);
            let shared: Vec<bool> = generators.filter_map(|one| one.shared).collect();
            if !shared.is_empty() {
                found.shared.insert(side, shared.contains(&true));
            }
        }
        found
    }
}

fn moments(answers: &[&Answer]) -> Vec<Moment> {
    let longest = answers.iter().map(|answer| answer.timeline.len()).max();
    (0..longest.unwrap_or(0))
        .map(|at| {
            let parts = answers.iter().filter_map(|answer| {
                let before = at.checked_sub(1).and_then(|at| answer.timeline.get(at));
                let part = answer.timeline.get(at)?;
                Some((part, part.end_ms - before.map_or(0.0, |part| part.end_ms)))
            });
            moment(&parts.collect::<Vec<_>>())
        })
        .collect()
}

/// The same part of the time of several trials, and how long each was, in milliseconds.
fn moment(parts: &[(&Part, f64)]) -> Moment {
    let middle = |value: &dyn Fn(&(&Part, f64)) -> f64| {
        median(&parts.iter().map(value).collect::<Vec<f64>>()).unwrap_or_default()
    };
    let rate = |items: u64, ms: f64| {
        if ms > 0.0 {
            items as f64 * 1e3 / ms
        } else {
            0.0
        }
    };
    let latencies = merged(parts.iter().map(|(part, _)| part.latencies.as_slice()));
    Moment {
        end_ms: middle(&|(part, _)| part.end_ms),
        offered: middle(&|(part, ms)| rate(part.offered, *ms)),
        done: middle(&|(part, ms)| rate(part.done, *ms)),
        refused: parts.iter().map(|(part, _)| part.refused).sum(),
        queued: parts.iter().map(|(part, _)| part.queued).max().unwrap_or(0),
        resident: middle(&|(part, _)| part.resident as f64),
        p50: quantile(&latencies, 0.5),
        p99: quantile(&latencies, 0.99),
        max: latencies.last().map(|(length, _)| *length as f64),
        latencies: coarse(&latencies),
    }
}

/// Values beyond a percentile of which there are fewer say nothing of it.
const BEYOND: f64 = 10.0;

/// A percentile of lengths and their counts, in order.
fn quantile(counts: &[(u64, u64)], share: f64) -> Option<f64> {
    let total = counts.iter().map(|(_, count)| count).sum::<u64>() as f64;
    if total * (1.0 - share) < BEYOND {
        return None;
    }
    let mut below = 0;
    let reached = |(_, count): &&(u64, u64)| {
        below += count;
        below as f64 >= total * share
    };
    counts
        .iter()
        .find(reached)
        .map(|(length, _)| *length as f64)
}

/// Lengths for each power of ten.
const STEPS: i32 = 5;

/// The last of them: a length of more than three hours is none.
const LAST: i32 = 13 * STEPS;

fn length(step: i32) -> u64 {
    10f64.powf(f64::from(step) / f64::from(STEPS)).round() as u64
}

/// The lengths that are told apart, from one of them to another, the longest first.
pub(crate) fn lengths(least: u64, most: u64) -> impl Iterator<Item = u64> {
    let all = (0..=LAST).rev().map(length);
    all.filter(move |length| (least..=most).contains(length))
}

/// The counts, of each length up to the next one that is told apart.
fn coarse(counts: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let next = |of: u64| {
        let mut all = (0..=LAST).map(length);
        all.find(|length| *length >= of).unwrap_or(of)
    };
    merged(
        counts
            .iter()
            .map(|(length, count)| [(next(*length), *count)]),
    )
}

fn stages(answers: &[&Answer]) -> Vec<Stage> {
    let mut found: Vec<Stage> = Vec::new();
    let traced: Vec<&[Passage]> = answers.iter().map(|answer| &answer.passages[..]).collect();
    for name in names(&traced, |passage| &passage.stage) {
        found.push(traced_stage(name, &traced));
    }
    let counted: Vec<&[StageShare]> = answers.iter().map(|answer| &answer.stages[..]).collect();
    for name in names(&counted, |share| &share.name) {
        let share = counted_stage(name, &counted);
        match found.iter_mut().find(|stage| stage.name == share.name) {
            Some(stage) => stage.allocations = share.allocations,
            None => found.push(share),
        }
    }
    found
}

/// The names of the first trial that has any: all have the same.
fn names<'a, T>(trials: &[&'a [T]], name: impl Fn(&'a T) -> &'a String) -> Vec<&'a str> {
    let first = trials.iter().find(|stages| !stages.is_empty());
    let all = first.into_iter().flat_map(|stages| stages.iter());
    all.map(|stage| name(stage).as_str()).collect()
}

fn traced_stage(name: &str, trials: &[&[Passage]]) -> Stage {
    let of: Vec<&Passage> = trials
        .iter()
        .flat_map(|passages| passages.iter())
        .filter(|passage| passage.stage == name)
        .collect();
    let items: u64 = of.iter().map(|passage| passage.items).sum();
    let mean = |ns: &dyn Fn(&Passage) -> u64| {
        of.iter().map(|passage| ns(passage)).sum::<u64>() as f64 / items.max(1) as f64
    };
    let latencies = merged(of.iter().map(|passage| passage.latencies.as_slice()));
    let rates: Vec<f64> = of.iter().map(|passage| passage.rate).collect();
    Stage {
        name: name.to_owned(),
        items,
        rate: median(&rates).filter(|rate| *rate > 0.0),
        p50: quantile(&latencies, 0.5),
        p95: quantile(&latencies, 0.95),
        p99: quantile(&latencies, 0.99),
        blocked_ns: mean(&|passage| passage.blocked_ns),
        wait_ns: mean(&|passage| passage.wait_ns),
        work_ns: mean(&|passage| passage.work_ns),
        utilisation: median(&of.iter().map(|of| of.utilisation).collect::<Vec<f64>>()),
        allocations: None,
    }
}

fn counted_stage(name: &str, trials: &[&[StageShare]]) -> Stage {
    let of = || {
        let all = trials.iter().flat_map(|shares| shares.iter());
        all.filter(|share| share.name == name)
    };
    let items: u64 = of().map(|share| share.items).sum();
    let mean = |sum: u64| sum as f64 / items.max(1) as f64;
    Stage {
        name: name.to_owned(),
        items,
        work_ns: mean(of().map(|share| share.busy_ns).sum()),
        allocations: Some(mean(of().map(|share| share.allocations).sum())),
        ..Stage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(end_ms: f64, done: u64, latencies: &[(u64, u64)]) -> Part {
        Part {
            end_ms,
            offered: 2 * done,
            refused: 1,
            done,
            queued: done,
            resident: 4096,
            latencies: latencies.to_vec(),
            ..Part::default()
        }
    }

    #[test]
    fn trials_of_a_side_become_one_course() {
        let answer = |done: u64, ns: u64| Answer {
            timeline: vec![
                part(100.0, done, &[(ns, 500), (10 * ns, 500)]),
                part(200.0, done, &[]),
            ],
            ..Answer::default()
        };
        let answers = [answer(10, 100), answer(20, 100), answer(60, 100)];
        let found = Details::of(&answers.each_ref().map(|answer| (Side::A, answer)));
        let moments = &found.timeline[&Side::A];
        assert_eq!(moments.len(), 2);
        let first = &moments[0];
        assert_eq!(
            (first.done, first.offered),
            (200.0, 400.0),
            "medians, a second"
        );
        assert_eq!(
            (first.refused, first.queued, first.resident),
            (3, 60, 4096.0)
        );
        assert_eq!(
            (first.p50, first.p99, first.max),
            (Some(100.0), Some(1e3), Some(1e3))
        );
        assert_eq!(first.latencies, [(100, 1500), (1000, 1500)]);
        assert_eq!((moments[1].p50, moments[1].max), (None, None));
        assert!(found.stages.is_empty() && found.live_bytes.is_empty());
    }

    #[test]
    fn percentiles_need_values_beyond_them() {
        let check = |count: u64, expect: Option<f64>| {
            assert_eq!(quantile(&[(5, count), (9, 0)], 0.99), expect, "{count}");
        };
        check(999, None);
        check(1001, Some(5.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn lengths_are_rounded_up_to_five_steps_of_ten() {
        let found = coarse(&[
            (0, 1),
            (1, 1),
            (2, 1),
            (100, 1),
            (101, 1),
            (159, 1),
            (1000, 1),
        ]);
        let expect = [(1, 2), (2, 1), (100, 1), (158, 1), (251, 1), (1000, 1)];
        assert_eq!(found, expect);
        let all: Vec<u64> = lengths(100, 1000).collect();
        assert_eq!(all, [1000, 631, 398, 251, 158, 100]);
    }

    #[test]
    fn stages_are_the_means_of_all_trials() {
        let passage = |items: u64, work_ns: u64, utilisation: f64| Passage {
            stage: "price".to_owned(),
            items,
            wait_ns: items,
            work_ns,
            latencies: vec![(10, 400 * items), (90, 100 * items)],
            rate: 1_000.0 * items as f64,
            utilisation,
            ..Passage::default()
        };
        let share = StageShare {
            name: "price".to_owned(),
            items: 10,
            busy_ns: 50,
            allocations: 20,
            bytes: 0,
            kept: 0,
        };
        let answers = [
            Answer {
                passages: vec![passage(1, 100, 0.2)],
                ..Answer::default()
            },
            Answer {
                passages: vec![passage(3, 100, 0.4)],
                stages: vec![share],
                ..Answer::default()
            },
        ];
        let found = Details::of(&answers.each_ref().map(|answer| (Side::B, answer)));
        let [price] = found.stages[&Side::B].as_slice() else {
            panic!("one stage: {found:?}");
        };
        assert_eq!((price.items, price.wait_ns, price.work_ns), (4, 1.0, 50.0));
        assert!((price.utilisation.expect("it was traced") - 0.3).abs() < 1e-9);
        assert_eq!(price.allocations, Some(2.0));
        assert_eq!(price.rate, Some(2_000.0), "the median");
        let percentiles = (price.p50, price.p95, price.p99);
        assert_eq!(percentiles, (Some(10.0), Some(90.0), Some(90.0)));
    }
}
