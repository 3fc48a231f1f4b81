//! Memory that is allocated before the work begins: pools of blocks and of objects.
//!
//! A [`Pool`] has blocks of four sizes ([`Class`]), as many of each as its builder was told. All of it is mapped and touched
//! when the pool is built, on huge pages where the system has some ([`Tier`]), and nothing is allocated later. A block is
//! taken with [`Pool::alloc`] and goes back when its handle, a [`Block`], is dropped, in whatever thread that is. When there
//! is none left, that is an error and not a wait.
//!
//! ```
//! use pipewright::memory::{Class, Pool};
//!
//! let pool = Pool::builder().blocks(Class::Kib1, 100).build()?;
//! let mut block = pool.alloc(300)?;
//! block[..5].copy_from_slice(b"hello");
//! let length = std::thread::scope(|scope| {
//!     // The block is freed on this thread.
//!     let reader = scope.spawn(move || block.iter().take_while(|byte| **byte != 0).count());
//!     reader.join().unwrap()
//! });
//! assert_eq!(length, 5);
//! assert_eq!(pool.stats().class(Class::Kib1).unwrap().in_use, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Objects`] is the same for objects of a type, which are made once and used again. [`Pool::batch`] takes and frees a
//! whole magazine of blocks at once, for threads that hand over many.
//!
//! # How it works, and what it costs
//!
//! Free blocks lie in magazines of 64. Each thread has two of them for each class and allocates from them and frees to them
//! without an atomic operation that others take part in; an empty or full one is exchanged with the pool's depot, a
//! lock-free queue. So allocating and freeing take a few nanoseconds and are O(1), and a block that is allocated on one
//! thread and freed on another costs a 64th of an exchange on either side. This is the design of Bonwick and Adams,
//! [Magazines and Vmem](https://www.usenix.org/legacy/event/usenix01/bonwick.html), USENIX 2001. The first use by a thread
//! makes its magazines, which allocates and takes a lock.
//!
//! # What lies in the magazines of others
//!
//! A thread cannot allocate what lies free in the magazines of another thread: at most two magazines of a class for each
//! thread that uses it. A magazine has at most a 16th of the class's blocks, or one, so a thread keeps at most an eighth
//! to itself, or two, and of 2 MiB blocks at most two; [`PoolBuilder::magazine`] makes it less. To have `n` blocks usable whatever `t` threads
//! do, ask for `n + 2 * magazine * (t - 1)`. The magazines go back when their thread ends (`join` waits for that, the end of a
//! `std::thread::scope` does not), and when it calls [`Pool::flush`].
//!
//! # When the memory goes back to the system
//!
//! When the last handle on the pool and its last block are dropped, and no thread has magazines of it. A thread gives its
//! magazines of a dropped pool back when it drops the pool itself, when it frees a block of it, when it uses another pool for
//! the first time, or when it ends.

mod depot;
mod magazine;
mod rack;

#[cfg(all(test, loom))]
mod loom_models;

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
mod batch;
#[cfg(not(loom))]
mod block;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod objects;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod thread;

#[cfg(not(loom))]
pub use self::{
    batch::Batch,
    block::Block,
    error::{BuildError, PoolError},
    objects::{Object, Objects},
    pool::{Pool, PoolBuilder},
    stats::{ClassStats, ObjectStats, PoolStats},
};

use std::fmt;

/// The sizes of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 64 bytes, a cache line.
    Bytes64,
    /// 1 KiB.
    Kib1,
    /// 4 KiB, a page.
    Kib4,
    /// 2 MiB, a huge page.
    Mib2,
}

impl Class {
    /// All of them, from small to large.
    pub const ALL: [Class; 4] = [Class::Bytes64, Class::Kib1, Class::Kib4, Class::Mib2];

    /// Bytes of a block; each block is aligned to this.
    pub const fn size(self) -> usize {
        match self {
            Class::Bytes64 => 64,
            Class::Kib1 => 1 << 10,
            Class::Kib4 => 4 << 10,
            Class::Mib2 => 2 << 20,
        }
    }

    /// The smallest class whose blocks have `len` bytes; `None` beyond 2 MiB.
    pub const fn of(len: usize) -> Option<Class> {
        match len {
            0..=64 => Some(Class::Bytes64),
            65..=0x400 => Some(Class::Kib1),
            0x401..=0x1000 => Some(Class::Kib4),
            0x1001..=0x20_0000 => Some(Class::Mib2),
            _ => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Bytes64 => "64 B",
            Class::Kib1 => "1 KiB",
            Class::Kib4 => "4 KiB",
            Class::Mib2 => "2 MiB",
        })
    }
}

/// What pages memory lies on, from the worst to the best.
///
/// On 2 MiB pages a random access misses the TLB less often. On Linux a class of at least 2 MiB gets the best tier that there
/// is; on other systems all is [`Tier::Base`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Small pages, usually 4 KiB; some may be huge: see [`ClassStats::huge_bytes`].
    Base,
    /// Transparent huge pages, all of it: `madvise(MADV_HUGEPAGE)`. Needs `always` or `madvise` in
    /// `/sys/kernel/mm/transparent_hugepage/enabled` and unfragmented memory.
    Transparent,
    /// Huge pages that were set aside, by `vm.nr_hugepages` or on the kernel's command line: `mmap(MAP_HUGETLB)`.
    Hugetlb,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Base => "base pages",
            Tier::Transparent => "transparent huge pages",
            Tier::Hugetlb => "hugetlb",
        })
    }
}
