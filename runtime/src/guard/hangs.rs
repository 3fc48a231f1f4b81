//! Calls that hang: they have run for longer than their stage allows, and run still.
//!
//! **How long that is.** A stage with `timeout` says it, for each call. One without, whose breaker goes by slow calls, allows
//! [`SLOW_TIMES`] times its `slow`, on average of a slice, as the breaker counts it: there only slices are timed. Stages that say neither are not looked after.
//!
//! **Who looks.** The thread that looks after guards (see `watch.rs`) compares the calls of two looks. One that hangs is counted at
//! the first, and a worker is woken for what the one in it may have left. If it hangs at the second still, another worker stands
//! in for it (see [`crate::quarantine`]): one that has returned meanwhile had only been put aside by the system. What was seen to hang
//! is told until it returns. A pinned thread that hangs is counted and told, and nobody stands in for it: its core, its states and its
//! place in the order are its own.
//!
//! If the process was stopped, or its machine was (see [`crate::looks`]), the time until then is not a call's. One that was seen to
//! hang before is too late all the same when it returns.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::{Guard, Guards};
use crate::{
    breaker::Breaker,
    quarantine::Starts,
    shared::Shared,
    sync::{AtomicU64, Ordering},
};

/// A call of a stage without `timeout` hangs after so many times what makes it slow.
pub(crate) const SLOW_TIMES: u64 = 10;

/// Looks at all calls. `starts` starts those who stand in.
pub(super) fn look(shared: &Shared, starts: &Starts<'_>) {
    let now = shared.now();
    // Pinned threads are counted behind those of the pool.
    let seats = shared.settings.seats();
    for (stage, guard) in shared.guards.all() {
        for (id, since) in guard.hanging(now) {
            // Relaxed: it stands for itself, and only this thread writes.
            if guard.hung[id].swap(since, Ordering::Relaxed) != since {
                guard.tallies.hung.fetch_add(1, Ordering::Relaxed);
                shared.idle.wake_one();
            } else if id < seats
                && !shared.is_stopping()
                && shared.stand_in(id, stage as u16, starts)
            {
                guard.tallies.stood_in.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    // One that sleeps has returned, and gives way when it wakes.
    shared.seats.each_marked(|id| shared.idle.wake(id));
}

impl Guards {
    fn all(&self) -> impl Iterator<Item = (usize, &Guard)> {
        let guards = self.all.iter().enumerate();
        guards.filter_map(|(stage, guard)| Some((stage, guard.as_ref()?)))
    }
}

impl Guard {
    /// Is it seen how long calls run?
    pub(super) fn watches_calls(&self) -> bool {
        self.timeout.is_some() || self.slices.is_some()
    }

    /// A worker begins so many calls at the time `now`. Returns what [`Self::ends`] wants.
    pub(super) fn begins(&self, worker: usize, now: u64, calls: usize) -> Outer {
        match (&self.timeout, &self.slices) {
            (Some(timeout), _) => (timeout.begins(worker, now), 0),
            (None, Some(slices)) => slices.begins(worker, now, calls),
            (None, None) => Outer::default(),
        }
    }

    /// They have ended.
    pub(super) fn ends(&self, worker: usize, outer: Outer) {
        match (&self.timeout, &self.slices) {
            (Some(timeout), _) => timeout.ends(worker, outer.0),
            (None, Some(slices)) => slices.ends(worker, outer),
            (None, None) => {}
        }
    }

    /// The calls that hang at the time `now`: the seat of each, and when it began.
    fn hanging(&self, now: u64) -> impl Iterator<Item = (usize, u64)> {
        let awake = self.looks.awake_since(now);
        let timeout = self.timeout.iter();
        let slow = self.breaker().map_or(u64::MAX, Breaker::slow);
        let slices = self.slices.iter();
        timeout
            .flat_map(move |timeout| timeout.hanging(now, awake))
            .chain(slices.flat_map(move |slices| slices.hanging(now, awake, slow)))
    }

    /// Was the call of this worker that began then counted as one that hangs?
    pub(super) fn was_seen_to_hang(&self, worker: usize, began: u64) -> bool {
        self.hung[worker].load(Ordering::Relaxed) == began + 1
    }

    /// When the call that a worker makes began, as it is written down; 0 if it makes none.
    fn since(&self, worker: usize) -> u64 {
        match (&self.timeout, &self.slices) {
            (Some(timeout), _) => timeout.since(worker),
            (None, Some(slices)) => slices.0[worker].since.load(Ordering::Acquire),
            (None, None) => 0,
        }
    }

    /// How many calls have run for longer than they may at the time `now`, and the longest of them for how long.
    pub(super) fn overdue(&self, now: u64) -> (u64, Duration) {
        let hung = self.hung.iter().enumerate();
        let hung = hung.map(|(id, since)| (id, since.load(Ordering::Relaxed)));
        let still = hung.filter(|(id, since)| *since != 0 && self.since(*id) == *since);
        let further = self
            .hanging(now)
            .filter(|(id, since)| self.hung[*id].load(Ordering::Relaxed) != *since);
        let ages = still
            .chain(further)
            .map(|(_, since)| now.saturating_sub(since - 1));
        let (calls, longest) = ages.fold((0, 0), |(calls, longest), age| {
            (calls + 1, age.max(longest))
        });
        (calls, Duration::from_nanos(longest))
    }
}

/// The slices of calls of a stage that are being made, by worker.
#[derive(Debug)]
pub(super) struct Slices(Box<[CachePadded<Slice>]>);

#[derive(Debug, Default)]
struct Slice {
    /// When it began, in nanoseconds of the run and one more; 0 if there is none.
    since: AtomicU64,
    calls: AtomicU64,
}

/// A slice that another one takes the place of.
pub(super) type Outer = (u64, u64);

impl Slices {
    pub(super) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| CachePadded::default()).collect())
    }

    /// A slice of so many calls begins. Returns what [`Self::ends`] wants.
    pub(super) fn begins(&self, worker: usize, now: u64, calls: usize) -> Outer {
        let slice = &self.0[worker];
        // Relaxed: only this thread writes.
        let outer = (
            slice.since.load(Ordering::Relaxed),
            slice.calls.load(Ordering::Relaxed),
        );
        slice.write((now + 1, calls as u64));
        outer
    }

    pub(super) fn ends(&self, worker: usize, outer: Outer) {
        self.0[worker].write(outer);
    }

    /// Those that hang, where a call is slow after `slow` nanoseconds: whose each is, and when it began.
    fn hanging(&self, now: u64, awake: u64, slow: u64) -> impl Iterator<Item = (usize, u64)> {
        let slices = self.0.iter().enumerate();
        slices.filter_map(move |(worker, slice)| {
            // Acquire: pairs with the Release of `write`.
            let since = slice.since.load(Ordering::Acquire);
            let calls = slice.calls.load(Ordering::Relaxed);
            let most = slow.saturating_mul(SLOW_TIMES).saturating_mul(calls);
            let hangs = since != 0 && now.saturating_sub(awake.max(since - 1)) > most;
            hangs.then_some((worker, since))
        })
    }
}

