//! How workers sleep and are woken, without a lock and without losing a wake-up.
//!
//! Each worker has a bit in `parked`. A **sleeper** sets its bit, passes a full fence, looks once more for anything to
//! do, and only then parks its thread. Whoever makes something **visible** (a batch in a queue, an item in an input, a
//! free credit, a closed source) does so first, passes a full fence, and then looks at `parked`. Of two fences one comes
//! first: either the sleeper sees the work or the publisher sees the bit. So a visible task and a sleeping pool never
//! stay together.
//!
//! A worker that has run dry **searches** for a while before it sleeps, and only one does at a time. While it does, nobody
//! is woken: it will see what is made visible. When it stops it first says so, passes a full fence, and looks once more;
//! if it finds work that it does not take itself, it wakes another worker. So of a publisher and a searcher, too, one sees
//! the other. A worker that has the whole pipeline to itself counts as searching all the time, because it looks again after
//! each batch and no other could take what it leaves.
//!
//! To wake, a publisher picks the lowest set bit (which keeps few workers hot) and clears it; only the one that cleared
//! it unparks the thread, so two publishers never wake the same worker for two tasks. A sleeper that wakes by itself
//! (timeout, or spuriously) clears its own bit; if the bit is gone already, a token is waiting in its thread and the
//! next `park` returns at once, which costs one extra look and nothing else.

use std::{sync::OnceLock, time::Duration};

use crossbeam_utils::CachePadded;

use crate::sync::{
    AtomicBool, AtomicU64, Ordering, fence,
    thread::{self, Thread},
};

/// Most workers of one pipeline: the width of the sleepers' word.
pub(crate) const MAX_WORKERS: usize = 64;

/// The sleepers of one pipeline.
#[derive(Debug)]
pub(crate) struct Idle {
    parked: CachePadded<AtomicU64>,
    /// Is a worker looking for work?
    searching: AtomicBool,
    threads: Box<[OnceLock<Thread>]>,
}

impl Idle {
    /// For at most [`MAX_WORKERS`] workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            parked: CachePadded::new(AtomicU64::new(0)),
            searching: AtomicBool::new(false),
            threads: (0..workers).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Worker `id` runs on this thread. Called once, before it parks.
    pub(crate) fn enlist(&self, id: usize, thread: Thread) {
        // A second call would name the same thread; the first stays.
        let _ = self.threads[id].set(thread);
    }

    /// Sleeps until woken or `timeout` is over, unless `visible` finds something to do. True if another thread woke it.
    pub(crate) fn park(
        &self,
        id: usize,
        timeout: Option<Duration>,
        visible: impl FnOnce() -> bool,
    ) -> bool {
        let bit = 1u64 << id;
        self.parked.fetch_or(bit, Ordering::Relaxed);
        // Pairs with the fence in `wake_one`: see the top of the file.
        fence(Ordering::SeqCst);
        if !visible() {
            park_thread(timeout);
        }
        self.parked.fetch_and(!bit, Ordering::Relaxed) & bit == 0
    }

    /// Does a worker sleep, or look for work? It may find something or be woken meanwhile.
    pub(crate) fn has_idle(&self) -> bool {
        self.parked.load(Ordering::Relaxed) != 0 || self.searching.load(Ordering::Relaxed)
    }

    /// This worker looks for work from now on, and nobody else is woken for it. False if another one does already.
    pub(crate) fn start_search(&self) -> bool {
        // A failed exchange writes nothing. Relaxed: the fences below order it with the work.
        self.searching
            .compare_exchange(false, true, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// It looks no more. From now on others are woken again; what was made visible before, the caller looks for once more:
    /// it takes it, or passes it on, or finds it before it parks.
    pub(crate) fn stop_search(&self) {
        self.searching.store(false, Ordering::Relaxed);
        // Pairs with the fence in `wake_one`: a publisher that saw a searcher is seen by what follows.
        fence(Ordering::SeqCst);
    }

    /// Wakes one sleeper, if there is one and nobody is looking for work. Called after the work was made visible.
    pub(crate) fn wake_one(&self) {
        fence(Ordering::SeqCst);
        if self.searching.load(Ordering::Relaxed) {
            return;
        }
        self.wake_any(u64::MAX);
    }

    /// Wakes one sleeper of `among`, a set of bits, whoever looks for work. Called after what they sleep for was made visible.
    /// False if none of them sleeps.
    pub(crate) fn wake_of(&self, among: u64) -> bool {
        fence(Ordering::SeqCst);
        self.wake_any(among)
    }

    /// Does anyone sleep? A hint: who has made something visible calls [`Self::wake_one`] sooner or later.
    #[inline(always)]
    pub(crate) fn has_sleepers(&self) -> bool {
        self.parked.load(Ordering::Relaxed) != 0
    }

    fn wake_any(&self, among: u64) -> bool {
        let mut parked = self.parked.load(Ordering::Relaxed) & among;
        while parked != 0 {
            let bit = parked & parked.wrapping_neg();
            // Whoever clears the bit owns the wake-up.
            let before = self.parked.fetch_and(!bit, Ordering::Relaxed);
            if before & bit != 0 {
                self.unpark(bit.trailing_zeros() as usize);
                return true;
            }
            parked = before & !bit & among;
        }
        false
    }

    /// Wakes worker `id` if it sleeps. Called after work that is only for it was made visible; nobody searches for that.
    pub(crate) fn wake(&self, id: usize) {
        let bit = 1u64 << id;
        fence(Ordering::SeqCst);
        // A load first: while it is awake, those who leave work for it write nothing.
        let sleeps = self.parked.load(Ordering::Relaxed) & bit != 0;
        if sleeps && self.parked.fetch_and(!bit, Ordering::Relaxed) & bit != 0 {
            self.unpark(id);
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

fn park_thread(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => thread::park_timeout(timeout),
        None => thread::park(),
    }
}
