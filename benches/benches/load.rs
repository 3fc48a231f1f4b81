//! What several threads cost, how latency grows with the load, and memory: patterns of access, and a cache.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    reason = "pipelines of a benchmark are written as users write theirs"
)]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pipewright::pipeline;
use pipewright_benches::{
    cached::Shelf,
    load::{Load, rounds_of},
    tasks::{Sum, send_together},
};

/// Threads that stay send 1,000 empty tasks each in batches of 64; the time from their common start until all are done.
fn thread_scaling(c: &mut Criterion) {
    const EACH: u64 = 1000;
    let mut group = c.benchmark_group("thread_scaling");
    for threads in [1u64, 2, 4, 8] {
        group.throughput(Throughput::Elements(threads * EACH));
        group.bench_function(BenchmarkId::from_parameter(threads), |b| {
            b.iter_custom(|rounds| send_together(threads, EACH, 64, rounds).iter().sum());
        });
    }
}

/// Poisson arrivals of 20 us of work at shares of what one worker can do; what one sample measures is the median latency. At
/// load factor 5.0 most requests are shed, which `try_send` says.
fn load_factors(c: &mut Criterion) {
    const SERVICE: Duration = Duration::from_micros(20);
    let mut group = c.benchmark_group("latency_p50_by_load_factor");
    group.sample_size(10);
    let rounds_each = rounds_of(SERVICE);
    for factor in [0.5, 0.8, 0.95, 1.0, 2.0, 5.0] {
        group.bench_function(BenchmarkId::from_parameter(factor), |b| {
            b.iter_custom(|rounds| {
                let load = |seed| Load {
                    count: 2000,
                    rounds: rounds_each,
                    gap: SERVICE.div_f64(factor),
                    seed,
                };
                (0..rounds)
                    .map(|seed| load(seed).run(1).quantile(0.5))
                    .sum()
            });
        });
    }
}

/// Where a stage reads in a table that does not fit into the caches.
#[pipeline(env = Table)]
mod reads {
    use super::*;

    #[source]
    pub fn places(env: &Table) -> Vec<u32> {
        env.places.clone()
    }

    #[sink(from = places, per_worker, order = any)]
    pub fn read(place: u32, env: &Table, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(env.words[place as usize]);
    }
}

/// A table, and the order in which it is read.
#[derive(Clone)]
pub struct Table {
    words: Arc<[u64]>,
    places: Vec<u32>,
}

/// Words of the table: 64 MiB.
const WORDS: u32 = 8 << 20;

/// A multiplier that is 1 mod 4 and an odd addend visit every place once (Hull and Dobell, 1962).
fn scattered(n: u32) -> u32 {
    n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % WORDS
}

/// The place that is read n-th.
type Place = fn(u32) -> u32;

fn memory_patterns(c: &mut Criterion) {
    let words: Arc<[u64]> = (0..u64::from(WORDS)).collect();
    let patterns: [(&str, Place); 3] = [
        ("sequential", |n| n),
        ("random", scattered),
        ("bursts of 64", |n| (scattered(n / 64) & !63) + n % 64),
    ];
    let mut group = c.benchmark_group("memory_pattern");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(1 << 20));
    for (name, place) in patterns {
        let table = Table {
            words: Arc::clone(&words),
            places: (0..1 << 20).map(place).collect(),
        };
        group.bench_function(name, |b| {
            b.iter_batched(
                || table.clone(),
                |table| {
                    let run = reads::pipeline()
                        .workers(2)
                        .start(table)
                        .expect("the workers can be started");
                    black_box(
                        run.wait()
                            .expect("no stage fails")
                            .take_state::<reads::read>(),
                    )
                },
                criterion::BatchSize::LargeInput,
            );
        });
    }
}

fn cache(c: &mut Criterion) {
    let shelf = Shelf::new(1 << 20);
    let mut group = c.benchmark_group("cache");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(1 << 20));
    for (name, set) in [("get", false), ("set", true)] {
        for workers in [1, 2] {
            let mut shelf = shelf.clone();
            shelf.set = set;
            group.bench_function(BenchmarkId::new(name, workers), |b| {
                b.iter(|| black_box(shelf.touch_all(workers)));
            });
        }
    }
}

criterion_group! {
    name = load;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = thread_scaling, load_factors, memory_patterns, cache
}
criterion_main!(load);
