//! Items that wait, and until when each is of use, where that is known of any.

use std::{mem, vec};

/// An item is of use for ever.
pub(crate) const NEVER: u64 = u64::MAX;

/// Items, and beside them the times at which they expire, in nanoseconds of the run: one for each, or none at all.
pub(super) struct Buffer<T> {
    pub(super) items: Vec<T>,
    until: Vec<u64>,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            until: Vec::new(),
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
    pub(super) fn push(&mut self, item: T, until: u64) {
        self.items.push(item);
        self.note(1, until);
    }

    /// Takes over the first `many` of `items`.
    pub(super) fn take_over(&mut self, items: &mut Vec<T>, many: usize, until: u64) {
        if many == items.len() {
            self.items.append(items);
        } else {
            self.items.extend(items.drain(..many));
        }
        self.note(many, until);
    }

    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_timed() || other.is_timed() {
            self.pad(0);
            other.pad(0);
            self.until.append(&mut other.until);
        }
        self.items.append(&mut other.items);
    }

    pub(super) fn reverse(&mut self) {
        self.items.reverse();
        self.until.reverse();
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.until.pop();
        self.items.pop()
    }

    /// Hands all items on: by exchanging buffers, or else by copying them. `until` is empty, and has their times then, if any is
    /// known.
    pub(super) fn hand_all(&mut self, exchange: bool, into: &mut Vec<T>, until: &mut Vec<u64>) {
        match exchange {
            true => mem::swap(&mut self.items, into),
            false => into.append(&mut self.items),
        }
        mem::swap(&mut self.until, until);
    }

    /// Hands the last `many` items on, from the last one on.
    pub(super) fn hand_last(&mut self, many: usize, into: &mut Vec<T>, until: &mut Vec<u64>) {
        into.extend(last(&mut self.items, many).rev());
        if self.is_timed() {
            until.extend(last(&mut self.until, many).rev());
        }
    }

    fn is_timed(&self) -> bool {
        !self.until.is_empty()
    }

    /// The time of the last `many` items.
    #[inline]
    fn note(&mut self, many: usize, until: u64) {
        if until != NEVER || self.is_timed() {
            self.pad(many);
            self.until.resize(self.items.len(), until);
        }
    }

    /// All items but the last `but`, which have no time yet, have one.
    #[cold]
    fn pad(&mut self, but: usize) {
        let len = self.items.len() - but;
        if self.until.len() < len {
            self.until.resize(len, NEVER);
        }
    }
}

fn last<U>(of: &mut Vec<U>, many: usize) -> vec::Drain<'_, U> {
    of.drain(of.len() - many..)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn times_stay_beside_their_items() {
        let mut one = Buffer::default();
        one.push('a', NEVER);
        one.push('b', NEVER);
        assert!(!one.is_timed());
        one.push('c', 3);
        one.take_over(&mut vec!['d', 'e', 'x'], 2, 4);
        let mut two = Buffer::default();
        two.push('f', NEVER);
        one.append(&mut two);
        assert_eq!(one.until, [NEVER, NEVER, 3, 4, 4, NEVER]);
        assert!(two.is_empty() && !two.is_timed());
        one.reverse();
        assert_eq!(one.pop(), Some('a'));
        let (mut items, mut until) = (Vec::new(), Vec::new());
        one.hand_last(2, &mut items, &mut until);
        assert_eq!(
            (items.as_slice(), until.as_slice()),
            (&['b', 'c'][..], &[NEVER, 3][..])
        );
        let (mut items, mut until) = (Vec::new(), Vec::new());
        one.hand_all(true, &mut items, &mut until);
        assert_eq!(items, ['f', 'e', 'd']);
        assert_eq!(until, [NEVER, 4, 4]);
        assert!(one.is_empty() && !one.is_timed());
    }
}
