//! Where an answer lies between the worker that gives it and the caller that waits for it.
//!
//! **Two ends.** A slot has an [`Asker`], the caller's, and an [`Answerer`], which travels with the request. Neither can be
//! cloned, and each is used up once: the answerer answers, the asker takes the answer or goes away. So nobody ever has an
//! end of an earlier call, and a slot needs no generation. Whoever is done second has the slot alone and puts it back, to be
//! used for the next call. All slots are made in this way: a steady run of calls allocates none.
//!
//! **States.**
//!
//! | state | who may do what |
//! |---|---|
//! | `ASKED` | the asker may write itself into `waiter` (and then goes to `WAITING`); the answerer may write the answer |
//! | `WAITING` | as before, but `waiter` is left alone: to change it, the asker goes back to `ASKED` first |
//! | `DONE` | the answer is the asker's. Where it was `WAITING` before, the answerer takes the waiter out and goes to `SERVED` |
//! | `SERVED` | the answerer has left, and wakes the waiter that it took |
//! | `GONE` | the asker has left |
//!
//! **Answering** writes the answer, then swaps `DONE` in. From `ASKED`, that was the answerer's last access. From `WAITING`, it
//! takes the waiter and swaps `SERVED` in; if the asker has left in between, the slot is the answerer's. It wakes afterwards,
//! with what it took, so whatever a waker does, it does not do it to the slot. From `GONE`, the slot is the answerer's, and the
//! answer is late: it is dropped and counted.
//!
//! **Leaving.** The asker takes the answer in `DONE` or `SERVED`. If it has never waited, or if it sees `SERVED`, the slot is its
//! own; else the answerer may still be at the waiter, and a swap of `GONE` tells who of them is second. Without an answer, the
//! same swap cancels: the answerer will see it.
//!
//! **Nobody sleeps on.** An asker writes its waiter, then goes from `ASKED` to `WAITING` by a compare-exchange. If that fails,
//! there is an answer; if not, the answerer's swap comes later and sees `WAITING`.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{Arc, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use crossbeam_utils::CachePadded;

use crate::sync::{
    AtomicBool, AtomicU32, AtomicU64, Instant, Mutex, Ordering, UnsafeCell, spin_loop,
    thread::{self, Thread},
};

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

/// No answer, and nobody sleeps.
const ASKED: u32 = 0;
/// No answer, and somebody sleeps.
const WAITING: u32 = 1;
/// There is an answer.
const DONE: u32 = 2;
/// There is an answer, and the answerer has left the waiter.
const SERVED: u32 = 3;
/// The asker has left.
const GONE: u32 = 4;

/// Lists of free slots; threads that call are divided among them.
const SHELVES: usize = if cfg!(any(loom, shuttle)) { 1 } else { 16 };
/// Most free slots that a list keeps.
const KEPT: usize = 256;
/// Most times that a caller looks for its answer before it sleeps, a pause of the processor each: about as long as waking it
/// would take.
const MOST_LOOKS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 1_000 };
/// As often it looks in any case.
const LEAST_LOOKS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 20 };
/// As often it looks once in [`TRIED`] times, to see whether answers have become quick: some microseconds.
const TRY_LOOKS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 200 };
const TRIED: u32 = 16;

/// The slots of one run.
pub(crate) struct Slots<A> {
    free: Box<[Shelf<A>]>,
    /// Looks that an answer usually takes.
    usual: AtomicU32,
    /// Times that callers looked.
    tries: AtomicU32,
    /// Does a caller look at the moment? The others sleep at once, so that they take no cpu from the workers.
    looking: AtomicBool,
    /// Answers that came when their caller had gone.
    late: Arc<AtomicU64>,
}

type Shelf<A> = CachePadded<Mutex<Vec<Box<Slot<A>>>>>;

#[repr(align(128))]
struct Slot<A> {
    state: AtomicU32,
    waiter: UnsafeCell<Option<Waiter>>,
    answer: UnsafeCell<Option<A>>,
    home: Weak<Slots<A>>,
}

/// Who sleeps until there is an answer.
enum Waiter {
    Thread(Thread),
    #[cfg_attr(
        not(any(feature = "async", test)),
        allow(dead_code, reason = "only tasks are polled")
    )]
    Task(Waker),
}

