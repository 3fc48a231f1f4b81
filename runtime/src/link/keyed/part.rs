//! The part of a carrier that one partition gets, on its way into the loop behind the partition's gate.

use std::{fmt, vec};

use super::{Hashed, states::Lines};
use crate::{
    carrier::Carrier,
    drive::Watch,
    load::{Load, Rest, Undivided},
    prefetch::DISTANCE,
    simd::{Feed, OneByOne},
};

/// The items of one partition. The memory of their keys' states is asked for ahead.
pub struct Part<T: 'static> {
    carrier: Carrier<Hashed<T>>,
    /// Where the states are, if there are so many that they lie in no cache.
    lines: Option<Lines>,
}

impl<T: 'static> Part<T> {
    pub(in crate::link) fn new(carrier: Carrier<Hashed<T>>, lines: Option<Lines>) -> Self {
        Self { carrier, lines }
    }

    /// The carrier, for a loop that may stop in the middle of it.
    pub fn into_carrier(self) -> Carrier<Hashed<T>> {
        self.carrier
    }

    fn ahead(&mut self) -> Ahead<'_, T> {
        self.carrier.skip_expired();
        let items = self.carrier.items().drain(..);
        let Some(lines) = self.lines else {
            return Ahead {
                items,
                lines: Lines::NONE,
                distance: usize::MAX,
            };
        };
        for item in items.as_slice().iter().take(DISTANCE) {
            lines.ask(item.hash);
        }
        Ahead {
            items,
            lines,
            distance: DISTANCE,
        }
    }
}

impl<T: 'static> Load for Part<T> {
    type Item = Hashed<T>;

    fn open(&mut self) -> impl Rest<Item = Hashed<T>> {
        Undivided(self.ahead())
    }

    fn feed(&mut self) -> impl Feed<Item = Hashed<T>> {
        OneByOne(self.ahead())
    }

    fn open_tagged(&mut self) -> impl Rest<Item = (u32, Hashed<T>)> {
        Undivided((0..=u32::MAX).zip(self.ahead()))
    }

    fn ticket(&self) -> u32 {
        self.carrier.ticket()
    }

    fn part(&self) -> u16 {
        self.carrier.part()
    }

    fn is_whole(&self) -> bool {
        self.carrier.is_whole()
    }

    fn link(&self) -> u16 {
        Load::link(&self.carrier)
    }

    /// What waits for a gate has one state.
    fn is_divisible(&self, _: Watch<'_>) -> bool {
        false
    }
}

/// Items in order; with each, the memory for the one that comes `distance` items later is asked for.
struct Ahead<'c, T> {
    items: vec::Drain<'c, Hashed<T>>,
    lines: Lines,
    /// `usize::MAX` where nothing is asked for.
    distance: usize,
}

impl<T> Iterator for Ahead<'_, T> {
    type Item = Hashed<T>;

    #[inline(always)]
    fn next(&mut self) -> Option<Hashed<T>> {
        if let Some(later) = self.items.as_slice().get(self.distance) {
            self.lines.ask(later.hash);
        }
        self.items.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<T: 'static> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}
