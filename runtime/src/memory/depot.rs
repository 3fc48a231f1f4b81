//! The depot: all free blocks of one size that are in nobody's hands, in magazines.
//!
//! # Who may do what
//!
//! A block is a pointer into the depot's memory, and is in exactly one place: in a magazine of the depot, in a magazine of
//! a thread's rack, or in a handle. Whoever takes it from a place is its only owner until it puts it into the next one;
//! between threads it moves through a queue of the depot, which orders all that was written to it.
//!
//! Three bounded queues hold the magazines: full ones, partly filled ones, and empty ones. There are never more full
//! magazines than the blocks make up, so the queue of full ones cannot overflow. Partly filled ones come from threads that
//! end; two of them are merged whenever one is put, so there are about as many as threads that end at the same time. When
//! the queue overflows all the same, merging goes on until the rest fits. Empty ones that do not fit are freed.
//!
//! # When the memory goes
//!
//! One word counts what needs the depot: in the low half the blocks outside of it, in the high half the pool, the racks and
//! the batches. The blocks are counted when their magazine leaves or enters the depot, so a block that is taken, handed to
//! another thread and freed there counts nothing: it is outside all the time. Whoever takes the word to zero frees the
//! memory. Nobody can come after it: a new reference is made by an owner of one.
//!
//! The queues are those of crossbeam; the magazines are those of Bonwick and Adams, "Magazines and Vmem", USENIX 2001.

use std::{
    fmt,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{Arc, PoisonError},
};

use crossbeam_utils::CachePadded;

use super::{
    magazine::Magazine,
    rack::{Front, Round},
};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, Queue, fence};

/// Weight of a block outside of the depot.
const BLOCK: u64 = 1;
/// Weight of a pool, a rack, or a batch.
const HANDLE: u64 = 1 << 32;

/// Most blocks of a depot, so that their count stays in its half of the word.
pub(super) const MOST_BLOCKS: usize = 1 << 31;

/// Partly filled and empty magazines that the depot keeps at least.
const SPARE_MAGAZINES: usize = 64;

/// What is the same for all blocks of a depot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Bytes of a block.
    pub size: usize,
    /// Blocks of a full magazine, at most [`super::magazine::ROUNDS`].
    pub rounds: usize,
    /// Where a thread looks for its rack first.
    pub way: u8,
}

/// The free blocks of one size.
pub(super) struct Depot {
    shape: Shape,
    capacity: usize,
    /// Set when the pool is dropped: nothing is allocated any more, and what is freed goes back at once.
    closed: AtomicBool,
    full: Queue<Box<Magazine>>,
    partial: Queue<Box<Magazine>>,
    empty: Queue<Box<Magazine>>,
    references: CachePadded<AtomicU64>,
    /// Magazines that left or came without a rack, and calls that found no block.
    batches: CachePadded<AtomicU64>,
    exhausted: AtomicU64,
    roll: Mutex<Roll>,
    /// Where the blocks are; dropped with the depot.
    _memory: Box<dyn Send + Sync>,
}

/// The racks of the depot. The lock is taken when a thread comes or goes, and to read statistics.
struct Roll {
    racks: Vec<Arc<Front>>,
    /// Counts of the racks that are gone.
    past: Counts,
}

/// What was counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub taken: u64,
    pub refills: u64,
    pub returns: u64,
    /// Free blocks in racks.
    pub cached: u64,
    /// Blocks outside of the depot: those in racks too.
    pub outside: u64,
    pub batches: u64,
    pub exhausted: u64,
}

impl Depot {
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Tells all racks that the pool is gone, so that they make room by giving everything back.
    pub(super) fn close(&self) {
        let roll = self.roll();
        self.closed.store(true, Ordering::Release);
        roll.racks.iter().for_each(|rack| rack.close());
    }

