//! Whole pipelines: idling, allocations, tasks, a cache, threads, load, memory.

use std::{
    fs,
    time::{Duration, Instant},
};

use pipewright::Priority;

use super::{Plan, Reading, nanoseconds};
use crate::{
    cached::Shelf,
    idle,
    load::{Load, rounds_of},
    steady::{self, CASES, FUTURES, Items},
    tasks::{Pool, send_together},
};

pub(super) fn idle(plan: &Plan) -> Vec<Reading> {
    // One long look tells more than several short ones.
    let time = Duration::from_secs(if plan.quick { 1 } else { 10 });
    let (starts, drains) = idle::starts_and_drains(plan.n(101) as usize);
    let idling = match idle::idle(time) {
        Some(idling) => [
            Reading::new("B18.cpu", vec![idling.cpu_pct]),
            Reading::new("B18.wakes", vec![idling.wakes]),
        ],
        None => ["B18.cpu", "B18.wakes"]
            .map(|key| Reading::unknown(key, "the system does not count threads")),
    };
    let times = [
        Reading::new("B18.start", starts),
        Reading::new("B18.drain", drains),
    ];
    idling.into_iter().chain(times).collect()
}

pub(super) fn allocations(plan: &Plan) -> Vec<Reading> {
    let items = Items {
        warm: plan.n(1_000_000),
        steady: plan.n(5_000_000),
    };
    let mut count = 0;
    for workers in [1, 2] {
        for case in CASES {
            count += steady::allocations(case, workers, items, plan.allocations);
        }
    }
    vec![Reading::new("B19", vec![count as f64])]
}

pub(super) fn futures(plan: &Plan) -> Vec<Reading> {
    let items = Items {
        warm: plan.n(200_000),
        steady: plan.n(1_000_000),
    };
    let of = |workers| steady::allocations(FUTURES, workers, items, plan.allocations);
    let count = of(1) + of(2);
    let allocations = Reading::new("B17.allocations", vec![count as f64]);
    let ready = super::fused::ready(plan);
    vec![ready, allocations]
}

pub(super) fn tasks(plan: &Plan) -> Vec<Reading> {
    let (pool, n) = (Pool::new(2), plan.n(1_000_000));
    let each = plan.each(n, |n| {
        let begun = Instant::now();
        pool.perform(Priority::Normal, n, 0);
        begun.elapsed()
    });
    let rates = each.iter().map(|time| 1e9 / time).collect();
    vec![
        Reading::new("tasks.item", each),
        Reading::new("tasks.rate", rates),
    ]
}

pub(super) fn cache(plan: &Plan) -> Vec<Reading> {
    let n = plan.n(4 << 20);
    let shelf = Shelf::new(n);
    let each = plan.each(n, |_| {
        let begun = Instant::now();
        std::hint::black_box(shelf.touch_all(1));
        begun.elapsed()
    });
    vec![Reading::new("cache", each)]
}

pub(super) fn threads(plan: &Plan) -> Vec<Reading> {
    const BATCH: u64 = 64;
    let rounds = plan.n(100);
    let us = |times: Vec<Duration>| times.into_iter().map(|time| nanoseconds(time) / 1e3);
    let of = |key, threads, each, batch| {
        let times = send_together(threads, each, batch, rounds);
        Reading::new(key, us(times).collect())
    };
    vec![
        of("threads.one_by_one", 8, 100, 1),
        of("threads.1", 1, 1000, BATCH),
        of("threads.2", 2, 1000, BATCH),
        of("threads.4", 4, 1000, BATCH),
        of("threads.8", 8, 1000, BATCH),
    ]
}

/// What came of a load: p50, p95 and p99 in microseconds, and how much was shed, in percent.
fn loaded(plan: &Plan, factor: f64) -> Vec<[f64; 4]> {
    const SERVICE: Duration = Duration::from_micros(2);
    const QUEUE: u32 = 32;
    let mut seed = 0;
    plan.rounds(|| {
        seed += 1;
        let gap = SERVICE.div_f64(factor);
        let load = Load {
            // Long enough that both threads have been running for most of it.
            count: plan.n(1_000_000_000) / gap.as_nanos().max(1) as u64,
            rounds: rounds_of(SERVICE),
            gap,
            seed,
        };
        let outcome = load.run_with_queue(1, QUEUE);
        let us = |share| nanoseconds(outcome.quantile(share)) / 1e3;
        let shed = outcome.shed as f64 / outcome.offered as f64 * 100.0;
        [us(0.5), us(0.95), us(0.99), shed]
    })
}

pub(super) fn load(plan: &Plan) -> Vec<Reading> {
    let at = |factor, keys: [&'static str; 4]| {
        let rounds = loaded(plan, factor);
        let reading = |(i, key)| {
            let values = rounds.iter().map(|round: &[f64; 4]| round[i]);
            Reading::new(key, values.collect())
        };
        keys.into_iter()
            .enumerate()
            .map(reading)
            .collect::<Vec<_>>()
    };
    let mut all = at(
        1.0,
        ["load.1.p50", "load.1.p95", "load.1.p99", "load.1.shed"],
    );
    all.extend(at(
        5.0,
        ["load.5.p50", "load.5.p95", "load.5.p99", "load.5.shed"],
    ));
    all
}

pub(super) fn memory(_: &Plan) -> Vec<Reading> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| {
        let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?;
        kib.trim().parse::<f64>().ok()
    });
    vec![match most {
        Some(kib) => Reading::new("memory", vec![kib / 1024.0]),
        None => Reading::unknown("memory", "the system does not count it"),
    }]
}
