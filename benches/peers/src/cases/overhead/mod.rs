//! `overhead_per_item`: a million tokens through four trivial stages, in order, with two workers. What a token costs is what
//! the framework costs.

mod hand;
mod ours;
mod peers;

use crate::harness::{Contender, Sample, Scale};

/// The second stage.
#[inline(always)]
pub(crate) fn scaled(x: u64) -> u64 {
    x.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The third stage.
#[inline(always)]
pub(crate) fn mixed(x: u64) -> u64 {
    x ^ (x >> 29)
}

/// The last stage; its result depends on the order of the tokens.
#[inline(always)]
pub(crate) fn folded(sum: u64, x: u64) -> u64 {
    sum.rotate_left(5) ^ x
}

/// All stages in one loop.
#[inline(never)]
fn fused(count: u64) -> u64 {
    (0..count).map(scaled).map(mixed).fold(0, folded)
}

/// How many tokens.
#[derive(Clone, Copy)]
struct Tokens {
    scale: Scale,
    count: u64,
    sum: u64,
}

impl Tokens {
    fn new(scale: Scale, count: u64) -> Self {
        let sum = fused(count);
        Self { scale, count, sum }
    }

    fn work(
        self,
        mut run: impl FnMut(u64) -> u64 + 'static,
    ) -> impl FnMut() -> Result<Sample, String> + 'static {
        move || {
            self.scale.nanos(self.count, &self.sum, || {
                run(std::hint::black_box(self.count))
            })
        }
    }
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let tokens = Tokens::new(scale, scale.of(1_000_000, 5_000));
    let mut all = ours::contenders(tokens);
    all.extend(hand::contenders(tokens));
    all.extend(peers::contenders(tokens));
    all
}
