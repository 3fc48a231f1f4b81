//! The whole runtime in random interleavings: pipelines as users write them, on threads that a schedule switches between.
//!
//! `cargo xtask shuttle` builds this with `--cfg shuttle` and runs it; without that there is nothing in it. Each test runs its
//! scenario in many schedules, half of them purely random and half by PCT (Burckhardt et al., "A randomized scheduler with
//! probabilistic guarantees of finding bugs", ASPLOS 2010). In every schedule the run must end, its ledger must balance, and
//! the sinks must have seen what a loop by hand gives. What ends in no schedule is a deadlock (nobody is woken) or takes too
//! many steps (somebody looks for ever); either fails the test, with the schedule in a file and the command that repeats it.
//!
//! shuttle takes every atomic operation as if it were `SeqCst`. What depends on weaker orderings is in the loom models.

#![cfg(shuttle)]
#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

mod harness;

mod calls;
mod futures;
mod guards;
mod hung;
mod memory;
mod order;
mod panics;
mod pinned;
mod polled;
mod pushed;
mod retuned;
mod together;
mod urgent;
