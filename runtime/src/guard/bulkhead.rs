//! Bulkheads: how many workers may be in a stage at once.
//!
//! A bulkhead is a number of permits. Who calls a slice of items has one, and gives it back, also while it unwinds. Who finds
//! none waits until one is given back: that is news (see [`crate::guard`]), which are told only if all permits were out, so
//! that a stage which is not busy tells nobody anything.

use crate::sync::{AtomicU32, Ordering};

/// The permits of a stage.
#[derive(Debug)]
pub(super) struct Bulkhead {
    out: AtomicU32,
    most: u32,
}

/// The right to call. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit<'b> {
    bulkhead: &'b Bulkhead,
}

impl Bulkhead {
    pub(super) fn new(most: u32) -> Self {
        Self {
            out: AtomicU32::new(0),
            most: most.max(1),
        }
    }

    pub(super) fn enter(&self) -> Option<Permit<'_>> {
        // Acquire: pairs with who gave it back. Who finds no permit compares the news afterwards, which pass on that there is one.
        let more = |out: u32| (out < self.most).then_some(out + 1);
        self.out
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, more)
            .ok()?;
        Some(Permit { bulkhead: self })
    }

    /// Workers that are in the stage.
    pub(super) fn inside(&self) -> u32 {
        self.out.load(Ordering::Relaxed)
    }
}

impl Permit<'_> {
    /// Gives it back; true if there was no other one, so that somebody may wait for it.
    pub(crate) fn leave(self) -> bool {
        let permit = std::mem::ManuallyDrop::new(self);
        permit.bulkhead.give_back()
    }
}

impl Bulkhead {
    fn give_back(&self) -> bool {
        // Release: who takes it next comes after what was done with it.
        self.out.fetch_sub(1, Ordering::Release) == self.most
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.bulkhead.give_back();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_permits_as_workers_may_come() {
        let bulkhead = Bulkhead::new(2);
        let first = bulkhead.enter().expect("there are two");
        let second = bulkhead.enter().expect("there is another one");
        assert!(bulkhead.enter().is_none());
        assert_eq!(bulkhead.inside(), 2);
        assert!(first.leave(), "there was no other one");
        assert!(!second.leave(), "there was one already");
        drop(bulkhead.enter());
        assert_eq!(bulkhead.inside(), 0);
    }
}
