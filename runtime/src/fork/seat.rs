//! The seat of one worker: what it has forked and not come back to.

use std::{cell::Cell, mem, panic::resume_unwind, ptr};

use crossbeam_utils::CachePadded;

use super::{
    Reserve,
    forks::{Forks, Taken},
    job::{DONE, Job, Link, OFFERED, TAKEN},
    pace::{BEAT_NS, Pace},
};
use crate::sync::{AtomicPtr, AtomicU32, Ordering};

/// In the gate: somebody asks who is awake, and will look.
pub(super) const AWAKE: u32 = 1;
/// In the gate: somebody asks who sleeps, or will.
pub(super) const ASLEEP: u32 = 2;
/// In the gate: the list takes jobs.
pub(super) const OPEN: u32 = 4;

/// Most jobs in the list of a worker.
const LIST: u32 = 8;
/// A list that was full takes jobs again when it has so many left.
const AGAIN: u32 = LIST / 2;
/// Jobs that a worker offers at once.
const SLOTS: usize = 4;
/// How long a worker in a `join` looks around before it sleeps, in nanoseconds: about what a wake-up takes.
const LOOK_NS: u64 = 50_000;

/// The place of a worker. All may use the gate and the slots; the rest belongs to the worker's thread.
pub(super) struct Seat {
    /// Zero if a fork is nothing but two calls, else [`AWAKE`], [`ASLEEP`] and [`OPEN`].
    pub(super) gate: CachePadded<AtomicU32>,
    /// Jobs that anybody may take.
    pub(super) slots: CachePadded<[AtomicPtr<Link>; SLOTS]>,
    own: CachePadded<Own>,
}

/// What belongs to the worker's thread.
struct Own {
    /// The list, a ring.
    jobs: [Cell<*const Link>; LIST as usize],
    /// Where the oldest job is.
    first: Cell<u32>,
    /// Jobs in the list.
    len: Cell<u32>,
    /// Was it full, and is not yet open again?
    full: Cell<bool>,
    /// The run; null while nobody sits here.
    forks: Cell<*const Forks>,
    id: Cell<usize>,
    /// The workers, by bit, whose jobs it runs.
    serving: Cell<u64>,
    /// When it last offered a job.
    offered: Cell<u64>,
    /// The workers that it starts when somebody could take a job.
    reserve: Cell<Option<*const dyn Reserve>>,
}

// SAFETY: `own` is used by the thread only that sits here, which is one, and by functions only that `sit` makes reachable for
// it (`thread` in `mod.rs`). All else is `Sync`.
unsafe impl Sync for Seat {}

// SAFETY: the pointers of `own` are to the frames of the thread that sits here, and there are none when nobody does.
unsafe impl Send for Seat {}

