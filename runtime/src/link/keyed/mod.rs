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

mod part;
mod scatter;
mod states;

use std::{fmt, hash::BuildHasher};

use crossbeam_queue::ArrayQueue;
use foldhash::{SharedSeed, quality::SeedableRandomState};
use pipewright_spec::info::LinkKindInfo;

pub use self::part::Part;
pub(super) use self::{scatter::hash_each, states::States};
use super::Serial;
use crate::{
    aside::Served,
    carrier::{Carrier, CarrierRing, Home},
    diagnose::Crossing,
    drive::Watch,
    error::InitError,
    graph::Site,
    load::Load,
    stage::KeyFn,
    sync::{AtomicU64, UnsafeCell, random},
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
    home: Home<Hashed<T>>,
    key: K,
    hasher: SeedableRandomState,
    partitions: Box<[Partition<T, K::Key, S>]>,
    /// Where carriers are divided; as many as workers may scatter at once.
    bins: ArrayQueue<Bins<T>>,
}

/// The items of one carrier, by partition.
struct Bins<T>(Box<[Vec<Hashed<T>>]>);

// SAFETY: a link is made with a `Crossing<T>`, which exists for `T: Send` only.
unsafe impl<T> Send for Bins<T> {}

struct Partition<T: 'static, Key, S> {
    ring: CarrierRing<Hashed<T>>,
    arrivals: AtomicU64,
    states: UnsafeCell<States<Key, S>>,
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
            states: UnsafeCell::new(States::new()),
        };
        Self {
            scatter: Serial::new(site, link, (), items),
            ordered: matches!(kind, LinkKindInfo::Keyed { ordered: true }),
            home: Home::new(shared, link, bound * partitions, items.hashed()),
            key,
            hasher: seeded(),
            partitions: (0..partitions).map(partition).collect(),
            bins: ArrayQueue::new(shared.settings.seats()),
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
    /// come meanwhile. One that `serve` gives back waits and holds the partition until it comes here again.
    pub fn serve<'w, R: Served>(
        &self,
        carrier: Carrier<Hashed<T>>,
        w: &mut Worker<'w>,
        mut serve: impl FnMut(Shard<'_, T, K, S>, Part<T>, &mut Worker<'w>) -> R,
    ) {
        let partition = &self.partitions[usize::from(carrier.part())];
        partition.ring.pass(carrier, w, |carrier, w| {
            partition.states.with_mut(|states| {
                // SAFETY: `pass` calls this for who holds the partition's gate, one at a time; workers that run the
                // pipeline alone use `solo`, when no carrier exists.
                let states = unsafe { &mut *states };
                let lines = states.lines(self.partitions.len());
                let shard = Shard::new(states, &self.key, &self.hasher);
                serve(shard, Part::new(carrier, lines), w)
            })
        });
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
}

/// A hasher that no other link and no other run has.
pub(super) fn seeded() -> SeedableRandomState {
    // Where runs are repeated by their schedule, a key must come to the same partition each time.
    let shared = if cfg!(shuttle) {
        SharedSeed::global_fixed()
    } else {
        SharedSeed::global_random()
    };
    SeedableRandomState::with_seed(random(), shared)
}

/// Bits that neither choose the bucket (low) nor tag it (high) in the partition's table.
#[inline(always)]
fn partition_of(hash: u64, partitions: usize) -> usize {
    (hash >> 32) as usize & (partitions - 1)
}

/// Counts the item that a key function has lost, on its way over `link`.
#[cold]
pub(super) fn key_panicked(link: u16, w: &Worker<'_>, message: String) {
    let stage = w.shared.info.links[usize::from(link)].to;
    let counts = w.watch().counts;
    counts.received(stage, 1);
    counts.panicked(stage, 1);
    // The states are untouched, so there is nothing to make anew.
    w.shared.after_panic(stage, message);
}

/// The states of one partition, for the worker that serves it; or those of a pinned thread.
pub struct Shard<'a, T, K: KeyFn<T>, S> {
    states: &'a mut States<K::Key, S>,
    key: &'a K,
    hasher: &'a SeedableRandomState,
    last: Option<u64>,
}

impl<'a, T, K: KeyFn<T>, S> Shard<'a, T, K, S> {
    pub(super) fn new(
        states: &'a mut States<K::Key, S>,
        key: &'a K,
        hasher: &'a SeedableRandomState,
    ) -> Self {
        Self {
            states,
            key,
            hasher,
            last: None,
        }
    }

    /// The state of the item's key, made by `init` when the key is new. If that fails, the run ends.
    #[inline]
    pub fn state(
        &mut self,
        hash: u64,
        item: &T,
        init: impl FnOnce() -> Result<S, InitError>,
    ) -> &mut S {
        self.last = Some(hash);
        self.states
            .find(self.hasher, hash, self.key.key(item), init)
    }

    /// Drops the state that was used last, so that it is made anew.
    pub fn forget_last(&mut self) {
        if let Some(hash) = self.last.take() {
            self.states.forget(self.hasher, hash);
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
        let hasher = self.hasher;
        self.states_of(hash).find(hasher, hash, key, init)
    }

    /// Drops the state that was used last, so that it is made anew.
    pub fn forget_last(&mut self) {
        if let Some(hash) = self.last.take() {
            let hasher = self.hasher;
            self.states_of(hash).forget(hasher, hash);
        }
    }

    #[inline(always)]
    fn states_of(&mut self, hash: u64) -> &mut States<K::Key, S> {
        let p = partition_of(hash, self.partitions.len());
        self.partitions[p].states.get_mut()
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
    use std::hash::Hash;

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
