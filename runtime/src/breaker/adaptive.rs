//! A threshold of slow calls that follows how long calls take.
//!
//! Durations are counted in a histogram of about 12 % resolution, in stripes, so that threads seldom write to the same line. At
//! the end of each bucket of the window (each second, where the window counts calls) whoever records next takes the median of the
//! bucket and lets it into the *baseline*; the threshold is a multiple of that, within its bounds.
//!
//! * Until there were enough calls, the baseline is the mean of the medians by calls, and the threshold is the highest.
//! * After that it moves by half of the difference in [`HALF_LIFE_NS`], and up by no more than [`RISE`] a minute: whom is called
//!   does not become slow unnoticed, one percent at a time.
//! * Where the median is less than half of it, the baseline is too old, and falls by a tenth a bucket (as Netflix' Gradient2
//!   limit does).
//! * Buckets that are half as slow, or half as bad, as what opens the breaker say nothing about how it should be. Neither does
//!   what was measured while it was not closed, or in a process that was stopped.
//!
//! Only who has the token (`turning`) reads and writes the baseline. Counts that come while it takes the bucket belong to this
//! one or to the next.

use crossbeam_utils::CachePadded;

use super::cells::own_number;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// In this time the baseline moves by half of the difference: 60 s.
const HALF_LIFE_NS: f64 = 60e9;
/// The most that it rises in a minute.
const RISE: f64 = 0.10;
/// What is left of it where it is too old.
const FALL: f64 = 0.9;
/// The most time that one bucket counts for: 60 s.
const LONGEST_NS: f64 = 60e9;
/// Parts of an octave, as bits.
const PART_BITS: u32 = 3;
/// Durations up to 2^42 ns, an hour and more.
const PLACES: usize = (42 - PART_BITS as usize + 1) << PART_BITS;
const STRIPES: usize = if cfg!(loom) { 1 } else { 8 };

/// The numbers that it goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The threshold is so many hundredths of the baseline.
    pub(super) factor_x100: u64,
    pub(super) floor: u64,
    pub(super) ceil: u64,
    /// Calls until it is trusted.
    pub(super) warmup: u64,
    pub(super) slow_pct: u64,
    pub(super) failure_pct: u64,
    /// Nanoseconds of a bucket.
    pub(super) period: u64,
}

/// How long calls take.
#[derive(Debug)]
pub(super) struct Adaptive {
    stripes: Box<[CachePadded<Stripe>]>,
    turning: AtomicBool,
    /// When the bucket began.
    began: AtomicU64,
    /// What was measured in it counts for nothing.
    spoiled: AtomicBool,
    /// In nanoseconds, as the bits of an `f64`.
    baseline: AtomicU64,
    /// Calls that are in it.
    seen: AtomicU64,
}

#[derive(Debug)]
struct Stripe {
    counts: Box<[AtomicU32]>,
    failed: AtomicU64,
    slow: AtomicU64,
}

/// What calls of a batch took, each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) each: u64,
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

/// A bucket that is over.
#[derive(Debug, Default)]
struct Bucket {
    median: f64,
    calls: u64,
    failed: u64,
    slow: u64,
}

impl Adaptive {
    pub(super) fn new(now: u64) -> Self {
        let stripe = |_| {
            CachePadded::new(Stripe {
                counts: (0..PLACES).map(|_| AtomicU32::new(0)).collect(),
                failed: AtomicU64::new(0),
                slow: AtomicU64::new(0),
            })
        };
        Self {
            stripes: (0..STRIPES).map(stripe).collect(),
            turning: AtomicBool::new(false),
            began: AtomicU64::new(now),
            spoiled: AtomicBool::new(false),
            baseline: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        }
    }

    /// What the threshold is.
    pub(super) fn threshold(&self, limits: &Limits) -> u64 {
        if self.seen.load(Ordering::Relaxed) < limits.warmup {
            return limits.ceil;
        }
        let baseline = f64::from_bits(self.baseline.load(Ordering::Relaxed));
        let threshold = baseline * limits.factor_x100 as f64 / 100.0;
        (threshold as u64).clamp(limits.floor, limits.ceil)
    }

    /// The state changed: what was measured until now says nothing about the next.
    pub(super) fn spoil(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
    }

