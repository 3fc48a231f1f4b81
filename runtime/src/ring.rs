//! The gate's ring: where batches meet the one worker that may serve a serial state, without a lock.
//!
//! Every batch that wants through the gate has a number; no two have the same, none is left out. The slot of a number is
//! `number % len`. A slot is EMPTY, OPEN, or holds a batch. At any time either exactly one slot is OPEN (nobody serves,
//! and whoever arrives with that slot's number becomes the holder), or one holder exists and no slot is OPEN.
//!
//! * **Arriving** with number `n`: swap EMPTY -> batch. If that succeeds, the batch is left for the holder and the
//!   arriver goes on to other work. If the slot was OPEN instead, the arriver empties it and is the holder of `n`.
//! * **Advancing**: the holder is done with `n` and looks at slot `n + 1`. A batch: it takes it and goes on. EMPTY: it
//!   swaps EMPTY -> OPEN and leaves; if a batch arrived in between, the swap fails and it takes that batch.
//!
//! * **Pausing**: a holder may go away with its batch and without advancing. Then no slot is OPEN, so nobody serves, and what
//!   arrives waits in its slots, until the one that has the batch is the holder again ([`Hold::again`]). Who hands the batch
//!   over meanwhile passes the state on with it (by the lock of [`crate::aside`] and the run queues).
//!
//! Both sides make one read-modify-write on the same word, so one of them sees the other: nothing is left behind and
//! nobody waits. A worker that is descheduled before it arrives delays only the numbers behind its own.
//!
//! **Why two numbers never meet in one slot.** The ring is at least as long as the number of batches that can be on
//! their way to this gate at once (the credits of the pipeline times the batches that one ticket sends here). Numbers
//! `n` and `n + len` in the ring together would be `len + 1` such batches.
//!
//! **Why the state is exclusive.** The holder that leaves publishes its writes by the Release of the swap to OPEN; the
//! next holder acquires them by the failed swap that reads OPEN. A holder that takes a batch acquires its contents from
//! the Release of the arriver's swap.

use std::ptr;

use crate::sync::{AtomicPtr, Ordering};

/// No batch and no permission to serve.
fn empty<T>() -> *mut T {
    ptr::null_mut()
}

/// Nobody serves; who arrives at this slot does. An address that no box has.
fn open<T>() -> *mut T {
    ptr::without_provenance_mut(1)
}

/// A ring of rendezvous slots for boxes of `T`.
pub(crate) struct Ring<T> {
    slots: Box<[AtomicPtr<T>]>,
    mask: u64,
}

/// The right to serve the gate, with the batch whose turn it is. There is at most one per ring.
pub(crate) struct Hold<T> {
    number: u64,
    batch: Option<Box<T>>,
}

impl<T> Hold<T> {
    /// The right of the holder of `number`, who went away with this batch and has not advanced since: the one that is back.
    pub(crate) fn again(number: u64, batch: Box<T>) -> Self {
        Self {
            number,
            batch: Some(batch),
        }
    }

    /// Takes the batch to serve; `None` if it was taken already.
    pub(crate) fn take(&mut self) -> Option<Box<T>> {
        self.batch.take()
    }
}

impl<T> Ring<T> {
    /// A ring for at most `bound` batches on their way at once; it starts open for number 0.
    pub(crate) fn new(bound: usize) -> Self {
        let len = bound.max(2).next_power_of_two();
        let slots = (0..len)
            .map(|i| AtomicPtr::new(if i == 0 { open() } else { empty() }))
            .collect();
        Self {
            slots,
            mask: len as u64 - 1,
        }
    }

    /// Brings the batch with this number. `Some` if the caller is now the holder and serves it.
    pub(crate) fn arrive(&self, number: u64, batch: Box<T>) -> Option<Hold<T>> {
        let slot = self.slot(number);
        let raw = Box::into_raw(batch);
        // Release: the holder that takes the batch sees its contents. Acquire on failure: what was OPEN was published by
        // the holder that left, and with it the state.
        match slot.compare_exchange(empty(), raw, Ordering::Release, Ordering::Acquire) {
            Ok(_) => None,
            Err(found) => {
                assert!(
                    ptr::addr_eq(found, open::<T>()),
                    "two batches met in one slot of a gate"
                );
                // Relaxed: nobody else writes to this slot before the holder publishes by a later Release (see above).
                slot.store(empty(), Ordering::Relaxed);
                // SAFETY: `raw` comes from `Box::into_raw` above and the failed swap did not store it anywhere.
                let batch = unsafe { Box::from_raw(raw) };
                Some(Hold {
                    number,
                    batch: Some(batch),
                })
            }
        }
    }

    /// The holder is done with its number: takes the next batch into `hold`, or opens the gate and returns false.
    pub(crate) fn advance(&self, hold: &mut Hold<T>) -> bool {
        let next = hold.number + 1;
        let slot = self.slot(next);
        // Acquire: pairs with the arriver's Release.
        let mut found = slot.load(Ordering::Acquire);
        if found.is_null() {
            // Release: publishes the state to the next holder. Acquire on failure: pairs with the arriver.
            match slot.compare_exchange(empty(), open(), Ordering::Release, Ordering::Acquire) {
                Ok(_) => return false,
                Err(batch) => found = batch,
            }
        }
        slot.store(empty(), Ordering::Relaxed);
        hold.number = next;
        // SAFETY: only the holder opens slots and this one does not, so `found` is a box that an arriver left. The
        // holder is the only one that takes batches out of slots.
        hold.batch = Some(unsafe { Box::from_raw(found) });
        true
    }

    fn slot(&self, number: u64) -> &AtomicPtr<T> {
        &self.slots[(number & self.mask) as usize]
    }
}

impl<T> Ring<T> {
    /// Hands over the batches that wait.
    pub(crate) fn clear(&mut self, mut take: impl FnMut(Box<T>)) {
        for slot in &mut self.slots {
            // Relaxed: `&mut self` says that nobody else is here.
            let found = slot.load(Ordering::Relaxed);
            if found.is_null() || ptr::addr_eq(found, open::<T>()) {
                continue;
            }
            slot.store(empty(), Ordering::Relaxed);
            // SAFETY: neither of the two marks, so it is a box that an arriver left and nobody took.
            take(unsafe { Box::from_raw(found) });
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        self.clear(drop);
    }
}

// SAFETY: the ring hands boxes from one thread to another and never shares what is in them.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above; every access to a slot is atomic.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> std::fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("slots", &self.slots.len())
            .finish()
    }
}
