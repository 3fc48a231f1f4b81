//! Pools of bytes.

use std::sync::Arc;

use super::{
    Batch, Block, BuildError, Class, ClassStats, ObjectStats, PoolError, PoolStats, Tier,
    arena::Arena,
    depot::{DepotRef, MOST_BLOCKS, Shape},
    magazine::ROUNDS,
    thread,
};

/// Classes of blocks, and their number.
const CLASSES: usize = Class::ALL.len();

/// A magazine has at most this part of a class's blocks.
const MAGAZINE_SHARE: usize = 16;

/// Blocks of fixed sizes, allocated beforehand; see the [module](super). A clone is another handle on the same pool.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// A class that the pool does not have is a depot without blocks, so that whoever takes one need not ask.
    classes: [Depots; CLASSES],
}

/// What a pool has of one class.
#[derive(Debug)]
struct Depots {
    depot: DepotRef,
    tier: Tier,
    huge_bytes: usize,
}

impl Pool {
    /// A pool that has no blocks yet.
    pub fn builder() -> PoolBuilder {
        PoolBuilder {
            counts: [0; CLASSES],
            magazine: None,
            best: Tier::Hugetlb,
        }
    }

    /// A block of at least `len` bytes: of the smallest class that is large enough and that the pool has. O(1).
    ///
    /// # Errors
    ///
    /// [`PoolError::Exhausted`] if there is none left, [`PoolError::TooLarge`] if the pool has no blocks that large. Larger
    /// blocks are not taken instead of exhausted ones.
    #[inline]
    pub fn alloc(&self, len: usize) -> Result<Block, PoolError> {
        let Some(class) = Class::of(len) else {
            return Err(self.too_large(len));
        };
        let depots = &self.0.classes[class as usize];
        if depots.is_none() {
            return self.alloc_larger(class, len);
        }
        depots.take(class)
    }

    /// A block of a class. O(1).
    ///
    /// # Errors
    ///
    /// [`PoolError::Exhausted`] if there is none left or the pool has none of this class.
    #[inline]
    pub fn take(&self, class: Class) -> Result<Block, PoolError> {
        self.0.classes[class as usize].take(class)
    }

    /// A whole magazine of blocks of a class, or what there is: at least one. O(1), but for the rest of a magazine that this
    /// thread has begun, which it takes when there is no other.
    ///
    /// # Errors
    ///
    /// As of [`Pool::take`].
    pub fn batch(&self, class: Class) -> Result<Batch, PoolError> {
        let depot = &self.0.classes[class as usize].depot;
        let magazine = depot.fetch().or_else(|| {
            thread::flush(depot);
            depot.fetch()
        });
        match magazine {
            Some(magazine) => Ok(Batch::new(magazine, depot.clone())),
            None => {
                depot.count_exhausted();
                Err(exhausted(class, depot))
            }
        }
    }

    /// Gives back the blocks that lie free in this thread's magazines, so that other threads can have them. For a thread
    /// that will not allocate or free for a while.
    pub fn flush(&self) {
        self.depots()
            .for_each(|(_, depots)| thread::flush(&depots.depot));
    }

    /// What was counted until now.
    pub fn stats(&self) -> PoolStats {
        let stats = |(class, depots): (Class, &Depots)| ClassStats {
            class,
            tier: depots.tier,
            huge_bytes: depots.huge_bytes,
            blocks: ObjectStats::of(&depots.depot),
        };
        PoolStats {
            classes: self.depots().map(stats).collect(),
        }
    }

    fn depots(&self) -> impl DoubleEndedIterator<Item = (Class, &Depots)> {
        let all = Class::ALL.into_iter().zip(&self.0.classes);
        all.filter(|(_, depots)| !depots.is_none())
    }

    #[cold]
    fn alloc_larger(&self, than: Class, len: usize) -> Result<Block, PoolError> {
        let larger = self.depots().find(|(class, _)| *class > than);
        let (class, depots) = larger.ok_or_else(|| self.too_large(len))?;
        depots.take(class)
    }

    #[cold]
    fn too_large(&self, len: usize) -> PoolError {
        let largest = self.depots().next_back();
        PoolError::TooLarge {
            len,
            largest: largest.map_or(0, |(class, _)| class.size()),
        }
    }
}

