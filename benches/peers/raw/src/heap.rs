//! Allocators called through `GlobalAlloc`, whatever the program's own allocator is.
//!
//! A [`Block`] owns its memory: it was allocated with the layout that its type says, is never null, and is freed once, when
//! it is dropped. The allocators are static and may be called from any thread.

use std::{
    alloc::{GlobalAlloc, Layout, System, handle_alloc_error},
    marker::PhantomData,
    ptr::NonNull,
};

use mimalloc::MiMalloc;
use tikv_jemallocator::Jemalloc;

/// An allocator without a state of its own.
pub trait Heap: 'static {
    /// Calls it.
    fn heap() -> &'static impl GlobalAlloc;
}

/// glibc's malloc.
pub struct Glibc;

impl Heap for Glibc {
    fn heap() -> &'static impl GlobalAlloc {
        &System
    }
}

impl Heap for Jemalloc {
    fn heap() -> &'static impl GlobalAlloc {
        &Jemalloc
    }
}

impl Heap for MiMalloc {
    fn heap() -> &'static impl GlobalAlloc {
        &MiMalloc
    }
}

/// jemalloc.
pub type Je = Jemalloc;
/// mimalloc.
pub type Mi = MiMalloc;

/// Memory of `WORDS` words from an allocator; not initialised beyond its first word.
pub struct Block<H: Heap, const WORDS: usize> {
    memory: NonNull<u64>,
    heap: PhantomData<H>,
}

// SAFETY: the block owns its memory, and its allocator may be called from any thread.
unsafe impl<H: Heap, const WORDS: usize> Send for Block<H, WORDS> {}

impl<H: Heap, const WORDS: usize> Block<H, WORDS> {
    const LAYOUT: Layout = match Layout::array::<u64>(WORDS) {
        Ok(layout) if WORDS > 0 => layout,
        _ => panic!("a block has room for a word"),
    };

    /// Allocates a block and writes its first word.
    #[inline]
    #[must_use]
    pub fn new(word: u64) -> Self {
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { H::heap().alloc(Self::LAYOUT) };
        let Some(memory) = NonNull::new(memory.cast::<u64>()) else {
            handle_alloc_error(Self::LAYOUT);
        };
        // SAFETY: the memory is new, aligned, and has room for a word.
        unsafe { memory.write(word) };
        Self {
            memory,
            heap: PhantomData,
        }
    }

    /// The first word.
    #[inline]
    #[must_use]
    pub fn word(&self) -> u64 {
        // SAFETY: the word was written when the block was made, and the block owns it.
        unsafe { self.memory.read() }
    }
}

impl<H: Heap, const WORDS: usize> Drop for Block<H, WORDS> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the memory is from this allocator with this layout, and is freed only here.
        unsafe { H::heap().dealloc(self.memory.as_ptr().cast(), Self::LAYOUT) };
    }
}
