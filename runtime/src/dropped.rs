//! Why items are dropped, and how many for which reason.
//!
//! An item may carry a call, and dropping a call answers it (see [`crate::calls`]). So who drops items for another reason than
//! that the run stops says so for its thread, with [`drop_for`], and the caller hears of it.

use std::{cell::Cell, fmt};

use crate::sync::{AtomicU64, Ordering};

/// Why an item is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The run stops.
    Stopped,
    /// A breaker is open, and says `on_open = drop`.
    Breaker,
    /// A queue is full, and says so in its `overflow`.
    Overflow,
    /// Its time is up, or its caller has left.
    Expired,
    /// Items wait for too long.
    Shed,
    /// A breaker is open, and says `on_open = nack`: their source gives them again.
    Returned,
}

impl Why {
    const COUNT: usize = 6;

    fn index(self) -> usize {
        self as usize
    }
}

/// Items that were dropped, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Because the run stopped.
    pub stopped: u64,
    /// Because a breaker was open, with `on_open = drop`.
    pub breaker: u64,
    /// Because a queue was full, as its `overflow` says.
    pub overflow: u64,
    /// Because their deadline had passed, or their caller had left.
    pub expired: u64,
    /// Because items waited for too long, as `shed` says.
    pub shed: u64,
    /// Because they were given back to their source, which gives them again: a breaker was open, with `on_open = nack`. Once for
    /// each time.
    pub returned: u64,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.stopped + self.returned + self.lost()
    }

    /// Those that were dropped while the run went on, and do not come again.
    pub fn lost(&self) -> u64 {
        self.breaker + self.overflow + self.expired + self.shed
    }

    /// Is there something to tell besides how many were dropped?
    pub(crate) fn has_reasons(&self) -> bool {
        self.lost() + self.returned > 0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            stopped: self.stopped + other.stopped,
            breaker: self.breaker + other.breaker,
            overflow: self.overflow + other.overflow,
            expired: self.expired + other.expired,
            shed: self.shed + other.shed,
            returned: self.returned + other.returned,
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.stopped, "when the run stopped"),
            (self.breaker, "by an open breaker"),
            (self.overflow, "by a full queue"),
            (self.expired, "after their deadline"),
            (self.shed, "under overload"),
            (self.returned, "to come again from their source"),
        ];
        let told = parts.iter().filter(|(items, _)| *items > 0);
        let told: Vec<String> = told
            .map(|(items, what)| format!("{items} {what}"))
            .collect();
        match told.is_empty() {
            true => f.write_str("nothing dropped"),
            false => write!(f, "dropped: {}", told.join(", ")),
        }
    }
}

/// Items that were dropped at one place.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    items: [AtomicU64; Why::COUNT],
    /// When the last one was lost while the run went on, in nanoseconds of the run; 0: never.
    last: AtomicU64,
}

impl Losses {
    /// And so many more, at the time `now` of the run. Where the run stops, the time is of no interest.
    pub(crate) fn add(&self, why: Why, items: u64, now: u64) {
        self.items[why.index()].fetch_add(items, Ordering::Release);
        if !matches!(why, Why::Stopped | Why::Returned) {
            self.last.store(now.max(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Dropped {
        let of = |why: Why| self.items[why.index()].load(Ordering::Acquire);
        Dropped {
            stopped: of(Why::Stopped),
            breaker: of(Why::Breaker),
            overflow: of(Why::Overflow),
            expired: of(Why::Expired),
            shed: of(Why::Shed),
            returned: of(Why::Returned),
        }
    }

    /// When the last one was lost while the run went on.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }
}

thread_local! {
    /// Why this thread drops items, wherever nothing else is said.
    static WHY: Cell<Why> = const { Cell::new(Why::Stopped) };
}

/// Drops `items` for a reason that their callers, if there are any, hear of.
pub(crate) fn drop_for<T>(why: Why, items: T) {
    /// Restores what was said, also while a destructor unwinds.
    struct Before(Why);
    impl Drop for Before {
        fn drop(&mut self) {
            // A thread that ends has no callers to tell.
            let _ = WHY.try_with(|why| why.set(self.0));
        }
    }
    let _before = Before(WHY.try_with(|now| now.replace(why)).unwrap_or(Why::Stopped));
    drop(items);
}

/// Why this thread drops items at the moment.
pub(crate) fn why() -> Why {
    WHY.try_with(Cell::get).unwrap_or(Why::Stopped)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn items_know_why_they_are_dropped_and_only_they() {
        struct Item<'s>(&'s Cell<Option<Why>>);
        impl Drop for Item<'_> {
            fn drop(&mut self) {
                self.0.set(Some(why()));
            }
        }
        let seen = Cell::new(None);
        drop_for(Why::Overflow, Item(&seen));
        assert_eq!(seen.take(), Some(Why::Overflow));
        drop(Item(&seen));
        assert_eq!(seen.take(), Some(Why::Stopped));
    }

    #[test]
    fn what_is_dropped_is_told_by_reason() {
        let losses = Losses::default();
        assert_eq!(losses.read().to_string(), "nothing dropped");
        losses.add(Why::Stopped, 2, 5);
        assert_eq!(losses.last(), None);
        losses.add(Why::Overflow, 3, 7);
        assert_eq!(losses.last(), Some(7));
        assert_eq!(
            losses.read().to_string(),
            "dropped: 2 when the run stopped, 3 by a full queue"
        );
        assert_eq!((losses.read().total(), losses.read().lost()), (5, 3));
    }
}
