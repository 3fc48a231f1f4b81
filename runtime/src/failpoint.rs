//! Places at which tests make the runtime panic: with the feature `failpoints` only. Without it they are nothing.

/// Where a worker may be made to panic, outside of all functions of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "failpoints"),
    allow(unnameable_types, unreachable_pub, reason = "they are for tests")
)]
pub enum Place {
    /// Between two batches, with some in its queue or not.
    Between,
    /// Having found nothing to do.
    Resting,
    /// With a batch in its hands.
    Holding,
}

#[cfg(feature = "failpoints")]
pub use self::armed::{arm, hits};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::Place;

    /// One for each place.
    static ALL: [Failpoint; 3] = [const { Failpoint::new() }; 3];

    struct Failpoint {
        every: AtomicU64,
        reached: AtomicU64,
        hits: AtomicU64,
    }

    impl Failpoint {
        const fn new() -> Self {
            Self {
                every: AtomicU64::new(0),
                reached: AtomicU64::new(0),
                hits: AtomicU64::new(0),
            }
        }
    }

    /// From now on every run of the process panics there, each time that it has been reached so often; never for 0.
    pub fn arm(place: Place, every: u64) {
        ALL[place as usize].every.store(every, Relaxed);
    }

    /// How often it has panicked there.
    pub fn hits(place: Place) -> u64 {
        ALL[place as usize].hits.load(Relaxed)
    }

    #[inline]
    pub(crate) fn reach(place: Place) {
        let point = &ALL[place as usize];
        let every = point.every.load(Relaxed);
        if every > 0 && (point.reached.fetch_add(1, Relaxed) + 1).is_multiple_of(every) {
            point.hits.fetch_add(1, Relaxed);
            std::panic::panic_any("failpoint");
        }
    }
}

#[cfg(feature = "failpoints")]
pub(crate) use self::armed::reach;

#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn reach(_: Place) {}
