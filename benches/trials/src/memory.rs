//! `trial` with an allocator that counts.

#![forbid(unsafe_code)]

use std::{alloc::System, process::ExitCode};

use pipewright_bench::trial::Counted;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    pipewright_trials::trials(Some(counted)).main()
}

fn counted() -> Counted {
    let stats = ALLOCATOR.stats();
    Counted {
        allocations: (stats.allocations + stats.reallocations) as u64,
        bytes: stats.bytes_allocated as u64,
        live: stats.bytes_allocated as i64 - stats.bytes_deallocated as i64,
    }
}
