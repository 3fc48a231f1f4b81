//! Racks: the magazines of one thread, from which it allocates and to which it frees without telling anybody.
//!
//! A rack has two magazines. Blocks come from and go to the *loaded* one. When that is empty (or full), it changes places
//! with the *previous* one if this helps; else a full (or an empty) magazine is exchanged with the depot. So there are at
//! least as many calls between two exchanges as a magazine has blocks. The previous magazine is always either full or
//! empty.
//!
//! What a call looks at lies together in the rack's *front*: one line, which a thread reaches without the rest of the rack.
//! There one word counts all that happens here: the blocks in the loaded magazine in its low bits, and above them the blocks
//! ever taken. Its owner writes it with a plain store; others may read it at any time, for statistics. So counting costs
//! nothing beyond the length that has to be written anyway.

use std::{
    hint,
    mem::{self, ManuallyDrop},
    ptr::{self, NonNull},
    sync::Arc,
};

use super::{
    depot::{Counts, Depot, DepotRef},
    magazine::{Magazine, ROUNDS},
};
use crate::sync::{AtomicU8, AtomicU64, Ordering, UnsafeCell};

/// Bits of the word that hold the length, which is 0 to 64: a byte, so that it is compared without a mask.
const LENGTH_BITS: u32 = 8;
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

/// What a thread looks at to take or give a block, in one line; a second one, so that no other's writes share it.
///
/// *Invariant: only the thread that has the rack uses `loaded` and counts; others read the counts, and [`Front::close`].*
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Front {
    /// The rack's depot; null in [`NOBODY`].
    depot: *const Depot,
    /// Blocks taken so far, and blocks in the loaded magazine.
    word: AtomicU64,
    /// Blocks that the loaded magazine may hold: a full magazine's, or none once the pool is gone.
    rounds: AtomicU8,
    /// A magazine from `Box`, which is this front's; but for [`NOBODY`], which has no rounds.
    loaded: UnsafeCell<NonNull<Magazine>>,
    /// Blocks in the previous magazine.
    previous: AtomicU64,
    refills: AtomicU64,
    returns: AtomicU64,
}

// SAFETY: the depot is only compared, and the magazine is gone when the rack is.
unsafe impl Send for Front {}
// SAFETY: see the invariant: what is not atomic is never written, or used by one thread.
unsafe impl Sync for Front {}

/// The front of no rack: it is of no depot, has no blocks and takes none.
#[cfg(not(loom))]
pub(super) static NOBODY: Front = Front {
    depot: ptr::null(),
    word: AtomicU64::new(0),
    rounds: AtomicU8::new(0),
    loaded: UnsafeCell::new(NonNull::dangling()),
    previous: AtomicU64::new(0),
    refills: AtomicU64::new(0),
    returns: AtomicU64::new(0),
};

impl Front {
    fn new(depot: &DepotRef) -> Self {
        Self {
            depot: depot.as_ptr(),
            word: AtomicU64::new(0),
            rounds: AtomicU8::new(depot.shape().rounds as u8),
            loaded: UnsafeCell::new(NonNull::from(Box::leak(depot.blank()))),
            previous: AtomicU64::new(0),
            refills: AtomicU64::new(0),
            returns: AtomicU64::new(0),
        }
    }

    pub(super) fn close(&self) {
        // Relaxed: whoever does not see it yet gives a block to the rack, as if it had come earlier.
        self.rounds.store(0, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, counts: &mut Counts) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let word = read(&self.word);
        counts.taken += word >> LENGTH_BITS;
        counts.cached += (word & LENGTH) + read(&self.previous);
        counts.refills += read(&self.refills);
        counts.returns += read(&self.returns);
    }

    /// A block of the depot, if this is of its rack and the loaded magazine has one.
    ///
    /// # Safety
    ///
    /// The caller's thread has the rack.
    #[inline(always)]
    pub(super) unsafe fn take(&self, depot: &DepotRef) -> Option<Round> {
        if self.depot != depot.as_ptr() {
            return None;
        }
        // Relaxed, here and below: only this thread writes it, and others only count.
        let word = self.word.load(Ordering::Relaxed);
        let len = usize::from(word as u8);
        if len == 0 {
            return None;
        }
        // SAFETY: no magazine has more, and `give` adds none to a full one. Else the position would be checked.
        unsafe { hint::assert_unchecked(len <= ROUNDS) };
        self.word.store(word + TAKEN, Ordering::Relaxed);
        // SAFETY: a front with blocks is a rack's, and the caller has it.
        let block = unsafe { self.loaded() }.get(len - 1);
        Some(depot.round(block))
    }

    /// Takes a block of the depot back if this is of its rack and the loaded magazine has room; then the block is the
    /// rack's and must not be used again.
    ///
    /// # Safety
    ///
    /// The caller's thread has the rack.
    #[inline(always)]
    pub(super) unsafe fn give(&self, depot: &DepotRef, block: NonNull<u8>) -> bool {
        if self.depot != depot.as_ptr() {
            return false;
        }
        let word = self.word.load(Ordering::Relaxed);
        let len = word as u8;
        if len >= self.rounds.load(Ordering::Relaxed) {
            return false;
        }
        // SAFETY: the rounds are `ROUNDS` at most.
        unsafe { hint::assert_unchecked(usize::from(len) < ROUNDS) };
        self.word.store(word + 1, Ordering::Relaxed);
        // SAFETY: a front with rounds is a rack's, and the caller has it.
        unsafe { self.loaded() }.set(usize::from(len), block);
        true
    }

