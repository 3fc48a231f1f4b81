//! How a thread finds its rack.
//!
//! `NEAR` is a table of pointers in thread-local storage, looked up by a number of the depot. It has no destructor, so a
//! lookup is one load from a fixed place and one comparison. What it points to belongs to `RACKS`, which has a destructor
//! and gives all magazines back when the thread ends.
//!
//! *Invariant: a pointer in `NEAR` is null, or to a rack that `RACKS` of the same thread owns.* It is set when a rack is found
//! in `RACKS`, and removed before a rack leaves it.
//!
//! A thread without racks (its thread-local storage is gone, or it is looking for a rack already) allocates and frees
//! single blocks at the depot.

use std::{
    cell::{Cell, RefCell},
    ptr,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    depot::{self, DepotRef},
    rack::{Rack, Round},
};

/// Places of the table. Depots whose numbers fall on the same place are found a little slower when they take turns.
const WAYS: usize = 32;

thread_local! {
    static NEAR: [Cell<*const Rack>; WAYS] = const { [const { Cell::new(ptr::null()) }; WAYS] };
    static RACKS: RefCell<Racks> = const { RefCell::new(Racks(Vec::new())) };
}

/// The racks of a thread. The counted pointers keep them where `NEAR` finds them.
struct Racks(Vec<Rc<Rack>>);

impl Drop for Racks {
    fn drop(&mut self) {
        NEAR.with(|near| near.iter().for_each(|place| place.set(ptr::null())));
    }
}

/// The next depot's place in the table.
pub(super) fn next_way() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed) % WAYS
}

/// A block from this thread's rack, or from the depot if the rack is empty.
#[inline(always)]
pub(super) fn take(depot: &DepotRef) -> Option<Round> {
    match near(depot, Rack::take) {
        Some(Some(round)) => Some(round),
        _ => take_slowly(depot),
    }
}

/// Takes a block back, in whatever thread this is.
#[inline(always)]
pub(super) fn give(round: Round) {
    let given = near(round.depot(), |rack| rack.give(round.block()));
    if given != Some(true) {
        give_slowly(round);
    }
}

/// Gives back the free blocks that this thread has of the depot.
pub(super) fn flush(depot: &DepotRef) {
    let find = |racks: &RefCell<Racks>| {
        let racks = racks.try_borrow().ok()?;
        racks.0.iter().find(|rack| rack.is_of(depot))?.flush();
        Some(())
    };
    // A thread whose storage is gone has given everything back.
    let _ = RACKS.try_with(find);
}

/// The same, and gives up the rack.
pub(super) fn leave(depot: &DepotRef) {
    drop(remove(|rack| rack.is_of(depot)));
}

/// Calls `then` with the rack in the table, if it is the depot's.
#[inline(always)]
fn near<R>(depot: &DepotRef, then: impl FnOnce(&Rack) -> R) -> Option<R> {
    let rack = NEAR.with(|near| near[depot.shape().way % WAYS].get());
    // SAFETY: see the top: it is alive, and `then` does not remove it: it takes or gives a block and nothing else.
    let rack = unsafe { rack.as_ref() }?;
    rack.is_of(depot).then(|| then(rack))
}

#[cold]
#[inline(never)]
fn take_slowly(depot: &DepotRef) -> Option<Round> {
    // The rack may have blocks: it need not have been in the table.
    let found = with_rack(depot, |rack| {
        rack.take()
            .or_else(|| rack.refill().then(|| rack.take()).flatten())
    });
    let round = found.unwrap_or_else(|| depot.take_one().map(|block| depot.round(block)));
    if round.is_none() {
        depot.count_exhausted();
    }
    round
}

#[cold]
#[inline(never)]
fn give_slowly(round: Round) {
    if round.depot().is_closed() {
        let gone = remove(|rack| rack.is_of(round.depot()));
        depot::give_one(&round);
        // Only now, because with the last reference the memory goes, and with it objects that may be users of pools.
        return drop(gone);
    }
    let given = with_rack(round.depot(), |rack| {
        rack.give(round.block()) || {
            rack.make_room();
            rack.give(round.block())
        }
    });
    if given != Some(true) {
        depot::give_one(&round);
    }
}

/// Calls `then` with this thread's rack of the depot, which is made if there is none, and put into the table. `None` if
/// the thread's storage is gone or in use further up the stack.
fn with_rack<R>(depot: &DepotRef, then: impl FnOnce(&Rack) -> R) -> Option<R> {
    let is_known = |racks: &RefCell<Racks>| {
        let racks = racks.try_borrow().ok()?;
        Some(racks.0.iter().any(|rack| rack.is_of(depot)))
    };
    if !RACKS.try_with(is_known).ok()?? {
        // Racks of pools that are gone make room first. They are dropped here, where nothing is borrowed.
        drop(remove(Rack::is_closed));
        let rack = Rc::new(Rack::new(depot));
        let add = |racks: &RefCell<Racks>| {
            racks.try_borrow_mut().ok()?.0.push(rack);
            Some(())
        };
        RACKS.try_with(add).ok()??;
    }
    let call = |racks: &RefCell<Racks>| {
        let racks = racks.try_borrow().ok()?;
        let rack = racks.0.iter().find(|rack| rack.is_of(depot))?;
        NEAR.with(|near| near[depot.shape().way % WAYS].set(Rc::as_ptr(rack)));
        Some(then(rack))
    };
    RACKS.try_with(call).ok()?
}

/// Takes racks out, for the caller to drop.
fn remove(of: impl Fn(&Rack) -> bool) -> Vec<Rc<Rack>> {
    let take = |racks: &RefCell<Racks>| {
        let mut racks = racks.try_borrow_mut().ok()?;
        let gone: Vec<Rc<Rack>> = racks.0.extract_if(.., |rack| of(rack)).collect();
        for rack in &gone {
            let near = |place: &&Cell<*const Rack>| ptr::eq(place.get(), Rc::as_ptr(rack));
            NEAR.with(|all| {
                all.iter()
                    .filter(near)
                    .for_each(|place| place.set(ptr::null()))
            });
        }
        Some(gone)
    };
    RACKS.try_with(take).ok().flatten().unwrap_or_default()
}