    /// A magazine with blocks, which are outside from now on.
    pub(super) fn fetch(&self) -> Option<Box<Magazine>> {
        let magazine = self.full.pop().or_else(|| self.partial.pop())?;
        // Relaxed: the caller has a reference, so the word cannot be zero meanwhile.
        let blocks = magazine.len() as u64 * BLOCK;
        self.references.fetch_add(blocks, Ordering::Relaxed);
        Some(magazine)
    }

    /// Takes a magazine back, whatever is in it; its blocks are inside from now on. The caller has a reference of its own.
    pub(super) fn take_back(&self, magazine: Box<Magazine>) {
        let blocks = magazine.len() as u64 * BLOCK;
        self.put(magazine);
        // Release: what the caller did with the blocks comes before the memory is freed. It is not the last reference.
        self.references.fetch_sub(blocks, Ordering::Release);
    }

    /// A magazine without blocks.
    pub(super) fn blank(&self) -> Box<Magazine> {
        self.empty.pop().unwrap_or_else(Magazine::new)
    }

    /// One block, for a thread that has no rack. It is outside from now on.
    pub(super) fn take_one(&self) -> Option<NonNull<u8>> {
        let mut magazine = self.fetch()?;
        self.batches.fetch_add(1, Ordering::Relaxed);
        let block = magazine.pop();
        self.take_back(magazine);
        block
    }

    /// Counts a call that found no block.
    pub(super) fn count_exhausted(&self) {
        self.exhausted.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a magazine that left or came without a rack.
    pub(super) fn count_batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts a magazine into the queue where it belongs; a partly filled one is merged with another first.
    fn put(&self, mut magazine: Box<Magazine>) {
        let rounds = self.shape.rounds;
        if (1..rounds).contains(&magazine.len()) {
            magazine = self.merged(magazine);
        }
        loop {
            let refused = match magazine.len() {
                0 => return drop(self.empty.push(magazine)),
                len if len == rounds => self.full.push(magazine),
                _ => self.partial.push(magazine),
            };
            // Full magazines always fit. Where partly filled ones do not, there is one to merge with, or room by now.
            match refused {
                Ok(()) => return,
                Err(magazine_again) => magazine = self.merged(magazine_again),
            }
        }
    }

    /// Fills `magazine` from a partly filled one. What is more than one magazine holds comes back, the full one is put.
    fn merged(&self, mut magazine: Box<Magazine>) -> Box<Magazine> {
        let Some(mut other) = self.partial.pop() else {
            return magazine;
        };
        while magazine.len() < self.shape.rounds {
            let Some(block) = other.pop() else {
                drop(self.empty.push(other));
                return magazine;
            };
            magazine.push(block);
        }
        // It fits: see the top.
        drop(self.full.push(magazine));
        other
    }

    pub(super) fn register(&self, rack: &Arc<Front>) {
        let mut roll = self.roll();
        if self.is_closed() {
            rack.close();
        }
        roll.racks.push(Arc::clone(rack));
    }

    pub(super) fn unregister(&self, rack: &Arc<Front>) {
        let mut roll = self.roll();
        roll.racks.retain(|other| !Arc::ptr_eq(other, rack));
        rack.add_to(&mut roll.past);
    }

    /// What was counted until now; exact where no other thread allocates or frees.
    pub(super) fn counts(&self) -> Counts {
        let roll = self.roll();
        let mut counts = roll.past;
        roll.racks.iter().for_each(|rack| rack.add_to(&mut counts));
        counts.outside = self.references.load(Ordering::Relaxed) % HANDLE;
        counts.batches = self.batches.load(Ordering::Relaxed);
        counts.exhausted = self.exhausted.load(Ordering::Relaxed);
        counts
    }

    fn roll(&self) -> impl DerefMut<Target = Roll> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up references, and frees the depot with the last.
    ///
    /// # Safety
    ///
    /// The caller owns references of this weight and does not use the depot afterwards.
    unsafe fn release(this: NonNull<Self>, weight: u64) {
        // SAFETY: the references of the caller keep it alive until the next line.
        let depot = unsafe { this.as_ref() };
        // Release, and acquire by the last: all that was done with blocks comes before the memory is freed.
        if depot.references.fetch_sub(weight, Ordering::Release) != weight {
            return;
        }
        fence(Ordering::Acquire);
        // SAFETY: made by `Box::leak`, and this was the last reference: nobody else has the pointer.
        let depot = unsafe { Box::from_raw(this.as_ptr()) };
        // What an object's `drop` throws has been told by the panic hook. It goes no further: whose call is the last one is
        // chance, and it may be the end of a thread.
        drop(catch_unwind(AssertUnwindSafe(|| drop(depot))));
    }
}

impl fmt::Debug for Depot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Depot")
            .field("shape", &self.shape)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// A reference to a depot that keeps it alive.
#[derive(Debug)]
pub(super) struct DepotRef(NonNull<Depot>);

// SAFETY: the depot's fields are shared by their own means, magazines are `Send`, and the memory is `Send + Sync`.
unsafe impl Send for DepotRef {}
// SAFETY: as above.
unsafe impl Sync for DepotRef {}

impl DepotRef {
    /// A depot with these free blocks, which lie in `memory`.
    pub(super) fn new(
        shape: Shape,
        blocks: impl DoubleEndedIterator<Item = NonNull<u8>> + ExactSizeIterator,
        memory: Box<dyn Send + Sync>,
    ) -> Self {
        let capacity = blocks.len();
        let magazines = capacity / shape.rounds;
        let depot = Depot {
            shape,
            capacity,
            closed: AtomicBool::new(false),
            full: Queue::new(magazines.max(1)),
            partial: Queue::new(SPARE_MAGAZINES),
            empty: Queue::new(magazines + SPARE_MAGAZINES),
            references: CachePadded::new(AtomicU64::new(HANDLE)),
            batches: CachePadded::new(AtomicU64::new(0)),
            exhausted: AtomicU64::new(0),
            roll: Mutex::new(Roll {
                racks: Vec::new(),
                past: Counts::default(),
            }),
            _memory: memory,
        };
        let mut magazine = Magazine::new();
        // Backwards, because the last one in is the first one out.
        for block in blocks.rev() {
            magazine.push(block);
            if magazine.len() == shape.rounds {
                depot.put(std::mem::replace(&mut magazine, Magazine::new()));
            }
        }
        depot.put(magazine);
        Self(NonNull::from(Box::leak(Box::new(depot))))
    }

