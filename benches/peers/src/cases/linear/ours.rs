//! pipewright, as its users write it.

use std::ops::Range;

use pipewright::{Merge, pipeline};

use super::{Record, Size, folded, kept, mixed, recorded};
use crate::harness::Contender;

/// The fold's state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

/// From a source that can be cut, with a sum for each worker.
#[pipeline(env = u64)]
pub mod cut {
    use super::*;

    #[source]
    pub fn numbers(env: &u64) -> Range<u64> {
        0..*env
    }

    #[stage(from = numbers)]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    #[stage(from = mix)]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    #[stage(from = keep)]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    #[sink(from = record, per_worker)]
    pub fn fold(record: Record, sum: &mut Sum) {
        sum.0 = folded(sum.0, &record);
    }
}

/// As [`cut`], with loops for the vector levels of x86-64.
#[pipeline(env = u64)]
pub mod vector {
    use super::*;

    #[source]
    pub fn numbers(env: &u64) -> Range<u64> {
        0..*env
    }

    #[stage(from = numbers, simd = [avx2, avx512])]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    #[stage(from = mix, simd = [avx2, avx512])]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    #[stage(from = keep, simd = [avx2, avx512])]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    #[sink(from = record, per_worker, simd = [avx2, avx512])]
    pub fn fold(record: Record, sum: &mut Sum) {
        sum.0 = folded(sum.0, &record);
    }
}

/// On two pinned threads with a ring between them, cut where the two-thread pipelines of the peers are.
#[pipeline(env = u64)]
pub mod pinned {
    use super::*;

    #[source(cores = "0", wait = spin)]
    pub fn numbers(env: &u64) -> Range<u64> {
        0..*env
    }

    #[stage(from = numbers, cores = "0")]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    #[stage(from = mix, cores = "0")]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    #[stage(from = keep, cores = "1", wait = spin)]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    #[sink(from = record, cores = "1")]
    pub fn fold(record: Record, sum: &mut Sum) {
        sum.0 = folded(sum.0, &record);
    }
}

/// From an iterator, with one sum that sees the records in order.
#[pipeline(env = u64)]
pub mod serial {
    use super::*;

    #[source]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    #[stage(from = numbers)]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    #[stage(from = mix)]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    #[stage(from = keep)]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    #[sink(from = record)]
    pub fn fold(record: Record, sum: &mut Sum) {
        sum.0 = folded(sum.0, &record);
    }
}

fn run_cut(items: u64, workers: usize) -> u64 {
    let report = cut::pipeline().workers(workers).run(items);
    let sum = report.expect("nothing fails").take_state::<cut::fold>();
    sum.expect("the sink has a state").0
}

fn run_vector(items: u64, workers: usize) -> u64 {
    let report = vector::pipeline().workers(workers).run(items);
    let sum = report.expect("nothing fails").take_state::<vector::fold>();
    sum.expect("the sink has a state").0
}

fn run_pinned(items: u64) -> u64 {
    let report = pinned::pipeline().run(items);
    let sum = report.expect("nothing fails").take_state::<pinned::fold>();
    sum.expect("the sink has a state").0
}

fn run_serial(items: u64, workers: usize) -> u64 {
    let report = serial::pipeline().workers(workers).run(items);
    let sum = report.expect("nothing fails").take_state::<serial::fold>();
    sum.expect("the sink has a state").0
}

pub(super) fn contenders(size: Size) -> Vec<Contender> {
    vec![
        Contender::ours("pipewright, range, 1 worker", size.work(|n| run_cut(n, 1))),
        Contender::ours("pipewright, range, 2 workers", size.work(|n| run_cut(n, 2))),
        Contender::ours(
            "pipewright, simd, 1 worker",
            size.work(|n| run_vector(n, 1)),
        ),
        Contender::ours(
            "pipewright, simd, 2 workers",
            size.work(|n| run_vector(n, 2)),
        ),
        Contender::ours("pipewright, 2 pinned stages", size.work(run_pinned)),
        Contender::ours(
            "pipewright, iterator in order, 1 worker",
            size.work(|n| run_serial(n, 1)),
        ),
        Contender::ours(
            "pipewright, iterator in order, 2 workers",
            size.work(|n| run_serial(n, 2)),
        ),
    ]
}
