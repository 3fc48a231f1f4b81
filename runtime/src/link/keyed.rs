//! A link to a stage with one state per key.
//!
//! The keys are divided into partitions; each partition has a gate, and the states of its keys behind it. A carrier that
//! comes is scattered: its items are divided by partition, and each part is left for whichever worker is free. So one
//! key is served by one worker at a time, in order, and many keys by many workers.
//!
//! If order is kept, carriers are scattered one after the other in the order of the source: the scattering is itself
//! behind a gate. Otherwise every worker scatters what it has.
//!
//! A key is hashed once: the hash chooses the partition and travels with the item to the partition's table. The hash is
//! foldhash, seeded for each link from the randomness of the system, in the form whose bits are all good: some of them
//! choose the partition and others the place in its table.

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crossbeam_queue::ArrayQueue;
use foldhash::{SharedSeed, quality::SeedableRandomState};
use hashbrown::{HashTable, hash_table::Entry};
use pipewright_spec::info::LinkKindInfo;

use super::Serial;
use crate::{
    carrier::{Carrier, CarrierRing, Home},
    diagnose::Crossing,
    drive::{Watch, panic_message, stop_for_state},
    error::InitError,
    graph::Site,
    load::Load,
    stage::KeyFn,
    sync::{AtomicU64, Ordering, UnsafeCell},
    worker::Worker,
};

/// An item with the hash of its key.
#[derive(Debug)]
pub struct Hashed<T> {
    /// The hash.
    pub hash: u64,
    /// The item.
    pub item: T,
}

/// The partitions of a keyed stage.
pub struct KeyedLink<T: 'static, K: KeyFn<T>, S> {
    /// Where carriers wait to be scattered in order; unused if order is not kept.
    scatter: Serial<T, ()>,
    ordered: bool,
    home: Arc<Home<Hashed<T>>>,
    key: K,
    hasher: SeedableRandomState,
    partitions: Box<[Partition<T, K::Key, S>]>,
    /// Where carriers are divided; as many as workers may scatter at once.
    scratch: ArrayQueue<Parts<T>>,
}

struct Partition<T: 'static, Key, S> {
    ring: CarrierRing<Hashed<T>>,
    arrivals: AtomicU64,
    states: UnsafeCell<HashTable<(Key, S)>>,
}