    #[inline(always)]
    pub(super) fn is(&self, other: &DepotRef) -> bool {
        self.0 == other.0
    }

    /// Which one it is.
    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut Depot {
        self.0.as_ptr()
    }

    /// A handle on a block that was taken from a magazine outside of the depot, of which it is the only one.
    #[inline(always)]
    pub(super) fn round(&self, block: NonNull<u8>) -> Round {
        Round::new(block, ManuallyDrop::new(Self(self.0)))
    }
}

impl Clone for DepotRef {
    fn clone(&self) -> Self {
        // Relaxed, as for any count: this reference keeps the depot alive meanwhile.
        self.references.fetch_add(HANDLE, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Deref for DepotRef {
    type Target = Depot;

    #[inline(always)]
    fn deref(&self) -> &Depot {
        // SAFETY: this reference keeps it alive.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for DepotRef {
    fn drop(&mut self) {
        // SAFETY: the reference is this one, and it is gone.
        unsafe { Depot::release(self.0, HANDLE) }
    }
}

/// Gives one block back, for a thread that has no rack.
pub(super) fn give_one(round: &Round) {
    let depot = round.depot();
    let mut magazine = depot.partial.pop().unwrap_or_else(|| depot.blank());
    magazine.push(round.block());
    depot.put(magazine);
    depot.count_batch();
    // SAFETY: the round is a block's reference, and nothing uses it any more.
    unsafe { Depot::release(depot.0, BLOCK) }
}
