//! What live bytes and the shares of stages say: leaks, hidden allocations, the bottleneck.

use serde::{Deserialize, Serialize};

use crate::{
    protocol::{Answer, StageShare},
    stats::{mann_kendall, theil_sen},
};

/// Bytes that stay behind with each item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Leak {
    pub(crate) bytes_per_item: f64,
    /// The stage that keeps as many; none if no stage keeps any, or the scenario does not tell.
    pub(crate) stage: Option<String>,
    /// How likely memory that does not leak is to look so.
    pub(crate) p: f64,
}

/// A leak, if the live bytes went up all the time, in both halves of it: a table that grew once, or memory that goes up and down,
/// is none.
///
/// The slopes are those of Theil and Sen, so that single steps do not make one; the test is that of Mann and Kendall.
pub(crate) fn leak(answer: &Answer) -> Option<Leak> {
    let live: Vec<f64> = answer
        .live_bytes
        .iter()
        .map(|bytes| *bytes as f64)
        .collect();
    let points: Vec<(f64, f64)> = (0..).map(f64::from).zip(live.iter().copied()).collect();
    let slope = theil_sen(&points)?;
    let (first, second) = points.split_at(points.len() / 2);
    let grows = |half| theil_sen(half).is_some_and(|slope| slope > 0.0);
    let trend = mann_kendall(&live);
    // Where stages are not told, what stays behind is counted by the time between two notes.
    let items = answer
        .stages
        .first()
        .map_or(1.0, |stage| stage.items as f64 / live.len() as f64);
    let bytes_per_item = slope / items;
    (grows(first) && grows(second) && trend.p < 0.01).then(|| Leak {
        bytes_per_item,
        stage: keeping(&answer.stages, bytes_per_item),
        p: trend.p,
    })
}

/// The stage that keeps about so many bytes of an item. Stages that make what others free keep more, so it is not the one that keeps
/// most.
fn keeping(stages: &[StageShare], bytes: f64) -> Option<String> {
    let kept = |stage: &StageShare| stage.kept as f64 / stage.items.max(1) as f64;
    let keeps = stages.iter().filter(|stage| kept(stage) > FEW);
    let far = |stage: &&StageShare| (kept(stage) / bytes).ln().abs();
    let nearest = keeps.min_by(|a, b| far(a).total_cmp(&far(b)))?;
    Some(nearest.name.clone())
}

/// What live bytes are each time that it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// The same after each of so many times.
    Exactly { bytes: i64, times: usize },
    /// So many more, or fewer, over so many times.
    Not { bytes: i64, times: usize },
}

/// Do live bytes return to exactly what they were, each time that it has ended? The first half of the times does not count: what a
/// process makes once and keeps is made then. `None` if there are fewer than four.
pub(crate) fn drained(live: &[i64]) -> Option<Drained> {
    if live.len() < 4 {
        return None;
    }
    let later = &live[live.len() / 2..];
    let (first, last) = (*later.first()?, *later.last()?);
    let times = later.len();
    Some(match later.iter().all(|bytes| *bytes == first) {
        true => Drained::Exactly {
            bytes: first,
            times,
        },
        false => Drained::Not {
            bytes: last - first,
            times,
        },
    })
}

/// More allocations an item than this are no table that grows late.
const FEW: f64 = 0.001;

/// Are these allocations of an item any?
pub(crate) fn allocates(each: f64) -> bool {
    each > FEW
}

/// The stages that allocate, with their allocations an item.
pub(crate) fn allocating(stages: &[StageShare]) -> Vec<(&str, f64)> {
    let each = |stage: &StageShare| stage.allocations as f64 / stage.items.max(1) as f64;
    let many = stages.iter().filter(|stage| allocates(each(stage)));
    many.map(|stage| (stage.name.as_str(), each(stage)))
        .collect()
}

/// What limits a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bottleneck {
    pub(crate) stage: String,
    /// Its share of the time in which stages worked.
    pub(crate) share: f64,
    /// What an item costs there, in nanoseconds.
    pub(crate) ns: f64,
    /// If this stage took half as long: how many times the throughput, on one worker.
    pub(crate) gain_if_halved: f64,
}

