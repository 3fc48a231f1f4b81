//! The rules of a report's advice: each looks at one scenario.

use pipewright_draw::format;

use super::{advice::Advice, stages::BUSY};
use crate::{
    details::{Details, Moment, Stage},
    metrics,
    results::{SavedMetric, SavedScenario},
    session::Side,
    stats::{mann_kendall, theil_sen},
    targets::Met,
    verdict::Verdict,
};

fn say(scenario: &SavedScenario, text: &str, evidence: Vec<String>) -> Option<Advice> {
    Some(Advice {
        text: format!("{}: {text}", scenario.id),
        evidence,
    })
}

/// The newer side of what is there for both.
fn newer<T>(sides: &std::collections::BTreeMap<Side, T>) -> Option<&T> {
    sides.get(&Side::B).or_else(|| sides.get(&Side::A))
}

fn timeline(scenario: &SavedScenario) -> &[Moment] {
    newer(&scenario.details.timeline).map_or(&[], Vec::as_slice)
}

fn stages(details: &Details) -> &[Stage] {
    newer(&details.stages).map_or(&[], Vec::as_slice)
}

/// The median of a metric that can be relied upon.
fn value(scenario: &SavedScenario, name: &str) -> Option<f64> {
    if scenario.refused.is_some() {
        return None;
    }
    let metric = scenario.metrics.iter().find(|metric| metric.name == name)?;
    let open = metric.change.as_ref().is_some_and(|change| {
        matches!(
            change.verdict,
            Verdict::Inconclusive { .. } | Verdict::Refused { .. }
        )
    });
    (!open).then_some(newer(&metric.sides)?.median)
}

/// How busy all stages together keep the workers.
fn utilisation(stages: &[Stage]) -> Option<f64> {
    let shares: Option<Vec<f64>> = stages.iter().map(|stage| stage.utilisation).collect();
    // Work is measured of single items, and its sum may be a little more than all of the time.
    shares
        .filter(|shares| !shares.is_empty())
        .map(|shares| shares.iter().sum::<f64>().min(1.0))
}

pub(super) fn regressed(scenario: &SavedScenario) -> Option<Advice> {
    let worse = |saved: &SavedMetric| {
        let change = saved.change.as_ref()?;
        let metric = metrics::find(&saved.name)?;
        let [low, high] = change.interval?.map(|end| metric.shown(end));
        (change.verdict == Verdict::Regressed).then(|| {
            format!(
                "{}: {} [{low}, {high}], and {} does not matter",
                saved.name,
                metric.shown(change.estimate),
                metric.shown(change.band).trim_start_matches('+')
            )
        })
    };
    let evidence: Vec<String> = scenario.metrics.iter().filter_map(worse).collect();
    if evidence.is_empty() || scenario.refused.is_some() {
        return None;
    }
    say(
        scenario,
        "it is worse than its base: `cargo xtask bench profile` with the same `--base` draws where the time went",
        evidence,
    )
}

pub(super) fn missed(scenario: &SavedScenario) -> Option<Advice> {
    let missed = scenario
        .targets
        .iter()
        .filter(|found| found.result == Met::Failed);
    let evidence: Vec<String> = missed
        .map(|found| format!("{}: {}", found.target, found.measured()))
        .collect();
    if evidence.is_empty() {
        return None;
    }
    say(
        scenario,
        "a target is missed: `cargo xtask bench profile` draws where the time goes",
        evidence,
    )
}

pub(super) fn disturbed(scenario: &SavedScenario) -> Option<Advice> {
    let trials: usize = scenario
        .metrics
        .iter()
        .filter_map(|metric| newer(&metric.sides))
        .map(|values| values.values.len())
        .max()
        .unwrap_or(0);
    let (reason, n) = scenario.disturbed.iter().max_by_key(|(_, n)| **n)?;
    // One in five is more than chance.
    (scenario.refused.is_some() || n * 5 > trials).then(|| Advice {
        text: format!(
            "{}: find out what disturbs this machine before you believe a number of it",
            scenario.id
        ),
        evidence: vec![format!(
            "{n} trials did not count because of `{reason}`, {trials} did"
        )],
    })
}

