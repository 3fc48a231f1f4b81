//! The seats of a run: where workers ask each other for jobs, and where they offer them.

use std::{fmt, ptr};

use crossbeam_utils::CachePadded;

use super::{
    job::Link,
    pace::Pace,
    seat::{ASLEEP, AWAKE, OPEN, Seat},
};
use crate::{
    idle::Idle,
    sync::{Arc, AtomicPtr, AtomicU32, AtomicU64, Instant, Ordering},
};

/// The forked jobs of one run that others may take, and who asks for some.
pub(crate) struct Forks {
    seats: Box<[Seat]>,
    /// Jobs in the slots of all seats, and those that are about to be there.
    offers: CachePadded<AtomicU32>,
    /// The seats, by bit, where no sleeper asks.
    lowered: CachePadded<AtomicU64>,
    /// The workers that rest.
    pub(super) idle: Arc<Idle>,
    /// The workers that sleep in a `join`.
    pub(super) waiting: Idle,
    epoch: Instant,
}

/// A job that was taken from a slot. Who has it runs it.
pub(super) struct Taken {
    pub(super) owner: usize,
    pub(super) job: *const Link,
}

impl Forks {
    /// For a run of so many workers, who rest at `idle`, that began at `epoch`. At first all of them are asked by sleepers.
    pub(crate) fn new(workers: usize, idle: Arc<Idle>, epoch: Instant) -> Self {
        Self {
            seats: (0..workers).map(|_| Seat::new()).collect(),
            offers: CachePadded::new(AtomicU32::new(0)),
            lowered: CachePadded::new(AtomicU64::new(0)),
            idle,
            waiting: Idle::new(workers),
            epoch,
        }
    }

