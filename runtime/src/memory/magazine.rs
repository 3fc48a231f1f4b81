//! Magazines: how blocks travel between a thread's rack and the depot.

use std::ptr::NonNull;

/// Most blocks in a magazine.
pub(super) const ROUNDS: usize = 64;

/// Up to [`ROUNDS`] free blocks. The last one in is the first one out, as it is the one in the cache.
#[derive(Debug)]
pub(super) struct Magazine {
    /// Blocks in it. While it is loaded in a rack, the rack counts and this is not kept.
    len: usize,
    slots: [NonNull<u8>; ROUNDS],
}

// SAFETY: the pointers are to free blocks, which only the owner of the magazine may hand out.
unsafe impl Send for Magazine {}

impl Magazine {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            len: 0,
            slots: [NonNull::dangling(); ROUNDS],
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// For a rack that gives it away: says what is in it.
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len;
    }

    /// The block at a position.
    #[inline(always)]
    pub(super) fn get(&self, at: usize) -> NonNull<u8> {
        self.slots[at]
    }

    #[inline(always)]
    pub(super) fn set(&mut self, at: usize, block: NonNull<u8>) {
        self.slots[at] = block;
    }

    pub(super) fn push(&mut self, block: NonNull<u8>) {
        self.set(self.len, block);
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        self.len = self.len.checked_sub(1)?;
        Some(self.get(self.len))
    }

    /// The blocks in it.
    pub(super) fn blocks(&self) -> &[NonNull<u8>] {
        &self.slots[..self.len]
    }
}
