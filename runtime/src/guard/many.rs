//! What is tried again of a stage that takes many items at once: copies of those that it is called with, and their positions.
//!
//! A slice is one batch, or several where the size of batches has just become smaller; its items are judged in their order. A batch
//! that panics is not judged at all, so where it begins is counted by what the stage was called with.

use std::cell::{Cell, RefCell};

/// The items of a slice.
pub(super) struct Many<T> {
    /// The positions of the items of this slice, in their order; none where items have no positions.
    tags: RefCell<Vec<u32>>,
    /// The items of the batch that is being judged.
    kept: RefCell<Vec<Option<T>>>,
    /// Items of this slice before that batch.
    before: Cell<usize>,
    /// Verdicts on items of that batch.
    judged: Cell<usize>,
    /// Items in front that are tried again together, where what is behind them waits.
    pub(super) first: Cell<usize>,
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self {
            tags: RefCell::default(),
            kept: RefCell::default(),
            before: Cell::new(0),
            judged: Cell::new(0),
            first: Cell::new(0),
        }
    }
}

impl<T> Many<T> {
    /// A slice begins: the first `items` of a stack with these positions.
    pub(super) fn begin(&self, stack: &[u32], items: usize) {
        let mut tags = self.tags.borrow_mut();
        tags.clear();
        tags.extend(stack.iter().rev().take(items));
        self.kept.borrow_mut().clear();
        self.before.set(0);
        self.judged.set(0);
    }

    /// The stage is called with these.
    pub(super) fn keep(&self, items: impl Iterator<Item = T>) {
        // Whoever copies them may panic, so that what is there stays as it is until they are.
        let items: Vec<Option<T>> = items.map(Some).collect();
        let mut kept = self.kept.borrow_mut();
        self.before.set(self.before.get() + kept.len());
        self.judged.set(0);
        *kept = items;
    }

    /// The verdict on the next item comes. Returns its position; 0 if it has none.
    pub(super) fn position(&self) -> u32 {
        let at = self.before.get() + self.judged.get();
        self.judged.set(self.judged.get() + 1);
        self.tags.borrow().get(at).copied().unwrap_or_default()
    }

    /// The item of the last verdict, with its position.
    pub(super) fn take(&self) -> Option<(u32, T)> {
        let at = self.judged.get().checked_sub(1)?;
        let tags = self.tags.borrow();
        let tag = tags.get(self.before.get() + at).copied();
        let item = self.kept.borrow_mut().get_mut(at)?.take()?;
        Some((tag.unwrap_or_default(), item))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn items_have_their_positions_also_behind_a_batch_that_was_not_judged() {
        let many = Many::default();
        // A stack: the first lies at the end.
        many.begin(&[9, 8, 7, 6, 5], 4);
        many.keep("ab".chars());
        many.keep("cd".chars());
        assert_eq!((many.position(), many.take()), (7, Some((7, 'c'))));
        assert_eq!((many.position(), many.take()), (8, Some((8, 'd'))));
        assert_eq!(many.take(), None, "it is taken once");
        many.begin(&[], 1);
        many.keep("e".chars());
        assert_eq!((many.position(), many.take()), (0, Some((0, 'e'))));
    }
}
