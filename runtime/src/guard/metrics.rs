//! What a guard has counted.

use std::{fmt, time::Duration};

use super::{Guard, bulkhead::Bulkhead, timeout::Timeout};
use crate::{
    breaker::{BreakerMetrics, State},
    sync::{AtomicU64, Ordering},
};

/// What guards a stage has counted: the stage's breaker, and the items that it kept waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardMetrics {
    /// What the breaker does; `None` without `breaker`.
    pub state: Option<State>,
    /// What the breaker has counted; zeros without `breaker`. Its calls are items.
    pub breaker: BreakerMetrics,
    /// Workers that are in the stage; 0 without `workers`.
    pub inside: u32,
    /// Times that a batch was put aside.
    pub waits: u64,
    /// Items that had to wait, once for each wait.
    pub held: u64,
    /// Items that wait now.
    pub waiting: u64,
    /// Calls that took longer than `timeout` and returned, or were cancelled.
    pub timed_out: u64,
    /// Calls that have run for longer than `timeout`, or, without, for ten times `slow`, and run still.
    pub overdue: u64,
    /// How long the longest of them has run until now.
    pub overdue_for: Duration,
    /// Calls that were overdue when the run looked after them, which it does 50 times a second, whether they have returned or not.
    pub hung: u64,
    /// Times that another worker stood in for one whose call hung.
    pub stood_in: u64,
    /// Workers that others stand in for now, because their calls hang or have just returned.
    pub quarantined: u64,
    /// Times that an item was tried again.
    pub retried: u64,
    /// Items that left as errors without being tried again, because too much of what is tried would be that.
    pub over_budget: u64,
    /// Items that left as errors without a call, because the breaker was open.
    pub refused: u64,
    /// Items that left by `Diverted` without a call, because the breaker was open and `on_open = divert`.
    pub diverted: u64,
    /// Items that went into `fallback` instead, because the breaker was open.
    pub fell_back: u64,
    /// Items that were dropped without a call, because the breaker was open and `on_open = drop`.
    pub dropped: u64,
    /// Items that were given back to their source without a call, because the breaker was open and `on_open = nack`.
    pub returned: u64,
}

/// The counters behind it; written where a batch cannot go on.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) waits: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) resumed: AtomicU64,
    pub(super) hung: AtomicU64,
    pub(super) stood_in: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) over_budget: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) diverted: AtomicU64,
    pub(super) fell_back: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) returned: AtomicU64,
}

impl Guard {
    /// At the time `now` of the run, in nanoseconds.
    pub(crate) fn seen(&self, now: u64) -> GuardMetrics {
        self.look(now);
        let Tallies {
            waits,
            held,
            resumed,
            hung,
            stood_in,
            retried,
            over_budget,
            refused,
            diverted,
            fell_back,
            dropped,
            returned,
        } = &self.tallies;
        let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
        // What went on is read first, so that nothing goes on that never waited.
        let resumed = of(resumed);
        let held = of(held);
        let breaker = self.breaker();
        let (overdue, overdue_for) = self.overdue(now);
        GuardMetrics {
            state: breaker.map(|breaker| breaker.state()),
            breaker: breaker.map(|breaker| breaker.metrics()).unwrap_or_default(),
            inside: self.bulkhead.as_ref().map_or(0, Bulkhead::inside),
            waits: of(waits),
            held,
            waiting: held.saturating_sub(resumed),
            timed_out: self.timeout.as_ref().map_or(0, Timeout::over),
            overdue,
            overdue_for,
            hung: of(hung),
            stood_in: of(stood_in),
            quarantined: 0,
            retried: of(retried),
            over_budget: of(over_budget),
            refused: of(refused),
            diverted: of(diverted),
            fell_back: of(fell_back),
            dropped: of(dropped),
            returned: of(returned),
        }
    }
}

impl fmt::Display for GuardMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(state) = self.state {
            let BreakerMetrics { changes, late, .. } = self.breaker;
            write!(f, "breaker {state} after {changes} changes, {late} late; ")?;
        }
        write!(f, "{} items held in {} waits", self.held, self.waits)?;
        if self.timed_out + self.overdue > 0 {
            let (timed_out, overdue) = (self.timed_out, self.overdue);
            write!(f, ", {timed_out} calls took too long, {overdue} do")?;
        }
        if self.stood_in > 0 {
            let (hung, stood_in) = (self.hung, self.stood_in);
            write!(
                f,
                ", {hung} hung, workers stood in {stood_in} times for others"
            )?;
        }
        if self.retried + self.over_budget > 0 {
            let (retried, over) = (self.retried, self.over_budget);
            write!(f, ", {retried} tried again, {over} over the budget")?;
        }
        let turned_away = [
            (self.refused, "refused"),
            (self.diverted, "diverted"),
            (self.fell_back, "fell back"),
            (self.dropped, "dropped"),
            (self.returned, "given back"),
        ];
        for (items, what) in turned_away.into_iter().filter(|(items, _)| *items > 0) {
            write!(f, ", {items} {what}")?;
        }
        Ok(())
    }
}
