//! Fork and join inside a stage: [`join`].
//!
//! **What a fork costs.** Each worker has a *seat*, and a seat a *gate*: a word that its worker reads at every fork. While it is
//! zero, a fork is two calls. Else the job goes into the *list* of the worker: a record in the frame of `join`, to which the list
//! points. Nothing is allocated, and no other thread knows of it. The gate is open while the list takes jobs. Eight are enough
//! for whoever comes, because each is about half of what is left; then the gate closes until half of them are gone. So where
//! forks are as small as function calls they cost as much, and where they are large a job is always there.
//!
//! **Asking and offering.** Others *ask* by a bit in the gate. A worker that is asked puts the oldest job of its list, the largest
//! where work is divided, into one of a few *slots*, and lowers the bit. A worker that has nothing else to do looks into the
//! slots (`Worker::help`), takes a job by exchanging the slot with null, and runs it. The owner takes a job back in the same
//! way, so each job has one taker. Where forks are far apart, an owner offers unasked after a beat: so a job lies ready when
//! somebody looks. `pace.rs` says how often is asked.
//!
//! **Waiting.** An owner whose job was taken works on jobs of the worker that took it ("leapfrogging": Wagner and Calder,
//! "Leapfrogging: A Portable Technique for Implementing Efficient Futures", PPoPP 1993), then looks around, then sleeps until
//! the job is done or its taker offers something. All that it runs meanwhile was forked below its own job. So it waits for
//! nothing that it would not have had to do itself, its stack is about as deep as that of one thread, and a lock that is held
//! across `join` is in nobody's way who would not have been without threads. It runs no batches: its stage has a borrow of its
//! state.
//!
//! **No wake-up is lost.** There are two bits: one who is awake asks (it will look), or one who sleeps. Who answers a sleeper
//! offers, lowers the bit, notes that in `lowered`, passes a fence, and looks for sleepers. Who goes to sleep sets its bit among
//! the sleepers, passes a fence, asks wherever `lowered` says that nobody does, and looks for offers once more (see
//! [`crate::idle`]). An answer wakes one. The one that was woken asks for the others, before it runs the job, or at the latest
//! before it sleeps again; if it pauses (`pace.rs`), it sets itself a time for that. Workers that have no thread yet count as
//! asleep: the first answer starts them (see `reserve.rs`).
//!
//! **Lives.** A job lies in the frame of its `join`, which ends only after it took the job out of the list or of the slot, or
//! has seen that it is done: also when the other side panics. The one that runs it touches it last when it says so; the
//! thread that it wakes then is found in the run's table. Seats belong to the run, and a worker leaves its seat before that.

mod forks;
mod job;
#[cfg(all(test, loom))]
mod models;
mod pace;
mod seat;

pub(crate) use self::{forks::Forks, pace::Pace};

#[cfg(not(loom))]
pub use self::thread::join;
#[cfg(not(loom))]
pub(crate) use self::thread::{help, sit};

/// Starts the threads of workers that have none (see `reserve.rs`).
pub(crate) trait Reserve {
    /// Of all of them; called again, it does nothing.
    fn start(&self);
}

#[cfg(not(loom))]
mod thread {
    //! What finds the jobs of the thread that calls.

    use std::{cell::Cell, hint, marker::PhantomData, ptr};

    use super::{Forks, Pace, Reserve, seat::Seat};
    use crate::{
        machine::Victims,
        sync::{AtomicU32, Ordering},
    };

    /// The gate of threads that have no seat.
    static CLOSED: AtomicU32 = AtomicU32::new(0);

    thread_local! {
        // Without destructors, so that a lookup is one load from a fixed place.
        // The gate of this thread's seat, or `CLOSED`.
        static GATE: Cell<*const AtomicU32> = const { Cell::new(&raw const CLOSED) };
        // The seat, or null.
        static SEAT: Cell<*const Seat> = const { Cell::new(ptr::null()) };
    }

