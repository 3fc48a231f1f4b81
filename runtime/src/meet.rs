//! Where the parts of one thing meet: whoever brings the last part takes them all, and nobody waits.
//!
//! Things are numbered; the slot of a number is `number % len`. Each part of a thing has its own cell in the slot. A
//! worker stores its part, then counts itself in with one read-modify-write; the one that completes the count has seen
//! all parts that were counted before it, takes them, and sets the count back for the next number of that slot. That
//! number comes `len` later, when this thing has passed on: the bound is that of [`crate::ring`].

use std::ptr;

use crate::sync::{AtomicPtr, AtomicU32, Ordering};

/// A meeting place for parts in boxes of `T`.
pub(crate) struct Meet<T> {
    slots: Box<[Slot<T>]>,
}

struct Slot<T> {
    parts: Box<[AtomicPtr<T>]>,
    here: AtomicU32,
}

impl<T> Meet<T> {
    /// For at most `bound` things at once, of at most `parts` parts each.
    pub(crate) fn new(bound: usize, parts: usize) -> Self {
        let slot = || Slot {
            parts: (0..parts)
                .map(|_| AtomicPtr::new(ptr::null_mut()))
                .collect(),
            here: AtomicU32::new(0),
        };
        Self {
            slots: (0..bound.max(2).next_power_of_two())
                .map(|_| slot())
                .collect(),
        }
    }

    /// Leaves part number `part` of thing `number`. If that makes `expected` parts, hands each of them to `take`, in the
    /// order of their numbers, and returns true.
    pub(crate) fn bring(
        &self,
        number: u64,
        part: usize,
        value: Box<T>,
        expected: u32,
        mut take: impl FnMut(Box<T>),
    ) -> bool {
        let slot = &self.slots[number as usize & (self.slots.len() - 1)];
        // Relaxed: the count below publishes it.
        let before = slot.parts[part].swap(Box::into_raw(value), Ordering::Relaxed);
        assert!(
            before.is_null(),
            "two parts of one ticket have the same number"
        );
        // AcqRel: the one that completes the count sees every part that was counted before.
        if slot.here.fetch_add(1, Ordering::AcqRel) + 1 < expected {
            return false;
        }
        // Relaxed: whoever uses the slot next does so after this thing has passed the gate behind this place.
        slot.here.store(0, Ordering::Relaxed);
        for part in &slot.parts {
            let part = part.swap(ptr::null_mut(), Ordering::Relaxed);
            if !part.is_null() {
                // SAFETY: every part was stored from `Box::into_raw`, and only the one that completed the count takes
                // the parts of this number, each once.
                take(unsafe { Box::from_raw(part) });
            }
        }
        true
    }
}

impl<T> Meet<T> {
    /// Hands over the parts that still wait for others.
    pub(crate) fn clear(&mut self, mut take: impl FnMut(Box<T>)) {
        for part in self.slots.iter_mut().flat_map(|slot| &mut slot.parts) {
            let part = part.swap(ptr::null_mut(), Ordering::Relaxed);
            if !part.is_null() {
                // SAFETY: as in `bring`; `&mut self` says that nobody else takes it.
                take(unsafe { Box::from_raw(part) });
            }
        }
    }
}

impl<T> Drop for Meet<T> {
    fn drop(&mut self) {
        self.clear(drop);
    }
}

// SAFETY: the cells hand boxes from one thread to another and never share what is in them.
unsafe impl<T: Send> Send for Meet<T> {}
// SAFETY: as above; every access to a cell is atomic.
unsafe impl<T: Send> Sync for Meet<T> {}

impl<T> std::fmt::Debug for Meet<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meet")
            .field("slots", &self.slots.len())
            .finish()
    }
}
