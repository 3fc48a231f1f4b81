//! A run of a flight: futures that have ended, one after the other, as the items of a loop.

use std::{
    cmp::Reverse,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
    time::Duration,
};

use super::{
    Answered, Flying, Futures, Landing, Waiting,
    lands::{Landings, Lands, Results},
    seat::{Again, Log, Panic, TimedOut, Tries, Trip},
};
use crate::{
    breaker::{Pass, Refused, Ticket},
    carrier::Carrier,
    drive::{ALL, AfterPanic, HANDED, Progress, Segment, panic_message, pump},
    error::RunError,
    guard::{Admission, Failures},
};

/// Runs a flight: hands the results of its futures to `step`, each with the place of its item and with what lay beside the future. `Some` if
/// others have to wait.
pub fn drive_async<T, C, F, B, O, X>(
    futures: &Futures<T, C, F, B, O>,
    flying: &Flying<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut X,
    step: impl Fn(&mut X, (u32, (F::Output, B)), &mut X::Tally),
) -> Option<Waiting>
where
    T: 'static,
    C: Fn(T) -> (F, B),
    F: Future,
    B: Answered,
    X: Segment,
{
    drive_as::<Results, _, _, _, _, _, _>(futures, flying, load, cx, step)
}

/// As [`drive_async`], for a stage whose breaker, while it is open, lets items go another way: these come as they are.
pub fn drive_async_or_turn_away<T, C, F, B, O, X>(
    futures: &Futures<T, C, F, B, O>,
    flying: &Flying<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut X,
    step: impl Fn(&mut X, (u32, Landing<(F::Output, B), T>), &mut X::Tally),
) -> Option<Waiting>
where
    T: 'static,
    C: Fn(T) -> (F, B),
    F: Future,
    B: Answered,
    X: Segment,
{
    drive_as::<Landings, _, _, _, _, _, _>(futures, flying, load, cx, step)
}

fn drive_as<L, T, C, F, B, O, X>(
    futures: &Futures<T, C, F, B, O>,
    flying: &Flying<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut X,
    step: impl Fn(&mut X, (u32, L::Item), &mut X::Tally),
) -> Option<Waiting>
where
    L: Lands<T, C, F, B, O>,
    T: 'static,
    C: Fn(T) -> (F, B),
    F: Future,
    B: Answered,
    X: Segment,
{
    let shared = flying.w.shared;
    let flight = load.flight()?;
    let mut log = futures.log(flight);
    let _entered = shared.reactor.enter();
    let mut run = Run::<L, T, C, F, B, O>::new(futures, flying, load, &mut log, flight);
    run.resume();
    let (mut items, mut progress) = (Some(run), Progress::default());
    pump::<ALL, _, X>(
        flying.w,
        &mut items,
        u64::MAX,
        HANDED,
        cx,
        &step,
        &mut progress,
    );
    items?.finish()
}

/// A run of a flight.
struct Run<'a, 'r, L, T: 'static, C, F: Future, B, O> {
    futures: &'a Futures<T, C, F, B, O>,
    flying: &'a Flying<'r, T>,
    load: &'a mut Carrier<T>,
    log: &'a mut Log<T, F, B, O>,
    flight: usize,
    /// The permit and the tries of the result that was handed on last.
    landed: Option<Landed>,
    /// Nothing more begins in this run.
    blocked: bool,
    /// When the flight wants to run again, for the sake of a guard.
    due: u64,
    begun: u64,
    ended: u64,
    polls: u64,
    cancelled: u64,
    lands: PhantomData<L>,
}

/// A result that is on its way into the loop.
struct Landed {
    pass: Option<Pass>,
    tries: Tries,
    called: bool,
}

