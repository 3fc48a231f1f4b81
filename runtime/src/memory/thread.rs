//! How a thread finds its rack.
//!
//! `NEAR` is a table of pointers in thread-local storage, looked up by a number of the depot. It has no destructor, so a
//! lookup is one load from a fixed place and one comparison. What it points to belongs to `RACKS`, which has a destructor
//! and gives all magazines back when the thread ends.
//!
//! *Invariant: a pointer in `NEAR` is to `NOBODY`, or to the front of a rack that `RACKS` of the same thread owns.* It is set
//! when a rack is found in `RACKS`, and removed before a rack leaves it.
//!
//! What is called when the rack does not help is `extern "C"`, which cannot unwind, so a caller's loop need not keep in memory
//! how far it is. Nothing in there panics: what the objects' `drop`s throw ends where the depot is freed.
//!
//! A thread without racks (its thread-local storage is gone, or it is looking for a rack already) allocates and frees
//! single blocks at the depot.

use std::{
    cell::{Cell, RefCell},
    ptr,
    rc::Rc,
    sync::atomic::{AtomicU8, Ordering},
};

use super::{
    depot::{self, DepotRef},
    rack::{Front, NOBODY, Rack, Round},
};

/// Places of the table: as many as a byte has values, so that no number is outside. Depots with the same number are found a
/// little slower when they take turns.
const WAYS: usize = 1 << u8::BITS;

thread_local! {
    static NEAR: [Cell<*const Front>; WAYS] = const { [const { Cell::new(&raw const NOBODY) }; WAYS] };
    static RACKS: RefCell<Racks> = const { RefCell::new(Racks(Vec::new())) };
}

/// The racks of a thread. The counted pointers keep them where `NEAR` finds them.
struct Racks(Vec<Rc<Rack>>);

impl Drop for Racks {
    fn drop(&mut self) {
        NEAR.with(|near| near.iter().for_each(|place| place.set(&raw const NOBODY)));
    }
}

/// The next depot's place in the table.
pub(super) fn next_way() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A block from this thread's rack, or from the depot if the rack is empty.
#[inline(always)]
pub(super) fn take(depot: &DepotRef) -> Option<Round> {
    // SAFETY: it is of a rack of this thread.
    match unsafe { near(depot).take(depot) } {
        Some(round) => Some(round),
        None => take_slowly(depot),
    }
}

/// Takes a block back, in whatever thread this is.
#[inline(always)]
pub(super) fn give(round: Round) {
    let depot = round.depot();
    // SAFETY: it is of a rack of this thread.
    let given = unsafe { near(depot).give(depot, round.block()) };
    if !given {
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

/// What is in the depot's place of the table.
#[inline(always)]
fn near<'t>(depot: &DepotRef) -> &'t Front {
    let front = NEAR.with(|near| near[usize::from(depot.shape().way)].get());
    // SAFETY: see the top: it is alive until a rack leaves `RACKS`, and the callers take or give a block and nothing else.
    unsafe { &*front }
}

#[cold]
#[inline(never)]
#[allow(
    improper_ctypes_definitions,
    reason = "both sides are Rust; see the top"
)]
extern "C" fn take_slowly(depot: &DepotRef) -> Option<Round> {
    if depot.capacity() == 0 {
        return None;
    }
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
#[allow(
    improper_ctypes_definitions,
    reason = "both sides are Rust; see the top"
)]
extern "C" fn give_slowly(round: Round) {
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
        NEAR.with(|near| near[usize::from(depot.shape().way)].set(rack.front()));
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
            let near = |place: &&Cell<*const Front>| ptr::eq(place.get(), rack.front());
            NEAR.with(|all| {
                all.iter()
                    .filter(near)
                    .for_each(|place| place.set(&raw const NOBODY))
            });
        }
        Some(gone)
    };
    RACKS.try_with(take).ok().flatten().unwrap_or_default()
}
