//! Batches that took longer than their budget: how many, and which of them are told.
//!
//! A stage that takes many items has a budget for each batch, from its first item until the stage has returned. The clock is
//! read once a batch, when the stage has returned; the time of the first item is that of the boundary before it, so that a
//! batch can look older than it is by as long as a worker works between two boundaries (`quantum`).
//!
//! Of a stage that is always late, at most one batch a second is told, with how many were late since the one before.

use std::{collections::VecDeque, fmt, sync::PoisonError, time::Duration};

use crate::{
    drive::Watch,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
};

/// A stage tells of no more than one batch in so long: 1 s.
const PACE_NS: u64 = 1_000_000_000;
/// Batches that are told and kept: the last ones.
const KEPT: usize = 64;

/// A batch that took longer than its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LateBatch {
    /// When its stage returned, since the run began.
    pub at: Duration,
    /// The stage.
    pub stage: &'static str,
    /// Items that the stage was called with.
    pub items: usize,
    /// From its first item until the stage had returned.
    pub took: Duration,
    /// How long it might take.
    pub budget: Duration,
    /// Batches of this stage that took too long since the last one that was told, this one included.
    pub late: u64,
}

impl fmt::Display for LateBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            stage,
            items,
            took,
            budget,
            late,
        } = self;
        write!(
            f,
            "at {:.3} s a batch of {items} items took {took:?} in `{stage}`, of {budget:?}; {late} were late",
            at.as_secs_f64()
        )
    }
}

/// The late batches of a run.
#[derive(Debug)]
pub(crate) struct Late {
    stages: Box<[OfStage]>,
    log: Mutex<VecDeque<LateBatch>>,
}

#[derive(Debug)]
struct OfStage {
    late: AtomicU64,
    /// Those that were told.
    told: AtomicU64,
    /// The longest, in nanoseconds.
    worst: AtomicU64,
    /// When the next one may be told, in nanoseconds of the run.
    next: AtomicU64,
}

impl Late {
    pub(crate) fn new(stages: usize) -> Self {
        let stage = |_| OfStage {
            late: AtomicU64::new(0),
            told: AtomicU64::new(0),
            worst: AtomicU64::new(0),
            next: AtomicU64::new(0),
        };
        Self {
            stages: (0..stages).map(stage).collect(),
            log: Mutex::default(),
        }
    }

    /// A batch of `stage`, number `id`, that ended at `now` took `took` nanoseconds of `budget`.
    #[cold]
    pub(crate) fn add(
        &self,
        (id, stage): (usize, &'static str),
        now: u64,
        items: usize,
        took: u64,
        budget: u64,
    ) {
        let of = &self.stages[id];
        // Relaxed, all of it: they are counts, and the log has a lock.
        of.late.fetch_add(1, Ordering::Relaxed);
        of.worst.fetch_max(took, Ordering::Relaxed);
        let next = of.next.load(Ordering::Relaxed);
        let mine = now >= next
            && of
                .next
                .compare_exchange(next, now + PACE_NS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine {
            return;
        }
        let late = of.late.load(Ordering::Relaxed);
        let before = of.told.swap(late, Ordering::Relaxed);
        let mut log = self.log();
        log.push_back(LateBatch {
            at: Duration::from_nanos(now),
            stage,
            items,
            took: Duration::from_nanos(took),
            budget: Duration::from_nanos(budget),
            late: late.saturating_sub(before),
        });
        if log.len() > KEPT {
            log.pop_front();
        }
    }

    /// Batches of a stage that took too long, and how long the longest took.
    pub(crate) fn of(&self, stage: usize) -> (u64, Duration) {
        let of = &self.stages[stage];
        let worst = Duration::from_nanos(of.worst.load(Ordering::Relaxed));
        (of.late.load(Ordering::Relaxed), worst)
    }

    /// Those that are told, the oldest that is kept first.
    pub(crate) fn told(&self) -> Vec<LateBatch> {
        self.log().iter().cloned().collect()
    }

    fn log(&self) -> MutexGuard<'_, VecDeque<LateBatch>> {
        // Only moves happen under the lock.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch of `items` items, whose first one came at `since`, has left its stage.
#[inline]
pub(crate) fn look(w: Watch<'_>, stage: u16, items: usize, since: u64) {
    let now = w.shared.now();
    let (took, budget) = (now.saturating_sub(since), w.shared.live.budget(stage));
    if took > budget {
        let name = w.shared.stage_name(stage);
        w.shared
            .late
            .add((stage.into(), name), now, items, took, budget);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_late_batch_is_counted_and_one_a_second_is_told() {
        let late = Late::new(1);
        let ms = 1_000_000;
        for n in 0..3_000 {
            late.add((0, "a"), n * ms, 64, (n + 1) * ms, ms / 2);
        }
        assert_eq!(late.of(0), (3_000, Duration::from_secs(3)));
        let told: Vec<_> = late
            .told()
            .iter()
            .map(|one| (one.at.as_secs(), one.late))
            .collect();
        assert_eq!(told, [(0, 1), (1, 1_000), (2, 1_000)]);
        assert_eq!(
            late.told()[1].to_string(),
            "at 1.000 s a batch of 64 items took 1.001s in `a`, of 500µs; 1000 were late"
        );
    }

    #[test]
    fn the_last_ones_are_kept() {
        let late = Late::new(1);
        for n in 0..100 {
            late.add((0, "a"), n * PACE_NS, 1, 1, 0);
        }
        assert_eq!(late.told().len(), KEPT);
        assert_eq!(late.told()[0].at.as_secs(), 36);
    }
}
