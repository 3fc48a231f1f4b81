//! Calls that take too long. Code cannot be cancelled, so they are seen and told, and another worker may stand in for the one in
//! such a call (see [`crate::quarantine`]).
//!
//! Each worker writes down when its call began, before each call of a stage with `timeout`, in a line of its own. Whoever looks (workers
//! that ask whether they may call, who reads the metrics, and a thread) sees the calls that have run for too long: a breaker
//! counts them as failures while they run. When such a call returns, what it gives is taken, and it counts as a failure in the
//! breaker's window, too. A call that runs in the middle of another one of the same worker takes its place meanwhile.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Ordering};

/// Nothing runs.
const NONE: u64 = 0;

/// The calls of a stage with `timeout`.
#[derive(Debug)]
pub(crate) struct Timeout {
    /// The longest that a call may take, in nanoseconds.
    most: AtomicU64,
    /// When the call of each worker began, in nanoseconds of the run and one more.
    since: Box<[CachePadded<AtomicU64>]>,
    /// Calls that took longer.
    over: AtomicU64,
}

impl Timeout {
    pub(super) fn new(most: u64, workers: usize) -> Self {
        let nothing = |_| CachePadded::new(AtomicU64::new(NONE));
        Self {
            most: AtomicU64::new(most),
            since: (0..workers).map(nothing).collect(),
            over: AtomicU64::new(0),
        }
    }

    /// The longest that a call may take, in nanoseconds.
    pub(super) fn limit(&self) -> u64 {
        self.most()
    }

    /// A call was cancelled because it took longer.
    pub(super) fn cancelled(&self) {
        self.over.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls may take another time from now on.
    pub(super) fn retune(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// When the call of this worker began, in nanoseconds of the run and one more; 0 if it makes none.
    pub(super) fn since(&self, worker: usize) -> u64 {
        self.since[worker].load(Ordering::Relaxed)
    }

    /// A call of this worker begins. Returns what [`Self::ends`] wants.
    pub(super) fn begins(&self, worker: usize, now: u64) -> u64 {
        // Relaxed, all of it: it is a time, and nothing else depends on it.
        let since = &self.since[worker];
        let outer = since.load(Ordering::Relaxed);
        since.store(now + 1, Ordering::Relaxed);
        outer
    }

    /// It goes on with another call.
    pub(super) fn goes_on(&self, worker: usize, now: u64) {
        self.since[worker].store(now + 1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(super) fn ends(&self, worker: usize, outer: u64) {
        self.since[worker].store(outer, Ordering::Relaxed);
    }

    /// Did a call take too long, in a process that was awake for so long? If so, it is counted.
    pub(super) fn is_over(&self, began: u64, now: u64, awake: impl FnOnce() -> u64) -> bool {
        let took = now.saturating_sub(began);
        let over = took > self.most() && took <= awake();
        if over {
            self.over.fetch_add(1, Ordering::Relaxed);
        }
        over
    }

    /// The calls that have run for too long and run still, in a process that was not stopped since `awake`: whose each is, and when
    /// it began.
    pub(super) fn hanging(&self, now: u64, awake: u64) -> impl Iterator<Item = (usize, u64)> {
        let most = self.most();
        let all = self.since.iter().enumerate();
        let all = all.map(|(worker, since)| (worker, since.load(Ordering::Relaxed)));
        all.filter(move |(_, since)| {
            *since != NONE && now.saturating_sub(awake.max(since - 1)) > most
        })
    }

    /// Calls that took too long and returned.
    pub(super) fn over(&self) -> u64 {
        self.over.load(Ordering::Relaxed)
    }

    /// Calls that have run for too long and run still, and began while the process was awake.
    pub(super) fn running(&self, now: u64, awake: u64) -> u64 {
        let most = self.most();
        let late = |since: &CachePadded<AtomicU64>| {
            let since = since.load(Ordering::Relaxed);
            let took = now.saturating_sub(since.saturating_sub(1));
            since != NONE && took > most && took <= awake
        };
        self.since.iter().map(|since| u64::from(late(since))).sum()
    }
}