    /// The loaded magazine.
    ///
    /// # Safety
    ///
    /// This is the front of a rack that the caller's thread has, and nothing else is done with the rack meanwhile.
    #[inline(always)]
    #[expect(
        clippy::mut_from_ref,
        reason = "the caller says that it is the only one"
    )]
    unsafe fn loaded(&self) -> &mut Magazine {
        // SAFETY: nobody else uses the cell, as the caller says.
        let mut loaded = self.loaded.with_mut(|loaded| unsafe { *loaded });
        // SAFETY: it is from a box, and nobody else uses it.
        unsafe { loaded.as_mut() }
    }
}

/// The magazines of one thread, which alone can use it: it is neither `Send` nor `Sync`.
pub(super) struct Rack {
    depot: DepotRef,
    front: Arc<Front>,
    /// A magazine from `Box`, as the front's.
    previous: UnsafeCell<NonNull<Magazine>>,
}

impl Rack {
    pub(super) fn new(depot: &DepotRef) -> Self {
        let front = Arc::new(Front::new(depot));
        depot.register(&front);
        Self {
            depot: depot.clone(),
            front,
            previous: UnsafeCell::new(NonNull::from(Box::leak(depot.blank()))),
        }
    }

    pub(super) fn is_of(&self, depot: &DepotRef) -> bool {
        self.depot.is(depot)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.depot.is_closed()
    }

    pub(super) fn front(&self) -> &Front {
        &self.front
    }

    /// A block, if the loaded magazine has one and the pool is still there.
    pub(super) fn take(&self) -> Option<Round> {
        // SAFETY: the rack is not `Sync`, so whoever calls this has it.
        unsafe { self.front.take(&self.depot) }
    }

    /// Takes a round's block back if the loaded magazine has room and the pool is still there; then the round is the rack's
    /// and must not be used again.
    pub(super) fn give(&self, block: NonNull<u8>) -> bool {
        // SAFETY: as in `take`.
        unsafe { self.front.give(&self.depot, block) }
    }

    /// Finds blocks for an empty loaded magazine; `false` if neither the rack nor the depot has any.
    pub(super) fn refill(&self) -> bool {
        let previous = self.front.previous.load(Ordering::Relaxed);
        if previous > 0 {
            self.front.previous.store(0, Ordering::Relaxed);
            self.change_places(previous);
            return true;
        }
        let Some(magazine) = self.depot.fetch() else {
            return false;
        };
        let len = magazine.len() as u64;
        let loaded = self.replace(&self.front.loaded, magazine);
        let blank = self.replace(&self.previous, loaded);
        self.depot.take_back(blank);
        self.set_len(len);
        bump(&self.front.refills);
        true
    }

    /// Makes room in a full loaded magazine. Where the pool is gone there will be none, and all goes back to the depot.
    pub(super) fn make_room(&self) {
        let rounds = self.depot.shape().rounds as u64;
        if self.front.word.load(Ordering::Relaxed) & LENGTH < rounds {
            return self.flush();
        }
        if self.front.previous.load(Ordering::Relaxed) == 0 {
            self.front.previous.store(rounds, Ordering::Relaxed);
            self.change_places(0);
            return;
        }
        let loaded = self.replace(&self.front.loaded, self.depot.blank());
        let mut full = self.replace(&self.previous, loaded);
        full.set_len(rounds as usize);
        self.set_len(0);
        self.depot.take_back(full);
        bump(&self.front.returns);
    }

    /// Gives all blocks back to the depot.
    pub(super) fn flush(&self) {
        let len = self.front.word.load(Ordering::Relaxed) & LENGTH;
        let previous = self.front.previous.load(Ordering::Relaxed);
        self.set_len(0);
        self.front.previous.store(0, Ordering::Relaxed);
        for (place, len) in [(&self.front.loaded, len), (&self.previous, previous)] {
            if len > 0 {
                let mut magazine = self.replace(place, self.depot.blank());
                magazine.set_len(len as usize);
                self.depot.take_back(magazine);
                bump(&self.front.returns);
            }
        }
    }

    /// Exchanges the two magazines; the one that is loaded then has `len` blocks.
    fn change_places(&self, len: u64) {
        self.front.loaded.with_mut(|loaded| {
            // SAFETY: as in `take`; the two are different fields.
            self.previous
                .with_mut(|previous| unsafe { ptr::swap(loaded, previous) });
        });
        self.set_len(len);
    }

    fn replace(
        &self,
        place: &UnsafeCell<NonNull<Magazine>>,
        magazine: Box<Magazine>,
    ) -> Box<Magazine> {
        let new = NonNull::from(Box::leak(magazine));
        // SAFETY: as in `take`.
        let old = place.with_mut(|place| mem::replace(unsafe { &mut *place }, new));
        // SAFETY: what is in the two places came from a box, and nobody has it any more.
        let mut old = unsafe { Box::from_raw(old.as_ptr()) };
        // Whoever puts it into the depot says what is in it.
        old.set_len(0);
        old
    }

    fn set_len(&self, len: u64) {
        let word = self.front.word.load(Ordering::Relaxed);
        self.front
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
        self.depot.unregister(&self.front);
        for place in [&self.front.loaded, &self.previous] {
            // SAFETY: the rack is dropped by the thread that has it.
            let magazine = place.with_mut(|magazine| unsafe { *magazine });
            // SAFETY: it came from a box; the front outlives this only to be counted.
            drop(unsafe { Box::from_raw(magazine.as_ptr()) });
        }
    }
}
