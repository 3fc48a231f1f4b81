//! Decisions of before, that still hold.
//!
//! A concurrent cache (`quick_cache`: sharded, S3-FIFO, bounded by bytes) of what was decided, under all of a request that decides.
//! An entry holds for a time, or for as long as its policy says if that is shorter, and only for the policies that made it: a reload
//! empties the cache, at once and without a sweep. It is the whole request that is compared, not a hash of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::{Weighter, sync};

use super::types::Decision;

/// What an entry takes besides its texts, about.
const ENTRY_BYTES: u64 = 128;
/// How large entries usually are, to size the tables.
const USUAL_BYTES: u64 = 256;

/// A cache of decisions. Threads share it by reference.
#[derive(Debug)]
pub struct Cache {
    entries: sync::Cache<Box<str>, Entry, Bytes>,
    lasts: Duration,
}

#[derive(Clone, Debug)]
struct Entry {
    decision: Decision,
    revision: u64,
    until: Instant,
}

/// Weighs entries by the bytes that they take.
#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Box<str>, Entry> for Bytes {
    fn weight(&self, key: &Box<str>, entry: &Entry) -> u64 {
        ENTRY_BYTES + key.len() as u64 + entry.decision.reason.len() as u64
    }
}

impl Cache {
    /// With room for so many bytes; without any, nothing is kept. Entries hold for `lasts` at most.
    pub fn new(bytes: u64, lasts: Duration) -> Self {
        let usual = usize::try_from(bytes / USUAL_BYTES).unwrap_or(usize::MAX);
        Self {
            entries: sync::Cache::with_weighter(usual, bytes, Bytes),
            lasts,
        }
    }

    /// The decision of these policies, if it is there and still holds.
    pub fn get(&self, key: &str, revision: u64, now: Instant) -> Option<Decision> {
        let entry = self.entries.get(key)?;
        (entry.revision == revision && now < entry.until).then_some(entry.decision)
    }

    /// Keeps a decision of these policies, unless it holds for no time.
    pub fn set(&self, key: Box<str>, decision: Decision, revision: u64, now: Instant) {
        let lasts = decision
            .valid
            .map_or(self.lasts, |valid| valid.min(self.lasts));
        if lasts.is_zero() {
            return;
        }
        let entry = Entry {
            decision,
            revision,
            until: now + lasts,
        };
        self.entries.insert(key, entry);
    }

    /// Forgets a decision. Says whether there was one.
    pub fn remove(&self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Entries, those that do not hold any more among them.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}

/// A decision whose reason is a few bytes, for measurements and tests.
pub fn sample(allow: bool) -> Decision {
    Decision {
        allow,
        reason: Arc::from("role `reader` may"),
        valid: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(n: u64) -> Box<str> {
        format!("key-{n:08}").into()
    }

    #[test]
    fn an_entry_holds_for_its_time_and_its_policies() {
        let (cache, now) = (Cache::new(1 << 20, MINUTE), Instant::now());
        assert_eq!(cache.get("key-00000001", 1, now), None);
        cache.set(key(1), sample(true), 1, now);
        let just_before = now + MINUTE - Duration::from_nanos(1);
        assert_eq!(
            cache.get("key-00000001", 1, just_before),
            Some(sample(true))
        );
        assert_eq!(cache.get("key-00000001", 1, now + MINUTE), None);
        assert_eq!(cache.get("key-00000001", 2, now), None, "of other policies");
        assert_eq!(cache.get("key-00000002", 1, now), None);
        assert!(cache.remove("key-00000001") && !cache.remove("key-00000001"));
        assert!(cache.is_empty());
    }

    #[test]
    fn a_policy_may_shorten_the_time_and_not_lengthen_it() {
        let (cache, now) = (Cache::new(1 << 20, MINUTE), Instant::now());
        let check = |valid_s, after_s, expect: bool| {
            let decision = Decision {
                valid: Some(Duration::from_secs(valid_s)),
                ..sample(true)
            };
            cache.remove("key-00000001");
            cache.set(key(1), decision, 1, now);
            let found = cache.get("key-00000001", 1, now + Duration::from_secs(after_s));
            assert_eq!(found.is_some(), expect, "{valid_s} s, after {after_s} s");
        };
        check(5, 4, true);
        check(5, 5, false);
        check(600, 59, true);
        check(600, 60, false);
        check(0, 0, false);
    }

    #[test]
    fn what_it_takes_stays_below_its_bound() {
        let (cache, now) = (Cache::new(100_000, MINUTE), Instant::now());
        for n in 0..10_000 {
            cache.set(key(n), sample(n % 2 == 0), 1, now);
            assert!(cache.bytes() <= 100_000, "{} bytes", cache.bytes());
        }
        assert!(cache.len() > 300, "{} entries", cache.len());
        let off = Cache::new(0, MINUTE);
        off.set(key(1), sample(true), 1, now);
        assert_eq!(off.get("key-00000001", 1, now), None);
    }
}