/// The caller's end of a slot. Dropping it cancels the call.
pub(crate) struct Asker<A> {
    slot: Option<NonNull<Slot<A>>>,
    /// Has it gone to `WAITING`, and not back?
    enlisted: bool,
}

/// The end of a slot that gives the answer.
#[must_use = "a caller waits for the answer"]
pub(crate) struct Answerer<A>(NonNull<Slot<A>>);

// SAFETY: the ends hand a value of type `A` from one thread to another, once; the waiter is `Send`. All that both of them
// touch at once is atomic.
unsafe impl<A: Send> Send for Asker<A> {}
// SAFETY: as above.
unsafe impl<A: Send> Send for Answerer<A> {}
// SAFETY: nothing can be done to an asker by a shared reference.
unsafe impl<A: Send> Sync for Asker<A> {}
// SAFETY: by a shared reference an answerer only reads the state, which is atomic.
unsafe impl<A: Send> Sync for Answerer<A> {}

impl<A> Slots<A> {
    pub(crate) fn new(late: Arc<AtomicU64>) -> Arc<Self> {
        let shelf = |_| CachePadded::new(Mutex::new(Vec::new()));
        Arc::new(Self {
            free: (0..SHELVES).map(shelf).collect(),
            usual: AtomicU32::new(TRY_LOOKS / 2),
            tries: AtomicU32::new(0),
            looking: AtomicBool::new(false),
            late,
        })
    }

    /// The two ends of a slot.
    pub(crate) fn ask(self: &Arc<Self>) -> (Asker<A>, Answerer<A>) {
        let found = self.shelf(own_shelf(), Vec::pop);
        let slot = found.unwrap_or_else(|| self.made());
        let slot = NonNull::from(Box::leak(slot));
        let asker = Asker {
            slot: Some(slot),
            enlisted: false,
        };
        (asker, Answerer(slot))
    }

    fn made(self: &Arc<Self>) -> Box<Slot<A>> {
        Box::new(Slot {
            state: AtomicU32::new(ASKED),
            waiter: UnsafeCell::new(None),
            answer: UnsafeCell::new(None),
            home: Arc::downgrade(self),
        })
    }

    fn shelf<R>(&self, shelf: usize, of: impl FnOnce(&mut Vec<Box<Slot<A>>>) -> R) -> R {
        let shelf = self.free[shelf % SHELVES].lock();
        of(&mut shelf.unwrap_or_else(PoisonError::into_inner))
    }

    /// How often the caller that looks does so: twice as often as was usually enough.
    fn looks(&self) -> u32 {
        // Relaxed, here and below: these are numbers, and one caller looks at a time.
        let tries = self.tries.load(Ordering::Relaxed);
        self.tries.store(tries.wrapping_add(1), Ordering::Relaxed);
        let least = if tries.is_multiple_of(TRIED) {
            TRY_LOOKS
        } else {
            LEAST_LOOKS
        };
        (self.usual.load(Ordering::Relaxed) * 2).clamp(least, MOST_LOOKS)
    }

    /// An answer was there after so many looks; none if it was not.
    fn looked(&self, looks: Option<u32>) {
        let usual = self.usual.load(Ordering::Relaxed);
        let now = match looks {
            // More looks pay at once, and fewer are learned slowly.
            Some(looks) => looks.max((usual * 7 + looks) / 8),
            None => usual - usual.div_ceil(8),
        };
        self.usual.store(now, Ordering::Relaxed);
    }
}

