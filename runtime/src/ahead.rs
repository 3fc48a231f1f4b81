//! The items in front of a stage with `prefetch`: each waits there while its memory is on its way.
//!
//! An item that comes in sends the oldest one on, once there are as many as the distance says. What waits when the loop
//! reaches a boundary is sent on by a flush (see [`crate::each::each_ahead`]), so nothing waits for items that may not come,
//! and whatever counts items or hands them on finds all of them done.

use std::mem;

/// The items in front of a stage with `prefetch`, in the order in which they came. With each is its position in the source's
/// batch, which only loops of tagged links use.
#[derive(Debug)]
pub struct Ahead<T> {
    /// The oldest is at `next` once there are `distance` of them, else at 0.
    items: Vec<(u32, T)>,
    /// The place of the item that comes next.
    next: usize,
    distance: usize,
}

impl<T> Ahead<T> {
    /// Room for as many items as `distance`, at least one.
    pub fn new(distance: usize) -> Self {
        let distance = distance.max(1);
        Self {
            items: Vec::with_capacity(distance),
            next: 0,
            distance,
        }
    }

    /// Lets an item in; the oldest is sent on if there are enough.
    #[inline(always)]
    pub fn pass(&mut self, item: T) -> Option<T> {
        self.pass_tagged(0, item).map(|(_, oldest)| oldest)
    }

    /// As [`Self::pass`], with the item's position in the source's batch.
    #[inline(always)]
    pub fn pass_tagged(&mut self, tag: u32, item: T) -> Option<(u32, T)> {
        let oldest = match self.items.get_mut(self.next) {
            Some(place) => Some(mem::replace(place, (tag, item))),
            None => {
                self.items.push((tag, item));
                None
            }
        };
        self.next += 1;
        if self.next == self.distance {
            self.next = 0;
        }
        oldest
    }

    /// Does no item wait?
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes all items out, the oldest first; give the emptied buffer back with [`Self::give`].
    pub(crate) fn take(&mut self) -> Vec<(u32, T)> {
        if self.items.len() == self.distance {
            self.items.rotate_left(self.next);
        }
        self.next = 0;
        mem::take(&mut self.items)
    }

    /// The buffer again, emptied.
    pub(crate) fn give(&mut self, mut buffer: Vec<(u32, T)>) {
        buffer.clear();
        if self.items.is_empty() {
            self.items = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(distance: usize, items: u32) {
        let mut ahead = Ahead::new(distance);
        let mut out = Vec::new();
        for round in 0..2 {
            let first = round * items;
            for item in first..first + items {
                out.extend(ahead.pass_tagged(item, item));
                assert!(ahead.items.len() <= distance);
            }
            let mut left = ahead.take();
            out.append(&mut left);
            ahead.give(left);
            assert!(ahead.is_empty());
        }
        let expect: Vec<(u32, u32)> = (0..2 * items).map(|item| (item, item)).collect();
        assert_eq!(out, expect, "{items} items, {distance} ahead");
    }

    #[test]
    fn items_leave_in_the_order_in_which_they_came() {
        for distance in [1, 2, 3, 31] {
            for items in [0, 1, 2, 3, 4, 30, 31, 32, 100] {
                check(distance, items);
            }
        }
    }
}
