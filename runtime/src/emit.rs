//! What a stage or source calls to send items, and what a source says when it returns.

use std::fmt;

/// Sends zero, one or many items from a stage or source.
///
/// ```
/// use pipewright::Emit;
///
/// fn words(line: String, out: &mut Emit<String>) {
///     for word in line.split(' ') {
///         out.send(word.to_owned());
///     }
/// }
///
/// let mut out = Emit::new();
/// words("a b".to_owned(), &mut out);
/// assert_eq!(out.into_vec(), ["a", "b"]);
/// ```
pub struct Emit<T>(Vec<T>);

impl<T> Emit<T> {
    /// An empty one; stages are handed theirs, tests make their own.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sends an item. What a call sends leaves together when the call returns.
    #[inline(always)]
    pub fn send(&mut self, item: T) {
        self.0.push(item);
    }

    /// Items sent since the call began.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Was nothing sent?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was sent.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }

    pub(crate) fn items(&mut self) -> &mut Vec<T> {
        &mut self.0
    }

    /// What a call sent; give the emptied buffer back with [`Self::give`].
    #[doc(hidden)]
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }

    /// The buffer again, emptied, so that its memory is used again.
    #[doc(hidden)]
    pub fn give(&mut self, mut buffer: Vec<T>) {
        buffer.clear();
        if self.0.is_empty() {
            self.0 = buffer;
        }
    }

    /// Forgets what a call sent that did not return.
    #[doc(hidden)]
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T> Default for Emit<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<T> for Emit<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        self.0.extend(items);
    }
}

impl<T> fmt::Debug for Emit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit").field("len", &self.0.len()).finish()
    }
}

/// What a source with an [`Emit`] says when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flow {
    /// There is more: call again at once.
    More,
    /// Nothing at the moment: call again after the source's `idle` time.
    Idle,
    /// The source has ended.
    Done,
}
