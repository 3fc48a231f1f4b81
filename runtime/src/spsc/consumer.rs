//! The end that takes.

use std::{fmt, mem};

use super::{PATIENCE, Ring, Slot};
use crate::sync::{Arc, Ordering};

/// The end of a [ring](super::ring) that takes. Dropping it closes the ring; what it has not taken is dropped with it.
pub struct Consumer<T> {
    ring: Arc<Ring<T>>,
    /// Of the next item.
    position: u64,
    /// Items before this one are there.
    known: u64,
    /// `head` as the producer sees it.
    given_back: u64,
    /// Looks in a row that found nothing.
    misses: u32,
}

/// What a look around has found.
enum Found<T> {
    /// Items in slots.
    Slots,
    /// One item on an express line.
    Express(T),
    Nothing,
}

impl<T> Consumer<T> {
    pub(super) fn new(ring: Arc<Ring<T>>) -> Self {
        Self {
            ring,
            position: 0,
            known: 0,
            given_back: 0,
            misses: 0,
        }
    }

    /// Items that the ring holds.
    pub fn capacity(&self) -> usize {
        self.ring.slots.len()
    }

    /// Items taken so far.
    pub fn taken(&self) -> u64 {
        self.position
    }

    /// Is the producer gone? What it pushed before is still to be taken.
    pub fn is_closed(&self) -> bool {
        // Acquire: whoever sees it sees what was pushed before.
        self.ring.closed.load(Ordering::Acquire)
    }

    /// Was everything taken that was pushed, published or not?
    pub fn is_empty(&self) -> bool {
        // An item may be taken from an express line before `exact` has passed it.
        self.ring.exact.load(Ordering::Acquire) <= self.position
            && self
                .ring
                .line(self.position)
                .is_none_or(|line| line.stamp.load(Ordering::Acquire) != self.position + 1)
    }

    /// Takes an item, if one is there.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.position == self.known || self.position - self.given_back >= self.quarter() {
            match self.look() {
                Found::Slots => {}
                Found::Express(item) => return Some(item),
                Found::Nothing => return None,
            }
        }
        // SAFETY: `position < known`: the slot holds an item, which is taken once because the position moves on.
        let item = unsafe { take(self.ring.slot(self.position)) };
        self.position += 1;
        Some(item)
    }

    /// Takes what is there, at most half of the ring; ends when the producer has published no more.
    ///
    /// The items' places are given back together, when the iterator is dropped.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_, T> {
        let mut express = None;
        if self.position == self.known
            && let Found::Express(item) = self.look()
        {
            express = Some(item);
        }
        let most = (self.ring.capacity() / 2).max(1);
        let end = self.known.min(self.position + most);
        Drain {
            position: self.position,
            end,
            express,
            slots: &raw const *self.ring.slots,
            consumer: self,
        }
    }

    /// Takes as many items as are there and fit, and returns how many they were.
    #[inline]
    pub fn pop_slice(&mut self, out: &mut [T]) -> usize
    where
        T: Copy,
    {
        let mut taken = 0;
        for (place, item) in out.iter_mut().zip(self.drain()) {
            *place = item;
            taken += 1;
        }
        taken
    }

    fn quarter(&self) -> u64 {
        (self.ring.capacity() / 4).max(1)
    }

    /// Gives back what was taken, and looks for more.
    #[inline(never)]
    fn look(&mut self) -> Found<T> {
        self.give_back();
        if self.position != self.known {
            return Found::Slots;
        }
        // Acquire: the items before the tail are there.
        let mut tail = self.ring.tail.load(Ordering::Acquire);
        // An item that came by an express line may be taken before the tail has passed it.
        if tail <= self.position {
            if let Some(item) = self.express() {
                self.misses = 0;
                self.position += 1;
                self.known = self.position;
                return Found::Express(item);
            }
            self.misses += 1;
            if self.misses < PATIENCE {
                return Found::Nothing;
            }
            // Acquire: as above, for what was written and not published.
            tail = self.ring.exact.load(Ordering::Acquire);
        }
        self.misses = 0;
        if tail <= self.position {
            return Found::Nothing;
        }
        self.known = tail;
        Found::Slots
    }

    /// The next item, if it came by an express line.
    fn express(&self) -> Option<T> {
        let line = self.ring.line(self.position)?;
        // Acquire: the item was written before its stamp.
        if line.stamp.load(Ordering::Acquire) != self.position + 1 {
            return None;
        }
        // SAFETY: the stamp says that the line holds the item of this position, and the producer writes there again only
        // when `head` has passed it. The position moves on, so the copy in the slot is never taken.
        Some(unsafe { take(&line.item) })
    }

    /// Tells the producer what was taken.
    #[inline]
    fn give_back(&mut self) {
        if self.given_back != self.position {
            // Release: the items were moved out before.
            self.ring.head.store(self.position, Ordering::Release);
            self.given_back = self.position;
        }
    }
}

/// Moves the item out of a slot.
///
/// # Safety
///
/// The slot holds an item, this thread owns it, and nobody takes it again.
#[inline(always)]
unsafe fn take<T>(slot: &Slot<T>) -> T {
    slot.with_mut(|slot| {
        // SAFETY: the caller's promise.
        let slot = unsafe { &*slot };
        // SAFETY: the caller's promise.
        unsafe { slot.assume_init_read() }
    })
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.give_back();
        self.ring.closed.store(true, Ordering::Release);
    }
}

/// The items that [`Consumer::drain`] found.
pub struct Drain<'c, T> {
    position: u64,
    end: u64,
    /// One that came by an express line; then there are no others.
    express: Option<T>,
    /// Here too, so that the loop over the items need not look it up.
    slots: *const [Slot<T>],
    consumer: &'c mut Consumer<T>,
}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.position == self.end {
            return self.express.take();
        }
        // SAFETY: the ring lives as long as the consumer, which is borrowed.
        let slots = unsafe { &*self.slots };
        let at = self.position as usize & slots.len().wrapping_sub(1);
        // SAFETY: a ring has at least two slots and their number is a power of two, so the masked index is below it.
        let slot = unsafe { slots.get_unchecked(at) };
        // SAFETY: `position < end <= known`: the slot holds an item, and the position moves on.
        let item = unsafe { take(slot) };
        self.position += 1;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.position) as usize + usize::from(self.express.is_some());
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        match self.express.take() {
            // It stays: its bits are still on its line and in its slot, and its place was not given back.
            Some(item) => {
                mem::forget(item);
                self.consumer.position -= 1;
                self.consumer.known -= 1;
            }
            None => self.consumer.position = self.position,
        }
        self.consumer.give_back();
    }
}

// SAFETY: it is a `&mut Consumer`, and the pointer is to what that one shares.
unsafe impl<T: Send> Send for Drain<'_, T> {}

impl<T> fmt::Debug for Drain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("left", &self.len()).finish()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity", &self.capacity())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
