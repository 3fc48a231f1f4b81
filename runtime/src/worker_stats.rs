//! What a worker counts about itself: how much it ran, what it took from others, and how it spent its time.
//!
//! Only the worker writes, once a batch or when it has nothing to do; anybody may read.

use std::time::Duration;

use pipewright_spec::info::TopologyInfo;

use crate::sync::{AtomicU64, Ordering};

/// The counters of one worker.
#[derive(Debug)]
pub(crate) struct WorkerStats {
    pub(crate) executed: Cell,
    pub(crate) pulled: Cell,
    pub(crate) stolen: Cell,
    pub(crate) left: Cell,
    pub(crate) items_left: Cell,
    pub(crate) failed_scans: Cell,
    pub(crate) helped: Cell,
    pub(crate) parks: Cell,
    pub(crate) wakes: Cell,
    pub(crate) revived: Cell,
    pub(crate) idle_ns: Cell,
    /// Has it begun? Until then it had nothing to do.
    begun: Cell,
    /// Time without a free ticket, by the link where most tickets were.
    pub(crate) blocked_ns: Box<[Cell]>,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, n: u64) {
        // Relaxed: one writer, and no other memory is read by what it says.
        self.0
            .store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How one worker has spent its time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Batches that it carried on which had been left at a link.
    pub executed: u64,
    /// Times that it pulled from a source.
    pub pulled: u64,
    /// Batches of `executed` that it took from another worker.
    pub stolen: u64,
    /// Times that it left a part of the batch that it was running to others.
    pub left: u64,
    /// Times that it looked at all other workers and found nothing.
    pub failed_scans: u64,
    /// Jobs that it took when another worker's stage had forked them with `join` and it had nothing else to do.
    pub helped: u64,
    /// Times that it went to sleep.
    pub parks: u64,
    /// Times that another thread woke it.
    pub wakes: u64,
    /// Times that it panicked between two batches, outside of all functions of users, and went on. More than 0 is a bug of
    /// pipewright, and among the warnings.
    pub revived: u64,
    /// Time in which it worked.
    pub busy: Duration,
    /// Time in which there was nothing to do.
    pub idle: Duration,
    /// Time in which it could not take more in, because too many batches were on their way.
    pub blocked: Duration,
    /// Where those batches were: the stages that were waited for, the longest first.
    pub blocked_on: Vec<(&'static str, Duration)>,
}

impl WorkerStats {
    pub(crate) fn new(info: &TopologyInfo) -> Self {
        Self {
            executed: Cell::default(),
            pulled: Cell::default(),
            stolen: Cell::default(),
            left: Cell::default(),
            items_left: Cell::default(),
            failed_scans: Cell::default(),
            helped: Cell::default(),
            parks: Cell::default(),
            wakes: Cell::default(),
            revived: Cell::default(),
            idle_ns: Cell::default(),
            begun: Cell::default(),
            blocked_ns: info.links.iter().map(|_| Cell::default()).collect(),
        }
    }

    /// The worker begins at this time of the run, in nanoseconds.
    pub(crate) fn begin(&self, now: u64) {
        self.idle_ns.add(now);
        self.begun.add(1);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.get() > 0
    }

    /// At a run's age of `age`.
    pub(crate) fn read(&self, info: &TopologyInfo, age: Duration) -> WorkerMetrics {
        let time = |cell: &Cell| Duration::from_nanos(cell.get());
        let named = |(link, cell): (usize, &Cell)| {
            (
                info.stages[usize::from(info.links[link].to)].name,
                time(cell),
            )
        };
        let mut blocked_on: Vec<_> = self.blocked_ns.iter().enumerate().map(named).collect();
        blocked_on.retain(|(_, waited)| !waited.is_zero());
        blocked_on.sort_by_key(|(_, waited)| std::cmp::Reverse(*waited));
        let blocked = blocked_on.iter().map(|(_, waited)| *waited).sum();
        let idle = if self.begun.get() == 0 {
            age
        } else {
            time(&self.idle_ns)
        };
        WorkerMetrics {
            executed: self.executed.get(),
            pulled: self.pulled.get(),
            stolen: self.stolen.get(),
            left: self.left.get(),
            failed_scans: self.failed_scans.get(),
            helped: self.helped.get(),
            parks: self.parks.get(),
            wakes: self.wakes.get(),
            revived: self.revived.get(),
            busy: age.saturating_sub(idle).saturating_sub(blocked),
            idle,
            blocked,
            blocked_on,
        }
    }
}
