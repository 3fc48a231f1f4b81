//! Dividing the items of a carrier by partition.
//!
//! Each partition has a bin. All bins lie side by side, and are there before the first item comes, so an item costs its hash
//! and one push. When all items are divided, what is in a bin goes on in a carrier, which leaves its empty buffer to the bin.
//!
//! Some keys are hashed before their items are moved. A push reads the length of its bin, which the push before may have
//! written; the processor reads it early, on the guess that it was not. If the address of that write follows from a hash that
//! is still being computed, the guess is often wrong, and what came after is done again, which takes longer than the hash.

use std::{
    hash::BuildHasher,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    vec,
};

use foldhash::quality::SeedableRandomState;

use super::{Bins, Hashed, KeyedLink, key_panicked, partition_of};
use crate::{carrier::Carrier, drive::panic_message, stage::KeyFn, sync::Ordering, worker::Worker};

impl<T: 'static, K: KeyFn<T>, S> KeyedLink<T, K, S> {
    /// Divides the items of a carrier by partition and leaves the parts.
    pub(super) fn scatter(&self, mut carrier: Carrier<T>, w: &mut Worker<'_>) {
        if carrier.is_empty() || w.shared.is_stopping() {
            return;
        }
        let made = || {
            let bins = (0..self.partitions.len()).map(|_| self.home.buffer());
            Bins(bins.collect())
        };
        let mut bins = self.bins.pop().unwrap_or_else(made);
        let by = (&self.key, &self.hasher);
        hash_each(carrier.items().drain(..), by, self.home.link(), w, |item| {
            bins.0[partition_of(item.hash, bins.0.len())].push(item);
        });
        let filled = bins.0.iter().filter(|bin| !bin.is_empty()).count();
        let ticket = carrier.ticket();
        w.shared.credits.share_with(ticket, filled as u32);
        for (p, bin) in bins.0.iter_mut().enumerate() {
            if bin.is_empty() {
                continue;
            }
            let mut part = self.home.carrier(w.node(), ticket, p as u16);
            mem::swap(part.items(), bin);
            // AcqRel: as in `Serial::arrive`.
            part.set_number(self.partitions[p].arrivals.fetch_add(1, Ordering::AcqRel));
            w.post(part);
        }
        // A full store means that more workers scatter at once than there are; then these are freed.
        drop(self.bins.push(bins));
    }
}

/// Keys that are hashed before their items are moved.
const TOGETHER: usize = 32;

/// Hashes the keys of all items and hands each item on with its hash. A key function that panics loses its item and no other.
#[inline(always)]
pub(in crate::link) fn hash_each<T, K: KeyFn<T>>(
    mut items: vec::Drain<'_, T>,
    (key, hasher): (&K, &SeedableRandomState),
    link: u16,
    w: &Worker<'_>,
    mut put: impl FnMut(Hashed<T>),
) {
    let mut hashes = [0; TOGETHER];
    while items.len() > 0 {
        let mut known = 0;
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            for (item, hash) in items.as_slice().iter().zip(&mut hashes) {
                *hash = hasher.hash_one(key.key(item));
                known += 1;
            }
        }));
        for (hash, item) in hashes[..known].iter().zip(items.by_ref()) {
            put(Hashed { hash: *hash, item });
        }
        if let Err(payload) = attempt {
            drop(items.next());
            key_panicked(link, w, panic_message(payload));
        }
    }
}
