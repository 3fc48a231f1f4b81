//! Threads on chosen cores, and a start at the same moment.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use core_affinity::CoreId;

/// Where two threads are told to run: the first two cores that this process may use.
fn core(index: usize) -> Option<CoreId> {
    core_affinity::get_core_ids()?.get(index).copied()
}

/// Moves the calling thread to the `index`th core that this process may use. Threads that it starts later inherit this, so
/// the harness's own thread never calls it.
pub(crate) fn pin(index: usize) {
    if let Some(core) = core(index) {
        core_affinity::set_for_current(core);
    }
}

/// Runs `work` on a thread of its own on that core.
pub(crate) fn on_core<T: Send>(index: usize, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let there = scope.spawn(|| {
            pin(index);
            work()
        });
        joined(there)
    })
}

/// Runs `first` on core 0 and `second` on core 1, lets them begin together, and gives the time until both have ended.
pub(crate) fn on_two_cores<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B, Duration) {
    let start = Barrier::new(3);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            pin(0);
            start.wait();
            first()
        });
        let second = scope.spawn(|| {
            pin(1);
            start.wait();
            second()
        });
        start.wait();
        let begun = Instant::now();
        let (first, second) = (joined(first), joined(second));
        (first, second, begun.elapsed())
    })
}

/// What a thread returned; its panic goes on here.
pub(crate) fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Waits without a system call for a moment, then lets others run: with two cores, the other side may need this one.
pub(crate) struct Backoff(u32);

impl Backoff {
    /// Looks before it lets others run.
    const SPINS: u32 = 128;

    pub(crate) fn new() -> Self {
        Self(0)
    }

    pub(crate) fn wait(&mut self) {
        if self.0 < Self::SPINS {
            self.0 += 1;
            std::hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}