impl<A> Answerer<A> {
    /// Has the caller left?
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        // SAFETY: a slot is freed by whoever leaves it second, which is not before this end has.
        let slot = unsafe { self.0.as_ref() };
        // Relaxed: who acts on it goes on with `leave`.
        slot.state.load(Ordering::Relaxed) == GONE
    }

    /// Leaves the slot of a caller that has left; else gives the end back, for an answer.
    pub(crate) fn leave(self) -> Result<(), Self> {
        // SAFETY: as in `is_gone`.
        let slot = unsafe { self.0.as_ref() };
        // Acquire: of an asker that is `GONE` everything is seen.
        if slot.state.load(Ordering::Acquire) != GONE {
            return Err(self);
        }
        // SAFETY: the asker has left, and this end does.
        unsafe { put_back(self.0) };
        Ok(())
    }

    /// Gives the answer.
    pub(crate) fn answer(self, answer: A) {
        let slot = self.0;
        // SAFETY: a slot is freed by whoever leaves it second, which is not before this end has.
        let Slot {
            state,
            answer: cell,
            ..
        } = unsafe { slot.as_ref() };
        // SAFETY: in `ASKED`, `WAITING` and `GONE` only the answerer touches the answer, and nobody else leaves these.
        cell.with_mut(|cell| unsafe { *cell = Some(answer) });
        // AcqRel: the asker that sees `DONE` sees the answer; the waiter was written before `WAITING`; and of an asker that
        // is `GONE` everything is seen, because the slot is this end's now.
        match state.swap(DONE, Ordering::AcqRel) {
            WAITING => serve(slot),
            // SAFETY: the asker has left, and this end does.
            GONE => unsafe { put_back(slot) },
            _ => {}
        }
    }
}

/// Wakes the asker of a slot that has gone from `WAITING` to `DONE`, and leaves it.
#[cold]
fn serve<A>(slot: NonNull<Slot<A>>) {
    // SAFETY: as in `answer`.
    let Slot {
        state,
        waiter: cell,
        ..
    } = unsafe { slot.as_ref() };
    // SAFETY: between its two swaps the waiter is the answerer's alone.
    let waiter = cell.with_mut(|cell| unsafe { (*cell).take() });
    // AcqRel: the asker that sees `SERVED` sees the waiter taken; of one that is `GONE` everything is seen.
    if state.swap(SERVED, Ordering::AcqRel) == GONE {
        // SAFETY: the asker has left, and this end does.
        unsafe { put_back(slot) };
    }
    if let Some(waiter) = waiter {
        waiter.wake();
    }
}

/// Puts a slot back to the others, or frees it if there are enough, or the run is over.
///
/// # Safety
///
/// Both ends of it have been left.
unsafe fn put_back<A>(slot: NonNull<Slot<A>>) {
    // SAFETY: by the caller, nobody else has it; it was made as a box.
    let mut slot = unsafe { Box::from_raw(slot.as_ptr()) };
    let (waiter, answer) = {
        let Slot { waiter, answer, .. } = &mut *slot;
        // SAFETY: the box is this function's alone.
        let waiter = waiter.with_mut(|cell| unsafe { (*cell).take() });
        // SAFETY: as above.
        (waiter, answer.with_mut(|cell| unsafe { (*cell).take() }))
    };
    // Relaxed: the list's lock hands the slot over.
    slot.state.store(ASKED, Ordering::Relaxed);
    if let Some(home) = slot.home.upgrade() {
        if answer.is_some() {
            home.late.fetch_add(1, Ordering::Relaxed);
        }
        home.shelf(own_shelf(), |shelf| {
            if shelf.len() < KEPT {
                shelf.push(slot);
            }
        });
    }
    // What is dropped here runs others' code, which finds the slot where it belongs.
    drop((waiter, answer));
}

impl<A> Asker<A> {
    /// The answer, if there is one.
    pub(crate) fn take(&mut self) -> Option<A> {
        let slot = self.slot?;
        // SAFETY: a slot is freed by whoever leaves it second, which is not before this end has.
        let Slot {
            state,
            answer: cell,
            ..
        } = unsafe { slot.as_ref() };
        // Acquire: pairs with the answerer's swaps.
        let seen = state.load(Ordering::Acquire);
        if seen != DONE && seen != SERVED {
            return None;
        }
        // SAFETY: in `DONE` and `SERVED` the answer is the asker's.
        let answer = cell.with_mut(|cell| unsafe { (*cell).take() });
        self.slot = None;
        // AcqRel: of an answerer that has `SERVED` everything is seen; or it sees all of this.
        if !self.enlisted || seen == SERVED || state.swap(GONE, Ordering::AcqRel) == SERVED {
            // SAFETY: the answerer has left, and this end does.
            unsafe { put_back(slot) };
        }
        answer
    }

    /// Leaves a slot whose request was not taken and whose other end is dropped.
    pub(crate) fn discard(mut self) {
        // That end has answered, and this is not late.
        drop(self.take());
    }

