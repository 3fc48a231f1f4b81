//! What can go wrong when a pipeline starts, runs, or is handed an item.

use std::{error::Error, fmt};

use crate::{
    ending::{Left, listed},
    machine::{PlaceError, Shortfall, TopologyError},
};

/// The state of a stage could not be made.
#[derive(Debug)]
pub struct InitError {
    stage: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl InitError {
    /// Names the stage whose state it was.
    #[doc(hidden)]
    pub fn new(stage: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            stage,
            source: source.into(),
        }
    }

    /// The stage whose state could not be made.
    pub fn stage(&self) -> &'static str {
        self.stage
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the state of `{}` could not be made: {}",
            self.stage, self.source
        )
    }
}

impl Error for InitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// A pipeline could not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The state of a stage could not be made.
    #[error(transparent)]
    State(#[from] InitError),
    /// A stage panicked while its state was made.
    #[error("the pipeline panicked while it started: {0}")]
    Panicked(String),
    /// A thread could not be started.
    #[error("a worker thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A number is out of its range.
    #[error("{0}")]
    Number(String),
    /// The pool does not fit the machine.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The environment variable `PIPEWRIGHT_TOPO` does not describe a machine.
    #[error("`PIPEWRIGHT_TOPO`: {0}")]
    Topology(#[source] TopologyError),
    /// A stage is pinned to cores that this process cannot use, or as it cannot be.
    #[error("{0}")]
    Cores(String),
    /// The machine does not give what the run asks for, and the pipeline says `hw(enforce = deny)`.
    #[error("{}, or `hw(enforce = warn)` to run like that", told(.0))]
    Machine(Box<[Shortfall]>),
    /// A tuning file given by the environment variable `PIPEWRIGHT_TUNING` is wrong.
    #[error(transparent)]
    Tuning(#[from] TuningError),
}

/// What falls short, each with its help.
fn told(short: &[Shortfall]) -> String {
    let told: Vec<String> = short
        .iter()
        .map(|short| format!("{short}; {}", short.help()))
        .collect();
    told.join("\n")
}

/// A tuning file could not be used. Nothing of it is applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// It could not be read.
    #[error("cannot read the tuning file `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be watched.
    #[cfg(feature = "watch")]
    #[error("cannot watch the tuning file `{path}`: {why}")]
    Watch {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// What it says is wrong; the text names each place as `file:line:col`.
    #[error("{0}")]
    Wrong(String),
}

/// A run ended early.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A stage panicked and its `on_panic` says stop.
    #[error("`{stage}` panicked: {message}")]
    Panicked {
        /// The stage.
        stage: &'static str,
        /// What the panic said.
        message: String,
    },
    /// A stage failed and its `on_error` says stop.
    #[error("`{stage}` failed: {error}")]
    Failed {
        /// The stage.
        stage: &'static str,
        /// The error.
        error: String,
    },
    /// The state of a stage could not be made while running.
    #[error("{0}")]
    State(std::sync::Arc<InitError>),
    /// It did not end in time. What was left is dropped and counted.
    #[error("the run did not end within {within:?}; {}", listed(left))]
    Deadline {
        /// The time that it was given.
        within: std::time::Duration,
        /// What was left, by stage.
        left: Box<[Left]>,
    },
    /// What is done of a source with `acks` could not be committed.
    #[error("what is done of `{name}` could not be committed: {error}")]
    Commit {
        /// The source.
        name: &'static str,
        /// The error.
        error: String,
    },
    /// Items were lost or counted twice: a bug in pipewright.
    #[error("the ledger does not balance: {0}")]
    Ledger(String),
}

impl RunError {
    pub(crate) fn state(error: InitError) -> Self {
        Self::State(std::sync::Arc::new(error))
    }
}

/// An item was not taken; here it is again, with the reason.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The input is full, and this was not to wait for room, or not longer; or the input says `overflow = reject`.
    Full(T),
    /// The pipeline takes no more items.
    Closed(T),
}

/// The error of what does not wait; the same type as [`SendError`].
pub type TrySendError<T> = SendError<T>;

/// Items of a batch were not taken; they are still in the vector that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sending {left} more items to {}", refuses(*.full))]
#[non_exhaustive]
pub struct SendBatchError {
    /// How many were not taken.
    pub left: usize,
    /// Was it because the input is full, and says `overflow = reject`? Otherwise the pipeline takes no more.
    pub full: bool,
}

impl SendBatchError {
    pub(crate) fn closed(left: usize) -> Self {
        Self { left, full: false }
    }

    pub(crate) fn full(left: usize) -> Self {
        Self { left, full: true }
    }
}

fn refuses(full: bool) -> &'static str {
    match full {
        true => "a full input",
        false => "a pipeline that takes no more",
    }
}

impl<T> SendError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> SendError<U> {
        match self {
            Self::Full(item) => SendError::Full(f(item)),
            Self::Closed(item) => SendError::Closed(f(item)),
        }
    }

    /// Is the input full, so that a later try may succeed?
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "sending to a full input",
            Self::Closed(_) => "sending to a pipeline that takes no more items",
        })
    }
}

impl<T> Error for SendError<T> {}

/// A stage panicked with an item, which leaves by its `Err` (`on_panic = dead_letter`): what the error of the stage is made
/// `From`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{stage}` panicked: {message}")]
#[non_exhaustive]
pub struct Panicked {
    /// The stage.
    pub stage: &'static str,
    /// What the panic said.
    pub message: String,
}
