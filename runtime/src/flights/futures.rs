//! The seats and flights of an async stage, with their types: a field of the graph.

use std::{collections::VecDeque, fmt, sync::Arc};

use super::{
    Flying, Waiting,
    hub::Hub,
    seat::{Log, Seat, TimedOut},
};
use crate::{
    aside::Parked,
    breaker::Refused,
    carrier::Carrier,
    error::Panicked,
    graph::Site,
    sync::{Mutex, MutexGuard},
};

/// The futures of an async stage: `call` makes one of an item, with what lies beside it; `outs` are the carriers of its outputs.
pub struct Futures<T: 'static, C, F: Future, B, O> {
    pub(super) call: C,
    /// The result of an item that is not called because the breaker is open.
    pub(super) refused: Option<fn(Refused) -> F::Output>,
    /// The result of a future that was cancelled because it took too long.
    pub(super) timed_out: Option<fn(TimedOut) -> F::Output>,
    /// The result of a future that panicked, where its item leaves as an error.
    pub(super) panicked: Option<fn(Panicked) -> F::Output>,
    pub(super) hub: Arc<Hub>,
    link: u16,
    spare: Mutex<Spare<F, B>>,
    logs: Logs<T, F, B, O>,
}

/// The log of each flight.
type Logs<T, F, B, O> = Box<[Mutex<Log<T, F, B, O>>]>;

/// What no flight has.
struct Spare<F, B> {
    seats: Vec<Seat<F, B>>,
    /// Flights without a batch.
    flights: Vec<u32>,
    /// Flights that wait for a seat, the one that came first at the front.
    listed: VecDeque<u32>,
}

impl<T, C, F, B, O> Futures<T, C, F, B, O>
where
    T: 'static,
    C: Fn(T) -> (F, B),
    F: Future,
{
    /// Of the stage that link number `link` leads to.
    ///
    /// # Panics
    ///
    /// If the stage is not async: an error in generated code.
    pub fn new<I>(site: &Site<'_, I>, link: u16, call: C) -> Self {
        let shared = site.shared;
        let stage = usize::from(shared.info.links[usize::from(link)].to);
        let hub = shared
            .flights
            .of(stage)
            .expect("an async stage has its flights in each run");
        hub.attach(shared);
        let flights = hub.flights();
        let seat = |_| Seat::new(hub);
        Self {
            call,
            refused: None,
            timed_out: None,
            panicked: None,
            hub: Arc::clone(hub),
            link,
            spare: Mutex::new(Spare {
                seats: (0..hub.made).map(seat).collect(),
                flights: (0..flights as u32).rev().collect(),
                listed: VecDeque::with_capacity(flights),
            }),
            logs: (0..flights)
                .map(|_| Mutex::new(Log::new(hub.made as usize)))
                .collect(),
        }
    }

    /// The result of an item that is not called because the breaker is open.
    #[must_use]
    pub fn or_refused(mut self, refused: fn(Refused) -> F::Output) -> Self {
        self.refused = Some(refused);
        self
    }

    /// The result of a future that was cancelled because it took too long.
    #[must_use]
    pub fn or_timed_out(mut self, timed_out: fn(TimedOut) -> F::Output) -> Self {
        self.timed_out = Some(timed_out);
        self
    }

    /// The result of a future that panicked.
    #[must_use]
    pub fn or_panicked(mut self, panicked: fn(Panicked) -> F::Output) -> Self {
        self.panicked = Some(panicked);
        self
    }

    /// The carriers of the outputs of `load`: new ones for a batch that begins here, those that it was parked with for another.
    ///
    /// # Panics
    ///
    /// If there are more batches at the link than there can be.
    pub fn outs(&self, load: &mut Carrier<T>, new: impl FnOnce(&Carrier<T>) -> O) -> O {
        if let Some(flight) = load.flight() {
            let kept = self.log(flight).outs.take();
            return kept.unwrap_or_else(|| new(load));
        }
        let outs = new(load);
        let flight = self.spare().flights.pop();
        let flight = flight.expect("there is a flight for each batch at the link") as usize;
        self.hub.flight(flight).begin();
        load.set_flight(flight);
        let (tags, items) = load.parts();
        if tags.is_empty() {
            tags.extend(0..items.len() as u32);
        }
        // They are taken from the end, so that what is left is there at any time.
        tags.reverse();
        items.reverse();
        outs
    }

    /// The batch as it waits. `outs` are the carriers of its outputs.
    pub fn park(
        &self,
        flying: &Flying<'_, T>,
        waiting: Waiting,
        load: Carrier<T>,
        outs: O,
    ) -> Parked {
        let flight = load.flight();
        if let Some(flight) = flight {
            self.log(flight).outs = Some(outs);
        }
        Parked {
            due: waiting.due,
            stage: flying.stage,
            collapses: false,
            items: 0,
            closing: false,
            retries: false,
            news: 0,
            task: load.into_task(),
            flight,
        }
    }
}

