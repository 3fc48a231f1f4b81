//! Racks: the magazines of one thread, from which it allocates and to which it frees without telling anybody.
//!
//! A rack has two magazines. Blocks come from and go to the *loaded* one. When that is empty (or full), it changes places
//! with the *previous* one if this helps; else a full (or an empty) magazine is exchanged with the depot. So there are at
//! least as many calls between two exchanges as a magazine has blocks. The previous magazine is always either full or
//! empty.
//!
//! One word counts all that happens here: the blocks in the loaded magazine in its low bits, and above them the blocks
//! ever taken. Its owner writes it with a plain store; others may read it at any time, for statistics. So counting costs
//! nothing beyond the length that has to be written anyway.

use std::{
    mem::{self, ManuallyDrop},
    ptr::{self, NonNull},
    sync::Arc,
};

use super::{
    depot::{Counts, DepotRef},
    magazine::Magazine,
};
use crate::sync::{AtomicU64, Ordering, UnsafeCell};

/// Bits of the word that hold the length: 0 to 64.
const LENGTH_BITS: u32 = 7;
const LENGTH: u64 = (1 << LENGTH_BITS) - 1;
/// One block fewer, and one more that was taken.
const TAKEN: u64 = (1 << LENGTH_BITS) - 1;

/// A block in nobody's magazine: whoever has this may use it alone.
#[derive(Debug)]
pub(super) struct Round {
    block: NonNull<u8>,
    /// The block's own reference, which is not a handle's; it goes where the block goes.
    depot: ManuallyDrop<DepotRef>,
}

// SAFETY: a round is the only one of its block, and the depot is shared by all threads.
unsafe impl Send for Round {}
// SAFETY: a shared round gives the pointer only; its users say what they do with it.
unsafe impl Sync for Round {}

impl Round {
    /// Takes over a block's reference; only [`DepotRef::round`] makes rounds.
    #[inline(always)]
    pub(super) fn new(block: NonNull<u8>, depot: ManuallyDrop<DepotRef>) -> Self {
        Self { block, depot }
    }

    #[inline(always)]
    pub(super) fn block(&self) -> NonNull<u8> {
        self.block
    }

    #[inline(always)]
    pub(super) fn depot(&self) -> &DepotRef {
        &self.depot
    }
}

/// What others may read of a rack. Two lines, so that no other's writes share them.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counters {
    /// Blocks taken so far, and blocks in the loaded magazine.
    word: AtomicU64,
    /// Blocks that the loaded magazine may hold: a full magazine's, or none once the pool is gone.
    limit: AtomicU64,
    /// Blocks in the previous magazine.
    previous: AtomicU64,
    refills: AtomicU64,
    returns: AtomicU64,
}

impl Counters {
    pub(super) fn close(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, counts: &mut Counts) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let word = read(&self.word);
        counts.taken += word >> LENGTH_BITS;
        counts.cached += (word & LENGTH) + read(&self.previous);
        counts.refills += read(&self.refills);
        counts.returns += read(&self.returns);
    }
}

/// The magazines of one thread. It may move to another thread, but only one at a time can use it: it is not `Sync`.
pub(super) struct Rack {
    depot: DepotRef,
    counters: Arc<Counters>,
    loaded: UnsafeCell<Box<Magazine>>,
    previous: UnsafeCell<Box<Magazine>>,
}

impl Rack {
    pub(super) fn new(depot: &DepotRef) -> Self {
        let counters = Arc::new(Counters {
            word: AtomicU64::new(0),
            limit: AtomicU64::new(depot.shape().rounds as u64),
            previous: AtomicU64::new(0),
            refills: AtomicU64::new(0),
            returns: AtomicU64::new(0),
        });
        depot.register(&counters);
        Self {
            depot: depot.clone(),
            counters,
            loaded: UnsafeCell::new(depot.blank()),
            previous: UnsafeCell::new(depot.blank()),
        }
    }

    #[inline(always)]
    pub(super) fn is_of(&self, depot: &DepotRef) -> bool {
        self.depot.is(depot)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.depot.is_closed()
    }

