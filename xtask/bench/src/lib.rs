//! Benchmarks whose verdicts can be trusted: load, statistics, comparisons and reports.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::print_stdout))]

mod built;

pub mod load;
pub mod protocol;
pub mod random;
pub mod trial;

#[cfg(feature = "shared")]
pub mod canary;
#[cfg(feature = "shared")]
pub mod fingerprint;
#[cfg(feature = "shared")]
pub mod stats;
#[cfg(feature = "shared")]
pub mod whole;

#[cfg(feature = "tool")]
mod breaking;
#[cfg(feature = "tool")]
mod commands;
#[cfg(feature = "tool")]
mod details;
#[cfg(feature = "tool")]
mod error;
#[cfg(feature = "tool")]
mod findings;
#[cfg(feature = "tool")]
mod guards;
#[cfg(feature = "tool")]
mod history;
#[cfg(feature = "tool")]
mod limit;
#[cfg(feature = "tool")]
mod machine;
#[cfg(feature = "tool")]
mod memory;
#[cfg(feature = "tool")]
mod metrics;
#[cfg(feature = "tool")]
mod process;
#[cfg(feature = "tool")]
mod results;
#[cfg(all(test, feature = "tool"))]
mod schema;
#[cfg(feature = "tool")]
mod session;
#[cfg(feature = "tool")]
mod targets;
#[cfg(feature = "tool")]
mod verdict;

/// Runs the command that was typed, and says how it ended: 0 if everything is as it should be, 1 if a tool failed, 2 for what was
/// typed wrongly, 10 for a regression, 11 for a missed target, 12 for more allocations, instructions or code than there may be, 13
/// and 14 for what is inconclusive, or refused or skipped, where that is denied, 14 also for what cannot be compared at all, 15 without a
/// baseline, 30 for a selftest that failed, 130 if it was interrupted.
#[cfg(feature = "tool")]
pub fn main() -> std::process::ExitCode {
    commands::main()
}