impl<T: 'static, C, F: Future, B, O> Futures<T, C, F, B, O> {
    pub(super) fn log(&self, flight: usize) -> MutexGuard<'_, Log<T, F, B, O>> {
        // Who runs the flight is the only one. Users' code that panics is caught inside.
        self.logs[flight]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Gives a flight another seat; false if there is none, and then it is listed.
    pub(super) fn seat(&self, flight: usize, log: &mut Log<T, F, B, O>) -> bool {
        let mut spare = self.spare();
        let seat = match self.hub.left() {
            0 => None,
            _ => spare.seats.pop(),
        };
        self.tell_out(&spare);
        let found = seat.is_some();
        match seat {
            Some(seat) => log.add(seat, flight),
            None if spare.listed.contains(&(flight as u32)) => {}
            None => spare.listed.push_back(flight as u32),
        }
        found
    }

    /// The end of a run: seats without a future go back, and flights that wait for some are rung. `done`: the flight has ended.
    pub(super) fn settle(&self, flight: usize, log: &mut Log<T, F, B, O>, done: bool) {
        let mut spare = self.spare();
        spare.seats.extend(log.drain_idle());
        self.tell_out(&spare);
        if done {
            // Another flight is rung in its place.
            spare.listed.retain(|listed| *listed as usize != flight);
            self.hub.flight(flight).end();
            spare.flights.push(flight as u32);
        }
        // As many as find one. Each is taken off the list: if it finds none after all, it lists itself again.
        for _ in 0..spare.seats.len().min(self.hub.left()) {
            let Some(listed) = spare.listed.pop_front() else {
                return;
            };
            self.hub.ring(listed as usize);
        }
    }

    /// There are fewer seats to be had than before: those of a flight without a future go back.
    #[cold]
    pub(super) fn give_back(&self, log: &mut Log<T, F, B, O>) {
        let mut spare = self.spare();
        spare.seats.extend(log.drain_idle());
        self.tell_out(&spare);
    }

    fn tell_out(&self, spare: &Spare<F, B>) {
        self.hub.set_out(self.hub.made as usize - spare.seats.len());
    }

    fn spare(&self) -> MutexGuard<'_, Spare<F, B>> {
        // Only moves happen under the lock.
        self.spare
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<T: 'static, C, F: Future, B, O> Drop for Futures<T, C, F, B, O> {
    /// The run has ended. What is under way is dropped and counted; after a run that was not stopped there is nothing.
    fn drop(&mut self) {
        let Some(shared) = self.hub.shared() else {
            return;
        };
        let _entered = shared.reactor.enter();
        for flight in 0..self.logs.len() {
            let (cancelled, again) = self.log(flight).cancel();
            self.hub.count_cancelled(cancelled);
            shared.dropped(self.link, cancelled + again);
        }
    }
}

impl<T, C, F: Future, B, O> fmt::Debug for Futures<T, C, F, B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Futures")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}
