//! Faults at random, by seed, while a run works: every item is delivered once or accounted for, in order, and nothing stays behind.
//!
//! A tenth of the faults by default; `PIPEWRIGHT_FULL=1`, as `cargo xtask chaos` sets it, has all of them. `PIPEWRIGHT_SEED` repeats a run.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

mod clocks;
mod deaths;
mod hung;
mod items;
mod mixed;
mod scarce;
mod slow;
mod starved;
mod storm;
mod traces;
