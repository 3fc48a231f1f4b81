//! Rate limits: so many calls in a time, evenly, with room for a burst.
//!
//! [`KeyedRateLimiter`] has a rate for each key.
//!
//! A [`RateLimiter`] is one number: the time at which all that was taken would have been taken at the rate, the *theoretical
//! arrival time* of the generic cell rate algorithm (ITU-T I.371, "Traffic control and congestion control in B-ISDN",
//! annex A). Whoever takes moves it on; who would move it further ahead of the clock than a burst takes has to wait. So there is
//! no thread that fills a bucket, nothing is allocated, and taking is one exchange.
//!
//! ```
//! use std::time::Duration;
//! use pipewright::{breaker::Clock, rate::RateLimiter};
//!
//! let (clock, hand) = Clock::manual();
//! let limiter = RateLimiter::new(1_000, Duration::from_secs(1)).burst(10).clock(clock);
//! assert_eq!(limiter.try_take_up_to(64), Ok(10));
//! let late = limiter.try_take(1).expect_err("the burst is taken");
//! assert_eq!(late.retry_after, Duration::from_millis(1));
//! hand.advance(late.retry_after);
//! assert_eq!(limiter.try_take(1), Ok(()));
//! ```

mod keyed;

use std::{fmt, time::Duration};

pub use self::keyed::KeyedRateLimiter;

use crate::{
    breaker::Clock,
    sync::{AtomicU64, Ordering},
};

/// Parts of a nanosecond in which times are kept, so that an interval of few nanoseconds is exact enough; they last for two
/// years of the clock.
const PARTS: u64 = 1 << 8;
/// Without another word, as much as comes in this time may come at once: 10 ms.
const BURST: Duration = Duration::from_millis(10);

/// A limit of a rate; see [the module](self). Threads share it by reference.
pub struct RateLimiter {
    /// The theoretical arrival time, in parts of a nanosecond of the clock.
    arrival: AtomicU64,
    /// Its pace: between two calls, in parts of a nanosecond, and how many may come at once.
    interval: AtomicU64,
    burst: AtomicU64,
    clock: Clock,
}

/// A rate, and how much of it may come at once.
#[derive(Clone, Copy)]
struct Pace {
    /// Between two calls at the rate, in parts of a nanosecond.
    interval: u64,
    burst: u64,
}

/// So many calls may not be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rate is reached; it goes on in {retry_after:?}")]
#[non_exhaustive]
pub struct Late {
    /// When they may, if nobody else takes before.
    pub retry_after: Duration,
}

impl RateLimiter {
    /// `calls` calls in a time; one in that time if `calls` is 0. As many as come in 10 ms may come at once, and one in any case:
    /// see [`burst`](Self::burst).
    pub fn new(calls: u64, per: Duration) -> Self {
        let Pace { interval, burst } = Pace::new(calls, per);
        Self {
            arrival: AtomicU64::new(0),
            interval: AtomicU64::new(interval),
            burst: AtomicU64::new(burst),
            clock: Clock::new(),
        }
    }

    /// Another rate from now on, with its own burst. Of what was taken until now, no more counts than a burst.
    #[cfg_attr(loom, allow(dead_code, reason = "its users are not there"))]
    pub(crate) fn retune(&self, calls: u64, per: Duration) {
        let Pace { interval, burst } = Pace::new(calls, per);
        // Relaxed, all of it: whoever takes with one of the old ones waits a little too long or too short, once.
        self.interval.store(interval, Ordering::Relaxed);
        self.burst.store(burst, Ordering::Relaxed);
        let most = parts(self.clock.now()).saturating_add(interval.saturating_mul(burst));
        self.arrival.fetch_min(most, Ordering::Relaxed);
    }

    /// How many calls may be made at once after a pause; at least one.
    pub fn burst(self, calls: u64) -> Self {
        self.burst.store(calls.max(1), Ordering::Relaxed);
        self
    }

    /// The clock that it asks; for tests, one that stands still.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Takes so many calls, or none. More than a burst are taken when there is a whole burst, and whoever comes next waits longer.
    ///
    /// # Errors
    ///
    /// If they may not be made yet.
    pub fn try_take(&self, calls: u64) -> Result<(), Late> {
        let wanted = calls.min(self.pace().burst);
        self.take(|left| if left >= wanted { calls } else { 0 }, wanted)
            .map(|_| ())
    }

    /// Takes as many calls as may be made now, at most so many; at least one.
    ///
    /// # Errors
    ///
    /// If none may be made yet.
    pub fn try_take_up_to(&self, calls: u64) -> Result<u64, Late> {
        self.take(|left| left.min(calls), 1)
    }

    /// As many as may be made now, at most `most`; or none, unless there are `least` or a whole burst.
    #[cfg_attr(loom, allow(dead_code, reason = "its users are not there"))]
    pub(crate) fn take_between(&self, least: u64, most: u64) -> Result<u64, Late> {
        let least = least.clamp(1, self.pace().burst);
        self.take(|left| if left >= least { left.min(most) } else { 0 }, least)
    }

    /// Takes what `of` says of the calls that are left; for none, tells when there are `wanted`.
    fn take(&self, of: impl Fn(u64) -> u64, wanted: u64) -> Result<u64, Late> {
        let now = parts(self.clock.now());
        // Relaxed: the number is all that is shared.
        let pace = self.pace();
        let mut before = self.arrival.load(Ordering::Relaxed);
        loop {
            let (after, taken) = pace.take(before, now, &of, wanted)?;
            match self.arrival.compare_exchange_weak(
                before,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(taken),
                Err(other) => before = other,
            }
        }
    }

