//! The seats of a pool: who is at work, and who stands in for whom. See [`crate::quarantine`] for what it is good for.
//!
//! All changes are made under one lock, by a thread that looks now and then and by workers whose calls took very long. A worker
//! that takes a spare seat sleeps there under the lock, and whoever calls it, or ends the run, tells it under the lock, so that it
//! misses neither. Outside of the lock is one flag for each worker, its *mark*, by which it learns that another one stands in for
//! it. A mark says nothing about other memory, and what its worker does then it decides under the lock, so the mark may be seen late.

#[cfg(all(test, loom))]
mod models;

use std::{fmt, sync::PoisonError};

use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering};

/// Most workers of one stage that others stand in for at a time.
pub(crate) const MOST: usize = 2;

/// The seats of a pool.
pub(crate) struct Seats<Q> {
    /// Does another one stand in for the worker?
    marks: Box<[AtomicBool]>,
    seats: Mutex<Box<[Seat<Q>]>>,
    changed: Condvar,
}

enum Seat<Q> {
    AtWork,
    /// In a call of this stage.
    InQuarantine(u16),
    Spare,
    Empty(Option<Q>),
    Closed,
}

/// Who stands in for a worker.
pub(crate) enum StandIn<Q> {
    /// Nobody: somebody does already, or there are too many.
    Nobody,
    /// One that was spare.
    Called,
    /// One at this seat, which has no thread yet.
    New(usize, Q),
}

impl<Q> Seats<Q> {
    /// Of a pool of so many workers, with so many seats.
    pub(crate) fn new(workers: usize, seats: usize) -> Self {
        let seat = |id| match id < workers {
            true => Seat::AtWork,
            false => Seat::Empty(None),
        };
        Self {
            marks: (0..seats).map(|_| AtomicBool::new(false)).collect(),
            seats: Mutex::new((0..seats).map(seat).collect()),
            changed: Condvar::new(),
        }
    }

    /// The run queue of an empty seat.
    pub(crate) fn furnish(&self, id: usize, queue: Q) {
        self.lock()[id] = Seat::Empty(Some(queue));
    }

    /// Workers in quarantine because of a stage.
    pub(crate) fn of(&self, stage: u16) -> usize {
        of(&self.lock(), stage)
    }

    /// Lets `each` see the workers that others stand in for.
    pub(crate) fn each_marked(&self, each: impl FnMut(usize)) {
        (0..self.marks.len())
            .filter(|id| self.is_marked(*id))
            .for_each(each);
    }

    /// Wakes those at spare seats: the run ends.
    pub(crate) fn wake_all(&self) {
        // Under the lock, so that who is about to sleep has not looked before.
        let _seats = self.lock();
        self.changed.notify_all();
    }

    /// Puts worker `id`, whose call of `stage` hangs, in quarantine, if there is one to stand in for it.
    pub(crate) fn put(&self, id: usize, stage: u16) -> StandIn<Q> {
        let mut seats = self.lock();
        if !matches!(seats[id], Seat::AtWork) || of(&seats, stage) >= MOST {
            return StandIn::Nobody;
        }
        let found = match spare(&seats) {
            Some(spare) => {
                seats[spare] = Seat::AtWork;
                self.changed.notify_all();
                StandIn::Called
            }
            None => {
                let empty = seats
                    .iter_mut()
                    .enumerate()
                    .find_map(|(id, seat)| match seat {
                        Seat::Empty(queue) => Some((id, queue.take()?)),
                        _ => None,
                    });
                let Some((new, queue)) = empty else {
                    return StandIn::Nobody;
                };
                seats[new] = Seat::AtWork;
                StandIn::New(new, queue)
            }
        };
        seats[id] = Seat::InQuarantine(stage);
        // Relaxed: it says nothing but itself; what the worker does then is under the lock.
        self.marks[id].store(true, Ordering::Relaxed);
        found
    }

    /// Nobody can work at seat `new`, who was to stand in for worker `id`.
    pub(crate) fn close(&self, new: usize, id: usize) {
        let mut seats = self.lock();
        seats[new] = Seat::Closed;
        if matches!(seats[id], Seat::InQuarantine(_)) {
            seats[id] = Seat::AtWork;
            self.marks[id].store(false, Ordering::Relaxed);
        } else if let Some(spare) = spare(&seats) {
            // Its call has returned meanwhile.
            seats[spare] = Seat::AtWork;
            self.changed.notify_all();
        }
    }

    /// Does another one stand in for the worker?
    pub(crate) fn is_marked(&self, id: usize) -> bool {
        self.marks[id].load(Ordering::Relaxed)
    }

