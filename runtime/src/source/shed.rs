//! Shedding load by how long it has waited in the input.
//!
//! **The signal** is CoDel's (Nichols and Jacobson, "Controlling queue delay", ACM Queue 10(5), 2012; RFC 8289): items of a lane have waited
//! for longer than `target` for at least `interval`, without one that has not. A queue that is full for a moment is a good
//! queue; one that stays full is overload. Waiting is what is measured, because it says the same on every machine.
//!
//! **What is shed** is decided as in WeChat's DAGOR (Zhou et al., "Overload control for scaling WeChat microservices", SoCC 2018):
//! items are of [`CLASSES`] classes in each lane, by the hash of their key, and those of the classes below a level are dropped when they
//! are taken out of the input, before work is done for them. So the lowest lane is shed first, and all items of a key are kept
//! or shed together; without a key, an item's class is drawn. Once an `interval` the level rises by a step while there is overload,
//! and falls by a smaller one while there is none. Critical items are never shed.
//!
//! Nobody but the worker that has the input's token looks at it.

use pipewright_spec::info::{FieldInfo, FieldValue};

use crate::{
    breaker::mixed,
    intake::Times,
    lane::{LANES, Lane},
};

/// Classes of a lane.
const CLASSES: u32 = 128;
/// Classes that can be shed: all but those of critical items.
const MOST: u32 = CLASSES * (LANES as u32 - 1);
/// So many more are shed after an interval of overload: 5 %.
const RISE: u32 = MOST / 20;
/// So many fewer after one without: 1 %.
const FALL: u32 = MOST / 100;

/// How an item is hashed whose key is known.
pub(crate) type KeyHash<T> = fn(&T) -> u64;

/// The numbers of `shed(..)`. Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShedSettings {
    pub(crate) target: u64,
    pub(crate) interval: u64,
}

impl Default for ShedSettings {
    fn default() -> Self {
        Self {
            target: 5_000_000,
            interval: 100_000_000,
        }
    }
}

impl ShedSettings {
    pub(crate) fn of(fields: &[FieldInfo]) -> Self {
        let mut settings = Self::default();
        for field in fields {
            if let FieldValue::Time(ns) = field.value {
                settings.set(field.name, ns);
            }
        }
        settings
    }

    /// Takes a field of `shed(..)` over.
    pub(crate) fn set(&mut self, name: &str, ns: u64) {
        match name {
            "target" => self.target = ns,
            "interval" => self.interval = ns,
            _ => {}
        }
    }
}

/// What is known of how long items wait.
pub(crate) struct Shed<T> {
    settings: ShedSettings,
    key: Option<KeyHash<T>>,
    /// By lane: when there is overload, unless an item comes that has waited for less than `target`; 0: there is none.
    due: [u64; LANES],
    /// When the level changes next.
    next: u64,
    /// Classes that are shed.
    level: u32,
    /// Items whose class was drawn.
    drawn: u64,
}

impl<T> Shed<T> {
    pub(crate) fn new(settings: ShedSettings, key: Option<KeyHash<T>>) -> Self {
        Self {
            settings,
            key,
            due: [0; LANES],
            next: 0,
            level: 0,
            drawn: 0,
        }
    }

    /// Goes by these numbers from `now` on. What is shed stays shed until the next interval is over.
    pub(crate) fn retune(&mut self, settings: ShedSettings, now: u64) {
        if self.settings != settings {
            self.settings = settings;
            self.due = [0; LANES];
            self.next = self.next.min(now.saturating_add(settings.interval));
        }
    }

    /// Is an item of a lane shed that is taken out at the time `now`?
    pub(crate) fn sheds(&mut self, item: &T, lane: Lane, times: Times, now: u64) -> bool {
        self.learn(lane, now.saturating_sub(times.pushed), now);
        let class = match self.key {
            _ if self.level == 0 => return false,
            Some(key) => key(item),
            None => {
                self.drawn += 1;
                mixed(self.drawn)
            }
        };
        let below = (LANES - 1 - lane.index()) as u32;
        let class = below * CLASSES + (class % u64::from(CLASSES)) as u32;
        class < self.level
    }

    /// Nothing waits in a lane.
    pub(crate) fn found_empty(&mut self, lane: Lane) {
        self.due[lane.index()] = 0;
    }