    /// Calls took so long. Returns the threshold, if it changes now.
    pub(super) fn record(&self, now: u64, measured: Measured, limits: &Limits) -> Option<u64> {
        // Relaxed, all of it: each is a count.
        let stripe = &self.stripes[own_number() % STRIPES];
        stripe.counts[place_of(measured.each)].fetch_add(measured.calls, Ordering::Relaxed);
        for (count, of) in [
            (&stripe.failed, measured.failed),
            (&stripe.slow, measured.slow),
        ] {
            if of > 0 {
                count.fetch_add(of.into(), Ordering::Relaxed);
            }
        }
        let since = |began: u64| now.saturating_sub(began);
        if since(self.began.load(Ordering::Relaxed)) < limits.period {
            return None;
        }
        // Acquire and Release: whoever has the token sees what the one before has written.
        let free = self
            .turning
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() {
            return None;
        }
        let elapsed = since(self.began.load(Ordering::Relaxed));
        let turned = elapsed >= limits.period;
        if turned {
            self.began.store(now, Ordering::Relaxed);
            self.turn(elapsed, limits);
        }
        let threshold = self.threshold(limits);
        self.turning.store(false, Ordering::Release);
        turned.then_some(threshold)
    }

    /// A bucket is over.
    fn turn(&self, elapsed: u64, limits: &Limits) {
        let bucket = self.take();
        if self.spoiled.swap(false, Ordering::Relaxed) || bucket.is_bad(limits) {
            return;
        }
        let baseline = f64::from_bits(self.baseline.load(Ordering::Relaxed));
        let seen = self.seen.load(Ordering::Relaxed);
        let next = match seen < limits.warmup {
            true => bucket.mean_with(baseline, seen),
            false => bucket.next_after(baseline, elapsed),
        };
        self.baseline.store(next.to_bits(), Ordering::Relaxed);
        self.seen
            .store(seen.saturating_add(bucket.calls), Ordering::Relaxed);
    }

    /// Takes out what was counted.
    fn take(&self) -> Bucket {
        let mut counts = [0u64; PLACES];
        let mut bucket = Bucket::default();
        for stripe in &self.stripes {
            for (sum, count) in counts.iter_mut().zip(&stripe.counts) {
                if count.load(Ordering::Relaxed) > 0 {
                    *sum += u64::from(count.swap(0, Ordering::Relaxed));
                }
            }
            bucket.failed += stripe.failed.swap(0, Ordering::Relaxed);
            bucket.slow += stripe.slow.swap(0, Ordering::Relaxed);
        }
        bucket.calls = counts.iter().sum();
        let mut below = 0;
        let median = counts.iter().position(|count| {
            below += count;
            below > 0 && below * 2 >= bucket.calls
        });
        bucket.median = median.map_or(0.0, |place| middle_of(place) as f64);
        bucket
    }
}

impl Bucket {
    fn is_bad(&self, limits: &Limits) -> bool {
        let too_many = |bad: u64, percent: u64| bad * 200 >= percent * self.calls;
        self.calls == 0
            || too_many(self.slow, limits.slow_pct)
            || too_many(self.failed, limits.failure_pct)
    }

    fn mean_with(&self, baseline: f64, seen: u64) -> f64 {
        let (seen, calls) = (seen as f64, self.calls as f64);
        (baseline * seen + self.median * calls) / (seen + calls)
    }

    fn next_after(&self, baseline: f64, elapsed: u64) -> f64 {
        if self.median * 2.0 < baseline {
            return baseline * FALL;
        }
        let elapsed = (elapsed as f64).min(LONGEST_NS);
        let share = 1.0 - (-elapsed / HALF_LIFE_NS).exp2();
        let next = baseline + (self.median - baseline) * share;
        next.min(baseline * (1.0 + RISE * elapsed / LONGEST_NS))
    }
}

/// The place of a duration in the histogram.
fn place_of(ns: u64) -> usize {
    let octave = 63 - (ns | 1).leading_zeros();
    let place = match octave < PART_BITS {
        true => ns as usize,
        false => {
            let part = (ns >> (octave - PART_BITS)) as usize & ((1 << PART_BITS) - 1);
            ((octave - PART_BITS + 1) as usize) << PART_BITS | part
        }
    };
    place.min(PLACES - 1)
}

/// The middle of the durations at a place.
fn middle_of(place: usize) -> u64 {
    let (octave, part) = (place >> PART_BITS, place as u64 & ((1 << PART_BITS) - 1));
    match octave {
        0 => part,
        _ => {
            let width = 1u64 << (octave - 1);
            (part + (1 << PART_BITS)) * width + width / 2
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_place_is_close_to_what_is_counted_there() {
        for ns in (0..100).chain((7..42).map(|bit| (1 << bit) + 12_345 % (1 << bit))) {
            let place = place_of(ns);
            let (middle, error) = (middle_of(place), ns / 14 + 1);
            assert!(middle.abs_diff(ns) <= error, "{ns}: {middle}");
            assert_eq!(place_of(middle), place);
        }
        assert_eq!(place_of(u64::MAX), PLACES - 1);
    }
}
