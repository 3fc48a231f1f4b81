//! What can go wrong with the files of a pipeline.

use std::{io, path::PathBuf, sync::Arc};

/// A file of a pipeline could not be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// A record is longer than 16 MiB.
    #[error("`{}`: the record at byte {at} is longer than 16 MiB", .path.display())]
    Long {
        /// The file.
        path: PathBuf,
        /// Where it begins.
        at: u64,
    },
    /// A frame is damaged.
    #[error("`{}`: the frame at byte {at} is damaged", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it begins.
        at: u64,
    },
    /// A record with which the process ended twice: see [`SourceOptions::find_crashes`](super::SourceOptions::find_crashes). Behind it
    /// the source goes on.
    #[error("`{}`: the process ended twice with the record at byte {at}", .path.display())]
    Crashed {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
        /// The record.
        record: Vec<u8>,
    },
    /// A line to be written has a line break in it.
    #[error("`{}`: a record with a line break is not one line; write frames instead", .path.display())]
    LineBreak {
        /// The file.
        path: PathBuf,
    },
    /// The position that was kept is not one of this file.
    #[error("`{}` keeps byte {offset} of another `{}`; remove it to begin at the beginning", .kept.display(), .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The file of the position.
        kept: PathBuf,
        /// The position.
        offset: u64,
    },
    /// The file of the position says nothing that is understood.
    #[error("`{}` keeps no position; remove it to begin at the beginning", .kept.display())]
    Offset {
        /// The file of the position.
        kept: PathBuf,
    },
    /// Another process has the file of the position.
    #[error("another process uses `{}`", .kept.display())]
    InUse {
        /// The file of the position.
        kept: PathBuf,
    },
    /// The sink could not be made durable before, and takes nothing any more.
    #[error("`{}` could not be made durable: {source}", .path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
}

impl FileError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            path,
            source: Arc::new(source),
        }
    }
}
