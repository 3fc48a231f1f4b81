//! A state for each key on threads of their own.
//!
//! One thread has the states of all keys ([`Keys`]), and takes its items as any pinned thread does. Of several, each has the
//! states of the keys whose hash is its own, and a ring of batches ([`crate::deposit`]). Whoever has a batch for them, a
//! worker or another pinned thread, divides its items by thread and leaves each thread its part ([`KeyedDeposit`]). So a
//! state never leaves its core, and nobody waits for anybody.
//!
//! **Order.** If the link keeps order, every thread gets a part of every batch, be it empty, under the number that the batch
//! has in the order of the source, and takes the parts in the order of the numbers. So batches may be divided by several
//! workers at once, and the items of a key still come in the order of the source. Otherwise a part draws its number when it
//! is left, and there are no empty ones. As many parts are on their way to a thread as there are batches on their way to the
//! link, so a ring that has room for these has room for those.

use std::{fmt, hash::BuildHasher};

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use foldhash::quality::SeedableRandomState;
use pipewright_spec::info::LinkKindInfo;

use super::{
    Hashed, Serial, Shard,
    deposit::Turns,
    keyed::{Part, States, hash_each, seeded},
};
use crate::{
    carrier::{Carrier, Home},
    diagnose::Crossing,
    drive::Watch,
    error::InitError,
    graph::Site,
    load::Load,
    pin::Waiter,
    stage::KeyFn,
    sync::{AtomicU64, Ordering},
    worker::Worker,
};

/// The states of all keys, on the one thread that runs their stage.
pub struct Keys<T, K: KeyFn<T>, S> {
    states: States<K::Key, S>,
    key: K,
    hasher: SeedableRandomState,
    last: Option<u64>,
}

impl<T, K: KeyFn<T>, S> Keys<T, K, S> {
    /// None yet.
    pub fn new(key: K) -> Self {
        Self {
            states: States::new(),
            key,
            hasher: seeded(),
            last: None,
        }
    }

    /// The state of the item's key, made by `init` when the key is new. If that fails, the run ends.
    #[inline]
    pub fn state(&mut self, item: &T, init: impl FnOnce() -> Result<S, InitError>) -> &mut S {
        // If the key function panics no state was used, and none must be forgotten.
        self.last = None;
        let key = self.key.key(item);
        let hash = self.hasher.hash_one(&key);
        self.last = Some(hash);
        self.states.find(&self.hasher, hash, key, init)
    }

    /// Drops the state that was used last, so that it is made anew.
    pub fn forget_last(&mut self) {
        if let Some(hash) = self.last.take() {
            self.states.forget(&self.hasher, hash);
        }
    }
}

/// Where batches for several pinned threads are left, divided by key.
pub struct KeyedDeposit<T: 'static, K> {
    /// Makes carriers, gives them their numbers, and joins the parts of a ticket; nobody enters it.
    turns: Serial<T, ()>,
    ordered: bool,
    home: Home<Hashed<T>>,
    key: K,
    hasher: SeedableRandomState,
    /// One for each thread.
    threads: Box<[CachePadded<Thread<T>>]>,
    /// Where carriers are divided; as many as threads may divide at once.
    scratch: ArrayQueue<Parts<T>>,
    /// The pinned segment.
    place: usize,
}

/// What is left for one thread.
struct Thread<T: 'static> {
    parts: Turns<Hashed<T>>,
    /// Numbers given out; for links that are not ordered.
    arrivals: AtomicU64,
}

/// Parts of one carrier, by thread.
type Parts<T> = Box<[Option<Carrier<Hashed<T>>>]>;

