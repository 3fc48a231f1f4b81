//! Object pools of boxed blocks: what moves is a pointer, as with the vectors of their documentation.

use crossbeam_queue::ArrayQueue;
use lockfree_object_pool::{LinearObjectPool, LinearReusable};
use opool::{PoolAllocator, RefGuard};
use sharded_slab::Clear;

use super::{CAPACITY, LIVE, Store, Task};
use crate::harness::{Contender, contender::Kind};

/// Blocks that a pool holds: as many as may be alive.
const POOLED: usize = 2 * CAPACITY + LIVE;

type Words<const WORDS: usize> = Box<[u64; WORDS]>;

fn words<const WORDS: usize>() -> Words<WORDS> {
    Box::new([0; WORDS])
}

/// A bounded queue as a list of free blocks.
struct FreeList<const WORDS: usize>(ArrayQueue<Words<WORDS>>);

/// A block that goes back to its queue.
struct Listed<'s, const WORDS: usize> {
    list: &'s FreeList<WORDS>,
    block: Option<Words<WORDS>>,
}

impl<const WORDS: usize> Drop for Listed<'_, WORDS> {
    #[inline]
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            // A block too many is freed.
            drop(self.list.0.push(block));
        }
    }
}

impl<const WORDS: usize> Store for FreeList<WORDS> {
    type Block<'s> = Listed<'s, WORDS>;

    #[inline]
    fn take(&self, word: u64) -> Listed<'_, WORDS> {
        let mut block = self.0.pop().unwrap_or_else(words);
        block[0] = word;
        Listed {
            list: self,
            block: Some(block),
        }
    }

    #[inline]
    fn word(block: &Listed<'_, WORDS>) -> u64 {
        block.block.as_ref().map_or(0, |block| block[0])
    }
}

/// opool's allocator: no reset, as the word is written anyway.
struct Blocks;

impl<const WORDS: usize> PoolAllocator<Words<WORDS>> for Blocks {
    #[inline]
    fn allocate(&self) -> Words<WORDS> {
        words()
    }
}

struct Opool<const WORDS: usize>(opool::Pool<Blocks, Words<WORDS>>);

impl<const WORDS: usize> Store for Opool<WORDS> {
    type Block<'s> = RefGuard<'s, Blocks, Words<WORDS>>;

    #[inline]
    fn take(&self, word: u64) -> Self::Block<'_> {
        let mut block = self.0.get();
        block[0] = word;
        block
    }

    #[inline]
    fn word(block: &Self::Block<'_>) -> u64 {
        block[0]
    }
}

struct ObjectPool<const WORDS: usize>(object_pool::Pool<Words<WORDS>>);

impl<const WORDS: usize> Store for ObjectPool<WORDS> {
    type Block<'s> = object_pool::Reusable<'s, Words<WORDS>>;

    #[inline]
    fn take(&self, word: u64) -> Self::Block<'_> {
        let mut block = self.0.pull(words);
        block[0] = word;
        block
    }

    #[inline]
    fn word(block: &Self::Block<'_>) -> u64 {
        block[0]
    }
}

struct Linear<const WORDS: usize>(LinearObjectPool<Words<WORDS>>);

impl<const WORDS: usize> Store for Linear<WORDS> {
    type Block<'s> = LinearReusable<'s, Words<WORDS>>;

    #[inline]
    fn take(&self, word: u64) -> Self::Block<'_> {
        let mut block = self.0.pull();
        block[0] = word;
        block
    }

    #[inline]
    fn word(block: &Self::Block<'_>) -> u64 {
        block[0]
    }
}

/// A block of sharded-slab's pool; clearing it is nothing.
struct Slab<const WORDS: usize>(Words<WORDS>);

impl<const WORDS: usize> Default for Slab<WORDS> {
    fn default() -> Self {
        Self(words())
    }
}

impl<const WORDS: usize> Clear for Slab<WORDS> {
    #[inline]
    fn clear(&mut self) {}
}

struct Sharded<const WORDS: usize>(sharded_slab::Pool<Slab<WORDS>>);

/// A key of the pool, cleared when it is dropped.
struct Key<'s, const WORDS: usize> {
    pool: &'s Sharded<WORDS>,
    key: usize,
}

impl<const WORDS: usize> Drop for Key<'_, WORDS> {
    #[inline]
    fn drop(&mut self) {
        self.pool.0.clear(self.key);
    }
}

impl<const WORDS: usize> Store for Sharded<WORDS> {
    type Block<'s> = Key<'s, WORDS>;

    #[inline]
    fn take(&self, word: u64) -> Key<'_, WORDS> {
        let key = self.0.create_with(|block| block.0[0] = word);
        let key = key.expect("the pool has room");
        Key { pool: self, key }
    }

    #[inline]
    fn word(block: &Key<'_, WORDS>) -> u64 {
        let there = block.pool.0.get(block.key);
        there.map_or(0, |there| there.0[0])
    }
}

pub(super) fn contenders<const WORDS: usize>(task: Task) -> Vec<Contender> {
    let list = ArrayQueue::new(POOLED);
    (0..POOLED).for_each(|_| drop(list.push(words())));
    let opool = opool::Pool::new_prefilled(POOLED, Blocks);
    let object_pool = object_pool::Pool::new(POOLED, words);
    let linear = LinearObjectPool::new(words, |_| ());
    vec![
        task.contender(Kind::Peer, "ArrayQueue free list", FreeList::<WORDS>(list)),
        task.contender(Kind::Peer, "opool", Opool::<WORDS>(opool)),
        task.contender(Kind::Peer, "object-pool", ObjectPool::<WORDS>(object_pool)),
        task.contender(
            Kind::Peer,
            "lockfree-object-pool Linear",
            Linear::<WORDS>(linear),
        ),
        task.contender(
            Kind::Peer,
            "sharded-slab Pool",
            Sharded::<WORDS>(sharded_slab::Pool::new()),
        ),
    ]
}
