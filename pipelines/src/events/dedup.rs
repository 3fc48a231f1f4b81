//! Leaves out what was said before, within a window of time.
//!
//! The window goes by the times of the events and not by the clock, so that the same input gives the same result. Of the
//! events with the same fingerprint the first one is kept, and then none that happened within the window of it, earlier or
//! later. Fingerprints lie in shards, each a state for itself; a shard knows the last `REMEMBERED` that it has kept, so memory
//! is bounded whatever comes.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;
use pipewright::stage;

use super::{env::Env, types::Event};

/// Shards of fingerprints: more than workers, so that these seldom wait for each other.
const SHARDS: u64 = 64;
/// What a shard remembers.
const REMEMBERED: usize = 1024;

/// The part of the fingerprints that an event belongs to.
pub fn shard_of(event: &Event) -> u64 {
    event.fingerprint % SHARDS
}

/// What a shard has kept.
#[derive(Debug, Default)]
pub struct Seen {
    /// When what has this fingerprint happened.
    times: HashMap<u64, i64, FixedState>,
    /// The fingerprints, the oldest first.
    order: VecDeque<u64>,
}

impl Seen {
    /// Whether this is to be kept.
    pub fn admits(&mut self, fingerprint: u64, at_ms: i64, window_ms: i64) -> bool {
        if let Some(kept) = self.times.get_mut(&fingerprint) {
            let repeats = at_ms.abs_diff(*kept) <= window_ms.unsigned_abs();
            if !repeats {
                *kept = at_ms;
            }
            return !repeats;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.times.remove(&oldest);
        }
        self.order.push_back(fingerprint);
        self.times.insert(fingerprint, at_ms);
        true
    }
}

/// Leaves out what repeats an event. A window of nothing keeps everything.
#[stage(key = shard_of)]
pub fn dedup(event: Event, env: &Env, seen: &mut Seen) -> Option<Event> {
    let keep = env.window_ms == 0 || seen.admits(event.fingerprint, event.at_ms, env.window_ms);
    keep.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_within_the_window_is_left_out() {
        let mut seen = Seen::default();
        let mut check = |fingerprint, at, expect| {
            assert_eq!(
                seen.admits(fingerprint, at, 100),
                expect,
                "{fingerprint} at {at}"
            );
        };
        check(1, 1000, true);
        check(1, 1000, false);
        check(1, 1100, false);
        check(2, 1100, true);
        // From the one that was kept, not from the last one.
        check(1, 1101, true);
        // Late ones, too.
        check(1, 1001, false);
        check(1, 900, true);
        check(1, i64::MIN, true);
        check(1, i64::MAX, true);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten() {
        let mut seen = Seen::default();
        for fingerprint in 0..10 * REMEMBERED as u64 {
            assert!(seen.admits(fingerprint, 0, 100));
            assert!(!seen.admits(fingerprint, 0, 100));
        }
        assert_eq!(
            (seen.times.len(), seen.order.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert!(seen.admits(0, 0, 100), "it is forgotten");
    }
}