    pub(super) fn workers(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn seat(&self, id: usize) -> &Seat {
        &self.seats[id]
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        // loom knows no time.
        if cfg!(loom) {
            0
        } else {
            self.epoch.elapsed().as_nanos() as u64
        }
    }

    /// Is there a job that anybody may take?
    #[inline]
    pub(crate) fn has_offers(&self) -> bool {
        // Relaxed: whoever sleeps on what it says has passed a fence (see `Idle::park`).
        self.offers.load(Ordering::Relaxed) > 0
    }

    /// Does a worker offer a job?
    pub(super) fn has_offers_of(&self, id: usize) -> bool {
        self.seats[id]
            .slots
            .iter()
            .any(|slot| !slot.load(Ordering::Relaxed).is_null())
    }

    /// Is there a seat where no sleeper asks? Not in a run without forks.
    #[inline]
    pub(crate) fn is_lowered(&self) -> bool {
        self.lowered.load(Ordering::Relaxed) != 0
    }

    /// Someone who is awake asks a worker, and looks there later.
    pub(super) fn ask(&self, id: usize) {
        let gate = &self.seats[id].gate;
        // A load first: a question that is asked already is not written again. Relaxed: nothing is read because of it.
        if gate.load(Ordering::Relaxed) & (AWAKE | ASLEEP) == 0 {
            gate.fetch_or(AWAKE, Ordering::Relaxed);
        }
    }

    /// Takes back what someone asks who is awake and will ask again.
    pub(super) fn unask(&self, id: usize) {
        self.seats[id].gate.fetch_and(!AWAKE, Ordering::Relaxed);
    }

    /// A worker that looks for work asks everywhere, if it may.
    pub(crate) fn ask_awake(&self, pace: &mut Pace, now: u64) {
        if self.is_lowered() && pace.may_ask(now) {
            self.each_lowered(|id| self.ask(id));
        }
    }

    /// Asks for sleepers, wherever nobody does. A worker that goes to sleep calls this after it has passed the fence (see
    /// [`Idle::park`]): so it finds the gates that were answered for others, or is seen by who answers. Then it looks for
    /// offers once more.
    pub(crate) fn ask_asleep(&self) {
        self.each_lowered(|id| self.ask_asleep_at(id));
    }

    /// Asks a worker for sleepers.
    pub(super) fn ask_asleep_at(&self, id: usize) {
        // The bit goes first. If the worker answers in between, it sets it again after this.
        self.lowered.fetch_and(!(1 << id), Ordering::Relaxed);
        // Acquire: if this finds the answer to a question before it, it sees what was offered then. Release: the worker that
        // answers this one sets the bit after it was cleared.
        self.seats[id].gate.fetch_or(ASLEEP, Ordering::AcqRel);
    }

    fn each_lowered(&self, mut each: impl FnMut(usize)) {
        let mut lowered = self.lowered.load(Ordering::Relaxed);
        while lowered != 0 {
            each(lowered.trailing_zeros() as usize);
            lowered &= lowered - 1;
        }
    }

    /// An empty slot of worker `id`, which calls this.
    pub(super) fn room(&self, id: usize) -> Option<&AtomicPtr<Link>> {
        // Relaxed: only its own thread fills it.
        self.seats[id]
            .slots
            .iter()
            .find(|slot| slot.load(Ordering::Relaxed).is_null())
    }

    /// Puts a job into an empty slot.
    pub(super) fn offer(&self, slot: &AtomicPtr<Link>, job: *const Link) {
        // Counted first, so that the count is never less than what can be taken.
        self.offers.fetch_add(1, Ordering::Relaxed);
        // Release: the taker reads the job. Acquire, and an exchange where a store would do: it is ordered behind the exchanges
        // of those who took from this slot or found it empty.
        slot.swap(job.cast_mut(), Ordering::AcqRel);
    }

    /// Takes a job of a worker.
    pub(super) fn take(&self, owner: usize) -> Option<Taken> {
        let take = |slot: &AtomicPtr<Link>| {
            // A load first: an exchange takes the line from its owner.
            if slot.load(Ordering::Relaxed).is_null() {
                return None;
            }
            // Acquire: see `offer`.
            let job = slot.swap(ptr::null_mut(), Ordering::Acquire);
            (!job.is_null()).then_some(job.cast_const())
        };
        let job = self.seats[owner].slots.iter().find_map(take)?;
        self.offers.fetch_sub(1, Ordering::Relaxed);
        Some(Taken { owner, job })
    }

    /// Takes a job back from the slots of worker `id`, which calls this; false if it was taken.
    pub(super) fn retract(&self, id: usize, job: *const Link) -> bool {
        let job = job.cast_mut();
        let back = |slot: &AtomicPtr<Link>| {
            // Relaxed: what this thread wrote it may read.
            let back =
                slot.compare_exchange(job, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);
            back.is_ok()
        };
        let back = self.seats[id].slots.iter().any(back);
        if back {
            self.offers.fetch_sub(1, Ordering::Relaxed);
        }
        back
    }

    /// Worker `id` has offered what it could: nobody asks any more. If sleepers did, one of them is woken: one that waits for
    /// this worker (`serving`, by bit), or one that rests. It asks for the others.
    pub(super) fn answer(&self, id: usize, serving: u64) {
        // After the offer. Release: who asks later sees it (see `ask_asleep_at`).
        let asked = self.seats[id].gate.fetch_and(OPEN, Ordering::AcqRel);
        if asked & ASLEEP == 0 {
            return;
        }
        self.lowered.fetch_or(1 << id, Ordering::Relaxed);
        if !self.waiting.wake_of(serving) {
            self.idle.wake_of(u64::MAX);
        }
    }

    /// For the others who sleep, of whom nobody may know that there are jobs: someone who was woken, or has found one of its
    /// own accord, wakes one of them if there is another job, and asks for them.
    pub(crate) fn pass_on(&self) {
        let rest = self.idle.has_sleepers();
        if rest && self.has_offers() {
            self.idle.wake_of(u64::MAX);
        }
        if rest || self.waiting.has_sleepers() {
            self.ask_asleep();
        }
    }
}

impl fmt::Debug for Forks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forks")
            .field("offers", &self.offers)
            .finish_non_exhaustive()
    }
}
