//! How a run is: whether it does all that it should, or why not.

use std::{fmt, time::Duration};

use crate::{
    breaker::State,
    dropped::{Dropped, Losses},
    error::RunError,
    graph::Blueprint,
    live::Retuning,
    metrics::{Metrics, StageMetrics},
    pressure::Level,
    shared::Shared,
};

/// For so long after items were lost a run is degraded: 10 s.
const LATELY_NS: u64 = 10_000_000_000;

/// How a run is; see [`Running::health`](crate::Running::health).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It does what it should.
    Healthy,
    /// It goes on, but something holds it up or does not work: at least one reason.
    Degraded(Vec<Concern>),
    /// It is over or ends: `None` if it was asked to or its sources have ended, otherwise why it failed.
    Stopped(Option<String>),
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// The breaker of a stage is not closed, and so many items wait for it.
    Breaker {
        /// The stage.
        stage: &'static str,
        /// What the breaker does.
        state: State,
        /// Items that wait.
        waiting: u64,
    },
    /// Calls of a stage have run for longer than its `timeout`, or, without, for ten times `slow`, and run still.
    Overdue {
        /// The stage.
        stage: &'static str,
        /// How many.
        calls: u64,
        /// How long the longest of them has run until now.
        longest: Duration,
        /// Workers that others stand in for.
        quarantined: u64,
    },
    /// Items were lost before a stage within the last 10 s: all that were so far, by the reason.
    Lost {
        /// The stage.
        stage: &'static str,
        /// What was dropped.
        dropped: Dropped,
    },
    /// Items were given back to a source (`on_open = nack`), and it has not given them again yet; when the run has ended, they
    /// come with the next one.
    Returned {
        /// The source.
        source: &'static str,
    },
    /// Memory is so scarce that the run works in small batches, or, at [`Level::Critical`], leaves its sources alone.
    Memory(Level),
    /// The last tuning was refused, so the numbers are older than its file.
    Tuning(String),
    /// The run does otherwise than was asked; see [`Running::warnings`](crate::Running::warnings).
    Warning(String),
}

impl Health {
    /// Is it [`Healthy`](Self::Healthy)?
    pub fn is_healthy(&self) -> bool {
        *self == Self::Healthy
    }

    /// What calls hang, told as warnings.
    pub(crate) fn hanging<P: Blueprint>(metrics: &Metrics<P>) -> impl Iterator<Item = String> {
        let concerns = metrics.stages().iter().flat_map(of_guard);
        concerns
            .filter(|concern| matches!(concern, Concern::Overdue { .. }))
            .map(|concern| concern.to_string())
    }

    pub(crate) fn of<P: Blueprint>(shared: &Shared, metrics: &Metrics<P>) -> Self {
        if let Some(error) = shared.error() {
            return Self::Stopped(Some(error.to_string()));
        }
        if shared.is_closing() || shared.is_finished() {
            return Self::Stopped(None);
        }
        Self::by(concerns(shared, metrics))
    }

    /// How a run was when it ended.
    pub(crate) fn at_end<P: Blueprint>(
        shared: &Shared,
        metrics: &Metrics<P>,
        error: Option<&RunError>,
    ) -> Self {
        match error {
            Some(error) => Self::Stopped(Some(error.to_string())),
            None => Self::by(concerns(shared, metrics)),
        }
    }

    fn by(concerns: Vec<Concern>) -> Self {
        match concerns.is_empty() {
            true => Self::Healthy,
            false => Self::Degraded(concerns),
        }
    }
}

fn concerns<P: Blueprint>(shared: &Shared, metrics: &Metrics<P>) -> Vec<Concern> {
    let guarded = metrics.stages().iter().flat_map(of_guard);
    let stages = metrics.stages().iter().enumerate();
    let losing = stages.filter(|(stage, _)| loses(shared, *stage));
    let losing = losing.map(|(_, stage)| Concern::Lost {
        stage: stage.name,
        dropped: stage.dropped_by,
    });
    let sources = shared.sources.iter().enumerate();
    let returned =
        sources.filter(|(_, source)| source.acks().is_some_and(|acks| acks.has_some_back()));
    let returned = returned.map(|(at, _)| Concern::Returned {
        source: shared.source_name(at),
    });
    let memory = Some(shared.scarcity()).filter(|level| *level > Level::Some);
    let tuning = shared.live.last().and_then(refused);
    let warnings = shared.warnings.list().into_iter().map(Concern::Warning);
    guarded
        .chain(losing)
        .chain(returned)
        .chain(memory.map(Concern::Memory))
        .chain(tuning)
        .chain(warnings)
        .collect()
}

fn of_guard(stage: &StageMetrics) -> impl Iterator<Item = Concern> {
    let guard = stage.guard.as_ref();
    let breaker = guard.and_then(|guard| {
        let state = guard.state?;
        let is_well = matches!(state, State::Closed | State::ForcedClosed);
        (!is_well).then_some(Concern::Breaker {
            stage: stage.name,
            state,
            waiting: guard.waiting,
        })
    });
    let overdue = guard.filter(|guard| guard.overdue > 0);
    let overdue = overdue.map(|guard| Concern::Overdue {
        stage: stage.name,
        calls: guard.overdue,
        longest: guard.overdue_for,
        quarantined: guard.quarantined,
    });
    breaker.into_iter().chain(overdue)
}

/// Were items lost before a stage lately, while the run went on?
fn loses(shared: &Shared, stage: usize) -> bool {
    let now = shared.now();
    let mut last = shared.losses_before(stage).filter_map(Losses::last);
    last.any(|at| now.saturating_sub(at) < LATELY_NS)
}

fn refused(last: Retuning) -> Option<Concern> {
    let is_refused = last.outcome.is_err();
    is_refused.then(|| Concern::Tuning(last.to_string()))
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Degraded(concerns) => {
                let concerns: Vec<String> = concerns.iter().map(Concern::to_string).collect();
                write!(f, "degraded: {}", concerns.join("; "))
            }
            Self::Stopped(None) => f.write_str("stopped"),
            Self::Stopped(Some(why)) => write!(f, "stopped: {why}"),
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breaker {
                stage,
                state,
                waiting,
            } => write!(
                f,
                "the breaker of `{stage}` is {state}, {waiting} items wait"
            ),
            Self::Overdue {
                stage,
                calls,
                longest,
                quarantined,
            } => {
                match calls {
                    1 => write!(f, "a call of `{stage}` hangs, for {longest:.1?} until now")?,
                    _ => write!(
                        f,
                        "{calls} calls of `{stage}` hang, the longest for {longest:.1?} until now"
                    )?,
                }
                match quarantined {
                    0 => f.write_str("; nobody stands in for who waits for it"),
                    1 => f.write_str("; another worker stands in for one"),
                    _ => write!(f, "; other workers stand in for {quarantined}"),
                }
            }
            Self::Lost { stage, dropped } => write!(f, "before `{stage}` items are {dropped}"),
            Self::Returned { source } => {
                write!(f, "`{source}` has to give items again")
            }
            Self::Memory(level) => write!(f, "memory is scarce ({level})"),
            Self::Tuning(what) => write!(f, "tuning {what}"),
            Self::Warning(warning) => f.write_str(warning),
        }
    }
}