impl Depots {
    /// Of a class that the pool does not have.
    fn none() -> Self {
        let shape = Shape {
            size: 0,
            rounds: 1,
            way: 0,
        };
        Self {
            depot: DepotRef::new(shape, std::iter::empty(), Box::new(())),
            tier: Tier::Base,
            huge_bytes: 0,
        }
    }

    fn is_none(&self) -> bool {
        self.depot.capacity() == 0
    }

    #[inline(always)]
    fn take(&self, class: Class) -> Result<Block, PoolError> {
        match thread::take(&self.depot) {
            Some(round) => Ok(Block::new(round)),
            None => Err(exhausted(class, &self.depot)),
        }
    }
}

#[cold]
fn exhausted(class: Class, depot: &DepotRef) -> PoolError {
    PoolError::Exhausted {
        class,
        capacity: depot.capacity(),
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for depots in &self.classes {
            depots.depot.close();
            thread::leave(&depots.depot);
        }
    }
}

/// Says what a [`Pool`] has.
///
/// ```
/// use pipewright::memory::{Class, Pool, Tier};
///
/// let pool = Pool::builder()
///     .blocks(Class::Bytes64, 10_000)
///     .blocks(Class::Kib4, 500)
///     .best_tier(Tier::Transparent)
///     .build()?;
/// println!("{}", pool.stats());
/// # Ok::<(), pipewright::memory::BuildError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PoolBuilder {
    counts: [usize; CLASSES],
    magazine: Option<usize>,
    best: Tier,
}

impl PoolBuilder {
    /// How many blocks of a class there are: 0 if not said.
    pub fn blocks(mut self, class: Class, count: usize) -> Self {
        self.counts[class as usize] = count;
        self
    }

    /// How many blocks a magazine has, 1 to 64: the most that are exchanged at a time, and half of what a thread may keep
    /// to itself. If not said, 64 or a 16th of the class's blocks, and 1 for 2 MiB blocks, for which this does not count.
    pub fn magazine(mut self, blocks: usize) -> Self {
        self.magazine = Some(blocks);
        self
    }

    /// The best pages to try: [`Tier::Hugetlb`] if not said. Worse ones are taken where there are none; what was got is in
    /// [`Pool::stats`].
    pub fn best_tier(mut self, tier: Tier) -> Self {
        self.best = tier;
        self
    }

    /// Maps all memory and touches it. O(bytes).
    ///
    /// # Errors
    ///
    /// [`BuildError`] if nothing was asked for, too much, or more than the system has.
    pub fn build(&self) -> Result<Pool, BuildError> {
        if let Some(magazine) = self.magazine
            && !(1..=ROUNDS).contains(&magazine)
        {
            return Err(BuildError::Magazine(magazine));
        }
        if self.counts == [0; CLASSES] {
            return Err(BuildError::Empty);
        }
        let mut classes = [const { None }; CLASSES];
        for (class, count) in Class::ALL.into_iter().zip(self.counts) {
            if count > 0 {
                classes[class as usize] = Some(self.depots(class, count)?);
            }
        }
        let classes = classes.map(|depots| depots.unwrap_or_else(Depots::none));
        Ok(Pool(Arc::new(Shared { classes })))
    }

    fn depots(&self, class: Class, count: usize) -> Result<Depots, BuildError> {
        let most = MOST_BLOCKS;
        if count > most {
            return Err(BuildError::TooMany { count, most });
        }
        let map = |source| BuildError::Map {
            class,
            count,
            source,
        };
        let too_large = || map(std::io::ErrorKind::OutOfMemory.into());
        let bytes = class.size().checked_mul(count).ok_or_else(too_large)?;
        let arena = Arena::new(bytes, self.best).map_err(map)?;
        let (tier, huge_bytes) = (arena.tier(), arena.huge_bytes());
        let shape = Shape {
            size: class.size(),
            rounds: self.rounds(class, count),
            way: thread::next_way(),
        };
        let depot = DepotRef::new(shape, arena.blocks(class.size(), count), Box::new(arena));
        Ok(Depots {
            depot,
            tier,
            huge_bytes,
        })
    }

    fn rounds(&self, class: Class, count: usize) -> usize {
        match (class, self.magazine) {
            (Class::Mib2, _) => 1,
            (_, Some(blocks)) => blocks,
            (_, None) => magazine(count),
        }
    }
}

/// Blocks of a magazine where nobody said how many.
pub(super) fn magazine(count: usize) -> usize {
    (count / MAGAZINE_SHARE).clamp(1, ROUNDS)
}
