//! What users get: std.

pub(crate) use std::{
    hint::spin_loop,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
            Ordering, fence,
        },
    },
    thread,
    time::Instant,
};

pub(crate) use crossbeam_queue::ArrayQueue as Queue;
use std::{cell::Cell, hash::BuildHasher};

/// A number of this thread; threads are numbered in the order in which they first ask.
#[inline]
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    OWN.with(|own| {
        if own.get() == usize::MAX {
            // Relaxed: it is a number.
            own.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        own.get()
    })
}

/// A number that nobody can guess.
pub(crate) fn random() -> u64 {
    std::hash::RandomState::new().hash_one(())
}