impl<T: 'static, K: KeyFn<T>, S> KeyedLink<T, K, S> {
    /// The link number `link`, partitioned by `key`.
    pub fn new<I>(site: &Site<'_, I>, link: u16, key: K, items: Crossing<T>) -> Self {
        let shared = site.shared;
        let kind = shared.info.links[usize::from(link)].kind;
        let bound = shared.settings.most_at(shared.info, link.into());
        let partitions = shared.settings.partitions;
        // One partition gets at most one part of each carrier.
        let partition = |_| Partition {
            ring: CarrierRing::new(bound),
            arrivals: AtomicU64::new(0),
            states: UnsafeCell::new(HashTable::new()),
        };
        Self {
            scatter: Serial::new(site, link, (), items),
            ordered: matches!(kind, LinkKindInfo::Keyed { ordered: true }),
            home: Home::new(shared, link, bound * partitions, items.hashed()),
            key,
            hasher: seeded(),
            partitions: (0..partitions).map(partition).collect(),
            scratch: ArrayQueue::new(shared.settings.workers),
        }
    }

    /// An empty carrier for the outputs of `load`.
    pub fn carrier(&self, w: Watch<'_>, load: &impl Load, base: u16) -> Carrier<T> {
        self.scatter.carrier(w, load, base)
    }

    /// Scatters a carrier, in its turn.
    pub fn enter(&self, carrier: Carrier<T>, w: &mut Worker<'_>) {
        if self.ordered {
            self.scatter
                .enter(carrier, w, |(), carrier, w| self.scatter(carrier, w));
        } else {
            self.scatter(carrier, w);
        }
    }

    /// Scatters a carrier for a producer that holds a gate: in the order in which that producer sends.
    pub fn post(&self, carrier: Carrier<T>, w: &mut Worker<'_>) {
        self.enter(carrier, w);
    }

    /// Brings a scattered part to its partition. If nobody serves it, `serve` is called for this part and for all that
    /// come meanwhile.
    pub fn serve<'w>(
        &self,
        carrier: Carrier<Hashed<T>>,
        w: &mut Worker<'w>,
        mut serve: impl FnMut(Shard<'_, T, K, S>, Carrier<Hashed<T>>, &mut Worker<'w>),
    ) {
        let partition = &self.partitions[usize::from(carrier.part())];
        let Some(mut hold) = partition.ring.arrive(carrier.number(), carrier.into_box()) else {
            return;
        };
        loop {
            if let Some(node) = hold.take() {
                let carrier = Carrier::from_box(node);
                partition.states.with_mut(|states| {
                    // SAFETY: there is one hold per partition's ring and this worker has it until `advance` returns
                    // false; workers that run the pipeline alone use `solo`, when no carrier exists.
                    let states = unsafe { &mut *states };
                    let (key, hasher) = (&self.key, &self.hasher);
                    serve(
                        Shard {
                            states,
                            key,
                            hasher,
                            last: None,
                        },
                        carrier,
                        w,
                    );
                });
            }
            if !partition.ring.advance(&mut hold) {
                return;
            }
        }
    }

    /// All states, by exclusive access.
    pub fn solo(&mut self) -> KeyedSolo<'_, T, K, S> {
        KeyedSolo {
            partitions: &mut self.partitions,
            key: &self.key,
            hasher: &self.hasher,
            last: None,
        }
    }

    /// Divides the items of a carrier by partition and leaves the parts.
    fn scatter(&self, mut carrier: Carrier<T>, w: &mut Worker<'_>) {
        if carrier.is_empty() || w.shared.is_stopping() {
            return;
        }
        let ticket = carrier.ticket();
        let mut parts = self
            .scratch
            .pop()
            .unwrap_or_else(|| self.partitions.iter().map(|_| None).collect());
        let mut items = carrier.items().drain(..);
        // A key function that panics loses its item and no other.
        while items.len() > 0 {
            let attempt = catch_unwind(AssertUnwindSafe(|| {
                for item in items.by_ref() {
                    self.divide(item, ticket, &mut parts, w);
                }
            }));
            if let Err(payload) = attempt {
                self.key_panicked(w, panic_message(payload));
            }
        }
        drop(items);
        for (part, partition) in parts.iter_mut().zip(&self.partitions) {
            if let Some(mut part) = part.take() {
                // AcqRel: as in `Serial::arrive`.
                part.set_number(partition.arrivals.fetch_add(1, Ordering::AcqRel));
                w.post(part);
            }
        }
        // A full store means that more workers scatter at once than there are; then this one is freed.
        drop(self.scratch.push(parts));
    }

    fn divide(&self, item: T, ticket: u32, parts: &mut Parts<T>, w: &Worker<'_>) {
        let hash = self.hasher.hash_one(self.key.key(&item));
        let p = partition_of(hash, self.partitions.len());
        let part = parts[p].get_or_insert_with(|| {
            w.shared.credits.share(ticket);
            self.home.carrier(w.node(), ticket, p as u16)
        });
        part.push(Hashed { hash, item });
    }

    fn key_panicked(&self, w: &Worker<'_>, message: String) {
        let stage = w.shared.info.links[usize::from(self.home.link())].to;
        let counts = w.watch().counts;
        counts.received(stage, 1);
        counts.panicked(stage, 1);
        // The states are untouched, so there is nothing to make anew.
        w.shared.after_panic(stage, message);
    }
}

/// Parts of one carrier, by partition.
type Parts<T> = Box<[Option<Carrier<Hashed<T>>>]>;

/// A hasher that no other link and no other run has.
fn seeded() -> SeedableRandomState {
    let seed = std::hash::RandomState::new().hash_one(());
    SeedableRandomState::with_seed(seed, SharedSeed::global_random())
}

/// Bits that neither choose the bucket (low) nor tag it (high) in the partition's table.
fn partition_of(hash: u64, partitions: usize) -> usize {
    (hash >> 32) as usize & (partitions - 1)
}

/// The states of one partition, for the worker that serves it.
pub struct Shard<'a, T, K: KeyFn<T>, S> {
    states: &'a mut HashTable<(K::Key, S)>,
    key: &'a K,
    hasher: &'a SeedableRandomState,
    last: Option<u64>,
}

impl<T, K: KeyFn<T>, S> Shard<'_, T, K, S> {
    /// The state of the item's key, made by `init` when the key is new. If that fails, the run ends.
    #[inline]
    pub fn state(
        &mut self,
        hash: u64,
        item: &T,
        init: impl FnOnce() -> Result<S, InitError>,
    ) -> &mut S {
        self.last = Some(hash);
        find(self.states, self.hasher, hash, self.key.key(item), init)
    }

    /// Drops the state that was used last, so that it is made anew.
    pub fn forget_last(&mut self) {
        if let Some(hash) = self.last.take() {
            forget(self.states, self.hasher, hash);
        }
    }
}

