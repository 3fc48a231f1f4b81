//! A link to a segment that one worker at a time runs, because it has a state or must see the items in order.
//!
//! Carriers pass the gate one after the other: in the order of the source if the link is ordered (their number is the
//! ticket's), else in the order in which they come. A worker that finds the gate in use leaves its carrier there and
//! goes on; the one that serves takes all that are ready (see [`crate::ring`]).

use std::fmt;

use pipewright_spec::info::LinkKindInfo;

use super::join::Join;
use crate::{
    aside::Served,
    carrier::{Carrier, CarrierRing, Home},
    diagnose::Crossing,
    drive::Watch,
    graph::Site,
    load::Load,
    regroup::Regroup,
    sync::{AtomicU64, Ordering, UnsafeCell},
    worker::Worker,
};

/// A gate for items of type `T` with the state `S` behind it.
pub struct Serial<T: 'static, S> {
    home: Home<T>,
    ring: CarrierRing<T>,
    /// Numbers given out; for links that are not ordered.
    arrivals: AtomicU64,
    /// Brings the pieces of a divided batch together; for ordered links.
    pieces: Regroup<Carrier<T>>,
    /// Brings the parts of a ticket together; for ordered links that get several.
    join: Option<Join<T>>,
    ordered: bool,
    state: UnsafeCell<S>,
}

impl<T: 'static, S> Serial<T, S> {
    /// The link number `link`, with its state.
    pub fn new<I>(site: &Site<'_, I>, link: u16, state: S, items: Crossing<T>) -> Self {
        let shared = site.shared;
        let info = &shared.info.links[usize::from(link)];
        let ordered = matches!(
            info.kind,
            LinkKindInfo::Ordered | LinkKindInfo::Keyed { ordered: true }
        );
        let bound = shared.settings.most_at(shared.info, link.into());
        // A part that waits for the others of its ticket has a buffer of its own.
        let parts = usize::from(info.paths).max(1);
        Self {
            home: Home::new(shared, link, bound * (parts + 1), items),
            ring: CarrierRing::new(bound),
            arrivals: AtomicU64::new(0),
            pieces: Regroup::new(
                shared.credits.total() as usize * parts,
                shared.settings.seats(),
            ),
            join: (ordered && parts > 1).then(|| Join::new(bound, info)),
            ordered,
            state: UnsafeCell::new(state),
        }
    }

    /// An empty carrier for the outputs of `load`.
    pub fn carrier(&self, w: Watch<'_>, load: &impl Load, base: u16) -> Carrier<T> {
        self.home.carrier_of(w, load, base)
    }

    /// Brings a carrier to the gate. If nobody serves, `serve` is called for it and for all that come meanwhile. One that
    /// `serve` gives back waits and holds the gate until it comes here again.
    pub fn enter<'w, R: Served>(
        &self,
        carrier: Carrier<T>,
        w: &mut Worker<'w>,
        mut serve: impl FnMut(&mut S, Carrier<T>, &mut Worker<'w>) -> R,
    ) {
        let known = R::WAITS && carrier.is_paused();
        let Some(carrier) = (if known {
            Some(carrier)
        } else {
            self.numbered(carrier, w.node())
        }) else {
            return;
        };
        self.ring.pass(carrier, w, |carrier, w| {
            // SAFETY: `pass` calls this for who holds the gate, one at a time; workers that run the pipeline alone use
            // `state`, when no carrier exists.
            self.state
                .with_mut(|state| serve(unsafe { &mut *state }, carrier, w))
        });
    }

    /// Leaves a filled carrier for whichever worker is free first. Its turn is decided now.
    pub fn post(&self, mut carrier: Carrier<T>, w: &mut Worker<'_>) {
        if !self.ordered {
            if carrier.is_empty() {
                return;
            }
            carrier.set_number(self.arrive());
        }
        w.post(carrier);
    }

    /// The state, by exclusive access.
    pub fn state(&mut self) -> &mut S {
        self.state.get_mut()
    }

    /// The state, when the run has ended.
    pub fn into_state(self) -> S {
        self.state.into_inner()
    }

    /// The carrier with its number at the gate; `None` if it needs no turn or waits for other parts.
    pub(super) fn numbered(&self, mut carrier: Carrier<T>, node: u16) -> Option<Carrier<T>> {
        if !self.ordered {
            if carrier.number() == 0 {
                if carrier.is_empty() {
                    return None;
                }
                carrier.set_number(self.arrive());
            }
            // Numbers given out begin at 1, so that 0 means none; the ring begins at 0.
            let number = carrier.number() - 1;
            carrier.set_number(number);
            return Some(carrier);
        }
        let shared = self.home.shared();
        let carrier = self.regrouped(carrier)?;
        let number = shared
            .credits
            .number_at(carrier.ticket(), self.home.link().into());
        let mut whole = match &self.join {
            Some(join) => join.bring(number, carrier, shared, &self.home, node)?,
            None => carrier,
        };
        whole.set_number(number);
        // Behind a gate a ticket has one carrier again.
        whole.set_part(0);
        whole.set_whole(true);
        Some(whole)
    }

    /// The carrier with all pieces of its batch; `None` if it waits for others.
    fn regrouped(&self, carrier: Carrier<T>) -> Option<Carrier<T>> {
        let credits = &self.home.shared().credits;
        let (ticket, part) = (carrier.ticket(), carrier.part());
        // What was divided is known: only whoever has brought a carrier here could have divided its batch.
        if carrier.is_whole() || credits.pieces(credits.root(ticket)) == 1 {
            return Some(carrier);
        }
        let join = |whole: &mut Carrier<T>, mut piece: Carrier<T>| {
            let (tags, items) = piece.parts();
            let (all_tags, all) = whole.parts();
            all_tags.append(tags);
            all.append(items);
        };
        self.pieces.bring(credits, ticket, part, carrier, join)
    }

    fn arrive(&self) -> u64 {
        // AcqRel: what was done before an earlier number was drawn happens before what follows a later one; the ring's
        // bound rests on that.
        self.arrivals.fetch_add(1, Ordering::AcqRel) + 1
    }
}

// SAFETY: the ring passes carriers between threads, which are `Send`, and one thread at a time has the state (`S: Send`).
unsafe impl<T, S: Send> Sync for Serial<T, S> {}

impl<T, S> fmt::Debug for Serial<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serial")
            .field("ordered", &self.ordered)
            .finish_non_exhaustive()
    }
}
