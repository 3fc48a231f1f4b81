//! A raw ring between two threads: no wait but spinning, no check but room, and its indexes published rarely.
//!
//! One thread has the [`Producer`], one the [`Consumer`]; neither can be cloned. Slots from `head` to `tail` belong to the
//! consumer, all others to the producer. The producer writes slots and then stores `tail` with release; the consumer loads
//! it with acquire before it reads them, and gives them back by `head` in the same way.

use std::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{
            AtomicUsize,
            Ordering::{Acquire, Release},
        },
    },
};

use crossbeam_utils::CachePadded;

struct Shared {
    slots: Box<[UnsafeCell<u64>]>,
    head: CachePadded<AtomicUsize>,
    tail: CachePadded<AtomicUsize>,
}

// SAFETY: a slot is used by one side at a time, which the indexes hand over with release and acquire.
unsafe impl Sync for Shared {}

/// The side that pushes.
pub struct Producer {
    shared: Arc<Shared>,
    tail: usize,
    /// `head` as it was when last looked at.
    head: usize,
    every: usize,
}

/// The side that pops.
pub struct Consumer {
    shared: Arc<Shared>,
    head: usize,
    /// `tail` as it was when last looked at.
    tail: usize,
    every: usize,
}

/// A ring of `capacity` slots whose sides publish every `every` items; both are powers of two, `every` at most half of
/// `capacity`.
///
/// # Panics
///
/// If they are not.
#[must_use]
pub fn ring(capacity: usize, every: usize) -> (Producer, Consumer) {
    assert!(capacity.is_power_of_two() && every.is_power_of_two() && every * 2 <= capacity);
    let shared = Arc::new(Shared {
        slots: (0..capacity).map(|_| UnsafeCell::new(0)).collect(),
        head: CachePadded::new(AtomicUsize::new(0)),
        tail: CachePadded::new(AtomicUsize::new(0)),
    });
    let producer = Producer {
        shared: Arc::clone(&shared),
        tail: 0,
        head: 0,
        every,
    };
    let consumer = Consumer {
        shared,
        head: 0,
        tail: 0,
        every,
    };
    (producer, consumer)
}

impl Producer {
    /// Pushes an item; spins while the ring is full.
    #[inline]
    pub fn push(&mut self, item: u64) {
        let capacity = self.shared.slots.len();
        while self.tail - self.head == capacity {
            spin_loop();
            self.head = self.shared.head.load(Acquire);
        }
        let slot = self.shared.slots[self.tail & (capacity - 1)].get();
        // SAFETY: the slot is outside of `head..tail`, so the producer, which is this, has it alone.
        unsafe { slot.write(item) };
        self.tail += 1;
        if self.tail.is_multiple_of(self.every) {
            self.publish();
        }
    }

    /// Shows what was pushed since the last time.
    pub fn publish(&self) {
        self.shared.tail.store(self.tail, Release);
    }
}

impl Consumer {
    /// Pops an item; spins while the ring is empty.
    #[inline]
    pub fn pop(&mut self) -> u64 {
        while self.head == self.tail {
            spin_loop();
            self.tail = self.shared.tail.load(Acquire);
        }
        let slot = self.shared.slots[self.head & (self.shared.slots.len() - 1)].get();
        // SAFETY: the slot is inside of `head..tail`, so the consumer, which is this, has it alone.
        let item = unsafe { slot.read() };
        self.head += 1;
        if self.head.is_multiple_of(self.every) {
            self.shared.head.store(self.head, Release);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_as_they_went_in() {
        let (mut producer, mut consumer) = ring(16, 8);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                (0..1000).for_each(|item| producer.push(item));
                producer.publish();
            });
            assert!((0..1000).all(|item| consumer.pop() == item));
        });
    }
}
