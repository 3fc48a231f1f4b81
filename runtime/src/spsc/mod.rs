//! A ring between one thread that pushes and one that takes: items are written in place, nothing is allocated, nobody
//! waits inside of it.
//!
//! ```
//! let (mut producer, mut consumer) = pipewright::spsc::ring::<u64>(1024);
//! std::thread::scope(|scope| {
//!     scope.spawn(move || {
//!         for n in 0..10_000u64 {
//!             // Full: the other thread is behind.
//!             while producer.push(n).is_err() {
//!                 std::thread::yield_now();
//!             }
//!         }
//!     });
//!     let mut sum = 0;
//!     loop {
//!         // Asked before the ring: what was pushed before it was closed is still taken.
//!         let closed = consumer.is_closed();
//!         let before = consumer.taken();
//!         sum += consumer.drain().sum::<u64>();
//!         if closed && consumer.taken() == before {
//!             break;
//!         }
//!     }
//!     assert_eq!(sum, 49_995_000);
//! });
//! ```
//!
//! # Protocol
//!
//! Positions count items and never go back; position `p` lies in slot `p % capacity`. The producer owns `tail`, `exact` and
//! the slots from its position on; the consumer owns `head` and the slots from its position to `tail`. Each keeps what it
//! last saw of the other, so in steady state neither reads a line that the other writes.
//!
//! * **Publishing.** A store to `tail` (Release) hands all slots before it over. Moving that line between two cores costs
//!   as much as dozens of items, so the producer publishes every `PUBLISH` (64) items, or at once when the consumer starves:
//!   when `head` is where the producer published last. (A loop of the runtime does not ask, because that is a transfer too: who
//!   takes there looks around by itself, or sleeps and is woken; and a slice of 64 items is worth its transfer in any case.) A consumer that keeps up would otherwise run one item behind the
//!   producer and pull the line over for each ("chasing"); here its starving is seen a line transfer later, when a batch
//!   has gathered, and takes that batch. So the size of a batch adapts by itself, without a timer.
//! * **Nothing is left behind.** `exact` says what was written, published or not. The consumer does not watch it (that
//!   would be chasing), but looks there after `PATIENCE` (32) looks at `tail` that found nothing. So a producer that pushes
//!   a few items and then goes away for long leaves none of them unseen.
//! * **Express lines.** To a consumer that starves one item at a time is a matter of latency: index and slot on two lines
//!   are two transfers. So while the consumer keeps up, an item is also written to one of `EXPRESS` (8) lines, together with
//!   its position + 1 as a stamp, before it goes to its slot: one transfer. The consumer takes an item from one of the two
//!   places; in the other place only bits are left. Line `p % EXPRESS` is free for position `p` when position
//!   `p - EXPRESS` has been taken, which the producer knows from `head`.
//! * **Taking.** The consumer stores `head` (Release) when it has used up what it knew of, before it looks for more, and
//!   after each quarter of the ring: that gives slots and express lines back, and says that it starves.
//!
//! The cached indices are those of FastForward and MCRingBuffer (Giacomoni et al., PPoPP 2008; Lee et al., IPDPS 2010).

#[cfg(not(loom))]
mod burst;
mod consumer;
mod producer;

use std::{fmt, mem::MaybeUninit};

use crossbeam_utils::CachePadded;

#[cfg(not(loom))]
pub(crate) use self::burst::Burst;
pub use self::{
    consumer::{Consumer, Drain},
    producer::Producer,
};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering, UnsafeCell};

/// Most items that are pushed before they are published.
pub(crate) const PUBLISH: u64 = 64;
/// Looks at `tail` that find nothing before the consumer looks at `exact`.
#[cfg(not(loom))]
const PATIENCE: u32 = 32;
/// A model must not look so often.
#[cfg(loom)]
const PATIENCE: u32 = 2;
/// Express lines.
#[cfg(not(loom))]
const EXPRESS: u64 = 8;
/// Few, so that a model uses one twice.
#[cfg(loom)]
const EXPRESS: u64 = 2;
/// The largest item that goes by an express line: what a cache line has beside the stamp.
const EXPRESS_BYTES: usize = 56;

/// Makes a ring for at least `capacity` items (the next power of two, at least 2) and returns its two ends.
///
/// # Panics
///
/// If the memory for so many items cannot be had.
pub fn ring<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    ring_of(capacity)
}

/// As [`ring`], for items that were found to cross threads elsewhere.
pub(crate) fn ring_of<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let len = capacity.max(2).next_power_of_two();
    let express = if size_of::<T>() <= EXPRESS_BYTES {
        EXPRESS.min(len as u64)
    } else {
        0
    };
    let line = || {
        CachePadded::new(Line {
            stamp: AtomicU64::new(0),
            item: UnsafeCell::new(MaybeUninit::uninit()),
        })
    };
    let ring = Arc::new(Ring {
        tail: CachePadded::new(AtomicU64::new(0)),
        exact: CachePadded::new(AtomicU64::new(0)),
        head: CachePadded::new(AtomicU64::new(0)),
        closed: AtomicBool::new(false),
        slots: (0..len)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect(),
        express: (0..express).map(|_| line()).collect(),
    });
    (Producer::new(Arc::clone(&ring)), Consumer::new(ring))
}

/// A place for an item.
type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// What the two ends share.
struct Ring<T> {
    /// Published up to here.
    tail: CachePadded<AtomicU64>,
    /// Written up to here.
    exact: CachePadded<AtomicU64>,
    /// Taken up to here.
    head: CachePadded<AtomicU64>,
    /// One end is gone.
    closed: AtomicBool,
    slots: Box<[Slot<T>]>,
    express: Box<[CachePadded<Line<T>>]>,
}

/// One item with its position + 1, on one cache line.
struct Line<T> {
    stamp: AtomicU64,
    item: Slot<T>,
}

impl<T> Ring<T> {
    fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    fn slot(&self, position: u64) -> &Slot<T> {
        // The length is a power of two, and the mask keeps the index within it, which the compiler sees.
        &self.slots[(position & (self.slots.len() as u64 - 1)) as usize]
    }

    fn line(&self, position: u64) -> Option<&Line<T>> {
        let len = self.express.len() as u64;
        // A power of two, as capacities are; none for large items.
        let at = position & len.checked_sub(1)?;
        Some(&*self.express[at as usize])
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Relaxed: both ends are gone, which their last use of the `Arc` ordered; each left its position.
        let mut position = self.head.load(Ordering::Relaxed);
        let end = self.exact.load(Ordering::Relaxed);
        while position != end {
            self.slot(position).with_mut(|slot| {
                // SAFETY: nobody else is here.
                let slot = unsafe { &mut *slot };
                // SAFETY: slots from `head` to `exact` hold items that nobody has taken.
                unsafe { slot.assume_init_drop() }
            });
            position += 1;
        }
    }
}

// SAFETY: items go from one thread to another (`ring` asks for `T: Send`, `ring_of` is told so); every slot belongs to one
// end at a time, as the protocol above says.
unsafe impl<T> Sync for Ring<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Ring<T> {}

/// An item was not taken; here it is again.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError<T> {
    /// The ring is full.
    Full(T),
    /// The consumer is gone.
    Closed(T),
}

impl<T> PushError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }

    /// Is the consumer gone?
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the ring is full",
            Self::Closed(_) => "the consumer of the ring is gone",
        })
    }
}

impl<T> std::error::Error for PushError<T> {}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