    /// Calls both functions, `b` perhaps on another worker of the pipeline, and returns what they return.
    ///
    /// For a stage with a large item: divide it, and let idle workers take the halves, as deep as you like. Deep in the
    /// division a fork costs about as much as two function calls, so there is no need to stop dividing early. While all
    /// workers have items to work on there is nothing to gain, and next to nothing is lost.
    ///
    /// `a` runs on the calling thread. `b` runs on another worker if one has nothing else to do and comes before `a` is over,
    /// else after `a` on the calling thread; do not let one of them wait for the other. On a thread that is no worker of a
    /// pool (a thread of the program, a pinned stage, a dry run), and in a pool of one worker, `b` runs after `a`. Divide in
    /// halves where you can: of forks that are nested in `a`, eight wait for others at a time, the outermost first.
    ///
    /// While the caller waits for `b`, it works on what `b` forks and on nothing else: a lock that is held across the call is
    /// in the way of `a` and `b` only.
    ///
    /// # Panics
    ///
    /// If one of them panics, with its panic; if both do, with that of `a`. If `a` panics and `b` has begun, it ends first; if
    /// it has not, it is dropped. Then the item is lost and the rest goes on, as with any panic in a stage.
    ///
    /// # Examples
    ///
    /// ```
    /// use pipewright::pipeline;
    ///
    /// #[pipeline]
    /// mod sums {
    ///     use pipewright::join;
    ///
    ///     #[source]
    ///     pub fn blocks() -> impl Iterator<Item = Vec<u64>> {
    ///         (1..=3).map(|n| vec![n; 100_000])
    ///     }
    ///
    ///     #[stage(from = blocks)]
    ///     pub fn sum(block: Vec<u64>) -> u64 {
    ///         halves(&block)
    ///     }
    ///
    ///     #[sink(from = sum)]
    ///     pub fn collect(sum: u64, sums: &mut Vec<u64>) {
    ///         sums.push(sum);
    ///     }
    ///
    ///     fn halves(part: &[u64]) -> u64 {
    ///         if part.len() < 100 {
    ///             return part.iter().sum();
    ///         }
    ///         let (left, right) = part.split_at(part.len() / 2);
    ///         let (left, right) = join(|| halves(left), || halves(right));
    ///         left + right
    ///     }
    /// }
    ///
    /// let mut report = sums::pipeline().start(()).unwrap().wait().unwrap();
    /// assert_eq!(report.take_state::<sums::collect>().unwrap(), [100_000, 200_000, 300_000]);
    /// ```
    #[inline]
    pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA,
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        // SAFETY: it is a static, or belongs to the seat that `sit` put there, for a time in which that stays where it is.
        let gate = unsafe { &*GATE.get() };
        // Relaxed: what the gate says is for this thread.
        if gate.load(Ordering::Relaxed) == 0 {
            return (a(), b());
        }
        hint::cold_path();
        forked(a, b)
    }

    /// [`join`], where the list has room or somebody asks. Out of line, so that two calls remain where it is called.
    #[inline(never)]
    fn forked<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA,
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        match seat() {
            Some(seat) => seat.fork(a, b),
            None => (a(), b()),
        }
    }

    /// Where this thread sits.
    fn seat<'s>() -> Option<&'s Seat> {
        // SAFETY: null, or the seat that `sit` put there, for a time in which it stays where it is. The reference lives no
        // longer than the call of the function that called this, and `Sitting` is not dropped within one.
        unsafe { SEAT.get().as_ref() }
    }

    /// The thread that calls is worker `id` of a run from now on, until what this returns is dropped. It starts the workers of
    /// the `reserve` when a stage forks.
    pub(crate) fn sit<'f>(
        forks: &'f Forks,
        id: usize,
        reserve: Option<&'f dyn Reserve>,
    ) -> Sitting<'f> {
        let (mut gate, mut seat) = (&raw const CLOSED, ptr::null());
        // One worker has nobody who could take anything. Shuttle's threads share one of the system's, and its thread-local storage:
        // there nobody sits, and every fork is two calls.
        if forks.workers() > 1 && !cfg!(shuttle) {
            forks.waiting.enlist(id, crate::sync::thread::current());
            let here = forks.seat(id);
            // SAFETY: each worker sits once, on its own thread, and `Sitting` leaves, which borrows the forks and the reserve.
            unsafe { here.sit(forks, id, reserve) };
            (gate, seat) = (&raw const *here.gate, here);
        }
        Sitting {
            before: (GATE.replace(gate), SEAT.replace(seat)),
            forks: PhantomData,
        }
    }

    /// A thread's time as a worker. Its only user lets it go out of scope, and does not leak it.
    #[must_use]
    pub(crate) struct Sitting<'f> {
        /// Where it sat before: a stage may run another pipeline on its own thread.
        before: (*const AtomicU32, *const Seat),
        forks: PhantomData<&'f Forks>,
    }

    impl Drop for Sitting<'_> {
        fn drop(&mut self) {
            if let Some(seat) = seat() {
                seat.leave();
            }
            GATE.set(self.before.0);
            SEAT.set(self.before.1);
        }
    }

    /// Takes a job of another worker, the nearest first, and runs it; false if there is none. For a worker that has nothing
    /// else to do.
    pub(crate) fn help(forks: &Forks, victims: &mut Victims, pace: &mut Pace) -> bool {
        let Some(seat) = seat() else { return false };
        let Some(taken) = victims.find(|victim| forks.take(victim)) else {
            return false;
        };
        seat.serve(forks, taken, pace);
        true
    }
}
