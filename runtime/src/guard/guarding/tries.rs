//! What failed: what its error says, and whether it is tried again.

use super::{Guarding, Pause};
use crate::{carrier::Carrier, classify::ErrorClass};

/// How often the items of a round, or the first item where they go in turn, were tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    /// Tries again until now.
    pub(super) again: u32,
    /// Is this the last one, because the run ends?
    pub(super) last: bool,
}

impl<T: 'static> Guarding<'_, T> {
    /// An item failed. Returns what its error says, which `class` tells, with the text of a fatal one.
    pub fn failed<E>(&self, error: &E, class: impl Fn(&E) -> (ErrorClass, String)) -> ErrorClass {
        let (class, text) = class(error);
        if self.refusal.get().is_some() {
            return class;
        }
        if self.guard.is_failure(class) {
            let at = match self.batch {
                Some(_) => self.judged.get(),
                None => self.taken(),
            };
            self.failures.set(self.failures.get().with(at));
        }
        if class == ErrorClass::Fatal {
            self.fatal.borrow_mut().get_or_insert(text);
        }
        class
    }

    /// The verdict on the next item of a batch comes. Returns the item's position, where items have some.
    pub fn verdict(&self) -> u32 {
        self.judged.set(self.judged.get() + 1);
        let mut kit = self.kit.borrow_mut();
        kit.as_mut().map_or(0, |kit| kit.many.position())
    }

    /// The stage is called with a batch, of which each item may be tried again.
    pub fn called_with(&self, items: &[T], save: impl Fn(&T) -> T) {
        let mut kit = self.kit.borrow_mut();
        kit.get_or_insert_default()
            .many
            .keep(items.iter().map(save));
    }

    /// As [`Self::again`], for the item of the last [`Self::verdict`].
    pub fn again_of_batch<E>(
        &self,
        error: E,
        class: impl Fn(&E) -> (ErrorClass, String),
    ) -> Option<E> {
        let mut kit = self.kit.borrow_mut();
        let failed = kit.as_mut().and_then(|kit| kit.many.take());
        drop(kit);
        match failed {
            Some((tag, item)) => self.again(error, tag, item, class),
            None => Some(error),
        }
    }

    /// An item failed, which is tried again if that may help; else the error is final and comes back.
    pub fn again<E>(
        &self,
        error: E,
        tag: u32,
        item: T,
        class: impl Fn(&E) -> (ErrorClass, String),
    ) -> Option<E> {
        let class = self.failed(&error, class);
        let tries = self.tries_of_item();
        let over = tries.last || self.refusal.get().is_some();
        if over || !self.guard.tries_again(class, tries.again) {
            return Some(error);
        }
        self.w.counts.unreceived(self.stage);
        let mut kit = self.kit.borrow_mut();
        kit.get_or_insert_default().again.push((tag, item));
        self.next_tries.set(tries.again + 1);
        self.stops.set(self.in_turn && self.first.get() == 0);
        None
    }

    /// Calls with the item that has just failed.
    pub fn attempts(&self) -> u32 {
        self.tries_of_item().again + u32::from(self.refusal.get().is_none())
    }

    /// How often the item that is being called was tried before.
    fn tries_of_item(&self) -> Tries {
        let is_tried = match (self.in_turn, self.batch) {
            (false, _) => true,
            (true, None) => self.is_first(),
            (true, Some(_)) => self.first.get() > 0,
        };
        if is_tried {
            self.tries.get()
        } else {
            Tries::default()
        }
    }

    /// Is the item that is being called the first since the batch was put aside?
    fn is_first(&self) -> bool {
        self.tries.get().again > 0 && self.taken() == 1
    }

    /// After `made` calls.
    pub(super) fn count_tries(&self, made: u32) {
        let again = match (self.tries.get().again > 0, self.in_turn) {
            (false, _) => 0,
            (true, true) if self.batch.is_none() => 1,
            (true, _) => made,
        };
        self.guard.first_tries(made.saturating_sub(again).into());
        let first = self.first.get();
        self.first.set(first.saturating_sub(made as usize));
        if self.in_turn && self.first.get() == 0 {
            self.tries.set(Tries::default());
            // Of those that were tried again together some are to be once more, before what is behind them.
            if first > 0 && self.any_again() {
                self.stops.set(true);
            }
        }
    }

    /// Is there anything to be tried again in the next round?
    fn any_again(&self) -> bool {
        let kit = self.kit.borrow();
        kit.as_ref().is_some_and(|kit| !kit.again.is_empty())
    }

    /// Lets what failed be tried again after a pause; `None` if there is nothing.
    pub(super) fn next_round(&self, load: &mut Carrier<T>) -> Option<Pause> {
        if !self.put_back(load) {
            return None;
        }
        let again = self.next_tries.get();
        self.tries.set(Tries { again, last: false });
        Some(self.pause_of_retry(again))
    }

    /// Puts what is tried again on top of the other items; false if there is nothing.
    pub(super) fn put_back(&self, load: &mut Carrier<T>) -> bool {
        let mut kit = self.kit.borrow_mut();
        let Some(kit) = kit.as_mut().filter(|kit| !kit.again.is_empty()) else {
            return false;
        };
        if self.in_turn && self.batch.is_some() {
            self.first.set(self.first.get() + kit.again.len());
        }
        let (tags, items) = load.parts();
        for (tag, item) in kit.again.drain(..).rev() {
            items.push(item);
            if self.tagged.get() {
                tags.push(tag);
            }
        }
        true
    }
}
