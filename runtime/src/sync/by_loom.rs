//! What the models get: loom. They need no clock, and nothing that only the whole runtime uses.

use std::collections::VecDeque;
/// loom knows no time; nothing in a model depends on it.
pub(crate) use std::time::Instant;

pub(crate) use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{
            AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
        },
    },
    thread::yield_now as spin_loop,
};

/// Threads that sleep.
pub(crate) mod thread {
    use std::time::Duration;

    pub(crate) use loom::thread::{Thread, current, park};

    /// loom knows no time; its models sleep until they are woken.
    pub(crate) fn park_timeout(_: Duration) {
        park();
    }
}

/// The interface of crossbeam's bounded queue, which loom cannot look into, over a lock that it can.
pub(crate) struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            items: Mutex::new(VecDeque::new()),
            capacity,
        }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.items.lock().unwrap();
        if items.len() == self.capacity {
            return Err(item);
        }
        items.push_back(item);
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.items.lock().unwrap().pop_front()
    }
}