    /// Waits until there is an answer, by looking for a while and then by sleeping; `None` if there is none at `until`.
    pub(crate) fn wait(&mut self, slots: &Slots<A>, until: Option<Instant>) -> Option<A> {
        if let Some(answer) = self.look(slots) {
            return Some(answer);
        }
        if let Some(answer) = self.enlist(|_| Waiter::Thread(thread::current())) {
            return Some(answer);
        }
        loop {
            match until {
                None => thread::park(),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return self.take();
                    }
                    thread::park_timeout(left);
                }
            }
            // It may have been woken for another reason.
            if let Some(answer) = self.take() {
                return Some(answer);
            }
        }
    }

    /// Takes the answer, or lets the task be woken when there is one.
    #[cfg_attr(
        not(any(feature = "async", test)),
        allow(dead_code, reason = "only tasks are polled")
    )]
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<A> {
        if let Some(answer) = self.take() {
            return Poll::Ready(answer);
        }
        let answer = self.enlist(|before| match before {
            Some(Waiter::Task(waker)) if waker.will_wake(cx.waker()) => Waiter::Task(waker),
            _ => Waiter::Task(cx.waker().clone()),
        });
        answer.map_or(Poll::Pending, Poll::Ready)
    }

    /// Looks for the answer for a while, if nobody else does.
    fn look(&mut self, slots: &Slots<A>) -> Option<A> {
        if let Some(answer) = self.take() {
            return Some(answer);
        }
        // Relaxed, both: it decides who looks, and nothing else.
        if slots.looking.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut found = None;
        for look in 1..=slots.looks() {
            spin_loop();
            found = self.take().map(|answer| (look, answer));
            if found.is_some() {
                break;
            }
        }
        slots.looking.store(false, Ordering::Relaxed);
        slots.looked(found.as_ref().map(|(look, _)| *look));
        found.map(|(_, answer)| answer)
    }

    /// Goes to `WAITING` with a waiter, made from the one before; or takes the answer.
    fn enlist(&mut self, waiter: impl FnOnce(Option<Waiter>) -> Waiter) -> Option<A> {
        let slot = self.slot?;
        // SAFETY: as in `take`.
        let Slot {
            state,
            waiter: cell,
            ..
        } = unsafe { slot.as_ref() };
        // Acquire, if it fails: there is an answer. Relaxed, if not: the waiter was written by this end.
        let back = || state.compare_exchange(WAITING, ASKED, Ordering::Relaxed, Ordering::Acquire);
        if self.enlisted && back().is_err() {
            return self.take();
        }
        // From here on the answerer's swap finds `ASKED`, if it finds anything.
        self.enlisted = false;
        // SAFETY: in `ASKED` the waiter is the asker's, and the answerer does not touch it if it leaves that.
        let before = cell.with_mut(|cell| unsafe { (*cell).take() });
        let waiter = waiter(before);
        // SAFETY: as above.
        cell.with_mut(|cell| unsafe { *cell = Some(waiter) });
        // Release: whoever sees `WAITING` sees the waiter.
        match state.compare_exchange(ASKED, WAITING, Ordering::Release, Ordering::Acquire) {
            Ok(_) => {
                self.enlisted = true;
                None
            }
            Err(_) => self.take(),
        }
    }
}

impl<A> Drop for Asker<A> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        // SAFETY: as in `take`.
        let state = unsafe { &slot.as_ref().state };
        // AcqRel: an answerer that comes later sees all of this; of one that has left everything is seen.
        let seen = state.swap(GONE, Ordering::AcqRel);
        if seen == SERVED || (seen == DONE && !self.enlisted) {
            // SAFETY: the answerer has left, and this end does.
            unsafe { put_back(slot) };
        }
    }
}

impl Waiter {
    fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            // A waker is its executor's code. If it panics, that is told by its panic, and no stage has panicked.
            Self::Task(waker) => drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
        }
    }
}

/// The list of this thread.
#[cfg(not(loom))]
#[inline]
fn own_shelf() -> usize {
    crate::sync::thread_number() % SHELVES
}

#[cfg(loom)]
fn own_shelf() -> usize {
    0
}

impl<A> fmt::Debug for Asker<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asker")
    }
}

impl<A> fmt::Debug for Answerer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answerer")
    }
}

impl<A> fmt::Debug for Slots<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("late", &self.late)
            .finish_non_exhaustive()
    }
}
