//! The one door to what threads share, and to how they sleep: atomics, locks, channels, threads and the clock.
//!
//! | build | behind the door | for |
//! |---|---|---|
//! | | std | users |
//! | `--cfg loom` | loom | the models of the lock-free pieces, in all interleavings |
//! | `--cfg shuttle` | shuttle | runs of the whole runtime, in random interleavings |
//!
//! **What shuttle may interrupt** is every operation that goes through this door. crossbeam's queues and deques do not: each of
//! their operations is one step with what its thread did before, which leaves out no order of it and of the accesses
//! around it that are announced here. For the same reason none of them ever has to try again there. `OnceLock` does not
//! either: it is written before the threads begin that read it, or whoever finds it empty has nothing to look for there.
//! Statics that several runs share, and the public pools ([`crate::memory`], which have loom models), stay std's; forked jobs
//! ([`crate::fork`], which have loom models too) need a thread-local of each worker, so nobody takes any.

#[cfg(loom)]
mod by_loom;
#[cfg(shuttle)]
mod by_shuttle;
#[cfg(not(any(loom, shuttle)))]
mod by_std;
#[cfg(not(loom))]
mod cell;

#[cfg(loom)]
pub(crate) use self::by_loom::*;
#[cfg(shuttle)]
pub(crate) use self::by_shuttle::*;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use self::by_std::*;
#[cfg(not(loom))]
pub(crate) use self::cell::UnsafeCell;
