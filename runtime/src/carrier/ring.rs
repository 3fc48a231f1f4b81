//! The rings of gates, when it is carriers that wait in them.

use std::ops::Deref;

use super::{Carrier, Node};
use crate::{
    aside::Served,
    ring::{Hold, Ring},
    worker::Worker,
};

/// A gate's ring of carriers. When it is dropped, carriers that still wait are dropped as such, and counted.
pub(crate) struct CarrierRing<T: 'static>(Ring<Node<T>>);

impl<T: 'static> CarrierRing<T> {
    pub(crate) fn new(bound: usize) -> Self {
        Self(Ring::new(bound))
    }

    /// Brings a carrier to the gate, with its number. If nobody serves, this worker holds the gate, and `serve` is called for the
    /// carrier and for all that come meanwhile. What those cost is charged to their tickets.
    ///
    /// A carrier that `serve` gives back waits, and the gate with it: nobody serves until it comes again, and goes on.
    pub(crate) fn pass<'w, R: Served>(
        &self,
        carrier: Carrier<T>,
        w: &mut Worker<'w>,
        mut serve: impl FnMut(Carrier<T>, &mut Worker<'w>) -> R,
    ) {
        let own = carrier.ticket();
        let hold = match R::WAITS && carrier.is_paused() {
            true => Some(Hold::again(carrier.number(), carrier.into_box())),
            false => self.arrive(carrier.number(), carrier.into_box()),
        };
        let Some(mut hold) = hold else {
            return;
        };
        let mut is_own = true;
        while let Some(node) = hold.take() {
            let carrier = Carrier::from_box(node);
            let theirs = (!is_own).then(|| w.shared.keep(carrier.ticket()));
            if let Some(parked) = serve(carrier, w).parked() {
                // Last of all, because another worker may go on with it at once.
                w.shared.put_aside(parked);
                if let Some(kept) = theirs {
                    w.charge_to(kept.ticket());
                }
                return;
            }
            let more = self.advance(&mut hold);
            if let Some(kept) = theirs {
                w.charge_to(kept.ticket());
            } else if more {
                // Who works on a ticket keeps it, and charges it with what follows.
                w.charge_to(own);
            }
            is_own = false;
            if !more {
                return;
            }
        }
    }
}

impl<T: 'static> Deref for CarrierRing<T> {
    type Target = Ring<Node<T>>;

    fn deref(&self) -> &Ring<Node<T>> {
        &self.0
    }
}

impl<T: 'static> Drop for CarrierRing<T> {
    fn drop(&mut self) {
        self.0.clear(|node| drop(Carrier::from_box(node)));
    }
}
