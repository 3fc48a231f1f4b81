//! Tasks that threads send: what starting, sending, priorities, sizes and threads cost.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pipewright::Priority;
use pipewright_benches::tasks::{
    Done, Load, Pool, bytes_64, bytes_256, bytes_1024, bytes_4096, bytes_16384, made,
};

/// Rounds of work of a small task.
const SMALL: u64 = 10;

fn creation(c: &mut Criterion) {
    let mut group = c.benchmark_group("scheduler_creation");
    for workers in [1, 2, 4, 8, 16] {
        group.bench_with_input(
            BenchmarkId::from_parameter(workers),
            &workers,
            |b, &workers| {
                b.iter_with_large_drop(|| Pool::new(workers));
            },
        );
    }
}

fn life_cycle(c: &mut Criterion) {
    c.bench_function("life_cycle/start, one task, drain", |b| {
        b.iter(|| {
            let pool = Pool::new(2);
            pool.perform(Priority::Normal, 1, SMALL);
        });
    });
}

fn submission(c: &mut Criterion) {
    let mut group = c.benchmark_group("task_submission");
    group.throughput(Throughput::Elements(1000));
    for workers in [1, 2, 4, 8] {
        let pool = Pool::new(workers);
        group.bench_function(BenchmarkId::new("workers", workers), |b| {
            b.iter(|| pool.perform(Priority::Normal, 1000, SMALL));
        });
    }
    let pool = Pool::new(2);
    for priority in [
        Priority::Critical,
        Priority::High,
        Priority::Normal,
        Priority::Low,
    ] {
        group.bench_function(BenchmarkId::new("priority", priority), |b| {
            b.iter(|| pool.perform(priority, 1000, SMALL));
        });
    }
}

/// Critical tasks while normal ones keep the workers busy.
fn priority_aware(c: &mut Criterion) {
    let mut group = c.benchmark_group("priority_aware_execution");
    for workers in [1, 2] {
        let pool = Pool::new(workers);
        group.bench_function(BenchmarkId::new("mixed lanes", workers), |b| {
            b.iter(|| {
                let input = pool.input();
                let lanes = [
                    Priority::Low,
                    Priority::Normal,
                    Priority::High,
                    Priority::Critical,
                ];
                for n in 0..1000 {
                    input
                        .send_at(lanes[n % 4], SMALL)
                        .expect("the pipeline runs");
                }
                pool.wait(1000);
            });
        });
    }
}

macro_rules! size {
    ($group:ident, $name:ident, $bytes:literal) => {
        let done = Done::default();
        let run = $name::pipeline()
            .workers(2)
            .start(done.clone())
            .expect("the workers can be started");
        $group.throughput(Throughput::Bytes($bytes * 100));
        $group.bench_function(BenchmarkId::from_parameter($bytes), |b| {
            b.iter(|| {
                for n in 0..100 {
                    run.send(Box::new([n; $bytes / 8]))
                        .expect("the pipeline runs");
                }
                done.wait(100);
            });
        });
    };
}

fn data_sizes(c: &mut Criterion) {
    let mut group = c.benchmark_group("data_size");
    size!(group, bytes_64, 64);
    size!(group, bytes_256, 256);
    size!(group, bytes_1024, 1024);
    size!(group, bytes_4096, 4096);
    size!(group, bytes_16384, 16384);
}

fn concurrent(c: &mut Criterion) {
    let mut group = c.benchmark_group("concurrent_submission");
    for threads in [1, 2, 4, 8] {
        let pool = Pool::new(2);
        group.throughput(Throughput::Elements(threads * 1000));
        group.bench_function(BenchmarkId::new("threads", threads), |b| {
            b.iter(|| pool.perform_from(threads, 1000, SMALL));
        });
    }
}

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("throughput");
    group.sample_size(20);
    let pool = Pool::new(2);
    for count in [1000, 1_000_000] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("one by one", count), |b| {
            b.iter(|| pool.perform(Priority::Normal, count, 0));
        });
        group.bench_function(BenchmarkId::new("batches of 64", count), |b| {
            b.iter(|| pool.perform_batches(count, 0));
        });
    }
}

fn stealing(c: &mut Criterion) {
    let mut group = c.benchmark_group("uneven_load");
    for (name, uneven) in [("even", false), ("one in 64 is heavy", true)] {
        for workers in [1, 2, 4] {
            // The same work in sum.
            let rounds = if uneven { 500 } else { 992 };
            let load = Load {
                count: 64 * 100,
                rounds,
                uneven,
            };
            group.bench_function(BenchmarkId::new(name, workers), |b| {
                b.iter(|| {
                    let run = made::pipeline()
                        .workers(workers)
                        .start(load)
                        .expect("the workers can be started");
                    let mut report = run.wait().expect("no stage fails");
                    black_box(report.take_state::<made::perform>())
                });
            });
        }
    }
}

criterion_group! {
    name = tasks;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    targets = creation, life_cycle, submission, priority_aware, data_sizes, concurrent, throughput, stealing
}
criterion_main!(tasks);
