//! A link to a segment with threads of its own, by batches.
//!
//! One thread takes the carriers in turn: in the order of the source if the link is ordered, else in the order in which they
//! were left (see [`crate::deposit`]). Of several threads whichever is free takes the next one.

use std::{fmt, ops::Deref};

use crossbeam_queue::ArrayQueue;
use pipewright_spec::info::LinkKindInfo;

use super::Serial;
use crate::{
    carrier::{Carrier, Node},
    deposit::DepositRing,
    diagnose::Crossing,
    drive::Watch,
    graph::Site,
    load::Load,
    pin::Waiter,
    worker::Worker,
};

/// Where batches for pinned threads are left.
pub struct Deposit<T: 'static> {
    /// Draws their numbers, and joins the parts of a ticket; nobody enters it.
    turns: Serial<T, ()>,
    store: Store<T>,
    /// Must empty carriers go on, because an ordered gate further on counts them?
    keep_empty: bool,
    /// The pinned segment.
    place: usize,
}

enum Store<T: 'static> {
    /// For one thread.
    Turns(Turns<T>),
    /// For several.
    Any(Box<ArrayQueue<Carrier<T>>>),
}

/// Carriers that still wait when it is dropped are dropped as such, and counted.
pub(super) struct Turns<T: 'static>(DepositRing<Node<T>>);

impl<T: 'static> Turns<T> {
    /// For so many carriers on their way at once.
    pub(super) fn new(bound: usize) -> Self {
        Self(DepositRing::new(bound))
    }
}

impl<T: 'static> Deref for Turns<T> {
    type Target = DepositRing<Node<T>>;

    fn deref(&self) -> &DepositRing<Node<T>> {
        &self.0
    }
}

impl<T: 'static> Drop for Turns<T> {
    fn drop(&mut self) {
        self.0.clear(|node| drop(Carrier::from_box(node)));
    }
}

impl<T: 'static> Deposit<T> {
    /// The link number `link`. `keep_empty`: whether its segment must pass every carrier on, also empty ones.
    pub fn new<I>(site: &Site<'_, I>, link: u16, keep_empty: bool, items: Crossing<T>) -> Self {
        let shared = site.shared;
        let bound = shared.settings.most_at(shared.info, link.into());
        let kind = shared.info.links[usize::from(link)].kind;
        let store = match kind {
            LinkKindInfo::Direct => Store::Any(Box::new(ArrayQueue::new(bound))),
            _ => Store::Turns(Turns::new(bound)),
        };
        Self {
            turns: Serial::new(site, link, (), items),
            store,
            keep_empty,
            place: shared.pins.behind(shared.info, link),
        }
    }

    /// An empty carrier for the outputs of `load`.
    pub fn carrier(&self, w: Watch<'_>, load: &impl Load, base: u16) -> Carrier<T> {
        self.turns.carrier(w, load, base)
    }

    /// Leaves a carrier for the segment's threads.
    pub fn leave(&self, carrier: Carrier<T>, w: &Worker<'_>) {
        match &self.store {
            Store::Turns(turns) => {
                let Some(carrier) = self.turns.numbered(carrier, w.node()) else {
                    return;
                };
                turns.leave(carrier.number(), carrier.into_box());
            }
            Store::Any(queue) => {
                if carrier.is_empty() && !self.keep_empty {
                    return;
                }
                // It has room for every carrier there can be. If it had not, a carrier that comes back is dropped, and
                // the ledger shows it.
                drop(queue.push(carrier));
            }
        }
        w.shared.pins.wake(self.place);
    }

    /// The life of a thread of the segment: takes what is left here until the run is over.
    pub fn serve<'w>(&self, w: &mut Worker<'w>, mut run: impl FnMut(Carrier<T>, &mut Worker<'w>)) {
        let shared = w.shared;
        let mut wait = Waiter::new(w);
        match &self.store {
            Store::Turns(turns) => {
                let Some(mut taker) = turns.taker() else {
                    return;
                };
                while wait.goes_on() {
                    match taker.take() {
                        Some(node) => {
                            wait.found();
                            w.tick();
                            run(Carrier::from_box(node), w);
                        }
                        None => wait.rest(None, || taker.is_ready() || shared.is_over()),
                    }
                }
            }
            Store::Any(queue) => {
                while wait.goes_on() {
                    match queue.pop() {
                        Some(carrier) => {
                            // There may be more than this thread takes in time.
                            if !queue.is_empty() {
                                shared.pins.wake(self.place);
                            }
                            wait.found();
                            w.tick();
                            run(carrier, w);
                        }
                        None => wait.rest(None, || !queue.is_empty() || shared.is_over()),
                    }
                }
            }
        }
    }
}

impl<T> fmt::Debug for Deposit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deposit")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
