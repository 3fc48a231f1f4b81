//! Seats, in which futures lie in place, and the log of a flight: its seats, and what waits beside them.

use std::{
    any::Any,
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::hub::{Hub, SeatWaker};
use crate::breaker::Pass;

/// A future of an async stage took longer than the stage's `timeout`, and was cancelled. The error type of such a stage says so by
/// `From<TimedOut>`.
///
/// ```
/// use pipewright::TimedOut;
///
/// #[derive(Debug)]
/// enum QuoteError {
///     Late(TimedOut),
/// }
///
/// impl From<TimedOut> for QuoteError {
///     fn from(late: TimedOut) -> Self {
///         Self::Late(late)
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was cancelled after {after:?}")]
#[non_exhaustive]
pub struct TimedOut {
    /// How long it may take.
    pub after: Duration,
}

impl TimedOut {
    /// It took longer than this.
    pub const fn after(after: Duration) -> Self {
        Self { after }
    }
}

/// The place of a future.
pub(super) struct Seat<F, B> {
    future: Pin<Box<Option<F>>>,
    waker: Waker,
    home: Arc<SeatWaker>,
    /// What goes with the future.
    pub(super) trip: Option<Trip<B>>,
}

/// What goes with a future.
pub(super) struct Trip<B> {
    pub(super) beside: B,
    /// The item's place in its batch.
    pub(super) tag: u32,
    pub(super) tries: Tries,
    /// The permit of the breaker.
    pub(super) pass: Option<Pass>,
    /// Its number among those of its flight.
    pub(super) number: u32,
}

/// How often an item was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    /// Tries again until now.
    pub(super) again: u32,
    /// Is this the last one, because the run ends?
    pub(super) last: bool,
}

/// What a panic said.
pub(super) type Panic = Box<dyn Any + Send>;

