//! Looking ahead in front of a guarded stage with `prefetch`: the memory that its items lead to is asked for while they still lie
//! in the carrier, some places below the one that is called.
//!
//! So nothing waits outside of the carrier, and a batch can stop at any item. An item keeps its place while it lies there, and all
//! from the place [`Foresight::next`] on were asked for: what is tried again is put on top, and was. When a batch has waited, all of it
//! is asked for once more, because the memory may have left the caches, and because items that have expired are gone.
//!
//! Finding the memory is a part of the stage. If it panics, that is kept until the item's turn comes, and is the item's panic
//! then: it is isolated, or leaves as a letter, like any other.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use super::Guarding;

/// What looks for the memory of an item.
type Ask<'r, T> = &'r dyn Fn(&T);

/// How far a loop has looked ahead.
pub(super) struct Foresight<'r, T> {
    ask: Option<Ask<'r, T>>,
    /// Items between asking for memory and using it.
    distance: usize,
    /// The memory of the items from this place on was asked for.
    next: Cell<usize>,
    /// The place of the item whose turn it is.
    at: Cell<usize>,
    /// What panicked, by the place of the item.
    panics: RefCell<Vec<(usize, Box<dyn Any + Send>)>>,
}

impl<T> Default for Foresight<'_, T> {
    fn default() -> Self {
        Self {
            ask: None,
            distance: 0,
            next: Cell::new(usize::MAX),
            at: Cell::new(0),
            panics: RefCell::default(),
        }
    }
}

impl<T> Foresight<'_, T> {
    /// A batch begins, or goes on: nothing of it was asked for.
    pub(super) fn begin(&self) {
        self.next.set(usize::MAX);
        self.panics.borrow_mut().clear();
    }

    /// The item on top of this stack is the next one.
    fn ahead(&self, items: &[T]) {
        let Some(ask) = self.ask else { return };
        let until = items.len().saturating_sub(self.distance + 1);
        let mut next = self.next.get().min(items.len());
        while next > until {
            next -= 1;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| ask(&items[next]))) {
                self.panics.borrow_mut().push((next, panic));
            }
        }
        self.next.set(next);
        self.at.set(items.len().saturating_sub(1));
    }

    /// The item's turn has come.
    fn found(&self) {
        let mut panics = self.panics.borrow_mut();
        if panics.is_empty() {
            return;
        }
        let at = self.at.get();
        let own = panics.iter().position(|(place, _)| *place == at);
        if let Some(own) = own {
            let (_, panic) = panics.swap_remove(own);
            drop(panics);
            resume_unwind(panic);
        }
    }
}

impl<'r, T: 'static> Guarding<'r, T> {
    /// The memory of items is asked for, by `ask`, so many items before they are called.
    pub fn looking_ahead(mut self, distance: usize, ask: Ask<'r, T>) -> Self {
        self.foresight.ask = Some(ask);
        self.foresight.distance = distance;
        self
    }

    /// The stage is about to be called with an item. If finding its memory has panicked, so does this.
    #[inline]
    pub fn found(&self) {
        if self.refusal.get().is_none() {
            self.foresight.found();
        }
    }

    /// The item on top of the stack is taken next.
    pub(in crate::guard) fn look_ahead(&self, items: &[T]) {
        if self.refusal.get().is_none() {
            self.foresight.ahead(items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all items of a stack of so many, the last of which is 0, and says in which order what was asked for and called.
    fn order(items: usize, distance: usize) -> Vec<String> {
        let told = RefCell::new(Vec::new());
        let ask = |item: &usize| told.borrow_mut().push(format!("ask {item}"));
        let foresight = Foresight {
            ask: Some(&ask),
            distance,
            ..Foresight::default()
        };
        let mut stack: Vec<usize> = (0..items).rev().collect();
        foresight.begin();
        while !stack.is_empty() {
            foresight.ahead(&stack);
            let item = stack.pop().expect("there is one");
            foresight.found();
            told.borrow_mut().push(format!("call {item}"));
        }
        told.into_inner()
    }

    #[test]
    fn each_item_is_asked_for_once_so_many_items_ahead() {
        assert_eq!(
            order(4, 2),
            [
                "ask 0", "ask 1", "ask 2", "call 0", "ask 3", "call 1", "call 2", "call 3"
            ]
        );
        assert_eq!(order(2, 31), ["ask 0", "ask 1", "call 0", "call 1"]);
        assert_eq!(order(1, 1), ["ask 0", "call 0"]);
    }

    #[test]
    fn what_panics_while_memory_is_looked_for_panics_when_the_turn_of_its_item_comes() {
        let ask = |item: &u32| assert!(*item != 2, "in vain for {item}");
        let foresight = Foresight {
            ask: Some(&ask),
            distance: 3,
            ..Foresight::default()
        };
        let mut stack = vec![3, 2, 1];
        let mut panicked = Vec::new();
        while !stack.is_empty() {
            foresight.ahead(&stack);
            let item = stack.pop().expect("there is one");
            if catch_unwind(AssertUnwindSafe(|| foresight.found())).is_err() {
                panicked.push(item);
            }
        }
        assert_eq!(panicked, [2]);
    }

    #[test]
    fn what_is_tried_again_was_asked_for_and_what_has_waited_is_asked_for_again() {
        let asked = RefCell::new(Vec::new());
        let ask = |item: &u32| asked.borrow_mut().push(*item);
        let foresight = Foresight {
            ask: Some(&ask),
            distance: 1,
            ..Foresight::default()
        };
        let mut stack = vec![4, 3, 2, 1];
        foresight.ahead(&stack);
        let first = stack.pop().expect("there is one");
        foresight.ahead(&stack);
        stack.pop();
        // The first one comes back, on top of the others.
        stack.push(first);
        foresight.ahead(&stack);
        assert_eq!(asked.take(), [1, 2, 3]);
        foresight.begin();
        foresight.ahead(&stack);
        assert_eq!(asked.take(), [1, 3]);
    }
}
