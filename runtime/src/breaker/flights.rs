//! Calls that are being made, where calls are timed: since when, so that one that never returns is slow before it does.
//!
//! A call takes a place and gives it back when its result is there. Whoever decides, and whoever looks, counts the calls in all
//! places that have been made for too long as slow ones that passed: they are counted anew each time, and never added to
//! the window, so that a call is counted once when its result comes. A call of another control word counts for nobody.
//!
//! The time in a place is written last and erased first. Who reads it reads it again behind the rest, and takes nothing from a place
//! that has changed in between; a place that is taken again at the very same time by a call of the same word has the same age.
//! More calls at a time than there are places are not seen until they return.
//!
//! **When nobody had time** (see [`crate::looks`]), whoever promises to look in an interval (`watched_every`) is missed. What returns
//! then, and whatever began before the look that ends it, counts as not slow.

use crossbeam_utils::CachePadded;

use super::cells::own_number;
use crate::{
    looks::Looks,
    sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// Calls, or batches of them, that are seen at a time.
const PLACES: usize = if cfg!(loom) { 2 } else { 64 };
/// Nobody's.
const FREE: u64 = 0;
/// Somebody's, who is about to write when it began.
const TAKEN: u64 = u64::MAX;

#[derive(Debug)]
struct Flight {
    /// When it began, in nanoseconds of the clock and one more.
    since: AtomicU64,
    word: AtomicU64,
    calls: AtomicU32,
}

/// The calls that are being made.
#[derive(Debug)]
pub(super) struct Flights {
    places: Box<[CachePadded<Flight>]>,
    /// Places up to this one were ever used.
    used: AtomicUsize,
    looks: Looks,
}

/// A place that is to be given back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

impl Flights {
    /// For calls that are timed, if they are. `every`: how often somebody looks, 0 for never.
    pub(super) fn new(timed: bool, every: u64, now: u64) -> Self {
        let flight = |_| {
            CachePadded::new(Flight {
                since: AtomicU64::new(FREE),
                word: AtomicU64::new(0),
                calls: AtomicU32::new(0),
            })
        };
        Self {
            places: (0..if timed { PLACES } else { 0 }).map(flight).collect(),
            used: AtomicUsize::new(0),
            looks: Looks::new(every, now),
        }
    }

    /// So many calls begin; `None` if there is no place.
    fn begin(&self, word: u64, calls: u32, now: u64) -> Option<Place> {
        let free = |flight: &Flight| {
            // Acquire: what its last owner wrote is over.
            let taken =
                flight
                    .since
                    .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed);
            taken.is_ok()
        };
        let places = self.places.len();
        // Threads begin at places of their own.
        let first = own_number();
        let place = (0..places)
            .map(|next| (first + next) % places)
            .find(|place| free(&self.places[*place]))?;
        if place >= self.used.load(Ordering::Relaxed) {
            self.used.fetch_max(place + 1, Ordering::Relaxed);
        }
        let flight = &self.places[place];
        flight.word.store(word, Ordering::Relaxed);
        flight.calls.store(calls, Ordering::Relaxed);
        // Release: who reads the time reads what it belongs to.
        let since = now.min(TAKEN - 2) + 1;
        flight.since.store(since, Ordering::Release);
        Some(Place(place))
    }

    /// They have returned.
    fn end(&self, place: Place) {
        // Release: the next owner writes after this one.
        self.places[place.0].since.store(FREE, Ordering::Release);
    }

    /// Calls under this control word that have been made for longer than `most` each, on average of their batch.
    pub(super) fn overdue(&self, word: u64, now: u64, most: u64) -> u64 {
        let used = self.used.load(Ordering::Relaxed).min(self.places.len());
        let overdue = |flight: &CachePadded<Flight>| {
            // Acquire: pairs with the Release of `begin`.
            let since = flight.since.load(Ordering::Acquire);
            if since == FREE || since == TAKEN {
                return 0;
            }
            let (of, calls) = (
                flight.word.load(Ordering::Relaxed),
                flight.calls.load(Ordering::Relaxed),
            );
            let changed = flight.since.load(Ordering::Relaxed) != since;
            let slow = self.is_slow(since - 1, now, calls, most);
            if changed || of != word || !slow {
                0
            } else {
                calls.into()
            }
        };
        self.places[..used].iter().map(overdue).sum()
    }

    /// Did `calls` calls since then take longer than they may, on average? Not if the process was stopped meanwhile.
    pub(super) fn is_slow(&self, since: u64, now: u64, calls: u32, most: u64) -> bool {
        now.saturating_sub(since) > most.saturating_mul(calls.into())
            && !self.looks.missed(since, now)
    }

    /// Was the process stopped between these times?
    pub(super) fn missed(&self, since: u64, now: u64) -> bool {
        self.looks.missed(since, now)
    }

    /// Somebody looks.
    pub(super) fn look(&self, now: u64) {
        self.looks.look(now);
    }
}

/// Calls that are being made, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight<'b> {
    flights: &'b Flights,
    place: Option<Place>,
}

impl<'b> InFlight<'b> {
    pub(super) fn new(flights: &'b Flights, word: u64, calls: u32, now: u64) -> Self {
        let place = flights.begin(word, calls, now);
        Self { flights, place }
    }

    /// Of calls that have begun, with their place.
    pub(super) fn of(flights: &'b Flights, place: Option<Place>) -> Self {
        Self { flights, place }
    }

    /// The place, which is not given back.
    pub(super) fn into_place(mut self) -> Option<Place> {
        self.place.take()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.flights.end(place);
        }
    }
}
