//! Threads that wait in the middle of a batch: pinned threads whose guarded stage may not go on (see [`crate::guard`]).
//!
//! They sleep as idle threads do (see [`crate::idle`]), among sleepers of their own: who leaves a batch for a segment wakes one
//! of its threads that has nothing to do, and not one that could not take it.
//!
//! **Why no wake-up is lost.** Whoever changes what such a thread waits for makes the change visible first, and then wakes all
//! of them, which passes a full fence. The thread sets its bit, passes a full fence, and asks once more whether it still has to wait.
//! Of the two fences one comes first: either it sees the change, or its bit is seen. Besides, it never sleeps for longer than
//! the time that is left.

#[cfg(all(test, loom))]
mod models;

use std::time::Duration;

use crate::{idle::Idle, sync::thread::Thread};

/// The threads of one segment that wait like this.
#[derive(Debug)]
pub(crate) struct Held(Idle);

impl Held {
    /// Of a segment with so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self(Idle::new(threads))
    }

    /// Thread `index` is this one. Called once, before it waits.
    pub(crate) fn enlist(&self, index: usize, thread: Thread) {
        self.0.enlist(index, thread);
    }

    /// Waits as long as there is time left, of which `left` tells.
    pub(crate) fn wait(&self, index: usize, left: impl Fn() -> Option<Duration>) {
        while let Some(time) = left() {
            self.0.park(index, Some(time), || left().is_none());
        }
    }

    /// Lets all of them ask again. Called after what they wait for was changed.
    pub(crate) fn tell(&self) {
        self.0.wake_all();
    }
}