    fn pace(&self) -> Pace {
        // Relaxed: each number stands for itself.
        Pace {
            interval: self.interval.load(Ordering::Relaxed),
            burst: self.burst.load(Ordering::Relaxed),
        }
    }
}

impl Pace {
    fn new(calls: u64, per: Duration) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let interval = (per.saturating_mul(PARTS) / calls.max(1)).max(1);
        let burst = parts(BURST) / interval;
        Self {
            interval,
            burst: burst.max(1),
        }
    }

    /// The theoretical arrival time after what `of` takes of the calls that are left, and how many that are; for none, tells when
    /// there are `wanted`. Times in parts of a nanosecond.
    fn take(
        self,
        before: u64,
        now: u64,
        of: impl Fn(u64) -> u64,
        wanted: u64,
    ) -> Result<(u64, u64), Late> {
        let arrival = before.max(now);
        let ahead = arrival - now;
        let whole = self.interval.saturating_mul(self.burst);
        let left = whole.saturating_sub(ahead) / self.interval;
        let taken = of(left);
        if taken == 0 {
            let room = self.interval.saturating_mul(wanted);
            let wait = ahead.saturating_add(room).saturating_sub(whole);
            // Whoever waits for so long finds them.
            return Err(Late {
                retry_after: Duration::from_nanos(wait.div_ceil(PARTS).max(1)),
            });
        }
        let after = arrival.saturating_add(self.interval.saturating_mul(taken));
        Ok((after, taken))
    }
}

fn parts(time: Duration) -> u64 {
    u64::try_from(time.as_nanos())
        .unwrap_or(u64::MAX)
        .saturating_mul(PARTS)
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("pace", &self.pace())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace")
            .field("interval", &Duration::from_nanos(self.interval / PARTS))
            .field("burst", &self.burst)
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn another_rate_counts_from_now_on_whatever_was_taken_before() {
        let (clock, hand) = Clock::manual();
        let limiter = RateLimiter::new(1, 3_600 * SECOND).clock(clock);
        assert!(limiter.try_take(1).is_ok());
        limiter.retune(1_000, SECOND);
        assert!(limiter.try_take(1).is_err());
        hand.advance(Duration::from_millis(10));
        assert_eq!(limiter.try_take_up_to(100), Ok(10));
        limiter.retune(1, SECOND);
        hand.advance(SECOND);
        assert_eq!(limiter.try_take_up_to(100), Ok(1));
    }

    #[test]
    fn over_a_long_time_no_more_is_taken_than_the_rate_and_a_burst_and_no_less_than_the_rate() {
        for (calls, burst, step_ns) in [
            (1_000, 1, 100_000),
            (1_000, 50, 7_000_001),
            (3_000_000, 64, 1_000),
            (7, 1, 1_000_000),
        ] {
            let (clock, hand) = Clock::manual();
            let limiter = RateLimiter::new(calls, SECOND)
                .burst(burst)
                .clock(clock.clone());
            let mut taken = 0;
            for _ in 0..20_000 {
                while let Ok(some) = limiter.try_take_up_to(5) {
                    taken += some;
                }
                hand.advance(Duration::from_nanos(step_ns));
            }
            let expect = calls as f64 * clock.now().as_secs_f64();
            let spread = burst as f64 + 1.0 + expect * 1e-4;
            assert!(
                (taken as f64 - expect).abs() <= spread,
                "{taken} instead of {expect} with {limiter:?}"
            );
        }
    }

    #[test]
    fn who_waits_for_as_long_as_it_says_may_go_on() {
        let (clock, hand) = Clock::manual();
        let limiter = RateLimiter::new(300, SECOND).burst(4).clock(clock);
        for calls in [1, 4, 3, 9, 2, 4, 64, 1] {
            while let Err(late) = limiter.try_take(calls) {
                hand.advance(late.retry_after - Duration::from_nanos(1));
                assert!(
                    limiter.try_take(calls).is_err(),
                    "{calls} calls were told to wait for too long"
                );
                hand.advance(Duration::from_nanos(1));
            }
        }
    }

    #[test]
    fn a_pause_gives_one_burst_and_no_more() {
        let (clock, hand) = Clock::manual();
        let limiter = RateLimiter::new(10, SECOND).burst(3).clock(clock);
        hand.advance(60 * SECOND);
        assert_eq!(limiter.try_take_up_to(100), Ok(3));
        assert!(limiter.try_take_up_to(100).is_err());
    }

    #[test]
    fn any_numbers_make_a_limiter() {
        for (calls, per) in [
            (0, SECOND),
            (u64::MAX, SECOND),
            (1, Duration::MAX),
            (1, Duration::ZERO),
        ] {
            let limiter = RateLimiter::new(calls, per).burst(u64::MAX);
            assert!(limiter.try_take(1).is_ok(), "{limiter:?}");
            let more = limiter.try_take_up_to(u64::MAX);
            assert!(
                more.map_or_else(|late| !late.retry_after.is_zero(), |calls| calls > 0),
                "{limiter:?}"
            );
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::sync::Arc;

    #[test]
    fn threads_that_take_at_the_same_time_take_no_more_than_there_is() {
        loom::model(|| {
            let (clock, _hand) = Clock::manual();
            let limiter = RateLimiter::new(1_000, Duration::from_secs(1))
                .burst(3)
                .clock(clock);
            let limiter = Arc::new(limiter);
            let other = {
                let limiter = Arc::clone(&limiter);
                loom::thread::spawn(move || limiter.try_take_up_to(2).unwrap_or(0))
            };
            let own = limiter.try_take_up_to(2).unwrap_or(0);
            let other = other.join().expect("it takes what there is");
            assert_eq!(own + other, 3);
        });
    }
}
