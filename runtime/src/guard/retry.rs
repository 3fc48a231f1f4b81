//! Trying again: how often, after how long, and how much of it there may be in all.
//!
//! The pause before a try doubles each time, up to a bound, and is drawn between nothing and that ("full jitter": Brooker,
//! "Exponential backoff and jitter", AWS architecture blog, 2015), so that those who failed together do not come back
//! together.
//!
//! **The budget.** If whoever is called is down, trying again makes it worse. So a stage tries again at most a tenth as often as
//! it tries for the first time, and ten times a second besides; it begins with [`FIRST`] tries, and saves up no more than
//! [`MOST`]. When there are none left, a failure is final.

use std::time::Duration;

use pipewright_spec::{
    guards::{BACKOFF_NS, MAX_BACKOFF_NS},
    info::{FieldInfo, FieldValue},
    units,
};

use crate::{
    breaker::{Clock, mixed},
    classify::ErrorClass,
    rate::RateLimiter,
    sync::{AtomicU64, Ordering},
};

/// A try again costs as much as so many first ones earn.
const COST: u64 = 10;
/// Tries that there are in the beginning.
const FIRST: u64 = 100;
/// Tries that can be saved up.
const MOST: u64 = 1_000;
/// Tries in a second, besides.
const PER_SECOND: u64 = 10;

/// The numbers of `retry(..)`. Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetrySettings {
    /// Tries after the first one.
    max: u32,
    backoff: u64,
    max_backoff: u64,
    jitter_pct: u64,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            max: 3,
            backoff: BACKOFF_NS,
            max_backoff: MAX_BACKOFF_NS,
            jitter_pct: 100,
        }
    }
}

impl RetrySettings {
    pub(crate) fn of(fields: &[FieldInfo]) -> Self {
        let mut settings = Self::default();
        for field in fields {
            settings.set(field.name, field.value);
        }
        settings
    }

    /// The numbers, as changes of them are told.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&'static str, String)> {
        let time = |ns| units::Duration::from_ns(ns).to_string();
        [
            ("retry.max", self.max.to_string()),
            ("retry.backoff", time(self.backoff)),
            ("retry.max_backoff", time(self.max_backoff)),
            ("retry.jitter_pct", self.jitter_pct.to_string()),
        ]
        .into_iter()
    }

    /// Takes a field of `retry(..)` over.
    pub(crate) fn set(&mut self, name: &str, value: FieldValue<'_>) {
        let (FieldValue::Count(number) | FieldValue::Time(number)) = value else {
            return;
        };
        match name {
            "max" => self.max = u32::try_from(number).unwrap_or(u32::MAX),
            "backoff" => self.backoff = number,
            "max_backoff" => self.max_backoff = number,
            "jitter_pct" => self.jitter_pct = number.min(100),
            _ => {}
        }
    }
}

/// The settings as they are now. Each number stands for itself.
#[derive(Debug, Default)]
struct Numbers {
    max: AtomicU64,
    backoff: AtomicU64,
    max_backoff: AtomicU64,
    jitter_pct: AtomicU64,
}

impl Numbers {
    fn set(&self, settings: RetrySettings) {
        // Relaxed, all of them: what they decide is decided by each alone, but the pause, which is between the old and the new.
        self.max.store(settings.max.into(), Ordering::Relaxed);
        self.backoff.store(settings.backoff, Ordering::Relaxed);
        self.max_backoff
            .store(settings.max_backoff, Ordering::Relaxed);
        self.jitter_pct
            .store(settings.jitter_pct, Ordering::Relaxed);
    }
}

/// How a stage tries again.
#[derive(Debug)]
pub(crate) struct Retry {
    numbers: Numbers,
    /// What first tries have earned; a try again costs [`COST`].
    earned: AtomicU64,
    besides: RateLimiter,
    /// Pauses drawn so far.
    drawn: AtomicU64,
    seed: u64,
}

impl Retry {
    pub(super) fn new(settings: RetrySettings, clock: &Clock, seed: u64) -> Self {
        let besides = RateLimiter::new(PER_SECOND, Duration::from_secs(1));
        let numbers = Numbers::default();
        numbers.set(settings);
        Self {
            numbers,
            earned: AtomicU64::new(FIRST * COST),
            besides: besides.burst(PER_SECOND).clock(clock.clone()),
            drawn: AtomicU64::new(0),
            seed,
        }
    }

