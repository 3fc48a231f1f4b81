//! What looks at items while they go through: a stamp on each, and a probe where they are worked on and where they leave.
//!
//! Of a run only one in so many items is traced, which is to say that its stages are timed: looking at the clock takes as long as a
//! short stage. Which ones is said by the stamp, so that the others cost a branch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    Allocations, Counted,
    latencies::{Latencies, counts},
};
use crate::{
    protocol::{Passage, StageShare},
    random::Random,
};

/// Travels with an item.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// When it should have come.
    intended: Instant,
    /// When it was sent, and then when the last stage was done with it, in nanoseconds from then; only if it is traced.
    left_ns: u64,
    /// The part of the time in which it should have come; none while the pipeline warms up, and where latencies do not count.
    part: Option<u32>,
    /// Are its stages timed?
    traced: bool,
}

/// What has a stamp.
pub trait Stamped {
    /// Its stamp.
    fn stamp(&mut self) -> &mut Stamp;
}

impl Stamp {
    /// When its item should have come.
    pub(super) fn new(intended: Instant) -> Self {
        Self {
            intended,
            left_ns: 0,
            part: None,
            traced: false,
        }
    }

    /// Its latency counts, in this part of the time.
    pub(super) fn counts(self, part: u32) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }

    /// Its stages are timed; it is sent so much later than it should have come.
    pub(super) fn traced(self, late: Duration) -> Self {
        Self {
            traced: true,
            left_ns: late.as_nanos() as u64,
            ..self
        }
    }

    /// When its item should have come.
    pub fn intended(&self) -> Instant {
        self.intended
    }
}

/// One of so many items is traced. A prime, so that what is traced is never in step with batches or with the rounds of a mix.
pub(super) const ONE_IN: u64 = 31;

/// A stage, as it is named in results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    name: &'static str,
    at_once: Option<u32>,
}

impl Stage {
    /// One that all workers may be in at once.
    pub const fn free(name: &'static str) -> Self {
        Self {
            name,
            at_once: None,
        }
    }

    /// One that works on so many items at once, at most.
    pub const fn at_once(name: &'static str, items: u32) -> Self {
        Self {
            name,
            at_once: Some(items),
        }
    }
}

/// Looks at items. Its clones look at the same.
#[derive(Clone, Debug)]
pub struct Probe(Arc<Seen>);

/// What is seen.
#[derive(Debug)]
struct Seen {
    done: AtomicU64,
    digest: AtomicU64,
    /// Are results told apart?
    digests: bool,
    middle: AtomicBool,
    stages: Box<[SeenStage]>,
    latencies: Latencies,
    allocations: Option<Allocations>,
    /// What it costs to look at the clock twice.
    clock_ns: u64,
}

/// What is seen of a stage.
#[derive(Debug)]
struct SeenStage {
    stage: Stage,
    items: AtomicU64,
    busy_ns: AtomicU64,
    wait_ns: AtomicU64,
    blocked_ns: AtomicU64,
    /// How long it took together with the waiting before it; none where allocations are counted, because noting allocates.
    latencies: Option<Latencies>,
    allocations: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicI64,
}

/// Before a stage worked on an item.
struct Before {
    begun: Instant,
    waited_ns: u64,
    counted: Counted,
}

impl Probe {
    pub(super) fn new(stages: &[Stage], allocations: Option<Allocations>, digests: bool) -> Self {
        let stage = |stage: &Stage| SeenStage {
            stage: *stage,
            items: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            wait_ns: AtomicU64::new(0),
            blocked_ns: AtomicU64::new(0),
            latencies: allocations.is_none().then(Latencies::new),
            allocations: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            kept: AtomicI64::new(0),
        };
        Self(Arc::new(Seen {
            done: AtomicU64::new(0),
            digest: AtomicU64::new(0),
            digests,
            middle: AtomicBool::new(false),
            stages: stages.iter().map(stage).collect(),
            latencies: Latencies::new(),
            allocations,
            clock_ns: clock(),
        }))
    }

    /// Does a stage's work on an item; `stage` counts from 0 in [`Subject::STAGES`](super::Subject::STAGES).
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[inline]
    pub fn stage<I: Stamped, R>(
        &self,
        stage: usize,
        item: &mut I,
        work: impl FnOnce(&mut I) -> R,
    ) -> R {
        let traced = item.stamp().traced;
        let before = traced.then(|| self.before(stage, item.stamp()));
        let result = work(item);
        if let Some(before) = before {
            self.after(stage, &before, item.stamp());
        }
        result
    }

    #[cold]
    fn before(&self, stage: usize, stamp: &Stamp) -> Before {
        let counted = self.counted();
        let begun = Instant::now();
        let came = begun.saturating_duration_since(stamp.intended);
        let waited = (came.as_nanos() as u64).saturating_sub(stamp.left_ns);
        let seen = &self.0.stages[stage];
        seen.wait_ns.fetch_add(waited, Relaxed);
        // Of the first stage that is when it was sent; what others have here is of no use.
        seen.blocked_ns.fetch_add(stamp.left_ns, Relaxed);
        Before {
            begun,
            waited_ns: waited,
            counted,
        }
    }

    #[cold]
    fn after(&self, stage: usize, before: &Before, stamp: &mut Stamp) {
        let ended = Instant::now();
        let (counted, earlier) = (self.counted(), before.counted);
        let seen = &self.0.stages[stage];
        let busy = ended.duration_since(before.begun).as_nanos() as u64;
        let busy = busy.saturating_sub(self.0.clock_ns);
        seen.items.fetch_add(1, Relaxed);
        seen.busy_ns.fetch_add(busy, Relaxed);
        if let Some(latencies) = &seen.latencies {
            latencies.note(0, before.waited_ns + busy);
        }
        seen.allocations
            .fetch_add(counted.allocations - earlier.allocations, Relaxed);
        seen.bytes.fetch_add(counted.bytes - earlier.bytes, Relaxed);
        seen.kept.fetch_add(counted.live - earlier.live, Relaxed);
        stamp.left_ns = ended.saturating_duration_since(stamp.intended).as_nanos() as u64;
    }

