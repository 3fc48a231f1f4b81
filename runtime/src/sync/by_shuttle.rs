//! What runs of the whole runtime in random interleavings get: shuttle.
//!
//! All threads of a run are coroutines of one thread of the system, and a schedule decides at every operation which of them
//! goes on. A schedule is a seed and a list of choices; with the same ones the run is the same again, so nothing here may
//! come from elsewhere: not the time, not a random number, not an address.
//!
//! **Time** is a count: of the operations until now, each of which takes as long as the schedule has drawn when it began,
//! and of what sleepers have slept. So items are cheap in one schedule and expensive in another.
//!
//! **Sleeping.** `park` returns when it was unparked, and now and then for no reason, as std's may. Nobody else wakes a
//! thread whose wake-up was lost: where all threads sleep, shuttle says that it is a deadlock. `park_timeout` returns
//! sooner or later in every schedule, because its time can be up whenever the schedule wants.

mod clock;
pub(crate) mod thread;

pub(crate) use crossbeam_queue::ArrayQueue as Queue;
pub(crate) use shuttle::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    },
};

pub(crate) use self::clock::Instant;
use shuttle::rand::{RngCore, thread_rng};
use std::time::Duration;

/// Looks again. Whoever waits for a time like this takes 20 us for each look, so that no schedule is used up by it.
pub(crate) fn spin_loop() {
    shuttle::hint::spin_loop();
    clock::pass(Duration::from_micros(20));
}

/// A number of this thread, in the order in which they were made.
pub(crate) fn thread_number() -> usize {
    shuttle::thread::current().id().into()
}

/// A number that the schedule draws.
pub(crate) fn random() -> u64 {
    thread_rng().next_u64()
}

/// Once in `times`, in the schedule's choice.
fn chance(times: u64) -> bool {
    random().is_multiple_of(times)
}
