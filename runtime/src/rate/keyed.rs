//! A rate limit for each key.
//!
//! **Memory is bounded.** Keys lie in sets of [`WAYS`], by their hash, with a lock for each set that is held for some
//! nanoseconds; nothing is allocated after the limiter was made. Of a key its hash is kept, 64 bits with a seed of its own for each
//! limiter: two keys that share it share a rate, which is as likely as guessing it.
//!
//! **Who is forgotten.** A key that has its whole burst again is as good as one that was never seen, so forgetting it changes
//! nothing. If a new key comes to a set in which no key is like that, the one is forgotten that would be first: it has its burst
//! again at once, sooner than it should. [`KeyedRateLimiter::forgotten`] counts those, and tells whether there are too few
//! places.

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    marker::PhantomData,
    sync::PoisonError,
    time::Duration,
};

use crossbeam_utils::CachePadded;
use foldhash::fast::RandomState;

use super::{Late, Pace};
use crate::{
    breaker::Clock,
    sync::{AtomicU64, Mutex, Ordering},
};

/// Keys of a set.
const WAYS: usize = 8;

/// A limit of the rate of each key; see [the module](super). Threads share it by reference.
///
/// ```
/// use std::time::Duration;
/// use pipewright::{breaker::Clock, rate::KeyedRateLimiter};
///
/// let (clock, hand) = Clock::manual();
/// // Ten a second for each sender, and three at once; up to 10,000 of them.
/// let limiter = KeyedRateLimiter::<str>::new(10, Duration::from_secs(1), 10_000)
///     .burst(3)
///     .clock(clock);
/// assert_eq!(limiter.try_take("ann", 3), Ok(()));
/// assert_eq!(limiter.try_take("bob", 1), Ok(()));
/// let late = limiter.try_take("ann", 1).expect_err("the burst is taken");
/// hand.advance(late.retry_after);
/// assert_eq!(limiter.try_take("ann", 1), Ok(()));
/// ```
pub struct KeyedRateLimiter<K: ?Sized> {
    sets: Box<[Set]>,
    pace: Pace,
    hasher: RandomState,
    clock: Clock,
    forgotten: AtomicU64,
    keys: PhantomData<fn(&K)>,
}

type Set = CachePadded<Mutex<[Place; WAYS]>>;

/// A key by its hash, and its theoretical arrival time. One that nobody has, has its burst.
#[derive(Clone, Copy, Default)]
struct Place {
    hash: u64,
    arrival: u64,
}

impl<K: Hash + ?Sized> KeyedRateLimiter<K> {
    /// `calls` calls of each key in a time, one if `calls` is 0; with as much at once as comes in 10 ms, and one in any case. There
    /// are places for `keys` keys at least, of 16 bytes each.
    pub fn new(calls: u64, per: Duration, keys: usize) -> Self {
        // Twice as many places, because sets fill unevenly.
        let sets = (keys.saturating_mul(2) / WAYS).next_power_of_two();
        let set = |_| CachePadded::new(Mutex::new([Place::default(); WAYS]));
        Self {
            sets: (0..sets).map(set).collect(),
            pace: Pace::new(calls, per),
            hasher: RandomState::default(),
            clock: Clock::new(),
            forgotten: AtomicU64::new(0),
            keys: PhantomData,
        }
    }

    /// How many calls of a key may be made at once after a pause; at least one.
    pub fn burst(mut self, calls: u64) -> Self {
        self.pace.burst = calls.max(1);
        self
    }

    /// The clock that it asks; for tests, one that stands still.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Takes so many calls of a key, or none. More than a burst are taken when there is a whole burst, and whoever comes next waits
    /// longer.
    ///
    /// # Errors
    ///
    /// If they may not be made yet.
    pub fn try_take(&self, key: &K, calls: u64) -> Result<(), Late> {
        let wanted = calls.min(self.pace.burst);
        let all = |left| if left >= wanted { calls } else { 0 };
        self.take(key, all, wanted).map(|_| ())
    }