    /// What was allocated until now, where it is counted.
    fn counted(&self) -> Counted {
        let counted = self.0.allocations.map(|counted| counted());
        counted.unwrap_or_default()
    }

    /// A part of an item's result, for whoever compares what two made of the same items. The order in which results are told plays
    /// no part.
    #[inline]
    pub fn result(&self, value: u64) {
        if self.0.digests {
            self.0.digest.fetch_add(Random(value).next_u64(), Relaxed);
        }
    }

    /// An item leaves.
    #[inline]
    pub fn done(&self, stamp: &Stamp) {
        if let Some(part) = stamp.part {
            let took = stamp.intended.elapsed().as_nanos() as u64;
            self.0.latencies.note(part, took);
        }
        self.0.done.fetch_add(1, Relaxed);
    }

    /// Is half of the trial over? A stall that is planted comes then.
    pub fn is_in_second_half(&self) -> bool {
        self.0.middle.load(Relaxed)
    }

    pub(super) fn begin_second_half(&self) {
        self.0.middle.store(true, Relaxed);
    }

    /// How many items are done.
    pub(super) fn finished(&self) -> u64 {
        self.0.done.load(Relaxed)
    }

    pub(super) fn digest(&self) -> u64 {
        self.0.digest.load(Relaxed)
    }

    pub(super) fn latencies(&self) -> &Latencies {
        &self.0.latencies
    }

    /// How the items that were traced came through, with so many items a second.
    pub(super) fn passages(&self, rate: f64, workers: usize) -> Vec<Passage> {
        let first = self
            .0
            .stages
            .first()
            .map_or(0, |seen| seen.items.load(Relaxed));
        let passage = |(at, seen): (usize, &SeenStage)| {
            let items = seen.items.load(Relaxed);
            let work_ns = seen.busy_ns.load(Relaxed);
            // Of what comes in only a part may come to a stage.
            let each = work_ns as f64 / first as f64 / 1e9;
            let at_once = seen.stage.at_once;
            Passage {
                stage: seen.stage.name.to_owned(),
                items,
                blocked_ns: match at {
                    0 => seen.blocked_ns.load(Relaxed),
                    _ => 0,
                },
                wait_ns: seen.wait_ns.load(Relaxed),
                work_ns,
                latencies: seen
                    .latencies
                    .as_ref()
                    .map_or_else(Vec::new, |latencies| counts(&latencies.all())),
                rate: rate * items as f64 / first as f64,
                utilisation: each * rate / at_once.map_or(workers as f64, f64::from),
                at_once,
            }
        };
        match first {
            0 => Vec::new(),
            _ => self.0.stages.iter().enumerate().map(passage).collect(),
        }
    }

    /// What the stages did with the items that were traced, so far.
    pub(super) fn shares(&self) -> Vec<StageShare> {
        let share = |seen: &SeenStage| StageShare {
            name: seen.stage.name.to_owned(),
            items: seen.items.load(Relaxed),
            busy_ns: seen.busy_ns.load(Relaxed),
            allocations: seen.allocations.load(Relaxed),
            bytes: seen.bytes.load(Relaxed),
            kept: seen.kept.load(Relaxed),
        };
        self.0.stages.iter().map(share).collect()
    }
}

/// What it costs to look at the clock twice, in nanoseconds: the least of many.
fn clock() -> u64 {
    let once = |_| {
        let begun = Instant::now();
        begun.elapsed()
    };
    let least = (0..100).map(once).min().unwrap_or(Duration::ZERO);
    least.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(Stamp);

    impl Stamped for Item {
        fn stamp(&mut self) -> &mut Stamp {
            &mut self.0
        }
    }

    #[test]
    fn only_items_that_are_traced_are_timed() {
        let probe = Probe::new(&[Stage::free("a"), Stage::at_once("b", 1)], None, false);
        for n in 0..10 {
            let mut item = Item(Stamp::new(Instant::now()));
            if n % 5 == 0 {
                item.0 = item.0.traced(Duration::ZERO);
            }
            assert_eq!(probe.stage(0, &mut item, |_| n), n);
            probe.stage(1, &mut item, |_| ());
            probe.done(&item.0);
        }
        let passages = probe.passages(1e6, 2);
        let seen: Vec<_> = passages
            .iter()
            .map(|passage| (passage.stage.as_str(), passage.items, passage.at_once))
            .collect();
        assert_eq!(seen, [("a", 2, None), ("b", 2, Some(1))]);
        for passage in &passages {
            let noted: u64 = passage.latencies.iter().map(|(_, count)| count).sum();
            assert_eq!((noted, passage.rate), (2, 1e6), "{passage:?}");
        }
        assert_eq!(probe.finished(), 10);
        assert!(probe.latencies().all().is_empty(), "none of them counts");
    }

    #[test]
    fn the_order_of_results_plays_no_part_and_their_values_do() {
        let digest = |values: &[u64]| {
            let probe = Probe::new(&[], None, true);
            values.iter().for_each(|value| probe.result(*value));
            probe.digest()
        };
        assert_eq!(digest(&[1, 2, 3]), digest(&[3, 1, 2]));
        assert_ne!(digest(&[1, 2, 3]), digest(&[1, 2, 4]));
        assert_ne!(digest(&[1, 2]), digest(&[1, 2, 2]));
        assert_ne!(digest(&[0, 0]), digest(&[0, 0, 0]));
    }
}
