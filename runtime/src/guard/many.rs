//! What is tried again of a stage that takes many items at once: copies of those that it is called with, and their positions.
//!
//! A slice is one batch, or several where the size of batches has just become smaller; its items are judged in their order. A batch
//! that panics is not judged at all, so where one begins is counted by what the stage was called with.

/// The items of a slice.
pub(super) struct Many<T> {
    /// The positions of the items of this slice, in their order; none where items have no positions.
    tags: Vec<u32>,
    /// The items of the batch that is being judged.
    kept: Vec<Option<T>>,
    /// Items of this slice with which the stage was called, and those before that batch.
    called: usize,
    before: usize,
    /// Verdicts on items of that batch.
    judged: usize,
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            kept: Vec::new(),
            called: 0,
            before: 0,
            judged: 0,
        }
    }
}

impl<T> Many<T> {
    /// A slice begins: the first `items` of a stack with these positions.
    pub(super) fn begin(&mut self, stack: &[u32], items: usize) {
        self.clear();
        self.tags.extend(stack.iter().rev().take(items));
        (self.called, self.before) = (0, 0);
    }

    /// The stage is called with these.
    pub(super) fn keep(&mut self, items: impl ExactSizeIterator<Item = T>) {
        // Counted first, because whoever copies them may panic; then none of them is judged.
        self.before = self.called;
        self.called += items.len();
        self.judged = 0;
        self.kept.clear();
        self.kept.extend(items.map(Some));
    }

    /// The verdict on the next item comes. Returns its position; 0 if it has none.
    pub(super) fn position(&mut self) -> u32 {
        let at = self.before + self.judged;
        self.judged += 1;
        self.tags.get(at).copied().unwrap_or_default()
    }

    /// The item of the last verdict, with its position.
    pub(super) fn take(&mut self) -> Option<(u32, T)> {
        let at = self.judged.checked_sub(1)?;
        let tag = self.tags.get(self.before + at).copied();
        let item = self.kept.get_mut(at)?.take()?;
        Some((tag.unwrap_or_default(), item))
    }

    /// Keeps nothing but the memory.
    pub(super) fn clear(&mut self) {
        self.tags.clear();
        self.kept.clear();
        self.judged = 0;
    }

    /// Bytes that it takes beside itself.
    pub(super) fn bytes(&self) -> usize {
        self.tags.capacity() * size_of::<u32>() + self.kept.capacity() * size_of::<Option<T>>()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn items_have_their_positions_also_behind_a_batch_that_was_not_judged() {
        let mut many = Many::default();
        // A stack: the first lies at the end.
        many.begin(&[9, 8, 7, 6, 5], 4);
        many.keep(['a', 'b'].into_iter());
        many.keep(['c', 'd'].into_iter());
        assert_eq!((many.position(), many.take()), (7, Some((7, 'c'))));
        assert_eq!((many.position(), many.take()), (8, Some((8, 'd'))));
        assert_eq!(many.take(), None, "it is taken once");
        many.begin(&[], 1);
        many.keep(['e'].into_iter());
        assert_eq!((many.position(), many.take()), (0, Some((0, 'e'))));
    }

    #[test]
    fn items_have_their_positions_also_behind_a_batch_whose_copies_panicked() {
        let mut many = Many::default();
        many.begin(&[9, 8, 7, 6, 5], 4);
        let copies = ['a', 'b'].into_iter().map(|item| match item {
            'b' => std::panic::resume_unwind(Box::new("it cannot be copied")),
            item => item,
        });
        let keep = std::panic::AssertUnwindSafe(|| many.keep(copies));
        assert!(std::panic::catch_unwind(keep).is_err());
        many.keep(['c', 'd'].into_iter());
        assert_eq!((many.position(), many.take()), (7, Some((7, 'c'))));
    }
}
