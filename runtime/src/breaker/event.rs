//! What a breaker tells: its state, what it refuses, what happened to it, and what it counted.

use std::{fmt, time::Duration};

use super::{control::Mode, window::Counts};

/// What a breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It admits calls.
    Closed,
    /// It refuses all calls for a time.
    Open,
    /// It admits a few calls, to see how they fare.
    HalfOpen,
    /// It is told to refuse all.
    ForcedOpen,
    /// It is told to admit all, and counts only.
    ForcedClosed,
}

impl State {
    pub(super) fn of(mode: Mode) -> Self {
        match mode {
            Mode::Closed | Mode::Ramp => Self::Closed,
            Mode::Open | Mode::Changing => Self::Open,
            Mode::HalfOpen => Self::HalfOpen,
            Mode::ForcedOpen => Self::ForcedOpen,
            Mode::ForcedClosed => Self::ForcedClosed,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half open",
            Self::ForcedOpen => "forced open",
            Self::ForcedClosed => "forced closed",
        })
    }
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Too many calls of the window failed.
    FailureRate,
    /// Too many calls of the window were slow.
    SlowRate,
    /// Too many calls in a row failed.
    Consecutive,
    /// It was open for long enough.
    Waited,
    /// The probes fared well.
    ProbesPassed,
    /// So many probes failed or were slow that the others do not matter.
    ProbesFailed,
    /// The probes did not decide in time.
    ProbesLate,
    /// Somebody said so.
    Forced,
    /// It has other numbers; its state is the same.
    Retuned,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, by the breaker's clock.
    pub at: Duration,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// Changes of state until then, this one included.
    pub generation: u64,
    /// Calls in the window that passed, when it was decided.
    pub passed: u64,
    /// Calls in the window that failed.
    pub failed: u64,
    /// Calls in the window that were slow.
    pub slow: u64,
}

impl Event {
    pub(super) fn with(self, counts: Counts) -> Self {
        let Counts {
            passed,
            failed,
            slow,
        } = counts;
        Self {
            passed,
            failed,
            slow,
            ..self
        }
    }
}

/// What a breaker has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerMetrics {
    /// Calls that passed.
    pub passed: u64,
    /// Calls that failed, dropped tickets included.
    pub failed: u64,
    /// Of either, those that were slow.
    pub slow: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls whose result came after the state had changed, and that decided nothing.
    pub late: u64,
    /// Calls that were admitted half open.
    pub probes: u64,
    /// Calls that are being made and have taken longer than `slow` already.
    pub overdue: u64,
    /// Calls that take longer are slow now; `None` if calls are not timed.
    pub slow_after: Option<Duration>,
    /// Changes of state.
    pub changes: u64,
    /// Events that nobody took and that were lost.
    pub events_lost: u64,
}

/// A breaker did not admit a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the breaker is {state}")]
#[non_exhaustive]
pub struct Refused {
    /// What it does.
    pub state: State,
    /// How long it refuses all calls for certain; zero where that is not known.
    pub retry_after: Duration,
}

/// What came of a call through a breaker that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// It was not made.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It failed.
    #[error("{0}")]
    Failed(E),
}
