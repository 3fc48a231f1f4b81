//! Numbers through small pipelines, as fast as they go.

#![allow(
    unreachable_pub,
    reason = "pipelines are written as users write theirs"
)]

use pipewright::{Blueprint, Builder, NoInput, pipeline};

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

pub(crate) fn fused(items: u64, workers: usize) -> Result<Option<u64>, String> {
    once(in_one_loop::pipeline(), items, workers)
}

pub(crate) fn keyed(items: u64, workers: usize) -> Result<Option<u64>, String> {
    once(by_key::pipeline(), items, workers)
}

/// Hands batches over from the beginning, also with one worker.
pub(crate) fn in_order(items: u64, workers: usize) -> Result<Option<u64>, String> {
    once(in_order::pipeline().in_parallel(), items, workers)
}

fn once<P: Blueprint<Env = u64, Input = NoInput>>(
    pipeline: Builder<P>,
    items: u64,
    workers: usize,
) -> Result<Option<u64>, String> {
    let report = pipeline.workers(workers).run(items);
    let report = report.map_err(|error| error.to_string())?;
    match report.ledger().is_balanced() {
        true => Ok(None),
        false => Err("the ledger does not balance".to_owned()),
    }
}
