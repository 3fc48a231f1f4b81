//! A producer in a loop of the runtime: what the loop needs lies by value where the loop is, so that the compiler keeps it
//! in registers. It is written back when the burst is dropped.

use super::{Producer, Ring, Slot};
use crate::sync::Ordering;

/// See the top of the file. It uses no express lines: those who take from the runtime's rings take many items at a time.
pub(crate) struct Burst<'p, T> {
    position: u64,
    check: u64,
    slots: *const [Slot<T>],
    ring: *const Ring<T>,
    producer: &'p mut Producer<T>,
}

impl<T> Producer<T> {
    /// For a loop that pushes many items.
    pub(crate) fn burst(&mut self) -> Burst<'_, T> {
        Burst {
            position: self.position,
            check: self.check,
            slots: &raw const *self.ring.slots,
            ring: &raw const *self.ring,
            producer: self,
        }
    }
}

impl<T> Burst<'_, T> {
    /// Pushes an item; gives it back where it is time to look around.
    #[inline(always)]
    pub(crate) fn try_push(&mut self, item: T) -> Result<(), T> {
        if self.position == self.check {
            return Err(item);
        }
        // SAFETY: the ring lives as long as the producer, which is borrowed.
        let slots = unsafe { &*self.slots };
        // SAFETY: as above.
        let ring = unsafe { &*self.ring };
        let at = self.position as usize & slots.len().wrapping_sub(1);
        // SAFETY: a ring has at least two slots and their number is a power of two, so the masked index is below it. A
        // check would be a panic in the loop, for which the loop would keep its counts in memory.
        let slot = unsafe { slots.get_unchecked(at) };
        slot.with_mut(|slot| {
            // SAFETY: `position` is before `check`, so the slot is free, and only the producer writes to free slots.
            unsafe { (*slot).write(item) };
        });
        self.position += 1;
        // The orderings are those of `Producer::push`.
        ring.exact.store(self.position, Ordering::Release);
        Ok(())
    }

    /// Publishes what was pushed; false if there was nothing.
    pub(crate) fn publish(&mut self) -> bool {
        self.sync(Producer::flush)
    }

    /// Looks how far the consumer is; false if the ring is full.
    pub(crate) fn make_room(&mut self) -> bool {
        self.sync(|producer| {
            producer.look();
            producer.plan();
            producer.position != producer.check
        })
    }

    /// Is the consumer gone?
    pub(crate) fn is_closed(&self) -> bool {
        self.producer.is_closed()
    }

    fn sync<R>(&mut self, f: impl FnOnce(&mut Producer<T>) -> R) -> R {
        self.producer.position = self.position;
        let result = f(self.producer);
        self.check = self.producer.check;
        result
    }
}

impl<T> Drop for Burst<'_, T> {
    fn drop(&mut self) {
        self.producer.position = self.position;
    }
}
