//! The door of the push input: it closes without losing what is on its way in.
//!
//! A sender announces itself, then looks whether the door is closed, then pushes, then leaves. Closing sets `closed`
//! first; the input has ended only when the door is closed, nobody is in it and the queue is empty. There is a full
//! fence between the two accesses on both sides, so either the sender sees the closed door and keeps its item, or the
//! worker sees the sender and waits for the item.

use crate::sync::{AtomicBool, AtomicU32, Ordering, fence};

/// Counts the senders that are on their way in, and closes.
#[derive(Debug)]
pub(crate) struct Door {
    closed: AtomicBool,
    inside: AtomicU32,
}

/// A sender in an open door.
pub(crate) struct Inside<'a>(&'a Door);

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            closed: AtomicBool::new(false),
            inside: AtomicU32::new(0),
        }
    }

    /// Goes in to push; `None` if the door is closed.
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        self.inside.fetch_add(1, Ordering::Relaxed);
        let inside = Inside(self);
        // Pairs with the fence in `is_left`.
        fence(Ordering::SeqCst);
        (!self.is_closed()).then_some(inside)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Is it closed, and is nobody on the way in? Then what was pushed is visible, and nothing more comes.
    pub(crate) fn is_left(&self) -> bool {
        if !self.closed.load(Ordering::Acquire) {
            return false;
        }
        fence(Ordering::SeqCst);
        // Acquire: pairs with the Release of the last one leaving, so its push is visible.
        self.inside.load(Ordering::Acquire) == 0
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Release);
    }
}