/// The states of all partitions, for a worker that runs the pipeline alone.
pub struct KeyedSolo<'a, T: 'static, K: KeyFn<T>, S> {
    partitions: &'a mut [Partition<T, K::Key, S>],
    key: &'a K,
    hasher: &'a SeedableRandomState,
    last: Option<u64>,
}

impl<T: 'static, K: KeyFn<T>, S> KeyedSolo<'_, T, K, S> {
    /// The state of the item's key, made by `init` when the key is new. If that fails, the run ends.
    #[inline]
    pub fn state(&mut self, item: &T, init: impl FnOnce() -> Result<S, InitError>) -> &mut S {
        // If the key function panics no state was used, and none must be forgotten.
        self.last = None;
        let key = self.key.key(item);
        let hash = self.hasher.hash_one(&key);
        self.last = Some(hash);
        let p = partition_of(hash, self.partitions.len());
        find(
            self.partitions[p].states.get_mut(),
            self.hasher,
            hash,
            key,
            init,
        )
    }

    /// Drops the state that was used last, so that it is made anew.
    pub fn forget_last(&mut self) {
        if let Some(hash) = self.last.take() {
            let p = partition_of(hash, self.partitions.len());
            forget(self.partitions[p].states.get_mut(), self.hasher, hash);
        }
    }
}

#[inline]
fn find<'a, Key: Hash + Eq, S>(
    states: &'a mut HashTable<(Key, S)>,
    hasher: &SeedableRandomState,
    hash: u64,
    key: Key,
    init: impl FnOnce() -> Result<S, InitError>,
) -> &'a mut S {
    match states.entry(
        hash,
        |(known, _)| *known == key,
        |(known, _)| hasher.hash_one(known),
    ) {
        Entry::Occupied(entry) => &mut entry.into_mut().1,
        Entry::Vacant(entry) => match init() {
            Ok(state) => &mut entry.insert((key, state)).into_mut().1,
            Err(error) => stop_for_state(error),
        },
    }
}

/// The key of the item is gone with the item, but its hash is known: two keys with one hash are a chance of one in 2^64,
/// and the price is a state made anew.
fn forget<Key: Hash, S>(states: &mut HashTable<(Key, S)>, hasher: &SeedableRandomState, hash: u64) {
    if let Ok(entry) = states.find_entry(hash, |(key, _)| hasher.hash_one(key) == hash) {
        entry.remove();
    }
}

// SAFETY: the rings pass carriers between threads, which are `Send`, one thread at a time has the states of a partition
// (`K::Key: Send`, `S: Send`), and the key function is shared (`K: Sync` by `KeyFn`).
unsafe impl<T, K: KeyFn<T>, S: Send> Sync for KeyedLink<T, K, S> {}

impl<T, K: KeyFn<T>, S> fmt::Debug for KeyedLink<T, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLink")
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}

impl<T, K: KeyFn<T>, S> fmt::Debug for Shard<'_, T, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("keys", &self.states.len())
            .finish_non_exhaustive()
    }
}

impl<T, K: KeyFn<T>, S> fmt::Debug for KeyedSolo<'_, T, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedSolo")
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_two_links_hash_alike() {
        let hashes: std::collections::HashSet<u64> =
            (0..100).map(|_| seeded().hash_one(7)).collect();
        assert_eq!(hashes.len(), 100);
    }

    /// Divides keys that differ in a few bits, and looks at the parts, and at the places that a part's keys get in a table.
    fn check<Key: Hash>(keys: impl Iterator<Item = Key>) {
        const PARTITIONS: usize = 16;
        const PLACES: usize = 16;
        let hasher = seeded();
        let mut found = [[0u32; PLACES]; PARTITIONS];
        let mut count = 0;
        for key in keys {
            let hash = hasher.hash_one(key);
            found[partition_of(hash, PARTITIONS)][hash as usize % PLACES] += 1;
            count += 1;
        }
        // 256 keys are expected in each field: fewer than 128 or more than 512 are 8 and 16 standard deviations away.
        let expected = count / (PARTITIONS * PLACES) as u32;
        assert!(
            found
                .as_flattened()
                .iter()
                .all(|many| (expected / 2..expected * 2).contains(many)),
            "{hasher:?}: {found:?}"
        );
    }

    #[test]
    fn similar_keys_are_spread_over_partitions_and_within_them() {
        check(0..1u32 << 16);
        check((0..1u64 << 16).map(|n| n << 40));
        check((0..1u64 << 16).map(|n| (n >> 8, n as u8)));
        check((0..1u32 << 16).map(|n| format!("sensor-{n}")));
    }
}