pub(super) fn inconclusive(scenario: &SavedScenario) -> Option<Advice> {
    let open = |metric: &SavedMetric| match metric.change.as_ref()?.verdict {
        Verdict::Inconclusive { missing } if metric.gate => Some(format!(
            "{}: about {missing} more blocks would settle it",
            metric.name
        )),
        _ => None,
    };
    let evidence: Vec<String> = scenario.metrics.iter().filter_map(open).collect();
    if evidence.is_empty() || scenario.refused.is_some() {
        return None;
    }
    say(scenario, "measure for longer: `--full`", evidence)
}

pub(super) fn infeasible(scenario: &SavedScenario) -> Option<Advice> {
    let found = scenario.targets.iter();
    let evidence: Vec<String> = found
        .filter(|found| found.result == Met::Infeasible)
        .map(|found| match found.floor {
            Some(floor) => format!(
                "{}, and this machine needs {} to wake a thread",
                found.target,
                format::nanoseconds(floor)
            ),
            None => found.target.clone(),
        })
        .collect();
    if evidence.is_empty() {
        return None;
    }
    say(
        scenario,
        "judge these targets on another machine; `cargo xtask hw check --profile bench` tells what stands in the way of this one",
        evidence,
    )
}

/// A series that grows for sure, in both of its halves: its slope from one part to the next.
fn grows(values: &[f64]) -> Option<f64> {
    let points: Vec<(f64, f64)> = (0..).map(f64::from).zip(values.iter().copied()).collect();
    let (first, second) = points.split_at(points.len() / 2);
    let slope = theil_sen(&points)?;
    let up = |half| theil_sen(half).is_some_and(|slope| slope > 0.0);
    (up(first) && up(second) && mann_kendall(values).p < 0.01).then_some(slope)
}

/// Do about as many items come all the time?
fn is_even(timeline: &[Moment]) -> bool {
    let first = timeline.first().map_or(0.0, |moment| moment.offered);
    timeline
        .iter()
        .all(|moment| (moment.offered - first).abs() <= 0.2 * first)
}

pub(super) fn overload(scenario: &SavedScenario) -> Option<Advice> {
    let timeline = timeline(scenario);
    let mut evidence = Vec::new();
    let refused: u64 = timeline.iter().map(|moment| moment.refused).sum();
    if refused > 0 {
        evidence.push(format!("{refused} items found the input full"));
    }
    let even = is_even(timeline);
    let queued: Vec<f64> = timeline.iter().map(|moment| moment.queued as f64).collect();
    if let Some(slope) = grows(&queued).filter(|slope| even && *slope >= 1.0) {
        evidence.push(format!(
            "the queue grows by {} items from each part of the time to the next, at an even rate",
            format::digits(slope)
        ));
    }
    let busy = utilisation(stages(&scenario.details)).filter(|share| *share > BUSY);
    if let Some(busy) = busy.filter(|_| !timeline.is_empty()) {
        evidence.push(format!(
            "the stages keep the workers busy for {}",
            format::percent(busy)
        ));
    }
    if evidence.is_empty() {
        return None;
    }
    let is_open = timeline.iter().any(|moment| moment.offered > 0.0);
    let text = match is_open {
        true => {
            "it is offered more than it can do: give it more workers, or a lower rate; `cargo xtask bench capacity` finds how much it takes"
        }
        false => {
            "it does all that its workers can: give it more of them, or make a stage faster; `cargo xtask bench scale` tells what workers bring"
        }
    };
    say(scenario, text, evidence)
}

/// A stage that has more than so much of the work is worth a look.
const MOST_OF_IT: f64 = 0.4;

pub(super) fn bottleneck(scenario: &SavedScenario) -> Option<Advice> {
    let stages = stages(&scenario.details);
    let all: f64 = stages.iter().map(|stage| stage.work_ns).sum();
    let longest = stages
        .iter()
        .max_by(|one, other| one.work_ns.total_cmp(&other.work_ns))?;
    let share = longest.work_ns / all;
    // Where the workers have time left, nothing is in the way of more items.
    let is_full = utilisation(stages).is_some_and(|busy| busy > BUSY);
    if share.is_nan() || share <= MOST_OF_IT || stages.len() < 2 || !is_full {
        return None;
    }
    say(
        scenario,
        &format!(
            "the bottleneck is `{}`: in half the time there, a worker would do {:.2} times as much",
            longest.name,
            1.0 / (1.0 - share / 2.0)
        ),
        vec![format!(
            "it works for {} of the {} that an item costs ({}), seen at {} items",
            format::nanoseconds(longest.work_ns),
            format::nanoseconds(all),
            format::percent(share),
            longest.items
        )],
    )
}

