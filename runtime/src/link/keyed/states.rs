//! The states of the keys of one partition, and asking for their memory ahead.
//!
//! A table of many keys lies in no cache: several lines are missed for each item, one of the table's control bytes and one or
//! two of its entries. The hashes of a part's items are known before their turn, so these lines are asked for some items
//! ahead (see [`crate::prefetch`]), and the misses of many items overlap.
//!
//! Where they lie follows from how `hashbrown` lays its tables out: the search for a hash begins at the place that its lowest
//! bits say; the control bytes lie in order behind the entries, and the entries in the opposite order, so that entry 0 ends
//! where the control bytes begin. If it were not so, the wrong lines would be asked for, and nothing worse.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::SeedableRandomState;
use hashbrown::HashTable;

use crate::{drive::stop_for_state, error::InitError, prefetch};

/// Memory of all tables of a link from which on it is asked for ahead: half of a second-level cache of 1 MiB.
const MANY_BYTES: usize = 512 << 10;

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// The states of the keys of one partition.
pub(in crate::link) struct States<Key, S> {
    table: HashTable<(Key, S)>,
    /// The address of the control bytes; 0 while there are none. Nothing is read by it.
    control: usize,
}

impl<Key, S> States<Key, S> {
    pub(in crate::link) const fn new() -> Self {
        Self {
            table: HashTable::new(),
            control: 0,
        }
    }

    /// How many keys there are.
    pub(in crate::link) fn len(&self) -> usize {
        self.table.len()
    }

    /// Where the memory of this table is, until it grows; `None` where the tables of as many partitions are so small that
    /// asking for it does not pay.
    pub(in crate::link) fn lines(&self, partitions: usize) -> Option<Lines> {
        let large = self.table.allocation_size().saturating_mul(partitions) >= MANY_BYTES;
        large.then(|| Lines {
            control: self.control,
            mask: self.table.num_buckets().saturating_sub(1),
            entry: size_of::<(Key, S)>(),
        })
    }
}

impl<Key: Hash + Eq, S> States<Key, S> {
    /// The state of a key, made by `init` when the key is new. If that fails, the run ends.
    #[inline]
    pub(in crate::link) fn find(
        &mut self,
        hasher: &SeedableRandomState,
        hash: u64,
        key: Key,
        init: impl FnOnce() -> Result<S, InitError>,
    ) -> &mut S {
        let found = self
            .table
            .find_bucket_index(hash, |(known, _)| *known == key);
        let place = match found {
            Some(place) => place,
            None => self.add(hasher, hash, key, init),
        };
        let entry = self.table.get_bucket_mut(place);
        &mut entry.expect("an entry was found or made there").1
    }

    /// Adds a key, and returns its place. Out of line, so that the loop around [`Self::find`] stays small.
    #[cold]
    #[inline(never)]
    fn add(
        &mut self,
        hasher: &SeedableRandomState,
        hash: u64,
        key: Key,
        init: impl FnOnce() -> Result<S, InitError>,
    ) -> usize {
        let state = init().unwrap_or_else(|error| stop_for_state(error));
        let entry = self
            .table
            .insert_unique(hash, (key, state), |(known, _)| hasher.hash_one(known));
        let place = entry.bucket_index();
        let begin = std::ptr::from_ref(entry.get()).addr();
        self.control = begin + (place + 1) * size_of::<(Key, S)>();
        place
    }

    /// Drops the state of a hash. The key of its item is gone with the item: two keys with one hash are a chance of one in
    /// 2^64, and the price is a state made anew.
    pub(in crate::link) fn forget(&mut self, hasher: &SeedableRandomState, hash: u64) {
        let same = |(key, _): &(Key, S)| hasher.hash_one(key) == hash;
        if let Ok(entry) = self.table.find_entry(hash, same) {
            entry.remove();
        }
    }
}

/// Where the memory of a table is.
#[derive(Clone, Copy, Debug)]
pub(in crate::link) struct Lines {
    control: usize,
    /// The number of places, less one.
    mask: usize,
    /// Bytes of an entry.
    entry: usize,
}

impl Lines {
    /// Of no table.
    pub(super) const NONE: Self = Self {
        control: 0,
        mask: 0,
        entry: 0,
    };

    /// Asks for the memory of the entry with this hash: the control bytes with which the search begins, the entry of the
    /// first of them, and the line of the next entries, one of which it often is.
    #[inline(always)]
    pub(in crate::link) fn ask(&self, hash: u64) {
        let place = hash as usize & self.mask;
        let end = self.control.wrapping_sub(place.wrapping_mul(self.entry));
        let last = end.wrapping_sub(1);
        prefetch::ask_at(self.control.wrapping_add(place));
        prefetch::ask_at(last);
        prefetch::ask_at(last.wrapping_sub(LINE_BYTES));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_is_asked_for_is_that_of_the_table() {
        let hasher = super::super::seeded();
        let mut states = States::<u32, u64>::new();
        let bytes = |many: usize| many * size_of::<(u32, u64)>();
        let mut near = 0;
        for key in 0..10_000 {
            let hash = hasher.hash_one(key);
            let state = states.find(&hasher, hash, key, || Ok(0));
            *state += 1;
            let at = std::ptr::from_ref(state).addr();
            let lines = states
                .lines(usize::MAX)
                .expect("large enough for so many partitions");
            // The search begins at `place`, and goes on in the direction of lower addresses.
            let place = hash as usize & lines.mask;
            let end = lines.control - bytes(place);
            assert!(at < lines.control && at >= lines.control - bytes(lines.mask + 1));
            near += u32::from(at < end && at + bytes(8) >= end);
        }
        assert_eq!(states.len(), 10_000);
        assert!(
            near > 8_000,
            "{near} of 10,000 entries lie where their search begins"
        );
    }

    #[test]
    fn small_tables_are_not_asked_for() {
        let hasher = super::super::seeded();
        let mut states = States::<u32, u64>::new();
        assert!(states.lines(usize::MAX).is_none());
        states.find(&hasher, hasher.hash_one(1), 1, || Ok(0));
        assert!(states.lines(16).is_none());
        assert!(states.lines(1 << 20).is_some());
    }
}
