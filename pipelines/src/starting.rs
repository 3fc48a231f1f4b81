//! How runs of all pipelines begin: with a tuning file and a number of workers, if there are any, and signals that end them.

use std::{error::Error, io, path::Path};

use pipewright::{Blueprint, Builder, Signals, StartError, TuningError};

/// Why a run did not begin, as a command line needs to know.
pub trait Refusal: Error {
    /// Whether the text is a report with places and snippets, which needs nothing around it.
    fn is_rendered(&self) -> bool;

    /// Whether the command line or the environment is to blame.
    fn is_usage(&self) -> bool;
}

/// Why no run of any pipeline may begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unstarted {
    /// The tuning file cannot be used.
    #[error(transparent)]
    Tuning(#[from] TuningError),
    /// The signals that ask the process to end cannot be taken.
    #[error("cannot take signals: {0}")]
    Signals(#[source] io::Error),
    /// The pipeline cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Refusal for Unstarted {
    fn is_rendered(&self) -> bool {
        matches!(
            self,
            Self::Tuning(TuningError::Wrong(_))
                | Self::Start(StartError::Tuning(TuningError::Wrong(_)))
        )
    }

    fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Tuning(_) | Self::Start(StartError::Number(_) | StartError::Tuning(_))
        )
    }
}

/// Takes the signals that ask the process to end.
///
/// # Errors
///
/// If the system does not give them.
pub fn signals() -> Result<Signals, Unstarted> {
    Signals::listen().map_err(Unstarted::Signals)
}

/// Sets what all pipelines let be set: a tuning file, which is read again when it changes, and the number of threads that work, as
/// many as there are cores if not said.
///
/// # Errors
///
/// If the file cannot be used.
pub fn tuned<P: Blueprint>(
    mut pipeline: Builder<P>,
    tuning: Option<&Path>,
    workers: Option<usize>,
) -> Result<Builder<P>, Unstarted> {
    if let Some(path) = tuning {
        pipeline = pipeline.watch_tuning(path)?;
    }
    if let Some(workers) = workers {
        pipeline = pipeline.workers(workers);
    }
    Ok(pipeline)
}
