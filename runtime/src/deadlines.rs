//! Deadlines of items: until when they are of use.
//!
//! An item may be sent with a deadline, and a caller may leave. What is of no use any more is dropped and counted before work
//! is done for it: when it is taken out of the input; before each loop over a batch, so at each link; and whenever a batch goes
//! on that a guarded stage had put aside, so before each try.
//!
//! **Where a deadline is kept.** In the input beside the item (see `intake/buffer.rs`). Behind it in the batch's ticket: the last
//! deadline of the batch's items, so that nothing is dropped before its time; items of one pull were sent within moments. A
//! call is known itself: its slot says whether the caller has left, item by item.
//!
//! **What it costs** where there are none: one question for each batch, whether the run has ever seen one.

use crate::{
    carrier::{Carrier, Opened},
    diagnose::Gone,
    dropped::{Why, drop_for},
    intake::NEVER,
    sync::{AtomicBool, Instant, Ordering},
};

/// What a run knows of deadlines.
#[derive(Debug)]
pub(crate) struct Deadlines {
    /// Has it ever seen one?
    seen: AtomicBool,
    /// When the run began.
    epoch: Instant,
}

impl Deadlines {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            seen: AtomicBool::new(false),
            epoch,
        }
    }

    /// Has the run seen any?
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // Relaxed: whoever is handed an item with a deadline was handed this, too.
        self.seen.load(Ordering::Relaxed)
    }

    /// From now on there are some.
    pub(crate) fn see(&self) {
        if !self.any() {
            self.seen.store(true, Ordering::Relaxed);
        }
    }

    /// A time, in nanoseconds of the run; one before the run began is its begin.
    pub(crate) fn of(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Nanoseconds of the run.
    pub(crate) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

/// Drops the items of a batch that are of no use any more, before a loop over them begins.
#[cold]
#[inline(never)]
pub(crate) fn skip<T: 'static>(load: &mut Carrier<T>) {
    let (ticket, link) = (load.ticket(), load.link());
    let Opened { home, tags, items } = load.opened();
    let (shared, gone) = (home.shared(), home.gone());
    let until = shared.credits.until(ticket);
    let is_over = until != NEVER && until <= shared.deadlines.now();
    let out: Vec<T> = match (is_over, gone) {
        (true, _) => {
            tags.clear();
            // Its buffer stays where it is.
            let mut all = Vec::with_capacity(items.len());
            all.append(items);
            all
        }
        (false, Some(gone)) => take_gone(tags, items, gone),
        (false, None) => return,
    };
    if !out.is_empty() {
        shared.lost(link, Why::Expired, out.len() as u64);
        drop_for(Why::Expired, out);
    }
}

/// Takes out the items whose callers have left, and what lies beside them, such as their tags, where they have some.
pub(crate) fn take_gone<T, U>(tags: &mut Vec<U>, items: &mut Vec<T>, gone: Gone<T>) -> Vec<T> {
    if !items.iter().any(gone) {
        return Vec::new();
    }
    // Asked once each: a caller may leave at any time, and an item and its tag go together.
    let goes: Vec<bool> = items.iter().map(gone).collect();
    let mut of_tags = goes.iter();
    tags.retain(|_| of_tags.next() == Some(&false));
    let mut of_items = goes.iter();
    let out = items.extract_if(.., |_| of_items.next() == Some(&true));
    out.collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn items_that_go_take_their_tags_with_them() {
        let check = |tags: &[u32], expect: (&[u32], &[u8], &[u8])| {
            let (mut tags, mut items) = (tags.to_vec(), vec![1u8, 2, 3, 4, 5]);
            let out = take_gone(&mut tags, &mut items, |item| item % 2 == 0);
            assert_eq!((tags.as_slice(), items.as_slice(), out.as_slice()), expect);
        };
        check(&[10, 20, 30, 40, 50], (&[10, 30, 50], &[1, 3, 5], &[2, 4]));
        check(&[], (&[], &[1, 3, 5], &[2, 4]));
    }
}
