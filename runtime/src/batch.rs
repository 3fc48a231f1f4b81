//! The batch that a batch stage works on.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use crate::live::Fill;

/// The items that a batch stage is called with: a slice that can also shrink and grow.
///
/// What is left in it when the stage returns is passed on, in the order it then has.
///
/// ```
/// use pipewright::Batch;
///
/// fn verify(numbers: &mut Batch<u32>) {
///     numbers.retain(|n| n % 2 == 0);
/// }
///
/// let mut batch = Batch::from(vec![1, 2, 3, 4]);
/// verify(&mut batch);
/// assert_eq!(&batch[..], [2, 4]);
/// ```
pub struct Batch<T>(Vec<T>);

impl<T> Batch<T> {
    /// An empty batch.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps the items for which `keep` is true, in their order. The others are counted as filtered.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        // `retain_mut` of Vec would let the closure change items; a filter should not.
        self.0.retain(keep);
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        self.0.push(item);
    }

    /// Takes the last item out.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Takes all items out, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, T> {
        self.0.drain(..)
    }

    /// Drops all items but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<Vec<T>> for Batch<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<T> From<Batch<T>> for Vec<T> {
    fn from(batch: Batch<T>) -> Self {
        batch.0
    }
}

impl<T> Extend<T> for Batch<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        self.0.extend(items);
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Batch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Batch<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// Where the items for a batch stage collect until there are enough of them, or until they have waited long enough.
#[derive(Debug)]
pub struct Collector<T> {
    batch: Batch<T>,
    fill: Arc<Fill>,
    /// Items that make a full batch; at least 1.
    size: usize,
    /// Longest wait of an item, in nanoseconds.
    linger: u64,
    /// When the first item of the batch came, in nanoseconds of the run.
    since: u64,
}

/// Which partial batches a flush takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// All of them.
    All,
    /// Those that have waited for their linger at this time, in nanoseconds of the run.
    At(u64),
}

impl<T> Collector<T> {
    pub(crate) fn new(fill: Arc<Fill>) -> Self {
        let (size, linger) = fill.get();
        Self {
            batch: Batch::new(),
            fill,
            size,
            linger,
            since: 0,
        }
    }

    /// Adds an item that came at `now`; true if the batch is full.
    #[inline(always)]
    pub fn push(&mut self, item: T, now: u64) -> bool {
        if self.batch.0.is_empty() {
            self.since = now;
            (self.size, self.linger) = self.fill.get();
        }
        self.batch.0.push(item);
        self.batch.0.len() >= self.size
    }

    /// Is there a batch to flush?
    pub fn is_due(&self, due: Due) -> bool {
        let waited = match due {
            Due::All => true,
            Due::At(now) => now.saturating_sub(self.since) >= self.linger,
        };
        waited && !self.batch.0.is_empty()
    }

    /// When the first item of the batch came, in nanoseconds of the run.
    #[inline(always)]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// The collected items; give the emptied batch back with [`Self::give`], so that its memory is used again.
    pub fn take(&mut self) -> Batch<T> {
        std::mem::take(&mut self.batch)
    }

    /// The batch again, emptied.
    pub fn give(&mut self, mut batch: Batch<T>) {
        batch.0.clear();
        if self.batch.0.is_empty() {
            self.batch = batch;
        }
    }
}
