//! Pipelines whose items cost enough to be worth a second core: what gates, keys and order cost there.

use std::{hint::black_box, ops::Range};

use pipewright::pipeline;

/// What the sinks note: the allocations seen at two items, or anything else of the kind.
pub trait Probe: Send + Sync + 'static {
    /// The sink takes its `n`th item.
    fn at(&self, n: u64);
}

/// A probe of any kind, as an environment.
pub struct Env {
    /// Numbers that the source gives.
    pub items: u64,
    /// What is told of every item that the sink takes.
    pub probe: Box<dyn Probe>,
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env")
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

/// about fifty nanoseconds of work.
#[inline]
pub fn work(n: u64) -> u64 {
    let mut x = n;
    for _ in 0..60 {
        x = black_box(x.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1));
    }
    x ^ n
}

/// Parallel work between a serial source and an ordered sink.
#[pipeline(env = Env)]
pub mod ordered {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.items
    }

    /// The work.
    #[stage(from = numbers)]
    pub fn heavy(n: u64) -> u64 {
        work(n)
    }

    /// Counts, in order.
    #[sink(from = heavy)]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// Work by key, then a serial sink.
#[pipeline(env = Env)]
pub mod keyed {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &Env) -> Range<u64> {
        0..env.items
    }

    /// The work, with a count for each of a thousand keys.
    #[stage(from = numbers, key = |n| n % 1000)]
    pub fn heavy(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        work(n)
    }

    /// Counts.
    #[sink(from = heavy)]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// The last items of [`late`] that are slow.
pub const LATE: u64 = 200;

/// The work of item `n` of `items` in [`late`]: the last ones are two thousand times as slow as the others, about 100 us.
pub fn late_work(n: u64, items: u64) -> u64 {
    let times = if n + LATE < items { 1 } else { 2000 };
    (0..times).fold(n, |n, _| work(n))
}

/// The slow items come in one batch, which was formed when items were quick.
#[pipeline(env = Env)]
pub mod late {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.items
    }

    /// The work.
    #[stage(from = numbers)]
    pub fn heavy(n: u64, env: &Env) -> u64 {
        late_work(n, env.items)
    }

    /// Counts, in order.
    #[sink(from = heavy)]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}
