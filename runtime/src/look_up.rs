//! When the loop over a batch looks up, and what for: more urgent work (see [`crate::urgent`]), and workers that could take a
//! part of the batch (see [`crate::tail`]).
//!
//! The first look is after one item, because nothing is known of what comes; then about every [`LOOK_UP_NS`], as the items
//! turn out. Every look reads the clock once.

use crate::{drive::Watch, lane::Lane, load::Rest, rest::WAKE_NS, shared::Shared};

/// How often a worker looks up from a batch: about every 16 us.
const LOOK_UP_NS: u64 = 16_000;
/// How much longer one way to the next look may be than the one before.
const GROWTH: u64 = 16;
/// Least items between two looks for urgent work: whoever suspends a batch does all urgent work there is before it goes on, or
/// as much as [`AGE_NS`](crate::lane::AGE_NS) allows.
const LEAST_URGENT: u64 = 64;
/// A tail is worth a wake-up if what is left takes longer than this: half of it stays.
const WORTH_LEAVING_NS: u64 = 2 * WAKE_NS;

/// How many items a loop runs until it looks up.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Items until the next look.
    pub(crate) items: u64,
    last: u64,
}

impl Pace {
    /// For a loop that begins at `now`.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            items: 1,
            last: now,
        }
    }

    /// The items are done at `now`: decides how many come next.
    pub(crate) fn passed(&mut self, now: u64) {
        let most = self.items.saturating_mul(GROWTH);
        let wanted = self.items.saturating_mul(LOOK_UP_NS) / self.spent(now);
        self.items = wanted.clamp(1, most);
        self.last = now;
    }

    fn spent(&self, now: u64) -> u64 {
        (now - self.last).max(1)
    }
}

/// Looks up from a batch.
#[derive(Debug)]
pub(crate) struct LookUp {
    pub(crate) pace: Pace,
    divisible: bool,
    /// Items since the last look for urgent work.
    since_urgent: u64,
}

impl LookUp {
    /// For a loop that begins now, over a batch that may be divided or not; `None` if there is nothing to look for.
    pub(crate) fn new(w: Watch<'_>, divisible: bool) -> Option<Self> {
        let pace = Pace::new(w.now);
        (divisible || w.urgent.is_some()).then_some(Self {
            pace,
            divisible,
            since_urgent: 0,
        })
    }

    /// Some items are done: serves what is more urgent, and leaves some of the `rest` to others.
    pub(crate) fn look(&mut self, w: Watch<'_>, rest: &mut impl Rest) {
        if rest.size_hint().1 == Some(0) {
            return;
        }
        let now = w.shared.now();
        if self.divisible && self.is_slow(w.shared, now, rest) {
            rest.leave(w);
        }
        self.since_urgent += self.pace.items;
        self.pace.passed(now);
        let Some(urgent) = w.urgent.filter(|_| self.since_urgent >= LEAST_URGENT) else {
            return;
        };
        self.since_urgent = 0;
        if w.shared.has_above(w.lane, now) {
            urgent.serve(w.lane);
            self.pace.last = w.shared.now();
        }
    }

    /// Are there workers without work, and is enough left for one more?
    fn is_slow(&self, shared: &Shared, now: u64, rest: &impl Rest) -> bool {
        let left = rest.size_hint().0 as u64;
        if left < 2 {
            return false;
        }
        let time = self.pace.spent(now).saturating_mul(left) / self.pace.items;
        let slow = time > WORTH_LEAVING_NS && shared.idle.has_idle();
        slow || shared.settings.always_divide
    }
}

impl Shared {
    /// Has a lane that is more urgent than `lane` something to do?
    fn has_above(&self, lane: Lane, now: u64) -> bool {
        let mut above = Lane::ALL
            .into_iter()
            .take(lane.index().min(Lane::NORMAL.index()));
        above.any(|lane| {
            self.lanes.waits_in(lane)
                || self
                    .sources
                    .iter()
                    .any(|source| source.is_ready_in(lane, now))
        })
    }
}