impl Seat {
    /// Of a worker that sleepers ask, because at first all are as if asleep.
    pub(super) fn new() -> Self {
        Self {
            gate: CachePadded::new(AtomicU32::new(OPEN | ASLEEP)),
            slots: CachePadded::new(std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()))),
            own: CachePadded::new(Own {
                jobs: [const { Cell::new(ptr::null()) }; LIST as usize],
                first: Cell::new(0),
                len: Cell::new(0),
                full: Cell::new(false),
                forks: Cell::new(ptr::null()),
                id: Cell::new(0),
                serving: Cell::new(0),
                offered: Cell::new(0),
                reserve: Cell::new(None),
            }),
        }
    }

    /// The calling thread is worker `id` of a run, and sits here.
    ///
    /// # Safety
    ///
    /// No other thread sits here, and the caller calls [`Self::leave`] while `forks` and `reserve` are there.
    pub(super) unsafe fn sit(&self, forks: &Forks, id: usize, reserve: Option<&dyn Reserve>) {
        self.own.forks.set(forks);
        self.own.id.set(id);
        self.own.reserve.set(reserve.map(|reserve| {
            let reserve: *const (dyn Reserve + '_) = reserve;
            // SAFETY: only the lifetime changes, and it is not used after `leave`.
            unsafe {
                mem::transmute::<*const (dyn Reserve + '_), *const (dyn Reserve + 'static)>(reserve)
            }
        }));
    }

    /// Nobody sits here any more.
    pub(super) fn leave(&self) {
        self.own.forks.set(ptr::null());
        self.own.reserve.set(None);
    }

    /// See [`super::join`]. For the thread that sits here.
    #[inline(always)]
    pub(super) fn fork<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA,
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        let job = Job::new(b);
        if self.own.len.get() == LIST {
            self.poll();
        }
        // If there is no room now either, the job is nobody else's.
        let listed = self.push(job.link());
        let forked = Forked {
            seat: self,
            job: &job,
            listed,
        };
        self.poll();
        let ra = a();
        mem::forget(forked);
        let rb = if self.pop(listed, job.link()) {
            // Now that this job is not offered for nothing.
            self.poll();
            // SAFETY: it is this thread's again, and its work is taken out here only.
            let b = unsafe { job.work() };
            b()
        } else {
            // SAFETY: it did not come back, so it is done; its result is taken out here only.
            let result = unsafe { job.result() };
            result.unwrap_or_else(|panic| resume_unwind(panic))
        };
        (ra, rb)
    }

    /// Adds a job to the list; false if it is full. It is taken out by [`Self::pop`] before the frame goes that it lies in.
    fn push(&self, job: *const Link) -> bool {
        let own = &*self.own;
        let len = own.len.get();
        if len == LIST {
            return false;
        }
        own.job(len).set(job);
        own.len.set(len + 1);
        if len + 1 == LIST {
            own.full.set(true);
            // Relaxed, here and below: this bit is for this thread only.
            self.gate.fetch_and(!OPEN, Ordering::Relaxed);
        }
        true
    }

    /// Takes a job back that this thread forked last of all that it did not come back to. False if another one has done it.
    fn pop(&self, listed: bool, job: *const Link) -> bool {
        if !listed {
            return true;
        }
        let own = &*self.own;
        let len = own.len.get();
        // What was forked before it is offered before it: if it was not offered, it is the last of the list.
        if len == 0 || own.job(len - 1).get() != job {
            return self.comes_back(job);
        }
        self.shorten();
        true
    }

    /// Takes out the oldest job of the list.
    fn shift(&self) -> Option<*const Link> {
        let own = &*self.own;
        if own.len.get() == 0 {
            return None;
        }
        let job = own.job(0).get();
        own.first.set(own.first.get().wrapping_add(1));
        self.shorten();
        Some(job)
    }

    /// The list has one job less.
    fn shorten(&self) {
        let own = &*self.own;
        let len = own.len.get() - 1;
        own.len.set(len);
        if len == AGAIN && own.full.replace(false) {
            self.gate.fetch_or(OPEN, Ordering::Relaxed);
        }
    }

    /// Answers, if somebody asks and there is a job.
    #[inline]
    fn poll(&self) {
        // Relaxed: it is a wish, and whoever has it sees the answer by other means.
        if self.gate.load(Ordering::Relaxed) & (AWAKE | ASLEEP) != 0 && self.own.len.get() > 0 {
            self.answer();
        }
    }

    fn forks(&self) -> Option<&Forks> {
        // SAFETY: null, or those of the run whose worker sits here, which are there as long as it does.
        unsafe { self.own.forks.get().as_ref() }
    }

    /// Offers the oldest job, because somebody asks for one.
    #[cold]
    #[inline(never)]
    fn answer(&self) {
        let Some(forks) = self.forks() else { return };
        let id = self.own.id.get();
        if let Some(slot) = forks.room(id)
            && let Some(job) = self.shift()
        {
            forks.offer(slot, job);
            self.own.offered.set(forks.now());
        }
        forks.answer(id, self.own.serving.get());
        if let Some(reserve) = self.own.reserve.take() {
            // SAFETY: it is there as long as this thread sits here.
            unsafe { &*reserve }.start();
        }
        // The one that was woken wakes the next, and will find a job for it, too.
        if forks.idle.has_sleepers() && forks.room(id).is_some() {
            forks.ask(id);
        }
    }

    /// What became of a job that was offered: true if it is back and nobody has it, false when it is done.
    #[cold]
    #[inline(never)]
    fn comes_back(&self, job: *const Link) -> bool {
        // Without a run nobody asks, and nothing is offered.
        let Some(forks) = self.forks() else {
            return true;
        };
        let id = self.own.id.get();
        if !forks.retract(id, job) {
            // SAFETY: it is in the frame of the caller.
            self.wait(forks, unsafe { &(*job).state });
            return false;
        }
        if forks.now() - self.own.offered.get() >= BEAT_NS {
            // Forks are far apart here. So that a job lies ready when somebody looks, the next is offered unasked.
            forks.ask(id);
        } else {
            forks.unask(id);
        }
        true
    }

    /// Until a job is done that was taken, works on jobs of the worker that took it, then looks around, then sleeps.
    fn wait(&self, forks: &Forks, state: &AtomicU32) {
        let mut pace = Pace::default();
        let mut since = forks.now();
        loop {
            // Acquire: what the job has done is seen here.
            let thief = match state.load(Ordering::Acquire) {
                DONE => return,
                OFFERED => {
                    crate::sync::spin_loop();
                    continue;
                }
                taken => (taken - TAKEN) as usize,
            };
            if let Some(taken) = forks.take(thief) {
                since = self.serve(forks, taken, &mut pace);
                continue;
            }
            let now = forks.now();
            if pace.may_ask(now) {
                forks.ask(thief);
            }
            if now - since < LOOK_NS && !cfg!(loom) {
                crate::sync::spin_loop();
                continue;
            }
            let pause = pace.pause(now);
            let visible = || state.load(Ordering::Acquire) == DONE || forks.has_offers_of(thief);
            let woken = forks.waiting.park(self.own.id.get(), pause, || {
                if pause.is_none() {
                    forks.ask_asleep_at(thief);
                }
                visible()
            });
            if woken && !visible() {
                pace.in_vain(forks.now());
            }
        }
    }

    /// Runs a job that was taken; returns when it was done.
    pub(super) fn serve(&self, forks: &Forks, taken: Taken, pace: &mut Pace) -> u64 {
        let Taken { owner, job } = taken;
        // SAFETY: its frame is there until it is done.
        let state = unsafe { &(*job).state };
        // Relaxed: it says where the owner may look for jobs meanwhile.
        state.store(TAKEN + self.own.id.get() as u32, Ordering::Relaxed);
        forks.pass_on();
        let begun = forks.now();
        if pace.may_ask(begun) {
            forks.ask(owner);
        }
        let serving = self.own.serving.get();
        self.own.serving.set(serving | 1 << owner);
        // SAFETY: it was taken from a slot, which gives it to one.
        unsafe { Link::run(job) };
        self.own.serving.set(serving);
        // Release: the owner sees what the job has done. The job may be gone from here on.
        state.store(DONE, Ordering::Release);
        forks.waiting.wake_of(1 << owner);
        let now = forks.now();
        pace.took(begun, now);
        now
    }
}

impl Own {
    /// The place of a job in the list, counted from the oldest.
    fn job(&self, place: u32) -> &Cell<*const Link> {
        &self.jobs[(self.first.get().wrapping_add(place) % LIST) as usize]
    }
}

/// A job while the other side runs. Dropped if that one panics: what has begun ends, and what has not never begins.
struct Forked<'a, B: FnOnce() -> R + Send, R: Send> {
    seat: &'a Seat,
    job: &'a Job<B, R>,
    listed: bool,
}

impl<B: FnOnce() -> R + Send, R: Send> Drop for Forked<'_, B, R> {
    #[cold]
    fn drop(&mut self) {
        if self.seat.pop(self.listed, self.job.link()) {
            // SAFETY: it is this thread's again, and while unwinding nobody else takes its work out.
            drop(unsafe { self.job.work() });
        } else {
            // SAFETY: it is done, and while unwinding nobody else takes its result out.
            drop(unsafe { self.job.result() });
        }
    }
}