    /// Takes other numbers over.
    pub(super) fn retune(&self, settings: RetrySettings) {
        self.numbers.set(settings);
    }

    /// So many items were tried for the first time.
    pub(super) fn earn(&self, items: u64) {
        // Relaxed: it is a number, and what is missing or too much by a slice makes no difference.
        let earned = self.earned.load(Ordering::Relaxed);
        if earned < MOST * COST {
            self.earned.fetch_add(items, Ordering::Relaxed);
        }
    }

    /// May an item that has failed with such an error be tried again, after so many tries again?
    pub(super) fn fits(&self, class: ErrorClass, tries: u32) -> bool {
        let again = matches!(
            class,
            ErrorClass::Dependency | ErrorClass::Overload | ErrorClass::Timeout
        );
        again && u64::from(tries) < self.numbers.max.load(Ordering::Relaxed)
    }

    /// Takes one try out of the budget; false if there is none left.
    pub(super) fn pay(&self) -> bool {
        let mut earned = self.earned.load(Ordering::Relaxed);
        while let Some(less) = earned.checked_sub(COST) {
            match self.earned.compare_exchange_weak(
                earned,
                less,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(other) => earned = other,
            }
        }
        self.besides.try_take(1).is_ok()
    }

    /// How long to wait before try number `tries` after the first one, counted from 1.
    pub(super) fn pause(&self, tries: u32) -> u64 {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (backoff, max_backoff) = (of(&self.numbers.backoff), of(&self.numbers.max_backoff));
        let jitter_pct = of(&self.numbers.jitter_pct);
        let factor = 1u64 << tries.saturating_sub(1).min(63);
        let most = backoff.saturating_mul(factor).min(max_backoff);
        let random = most / 100 * jitter_pct;
        let draw = mixed(self.seed ^ self.drawn.fetch_add(1, Ordering::Relaxed));
        most - random + draw % (random + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(fields: &[(&'static str, FieldValue<'static>)]) -> (Retry, crate::breaker::Hand) {
        let mut settings = RetrySettings::default();
        for (name, value) in fields {
            settings.set(name, *value);
        }
        let (clock, hand) = Clock::manual();
        (Retry::new(settings, &clock, 7), hand)
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_the_jitter_is_below_it() {
        use FieldValue::{Count, Time};
        let exact = [
            ("backoff", Time(10)),
            ("max_backoff", Time(35)),
            ("jitter_pct", Count(0)),
        ];
        let (exact, _) = retry(&exact);
        let pauses: Vec<u64> = [1, 2, 3, 4, 200].map(|tries| exact.pause(tries)).into();
        assert_eq!(pauses, [10, 20, 35, 35, 35]);

        let (full, _) = retry(&[]);
        let pauses: Vec<u64> = (0..1_000).map(|_| full.pause(1)).collect();
        assert!(pauses.iter().all(|pause| *pause <= 10_000_000));
        let mean = pauses.iter().sum::<u64>() / 1_000;
        assert!((4_000_000..6_000_000).contains(&mean), "{mean}");
    }

    #[test]
    fn only_failures_of_whom_is_called_are_tried_again_and_not_for_ever() {
        let (retry, _) = retry(&[("max", FieldValue::Count(2))]);
        let check = |class, tries, expect| {
            assert_eq!(retry.fits(class, tries), expect, "{class:?} {tries}")
        };
        check(ErrorClass::Dependency, 0, true);
        check(ErrorClass::Overload, 1, true);
        check(ErrorClass::Timeout, 2, false);
        check(ErrorClass::Item, 0, false);
        check(ErrorClass::Fatal, 0, false);
    }

    #[test]
    fn what_is_tried_again_is_a_tenth_of_what_is_tried_and_some_a_second() {
        let (retry, hand) = retry(&[]);
        let spend = || {
            std::iter::repeat_with(|| retry.pay())
                .take_while(|paid| *paid)
                .count() as u64
        };
        assert_eq!(spend(), FIRST + PER_SECOND);
        retry.earn(1_000);
        assert_eq!(spend(), 100);
        hand.advance(Duration::from_secs(60));
        assert_eq!(spend(), PER_SECOND);
        for _ in 0..1_000 {
            retry.earn(100);
        }
        assert!((MOST..MOST + 10).contains(&spend()));
    }
}
