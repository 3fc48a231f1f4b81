//! What can go wrong with a folder of dead letters.

use std::{io, path::PathBuf, time::Duration};

use super::Record;
use crate::sync::Arc;

/// Letters could not be kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLettersError {
    /// The folder cannot be used.
    #[error("cannot keep dead letters in `{}`: {}", .folder.display(), told(.source))]
    Open {
        /// The folder; empty for a storage of another kind.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// An option is out of its range.
    #[error("{0}")]
    OutOfRange(&'static str),
    /// Nothing could be written for the time to give up.
    #[error("{waiting} dead letters could not be written for {time:?}: {source}")]
    NotWritten {
        /// How many wait.
        waiting: usize,
        /// For how long.
        time: Duration,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// What the letter says could not be encoded.
    #[error("a dead letter could not be encoded")]
    Encoding,
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock => "another process has it".to_owned(),
        _ => error.to_string(),
    }
}

/// A folder could not be closed in order.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
#[non_exhaustive]
pub struct CloseError {
    /// Why not.
    #[source]
    pub error: DeadLettersError,
    /// The letters that are not durable.
    pub left: Vec<Record>,
}
