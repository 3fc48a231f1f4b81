//! Circuit breakers: calls to something that fails are refused for a time, so that it can recover and nobody waits for it.
//!
//! A [`Breaker`] stands on its own: put it around calls ([`Breaker::call`]), or take a [`Ticket`] for one or several calls and
//! say later what came of them ([`Breaker::admit`]).
//!
//! ```
//! use pipewright::breaker::{Breaker, CallError, State};
//!
//! let breaker = Breaker::builder().min_items(10).failure_pct(50).build()?;
//! for n in 0..20u32 {
//!     match breaker.call(|| if n < 5 { Ok(n) } else { Err("no answer") }) {
//!         Ok(_) => assert!(n < 5),
//!         Err(CallError::Failed(error)) => assert_eq!(error, "no answer"),
//!         // Five of ten have failed, and the others are not made.
//!         Err(CallError::Refused(refused)) => assert_eq!((n >= 10, refused.state), (true, State::Open)),
//!         Err(_) => unreachable!(),
//!     }
//! }
//! assert_eq!(breaker.metrics().failed, 5);
//! # Ok::<(), pipewright::breaker::BreakerConfigError>(())
//! ```
//!
//! **States.** *Closed*, it admits calls and counts their results in a window. When there are enough of them and too many
//! failed or were slow, or too many failed in a row, it *opens*: it refuses all calls for a time, which grows while it opens again
//! and again. Then it is *half open*: it admits a few probes. As soon as so many of them failed that the others do not matter
//! it opens again, also when they do not decide in time; when all are there and enough passed, it closes, and admits more
//! and more calls for a while.
//!
//! **Generations.** Each change of state begins a generation. The result of a call that was admitted in another one is counted
//! as late and decides nothing. New numbers ([`Breaker::retune`]) begin a generation, too. A permit is never given back: whoever drops a ticket without a result has failed.
//!
//! **Threads.** State, generation and permits are one word (`control.rs`); whoever changes the state exchanges it for one that
//! says so (`Changing`), writes what belongs to the next state, and stores the word of that. So each change has one author, and
//! nobody sees a state with the numbers of another. Nothing waits: who meets a change in progress is refused after a few looks.
//! While it is closed, a call that passes reads that word and writes to a line of its own thread (`cells.rs`); results come into
//! the window (`window.rs`) in small numbers. A result can therefore take up to 256 calls of its thread until the window has it,
//! but a failure is there at once, and whoever would open looks at all threads first.

mod adaptive;
mod cells;
mod change;
mod clock;
mod config;
mod control;
mod event;
mod flights;
#[cfg(all(test, loom))]
mod models;
mod results;
mod rules;
mod ticket;
mod window;

use std::{fmt, mem, time::Duration};

use crossbeam_utils::CachePadded;

#[cfg_attr(loom, allow(unused_imports, reason = "its users are not there"))]
pub(crate) use self::change::mixed;
use self::ticket::ByPanic;
#[cfg_attr(loom, allow(unused_imports, reason = "its users are not there"))]
pub(crate) use self::ticket::Pass;
pub(crate) use self::window::Rows;
use self::{
    adaptive::{Adaptive, Measured},
    cells::{Cell, Cells},
    change::Changes,
    control::{Mode, Word},
    flights::{Flights, InFlight},
    rules::{Rules, same_kind},
    window::Ring,
};
pub use self::{
    clock::{Clock, Hand},
    config::{BreakerBuilder, BreakerConfigError, Slow, Window},
    event::{BreakerMetrics, CallError, Event, Reason, Refused, State},
    ticket::{Class, Outcome, Ticket},
};
use crate::sync::{AtomicU32, AtomicU64, Ordering, Queue};

/// Events that are kept until somebody takes them.
const EVENTS: usize = 64;

/// A circuit breaker; see [the module](self).
pub struct Breaker {
    /// The control word.
    word: CachePadded<AtomicU64>,
    rules: Rules,
    /// How the threshold of slow calls was given.
    slow: Slow,
    /// What it follows, if it does.
    adaptive: Option<Adaptive>,
    clock: Clock,
    cells: Cells,
    ring: Ring,
    /// Calls that came into a window of calls.
    seen: AtomicU64,
    /// Failures in a row.
    streak: AtomicU32,
    changes: Changes,
    flights: Flights,
    totals: Totals,
    events: Queue<Event>,
}

#[derive(Debug)]
struct Totals {
    passed: AtomicU64,
    failed: AtomicU64,
    slow: AtomicU64,
    refused: AtomicU64,
    late: AtomicU64,
    probes: AtomicU64,
    events_lost: AtomicU64,
}

impl Breaker {
    /// Describes a breaker; [`BreakerBuilder`] lists its numbers.
    pub fn builder() -> BreakerBuilder {
        BreakerBuilder::default()
    }

