//! Numbers through small pipelines, as fast as they go.

#![allow(
    unreachable_pub,
    reason = "pipelines are written as users write theirs"
)]

use pipewright::{Blueprint, Builder, NoInput, pipeline};
use pipewright_bench::trial::Lot;

/// One loop: a nanosecond or two an item.
#[pipeline(env = u64)]
pub mod in_one_loop {
    #[source]
    pub fn numbers(env: &u64) -> std::ops::Range<u64> {
        0..*env
    }

    #[stage(from = numbers)]
    pub fn mix(n: u64) -> u64 {
        let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        n ^ (n >> 29)
    }

    #[stage(from = mix)]
    pub fn keep(n: &u64) -> bool {
        n.is_multiple_of(8)
    }

    #[sink(from = keep)]
    pub fn fold(n: u64, sum: &mut u64) {
        *sum = sum.rotate_left(5) ^ n;
    }
}

/// A state for each of a thousand keys.
#[pipeline(env = u64)]
pub mod by_key {
    #[source]
    pub fn numbers(env: &u64) -> std::ops::Range<u64> {
        0..*env
    }

    #[sink(from = numbers, key = |n| n % 1000)]
    pub fn fold(n: u64, sum: &mut u64) {
        *sum = sum.rotate_left(5) ^ n;
    }
}

/// A serial state in order, behind work that any worker may do.
#[pipeline(env = u64)]
pub mod in_order {
    #[source]
    pub fn numbers(env: &u64) -> std::ops::Range<u64> {
        0..*env
    }

    #[stage(from = numbers)]
    pub fn mix(n: u64) -> u64 {
        let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        n ^ (n >> 29)
    }

    #[sink(from = mix)]
    pub fn fold(n: u64, sum: &mut u64) {
        *sum = sum.rotate_left(5) ^ n;
    }
}

pub(crate) fn fused(lot: Lot) -> Result<Option<u64>, String> {
    once(in_one_loop::pipeline(), lot)
}

pub(crate) fn keyed(lot: Lot) -> Result<Option<u64>, String> {
    once(by_key::pipeline(), lot)
}

/// Hands batches over from the beginning, also with one worker.
pub(crate) fn in_order(lot: Lot) -> Result<Option<u64>, String> {
    once(in_order::pipeline().in_parallel(), lot)
}

/// For who counts instructions: what ends a batch is its size and not its time, of which an emulator takes fifty times as much, and
/// more when the machine is busy.
const WITHOUT_CLOCK: &str = "(quantum: \"10ms\")";

fn once<P: Blueprint<Env = u64, Input = NoInput>>(
    mut pipeline: Builder<P>,
    lot: Lot,
) -> Result<Option<u64>, String> {
    if !lot.timed {
        let tuned = pipeline.tuning("what is counted", WITHOUT_CLOCK);
        pipeline = tuned.map_err(|error| error.to_string())?;
    }
    let report = pipeline.workers(lot.workers).run(lot.items);
    let report = report.map_err(|error| error.to_string())?;
    match report.ledger().is_balanced() {
        true => Ok(None),
        false => Err("the ledger does not balance".to_owned()),
    }
}
