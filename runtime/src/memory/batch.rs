//! Many blocks in one handle.

use std::{fmt, mem, ptr::NonNull, slice};

use super::{Block, depot::DepotRef, magazine::Magazine};

/// Up to a magazine of blocks of one class, which go back together when this is dropped: see
/// [`Pool::batch`](super::Pool::batch).
///
/// Two threads that hand over many blocks do it cheapest this way: the one takes a batch, fills its blocks, and sends it as
/// one item; the other reads them and drops it. The pool's queues are used once for all of them.
///
/// ```
/// use pipewright::memory::{Class, Pool};
///
/// let pool = Pool::builder().blocks(Class::Bytes64, 1024).build()?;
/// let mut batch = pool.batch(Class::Bytes64)?;
/// for (n, block) in batch.iter_mut().enumerate() {
///     block[0] = n as u8;
/// }
/// let sum: usize = std::thread::scope(|scope| {
///     let reader = scope.spawn(move || batch.iter().map(|block| usize::from(block[0])).sum());
///     reader.join().unwrap()
/// });
/// assert_eq!(sum, 2016);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch {
    /// A magazine outside of the depot; `None` while it is dropped.
    magazine: Option<Box<Magazine>>,
    depot: DepotRef,
}

impl Batch {
    /// `magazine` is from [`fetch`](super::depot::Depot::fetch) of a pool of bytes.
    pub(super) fn new(magazine: Box<Magazine>, depot: DepotRef) -> Self {
        depot.count_batch();
        Self {
            magazine: Some(magazine),
            depot,
        }
    }

    /// Blocks in it.
    pub fn len(&self) -> usize {
        self.magazine.as_ref().map_or(0, |magazine| magazine.len())
    }

    /// Has it no blocks?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Most blocks that it can hold.
    pub fn capacity(&self) -> usize {
        self.depot.shape().rounds
    }

    /// Takes the last block out.
    pub fn pop(&mut self) -> Option<Block> {
        let block = self.magazine.as_mut()?.pop()?;
        Some(Block::new(self.depot.round(block)))
    }

    /// Adds a block of the same pool and class.
    ///
    /// # Errors
    ///
    /// Gives the block back if it is of another pool or class, or if the batch is full.
    pub fn push(&mut self, block: Block) -> Result<(), Block> {
        let fits = self.len() < self.capacity() && block.round().depot().is(&self.depot);
        match &mut self.magazine {
            Some(magazine) if fits => {
                magazine.push(block.into_round().block());
                Ok(())
            }
            _ => Err(block),
        }
    }

    /// The blocks' bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let (blocks, size) = self.blocks();
        // SAFETY: the blocks are the batch's alone, have so many bytes, all of them initialised, and live while it does.
        blocks.map(move |block| unsafe { slice::from_raw_parts(block.as_ptr(), size) })
    }

    /// The blocks' bytes, to be written.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [u8]> {
        let (blocks, size) = self.blocks();
        // SAFETY: as in `iter`; the blocks do not overlap, and the batch is borrowed exclusively.
        blocks.map(move |block| unsafe { slice::from_raw_parts_mut(block.as_ptr(), size) })
    }

    /// The blocks, and how many bytes each has.
    fn blocks(&self) -> (impl ExactSizeIterator<Item = &NonNull<u8>>, usize) {
        let magazine = self.magazine.as_ref();
        let blocks = magazine.map_or(&[][..], |magazine| magazine.blocks());
        (blocks.iter(), self.depot.shape().size)
    }
}

impl Iterator for Batch {
    type Item = Block;

    /// Takes the last block out.
    fn next(&mut self) -> Option<Block> {
        self.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl ExactSizeIterator for Batch {}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(magazine) = mem::take(&mut self.magazine) {
            self.depot.take_back(magazine);
            self.depot.count_batch();
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
