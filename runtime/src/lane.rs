//! Lanes: who is served first, and how often the others are.
//!
//! There is a lane for each [`Priority`]. A worker looks at them in their order at every boundary between batches, so a
//! batch waits for more urgent ones only. Two rules keep the others from starving:
//!
//! * **Turns.** One look in 8 begins at `high`, one in 32 at `normal` and one in 128 at `low`. So whatever comes, the low
//!   lane gets one batch in 128 of each worker, without a clock. (tokio looks at its global queue every 61 tasks for the
//!   same reason.)
//! * **Age.** A lane that had something to do and was not served for [`AGE_NS`] is next. A batch that is suspended for urgent
//!   work goes on after that time.

use pipewright_spec::options::Priority;

/// How long a lane may wait before it is next whatever else there is to do: 10 ms.
pub(crate) const AGE_NS: u64 = 10_000_000;

/// The number of lanes.
pub(crate) const LANES: usize = 4;

/// A lane, by its place in the order: 0 is the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane(u8);

impl Lane {
    pub(crate) const CRITICAL: Self = Self(0);
    pub(crate) const HIGH: Self = Self(1);
    pub(crate) const NORMAL: Self = Self(2);
    pub(crate) const LOW: Self = Self(3);
    pub(crate) const ALL: [Self; LANES] = [Self::CRITICAL, Self::HIGH, Self::NORMAL, Self::LOW];

    pub(crate) const fn of(priority: Priority) -> Self {
        match priority {
            Priority::Critical => Self::CRITICAL,
            Priority::High => Self::HIGH,
            Priority::Normal => Self::NORMAL,
            Priority::Low => Self::LOW,
        }
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The lane with this index; the least urgent if there is none.
    pub(crate) fn from_index(index: usize) -> Self {
        Self::ALL[index.min(LANES - 1)]
    }

    /// The lane of an item of lane `self` at a stage of lane `other`: an urgent one of the two decides, else a low one.
    pub(crate) fn with(self, other: Self) -> Self {
        let (first, second) = if self <= other {
            (self, other)
        } else {
            (other, self)
        };
        if first < Self::NORMAL { first } else { second }
    }
}

/// Which lanes are in use: a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes(u8);

impl Lanes {
    pub(crate) const NORMAL: Self = Self(1 << Lane::NORMAL.0);
    pub(crate) const ALL: Self = Self((1 << LANES) - 1);

    /// A bit for each lane, the most urgent first.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn of_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(crate) fn has(self, lane: Lane) -> bool {
        self.0 & (1 << lane.0) != 0
    }

    pub(crate) fn and(self, lane: Lane) -> Self {
        Self(self.0 | 1 << lane.0)
    }

    /// Those in use, `first` first and the others in their order.
    pub(crate) fn from(self, first: Lane) -> impl Iterator<Item = Lane> {
        let mut first = self.0 & (1 << first.0);
        let mut others = self.0 & !first;
        std::iter::from_fn(move || {
            let left = if first == 0 { &mut others } else { &mut first };
            let lane = (*left != 0).then(|| Lane(left.trailing_zeros() as u8))?;
            *left &= *left - 1;
            Some(lane)
        })
    }
}

/// Counts a worker's looks, and says at which lane each begins.
#[derive(Debug, Default)]
pub(crate) struct Turns(u32);

impl Turns {
    pub(crate) fn next(&mut self) -> Lane {
        self.0 = self.0.wrapping_add(1);
        // Most turns are told by the first question.
        match self.0 {
            turn if !turn.is_multiple_of(8) => Lane::CRITICAL,
            turn if turn.is_multiple_of(128) => Lane::LOW,
            turn if turn.is_multiple_of(32) => Lane::NORMAL,
            _ => Lane::HIGH,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn of_128_turns_each_lane_begins_its_share() {
        let mut turns = Turns::default();
        let mut begun = [0; LANES];
        for _ in 0..128 {
            begun[turns.next().index()] += 1;
        }
        assert_eq!(begun, [112, 12, 3, 1]);
    }

    #[test]
    fn urgent_items_stay_urgent_and_low_stages_make_others_low() {
        let check = |item: Lane, stage: Lane, expect: Lane| {
            assert_eq!(item.with(stage), expect, "{item:?} at {stage:?}");
            assert_eq!(stage.with(item), expect, "{stage:?} at {item:?}");
        };
        check(Lane::CRITICAL, Lane::LOW, Lane::CRITICAL);
        check(Lane::HIGH, Lane::NORMAL, Lane::HIGH);
        check(Lane::NORMAL, Lane::LOW, Lane::LOW);
        check(Lane::NORMAL, Lane::NORMAL, Lane::NORMAL);
    }

    #[test]
    fn a_look_begins_where_it_should_and_goes_on_in_order() {
        let all: Vec<_> = Lanes::ALL.from(Lane::LOW).collect();
        assert_eq!(all, [Lane::LOW, Lane::CRITICAL, Lane::HIGH, Lane::NORMAL]);
        let some: Vec<_> = Lanes::NORMAL.and(Lane::LOW).from(Lane::HIGH).collect();
        assert_eq!(some, [Lane::NORMAL, Lane::LOW]);
    }
}
