//! The cpu's counter of time, by `quanta`, which reads it without a call into the kernel; std's clock where there is none.

use quanta::Clock;

/// Reads the counter, and says how long its ticks are.
#[derive(Clone, Debug)]
pub(crate) struct Ticks {
    clock: Clock,
    ns: f64,
}

impl Ticks {
    pub(crate) fn new() -> Self {
        const MANY: u64 = 1 << 40;
        let clock = Clock::new();
        let ns = clock.delta_as_nanos(0, MANY) as f64 / MANY as f64;
        Ticks { clock, ns }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.raw()
    }

    /// Nanoseconds between two readings; negative if the second was less.
    #[inline]
    pub(crate) fn between(&self, from: u64, to: u64) -> f64 {
        // Wrapped, the difference of two readings that are less than 2^63 apart is right as a signed number.
        to.wrapping_sub(from) as i64 as f64 * self.ns
    }

    #[inline]
    pub(crate) fn since(&self, from: u64) -> f64 {
        self.between(from, self.now())
    }

    /// How many ticks that many nanoseconds are.
    pub(crate) fn of(&self, ns: f64) -> u64 {
        (ns / self.ns) as u64
    }

    pub(crate) fn hertz(&self) -> f64 {
        1e9 / self.ns
    }
}
