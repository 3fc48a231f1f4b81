//! The flight of a batch: how a future that is woken finds a worker that polls it.
//!
//! While futures of a batch are under way, the batch with all that it has is a *flight*. One worker at a time runs it: it polls the
//! futures that were woken, begins others, and lands what has ended. When nothing is left to do before somebody wakes
//! a future, it parks the batch here and goes on to other work.
//!
//! | state | who | what |
//! |---|---|---|
//! | idle | | no batch |
//! | running | one worker, or the run queue that has the batch | may poll, and everything else |
//! | running, rung | the same | somebody has woken a future since |
//! | parked | nobody | the batch lies here |
//! | parked, rung | whoever rang first | takes the batch and leaves it in the run queue |
//!
//! **Waking** a future is two steps: its place is marked, then the flight is rung. Of several that ring a parked flight the first
//! gets the batch, and the run goes on with it. A flight that runs is not interrupted: the ring is noted.
//!
//! **Why no wake-up is lost.** All changes of the state are read-modify-writes of one word, so they have an order. A ring before
//! the worker parks makes that fail, and the worker leaves its batch in the run queue instead; a ring behind it gets the batch.
//! Either way the flight runs again, and looks at the marks behind the ring: the mark is made before the ring, and each step
//! from there to the next run acquires what the one before it released.
//!
//! **Why no future is polled twice at once.** Only who has the batch polls, and there is one batch: it is moved here by the
//! one that parks it, and out of here by the one that rings first.
//!
//! **Why no batch is missed at the end.** Who gets a batch by ringing may be any thread, and no run waits for threads that are not
//! its own. So the batch leaves its place for the run queue under the lock of its place: who closes the flight at the end of the run,
//! behind the last worker, finds it here, or waits until it is in the queue, which is emptied last. The lock is held for one push, never
//! while users' code runs.
//!
//! A waker may live longer than its future, and be used when its place has another one: then that is polled for no reason,
//! which futures allow.

use std::{fmt, sync::PoisonError};

use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};

const IDLE: u32 = 0;
const RUNNING: u32 = 1;
const PARKED: u32 = 2;
/// Somebody has rung since; beside one of the others.
const RUNG: u32 = 4;

/// No alarm is set.
const NEVER: u64 = u64::MAX;

/// A flight, of a batch that is a `B`; see the top of the file.
pub(crate) struct Flight<B> {
    state: AtomicU32,
    /// The places whose futures were woken, a bit each.
    woken: Box<[AtomicU64]>,
    /// The batch, while it is parked. The state says who may touch it, so that nobody waits for the lock but the end of a run.
    batch: Mutex<Option<B>>,
    /// When it is rung for the sake of time, in nanoseconds of the run.
    alarm: AtomicU64,
}

impl<B> Flight<B> {
    /// Idle, with room for the marks of so many futures.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            state: AtomicU32::new(IDLE),
            woken: (0..places.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            batch: Mutex::new(None),
            alarm: AtomicU64::new(NEVER),
        }
    }

    /// A batch begins; the caller runs it.
    pub(crate) fn begin(&self) {
        // What was rung before was for another batch.
        self.state.swap(RUNNING, Ordering::AcqRel);
    }

    /// The batch is done. Called by who runs it.
    pub(crate) fn end(&self) {
        self.state.swap(IDLE, Ordering::AcqRel);
    }

    /// Wakes the future at `place`. A batch that was parked goes to `leave`, which hands it to a worker.
    pub(crate) fn wake(&self, place: usize, leave: impl FnOnce(B)) {
        if let Some(word) = self.woken.get(place / 64) {
            // Release: who takes the mark sees what the future was woken for.
            word.fetch_or(1 << (place % 64), Ordering::Release);
        }
        self.ring(leave);
    }

    /// Lets the flight run again. A batch that was parked goes to `leave`, which hands it to a worker, under the lock of its place.
    pub(crate) fn ring(&self, leave: impl FnOnce(B)) {
        // Acquire: who takes the batch sees it. Release: who runs next sees the marks that were made before.
        if self.state.fetch_or(RUNG, Ordering::AcqRel) != PARKED {
            return;
        }
        let mut place = self.batch();
        // It is not here if the flight was closed since.
        let Some(batch) = place.take() else {
            return;
        };
        // Acquire: who was not the first rang in between, and what it has marked is passed on.
        self.state.swap(RUNNING, Ordering::AcqRel);
        leave(batch);
    }

    /// The end of the run: nobody runs flights any more. The batch, if it still lies here; one that was rung before is in the run queue.
    pub(crate) fn close(&self) -> Option<B> {
        self.batch().take()
    }

    /// Takes the marks of the futures that were woken, word by word. Called by who runs the batch.
    pub(crate) fn take_woken(&self, into: &mut Vec<u64>) {
        into.clear();
        // Looked at first: most words are empty, and taking one announces it to all cpus.
        let take = |word: &AtomicU64| match word.load(Ordering::Relaxed) {
            0 => 0,
            // Acquire: pairs with the Release of `wake`.
            _ => word.swap(0, Ordering::Acquire),
        };
        into.extend(self.woken.iter().map(take));
    }

    /// Leaves the batch here until somebody rings. `Some`: somebody has already, and the caller leaves it to a worker.
    pub(crate) fn park(&self, batch: B) -> Option<B> {
        *self.batch() = Some(batch);
        // Release: who rings first takes the batch. Acquire: what was marked before a ring is seen by who runs next.
        let parked =
            self.state
                .compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire);
        if parked.is_ok() {
            return None;
        }
        let batch = self.batch().take();
        self.state.swap(RUNNING, Ordering::AcqRel);
        batch
    }

    /// It is to be rung at the time `due`; true if no alarm is set that comes as early. Called by who runs the batch, before it parks.
    pub(crate) fn set_alarm(&self, due: u64) -> bool {
        let earlier = due < self.alarm.load(Ordering::Relaxed);
        if earlier {
            self.alarm.store(due, Ordering::Relaxed);
        }
        earlier
    }

    /// The alarm of the time `due` goes off, and rings. It is off before the flight runs, which sets the next one.
    pub(crate) fn alarm(&self, due: u64, leave: impl FnOnce(B)) {
        // If it fails, an earlier one was set, and goes off by itself. Relaxed: the ring orders it.
        let _ = self
            .alarm
            .compare_exchange(due, NEVER, Ordering::Relaxed, Ordering::Relaxed);
        self.ring(leave);
    }

    fn batch(&self) -> MutexGuard<'_, Option<B>> {
        // Only moves happen under the lock.
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> fmt::Debug for Flight<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.load(Ordering::Relaxed);
        f.debug_struct("Flight")
            .field("running", &(state & RUNNING != 0))
            .field("parked", &(state & PARKED != 0))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod models;
