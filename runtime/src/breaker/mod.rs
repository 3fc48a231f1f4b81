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
//! as late and decides nothing. A permit is never given back: whoever drops a ticket without a result has failed.
//!
//! **Threads.** State, generation and permits are one word (`control.rs`); whoever changes the state exchanges it for one that
//! says so (`Changing`), writes what belongs to the next state, and stores the word of that. So each change has one author, and
//! nobody sees a state with the numbers of another. Nothing waits: who meets a change in progress is refused after a few looks.
//! While it is closed, a call that passes reads that word and writes to a line of its own thread (`cells.rs`); results come into
//! the window (`window.rs`) in small numbers. A result can therefore take up to 256 calls of its thread until the window has it,
//! but a failure is there at once, and whoever would open looks at all threads first.

mod cells;
mod change;
mod clock;
mod config;
mod control;
mod event;
mod flights;
#[cfg(all(test, loom))]
mod models;
mod ticket;
mod window;

use std::{fmt, mem, time::Duration};

use crossbeam_utils::CachePadded;

#[cfg_attr(loom, allow(unused_imports, reason = "its users are not there"))]
pub(crate) use self::change::mixed;
use self::ticket::ByPanic;
pub(crate) use self::ticket::Pass;
pub(crate) use self::window::Rows;
use self::{
    cells::{Cell, Cells},
    change::Changes,
    control::{Mode, Word},
    flights::{Flights, InFlight},
    window::{Counts, Ring},
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

/// Its numbers, in nanoseconds.
#[derive(Debug)]
struct Rules {
    /// Of a bucket: nanoseconds, or calls.
    bucket: u64,
    by_count: bool,
    /// The most calls of a thread between two looks at the clock.
    grant: u32,
    min_items: u64,
    failure_pct: u64,
    consecutive: u32,
    /// Calls that take longer are slow; `u64::MAX` if they are not timed.
    slow: u64,
    slow_pct: u64,
    open: u64,
    open_backoff: f64,
    open_max: u64,
    open_jitter_pct: u64,
    probes: u32,
    probe_concurrency: u32,
    half_open_max: u64,
    ramp: u64,
    closed_stable: u64,
    seed: u64,
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
        match (&result, self.is_slow(since)) {
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

    /// So many calls that have not returned are failures already, which are not counted yet.
    pub(crate) fn hang(&self, calls: u64) {
        let word = Word(self.word.load(Ordering::Acquire));
        self.judge_with(word, self.clock.ns(), 0, calls);
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
            late: of(&self.totals.late),
            probes: of(&self.totals.probes),
            overdue: self.overdue(Word(word), self.clock.ns()),
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
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let buckets = window::BUCKETS as u64;
        let (by_count, bucket, grant) = match builder.window {
            Window::Time(time) => (false, ns(time) / buckets, cells::MOST),
            Window::Count(count) => {
                // Of a small window, what a thread keeps to itself would be a large part.
                let grant = (count / 20).clamp(1, cells::MOST);
                (true, u64::from(count) / buckets, grant)
            }
        };
        let new = || AtomicU64::new(0);
        Self {
            word: CachePadded::new(AtomicU64::new(Word::new(Mode::Closed, 0).0)),
            rules: Rules {
                bucket: bucket.max(1),
                by_count,
                grant,
                min_items: builder.min_items.into(),
                failure_pct: builder.failure_pct.into(),
                consecutive: builder.consecutive,
                slow: match builder.slow {
                    Slow::Off => u64::MAX,
                    Slow::Fixed(slow) => ns(slow),
                },
                slow_pct: builder.slow_pct.into(),
                open: ns(builder.open),
                open_backoff: builder.open_backoff,
                open_max: ns(builder.open_max),
                open_jitter_pct: builder.open_jitter_pct.into(),
                probes: builder.probes,
                probe_concurrency: builder.probe_concurrency,
                half_open_max: ns(builder.half_open_max),
                ramp: ns(builder.ramp),
                closed_stable: ns(builder.closed_stable),
                seed: builder.seed,
            },
            clock: builder.clock.clone(),
            cells: Cells::new(),
            ring: Ring::new(),
            seen: AtomicU64::new(0),
            streak: AtomicU32::new(0),
            changes: Changes::new(),
            flights: Flights::new(
                builder.slow != Slow::Off,
                ns(builder.watched_every),
                builder.clock.ns(),
            ),
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
        self.rules.slow != u64::MAX
    }

    fn is_slow(&self, since: u64) -> bool {
        self.is_slow_batch(since, 1)
    }

    /// Did `calls` calls since then take longer than they may, on average?
    fn is_slow_batch(&self, since: u64, calls: u32) -> bool {
        self.flights
            .is_slow(since, self.clock.ns(), calls, self.rules.slow)
    }

    /// A call of this thread passed that was made under `word`.
    #[inline]
    fn passed(&self, cell: &Cell, word: u64) {
        // The call itself may have made others, and the cell may be of another word by now.
        if !cell.is_of(word) {
            return self.late(1);
        }
        if self.rules.consecutive > 0 && self.streak.load(Ordering::Relaxed) > 0 {
            self.streak.store(0, Ordering::Relaxed);
        }
        if !cell.pass() {
            self.fold(cell);
        }
    }

    /// Counts what this thread has not counted yet, and decides.
    #[cold]
    #[inline(never)]
    fn fold(&self, cell: &Cell) {
        let now = self.clock.ns();
        let word = Word(self.word.load(Ordering::Acquire));
        self.fold_into(cell, word, now);
        self.judge(word, now, 0);
    }

    fn fold_into(&self, cell: &Cell, word: Word, now: u64) {
        let period = if self.rules.by_count {
            u64::MAX
        } else {
            self.rules.bucket / 4
        };
        let admits_all = matches!(word.mode(), Mode::Closed | Mode::ForcedClosed);
        let of = admits_all.then_some(word.0);
        let recent = cell.passed_within(now, self.rules.window());
        let (passed, before) = cell.fold(of, now, period, self.rules.grant);
        if passed == 0 {
            return;
        }
        if before != word.0 {
            return self.late(passed);
        }
        let of = |passed| Counts {
            passed,
            ..Counts::default()
        };
        self.add_totals(of(passed));
        self.add_to_window(word, now, of(recent));
    }

    /// A call of this thread failed or was slow that was made under `word`.
    #[cold]
    #[inline(never)]
    fn returned(&self, word: u64, passed: bool, slow: bool) {
        let counts = Counts {
            passed: passed.into(),
            failed: (!passed).into(),
            slow: slow.into(),
        };
        self.result(Word(word), counts, Rows::of(counts));
    }

    /// Results of calls that were made under a word that was not half open.
    fn result(&self, made: Word, counts: Counts, rows: Rows) {
        let now = self.clock.ns();
        let word = Word(self.word.load(Ordering::Acquire));
        if word.generation() != made.generation() || word.mode() == Mode::Changing {
            return self.late(counts.total());
        }
        if let Some(cell) = self.cells.own().filter(|_| word.mode() != Mode::Ramp) {
            self.fold_into(cell, word, now);
        }
        self.add_totals(counts);
        self.add_to_window(word, now, counts);
        let in_a_row = if self.rules.consecutive > 0 {
            self.in_a_row(rows)
        } else {
            0
        };
        self.judge(word, now, in_a_row);
    }

    /// The most failures in a row, with those of `rows`.
    fn in_a_row(&self, rows: Rows) -> u32 {
        if rows.all {
            // It is reset long before it could wrap around: it opens the breaker.
            return self
                .streak
                .fetch_add(rows.first, Ordering::Relaxed)
                .saturating_add(rows.first);
        }
        let before = self.streak.load(Ordering::Relaxed);
        self.streak.store(rows.last, Ordering::Relaxed);
        before.saturating_add(rows.first).max(rows.most)
    }

    fn add_to_window(&self, word: Word, now: u64, counts: Counts) {
        // Where calls are counted they count as the last of them does: more than the window holds would be behind it else.
        let tick = self.tick(now, |seen| {
            let calls = counts.total();
            (seen.fetch_add(calls, Ordering::Relaxed) + calls).saturating_sub(1)
        });
        self.ring.add(word.generation(), tick, counts);
    }

    /// The bucket of the window that counts now, by the clock or by the calls that were seen.
    fn tick(&self, now: u64, seen: impl FnOnce(&AtomicU64) -> u64) -> u64 {
        let at = if self.rules.by_count {
            seen(&self.seen)
        } else {
            now
        };
        at / self.rules.bucket
    }

    fn add_totals(&self, counts: Counts) {
        let Totals {
            passed,
            failed,
            slow,
            ..
        } = &self.totals;
        let all = [
            (passed, counts.passed),
            (failed, counts.failed),
            (slow, counts.slow),
        ];
        for (total, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn late(&self, items: u64) {
        self.totals.late.fetch_add(items, Ordering::Relaxed);
    }

    /// Opens, if the window or the failures in a row say so.
    fn judge(&self, word: Word, now: u64, in_a_row: u32) {
        self.judge_with(word, now, in_a_row, 0);
    }

    /// As [`Self::judge`], with calls that have failed and are not counted yet.
    fn judge_with(&self, word: Word, now: u64, in_a_row: u32, hanging: u64) {
        if !matches!(word.mode(), Mode::Closed | Mode::Ramp) {
            return;
        }
        let tick = self.tick(now, |seen| seen.load(Ordering::Relaxed).saturating_sub(1));
        let mut sum = self.ring.sum(word.generation(), tick);
        let overdue = self.overdue(word, now);
        sum.passed += overdue;
        sum.slow += overdue;
        sum.failed += hanging;
        let early = overdue + hanging > 0;
        let streak = self.rules.consecutive > 0 && in_a_row >= self.rules.consecutive;
        // What threads have not told yet passed, so that it changes nothing unless something counts early.
        if !early && !streak && self.rules.verdict(sum).is_none() {
            return;
        }
        sum.passed += self.cells.pending(word.0, now, self.rules.window());
        let reason = match streak {
            true => Some(Reason::Consecutive),
            false => self.rules.verdict(sum),
        };
        if let Some(reason) = reason {
            self.open(word, now, reason, sum);
        }
    }

    /// Calls that are being made and have taken too long.
    fn overdue(&self, word: Word, now: u64) -> u64 {
        self.flights.overdue(word.0, now, self.rules.slow)
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
