//! A gate at which a stage waits until the test opens it.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// A gate that a test opens; a stage waits at it.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    reached: AtomicU64,
}

impl Gate {
    /// Lets all pass.
    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        self.reached.fetch_add(1, Ordering::Release);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(open, |open| !*open));
    }

    /// Waits until a stage has come to it.
    pub fn reached(&self) {
        while !self.is_reached() {
            thread::yield_now();
        }
    }

    /// Has a stage come to it?
    pub fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Acquire) > 0
    }
}
