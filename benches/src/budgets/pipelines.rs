//! The pipelines that budgets are measured on.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use pipewright::{Batch, pipeline};

use crate::tasks::{Sum, work};

#[inline(always)]
fn mixed<const K: u32>(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ K as u64);
    n ^ (n >> (20 + K))
}

/// The loop of [`chain`] by hand.
#[inline(never)]
pub fn chain_by_hand(items: Range<u64>) -> u64 {
    let mut sum = 0u64;
    for n in items {
        let n = mixed::<5>(mixed::<4>(mixed::<3>(mixed::<2>(mixed::<1>(n)))));
        sum = sum.wrapping_add(n);
    }
    sum
}

/// A source, five maps and a sink: one loop.
#[pipeline(env = u64)]
pub mod chain {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// The first of five.
    #[stage(from = numbers)]
    pub fn one(n: u64) -> u64 {
        mixed::<1>(n)
    }

    /// The second.
    #[stage(from = one)]
    pub fn two(n: u64) -> u64 {
        mixed::<2>(n)
    }

    /// The third.
    #[stage(from = two)]
    pub fn three(n: u64) -> u64 {
        mixed::<3>(n)
    }

    /// The fourth.
    #[stage(from = three)]
    pub fn four(n: u64) -> u64 {
        mixed::<4>(n)
    }

    /// The fifth.
    #[stage(from = four)]
    pub fn five(n: u64) -> u64 {
        mixed::<5>(n)
    }

    /// Adds it up.
    #[sink(from = five, order = any, per_worker)]
    pub fn add(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(n);
    }
}

/// Stages that do nothing, one item at a time.
#[pipeline(env = u64)]
pub mod empty {
    use super::*;

    /// The numbers.
    #[source(batch = 1)]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// Passes it on.
    #[stage(from = numbers)]
    pub fn pass(n: u64) -> u64 {
        n
    }

    /// Keeps the last one.
    #[sink(from = pass, order = any, per_worker)]
    pub fn last(n: u64, sum: &mut Sum) {
        sum.0 = n;
    }
}

/// The loop of [`carried`] by hand.
#[inline(never)]
pub fn carried_by_hand(items: Range<u64>) -> u64 {
    items.fold(0, |sum, n| sum.wrapping_add(mixed::<1>(n)))
}

/// Items of 8 bytes in carriers of 512.
#[pipeline(env = u64)]
pub mod carried {
    use super::*;

    /// The numbers.
    #[source(batch = 512)]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// Adds it up.
    #[sink(from = numbers, order = any, per_worker)]
    pub fn add(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(mixed::<1>(n));
    }
}

/// Futures that are ready at once.
#[pipeline(env = u64)]
pub mod ready {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// Waits for nothing.
    #[stage(from = numbers)]
    pub async fn mix(n: u64) -> u64 {
        mixed::<1>(n)
    }

    /// Adds it up.
    #[sink(from = mix, order = any, per_worker)]
    pub fn add(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(n);
    }
}

/// A record of a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Record([u64; 8]);

#[inline(always)]
fn recorded(n: u64) -> Record {
    Record(std::array::from_fn(|k| n.rotate_left(8 * k as u32)))
}

#[inline(always)]
fn summed(record: &Record) -> u64 {
    record
        .0
        .iter()
        .fold(0, |sum, word| (sum ^ word).wrapping_mul(0x9E37_79B9))
}

/// The loop of [`carried_64`] by hand.
#[inline(never)]
pub fn carried_64_by_hand(items: Range<u64>) -> u64 {
    items.fold(0, |sum, n| sum.wrapping_add(summed(&recorded(n))))
}

/// Items of 64 bytes in carriers of 512.
#[pipeline(env = u64)]
pub mod carried_64 {
    use super::*;

    /// The records.
    #[source(batch = 512)]
    pub fn records(env: &u64) -> impl Iterator<Item = Record> + use<> {
        (0..*env).map(recorded)
    }

    /// Adds it up.
    #[sink(from = records, order = any, per_worker)]
    pub fn add(record: Record, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(summed(&record));
    }
}

/// [`empty`] with a second reader that has one state, behind a gate.
#[pipeline(env = u64)]
pub mod broadcast {
    use super::*;

    /// The numbers.
    #[source(batch = 1)]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// Passes it on.
    #[stage(from = numbers)]
    pub fn pass(n: u64) -> u64 {
        n
    }

    /// Keeps the last one.
    #[sink(from = pass, order = any, per_worker)]
    pub fn last(n: u64, sum: &mut Sum) {
        sum.0 = n;
    }

    /// Sees all of them.
    #[sink(from = pass, order = any)]
    pub fn seen(n: u64, last: &mut u64) {
        *last = n;
    }
}

/// The loop of [`route`] by hand.
#[inline(never)]
pub fn route_by_hand(items: Range<u64>) -> [u64; 2] {
    let mut sums = [0u64; 2];
    for n in items {
        match way(n) {
            route::Way::Even(n) => sums[0] = sums[0].wrapping_add(n),
            route::Way::Odd(n) => sums[1] = sums[1].wrapping_add(n >> 1),
        }
    }
    sums
}