/// Waits this many times as long as the work are no queue, where the workers have time.
const LONG: f64 = 3.0;

pub(super) fn idle_waits(scenario: &SavedScenario) -> Option<Advice> {
    let stages = stages(&scenario.details);
    let busy = utilisation(stages)?;
    let (waits, works) = stages.iter().fold((0.0, 0.0), |(waits, works), stage| {
        (waits + stage.wait_ns, works + stage.work_ns)
    });
    if busy > 0.5 || waits < LONG * works {
        return None;
    }
    let longest = stages
        .iter()
        .max_by(|one, other| one.wait_ns.total_cmp(&other.wait_ns))?;
    say(
        scenario,
        "items wait although the workers have time: look at a shorter `linger`, and at how long this machine takes to wake a thread (`cargo xtask hw probe`)",
        vec![
            format!(
                "an item waits for {} and is worked on for {}; the workers are busy for {}",
                format::nanoseconds(waits),
                format::nanoseconds(works),
                format::percent(busy)
            ),
            format!(
                "the longest wait is before `{}`, {}",
                longest.name,
                format::nanoseconds(longest.wait_ns)
            ),
        ],
    )
}

pub(super) fn tail(scenario: &SavedScenario) -> Option<Advice> {
    let (p50, p99) = (
        value(scenario, "latency_p50")?,
        value(scenario, "latency_p99")?,
    );
    // A load that is uneven has a tail of its own.
    let even = is_even(timeline(scenario));
    let busy = utilisation(stages(&scenario.details));
    if !even || p99 < 20.0 * p50 || busy.is_none_or(|busy| busy > 0.5) {
        return None;
    }
    say(
        scenario,
        "its tail is not made by load: look for stalls of the machine (`cargo xtask hw probe`, jitter) and of single calls (`cargo xtask bench profile`)",
        vec![
            format!(
                "p99 is {}, {} times p50",
                format::nanoseconds(p99),
                format::digits(p99 / p50)
            ),
            format!(
                "the workers are busy for {}",
                format::percent(busy.unwrap_or_default())
            ),
        ],
    )
}

pub(super) fn kept_outside(scenario: &SavedScenario) -> Option<Advice> {
    let stages = stages(&scenario.details);
    let outside: f64 = stages.iter().map(|stage| stage.blocked_ns).sum();
    let inside: f64 = stages
        .iter()
        .map(|stage| stage.wait_ns + stage.work_ns)
        .sum();
    if outside < inside || inside == 0.0 {
        return None;
    }
    say(
        scenario,
        "most of the latency arises before the pipeline: the generator came late, or its thread had no processor; give it a core",
        vec![format!(
            "an item is kept outside for {} and is inside for {}",
            format::nanoseconds(outside),
            format::nanoseconds(inside)
        )],
    )
}

pub(super) fn allocations(scenario: &SavedScenario) -> Option<Advice> {
    let many = |stage: &&Stage| stage.allocations.is_some_and(|each| each > 0.001);
    let evidence: Vec<String> = stages(&scenario.details)
        .iter()
        .filter(many)
        .map(|stage| {
            let each = format::digits(stage.allocations.unwrap_or_default());
            format!("`{}` allocates {each} times for an item", stage.name)
        })
        .collect();
    if evidence.is_empty() {
        return None;
    }
    say(
        scenario,
        "take what stages allocate from a pool, or keep it in their state",
        evidence,
    )
}

pub(super) fn growth(scenario: &SavedScenario) -> Option<Advice> {
    let mut evidence = Vec::new();
    let live = newer(&scenario.details.live_bytes);
    let live: Vec<f64> = live
        .into_iter()
        .flatten()
        .map(|bytes| *bytes as f64)
        .collect();
    if let Some(slope) = grows(&live) {
        evidence.push(format!(
            "the live bytes grow by {} from note to note",
            format::bytes(slope)
        ));
    }
    if evidence.is_empty() {
        return None;
    }
    say(
        scenario,
        "something stays behind: `cargo xtask bench mem` tells how much with each item",
        evidence,
    )
}