    fn learn(&mut self, lane: Lane, waited: u64, now: u64) {
        let due = &mut self.due[lane.index()];
        if waited < self.settings.target {
            *due = 0;
        } else if *due == 0 {
            *due = now.saturating_add(self.settings.interval);
        }
        if now >= self.next {
            self.change(now);
        }
    }

    #[cold]
    fn change(&mut self, now: u64) {
        let interval = self.settings.interval.max(1);
        let is_over = self.due.iter().any(|due| *due != 0 && *due <= now);
        // Where nothing came for a while, it has fallen meanwhile.
        let passed = (now - self.next) / interval + 1;
        let fall = u32::try_from(passed).unwrap_or(MOST).saturating_mul(FALL);
        self.level = match is_over {
            true => (self.level + RISE).min(MOST),
            false => self.level.saturating_sub(fall),
        };
        self.next = now.saturating_add(interval);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const TARGET: u64 = 5;
    const INTERVAL: u64 = 100;

    fn shed(key: Option<KeyHash<u64>>) -> Shed<u64> {
        let settings = ShedSettings {
            target: TARGET,
            interval: INTERVAL,
        };
        Shed::new(settings, key)
    }

    /// How many of 1000 items of a lane are shed that have waited for so long.
    fn of_1000(shed: &mut Shed<u64>, lane: Lane, waited: u64, now: u64) -> usize {
        let times = Times {
            pushed: now - waited,
            ..Times::NONE
        };
        (0..1000u64)
            .filter(|n| shed.sheds(n, lane, times, now))
            .count()
    }

    #[test]
    fn a_queue_is_shed_when_it_stays_long_and_not_when_it_is_long_for_a_moment() {
        let mut shed = shed(None);
        for now in (1_000..3_000).step_by(10) {
            // Once an interval, an item has waited for less.
            let waited = if now % 90 == 0 { TARGET - 1 } else { 50 };
            assert_eq!(of_1000(&mut shed, Lane::LOW, waited, now), 0, "{now}");
        }
        let mut level = 0;
        for now in (3_000..3_700).step_by(10) {
            level = of_1000(&mut shed, Lane::LOW, TARGET, now);
        }
        assert!((600..1000).contains(&level), "{level}");
        // It is over, and what was shed comes back slowly.
        shed.found_empty(Lane::LOW);
        let after = of_1000(&mut shed, Lane::LOW, 0, 4_000);
        assert!((1..=level).contains(&after), "{after}");
        assert_eq!(of_1000(&mut shed, Lane::LOW, 0, 40_000), 0);
    }

    #[test]
    fn the_lowest_lane_is_shed_first_and_critical_items_never() {
        let mut shed = shed(None);
        let mut seen = Vec::new();
        for now in (1_000..6_000).step_by(10) {
            let of = |lane, shed: &mut _| of_1000(shed, lane, 50, now);
            let lost = Lane::ALL.map(|lane| of(lane, &mut shed));
            assert!(lost.is_sorted(), "{lost:?} at {now}");
            assert!(lost[2] == 0 || lost[3] == 1000, "{lost:?} at {now}");
            assert!(lost[1] == 0 || lost[2] == 1000, "{lost:?} at {now}");
            seen.push(lost);
        }
        assert_eq!(seen.last(), Some(&[0, 1000, 1000, 1000]));
    }

    #[test]
    fn all_items_of_a_key_are_kept_or_shed_together() {
        let mut shed = shed(Some(|n| mixed(n % 50)));
        for now in (1_000..1_600).step_by(10) {
            of_1000(&mut shed, Lane::LOW, 50, now);
        }
        let times = Times {
            pushed: 1_550,
            ..Times::NONE
        };
        let mut kinds = [0; 2];
        for key in 0..50 {
            let items = (0..20).map(|n| key + 50 * n);
            let lost = items
                .filter(|n| shed.sheds(n, Lane::LOW, times, 1_590))
                .count();
            assert!(lost == 0 || lost == 20, "{lost} items of key {key}");
            kinds[lost / 20] += 1;
        }
        assert!(kinds[0] > 0 && kinds[1] > 0, "{kinds:?}");
    }
}
