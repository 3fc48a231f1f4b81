//! The end that pushes.

use std::{fmt, mem::MaybeUninit, ptr};

use super::{PUBLISH, PushError, Ring};
use crate::sync::{Arc, Ordering};

/// The end of a [ring](super::ring) that pushes. Dropping it publishes what it pushed and closes the ring.
pub struct Producer<T> {
    pub(super) ring: Arc<Ring<T>>,
    /// Of the next item.
    pub(super) position: u64,
    /// The position before which it looks around: the ring may be full, enough items wait to be published, or express
    /// lines are in use.
    pub(super) check: u64,
    /// Up to here the consumer can see.
    pub(super) published: u64,
    /// What was last seen of the consumer's position.
    pub(super) head: u64,
    /// Has the consumer taken each of the last items before the next was pushed?
    express: bool,
}

impl<T> Producer<T> {
    pub(super) fn new(ring: Arc<Ring<T>>) -> Self {
        let mut new = Self {
            ring,
            position: 0,
            check: 0,
            published: 0,
            head: 0,
            express: false,
        };
        new.plan();
        new
    }

    /// Items that the ring holds.
    pub fn capacity(&self) -> usize {
        self.ring.slots.len()
    }

    /// Is the consumer gone?
    pub fn is_closed(&self) -> bool {
        self.ring.closed.load(Ordering::Acquire)
    }

    /// Pushes an item. It is published with the next ones, up to 64 together, or at once if the consumer has nothing.
    ///
    /// # Errors
    ///
    /// Gives the item back if the ring is full, or if it is full and the consumer is gone.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        if self.position == self.check {
            return self.push_with_care(item);
        }
        self.write(item);
        if self.starves() {
            self.serve_starving();
        }
        Ok(())
    }

    /// Pushes as many items as there is room for, and returns how many they were. They are published at once if the
    /// consumer has nothing or if they are 64 or a quarter of the ring, else together with more.
    #[inline]
    pub fn push_slice(&mut self, items: &[T]) -> usize
    where
        T: Copy,
    {
        let room = self.room(items.len());
        let items = &items[..room];
        let first = (self.position & (self.ring.capacity() - 1)) as usize;
        let (upper, lower) = items.split_at(room.min(self.ring.slots.len() - first));
        self.copy(first, upper);
        self.copy(0, lower);
        self.position += room as u64;
        // Release: whoever sees the position sees the items.
        self.ring.exact.store(self.position, Ordering::Release);
        // Many items are worth a transfer; where the consumer is, which is another one, is asked for few only.
        if self.position - self.published >= PUBLISH.min(self.ring.capacity() / 4) || self.starves()
        {
            self.flush();
        }
        self.plan();
        room
    }

    /// Publishes what was pushed. Returns whether there was anything.
    pub fn flush(&mut self) -> bool {
        if self.published == self.position {
            return false;
        }
        // Release: whoever sees the new tail sees the items before it.
        self.ring.tail.store(self.position, Ordering::Release);
        self.published = self.position;
        self.plan();
        true
    }

    /// Up to `wanted` free places.
    fn room(&mut self, wanted: usize) -> usize {
        let room = |this: &Self| (this.ring.capacity() - (this.position - this.head)) as usize;
        if room(self) < wanted {
            self.look();
        }
        room(self).min(wanted)
    }

    /// Copies items into the slots from index `first` on, which are free.
    fn copy(&mut self, first: usize, items: &[T])
    where
        T: Copy,
    {
        for (slot, item) in self.ring.slots[first..].iter().zip(items) {
            slot.with_mut(|slot| {
                // SAFETY: the caller has found the slot to be free, and only the producer writes to free slots.
                unsafe { (*slot).write(*item) };
            });
        }
    }

    /// Looks how far the consumer is.
    pub(super) fn look(&mut self) {
        // Acquire: what the consumer did with the slots before it gave them back is done.
        self.head = self.ring.head.load(Ordering::Acquire);
    }

    /// Says where to look around next.
    pub(super) fn plan(&mut self) {
        let full = self.head + self.ring.capacity();
        self.check = if self.express {
            self.position
        } else {
            full.min((self.published + PUBLISH).max(self.position))
        };
    }

    /// Has the consumer taken everything that it could see?
    #[inline(always)]
    fn starves(&self) -> bool {
        // Relaxed: a hint; the slots are given back by `look`.
        self.ring.head.load(Ordering::Relaxed) == self.published
    }

    #[inline(always)]
    fn write(&mut self, item: T) {
        self.ring.slot(self.position).with_mut(|slot| {
            // SAFETY: `position` is before `head + capacity` (`check` is not above it), so the slot is free, and only the
            // producer writes to free slots.
            unsafe { (*slot).write(item) };
        });
        self.position += 1;
        // Release: whoever sees the position sees the item.
        self.ring.exact.store(self.position, Ordering::Release);
    }

    /// Publishes an item to a consumer that had nothing. If it was alone, the next one goes by an express line.
    #[cold]
    fn serve_starving(&mut self) {
        self.express = self.position - self.published == 1 && self.ring.line(0).is_some();
        self.flush();
    }

    /// At [`Self::check`]: pushes by an express line, or publishes, or finds that there is no room.
    #[inline(never)]
    fn push_with_care(&mut self, item: T) -> Result<(), PushError<T>> {
        if self.express {
            return self.push_express(item);
        }
        if self.position - self.head == self.ring.capacity() {
            self.look();
            if self.position - self.head == self.ring.capacity() {
                self.flush();
                return Err(match self.is_closed() {
                    true => PushError::Closed(item),
                    false => PushError::Full(item),
                });
            }
        }
        self.write(item);
        if self.position - self.published >= PUBLISH {
            self.flush();
        } else if self.starves() {
            self.serve_starving();
        }
        self.plan();
        Ok(())
    }

    /// Pushes an item to a consumer that keeps up.
    fn push_express(&mut self, item: T) -> Result<(), PushError<T>> {
        let lines = self.ring.express.len() as u64;
        if self.position - self.head >= lines {
            self.look();
        }
        if self.position - self.head >= lines {
            self.express = false;
            self.plan();
            return self.push(item);
        }
        let item = MaybeUninit::new(item);
        if let Some(line) = self.ring.line(self.position) {
            line.item.with_mut(|place| {
                // SAFETY: position - lines has been taken (above), so the consumer is done with this line, and only the
                // producer writes to it. What it held is bits.
                unsafe { ptr::copy_nonoverlapping(&item, place, 1) };
            });
            // Release: whoever sees the stamp sees the item.
            line.stamp.store(self.position + 1, Ordering::Release);
        }
        // SAFETY: the item was made above and is read once; the copy in the line is bits, which the consumer makes the
        // item if it takes it from there, and then it does not take it from the slot.
        self.write(unsafe { item.assume_init_read() });
        self.published = self.position;
        self.look();
        // Did the consumer have everything before this one?
        if self.head + 1 < self.position {
            self.express = false;
        }
        self.plan();
        Ok(())
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.flush();
        // Release: whoever sees that the ring is closed sees everything that was pushed.
        self.ring.closed.store(true, Ordering::Release);
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("capacity", &self.capacity())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