impl<T: 'static, K: KeyFn<T>> KeyedDeposit<T, K> {
    /// The link number `link`, divided by `key`.
    pub fn new<I>(site: &Site<'_, I>, link: u16, key: K, items: Crossing<T>) -> Self {
        let shared = site.shared;
        let bound = shared.settings.most_at(shared.info, link.into());
        let kind = shared.info.links[usize::from(link)].kind;
        let place = shared.pins.behind(shared.info, link);
        let threads = shared
            .pins
            .places()
            .get(place)
            .map_or(1, |pin| pin.cores.len());
        let thread = |_| {
            CachePadded::new(Thread {
                parts: Turns::new(bound),
                arrivals: AtomicU64::new(0),
            })
        };
        Self {
            turns: Serial::new(site, link, (), items),
            ordered: matches!(kind, LinkKindInfo::Keyed { ordered: true }),
            home: Home::new(shared, link, bound * threads, items.hashed()),
            key,
            hasher: seeded(),
            threads: (0..threads).map(thread).collect(),
            scratch: ArrayQueue::new(shared.settings.seats() + shared.pins.threads()),
            place,
        }
    }

    /// An empty carrier for the outputs of `load`.
    pub fn carrier(&self, w: Watch<'_>, load: &impl Load, base: u16) -> Carrier<T> {
        self.turns.carrier(w, load, base)
    }

    /// Leaves the items of a carrier for the threads of their keys.
    pub fn leave(&self, carrier: Carrier<T>, w: &Worker<'_>) {
        let carrier = match self.ordered {
            true => self.turns.numbered(carrier, w.node()),
            false => Some(carrier).filter(|carrier| !carrier.is_empty()),
        };
        let Some(carrier) = carrier.filter(|_| !w.shared.is_stopping()) else {
            return;
        };
        let number = carrier.number();
        let mut parts = self.divide(carrier, w);
        for (index, (part, thread)) in parts.iter_mut().zip(&self.threads).enumerate() {
            let Some(mut part) = part.take() else {
                continue;
            };
            part.set_number(match self.ordered {
                true => number,
                // AcqRel: as in `Serial::arrive`.
                false => thread.arrivals.fetch_add(1, Ordering::AcqRel),
            });
            thread.parts.leave(part.number(), part.into_box());
            w.shared.pins.wake_thread(self.place, index);
        }
        // A full store means that more threads divide at once than there are; then this one is freed.
        drop(self.scratch.push(parts));
    }

    fn divide(&self, mut carrier: Carrier<T>, w: &Worker<'_>) -> Parts<T> {
        let ticket = carrier.ticket();
        let mut parts = self
            .scratch
            .pop()
            .unwrap_or_else(|| self.threads.iter().map(|_| None).collect());
        let part = |thread: usize| {
            w.shared.credits.share(ticket);
            self.home.carrier(w.node(), ticket, thread as u16)
        };
        if self.ordered {
            // Also a thread that gets nothing must know that it was its turn.
            for (thread, empty) in parts.iter_mut().enumerate() {
                *empty = Some(part(thread));
            }
        }
        let by = (&self.key, &self.hasher);
        hash_each(carrier.items().drain(..), by, self.home.link(), w, |item| {
            let thread = thread_of(item.hash, self.threads.len());
            parts[thread].get_or_insert_with(|| part(thread)).push(item);
        });
        parts
    }

    /// The life of a thread of the segment: takes what is left for it until the run is over. The states of its keys are its
    /// own.
    pub fn serve<'w, S>(
        &self,
        w: &mut Worker<'w>,
        mut run: impl FnMut(Shard<'_, T, K, S>, Part<T>, &mut Worker<'w>),
    ) {
        let shared = w.shared;
        let own = shared
            .pins
            .of(w.id())
            .and_then(|(_, index)| self.threads.get(index));
        let Some(mut taker) = own.and_then(|own| own.parts.taker()) else {
            return;
        };
        let mut states = States::new();
        let mut wait = Waiter::new(w);
        while wait.goes_on() {
            let Some(node) = taker.take() else {
                wait.rest(None, || taker.is_ready() || shared.is_over());
                continue;
            };
            wait.found();
            let part = Carrier::from_box(node);
            if !part.is_empty() {
                w.tick();
                let lines = states.lines(self.threads.len());
                let shard = Shard::new(&mut states, &self.key, &self.hasher);
                run(shard, Part::new(part, lines), w);
            }
        }
    }
}

/// Of so many threads, the one that has the keys with this hash. The bits are neither those that choose the place in its
/// table (low) nor those that tag it (the highest seven).
fn thread_of(hash: u64, threads: usize) -> usize {
    let bits = u64::from((hash >> 25) as u32);
    ((bits * threads as u64) >> 32) as usize
}

impl<T, K: KeyFn<T>, S> fmt::Debug for Keys<T, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("keys", &self.states.len())
            .finish_non_exhaustive()
    }
}

impl<T, K> fmt::Debug for KeyedDeposit<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedDeposit")
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_over_threads_and_their_tables_are_not_worse_for_it() {
        const KEYS: usize = 1 << 16;
        const PLACES: usize = 16;
        for threads in [1, 2, 3, 5, 64] {
            let hasher = seeded();
            let mut found = vec![[0; PLACES]; threads];
            let mut tags = vec![[0; PLACES]; threads];
            for key in 0..KEYS {
                let hash = hasher.hash_one(key);
                let thread = thread_of(hash, threads);
                found[thread][hash as usize % PLACES] += 1;
                tags[thread][(hash >> 60) as usize] += 1;
            }
            // At least 64 are expected in each field: half and twice as many are 4 and 8 standard deviations away.
            let expected = KEYS / (threads * PLACES);
            let even = |fields: &[[usize; PLACES]]| {
                fields
                    .as_flattened()
                    .iter()
                    .all(|many| (expected / 2..expected * 2).contains(many))
            };
            assert!(even(&found) && even(&tags), "{threads} threads, {hasher:?}");
        }
    }
}