/// The stage that works longest. What it would bring to halve it is what Amdahl's law says.
pub(crate) fn bottleneck(stages: &[StageShare]) -> Option<Bottleneck> {
    let total: u64 = stages.iter().map(|stage| stage.busy_ns).sum();
    let longest = stages.iter().max_by_key(|stage| stage.busy_ns)?;
    let share = longest.busy_ns as f64 / total.max(1) as f64;
    Some(Bottleneck {
        stage: longest.name.clone(),
        share,
        ns: longest.busy_ns as f64 / longest.items.max(1) as f64,
        gain_if_halved: 1.0 / (1.0 - share / 2.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(name: &str, busy_ns: u64, allocations: u64) -> StageShare {
        StageShare {
            name: name.to_owned(),
            items: 1000,
            busy_ns,
            allocations,
            bytes: 0,
            kept: 0,
        }
    }

    fn live(bytes: impl Iterator<Item = i64>) -> Answer {
        Answer {
            live_bytes: bytes.collect(),
            stages: vec![share("parse", 1, 0)],
            ..Answer::default()
        }
    }

    #[test]
    fn only_what_grows_all_the_time_is_a_leak() {
        // 1000 items in 40 notes are 25 between two.
        let found = leak(&live((0..40).map(|at| 5_000 + 25 * at))).expect("it leaks");
        assert!((found.bytes_per_item - 1.0).abs() < 1e-9, "{found:?}");
        let check = |answer: Answer| assert_eq!(leak(&answer), None);
        check(live((0..40).map(|_| 5_000)));
        check(live((0..40).map(|at| 5_000 + 300 * (at % 5))));
        check(live((0..40).map(|at| if at < 20 { 5_000 } else { 9_000 })));
        check(Answer::default());
    }

    #[test]
    fn the_stage_that_keeps_what_leaks_is_named() {
        let keeps = |name: &str, kept: i64| StageShare {
            kept,
            ..share(name, 1, 0)
        };
        let check = |stages: &[StageShare], expect: Option<&str>| {
            assert_eq!(keeping(stages, 1.0).as_deref(), expect);
        };
        check(&[keeps("parse", 0), keeps("price", 1000)], Some("price"));
        // What one makes and another frees is no leak.
        let handed = [
            keeps("parse", 64_000),
            keeps("price", 1010),
            keeps("deliver", -64_000),
        ];
        check(&handed, Some("price"));
        check(&[keeps("parse", 0), keeps("deliver", -5)], None);
    }

    #[test]
    fn live_bytes_return_exactly_or_not() {
        let exactly = Drained::Exactly {
            bytes: 70,
            times: 3,
        };
        let not = |bytes| Drained::Not { bytes, times: 3 };
        let check = |live: &[i64], expect: Option<Drained>| assert_eq!(drained(live), expect);
        check(&[10, 60, 70, 70, 70, 70], Some(exactly));
        check(&[10, 60, 70, 70, 71, 72], Some(not(2)));
        check(&[10, 60, 70, 70, 71, 70], Some(not(0)));
        check(&[70, 70, 70], None);
    }

    #[test]
    fn the_stage_that_allocates_is_named() {
        let stages = [
            share("parse", 1, 0),
            share("price", 1, 1000),
            share("apply", 1, 1),
        ];
        assert_eq!(allocating(&stages), [("price", 1.0)]);
    }

    #[test]
    fn the_longest_stage_is_the_bottleneck() {
        let stages = [
            share("parse", 100, 0),
            share("enrich", 600, 0),
            share("price", 300, 0),
        ];
        let found = bottleneck(&stages).expect("there are stages");
        assert_eq!((found.stage.as_str(), found.share), ("enrich", 0.6));
        assert!((found.gain_if_halved - 1.0 / 0.7).abs() < 1e-9);
        assert_eq!(bottleneck(&[]), None);
    }
}
