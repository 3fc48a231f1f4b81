//! Threads that send into a full input: how they wait for room.
//!
//! **One waits awake.** A sender that finds no room takes the seat, if nobody has it, and looks for [`LOOKS`] times whether it is
//! served; all others sleep at once. A worker that takes items makes room every few microseconds while items are cheap, so
//! whoever has the seat goes on without a system call on either side; and one thread that looks takes one cpu, so the worker
//! finds another.
//!
//! **Serving.** Whoever has made room serves the sender in the seat (`AWAKE` to `SERVED`). Only if there is none, and if a
//! quarter of the queue is free, so that a wake-up is paid for many items, it wakes the sender that has slept longest. A
//! sender that was woken and has pushed wakes the next one while there is as much room.
//!
//! **Nobody is forgotten.** A sleeper enlists, passes a full fence, and looks for room once more before it parks; whoever makes
//! room passes a full fence before it looks for sleepers: one sees the other. The seat is left by a swap, which tells
//! whether the sender was served meanwhile; if so, it tries to push before it waits again. So room goes to a sleeper, or to a
//! sender that is awake and tries to push: either it pushes, and what it pushes is taken later and makes room again, or others
//! have taken the room, and with what they pushed it is the same. A sender that gives up has tried before. Sleepers also
//! look by themselves, after a millisecond at first and then less and less often, because one in the seat that is served
//! again and again could keep them waiting, and so could a served one that does not get a cpu.

use std::{collections::VecDeque, sync::PoisonError, time::Duration};

use crossbeam_utils::CachePadded;

use crate::sync::{
    AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, fence, spin_loop,
    thread::{self, Thread},
};

#[cfg(all(test, loom))]
mod models;

/// Times that the sender in the seat looks, a pause of the processor each: a few microseconds.
const LOOKS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 200 };
/// First sleep of a sender before it looks again by itself; each further one is twice as long.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Its longest.
const LOOK_SELDOM: Duration = Duration::from_millis(20);
/// Senders that can sleep before the list of them grows.
const SLEEPERS: usize = 16;

/// Nobody has the seat.
const FREE: u32 = 0;
/// A sender has it and looks.
const AWAKE: u32 = 1;
/// There is room for the sender that has it.
const SERVED: u32 = 2;

/// The senders that wait at one input.
pub(crate) struct Senders {
    seat: CachePadded<AtomicU32>,
    /// Senders that sleep, as many as are in the list.
    asleep: AtomicUsize,
    sleepers: Mutex<VecDeque<Thread>>,
}

/// What a sender knows while it waits for room for the same items.
#[derive(Debug)]
pub(crate) struct Wait {
    /// How long it sleeps next.
    sleep: Duration,
    /// Has it slept, so that others may sleep behind it?
    slept: bool,
}

impl Wait {
    pub(crate) fn new() -> Self {
        Self {
            sleep: LOOK_AGAIN,
            slept: false,
        }
    }
}

impl Senders {
    pub(crate) fn new() -> Self {
        Self {
            seat: CachePadded::new(AtomicU32::new(FREE)),
            asleep: AtomicUsize::new(0),
            sleepers: Mutex::new(VecDeque::with_capacity(SLEEPERS)),
        }
    }

    /// Waits until `may_go`, or for a while: the caller tries again in any case. Calls [`Self::leave`] when it waits no more.
    #[cold]
    pub(crate) fn wait(&self, wait: &mut Wait, most: Duration, may_go: impl Fn() -> bool) {
        if self.is_served(&may_go) {
            return;
        }
        self.sleep(most.min(wait.sleep), may_go);
        wait.sleep = (wait.sleep * 2).min(LOOK_SELDOM);
        wait.slept = true;
    }

    /// A sender waits no more, because it has pushed or because it gives up. While there is `plenty` of room, the next one wakes.
    #[inline]
    pub(crate) fn leave(&self, wait: &mut Wait, plenty: impl FnOnce() -> bool) {
        if wait.slept {
            *wait = Wait::new();
            self.wake_next(plenty);
        }
    }

    /// Somebody has made room, and there is `plenty` or not.
    #[inline]
    pub(crate) fn serve(&self, plenty: impl FnOnce() -> bool) {
        // Pairs with the fences in `is_served` and `sleep`.
        fence(Ordering::SeqCst);
        if !self.serve_seat() {
            self.wake_next(plenty);
        }
    }

    /// Nobody has to wait any more.
    pub(crate) fn serve_all(&self) {
        fence(Ordering::SeqCst);
        self.serve_seat();
        let mut sleepers = self.sleepers();
        self.asleep.store(0, Ordering::Relaxed);
        // The list keeps its memory, so that the next sender that sleeps allocates nothing.
        for sleeper in sleepers.drain(..) {
            sleeper.unpark();
        }
    }

    /// Takes the seat, if it is free, and looks for a while; true if there is room for this sender.
    fn is_served(&self, may_go: impl FnOnce() -> bool) -> bool {
        let free = self
            .seat
            .compare_exchange(FREE, AWAKE, Ordering::Relaxed, Ordering::Relaxed);
        if free.is_err() {
            return false;
        }
        // Pairs with the fence in `serve`: either that sees the seat taken, or this sees the room that it made.
        fence(Ordering::SeqCst);
        let found = may_go() || (0..LOOKS).any(|_| self.looks_served());
        // Acquire: what the one that serves has seen of the room, this sender sees too.
        self.seat.swap(FREE, Ordering::Acquire) == SERVED || found
    }

    fn looks_served(&self) -> bool {
        spin_loop();
        self.seat.load(Ordering::Relaxed) == SERVED
    }

    /// True if a sender looks, which will try to push after this.
    fn serve_seat(&self) -> bool {
        // A load first, so that nothing is written where nobody waits.
        self.seat.load(Ordering::Relaxed) == AWAKE
            && self
                .seat
                .compare_exchange(AWAKE, SERVED, Ordering::Release, Ordering::Relaxed)
                .is_ok()
    }

    fn sleep(&self, most: Duration, may_go: impl FnOnce() -> bool) {
        {
            let mut sleepers = self.sleepers();
            sleepers.push_back(thread::current());
            self.asleep.store(sleepers.len(), Ordering::Relaxed);
        }
        // Pairs with the fence in `serve`: either that sees this sleeper, or this sees the room that it made.
        fence(Ordering::SeqCst);
        if !may_go() {
            thread::park_timeout(most);
        }
        let me = thread::current().id();
        let mut sleepers = self.sleepers();
        sleepers.retain(|sleeper| sleeper.id() != me);
        self.asleep.store(sleepers.len(), Ordering::Relaxed);
    }

    fn wake_next(&self, plenty: impl FnOnce() -> bool) {
        if self.asleep.load(Ordering::Relaxed) == 0 || !plenty() {
            return;
        }
        let next = {
            let mut sleepers = self.sleepers();
            let next = sleepers.pop_front();
            self.asleep.store(sleepers.len(), Ordering::Relaxed);
            next
        };
        if let Some(sleeper) = next {
            sleeper.unpark();
        }
    }

    fn sleepers(&self) -> MutexGuard<'_, VecDeque<Thread>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
