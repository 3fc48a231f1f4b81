//! Why a call has no reply.

use std::{error::Error, fmt};

/// A call that got no reply: `T` is the request, `E` the error of the stages on its way.
///
/// A request that was not taken is in it, see [`into_request`](Self::into_request).
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError<T, E> {
    /// The input is full, and the call was not to wait, or the input says `overflow = reject`; or, without the request, it was
    /// dropped from the input, as its `overflow` or `shed` says.
    Overloaded(Option<T>),
    /// The breaker of a stage was open, and the stage says `on_open = drop`.
    BreakerOpen,
    /// The time is up. With the request, if it still waited for room; without, if it was on its way: it may be worked on
    /// nevertheless, and its answer is thrown away.
    Deadline(Option<T>),
    /// A stage did not pass the request on: it filtered it, or sent it by a door that does not lead to the answer.
    Filtered {
        /// The stage.
        stage: &'static str,
    },
    /// A stage failed.
    Failed {
        /// The stage.
        stage: &'static str,
        /// Its error.
        error: E,
    },
    /// A stage panicked.
    Panicked {
        /// The stage.
        stage: &'static str,
    },
    /// The pipeline takes no more requests, and here it is again; or it was stopped while the request was on its way.
    ShutDown(Option<T>),
}

impl<T, E> CallError<T, E> {
    /// The request, if it was not taken.
    pub fn into_request(self) -> Option<T> {
        match self {
            Self::Overloaded(request) | Self::Deadline(request) | Self::ShutDown(request) => {
                request
            }
            _ => None,
        }
    }

    /// The stage where the request ended, if it came to one.
    pub fn stage(&self) -> Option<&'static str> {
        match self {
            Self::Filtered { stage } | Self::Failed { stage, .. } | Self::Panicked { stage } => {
                Some(stage)
            }
            _ => None,
        }
    }

    /// Was there too much to do, so that a later call may succeed?
    pub fn is_overloaded(&self) -> bool {
        matches!(self, Self::Overloaded(_))
    }
}

impl<T, E: fmt::Debug> fmt::Debug for CallError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |request: &Option<T>| {
            if request.is_some() {
                "(Some(..))"
            } else {
                "(None)"
            }
        };
        match self {
            Self::Overloaded(request) => write!(f, "Overloaded{}", with(request)),
            Self::BreakerOpen => f.write_str("BreakerOpen"),
            Self::Deadline(request) => write!(f, "Deadline{}", with(request)),
            Self::Filtered { stage } => f.debug_struct("Filtered").field("stage", stage).finish(),
            Self::Failed { stage, error } => f
                .debug_struct("Failed")
                .field("stage", stage)
                .field("error", error)
                .finish(),
            Self::Panicked { stage } => f.debug_struct("Panicked").field("stage", stage).finish(),
            Self::ShutDown(request) => write!(f, "ShutDown{}", with(request)),
        }
    }
}

impl<T, E: fmt::Display> fmt::Display for CallError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded(Some(_)) => f.write_str("calling a pipeline with a full input"),
            Self::Overloaded(None) => {
                f.write_str("the request was dropped from the input, because there was too much")
            }
            Self::BreakerOpen => f.write_str("the request was dropped before an open breaker"),
            Self::Deadline(Some(_)) => f.write_str("there was no room in the input in time"),
            Self::Deadline(None) => f.write_str("there was no answer in time"),
            Self::Filtered { stage } => write!(f, "`{stage}` did not pass the request on"),
            Self::Failed { stage, error } => write!(f, "`{stage}` failed: {error}"),
            Self::Panicked { stage } => write!(f, "`{stage}` panicked"),
            Self::ShutDown(Some(_)) => {
                f.write_str("calling a pipeline that takes no more requests")
            }
            Self::ShutDown(None) => f.write_str("the pipeline was stopped before the answer"),
        }
    }
}

impl<T, E: Error + 'static> Error for CallError<T, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { error, .. } => Some(error),
            _ => None,
        }
    }
}
