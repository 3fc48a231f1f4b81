//! Prints the allocations of steady state: `cargo run --release -p pipewright-benches --bin allocations`.
//!
//! A counting allocator is read when the sink takes its millionth item and again ten million items later; what lies
//! between is steady state. Exits with 1 if there are any.

#![forbid(unsafe_code)]

use std::{alloc::System, process::ExitCode};

use pipewright_benches::steady::{CASES, Items, allocations};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ITEMS: Items = Items {
    warm: 1_000_000,
    steady: 10_000_000,
};

fn main() -> ExitCode {
    println!(
        "allocations while the sink takes {} items, after {}",
        ITEMS.steady, ITEMS.warm
    );
    let mut clean = true;
    for workers in [1, 2] {
        for case in CASES {
            let count = allocations(case, workers, ITEMS, counted);
            println!("  {:<28} {workers} workers   {count}", case.0);
            clean &= count == 0;
        }
    }
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn counted() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}
