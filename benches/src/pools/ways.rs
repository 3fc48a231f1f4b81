//! Ways to get a block and to give it back.

#![allow(clippy::vec_box, reason = "what a stack keeps is the allocation")]

use std::cell::RefCell;

use allocator_api2::{alloc::System, boxed::Box as BoxIn};
use pipewright::memory::{Block, Class, Pool};

use super::{Body, POOL};

/// A way to get blocks with a mark in them, and to give them back.
pub trait Way: Sync {
    /// A block.
    type Block: Send;

    /// A block with the mark written.
    fn take(&self, mark: u64) -> Self::Block;

    /// Reads the mark and gives the block back.
    fn give(&self, block: Self::Block) -> u64;
}

/// `Box` on the program's allocator: jemalloc, unless the feature of that name is off.
#[derive(Debug, Clone, Copy)]
pub struct Boxes<const R: usize>;

impl<const R: usize> Way for Boxes<R> {
    type Block = Box<Body<R>>;

    #[inline(always)]
    fn take(&self, mark: u64) -> Self::Block {
        Box::new(Body::new(mark))
    }

    #[inline(always)]
    fn give(&self, block: Self::Block) -> u64 {
        block.mark
    }
}

/// `Box` on the allocator of the system, glibc's on Linux.
#[derive(Debug, Clone, Copy)]
pub struct SystemBoxes<const R: usize>;

impl<const R: usize> Way for SystemBoxes<R> {
    type Block = BoxIn<Body<R>, System>;

    #[inline(always)]
    fn take(&self, mark: u64) -> Self::Block {
        BoxIn::new_in(Body::new(mark), System)
    }

    #[inline(always)]
    fn give(&self, block: Self::Block) -> u64 {
        block.mark
    }
}

thread_local! {
    static SMALL: RefCell<Vec<Box<Body<56>>>> = RefCell::new(stack());
    static MIDDLE: RefCell<Vec<Box<Body<1016>>>> = RefCell::new(stack());
    static LARGE: RefCell<Vec<Box<Body<4088>>>> = RefCell::new(stack());
}

fn stack<const R: usize>() -> Vec<Box<Body<R>>> {
    (0..POOL).map(|_| Box::new(Body::new(0))).collect()
}

/// A stack of blocks in thread-local storage: what cannot be beaten on one thread.
#[derive(Debug, Clone, Copy)]
pub struct LocalStack<const R: usize>;

macro_rules! local_stack {
    ($bytes:literal, $stack:ident) => {
        impl Way for LocalStack<$bytes> {
            type Block = Box<Body<$bytes>>;

            #[inline(always)]
            fn take(&self, mark: u64) -> Self::Block {
                let block = $stack.with(|stack| stack.borrow_mut().pop());
                let mut block = block.expect("fewer are held than there are");
                block.mark = mark;
                block
            }

            #[inline(always)]
            fn give(&self, block: Self::Block) -> u64 {
                let mark = block.mark;
                $stack.with(|stack| stack.borrow_mut().push(block));
                mark
            }
        }
    };
}

local_stack!(56, SMALL);
local_stack!(1016, MIDDLE);
local_stack!(4088, LARGE);

/// The pool.
#[derive(Debug, Clone)]
pub struct Pooled {
    pub(super) pool: Pool,
    pub(super) class: Class,
}

impl Pooled {
    /// A pool of one class.
    pub fn new(class: Class) -> Self {
        let pool = Pool::builder().blocks(class, POOL).build();
        Self {
            pool: pool.expect("there is so much memory"),
            class,
        }
    }
}

impl Way for Pooled {
    type Block = Block;

    #[inline(always)]
    fn take(&self, mark: u64) -> Block {
        let mut block = self
            .pool
            .take(self.class)
            .expect("fewer are held than there are");
        write(&mut block, mark);
        block
    }

    #[inline(always)]
    fn give(&self, block: Block) -> u64 {
        read(&block)
    }
}

#[inline(always)]
pub(super) fn write(block: &mut [u8], mark: u64) {
    if let Some(first) = block.first_chunk_mut() {
        *first = mark.to_ne_bytes();
    }
}

#[inline(always)]
pub(super) fn read(block: &[u8]) -> u64 {
    block
        .first_chunk()
        .map_or(0, |first| u64::from_ne_bytes(*first))
}
