//! Whether the process was stopped: then time has passed in which nobody could do anything, and it says nothing about how long calls
//! take.
//!
//! A process that was stopped, or whose machine was, had no time to look either. So somebody promises to look once in an interval, and
//! is missed when five of them have passed; what began before the look that ends this says nothing any more. Who goes by how long
//! something took asks here: breakers, about slow calls; guards, about calls that are too late or that hang.

use crate::sync::{AtomicU64, Ordering};

/// Intervals without a look after which the process is taken to have been stopped.
const MISSED: u64 = 5;

/// When somebody looked, in nanoseconds of a clock.
#[derive(Debug)]
pub(crate) struct Looks {
    /// The promised interval; 0 where nobody looks.
    every: u64,
    last: AtomicU64,
    /// When the look came that was missed last; 0 if none was.
    stopped: AtomicU64,
}

impl Looks {
    /// Somebody looks so often, in nanoseconds, from `now` on; 0 for never.
    pub(crate) fn new(every: u64, now: u64) -> Self {
        Self {
            every,
            last: AtomicU64::new(now),
            stopped: AtomicU64::new(0),
        }
    }

    /// Does somebody look?
    pub(crate) fn is_promised(&self) -> bool {
        self.every > 0
    }

    /// Somebody looks.
    pub(crate) fn look(&self, now: u64) {
        if self.is_late(now) {
            // Before the look is noted: who misses no look any more sees why.
            self.stopped.fetch_max(now, Ordering::Release);
        }
        self.last.fetch_max(now, Ordering::Release);
    }

    /// The process was not stopped since then, as far as is known `now`; 0 if it never was, or nobody looks.
    pub(crate) fn awake_since(&self, now: u64) -> u64 {
        match self.is_late(now) {
            true => now,
            // Acquire: pairs with the Release of `look`.
            false => self.stopped.load(Ordering::Acquire),
        }
    }

    /// For how long it was not, in nanoseconds; without end if it never was.
    pub(crate) fn awake_for(&self, now: u64) -> u64 {
        match self.awake_since(now) {
            0 => u64::MAX,
            since => now.saturating_sub(since),
        }
    }

    /// Was the process stopped between these times?
    pub(crate) fn missed(&self, since: u64, now: u64) -> bool {
        since < self.awake_since(now)
    }

    fn is_late(&self, now: u64) -> bool {
        // Acquire: who sees a look sees what it found.
        let late = now.saturating_sub(self.last.load(Ordering::Acquire));
        self.every > 0 && late > self.every.saturating_mul(MISSED)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_began_before_a_look_that_was_missed_says_nothing() {
        let looks = Looks::new(10, 100);
        let most = 100 + 10 * MISSED;
        assert_eq!(
            (looks.awake_since(most), looks.awake_for(most)),
            (0, u64::MAX)
        );
        // Nobody has looked yet, and whoever asks sees that.
        assert!(looks.missed(most, most + 1) && !looks.missed(most, most));
        assert_eq!(looks.awake_for(most + 1), 0);
        looks.look(most + 7);
        let check = |since: u64, now: u64, expect: bool| {
            assert_eq!(looks.missed(since, now), expect, "{since} {now}");
        };
        check(most + 6, most + 9, true);
        check(most + 7, most + 9, false);
        assert_eq!(looks.awake_for(most + 9), 2);
        // Looks that come in time change nothing.
        looks.look(most + 20);
        assert_eq!(looks.awake_since(most + 21), most + 7);
    }

    #[test]
    fn where_nobody_promised_to_look_nobody_is_missed() {
        let looks = Looks::new(0, 0);
        looks.look(u64::MAX);
        assert!(!looks.is_promised() && !looks.missed(0, u64::MAX));
        assert_eq!(looks.awake_for(u64::MAX), u64::MAX);
    }
}
