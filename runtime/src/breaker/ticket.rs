//! Tickets: admitted calls whose results are still to come.

use std::{fmt, mem::ManuallyDrop};

use super::{
    Breaker, Rows,
    control::Word,
    flights::{InFlight, Place},
    window::Counts,
};

/// What kind of error a call ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The item was bad. Whom was called is well, so this is no failure: it counts as a call that passed.
    Item,
    /// Whom was called failed.
    Dependency,
    /// Whom was called has too much to do.
    Overload,
    /// It took too long.
    Timeout,
    /// The call panicked, or its ticket was dropped.
    Panic,
}

/// Results of several calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Calls that passed.
    pub passed: u32,
    /// Calls that failed.
    pub failed: u32,
    /// Of either, those that were slow.
    pub slow: u32,
}

/// One admission of a [`Breaker`], of one or several calls. Dropping it without saying what came of them is a failure of all.
///
/// ```
/// use pipewright::breaker::{Breaker, Class, Outcome};
///
/// let breaker = Breaker::builder().build()?;
/// let ticket = breaker.admit_up_to(64).expect("it is closed");
/// let passed = ticket.items() - 3;
/// ticket.settle(Outcome { passed, failed: 3, slow: 0 });
///
/// breaker.admit().expect("it is closed").failed(Class::Item);
/// drop(breaker.admit());
/// let metrics = breaker.metrics();
/// assert_eq!((metrics.passed, metrics.failed), (62, 4));
/// # Ok::<(), pipewright::breaker::BreakerConfigError>(())
/// ```
#[must_use = "a ticket that is dropped is a failure"]
pub struct Ticket<'b> {
    breaker: &'b Breaker,
    word: Word,
    items: u32,
    /// When it was admitted, if calls are timed.
    since: u64,
    /// Its calls are being made.
    flight: Option<InFlight<'b>>,
}

impl<'b> Ticket<'b> {
    pub(super) fn new(breaker: &'b Breaker, word: Word, items: u32, since: u64) -> Self {
        let flight = breaker
            .is_timed()
            .then(|| InFlight::new(&breaker.flights, word.0, items, since));
        Self {
            breaker,
            word,
            items,
            since,
            flight,
        }
    }

    /// How many calls are admitted.
    pub fn items(&self) -> u32 {
        self.items
    }

    /// All of them passed.
    pub fn passed(self) {
        self.all(true);
    }

    /// All of them failed, with errors of this class.
    pub fn failed(self, class: Class) {
        self.all(!class.is_failure());
    }

    /// Some passed and some failed. Calls that are in neither number failed; what is more than was admitted is left out.
    pub fn settle(self, outcome: Outcome) {
        let passed = outcome.passed.min(self.items);
        let counts = Counts {
            passed: passed.into(),
            failed: (self.items - passed).into(),
            slow: outcome.slow.min(self.items).into(),
        };
        // How many were slow is said; a threshold that follows the calls goes by how long they took.
        let _ = self
            .breaker
            .measure(self.word, self.since, self.items, self.items - passed);
        let (breaker, word) = self.ended();
        breaker.settle(word, counts);
    }

    /// What came of the first calls of a batch: of all that were made, so many failed. The batch is slow if its calls took
    /// longer than the threshold on average.
    pub(crate) fn settle_batch(self, made: u32, failed: u32, rows: Rows) {
        let made = made.min(self.items);
        let failed = failed.min(made);
        let slow = self.breaker.measure(self.word, self.since, made, failed);
        let counts = Counts {
            passed: (made - failed).into(),
            failed: failed.into(),
            slow: if slow { made.into() } else { 0 },
        };
        let (breaker, word) = self.ended();
        breaker.settle_rows(word, counts, rows);
    }

    fn all(self, passed: bool) {
        let counts = self.counts(passed);
        let (breaker, word) = self.ended();
        breaker.settle(word, counts);
    }

    /// Its result is there, and is said by nobody else.
    fn ended(self) -> (&'b Breaker, Word) {
        let mut this = ManuallyDrop::new(self);
        this.flight = None;
        (this.breaker, this.word)
    }

    fn counts(&self, passed: bool) -> Counts {
        let (items, none) = (u64::from(self.items), 0);
        let (passed, failed) = if passed { (items, none) } else { (none, items) };
        Counts {
            passed,
            failed,
            slow: if self.is_slow(failed) { items } else { 0 },
        }
    }

    fn is_slow(&self, failed: u64) -> bool {
        let failed = u32::try_from(failed).unwrap_or(u32::MAX);
        self.breaker
            .measure(self.word, self.since, self.items, failed)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let counts = self.counts(false);
        self.flight = None;
        self.breaker.settle(self.word, counts);
    }
}

/// A ticket that lies beside its call, without its breaker. It goes back to that with [`Breaker::attach`].
#[derive(Debug)]
#[must_use = "the breaker waits for its result"]
pub(crate) struct Pass {
    word: Word,
    items: u32,
    since: u64,
    place: Option<Place>,
}

impl Ticket<'_> {
    /// Apart from its breaker.
    pub(crate) fn detach(self) -> Pass {
        let mut this = ManuallyDrop::new(self);
        Pass {
            word: this.word,
            items: this.items,
            since: this.since,
            place: this.flight.take().and_then(InFlight::into_place),
        }
    }
}

impl Breaker {
    /// The ticket of this breaker that was detached.
    pub(crate) fn attach(&self, pass: Pass) -> Ticket<'_> {
        Ticket {
            breaker: self,
            word: pass.word,
            items: pass.items,
            since: pass.since,
            flight: self
                .is_timed()
                .then(|| InFlight::of(&self.flights, pass.place)),
        }
    }
}

/// The call did not return.
pub(super) struct ByPanic<'b> {
    pub(super) breaker: &'b Breaker,
    pub(super) word: u64,
}

impl Drop for ByPanic<'_> {
    fn drop(&mut self) {
        self.breaker.returned(self.word, false, false);
    }
}

impl fmt::Debug for Ticket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}
