//! Numbers through small pipelines, as fast as they go.

#![allow(
    unreachable_pub,
    reason = "pipelines are written as users write theirs"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use pipewright::{Blueprint, Builder, NoInput, pipeline};
use pipewright_bench::protocol::{Answer, Request};

use crate::{Trial, process, timeline};

/// Parts of the time that are told apart.
const WINDOWS: u64 = 10;

/// One loop: a nanosecond or two an item.
#[pipeline(env = u64)]
pub mod in_one_loop {
    #[source]
    pub fn numbers(env: &u64) -> std::ops::Range<u64> {
        0..*env
    }

    #[stage(from = numbers)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn mix(n: u64) -> u64 {
        let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        n ^ (n >> 29)
    }

    #[stage(from = mix)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn keep(n: &u64) -> bool {
        n.is_multiple_of(8)
    }

    #[sink(from = keep)]
    #[cfg_attr(feature = "profiling", inline(never))]
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
    #[cfg_attr(feature = "profiling", inline(never))]
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
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn mix(n: u64) -> u64 {
        let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        n ^ (n >> 29)
    }

    #[sink(from = mix)]
    #[cfg_attr(feature = "profiling", inline(never))]
    pub fn fold(n: u64, sum: &mut u64) {
        *sum = sum.rotate_left(5) ^ n;
    }
}

/// A pipeline that takes so many items on one worker.
type Counted = fn(u64) -> Result<(), String>;

/// What instructions are counted of. The last one hands batches over from the beginning.
pub(crate) const COUNTED: [(&str, Counted); 3] = [
    ("fused", |items| once(in_one_loop::pipeline(), items)),
    ("keyed", |items| once(by_key::pipeline(), items)),
    ("in-order", |items| {
        once(in_order::pipeline().in_parallel(), items)
    }),
];

fn once<P: Blueprint<Env = u64, Input = NoInput>>(
    pipeline: Builder<P>,
    items: u64,
) -> Result<(), String> {
    let report = pipeline
        .workers(1)
        .run(items)
        .map_err(|error| error.to_string())?;
    match report.ledger().is_balanced() {
        true => Ok(()),
        false => Err("the ledger does not balance".to_owned()),
    }
}

pub(crate) fn fused(request: &Request) -> Trial {
    repeat(request, in_one_loop::pipeline)
}

pub(crate) fn keyed(request: &Request) -> Trial {
    repeat(request, by_key::pipeline)
}

/// Runs of a length that the warm-up found, a tenth of the time each.
fn repeat<P: Blueprint<Env = u64, Input = NoInput>>(
    request: &Request,
    pipeline: fn() -> Builder<P>,
) -> Trial {
    let workers = request.workers.unwrap_or(1);
    let once = |items: u64| -> Result<Duration, String> {
        let begun = Instant::now();
        let report = pipeline().workers(workers).run(items);
        black_box(report.map_err(|error| error.to_string())?.ledger());
        Ok(begun.elapsed())
    };
    let window = Duration::from_millis(request.measure_ms) / WINDOWS as u32;
    let items = warm_up(Duration::from_millis(request.warmup_ms), window, once)?;
    let cpu = process::cpu_time();
    let begun = Instant::now();
    let mut windows = Vec::new();
    let mut timeline = Vec::new();
    for _ in 0..WINDOWS {
        windows.push(items as f64 / once(items)?.as_secs_f64());
        timeline.push(timeline::closed(begun, items));
    }
    let took = begun.elapsed();
    let cpu = process::cpu_time() - cpu;
    Ok(Answer {
        metrics: process::rates(items * WINDOWS, took, cpu),
        windows,
        timeline,
        ..Answer::default()
    })
}

/// Runs for at least so long; how many items take about as long as a window.
fn warm_up(
    during: Duration,
    window: Duration,
    once: impl Fn(u64) -> Result<Duration, String>,
) -> Result<u64, String> {
    let begun = Instant::now();
    let mut items = 1_000;
    loop {
        let took = once(items)?;
        let wanted = window.as_secs_f64() / took.as_secs_f64().max(1e-9);
        let near = (0.5..2.0).contains(&wanted);
        items = (items as f64 * wanted.clamp(0.1, 10.0)).max(1.0) as u64;
        if near && begun.elapsed() >= during {
            return Ok(items);
        }
    }
}
