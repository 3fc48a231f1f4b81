//! The time that a breaker lives in: the system's monotonic clock, or one that a test moves.

use std::{fmt, time::Duration};

use crate::sync::{Arc, AtomicU64, Instant, Ordering};

/// A clock that never goes back, unless a test [says so](Hand::set). Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use pipewright::breaker::Clock;
///
/// let (clock, hand) = Clock::manual();
/// hand.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), Duration::from_secs(5));
/// ```
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System(Instant),
    Manual(Arc<AtomicU64>),
}

/// Moves a clock that stands still otherwise.
#[derive(Clone)]
pub struct Hand(Arc<AtomicU64>);

impl Clock {
    /// The system's monotonic clock, which changes of the wall clock do not touch.
    pub fn new() -> Self {
        Self(Kind::System(Instant::now()))
    }

    /// One that stands still until its hand is moved.
    pub fn manual() -> (Self, Hand) {
        let now = Arc::new(AtomicU64::new(0));
        (Self(Kind::Manual(Arc::clone(&now))), Hand(now))
    }

    /// The time since it was made.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.ns())
    }

    pub(super) fn ns(&self) -> u64 {
        match &self.0 {
            Kind::System(made) => made.elapsed().as_nanos() as u64,
            Kind::Manual(now) => now.load(Ordering::Acquire),
        }
    }
}

impl Hand {
    /// Moves the clock forward.
    pub fn advance(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut now = self.0.load(Ordering::Relaxed);
        // It stands at the end of time rather than going back.
        while let Err(other) = self.0.compare_exchange(
            now,
            now.saturating_add(ns),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            now = other;
        }
    }

    /// Puts the clock to any time, also back. No clock of the system does that; who asks one that does must not hang for it.
    pub fn set(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(ns, Ordering::Release);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").finish_non_exhaustive()
    }
}
