//! Pools against allocators: blocks of one size, taken, written, read and given back, on one thread or from one to the other.

mod cross;
mod same;
mod ways;

pub use self::{
    cross::{in_batches, in_pool_batches, one_by_one, recycled},
    same::same_thread,
    ways::{Boxes, LocalStack, Pooled, SystemBoxes, Way},
};

/// Blocks that a thread holds at a time, and that are handed over at a time where they go together.
pub const LIVE: usize = 64;

/// Blocks of a pool, and places of the rings.
const POOL: usize = 4096;

/// What a block holds: a mark in its first bytes, which is written and read, and `R` bytes more, which are not.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Body<const R: usize> {
    mark: u64,
    rest: std::mem::MaybeUninit<[u8; R]>,
}

impl<const R: usize> Body<R> {
    /// A body of which only the mark is written.
    #[inline(always)]
    fn new(mark: u64) -> Self {
        Self {
            mark,
            rest: std::mem::MaybeUninit::uninit(),
        }
    }
}

/// What the marks of the first `blocks` blocks add up to.
fn sum(blocks: u64) -> u64 {
    (0..blocks).sum()
}
