//! Bulkheads: how many workers may be in a stage at once.
//!
//! A bulkhead is a number of permits. Who calls a slice of items has one, and gives it back, also while it unwinds. Who finds
//! none waits until one is given back: that is news (see [`crate::guard`]), which are told only if all permits were out, so
//! that a stage which is not busy tells nobody anything.
//!
//! How many there may be can change while the run goes on. It is in one word with how many are out, so whoever gives one back
//! knows whether that makes one free: where there are to be fewer, the first ones that come back do not.

use crate::sync::{AtomicU64, Ordering};

/// The permits of a stage: how many are out in the low half of the word, how many there may be in the high one.
#[derive(Debug)]
pub(super) struct Bulkhead(AtomicU64);

/// The two halves of the word.
fn parted(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

fn word(out: u32, most: u32) -> u64 {
    u64::from(most.max(1)) << 32 | u64::from(out)
}

/// The right to call. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit<'b> {
    bulkhead: &'b Bulkhead,
}

impl Bulkhead {
    pub(super) fn new(most: u32) -> Self {
        Self(AtomicU64::new(word(0, most)))
    }

    /// There may be so many from now on. Whoever waits is to ask again: the caller tells the news.
    pub(super) fn retune(&self, most: u32) {
        let change = |now: u64| Some(word(parted(now).0, most));
        // Relaxed: the news pass it on.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    pub(super) fn enter(&self) -> Option<Permit<'_>> {
        let more = |now: u64| {
            let (out, most) = parted(now);
            (out < most).then_some(now + 1)
        };
        // Acquire: pairs with who gave it back. Who finds no permit compares the news afterwards, which pass on that there is one.
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, more)
            .ok()?;
        Some(Permit { bulkhead: self })
    }

    /// Workers that are in the stage.
    pub(super) fn inside(&self) -> u32 {
        parted(self.0.load(Ordering::Relaxed)).0
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
        let (out, most) = parted(self.0.fetch_sub(1, Ordering::Release));
        out == most
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

    #[test]
    fn where_there_are_to_be_fewer_the_first_that_come_back_make_none_free() {
        let bulkhead = Bulkhead::new(3);
        let mut out: Vec<_> = (0..3).filter_map(|_| bulkhead.enter()).collect();
        bulkhead.retune(1);
        let mut freed = || out.pop().is_some_and(Permit::leave);
        assert_eq!([freed(), freed()], [false, false]);
        assert!(bulkhead.enter().is_none(), "one is out");
        assert!(freed(), "the last one is one that there may be");
        bulkhead.retune(2);
        let all: Vec<_> = (0..3).filter_map(|_| bulkhead.enter()).collect();
        assert_eq!((all.len(), bulkhead.inside()), (2, 2));
    }
}
