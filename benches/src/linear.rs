//! The linear pipeline: mix, filter 1 in 8, build a 64-byte record, fold. About a nanosecond an item.

use std::{ops::Range, thread};

use pipewright::{Level, Merge, pipeline};

/// A record of one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Record([u64; 8]);

/// The fold's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(pub u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

#[inline(always)]
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    n ^ (n >> 29)
}

#[inline(always)]
fn kept(n: &u64) -> bool {
    n.is_multiple_of(8)
}

#[inline(always)]
fn recorded(n: u64) -> Record {
    Record(std::array::from_fn(|k| {
        n.rotate_left(8 * k as u32) ^ k as u64
    }))
}

#[inline(always)]
fn folded(record: Record, sum: &mut Sum) {
    let words = record.0.iter().enumerate();
    sum.0 = words.fold(sum.0, |sum, (k, word)| {
        sum.wrapping_add(word.wrapping_mul(2 * k as u64 + 1))
    });
}

/// The loop that an expert writes by hand.
#[inline(never)]
pub fn by_hand(range: Range<u64>) -> Sum {
    range
        .map(mixed)
        .filter(kept)
        .map(recorded)
        .fold(Sum::default(), |mut sum, record| {
            folded(record, &mut sum);
            sum
        })
}

/// The same on two threads, each with its half.
pub fn by_hand_on_two(items: u64) -> Sum {
    thread::scope(|scope| {
        let other = scope.spawn(|| by_hand(0..items / 2));
        let mut sum = by_hand(items / 2..items);
        sum.merge(other.join().expect("the loop does not panic"));
        sum
    })
}

/// The parts of the pipeline, for loops by hand.
pub mod parts {
    use super::{Record, Sum};

    /// Scrambles a number.
    #[inline(always)]
    pub fn mix(n: u64) -> u64 {
        super::mixed(n)
    }

    /// Keeps one in eight.
    #[inline(always)]
    pub fn keep(n: &u64) -> bool {
        super::kept(n)
    }

    /// Makes a record of a number.
    #[inline(always)]
    pub fn record(n: u64) -> Record {
        super::recorded(n)
    }

    /// Adds a record up.
    #[inline(always)]
    pub fn fold(record: Record, sum: &mut Sum) {
        super::folded(record, sum);
    }
}

/// From a source that can be cut, with a sum per worker.
#[pipeline(env = u64)]
pub mod cut {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &u64) -> Range<u64> {
        0..*env
    }

    /// Scrambles a number.
    #[stage(from = numbers)]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    /// Keeps one in eight.
    #[stage(from = mix)]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    /// Makes a record of it.
    #[stage(from = keep)]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    /// Adds it up.
    #[sink(from = record, per_worker)]
    pub fn fold(record: Record, sum: &mut Sum) {
        folded(record, sum);
    }
}

/// As [`cut`], compiled for vector levels: blocks go through `mix` and `keep`.
#[pipeline(env = u64)]
pub mod vector {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &u64) -> Range<u64> {
        0..*env
    }

    /// Scrambles a number.
    #[stage(from = numbers, simd = [avx2, avx512])]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    /// Keeps one in eight.
    #[stage(from = mix, simd = [avx2, avx512])]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    /// Makes a record of it.
    #[stage(from = keep, simd = [avx2, avx512])]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    /// Adds it up.
    #[sink(from = record, per_worker, simd = [avx2, avx512])]
    pub fn fold(record: Record, sum: &mut Sum) {
        folded(record, sum);
    }
}

/// From an iterator, with one sum that sees the records in order.
#[pipeline(env = u64)]
pub mod serial {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// Scrambles a number.
    #[stage(from = numbers)]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    /// Keeps one in eight.
    #[stage(from = mix)]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    /// Makes a record of it.
    #[stage(from = keep)]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    /// Adds it up.
    #[sink(from = record)]
    pub fn fold(record: Record, sum: &mut Sum) {
        folded(record, sum);
    }
}

/// On two threads, each with a half of the stages.
#[pipeline(env = u64)]
pub mod pinned {
    use super::*;

    /// The numbers.
    #[source(cores = "0", wait = spin)]
    pub fn numbers(env: &u64) -> Range<u64> {
        0..*env
    }

    /// Scrambles a number.
    #[stage(from = numbers, cores = "0")]
    pub fn mix(n: u64) -> u64 {
        mixed(n)
    }

    /// Keeps one in eight.
    #[stage(from = mix, cores = "0")]
    pub fn keep(n: &u64) -> bool {
        kept(n)
    }

    /// Makes a record of it.
    #[stage(from = keep, cores = "1", wait = spin)]
    pub fn record(n: u64) -> Record {
        recorded(n)
    }

    /// Adds it up.
    #[sink(from = record, cores = "1")]
    pub fn fold(record: Record, sum: &mut Sum) {
        folded(record, sum);
    }
}

/// Runs the pipeline on two threads.
///
/// # Panics
///
/// If the run fails, which it has no reason to.
pub fn run_pinned(items: u64) -> Sum {
    let mut report = pinned::pipeline().run(items).expect("nothing fails");
    report
        .take_state::<pinned::fold>()
        .expect("the sink has a state")
}

/// Runs the pipeline whose source can be cut.
///
/// # Panics
///
/// If the run fails, which it has no reason to.
pub fn run_cut(items: u64, workers: usize) -> Sum {
    let mut report = cut::pipeline()
        .workers(workers)
        .run(items)
        .expect("nothing fails");
    report
        .take_state::<cut::fold>()
        .expect("the sink has a state")
}

/// Runs the pipeline that is compiled for vector levels, with the levels up to `most`.
///
/// # Panics
///
/// If the run fails, which it has no reason to.
pub fn run_vector(items: u64, workers: usize, most: Level) -> Sum {
    let mut report = vector::pipeline()
        .workers(workers)
        .simd_up_to(most)
        .run(items)
        .expect("nothing fails");
    report
        .take_state::<vector::fold>()
        .expect("the sink has a state")
}

/// Runs the pipeline with the iterator.
///
/// # Panics
///
/// If the run fails, which it has no reason to.
pub fn run_serial(items: u64, workers: usize) -> Sum {
    let mut report = serial::pipeline()
        .workers(workers)
        .run(items)
        .expect("nothing fails");
    report
        .take_state::<serial::fold>()
        .expect("the sink has a state")
}