    /// Makes a call, if it is admitted. An error of it is a failure, and so is a panic, which goes on. Errors that say nothing
    /// about whom is called, see [`Ticket::failed`].
    ///
    /// While the breaker is closed and calls are not timed, it adds about two loads and a store to a call that passes.
    ///
    /// # Errors
    ///
    /// If it was not made, or fails.
    #[inline]
    pub fn call<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        let word = self.word.load(Ordering::Acquire);
        match self.cells.own() {
            // A cell is of a word only while that admits all.
            Some(cell) if cell.is_of(word) && !self.is_timed() => {
                let result = self.guarded(word, call);
                match result {
                    Ok(_) => self.passed(cell, word),
                    Err(_) => self.returned(word, false, false),
                }
                result.map_err(CallError::Failed)
            }
            Some(cell) if cell.is_of(word) => self.call_timed(cell, word, call),
            _ => self.call_slowly(call),
        }
    }

    /// Makes a call; a panic of it is a failure.
    #[inline]
    fn guarded<R>(&self, word: u64, call: impl FnOnce() -> R) -> R {
        let panicking = ByPanic {
            breaker: self,
            word,
        };
        let result = call();
        mem::forget(panicking);
        result
    }

    #[inline(never)]
    fn call_timed<T, E>(
        &self,
        cell: &Cell,
        word: u64,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        let since = self.clock.ns();
        let result = self.guarded(word, || {
            let _flight = InFlight::new(&self.flights, word, 1, since);
            call()
        });
        let slow = self.measure(Word(word), since, 1, u32::from(result.is_err()));
        match (&result, slow) {
            (Ok(_), false) => self.passed(cell, word),
            (result, slow) => self.returned(word, result.is_ok(), slow),
        }
        result.map_err(CallError::Failed)
    }

    #[inline(never)]
    fn call_slowly<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        let ticket = self.admit()?;
        match call() {
            Ok(value) => {
                ticket.passed();
                Ok(value)
            }
            Err(error) => {
                ticket.failed(Class::Dependency);
                Err(CallError::Failed(error))
            }
        }
    }

    /// Admits one call whose result will be said to the ticket.
    ///
    /// # Errors
    ///
    /// If the breaker refuses it.
    pub fn admit(&self) -> Result<Ticket<'_>, Refused> {
        self.admit_up_to(1)
    }

    /// Admits several calls at once, whose results will be said together: so many, or fewer where the breaker is half open; at
    /// least one. [`Ticket::items`] says how many.
    ///
    /// # Errors
    ///
    /// If the breaker refuses them.
    pub fn admit_up_to(&self, items: u32) -> Result<Ticket<'_>, Refused> {
        self.admission(items.max(1)).inspect_err(|_| {
            self.totals
                .refused
                .fetch_add(items.into(), Ordering::Relaxed);
        })
    }

    /// As [`Self::admit_up_to`], for who asks again and again until it is admitted: a refusal is not counted.
    pub(crate) fn ask(&self, items: u32) -> Result<Ticket<'_>, Refused> {
        self.admission(items.max(1))
    }

    /// So many calls are not made because it refused them.
    pub(crate) fn refused(&self, items: u64) {
        self.totals.refused.fetch_add(items, Ordering::Relaxed);
    }

    /// Changes of state until now.
    pub(crate) fn generation(&self) -> u64 {
        Word(self.word.load(Ordering::Acquire)).generation()
    }

    /// What it does now.
    pub fn state(&self) -> State {
        State::of(Word(self.word.load(Ordering::Acquire)).mode())
    }

    /// How long it refuses all calls for certain; zero if it may admit one.
    pub fn retry_after(&self) -> Duration {
        let word = Word(self.word.load(Ordering::Acquire));
        match word.mode() {
            Mode::Open => self.changes.left(self.clock.ns()),
            Mode::ForcedOpen => Duration::MAX,
            _ => Duration::ZERO,
        }
    }

    /// Looks at the calls that are being made: those that have taken longer than `slow` count as slow now, whether they ever return
    /// or not. Calls that are admitted or return look, too; this is for when nobody comes any more. A timer should call it
    /// every [`watched_every`](BreakerBuilder::watched_every).
    pub fn look(&self) {
        let now = self.clock.ns();
        self.flights.look(now);
        self.judge(Word(self.word.load(Ordering::Acquire)), now, 0);
    }

    /// Calls that take longer are slow, in nanoseconds; `u64::MAX` if they are not timed.
    pub(crate) fn slow(&self) -> u64 {
        self.rules.slow()
    }

    /// So many calls that have not returned are failures already, which are not counted yet.
    pub(crate) fn hang(&self, calls: u64) {
        let word = Word(self.word.load(Ordering::Acquire));
        self.judge_with(word, self.clock.ns(), 0, calls);
    }

    /// Changes its numbers, all of them or, if one is out of its range, none. It stays in its state, which begins anew: what was
    /// counted in the window is forgotten, half open it begins to try again, and open it stays no longer than it would with
    /// the new numbers. Results of calls that are being made are late. The clock, the seed and
    /// `watched_every` stay; whether calls are timed, and how, is fixed.
    ///
    /// ```
    /// use pipewright::breaker::{Breaker, Reason};
    ///
    /// let breaker = Breaker::builder().build()?;
    /// breaker.retune(&Breaker::builder().failure_pct(20))?;
    /// assert!(breaker.retune(&Breaker::builder().failure_pct(0)).is_err());
    /// assert_eq!(breaker.events().last().map(|event| event.reason), Some(Reason::Retuned));
    /// # Ok::<(), pipewright::breaker::BreakerConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a number is out of its range, or is fixed.
    pub fn retune(&self, numbers: &BreakerBuilder) -> Result<(), BreakerConfigError> {
        numbers.check()?;
        same_kind(self.slow, numbers.slow)?;
        self.renew(numbers);
        Ok(())
    }

    /// Opens it until [`release`](Self::release).
    pub fn force_open(&self) {
        self.force(Mode::ForcedOpen);
    }

    /// Closes it until [`release`](Self::release): it admits all calls and counts them.
    pub fn force_closed(&self) {
        self.force(Mode::ForcedClosed);
    }

    /// Closes it, as if it were new, whatever it did.
    pub fn release(&self) {
        self.force(Mode::Closed);
    }

    /// What it has counted.
    pub fn metrics(&self) -> BreakerMetrics {
        let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let word = self.word.load(Ordering::Acquire);
        BreakerMetrics {
            passed: of(&self.totals.passed) + self.cells.pending(word, 0, u64::MAX),
            failed: of(&self.totals.failed),
            slow: of(&self.totals.slow),
            refused: of(&self.totals.refused),
            late: of(&self.totals.late) + self.cells.outdated(word),
            probes: of(&self.totals.probes),
            overdue: self.overdue(Word(word), self.clock.ns()),
            slow_after: self
                .is_timed()
                .then(|| Duration::from_nanos(self.rules.slow())),
            changes: Word(word).generation(),
            events_lost: of(&self.totals.events_lost),
        }
    }

    /// The changes of state since it was asked last, the oldest first. Of more than 64 that nobody takes, the later ones are
    /// lost and counted.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        std::iter::from_fn(|| self.events.pop())
    }

    /// Of numbers that were checked.
    pub(crate) fn of(builder: &BreakerBuilder) -> Self {
        let new = || AtomicU64::new(0);
        let now = builder.clock.ns();
        let adaptive = matches!(builder.slow, Slow::Adaptive { .. });
        let watched = u64::try_from(builder.watched_every.as_nanos()).unwrap_or(u64::MAX);
        Self {
            word: CachePadded::new(AtomicU64::new(Word::new(Mode::Closed, 0).0)),
            rules: Rules::of(builder),
            slow: builder.slow,
            adaptive: adaptive.then(|| Adaptive::new(now)),
            clock: builder.clock.clone(),
            cells: Cells::new(),
            ring: Ring::new(),
            seen: AtomicU64::new(0),
            streak: AtomicU32::new(0),
            changes: Changes::new(),
            flights: Flights::new(builder.slow != Slow::Off, watched, now),
            totals: Totals {
                passed: new(),
                failed: new(),
                slow: new(),
                refused: new(),
                late: new(),
                probes: new(),
                events_lost: new(),
            },
            events: Queue::new(EVENTS),
        }
    }

    fn is_timed(&self) -> bool {
        self.rules.is_timed()
    }

    /// Were `calls` calls since then, of which so many failed, slow, on average? Made under `word`, they move a threshold that
    /// follows them.
    fn measure(&self, word: Word, since: u64, calls: u32, failed: u32) -> bool {
        if !self.is_timed() {
            return false;
        }
        let now = self.clock.ns();
        let slow = self.flights.is_slow(since, now, calls, self.rules.slow());
        let is_now = || self.word.load(Ordering::Acquire) == word.0;
        if let Some(adaptive) = &self.adaptive
            && word.mode() == Mode::Closed
            && calls > 0
            && is_now()
            && !self.flights.missed(since, now)
        {
            let measured = Measured {
                each: now.saturating_sub(since) / u64::from(calls),
                calls,
                failed,
                slow: if slow { calls } else { 0 },
            };
            if let Some(threshold) = adaptive.record(now, measured, &self.rules.limits()) {
                self.rules.set_threshold(threshold);
            }
        }
        slow
    }

    fn tell(&self, event: Event) {
        if self.events.push(event).is_err() {
            self.totals.events_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}