impl<'a, 'r, L, T, C, F, B, O> Run<'a, 'r, L, T, C, F, B, O>
where
    L: Lands<T, C, F, B, O>,
    T: 'static,
    C: Fn(T) -> (F, B),
    F: Future,
    B: Answered,
{
    fn new(
        futures: &'a Futures<T, C, F, B, O>,
        flying: &'a Flying<'r, T>,
        load: &'a mut Carrier<T>,
        log: &'a mut Log<T, F, B, O>,
        flight: usize,
    ) -> Self {
        Self {
            futures,
            flying,
            load,
            log,
            flight,
            landed: None,
            blocked: false,
            due: u64::MAX,
            begun: 0,
            ended: 0,
            polls: 0,
            cancelled: 0,
            lands: PhantomData,
        }
    }

    /// It goes on where it was parked.
    fn resume(&mut self) {
        let flight = self.futures.hub.flight(self.flight);
        flight.take_woken(&mut self.log.woken);
        if let Some(guard) = self.flying.guard {
            guard.resumed(std::mem::take(&mut self.log.held));
        }
    }

    /// The end of the run.
    fn finish(mut self) -> Option<Waiting> {
        self.tell();
        let shared = self.flying.w.shared;
        let stopping = shared.is_stopping();
        if stopping {
            let (cancelled, again) = self.log.cancel();
            (self.ended, self.cancelled) = (self.ended + cancelled, self.cancelled + cancelled);
            shared.dropped(self.load.link(), cancelled + again);
        }
        let done = self.log.is_done() && (self.load.is_empty() || stopping);
        let hub = &self.futures.hub;
        hub.count(self.begun, self.ended, self.polls, self.cancelled);
        self.futures.settle(self.flight, self.log, done);
        if done {
            return None;
        }
        let again = self.log.again.peek().map_or(u64::MAX, |again| again.0.due);
        let limit = self.log.first_limit().unwrap_or(u64::MAX);
        let due = self.due.min(again).min(limit);
        Some(Waiting { due })
    }

    /// Tells the guards what came of the result that was handed on last.
    fn tell(&mut self) {
        let Some(landed) = self.landed.take() else {
            return;
        };
        let Some(guard) = self.flying.guard else {
            return;
        };
        let failed = self.flying.failed.take();
        self.resolve(landed.pass, failed);
        if landed.called && landed.tries.again == 0 {
            guard.first_tries(1);
        }
        let again = self.flying.again.take();
        if let Some((tag, item)) = again {
            let tries = landed.tries.again + 1;
            let now = self.flying.w.shared.now();
            let due = now.saturating_add(guard.pause(tries));
            let again = Again {
                due,
                tag,
                tries,
                item,
            };
            self.log.again.push(Reverse(again));
        }
        if let Some(error) = self.flying.fatal.take() {
            let stage = self.flying.w.shared.stage_name(self.flying.stage);
            let shared = self.flying.w.shared;
            shared.fail(RunError::Failed { stage, error });
        }
    }

    /// Resolves a permit.
    fn resolve(&self, pass: Option<Pass>, failed: bool) {
        let (Some(pass), Some(guard)) = (pass, self.flying.guard) else {
            return;
        };
        let Some(breaker) = guard.breaker() else {
            return;
        };
        let (before, probes) = (breaker.generation(), guard.is_half_open());
        let failures = Failures::default();
        let failures = if failed { failures.with(1) } else { failures };
        let ticket = breaker.attach(pass);
        ticket.settle_batch(1, failures.count, failures.rows(1));
        if probes || breaker.generation() != before {
            guard.tell_news();
            self.flying.w.shared.release_aside(self.flying.stage);
        }
    }

    /// Cancels a future that has taken too long.
    fn cancel_late(&mut self) -> Option<(u32, L::Item)> {
        let timed_out = self.futures.timed_out?;
        let guard = self.flying.guard?;
        self.log.first_limit()?;
        let now = self.flying.w.shared.now();
        let place = self.log.take_late(now)?;
        let late = TimedOut::after(Duration::from_nanos(guard.limit()?));
        self.cancelled += 1;
        guard.cancelled();
        match made_of(late, timed_out) {
            Ok(output) => self.land(place, output),
            Err(panic) => {
                self.lose(place, panic);
                None
            }
        }
    }

    /// Polls the future at `place`.
    fn poll(&mut self, place: u32) -> Option<(u32, L::Item)> {
        let seat = self.log.seat(place)?;
        seat.trip.as_ref()?;
        self.polls += 1;
        match seat.poll() {
            Poll::Pending => None,
            Poll::Ready(Ok(output)) => self.land(place, output),
            Poll::Ready(Err(panic)) => self.crash(place, panic),
        }
    }

    /// The future at `place` is over, with this result.
    fn land(&mut self, place: u32, output: F::Output) -> Option<(u32, L::Item)> {
        let seat = self.log.seat(place)?;
        let trip = seat.trip.take()?;
        if let Err(panic) = seat.clear() {
            // Its result is there, so no item is lost.
            let _ = self.note(panic);
        }
        self.vacate(place);
        self.hand(trip.tries, true);
        self.landed = Some(Landed {
            pass: trip.pass,
            tries: trip.tries,
            called: true,
        });
        Some((trip.tag, L::ended(output, trip.beside)))
    }

    /// The future at `place` panicked: its item is lost, or leaves as an error.
    fn crash(&mut self, place: u32, panic: Panic) -> Option<(u32, L::Item)> {
        let after = self.note(panic);
        let (AfterPanic::Letter(panicked), Some(fail)) = (after, self.futures.panicked) else {
            self.lost(place);
            return None;
        };
        let trip = self.log.seat(place)?.trip.as_mut()?;
        // It is not called again, and whoever waits for its answer is told at once.
        trip.tries.last = true;
        trip.beside.panicked(self.flying.stage);
        match made_of(panicked, fail) {
            Ok(output) => self.land(place, output),
            Err(panic) => {
                self.lose(place, panic);
                None
            }
        }
    }

    /// The item at `place` is lost to a panic.
    fn lose(&mut self, place: u32, panic: Panic) {
        let _ = self.note(panic);
        self.lost(place);
    }

    fn lost(&mut self, place: u32) {
        let Some(seat) = self.log.seat(place) else {
            return;
        };
        let (trip, cleared) = (seat.trip.take(), seat.clear());
        self.vacate(place);
        self.count_lost();
        if let Some(mut trip) = trip {
            let failed = self.flying.guard.is_some_and(|guard| guard.counts_panics());
            self.resolve(trip.pass, failed);
            trip.beside.panicked(self.flying.stage);
        }
        if let Err(panic) = cleared {
            let _ = self.note(panic);
        }
    }

    fn count_lost(&self) {
        let (w, stage) = (self.flying.w, self.flying.stage);
        w.counts.received(stage, 1);
        w.counts.panicked(stage, 1);
    }

    /// Notes a panic and does what `on_panic` says; a stop is seen by whoever asks next.
    fn note(&self, panic: Panic) -> AfterPanic {
        let shared = self.flying.w.shared;
        shared.after_panic(self.flying.stage, panic_message(panic))
    }

    fn vacate(&mut self, place: u32) {
        self.ended += 1;
        self.log.flying -= 1;
        self.log.give_place(place);
    }

    /// What the loop may ask about the result that it gets next.
    fn hand(&self, tries: Tries, called: bool) {
        if called {
            self.flying.refusal.set(None);
        }
        self.flying.tries.set((tries.again, tries.last));
    }

    /// Begins a future, if that is possible now; `Some(Some(..))` if it has ended at once.
    fn begin(&mut self) -> Option<Option<(u32, L::Item)>> {
        if self.blocked || !self.has_items() {
            return None;
        }
        if self.futures.hub.has_too_many() {
            self.futures.give_back(self.log);
        }
        if !self.log.has_idle() && !self.futures.seat(self.flight, self.log) {
            self.blocked = true;
            return None;
        }
        let pass = match self.admit() {
            Admitted::Yes(pass) => pass,
            Admitted::Not => {
                self.blocked = true;
                return None;
            }
            Admitted::Refused(refused) => return Some(self.turn_away(refused)),
            Admitted::Dropped => return Some(None),
        };
        let (tag, item, tries) = self.next_item()?;
        let place = self.log.take_place()?;
        let number = self.log.next_number();
        self.begun += 1;
        self.log.flying += 1;
        let call = &self.futures.call;
        let seat = self.log.seat(place)?;
        match seat.board(|| call(item)) {
            Ok(beside) => {
                seat.trip = Some(Trip {
                    beside,
                    tag,
                    tries,
                    pass,
                    number,
                });
            }
            Err(panic) => {
                self.resolve(pass, false);
                self.lose(place, panic);
                return Some(None);
            }
        }
        if let Some(most) = self.flying.guard.and_then(|guard| guard.limit()) {
            let due = self.flying.w.shared.now().saturating_add(most);
            self.log.limit(due, place, number);
        }
        Some(self.poll(place))
    }

    /// Is there an item that can begin?
    fn has_items(&self) -> bool {
        !self.load.is_empty() || self.is_due_again()
    }

    /// May an item be tried again now?
    fn is_due_again(&self) -> bool {
        let shared = self.flying.w.shared;
        let first = self.log.again.peek();
        first.is_some_and(|Reverse(again)| shared.is_closing() || again.due <= shared.now())
    }

    /// The next item, those first that are tried again.
    fn next_item(&mut self) -> Option<(u32, T, Tries)> {
        if self.is_due_again() {
            let Reverse(again) = self.log.again.pop()?;
            let tries = Tries {
                again: again.tries,
                last: self.flying.w.shared.is_closing(),
            };
            return Some((again.tag, again.item, tries));
        }
        let (tags, items) = self.load.parts();
        let item = items.pop()?;
        Some((tags.pop().unwrap_or_default(), item, Tries::default()))
    }

    /// Asks the guards for one call.
    fn admit(&mut self) -> Admitted {
        let Some(guard) = self.flying.guard else {
            return Admitted::Yes(None);
        };
        let (w, since) = (self.flying.w, self.log.since);
        let asked = if since.is_some() {
            w.shared.now()
        } else {
            w.now
        };
        match guard.admit(1, 1, asked, since, w.shared.last_call()) {
            Admission::Call(ticket, _) => {
                self.log.since = None;
                Admitted::Yes(ticket.map(Ticket::detach))
            }
            Admission::Later(wait) => {
                self.wait_until(w.shared.now().saturating_add(wait));
                Admitted::Not
            }
            Admission::Wait(due) => {
                // It may have been asked with the time of the last boundary.
                let now = w.shared.now();
                self.log.since = since.or(Some(now));
                self.wait_until(due.saturating_add(now - asked));
                Admitted::Not
            }
            Admission::Refuse(refused) => {
                guard.refuses(1);
                Admitted::Refused(refused)
            }
            Admission::Drop => {
                guard.drops(1);
                if self.next_item().is_some() {
                    w.shared.dropped(self.load.link(), 1);
                }
                Admitted::Dropped
            }
            Admission::GiveBack => {
                guard.gives_back(1);
                if self.next_item().is_some() {
                    let (link, ticket) = (self.load.link(), self.load.ticket());
                    w.shared.give_back(link, ticket, 1);
                }
                Admitted::Dropped
            }
        }
    }

    fn wait_until(&mut self, due: u64) {
        self.due = due;
        self.log.held = (self.load.len() + self.log.again.len()) as u64;
        if let Some(guard) = self.flying.guard {
            guard.waits(self.log.held);
        }
    }

    /// The next item is not called.
    fn turn_away(&mut self, refused: Refused) -> Option<(u32, L::Item)> {
        let (tag, item, tries) = self.next_item()?;
        self.hand(tries, false);
        self.flying.refusal.set(Some(refused));
        self.landed = Some(Landed {
            pass: None,
            tries,
            called: false,
        });
        match L::turned_away(self.futures, item, refused) {
            Ok(item) => Some((tag, item)),
            Err(panic) => {
                let _ = self.note(panic);
                self.count_lost();
                None
            }
        }
    }
}

/// What the guards say to one call.
enum Admitted {
    Yes(Option<Pass>),
    Not,
    Refused(Refused),
    Dropped,
}

/// The result that is made of why there is none, by users' code.
fn made_of<W, R>(why: W, make: fn(W) -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(|| make(why)))
}

impl<L, T, C, F, B, O> Iterator for Run<'_, '_, L, T, C, F, B, O>
where
    L: Lands<T, C, F, B, O>,
    T: 'static,
    C: Fn(T) -> (F, B),
    F: Future,
    B: Answered,
{
    /// With the place of the item in its batch.
    type Item = (u32, L::Item);

    fn next(&mut self) -> Option<Self::Item> {
        self.tell();
        if self.flying.w.shared.is_stopping() {
            return None;
        }
        if let Some(late) = self.cancel_late() {
            return Some(late);
        }
        while let Some(place) = self.log.next_woken() {
            if let Some(landed) = self.poll(place) {
                return Some(landed);
            }
        }
        while let Some(begun) = self.begin() {
            if let Some(landed) = begun {
                return Some(landed);
            }
        }
        None
    }
}