#[inline(always)]
fn way(n: u64) -> route::Way {
    let n = mixed::<1>(n);
    if n.is_multiple_of(4) {
        route::Way::Even(n)
    } else {
        route::Way::Odd(n)
    }
}

/// Two doors in one loop.
#[pipeline(env = u64)]
pub mod route {
    use super::*;

    /// Where a number goes.
    #[derive(Debug)]
    pub enum Way {
        /// One in four.
        Even(u64),
        /// The others.
        Odd(u64),
    }

    /// The numbers.
    #[source]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// Chooses.
    #[stage(from = numbers)]
    pub fn choose(n: u64) -> Way {
        way(n)
    }

    /// Adds up one in four.
    #[sink(from = choose::Even, order = any, per_worker)]
    pub fn even(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(n);
    }

    /// Adds up the others.
    #[sink(from = choose::Odd, order = any, per_worker)]
    pub fn odd(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(n >> 1);
    }
}

/// About 50 ns of arithmetic an item, from a source that can be cut.
#[pipeline(env = u64)]
pub mod compute {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &u64) -> Range<u64> {
        0..*env
    }

    /// The work.
    #[sink(from = numbers, order = any, per_worker)]
    pub fn perform(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(crate::heavy::work(n));
    }
}

/// When the last item reached its stage, in nanoseconds after a common beginning; 0: not yet.
#[derive(Clone, Debug)]
pub struct Arrival {
    epoch: Instant,
    at: Arc<AtomicU64>,
}

impl Arrival {
    /// None yet.
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            at: Arc::default(),
        }
    }

    /// Now, on its clock.
    pub fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// An item is here.
    pub fn here(&self) {
        self.at.store(self.now(), Ordering::Release);
    }

    /// Waits until one is, and says when that was.
    pub fn wait(&self) -> u64 {
        loop {
            match self.at.swap(0, Ordering::Acquire) {
                0 => std::hint::spin_loop(),
                at => return at,
            }
        }
    }
}

impl Default for Arrival {
    fn default() -> Self {
        Self::new()
    }
}

/// One stage that notes when an item came.
#[pipeline(env = Arrival)]
pub mod arriving {
    use super::*;

    /// Notes it.
    #[sink(from = input, order = any)]
    pub fn note(_: (), env: &Arrival) {
        env.here();
    }
}

/// Latencies in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Arc<Mutex<Vec<u64>>>);

impl Latencies {
    /// One more.
    pub fn add(&self, since: Instant) {
        let time = since.elapsed().as_nanos() as u64;
        self.0.lock().expect("adding does not panic").push(time);
    }

    /// All, in nanoseconds.
    pub fn take(&self) -> Vec<f64> {
        let mut all = self.0.lock().expect("adding does not panic");
        all.drain(..).map(|time| time as f64).collect()
    }
}

/// What keeps workers busy while urgent items come.
#[derive(Clone, Debug, Default)]
pub struct Busy {
    /// Of urgent items, from sending to here.
    pub latencies: Latencies,
    /// Rounds of [`work`] of a normal item.
    pub rounds: u64,
    /// Ends the normal items.
    pub over: Arc<std::sync::atomic::AtomicBool>,
}

/// Normal items without end, and urgent ones that are sent.
#[pipeline(env = Busy)]
pub mod urgent {
    use super::*;

    /// Normal items, until it is over.
    #[source]
    pub fn normal(env: &Busy) -> impl Iterator<Item = u64> + use<> {
        let Busy { rounds, over, .. } = env.clone();
        std::iter::from_fn(move || (!over.load(Ordering::Relaxed)).then_some(rounds))
    }

    /// The work of a normal item.
    #[sink(from = normal, order = any, per_worker)]
    pub fn perform(rounds: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(work(rounds));
    }

    /// Notes how long an urgent item took to get here.
    #[sink(from = input, order = any)]
    pub fn start(sent: Instant, env: &Busy) {
        env.latencies.add(sent);
    }
}

/// Items of which a few linger.
#[derive(Clone, Debug, Default)]
pub struct Sparse {
    /// How long they lingered.
    pub latencies: Latencies,
    /// Items that do.
    pub count: u64,
    /// Rounds of [`work`] of each item.
    pub rounds: u64,
}

/// A worker is busy, and a batch stage gets one item in a hundred, so that no batch is ever full.
#[pipeline(env = Sparse)]
pub mod lingering {
    use super::*;

    /// A hundred numbers for each that lingers.
    #[source]
    pub fn numbers(env: &Sparse) -> impl Iterator<Item = u64> + use<> {
        0..env.count * 100
    }

    /// The work, and when an item went on into the batch.
    #[stage(from = numbers)]
    pub fn stamped(n: u64, env: &Sparse) -> Option<Instant> {
        std::hint::black_box(work(env.rounds));
        n.is_multiple_of(100).then(Instant::now)
    }

    /// Notes how long the items of a batch have been in it.
    #[sink(from = stamped, order = any, batch = 64, linger = "150us")]
    pub fn together(batch: &mut Batch<Instant>, env: &Sparse) {
        for since in batch.iter() {
            env.latencies.add(*since);
        }
    }
}
