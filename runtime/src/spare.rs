//! Spare buffers: the one that came back last, and a queue of the others.
//!
//! Whoever needs a buffer takes the last one, which is still in a cache, or else one from the queue. Whoever gives one back
//! leaves it as the last, if there is none, or else in the queue. So a worker that uses one buffer after the other always
//! has the same one, for two exchanges of a pointer; what is in the queue comes in turn.
//!
//! A buffer is in one place at a time: it gets into `last` by a swap of null for it, and out of it by a swap of it for null,
//! so whoever takes it there is the only one who does. Release and Acquire pass on what is in it.

use std::ptr;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicPtr, Ordering, Queue};

/// Spare boxes of `T`.
pub(crate) struct Spare<T> {
    last: CachePadded<AtomicPtr<T>>,
    others: Queue<Box<T>>,
}

impl<T> Spare<T> {
    /// Room for as many boxes, and one more.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            last: CachePadded::new(AtomicPtr::new(ptr::null_mut())),
            others: Queue::new(room),
        }
    }

    /// A spare box.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<T>> {
        self.take_last().or_else(|| self.take_other())
    }

    /// Gives a box back; one that has no room is returned.
    #[inline]
    pub(crate) fn give(&self, spare: Box<T>) -> Result<(), Box<T>> {
        self.give_last(spare)
            .or_else(|spare| self.give_to_others(spare))
    }

    /// Out of line, so that callers need no registers for it.
    #[inline(never)]
    fn take_other(&self) -> Option<Box<T>> {
        self.others.pop()
    }

    #[inline(never)]
    fn give_to_others(&self, spare: Box<T>) -> Result<(), Box<T>> {
        self.others.push(spare)
    }

    #[inline]
    fn take_last(&self) -> Option<Box<T>> {
        // Looked at before it is written to, which would take the line away from others. Relaxed: the swap decides.
        if self.last.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Acquire: pairs with the Release below.
        let last = self.last.swap(ptr::null_mut(), Ordering::Acquire);
        if last.is_null() {
            return None;
        }
        // SAFETY: it comes from `Box::into_raw` below, and this swap took it out, so nobody else has it.
        Some(unsafe { Box::from_raw(last) })
    }

    #[inline]
    fn give_last(&self, spare: Box<T>) -> Result<(), Box<T>> {
        // Relaxed: the swap decides.
        if !self.last.load(Ordering::Relaxed).is_null() {
            return Err(spare);
        }
        let raw = Box::into_raw(spare);
        // Release: passes on what is in it.
        match self
            .last
            .compare_exchange(ptr::null_mut(), raw, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            // SAFETY: it comes from `Box::into_raw` above, and the failed swap stored it nowhere.
            Err(_) => Err(unsafe { Box::from_raw(raw) }),
        }
    }

    /// How many there are, for tests.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn len(&self) -> usize {
        self.others.len() + usize::from(!self.last.load(Ordering::Relaxed).is_null())
    }
}

impl<T> Drop for Spare<T> {
    fn drop(&mut self) {
        drop(self.take_last());
    }
}

// SAFETY: boxes are handed from one thread to another and never shared.
unsafe impl<T: Send> Send for Spare<T> {}
// SAFETY: as above; every access to `last` is atomic.
unsafe impl<T: Send> Sync for Spare<T> {}

impl<T> std::fmt::Debug for Spare<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spare").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_comes_first_and_the_others_in_turn() {
        let spare = Spare::new(2);
        for n in 0..3 {
            assert!(spare.give(Box::new(n)).is_ok());
        }
        assert_eq!(spare.give(Box::new(3)), Err(Box::new(3)));
        assert_eq!(spare.len(), 3);
        let taken: Vec<i32> = std::iter::from_fn(|| spare.take()).map(|n| *n).collect();
        assert_eq!(taken, [0, 1, 2]);
        assert!(spare.give(Box::new(4)).is_ok());
        assert_eq!(spare.take(), Some(Box::new(4)));
    }

    #[test]
    fn what_is_spare_is_freed() {
        let one = std::sync::Arc::new(());
        let spare = Spare::new(1);
        for _ in 0..2 {
            assert!(spare.give(Box::new(one.clone())).is_ok());
        }
        drop(spare);
        assert_eq!(std::sync::Arc::strong_count(&one), 1);
    }
}
