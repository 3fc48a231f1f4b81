//! criterion: the linear pipeline against the loop by hand. For ratios use the `speed` binary, which pairs its runs.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipewright_benches::linear::{by_hand, by_hand_on_two, run_cut, run_serial};

const ITEMS: u64 = 20_000_000;

fn linear(c: &mut Criterion) {
    let mut group = c.benchmark_group("linear");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(ITEMS));
    group.bench_function("by_hand/1", |b| b.iter(|| by_hand(0..black_box(ITEMS))));
    group.bench_function("by_hand/2", |b| b.iter(|| by_hand_on_two(black_box(ITEMS))));
    for workers in [1, 2] {
        group.bench_function(format!("cut/{workers}"), |b| {
            b.iter(|| run_cut(black_box(ITEMS), workers))
        });
        group.bench_function(format!("serial/{workers}"), |b| {
            b.iter(|| run_serial(black_box(ITEMS), workers))
        });
    }
    group.finish();
}

criterion_group!(benches, linear);
criterion_main!(benches);
