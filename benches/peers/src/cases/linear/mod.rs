//! `linear_pipeline`: mix, keep 1 of 8, make a 64-byte record, fold. About a nanosecond an item.

mod channels;
mod frameworks;
mod hand;
mod ours;
mod parallel;

use std::ops::Range;

use crate::harness::{Contender, Scale};

/// A record of one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Record(pub [u64; 8]);

/// What a source's number becomes.
#[inline(always)]
pub(crate) fn mixed(x: u64) -> u64 {
    let y = x.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    y ^ (y >> 29)
}

/// Keeps one of eight.
#[inline(always)]
pub(crate) fn kept(y: &u64) -> bool {
    y & 7 == 0
}

/// The record of a number.
#[inline(always)]
pub(crate) fn recorded(y: u64) -> Record {
    Record(std::array::from_fn(|k| {
        y.rotate_left(8 * k as u32) ^ k as u64
    }))
}

/// The sum with a record more. It does not depend on the order of the records.
#[inline(always)]
pub(crate) fn folded(sum: u64, record: &Record) -> u64 {
    let words = record.0.iter().enumerate();
    words.fold(sum, |sum, (k, word)| {
        sum.wrapping_add(word.wrapping_mul(2 * k as u64 + 1))
    })
}

/// The loop that everybody would write: all stages fused.
#[inline(never)]
pub(crate) fn fused(range: Range<u64>) -> u64 {
    range
        .map(mixed)
        .filter(kept)
        .map(recorded)
        .fold(0, |sum, record| folded(sum, &record))
}

/// How many numbers go through, and what has to come out.
#[derive(Clone, Copy)]
struct Size {
    scale: Scale,
    items: u64,
    sum: u64,
}

impl Size {
    fn new(scale: Scale, items: u64) -> Self {
        Self {
            scale,
            items,
            sum: fused(0..items),
        }
    }

    /// A way to fold all numbers, with the checksum of its size.
    fn work(
        self,
        mut run: impl FnMut(u64) -> u64 + 'static,
    ) -> impl FnMut() -> Result<Vec<f64>, String> + 'static {
        move || {
            self.scale.rate(self.items, &self.sum, || {
                run(std::hint::black_box(self.items))
            })
        }
    }
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let quick = 20_000;
    let size = |millions: f64| Size::new(scale, scale.of((millions * 1e6) as u64, quick));
    let full = size(20.0);
    let mut all = ours::contenders(full);
    all.extend(hand::contenders(full));
    all.extend(parallel::contenders(full, size(2.0)));
    all.extend(frameworks::contenders(full));
    // Slow ways get less to do, so that a round does not take minutes; their rates are comparable all the same.
    all.extend(channels::contenders(full, size(5.0), size(2.0)));
    all
}
