//! What the batch in a carrier has with it at a guarded stage: what it is put aside with, and what is tried again.
//!
//! A kit stays with its carrier's buffer, and with the buffer it goes from batch to batch. So what tries again need is made once for
//! each buffer, when it is needed first, and not once for each try. The run's budget counts it with the buffer.

use std::any::Any;

use super::{guarding::Paused, many::Many};

/// See above.
pub(crate) struct Kit<T> {
    /// What it waits with; `None` while it does not wait.
    pub(super) paused: Option<Paused>,
    /// An `Option` of the carriers of its outputs: there are some while it waits. Their type is the loop's.
    outs: Option<Box<dyn Any + Send>>,
    /// Items of this round that failed and are tried again, with their positions.
    pub(super) again: Vec<(u32, T)>,
    /// What may be tried again of a stage that takes many items.
    pub(super) many: Many<T>,
    /// For [`Self::put_in_order`]: positions, and where their items lie.
    places: Vec<(u32, u32)>,
}

impl<T> Default for Kit<T> {
    fn default() -> Self {
        Self {
            paused: None,
            outs: None,
            again: Vec::new(),
            many: Many::default(),
            places: Vec::new(),
        }
    }
}

impl<T> Kit<T> {
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.again.capacity() * size_of::<(u32, T)>()
            + self.many.bytes()
            + self.places.capacity() * size_of::<(u32, u32)>()
    }

    /// The batch is done, or dropped: only memory is left. Returns the items that are dropped with it beside those in its carrier.
    pub(crate) fn leave(&mut self) -> u64 {
        let beside = self.again.len() as u64;
        self.again.clear();
        self.many.clear();
        if self.paused.take().is_some() {
            // What it has made so far.
            self.outs = None;
        }
        beside
    }

    /// Keeps the carriers of its outputs while it waits.
    pub(super) fn keep_outs<O: Send + 'static>(&mut self, outs: O) {
        match self.place_of_outs() {
            Some(place) => *place = Some(outs),
            None => self.outs = Some(Box::new(Some(outs))),
        }
    }

    /// Those, if it has waited.
    pub(super) fn take_outs<O: 'static>(&mut self) -> Option<O> {
        self.place_of_outs()?.take()
    }

    fn place_of_outs<O: 'static>(&mut self) -> Option<&mut Option<O>> {
        self.outs.as_mut()?.downcast_mut()
    }

    /// Puts items in the order of their positions. Those with the same one stay in the order in which they are. Takes as long as a
    /// sort does.
    pub(super) fn put_in_order(&mut self, tags: &mut [u32], items: &mut [T]) {
        let places = &mut self.places;
        places.clear();
        places.extend(tags.iter().copied().zip(0..));
        // No two are alike, and a sort that is stable allocates.
        places.sort_unstable();
        for (tag, (position, _)) in tags.iter_mut().zip(&*places) {
            *tag = *position;
        }
        // Item by item of a cycle: to each place comes the one that belongs there, until the first one's place is met.
        for first in 0..places.len() {
            let mut at = first;
            loop {
                let from = std::mem::replace(&mut places[at].1, at as u32) as usize;
                if from == first {
                    break;
                }
                items.swap(at, from);
                at = from;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn items_are_put_in_the_order_of_their_positions_and_those_of_one_stay_together() {
        let mut kit = Kit::default();
        let mut check = |tags: &[u32], expect: &str| {
            let (mut tags, mut items) = (tags.to_vec(), Vec::from_iter("abcdefg".chars()));
            items.truncate(tags.len());
            kit.put_in_order(&mut tags, &mut items);
            assert!(tags.is_sorted());
            assert_eq!(String::from_iter(items), expect);
        };
        check(&[], "");
        check(&[3], "a");
        check(&[0, 1, 2], "abc");
        check(&[2, 1, 0], "cba");
        check(&[1, 2, 0], "cab");
        check(&[5, 5, 9, 9, 1, 5, 7], "eabfgcd");
        check(&[4, 6, 1, 1, 3, 0, 2], "fcdgeab");
    }

    #[test]
    fn what_it_waits_with_is_kept_in_the_same_memory() {
        let mut kit = Kit::<u8>::default();
        assert_eq!(kit.take_outs::<u32>(), None);
        kit.keep_outs(7u32);
        assert_eq!(kit.take_outs::<u32>(), Some(7));
        let place = |kit: &mut Kit<u8>| std::ptr::from_mut(kit.place_of_outs::<u32>().unwrap());
        let before = place(&mut kit);
        kit.keep_outs(8u32);
        assert_eq!(place(&mut kit), before);
        assert_eq!(kit.leave(), 0);
        assert_eq!(kit.take_outs::<u32>(), Some(8), "it did not wait");
    }

    #[test]
    fn what_was_to_be_tried_again_is_told_when_it_is_dropped() {
        let one = std::sync::Arc::new(());
        let mut kit = Kit::default();
        kit.again.extend([(0, one.clone()), (1, one.clone())]);
        assert_eq!(kit.leave(), 2);
        assert_eq!(std::sync::Arc::strong_count(&one), 1);
        assert!(kit.bytes() > size_of::<Kit<std::sync::Arc<()>>>());
    }
}
