//! A vector that is cut into pieces without moving its items.

use std::{fmt, mem::ManuallyDrop, ops::Range, sync::Arc};

use super::Splittable;

/// The memory of a vector, whose items belong to the pieces.
struct Memory<T> {
    start: *mut T,
    capacity: usize,
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: pointer and capacity are those of the vector that `Pieces::new` took apart; with length 0 only the
        // memory is freed.
        drop(unsafe { Vec::from_raw_parts(self.start, 0, self.capacity) });
    }
}

// SAFETY: the memory itself is only freed; the items belong to pieces, each of which has its own.
unsafe impl<T: Send> Send for Memory<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Memory<T> {}

/// Some neighbouring items of a vector, owned: an iterator, and what pieces are cut from.
///
/// The ranges of all pieces of one vector are disjoint: its constructor makes the one that covers it, and
/// [`Splittable::cut`] divides a range in two.
pub struct Pieces<T> {
    memory: Arc<Memory<T>>,
    range: Range<usize>,
}

impl<T> Pieces<T> {
    pub(crate) fn new(items: Vec<T>) -> Self {
        let mut items = ManuallyDrop::new(items);
        let memory = Memory {
            start: items.as_mut_ptr(),
            capacity: items.capacity(),
        };
        Self {
            memory: Arc::new(memory),
            range: 0..items.len(),
        }
    }
}

impl<T: Send + 'static> Splittable for Pieces<T> {
    type Item = T;
    type Piece = Pieces<T>;

    fn cut(&mut self, items: usize) -> Option<Pieces<T>> {
        let range = self.range.cut(items)?;
        Some(Pieces {
            memory: Arc::clone(&self.memory),
            range,
        })
    }
}

impl<T> Iterator for Pieces<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let i = self.range.next()?;
        // SAFETY: `i` is inside the vector's length.
        let item = unsafe { self.memory.start.add(i) };
        // SAFETY: `i` was in this piece's range only, which no longer has it: the item is moved out once.
        Some(unsafe { item.read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl<T> Drop for Pieces<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<T> fmt::Debug for Pieces<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces")
            .field("left", &self.range.len())
            .finish()
    }
}
