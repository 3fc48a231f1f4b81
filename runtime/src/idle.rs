//! How workers sleep and are woken, without a lock and without losing a wake-up.
//!
//! Each worker has a bit in `parked`. A **sleeper** sets its bit, passes a full fence, looks once more for anything to
//! do, and only then parks its thread. Whoever makes something **visible** (a batch in a queue, an item in an input, a
//! free credit, a closed source) does so first, passes a full fence, and then looks at `parked`. Of two fences one comes
//! first: either the sleeper sees the work or the publisher sees the bit. So a visible task and a sleeping pool never
//! stay together.
//!
//! To wake, a publisher picks the lowest set bit (which keeps few workers hot) and clears it; only the one that cleared
//! it unparks the thread, so two publishers never wake the same worker for two tasks. A sleeper that wakes by itself
//! (timeout, or spuriously) clears its own bit; if the bit is gone already, a token is waiting in its thread and the
//! next `park` returns at once, which costs one extra look and nothing else.

#[cfg(not(loom))]
use std::thread::Thread;
use std::{sync::OnceLock, time::Duration};

use crossbeam_utils::CachePadded;
#[cfg(loom)]
use loom::thread::Thread;

use crate::sync::{AtomicU64, Ordering, fence};

/// Most workers of one pipeline: the width of the sleepers' word.
pub(crate) const MAX_WORKERS: usize = 64;

/// The sleepers of one pipeline.
#[derive(Debug)]
pub(crate) struct Idle {
    parked: CachePadded<AtomicU64>,
    threads: Box<[OnceLock<Thread>]>,
}

impl Idle {
    /// For at most [`MAX_WORKERS`] workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            parked: CachePadded::new(AtomicU64::new(0)),
            threads: (0..workers).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Worker `id` runs on this thread. Called once, before it parks.
    pub(crate) fn enlist(&self, id: usize, thread: Thread) {
        // A second call would name the same thread; the first stays.
        let _ = self.threads[id].set(thread);
    }

    /// Sleeps until woken or `timeout` is over, unless `visible` finds something to do.
    pub(crate) fn park(
        &self,
        id: usize,
        timeout: Option<Duration>,
        visible: impl FnOnce() -> bool,
    ) {
        let bit = 1u64 << id;
        self.parked.fetch_or(bit, Ordering::Relaxed);
        // Pairs with the fence in `wake_one`: see the top of the file.
        fence(Ordering::SeqCst);
        if !visible() {
            park_thread(timeout);
        }
        self.parked.fetch_and(!bit, Ordering::Relaxed);
    }

    /// Wakes one sleeper, if there is one. Called after the work was made visible.
    pub(crate) fn wake_one(&self) {
        fence(Ordering::SeqCst);
        let mut parked = self.parked.load(Ordering::Relaxed);
        while parked != 0 {
            let bit = parked & parked.wrapping_neg();
            // Whoever clears the bit owns the wake-up.
            let before = self.parked.fetch_and(!bit, Ordering::Relaxed);
            if before & bit != 0 {
                return self.unpark(bit.trailing_zeros() as usize);
            }
            parked = before & !bit;
        }
    }

    /// Wakes every sleeper.
    pub(crate) fn wake_all(&self) {
        fence(Ordering::SeqCst);
        let mut parked = self.parked.swap(0, Ordering::Relaxed);
        while parked != 0 {
            self.unpark(parked.trailing_zeros() as usize);
            parked &= parked - 1;
        }
    }

    fn unpark(&self, id: usize) {
        if let Some(thread) = self.threads[id].get() {
            thread.unpark();
        }
    }
}

#[cfg(not(loom))]
fn park_thread(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => std::thread::park_timeout(timeout),
        None => std::thread::park(),
    }
}

/// loom knows no time; its models sleep until they are woken.
#[cfg(loom)]
fn park_thread(_: Option<Duration>) {
    loom::thread::park();
}
