//! The deposit ring: where batches are left for the one thread that serves them for the whole run.
//!
//! It is the gate's ring ([`crate::ring`]) with a holder that never leaves. Every batch has a number; no two have the same,
//! none is left out; the slot of a number is `number % len`. Whoever has a batch stores it in its slot (Release) and goes
//! on: there is nobody to become. The thread that takes looks at the slot of the next number, takes what is there
//! (Acquire), and empties the slot. That is one store a batch on either side, and one read-modify-write where numbers are
//! drawn by arrival.
//!
//! **Why two numbers never meet in one slot**, and why the slot is seen empty by the next one that is stored there: as in
//! the gate's ring. The ring is at least as long as the number of batches that can be on their way here, so number
//! `n + len` is drawn after batch `n` was done, and the credits order the two.

use std::ptr;

use crate::sync::{AtomicBool, AtomicPtr, Ordering};

/// A ring of boxes of `T` for one taker.
pub(crate) struct DepositRing<T> {
    slots: Box<[AtomicPtr<T>]>,
    mask: u64,
    /// There is a taker.
    taken: AtomicBool,
}

/// The one who takes.
pub(crate) struct Taker<'r, T> {
    ring: &'r DepositRing<T>,
    /// The number that is taken next.
    next: u64,
}

impl<T> DepositRing<T> {
    /// A ring for at most `bound` batches on their way at once; the first number is 0.
    pub(crate) fn new(bound: usize) -> Self {
        let len = bound.max(2).next_power_of_two();
        Self {
            slots: (0..len).map(|_| AtomicPtr::new(ptr::null_mut())).collect(),
            mask: len as u64 - 1,
            taken: AtomicBool::new(false),
        }
    }

    /// Leaves the batch with this number.
    pub(crate) fn leave(&self, number: u64, batch: Box<T>) {
        // Release: the taker sees what is in the batch.
        self.slot(number)
            .store(Box::into_raw(batch), Ordering::Release);
    }

    /// The right to take; there is one.
    pub(crate) fn taker(&self) -> Option<Taker<'_, T>> {
        // Relaxed: it is given out once, whoever asks.
        let first = !self.taken.swap(true, Ordering::Relaxed);
        first.then_some(Taker {
            ring: self,
            next: 0,
        })
    }

    fn slot(&self, number: u64) -> &AtomicPtr<T> {
        &self.slots[(number & self.mask) as usize]
    }

    /// Hands over the batches that wait.
    pub(crate) fn clear(&mut self, mut take: impl FnMut(Box<T>)) {
        for slot in &mut self.slots {
            // Relaxed: `&mut self` says that nobody else is here.
            let raw = slot.load(Ordering::Relaxed);
            slot.store(ptr::null_mut(), Ordering::Relaxed);
            if !raw.is_null() {
                // SAFETY: `leave` stored a box, and the slot no longer has it.
                take(unsafe { Box::from_raw(raw) });
            }
        }
    }
}

impl<T> Taker<'_, T> {
    /// Takes the next batch if it is there.
    pub(crate) fn take(&mut self) -> Option<Box<T>> {
        let slot = self.ring.slot(self.next);
        // Acquire: pairs with `leave`.
        let raw = slot.load(Ordering::Acquire);
        if raw.is_null() {
            return None;
        }
        // Relaxed: who stores here next comes after this batch is done (see the top of the file).
        slot.store(ptr::null_mut(), Ordering::Relaxed);
        self.next += 1;
        // SAFETY: `leave` stored a box, and there is one taker: nobody else has it.
        Some(unsafe { Box::from_raw(raw) })
    }

    /// Is the next batch there?
    pub(crate) fn is_ready(&self) -> bool {
        !self.ring.slot(self.next).load(Ordering::Relaxed).is_null()
    }
}

impl<T> Drop for DepositRing<T> {
    fn drop(&mut self) {
        self.clear(drop);
    }
}

impl<T> std::fmt::Debug for DepositRing<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DepositRing")
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}
