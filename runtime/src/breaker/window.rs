//! What came of the last calls: a ring of buckets, of equal time or of equally many calls.
//!
//! A bucket has a word each for what passed, failed and was slow: the count in its low half, and above it the tag that says when
//! it counted, 16 bits of the generation and 16 of the tick. Adding is an exchange of the whole word, and a word with another tag
//! counts from zero. So nothing has to be reset: what is older than the window, or of another generation, has another tag and
//! is left out by whoever sums up. A result can never be counted in a generation that it does not belong to.
//!
//! Tags come again after 2^16 generations, or 2^16 ticks in which nothing was counted; a breaker that idles so long begins a
//! new generation of its window (`era`).

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Buckets of a window.
pub(super) const BUCKETS: usize = 10;
/// Ticks without a result after which the tags of old buckets could be taken for new ones.
const FORGET: u64 = 1 << 15;

/// Results of several calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Of either, those that were slow.
    pub(super) slow: u64,
}

impl Counts {
    pub(super) fn total(self) -> u64 {
        self.passed + self.failed
    }
}

/// How the failures of some calls lie: how many in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rows {
    /// Before the first that passed.
    pub(crate) first: u32,
    /// Behind the last that passed.
    pub(crate) last: u32,
    /// The most.
    pub(crate) most: u32,
    /// Did none pass?
    pub(crate) all: bool,
}

impl Rows {
    /// Of calls whose order is not known: all of them are in a row, or none.
    pub(super) fn of(counts: Counts) -> Self {
        match counts.passed {
            0 => Self {
                first: u32::try_from(counts.failed).unwrap_or(u32::MAX),
                all: true,
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

#[derive(Debug)]
struct Bucket {
    passed: AtomicU64,
    failed: AtomicU64,
    slow: AtomicU64,
}

/// The buckets.
#[derive(Debug)]
pub(super) struct Ring {
    buckets: Box<[CachePadded<Bucket>]>,
    /// The last tick in which something was counted.
    last: AtomicU64,
    era: AtomicU32,
}

impl Ring {
    pub(super) fn new() -> Self {
        let bucket = |_| {
            CachePadded::new(Bucket {
                passed: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                slow: AtomicU64::new(0),
            })
        };
        Self {
            buckets: (0..BUCKETS).map(bucket).collect(),
            last: AtomicU64::new(0),
            era: AtomicU32::new(0),
        }
    }

    /// Begins anew, with ticks of another length.
    pub(super) fn renew(&self) {
        // Relaxed, both: the control word orders them.
        self.last.store(0, Ordering::Relaxed);
        self.era.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts results of a generation.
    pub(super) fn add(&self, generation: u64, tick: u64, counts: Counts) {
        let last = self.last.load(Ordering::Relaxed);
        if tick > last {
            if tick - last > FORGET {
                self.era.fetch_add(1, Ordering::Relaxed);
            }
            self.last.store(tick, Ordering::Relaxed);
        }
        let tag = self.tag(generation, tick);
        let bucket = &self.buckets[(tick % BUCKETS as u64) as usize];
        let words = [
            (&bucket.passed, counts.passed),
            (&bucket.failed, counts.failed),
            (&bucket.slow, counts.slow),
        ];
        for (word, count) in words.into_iter().filter(|(_, count)| *count > 0) {
            add(word, tag, count);
        }
    }

    /// What was counted for a generation in this tick and those before it that are in the window.
    pub(super) fn sum(&self, generation: u64, tick: u64) -> Counts {
        let mut sum = Counts::default();
        if tick > self.last.load(Ordering::Relaxed) + BUCKETS as u64 {
            return sum;
        }
        for back in 0..(BUCKETS as u64).min(tick + 1) {
            let tag = self.tag(generation, tick - back);
            let bucket = &self.buckets[((tick - back) % BUCKETS as u64) as usize];
            // Relaxed: each word stands for itself, and a result that is missed now is seen by the next who looks.
            let of = |word: &AtomicU64| count_of(word.load(Ordering::Relaxed), tag);
            sum.passed += of(&bucket.passed);
            sum.failed += of(&bucket.failed);
            sum.slow += of(&bucket.slow);
        }
        sum
    }

    fn tag(&self, generation: u64, tick: u64) -> u32 {
        let era = u64::from(self.era.load(Ordering::Relaxed));
        // Never zero, which is the tag of a bucket that was never used.
        (((generation + era) as u32) << 16 | (tick as u32 & 0xFFFF)).wrapping_add(1)
    }
}

fn count_of(word: u64, tag: u32) -> u64 {
    if (word >> 32) as u32 == tag {
        word & 0xFFFF_FFFF
    } else {
        0
    }
}

fn add(word: &AtomicU64, tag: u32, count: u64) {
    let mut now = word.load(Ordering::Relaxed);
    loop {
        let sum = (count_of(now, tag) + count).min(0xFFFF_FFFF);
        let next = u64::from(tag) << 32 | sum;
        match word.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => now = other,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn failed(n: u64) -> Counts {
        Counts {
            failed: n,
            ..Counts::default()
        }
    }

    #[test]
    fn a_window_forgets_what_is_older_than_it() {
        let ring = Ring::new();
        for tick in 0..20 {
            ring.add(1, tick, failed(1));
        }
        let check = |tick, expect| assert_eq!(ring.sum(1, tick).failed, expect, "at {tick}");
        check(19, 10);
        check(20, 9);
        check(28, 1);
        check(29, 0);
        check(1_000_000, 0);
    }

    #[test]
    fn another_generation_begins_with_nothing() {
        let ring = Ring::new();
        ring.add(1, 5, failed(7));
        assert_eq!(ring.sum(2, 5), Counts::default());
        ring.add(2, 5, failed(1));
        // What was late is gone with it, and counts for nobody.
        assert_eq!((ring.sum(2, 5).failed, ring.sum(1, 5).failed), (1, 0));
    }

    #[test]
    fn what_was_counted_long_ago_never_comes_back() {
        let ring = Ring::new();
        ring.add(1, 5, failed(7));
        for round in 1..4 {
            let tick = 5 + round * (1 << 16);
            assert_eq!(ring.sum(1, tick).failed, 0);
            ring.add(1, tick, failed(1));
            assert_eq!(ring.sum(1, tick).failed, 1);
        }
    }

    #[test]
    fn counts_stay_at_the_most_that_fits() {
        let ring = Ring::new();
        ring.add(1, 0, failed(u64::from(u32::MAX)));
        ring.add(1, 0, failed(5));
        assert_eq!(ring.sum(1, 0).failed, u64::from(u32::MAX));
    }
}