    /// Takes as many calls of a key as may be made now, at most so many; at least one.
    ///
    /// # Errors
    ///
    /// If none may be made yet.
    pub fn try_take_up_to(&self, key: &K, calls: u64) -> Result<u64, Late> {
        self.take(key, |left| left.min(calls), 1)
    }

    /// Times that a key was forgotten before it had its whole burst again, because there were too many keys.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    fn take(&self, key: &K, of: impl Fn(u64) -> u64, wanted: u64) -> Result<u64, Late> {
        let hash = self.hasher.hash_one(key);
        let now = super::parts(self.clock.now());
        // The number of sets is a power of two.
        let set = &self.sets[hash as usize & (self.sets.len() - 1)];
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match set.iter_mut().position(|place| place.hash == hash) {
            Some(at) => at,
            None => self.place_for(&set, now),
        };
        let place = &mut set[place];
        if place.hash != hash {
            *place = Place { hash, arrival: 0 };
        }
        let (arrival, taken) = self.pace.take(place.arrival, now, of, wanted)?;
        place.arrival = arrival;
        Ok(taken)
    }

    /// The place of the key that can be forgotten first.
    fn place_for(&self, set: &[Place; WAYS], now: u64) -> usize {
        let first = (0..WAYS).min_by_key(|at| set[*at].arrival);
        let first = first.unwrap_or_default();
        if set[first].arrival > now {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        first
    }
}

impl<K: ?Sized> fmt::Debug for KeyedRateLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimiter")
            .field("places", &(self.sets.len() * WAYS))
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_key_has_a_rate_of_its_own() {
        let (clock, hand) = Clock::manual();
        let limiter = KeyedRateLimiter::<u64>::new(10, SECOND, 8_000)
            .burst(2)
            .clock(clock);
        for key in 0..1_000 {
            assert_eq!(limiter.try_take(&key, 2), Ok(()), "{key}");
        }
        let late = limiter.try_take(&7, 1).expect_err("the burst is taken");
        assert_eq!(late.retry_after, SECOND / 10);
        hand.advance(SECOND / 10);
        for key in (0..1_000).step_by(7) {
            assert_eq!(limiter.try_take_up_to(&key, 5), Ok(1), "{key}");
            assert!(limiter.try_take(&key, 1).is_err(), "{key}");
        }
        assert_eq!(limiter.forgotten(), 0);
    }

    #[test]
    fn a_key_that_has_its_burst_again_is_forgotten_without_anything_lost() {
        let (clock, hand) = Clock::manual();
        let limiter = KeyedRateLimiter::<u64>::new(10, SECOND, 8)
            .burst(1)
            .clock(clock);
        // A hundred times as many keys as there are places for, one after the other.
        for key in 0..800 {
            assert_eq!(limiter.try_take(&key, 1), Ok(()), "{key}");
            hand.advance(SECOND / 10);
        }
        assert_eq!(limiter.forgotten(), 0);
    }

    #[test]
    fn of_too_many_keys_the_one_that_waits_the_least_is_forgotten_and_counted() {
        let (clock, hand) = Clock::manual();
        let limiter = KeyedRateLimiter::<u64>::new(10, SECOND, 1)
            .burst(1)
            .clock(clock);
        for key in 0..WAYS as u64 {
            assert_eq!(limiter.try_take(&key, 1), Ok(()), "{key}");
            hand.advance(Duration::from_millis(1));
        }
        assert_eq!(limiter.forgotten(), 0);
        assert_eq!(limiter.try_take(&100, 1), Ok(()));
        assert_eq!(limiter.forgotten(), 1);
        // The first one came first; all others are known still.
        for key in 1..WAYS as u64 {
            assert!(limiter.try_take(&key, 1).is_err(), "{key}");
        }
        assert_eq!(limiter.try_take(&0, 1), Ok(()));
        assert_eq!(limiter.forgotten(), 2);
    }
}