impl Slice {
    fn write(&self, (since, calls): Outer) {
        self.calls.store(calls, Ordering::Relaxed);
        // Release: who reads the time reads the number that belongs to it, or one of a later slice. That could only count as one
        // that hangs for once, and who stands in is decided by two looks.
        self.since.store(since, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: u64 = 100;

    fn hanging(slices: &Slices, now: u64, awake: u64) -> Vec<(usize, u64)> {
        slices.hanging(now, awake, SLOW).collect()
    }

    #[test]
    fn a_slice_hangs_when_its_calls_take_ten_times_what_is_slow_and_no_other_one_does() {
        let slices = Slices::new(2);
        let none = slices.begins(1, 1_000, 3);
        let most = 3 * SLOW_TIMES * SLOW;
        assert_eq!(hanging(&slices, 1_000 + most, 0), []);
        assert_eq!(hanging(&slices, 1_001 + most, 0), [(1, 1_001)]);
        // The process was stopped meanwhile.
        assert_eq!(hanging(&slices, 1_001 + most, 1_001), []);
        // One in the middle of it takes its place.
        let outer = slices.begins(1, 5_000, 1);
        assert_eq!(hanging(&slices, 5_000, 0), []);
        slices.ends(1, outer);
        assert_eq!(hanging(&slices, 5_000, 0), [(1, 1_001)]);
        slices.ends(1, none);
        assert_eq!(hanging(&slices, u64::MAX, 0), []);
    }
}