impl<F: Future, B> Seat<F, B> {
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        let home = SeatWaker::new(hub);
        Self {
            future: Box::pin(None),
            waker: Waker::from(Arc::clone(&home)),
            home,
            trip: None,
        }
    }

    /// Takes a future in. What `begin` gives beside it comes back.
    pub(super) fn board<R>(&mut self, begin: impl FnOnce() -> (F, R)) -> Result<R, Panic> {
        let future = &mut self.future;
        catch_unwind(AssertUnwindSafe(|| {
            let (begun, beside) = begin();
            future.as_mut().set(Some(begun));
            beside
        }))
    }

    /// Polls its future; one that is gone is pending for ever.
    pub(super) fn poll(&mut self) -> Poll<Result<F::Output, Panic>> {
        let Some(future) = self.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let mut context = Context::from_waker(&self.waker);
        match catch_unwind(AssertUnwindSafe(|| future.poll(&mut context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }

    /// Drops its future.
    pub(super) fn clear(&mut self) -> Result<(), Panic> {
        let future = &mut self.future;
        catch_unwind(AssertUnwindSafe(|| future.as_mut().set(None)))
    }
}

/// An item that waits to be tried again.
pub(super) struct Again<T> {
    pub(super) due: u64,
    pub(super) tag: u32,
    pub(super) tries: u32,
    pub(super) item: T,
}

/// When a future is cancelled.
pub(super) struct Limit {
    pub(super) due: u64,
    place: u32,
    number: u32,
}

/// Seats for which a flight has room from the beginning.
const MADE_AHEAD: usize = 64;

/// The seats of a flight, and what waits beside them.
pub(super) struct Log<T, F, B, O> {
    /// By the place that the flight knows them by; `None` for a seat that went back.
    seats: Vec<Option<Seat<F, B>>>,
    /// Places without a seat.
    vacant: Vec<u32>,
    /// Places whose seat has no future.
    idle: Vec<u32>,
    /// Futures under way.
    pub(super) flying: u32,
    /// Futures that were begun.
    number: u32,
    /// What is tried again, the earliest first.
    pub(super) again: BinaryHeap<Reverse<Again<T>>>,
    /// When futures are cancelled, in the order in which they began.
    limits: VecDeque<Limit>,
    /// Since when the flight waits for the breaker.
    pub(super) since: Option<u64>,
    /// Items that have to wait for a guard.
    pub(super) held: u64,
    /// The carriers of its outputs, while it is parked.
    pub(super) outs: Option<O>,
    /// Marks of futures that were woken, and have not been polled since.
    pub(super) woken: Vec<u64>,
}

impl<T, F: Future, B, O> Log<T, F, B, O> {
    /// Of a stage with so many seats.
    pub(super) fn new(most: usize) -> Self {
        let room = most.min(MADE_AHEAD);
        Self {
            seats: Vec::with_capacity(room),
            vacant: Vec::with_capacity(room),
            idle: Vec::with_capacity(room),
            flying: 0,
            number: 0,
            again: BinaryHeap::new(),
            limits: VecDeque::new(),
            since: None,
            held: 0,
            outs: None,
            woken: Vec::with_capacity(most.div_ceil(64)),
        }
    }

    /// A seat joins flight number `flight`.
    pub(super) fn add(&mut self, seat: Seat<F, B>, flight: usize) {
        let place = match self.vacant.pop() {
            Some(place) => place,
            None => {
                self.seats.push(None);
                (self.seats.len() - 1) as u32
            }
        };
        seat.home.settle(flight, place);
        self.seats[place as usize] = Some(seat);
        self.idle.push(place);
    }

    pub(super) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Takes all seats out that have no future.
    pub(super) fn drain_idle(&mut self) -> impl Iterator<Item = Seat<F, B>> {
        let Self {
            idle,
            vacant,
            seats,
            ..
        } = self;
        idle.drain(..).filter_map(|place| {
            vacant.push(place);
            seats[place as usize].take()
        })
    }

    pub(super) fn seat(&mut self, place: u32) -> Option<&mut Seat<F, B>> {
        self.seats.get_mut(place as usize)?.as_mut()
    }

    /// The place of a seat without a future, which gets one.
    pub(super) fn take_place(&mut self) -> Option<u32> {
        self.idle.pop()
    }

    /// The seat at `place` has no future.
    pub(super) fn give_place(&mut self, place: u32) {
        self.idle.push(place);
    }

    /// The number of a future that begins.
    pub(super) fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// A future at `place` is cancelled at the time `due`.
    pub(super) fn limit(&mut self, due: u64, place: u32, number: u32) {
        self.limits.push_back(Limit { due, place, number });
    }

    /// The next time at which a future is cancelled.
    pub(super) fn first_limit(&mut self) -> Option<u64> {
        while let Some(limit) = self.limits.front() {
            let (due, place, number) = (limit.due, limit.place, limit.number);
            if self.has(place, number) {
                return Some(due);
            }
            self.limits.pop_front();
        }
        None
    }

    /// The place of a future that is to be cancelled by now.
    pub(super) fn take_late(&mut self, now: u64) -> Option<u32> {
        let due = self.first_limit()?;
        if due > now {
            return None;
        }
        self.limits.pop_front().map(|limit| limit.place)
    }

    /// Is future `number` still at `place`?
    fn has(&mut self, place: u32, number: u32) -> bool {
        let trip = self.seat(place).and_then(|seat| seat.trip.as_ref());
        trip.is_some_and(|trip| trip.number == number)
    }

    /// The place of a future that was woken.
    pub(super) fn next_woken(&mut self) -> Option<u32> {
        let (at, word) = self
            .woken
            .iter_mut()
            .enumerate()
            .find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        Some(at as u32 * 64 + bit)
    }

    /// Drops all futures, and what waits. Returns how many items that were.
    pub(super) fn cancel(&mut self) -> (u64, u64) {
        let mut cancelled = 0;
        for place in 0..self.seats.len() as u32 {
            let Some(seat) = self.seat(place) else {
                continue;
            };
            if seat.trip.take().is_some() {
                cancelled += 1;
                // A future that panics while it is dropped is gone all the same.
                drop(seat.clear());
                self.give_place(place);
            }
        }
        let again = self.again.len() as u64;
        self.again.clear();
        self.limits.clear();
        self.flying = 0;
        (cancelled, again)
    }

    /// Has nothing under way, and nothing that waits?
    pub(super) fn is_done(&self) -> bool {
        self.flying == 0 && self.again.is_empty()
    }
}

impl<T> Ord for Again<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.tag).cmp(&(other.due, other.tag))
    }
}

impl<T> PartialOrd for Again<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Again<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Again<T> {}

impl<T, F, B, O> fmt::Debug for Log<T, F, B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("flying", &self.flying)
            .field("again", &self.again.len())
            .finish_non_exhaustive()
    }
}
