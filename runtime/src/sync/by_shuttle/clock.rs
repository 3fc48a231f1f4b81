//! The clock of a schedule.

use std::{
    ops::Add,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::random;

/// Nanoseconds that an operation may take: items cost less than is worth sharing in some schedules, and more than a quantum
/// in others.
const STEPS_NS: [u64; 4] = [1, 50, 1_000, 20_000];

shuttle::lazy_static! {
    static ref CLOCK: Clock = Clock {
        step: STEPS_NS[random() as usize % STEPS_NS.len()],
        slept: AtomicU64::new(0),
    };
}

/// The time of one schedule. Its atomic is std's: reading the time is nothing that other threads could see.
struct Clock {
    step: u64,
    slept: AtomicU64,
}

/// Lets so much time go by.
pub(super) fn pass(time: Duration) {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    CLOCK.slept.fetch_add(time, Ordering::Relaxed);
}

/// A time, in nanoseconds since the schedule began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        let steps = shuttle::current::context_switches() as u64;
        // It goes on by being looked at, so that nobody who waits for a time waits for ever.
        let slept = CLOCK.slept.fetch_add(1, Ordering::Relaxed);
        Self(Duration::from_nanos(steps * CLOCK.step + slept))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    /// Lets the time go on until then.
    pub(super) fn sleep(self) {
        pass(self.saturating_duration_since(Self::now()));
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}
