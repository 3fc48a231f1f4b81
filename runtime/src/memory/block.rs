//! The handle on a block of a pool.

use std::{
    fmt, hint,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    slice,
};

use super::{Class, rack::Round, thread};

/// Bytes of a [`Pool`](super::Pool), given back when this is dropped: on any thread, in O(1), without a lock.
///
/// It derefs to all bytes of the block, which may be more than were asked for. They hold whatever the last user left in them
/// (at first, zeros): [`Block::zeroed`] clears them. It keeps the pool's memory alive. Two words large.
///
/// ```
/// use pipewright::memory::{Class, Pool};
///
/// let pool = Pool::builder().blocks(Class::Bytes64, 10).build()?;
/// let mut block = pool.alloc(40)?;
/// assert_eq!(block.len(), 64);
/// block[39] = 1;
/// drop(pool);
/// assert_eq!(block[39], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Block(ManuallyDrop<Round>);

impl Block {
    /// `round` is of a pool of bytes: its memory has been written before, and nothing but bytes lies there.
    #[inline(always)]
    pub(super) fn new(round: Round) -> Self {
        Self(ManuallyDrop::new(round))
    }

    #[inline(always)]
    pub(super) fn round(&self) -> &Round {
        &self.0
    }

    /// The round, which is not given back any more.
    pub(super) fn into_round(self) -> Round {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped or used again, so the round is moved out once.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }

    #[inline(always)]
    fn size(&self) -> usize {
        let size = self.0.depot().shape().size;
        // SAFETY: rounds of blocks come from pools of bytes, whose sizes are those of `Class`. So the first bytes, where
        // headers are, can be used without a check.
        unsafe { hint::assert_unchecked(size >= Class::Bytes64.size()) };
        size
    }

    /// The block with all its bytes zero. O(size).
    pub fn zeroed(mut self) -> Self {
        self.fill(0);
        self
    }
}

impl Deref for Block {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        let size = self.size();
        // SAFETY: the block has so many bytes, all of them initialised, and is this handle's alone.
        unsafe { slice::from_raw_parts(self.0.block().as_ptr(), size) }
    }
}

impl DerefMut for Block {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        let size = self.size();
        // SAFETY: as in `deref`.
        unsafe { slice::from_raw_parts_mut(self.0.block().as_ptr(), size) }
    }
}

impl Drop for Block {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `drop` runs once, and nothing uses the handle after it.
        thread::give(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
