//! Brings the parts of one ticket together before an ordered gate.
//!
//! Where a stream forks and its branches pass different gates, one pull arrives at the next ordered link in several
//! parts, in any order. Each part is left in the slot of its ticket's number; whoever brings the last one takes them all,
//! merges them by the position that each item had in the source's batch, and goes on to the gate with the whole.
//!
//! A slot is free again before its number passes the gate, and the next number in the same slot comes `len` later, when
//! that has happened (the argument is that of [`crate::ring`]).

use std::{ptr, sync::Arc};

use pipewright_spec::info::LinkInfo;

use crate::{
    carrier::{Carrier, Home, Node},
    shared::Shared,
    sync::{AtomicPtr, AtomicU32, Ordering},
};

/// The meeting place of parts.
pub(super) struct Join<T: 'static> {
    slots: Box<[Slot<T>]>,
    /// How many parts a ticket of each source has.
    expected: &'static [u8],
}

struct Slot<T: 'static> {
    parts: Box<[AtomicPtr<Node<T>>]>,
    here: AtomicU32,
}

impl<T: Send + 'static> Join<T> {
    pub(super) fn new(bound: usize, info: &LinkInfo) -> Self {
        let len = bound.max(2).next_power_of_two();
        let parts = usize::from(info.paths);
        let slot = || Slot {
            parts: (0..parts)
                .map(|_| AtomicPtr::new(ptr::null_mut()))
                .collect(),
            here: AtomicU32::new(0),
        };
        Self {
            slots: (0..len).map(|_| slot()).collect(),
            expected: info.parts,
        }
    }

    /// Leaves a part. If it was the ticket's last, returns all of them as one.
    pub(super) fn bring(
        &self,
        number: u64,
        carrier: Carrier<T>,
        shared: &Shared,
        home: &Arc<Home<T>>,
    ) -> Option<Carrier<T>> {
        let source = shared.credits.source(carrier.ticket()) as usize;
        let expected = self.expected.get(source).copied().map_or(1, u32::from);
        let slot = &self.slots[number as usize & (self.slots.len() - 1)];
        let part = usize::from(carrier.part());
        // Relaxed: the count below publishes it.
        slot.parts[part].store(Box::into_raw(carrier.into_box()), Ordering::Relaxed);
        // AcqRel: the one that completes the count sees every part that was counted before.
        if slot.here.fetch_add(1, Ordering::AcqRel) + 1 < expected {
            return None;
        }
        slot.here.store(0, Ordering::Relaxed);
        let mut whole: Option<Carrier<T>> = None;
        for part in &slot.parts {
            let node = part.swap(ptr::null_mut(), Ordering::Relaxed);
            if node.is_null() {
                continue;
            }
            // SAFETY: every part was stored from `Box::into_raw`, and only the worker that completed the count takes
            // the parts of this number, each once.
            let next = Carrier::from_box(unsafe { Box::from_raw(node) });
            whole = Some(match whole {
                Some(first) => merge(first, next, shared, home),
                None => next,
            });
        }
        whole
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        for part in self.slots.iter_mut().flat_map(|slot| &mut slot.parts) {
            let node = part.load(Ordering::Relaxed);
            if !node.is_null() {
                // SAFETY: as in `bring`; `&mut self` says that nobody else takes it.
                drop(Carrier::from_box(unsafe { Box::from_raw(node) }));
            }
        }
    }
}

/// Two parts as one, in the order of their tags; of equal tags those of `a` come first.
fn merge<T: Send + 'static>(
    mut a: Carrier<T>,
    mut b: Carrier<T>,
    shared: &Shared,
    home: &Arc<Home<T>>,
) -> Carrier<T> {
    if b.is_empty() {
        return a;
    }
    if a.is_empty() {
        return b;
    }
    shared.credits.share(a.ticket());
    let mut whole = home.carrier(a.ticket(), a.part());
    {
        let (tags, items) = a.parts();
        let mut first = tags.drain(..).zip(items.drain(..)).peekable();
        let (tags, items) = b.parts();
        let mut second = tags.drain(..).zip(items.drain(..)).peekable();
        loop {
            let from_first = match (first.peek(), second.peek()) {
                (Some((a, _)), Some((b, _))) => a <= b,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let next = if from_first {
                first.next()
            } else {
                second.next()
            };
            if let Some((tag, item)) = next {
                whole.push_tagged(tag, item);
            }
        }
    }
    whole
}

impl<T> std::fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Join")
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}