    /// A block, if the loaded magazine has one.
    #[inline(always)]
    pub(super) fn take(&self) -> Option<Round> {
        // Relaxed, here and below: only this thread writes it, and others only count.
        let word = self.counters.word.load(Ordering::Relaxed);
        if word & LENGTH == 0 {
            return None;
        }
        self.counters.word.store(word + TAKEN, Ordering::Relaxed);
        let at = (word & LENGTH) as usize - 1;
        // SAFETY: the rack is not `Sync` and the pointer does not leave the closure, so nobody else uses the magazine.
        let block = self.loaded.with_mut(|loaded| unsafe { (*loaded).get(at) });
        Some(self.depot.round(block))
    }

    /// Takes a round's block back if the loaded magazine has room; then the round is the rack's and must not be used again.
    #[inline(always)]
    pub(super) fn give(&self, block: NonNull<u8>) -> bool {
        let word = self.counters.word.load(Ordering::Relaxed);
        let len = word & LENGTH;
        if len >= self.counters.limit.load(Ordering::Relaxed) {
            return false;
        }
        self.counters.word.store(word + 1, Ordering::Relaxed);
        let at = len as usize;
        // SAFETY: as in `take`.
        self.loaded
            .with_mut(|loaded| unsafe { (*loaded).set(at, block) });
        true
    }

    /// Finds blocks for an empty loaded magazine; `false` if neither the rack nor the depot has any.
    pub(super) fn refill(&self) -> bool {
        let previous = self.counters.previous.load(Ordering::Relaxed);
        if previous > 0 {
            self.counters.previous.store(0, Ordering::Relaxed);
            self.change_places(previous);
            return true;
        }
        let Some(magazine) = self.depot.fetch() else {
            return false;
        };
        let len = magazine.len() as u64;
        let loaded = self.replace(&self.loaded, magazine);
        let blank = self.replace(&self.previous, loaded);
        self.depot.take_back(blank);
        self.set_len(len);
        bump(&self.counters.refills);
        true
    }

    /// Makes room in a full loaded magazine. Where the pool is gone there will be none, and all goes back to the depot.
    pub(super) fn make_room(&self) {
        let rounds = self.depot.shape().rounds as u64;
        if self.counters.word.load(Ordering::Relaxed) & LENGTH < rounds {
            return self.flush();
        }
        if self.counters.previous.load(Ordering::Relaxed) == 0 {
            self.counters.previous.store(rounds, Ordering::Relaxed);
            self.change_places(0);
            return;
        }
        let loaded = self.replace(&self.loaded, self.depot.blank());
        let mut full = self.replace(&self.previous, loaded);
        full.set_len(rounds as usize);
        self.set_len(0);
        self.depot.take_back(full);
        bump(&self.counters.returns);
    }

    /// Gives all blocks back to the depot.
    pub(super) fn flush(&self) {
        let len = self.counters.word.load(Ordering::Relaxed) & LENGTH;
        let previous = self.counters.previous.load(Ordering::Relaxed);
        self.set_len(0);
        self.counters.previous.store(0, Ordering::Relaxed);
        for (place, len) in [(&self.loaded, len), (&self.previous, previous)] {
            if len > 0 {
                let mut magazine = self.replace(place, self.depot.blank());
                magazine.set_len(len as usize);
                self.depot.take_back(magazine);
                bump(&self.counters.returns);
            }
        }
    }

    /// Exchanges the two magazines; the one that is loaded then has `len` blocks.
    fn change_places(&self, len: u64) {
        self.loaded.with_mut(|loaded| {
            // SAFETY: as in `take`; the two are different fields.
            self.previous
                .with_mut(|previous| unsafe { ptr::swap(loaded, previous) });
        });
        self.set_len(len);
    }

    fn replace(&self, place: &UnsafeCell<Box<Magazine>>, magazine: Box<Magazine>) -> Box<Magazine> {
        // SAFETY: as in `take`.
        let mut old = place.with_mut(|place| mem::replace(unsafe { &mut *place }, magazine));
        // Whoever puts it into the depot says what is in it.
        old.set_len(0);
        old
    }

    fn set_len(&self, len: u64) {
        let word = self.counters.word.load(Ordering::Relaxed);
        self.counters
            .word
            .store((word & !LENGTH) | len, Ordering::Relaxed);
    }
}

/// Adds one to a counter that only this thread writes.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.flush();
        self.depot.unregister(&self.counters);
    }
}
