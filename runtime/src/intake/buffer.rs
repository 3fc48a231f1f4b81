//! Items that wait, and when each was pushed and until when it is of use, where that is known of any.

use std::{mem, vec};

/// An item is of use for ever.
pub(crate) const NEVER: u64 = u64::MAX;

/// The times of an item, in nanoseconds of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// When it was pushed, where that is of interest.
    pub(crate) pushed: u64,
    /// When it is of no use any more, or [`NEVER`].
    pub(crate) until: u64,
}

impl Times {
    /// Nothing is known.
    pub(crate) const NONE: Self = Self {
        pushed: 0,
        until: NEVER,
    };
}

/// Items, and beside them their times: those of each, or none at all.
pub(super) struct Buffer<T> {
    pub(super) items: Vec<T>,
    times: Vec<Times>,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            times: Vec::new(),
        }
    }
}

impl<T> Buffer<T> {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[inline]
    pub(super) fn push(&mut self, item: T, times: Times) {
        self.items.push(item);
        self.note(1, times);
    }

    /// Takes over the first `many` of `items`.
    pub(super) fn take_over(&mut self, items: &mut Vec<T>, many: usize, times: Times) {
        if many == items.len() {
            self.items.append(items);
        } else {
            self.items.extend(items.drain(..many));
        }
        self.note(many, times);
    }

    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_timed() || other.is_timed() {
            self.pad(0);
            other.pad(0);
            self.times.append(&mut other.times);
        }
        self.items.append(&mut other.items);
    }

    pub(super) fn reverse(&mut self) {
        self.items.reverse();
        self.times.reverse();
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.times.pop();
        self.items.pop()
    }

    /// Hands all items on: by exchanging buffers, or else by copying them. `times` is empty, and has theirs then, if any is
    /// known.
    pub(super) fn hand_all(&mut self, exchange: bool, into: &mut Vec<T>, times: &mut Vec<Times>) {
        match exchange {
            true => mem::swap(&mut self.items, into),
            false => into.append(&mut self.items),
        }
        mem::swap(&mut self.times, times);
    }

    /// Hands the last `many` items on, from the last one on.
    pub(super) fn hand_last(&mut self, many: usize, into: &mut Vec<T>, times: &mut Vec<Times>) {
        into.extend(last(&mut self.items, many).rev());
        if self.is_timed() {
            times.extend(last(&mut self.times, many).rev());
        }
    }

    fn is_timed(&self) -> bool {
        !self.times.is_empty()
    }

    /// The times of the last `many` items.
    #[inline]
    fn note(&mut self, many: usize, times: Times) {
        if times != Times::NONE || self.is_timed() {
            self.pad(many);
            self.times.resize(self.items.len(), times);
        }
    }

    /// All items but the last `but`, which have none yet, have theirs.
    #[cold]
    fn pad(&mut self, but: usize) {
        let len = self.items.len() - but;
        if self.times.len() < len {
            self.times.resize(len, Times::NONE);
        }
    }
}

fn last<U>(of: &mut Vec<U>, many: usize) -> vec::Drain<'_, U> {
    of.drain(of.len() - many..)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn at(until: u64) -> Times {
        Times {
            until,
            ..Times::NONE
        }
    }

    #[test]
    fn times_stay_beside_their_items() {
        let mut one = Buffer::default();
        one.push('a', at(NEVER));
        one.push('b', at(NEVER));
        assert!(!one.is_timed());
        one.push('c', at(3));
        one.take_over(&mut vec!['d', 'e', 'x'], 2, at(4));
        let mut two = Buffer::default();
        two.push('f', at(NEVER));
        one.append(&mut two);
        assert_eq!(one.times, [NEVER, NEVER, 3, 4, 4, NEVER].map(at));
        assert!(two.is_empty() && !two.is_timed());
        one.reverse();
        assert_eq!(one.pop(), Some('a'));
        let (mut items, mut until) = (Vec::new(), Vec::new());
        one.hand_last(2, &mut items, &mut until);
        assert_eq!(
            (items.as_slice(), until.as_slice()),
            (&['b', 'c'][..], &[NEVER, 3].map(at)[..])
        );
        let (mut items, mut until) = (Vec::new(), Vec::new());
        one.hand_all(true, &mut items, &mut until);
        assert_eq!(items, ['f', 'e', 'd']);
        assert_eq!(until, [NEVER, 4, 4].map(at));
        assert!(one.is_empty() && !one.is_timed());
    }
}
