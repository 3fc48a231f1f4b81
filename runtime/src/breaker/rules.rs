//! The numbers of a breaker as they are now, and what they say about a window.
//!
//! They change while nobody decides by them: whoever retunes is the author of a change of state (`change.rs`), and writes them
//! between `Changing` and the word of the next generation. A decision that has read some of the old ones and some of the new is
//! made for a word that is gone, and so comes to nothing. They are atomics of the standard library in models, too, because of
//! that: no model has to try which of them is read before which.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    BreakerBuilder, BreakerConfigError, Reason, Slow, Window,
    adaptive::Limits,
    cells,
    window::{BUCKETS, Counts},
};

/// A number that can change.
#[derive(Debug, Default)]
pub(super) struct Number(AtomicU64);

impl Number {
    #[inline(always)]
    pub(super) fn get(&self) -> u64 {
        // Relaxed, here and below: the control word orders them.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }
}

/// The numbers of a breaker. Times in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Of a bucket: nanoseconds, or calls.
    pub(super) bucket: Number,
    by_count: Number,
    /// The most calls of a thread between two looks at the clock.
    grant: Number,
    min_items: Number,
    failure_pct: Number,
    consecutive: Number,
    /// Calls that take longer are slow; `u64::MAX` if they are not timed.
    slow: Number,
    slow_pct: Number,
    /// Of a threshold that follows the calls.
    factor_x100: Number,
    floor: Number,
    ceil: Number,
    warmup: Number,
    open: Number,
    /// As the bits of an `f64`.
    open_backoff: Number,
    open_max: Number,
    open_jitter_pct: Number,
    probes: Number,
    probe_concurrency: Number,
    half_open_max: Number,
    ramp: Number,
    closed_stable: Number,
    pub(super) seed: u64,
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Rules {
    /// Of numbers that were checked.
    pub(super) fn of(builder: &BreakerBuilder) -> Self {
        let rules = Self {
            seed: builder.seed,
            ..Self::default()
        };
        rules.set(builder);
        rules
    }

    /// Takes all of them over.
    pub(super) fn set(&self, builder: &BreakerBuilder) {
        let (by_count, bucket, grant) = match builder.window {
            Window::Time(time) => (false, ns(time) / BUCKETS as u64, cells::MOST),
            Window::Count(count) => {
                // Of a small window, what a thread keeps to itself would be a large part.
                let grant = (count / 20).clamp(1, cells::MOST);
                (true, u64::from(count) / BUCKETS as u64, grant)
            }
        };
        self.by_count.set(by_count.into());
        self.bucket.set(bucket.max(1));
        self.grant.set(grant.into());
        self.set_slow(builder.slow);
        let numbers = [
            (&self.min_items, builder.min_items.into()),
            (&self.failure_pct, builder.failure_pct.into()),
            (&self.consecutive, builder.consecutive.into()),
            (&self.slow_pct, builder.slow_pct.into()),
            (&self.open, ns(builder.open)),
            (&self.open_backoff, builder.open_backoff.to_bits()),
            (&self.open_max, ns(builder.open_max)),
            (&self.open_jitter_pct, builder.open_jitter_pct.into()),
            (&self.probes, builder.probes.into()),
            (&self.probe_concurrency, builder.probe_concurrency.into()),
            (&self.half_open_max, ns(builder.half_open_max)),
            (&self.ramp, ns(builder.ramp)),
            (&self.closed_stable, ns(builder.closed_stable)),
        ];
        for (number, value) in numbers {
            number.set(value);
        }
    }

    fn set_slow(&self, slow: Slow) {
        match slow {
            Slow::Off => self.slow.set(u64::MAX),
            Slow::Fixed(slow) => self.slow.set(ns(slow)),
            Slow::Adaptive {
                factor_x100,
                floor,
                ceil,
                warmup_items,
            } => {
                self.factor_x100.set(factor_x100.into());
                self.floor.set(ns(floor));
                self.ceil.set(ns(ceil));
                self.warmup.set(warmup_items.into());
                // Until more is known.
                self.slow.set(ns(ceil));
            }
        }
    }

    #[inline(always)]
    pub(super) fn is_timed(&self) -> bool {
        self.slow.get() != u64::MAX
    }

    /// Calls that take longer are slow.
    pub(super) fn slow(&self) -> u64 {
        self.slow.get()
    }

    /// The threshold has followed the calls.
    pub(super) fn set_threshold(&self, slow: u64) {
        self.slow.set(slow);
    }

    #[inline(always)]
    pub(super) fn consecutive(&self) -> u32 {
        self.consecutive.get() as u32
    }

    pub(super) fn grant(&self) -> u32 {
        self.grant.get() as u32
    }

    pub(super) fn slow_pct(&self) -> u64 {
        self.slow_pct.get()
    }

    pub(super) fn failure_pct(&self) -> u64 {
        self.failure_pct.get()
    }

    pub(super) fn by_count(&self) -> bool {
        self.by_count.get() != 0
    }

    pub(super) fn probes(&self) -> u32 {
        self.probes.get() as u32
    }

    pub(super) fn probe_concurrency(&self) -> u32 {
        self.probe_concurrency.get() as u32
    }

    pub(super) fn half_open_max(&self) -> u64 {
        self.half_open_max.get()
    }

    pub(super) fn ramp(&self) -> u64 {
        self.ramp.get()
    }

    pub(super) fn closed_stable(&self) -> u64 {
        self.closed_stable.get()
    }

    /// What a threshold goes by that follows the calls.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            factor_x100: self.factor_x100.get(),
            floor: self.floor.get(),
            ceil: self.ceil.get(),
            warmup: self.warmup.get(),
            slow_pct: self.slow_pct.get(),
            failure_pct: self.failure_pct.get(),
            period: match self.by_count() {
                true => 1_000_000_000,
                false => self.bucket.get(),
            },
        }
    }

    /// Nanoseconds that it looks back; without end if it counts calls.
    pub(super) fn window(&self) -> u64 {
        match self.by_count() {
            true => u64::MAX,
            false => self.bucket.get().saturating_mul(BUCKETS as u64),
        }
    }

    /// What the results in a window say.
    pub(super) fn verdict(&self, sum: Counts) -> Option<Reason> {
        let total = sum.total();
        if total < self.min_items.get() {
            return None;
        }
        if sum.failed * 100 >= self.failure_pct() * total {
            return Some(Reason::FailureRate);
        }
        (self.is_timed() && sum.slow * 100 >= self.slow_pct() * total).then_some(Reason::SlowRate)
    }

    /// How long it stays open, after it opened so many times in a row before.
    pub(super) fn open_time(&self, before: u32, generation: u64) -> u64 {
        let (open, most) = (self.open.get() as f64, self.open_max.get() as f64);
        let factor = f64::from_bits(self.open_backoff.get()).powi(before.min(1000) as i32);
        let wait = (open * factor).min(most) as u64;
        let range = wait / 100 * self.open_jitter_pct.get();
        match range {
            0 => wait,
            _ => wait - range + super::mixed(self.seed ^ generation) % (2 * range + 1),
        }
    }
}

/// Whether calls are timed, and how, cannot change: what that needs is there from the beginning or is not.
pub(super) fn same_kind(now: Slow, next: Slow) -> Result<(), BreakerConfigError> {
    match std::mem::discriminant(&now) == std::mem::discriminant(&next) {
        true => Ok(()),
        false => Err(BreakerConfigError {
            field: "slow",
            given: format!("{next:?}"),
            help: "another threshold of the same kind; the kind is fixed when a breaker is built",
        }),
    }
}