    /// Waits at a spare seat until the worker stands in for another one, or the run ends. Returns at once if nobody stands in for it.
    pub(crate) fn wait(&self, id: usize, ends: impl Fn() -> bool) {
        let mut seats = self.lock();
        if matches!(seats[id], Seat::InQuarantine(_)) {
            seats[id] = Seat::Spare;
            self.marks[id].store(false, Ordering::Relaxed);
        }
        while matches!(seats[id], Seat::Spare) {
            if ends() {
                seats[id] = Seat::AtWork;
                return;
            }
            seats = self
                .changed
                .wait(seats)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Box<[Seat<Q>]>> {
        // Only moves happen under the lock.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of<Q>(seats: &[Seat<Q>], stage: u16) -> usize {
    let hangs = |seat: &&Seat<Q>| matches!(seat, Seat::InQuarantine(of) if *of == stage);
    seats.iter().filter(hangs).count()
}

fn spare<Q>(seats: &[Seat<Q>]) -> Option<usize> {
    seats.iter().position(|seat| matches!(seat, Seat::Spare))
}

impl<Q> fmt::Debug for Seats<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seats = self.lock();
        let waiting = seats.iter().filter(|seat| matches!(seat, Seat::Spare));
        f.debug_struct("Seats")
            .field("all", &seats.len())
            .field("spare", &waiting.count())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Of two workers and two spare places.
    fn two() -> Seats<()> {
        with_spare(2)
    }

    /// Of two workers and so many spare places.
    fn with_spare(places: usize) -> Seats<()> {
        let seats = Seats::new(2, 2 + places);
        (2..2 + places).for_each(|id| seats.furnish(id, ()));
        seats
    }

    /// Who stands in: a new one at a seat, one that was spare, or nobody.
    fn put(seats: &Seats<()>, id: usize, stage: u16) -> Option<Option<usize>> {
        match seats.put(id, stage) {
            StandIn::Nobody => None,
            StandIn::Called => Some(None),
            StandIn::New(seat, _) => Some(Some(seat)),
        }
    }

    #[test]
    fn two_of_a_stage_are_in_quarantine_at_most_and_as_many_as_there_are_seats() {
        let all = with_spare(3);
        assert_eq!(put(&all, 0, 7), Some(Some(2)));
        assert_eq!(put(&all, 0, 7), None, "somebody stands in for it");
        assert_eq!(put(&all, 1, 7), Some(Some(3)));
        assert_eq!(put(&all, 2, 7), None, "there are two of this stage");
        assert_eq!(put(&all, 2, 8), Some(Some(4)), "another one has its own");
        assert_eq!(put(&all, 3, 8), None, "no seat is left");
        assert_eq!((all.of(7), all.of(8)), (2, 1));
    }

    #[test]
    fn one_that_has_returned_is_called_before_a_thread_is_started() {
        let all = two();
        assert_eq!(put(&all, 0, 7), Some(Some(2)));
        assert!(all.is_marked(0));
        std::thread::scope(|scope| {
            scope.spawn(|| all.wait(0, || false));
            while all.of(7) > 0 {
                std::thread::yield_now();
            }
            assert!(!all.is_marked(0));
            assert_eq!(put(&all, 1, 7), Some(None));
        });
        assert_eq!(put(&all, 0, 7), Some(Some(3)), "it works again");
    }

    #[test]
    fn a_worker_that_nobody_could_stand_in_for_goes_on_and_its_place_is_taken_by_one_that_has_returned()
     {
        let all = two();
        assert_eq!(put(&all, 0, 7), Some(Some(2)));
        all.close(2, 0);
        assert!(!all.is_marked(0) && all.of(7) == 0);
        assert_eq!(put(&all, 0, 7), Some(Some(3)));
        std::thread::scope(|scope| {
            scope.spawn(|| all.wait(0, || false));
            while all.of(7) > 0 {
                std::thread::yield_now();
            }
            // It has returned before it was known that nobody came.
            all.close(3, 0);
        });
        assert_eq!(put(&all, 0, 7), None, "both places are closed");
    }

    #[test]
    fn the_end_of_a_run_wakes_those_who_wait() {
        let all = two();
        let over = AtomicBool::new(false);
        assert_eq!(put(&all, 0, 7), Some(Some(2)));
        std::thread::scope(|scope| {
            scope.spawn(|| all.wait(0, || over.load(Ordering::Acquire)));
            over.store(true, Ordering::Release);
            all.wake_all();
        });
        assert_eq!(put(&all, 0, 7), Some(Some(3)));
    }
}
