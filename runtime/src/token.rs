//! A token: a value that one worker at a time may use, and that nobody ever waits for.
//!
//! [`Token::grab`] is one exchange; whoever does not get it goes on to other work. The value is published by the Release of
//! the unlocking store and acquired by the next successful grab.

use crate::sync::{AtomicBool, Ordering, UnsafeCell};

/// A value behind a try-lock.
#[derive(Debug)]
pub(crate) struct Token<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

impl<T> Token<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `f` with the value if nobody else has it.
    pub(crate) fn grab<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        // A failed exchange writes nothing, so whoever comes in between leaves no mark.
        if self
            .taken
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return None;
        }
        let _release = Release(&self.taken);
        // SAFETY: the exchange above made this thread the only one between it and the Release of `_release`, which is
        // dropped after `f` has returned or unwound.
        Some(self.value.with_mut(|value| f(unsafe { &mut *value })))
    }

    /// The value, by exclusive access to the token.
    #[cfg(not(loom))]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

struct Release<'a>(&'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

// SAFETY: the value moves between threads but is never used by two at once (see `grab`).
unsafe impl<T: Send> Sync for Token<T> {}
