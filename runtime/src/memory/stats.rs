//! What a pool has counted.

use std::fmt;

use super::{
    Class, Tier,
    depot::{Counts, DepotRef},
};

/// What a pool has counted, class by class. Counted by each thread for itself and added up when it is read; exact while no
/// other thread allocates or frees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The classes that the pool has, from small to large.
    pub classes: Vec<ClassStats>,
}

impl PoolStats {
    /// One class; `None` if the pool has no blocks of it.
    pub fn class(&self, class: Class) -> Option<&ClassStats> {
        self.classes.iter().find(|stats| stats.class == class)
    }
}

/// What was counted for one class of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// The class.
    pub class: Class,
    /// What its pages are.
    pub tier: Tier,
    /// Bytes of it on huge pages.
    pub huge_bytes: usize,
    /// Its numbers.
    pub blocks: ObjectStats,
}

impl std::ops::Deref for ClassStats {
    type Target = ObjectStats;

    fn deref(&self) -> &ObjectStats {
        &self.blocks
    }
}

/// Numbers of blocks, or of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectStats {
    /// All there are.
    pub capacity: u64,
    /// In use: taken and not yet given back.
    pub in_use: u64,
    /// Free, in the magazines of threads.
    pub cached: u64,
    /// Taken one by one so far.
    pub taken: u64,
    /// Of these, found in the thread's magazines.
    pub magazine_hits: u64,
    /// Magazines that were exchanged with the depot, in both directions.
    pub exchanges: u64,
    /// Calls that found none.
    pub exhausted: u64,
}

impl ObjectStats {
    pub(super) fn of(depot: &DepotRef) -> Self {
        let counts: Counts = depot.counts();
        Self {
            capacity: depot.capacity() as u64,
            in_use: counts.outside.saturating_sub(counts.cached),
            cached: counts.cached,
            taken: counts.taken,
            magazine_hits: counts.taken.saturating_sub(counts.refills),
            exchanges: counts.refills + counts.returns + counts.batches,
            exhausted: counts.exhausted,
        }
    }
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<8}{:>10}{:>10}{:>10}{:>14}{:>14}{:>12}{:>10}  pages",
            "class", "capacity", "in use", "cached", "taken", "hits", "exchanges", "exhausted"
        )?;
        for class in &self.classes {
            let ClassStats { blocks, tier, .. } = class;
            write!(
                f,
                "\n{:<8}{:>10}{:>10}{:>10}{:>14}{:>14}{:>12}{:>10}  {tier}",
                class.class.to_string(),
                blocks.capacity,
                blocks.in_use,
                blocks.cached,
                blocks.taken,
                blocks.magazine_hits,
                blocks.exchanges,
                blocks.exhausted,
            )?;
        }
        Ok(())
    }
}
