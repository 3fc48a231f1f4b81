//! Dead letters that outlive the process: a folder of checksummed segments, made durable in groups.
//!
//! [`DeadLetters`] writes them. One process has a folder at a time; every thread of it may write. Letters are read again by
//! [`Found::read`] and by `cargo xtask dead-letters`, also while they are written.
//!
//! ```
//! use std::time::SystemTime;
//! use pipewright::dead_letters::{DeadLetters, Entry, Found};
//!
//! let folder = tempfile::tempdir()?;
//! let letters = DeadLetters::open(folder.path())?;
//! let entry = Entry {
//!     time: SystemTime::now(),
//!     stage: "parse",
//!     class: "item",
//!     attempts: 1,
//!     origin: None,
//!     error: "`ten` is not a number",
//! };
//! letters.keep_json(&entry, "ten")?;
//! letters.close()?;
//!
//! let found = Found::read(folder.path())?;
//! assert_eq!(found.letters[0].error, "`ten` is not a number");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **What is on the disk when.** A letter that was taken is written at once by a thread that belongs to the folder, so it
//! outlives the process; it outlives the machine when that thread has made it durable, at most [`Options::group`] later
//! (10 ms), together with those that came meanwhile. [`DeadLetters::sync`] waits for that, and so does
//! [`DeadLetters::close`].
//!
//! **When writing fails**, be it that the disk is full, nothing is dropped and nothing panics:
//!
//! 1. It is tried again, after 10 ms at first and a second at most ([`Options::backoff`]).
//! 2. Meanwhile letters wait in memory, 4096 of them or 64 MiB ([`Options::waiting`]).
//! 3. When there is no room for more, who brings one waits: the pipeline is held back up to its sources.
//! 4. When nothing could be written for 30 s ([`Options::give_up`]), [`DeadLetters::keep_json`] and its siblings return
//!    [`DeadLettersError::NotWritten`] instead of waiting. A sink that returns it, with `on_error = stop`, ends the run. Letters that wait are still
//!    tried; [`DeadLetters::close`] gives back those that could not be written.
//!
//! A letter is at least once in its folder: a segment that could not be made durable is left alone, and its last letters are written
//! again into another one. A reader takes each number once.

mod error;
pub(crate) mod frame;
pub(crate) mod log;
mod options;
mod reader;
mod record;
mod storage;
mod writer;

use std::{fmt, io, path::PathBuf, time::Duration};

use serde::Serialize;

pub use self::{
    error::{CloseError, DeadLettersError},
    options::Options,
    reader::{Damage, Found, ReadError, letters},
    record::{Entry, Keep, Payload, Record},
    storage::{Folder, Segment, Storage},
};
use self::{
    frame::frame,
    log::Log,
    record::Draft,
    writer::{Held, Line, Writer},
};
use crate::{
    letter::DeadLetter,
    sync::{Arc, thread},
};

/// A folder of dead letters that is written to; see [the module](self). When it is dropped it waits until its letters are durable, or
/// until it may give up.
pub struct DeadLetters {
    keep: Keep,
    line: Arc<Line>,
    /// The thread that writes, which returns what it could not write; `None` when it was joined.
    writer: Option<thread::JoinHandle<Vec<Held>>>,
}

/// What a folder's writer has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLettersStats {
    /// Letters that were taken.
    pub taken: u64,
    /// Letters that wait in memory until they are durable.
    pub waiting: usize,
    /// Attempts to write or to make durable that failed.
    pub failures: u64,
    /// How long nothing could be made durable, while that is so.
    pub failing: Option<Duration>,
    /// Segments that were left because they could not be made durable.
    pub abandoned: u64,
    /// Is the space of segments reserved? Some file systems cannot.
    pub is_reserved: bool,
}

impl DeadLetters {
    /// Opens a folder as [`Options`] say by default, for this process alone. The folder is made if it is missing.
    ///
    /// # Errors
    ///
    /// If it cannot be used, or another process has it.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, DeadLettersError> {
        Self::options().open(folder)
    }

    /// How letters are kept, to be changed before [`Options::open`].
    pub fn options() -> Options {
        Options::new()
    }

    fn start(
        storage: impl Storage,
        folder: PathBuf,
        options: &Options,
    ) -> Result<Self, DeadLettersError> {
        let failed = |source: io::Error| DeadLettersError::Open {
            folder: folder.clone(),
            source: Arc::new(source),
        };
        let (log, last) = Log::open(storage, options.sizes).map_err(failed)?;
        let line = Arc::new(Line::new(options, last, log.is_reserved));
        let writer = Writer::new(log, Arc::clone(&line), options);
        let writer = thread::Builder::new()
            .name("dead letters".to_owned())
            .spawn(|| writer.run())
            .map_err(failed)?;
        Ok(Self {
            keep: options.keep,
            line,
            writer: Some(writer),
        })
    }

    /// Takes a letter of a pipeline, with its item as JSON.
    ///
    /// ```
    /// use pipewright::{DeadLetter, dead_letters::{DeadLetters, DeadLettersError, Found}, pipeline};
    ///
    /// #[pipeline(env = std::path::PathBuf)]
    /// mod numbers {
    ///     use super::{DeadLetter, DeadLetters, DeadLettersError};
    ///     use std::{num::ParseIntError, path::PathBuf};
    ///
    ///     #[source]
    ///     pub fn lines() -> impl Iterator<Item = String> {
    ///         ["1", "two", "3"].into_iter().map(str::to_owned)
    ///     }
    ///
    ///     #[stage(from = lines)]
    ///     pub fn parse(line: String) -> Result<u32, ParseIntError> {
    ///         line.parse()
    ///     }
    ///
    ///     #[sink(from = parse)]
    ///     pub fn add(_n: u32) {}
    ///
    ///     fn open(folder: &PathBuf) -> Result<DeadLetters, DeadLettersError> {
    ///         DeadLetters::open(folder)
    ///     }
    ///
    ///     #[sink(from = parse::Err, state = open, on_error = stop)]
    ///     pub fn keep(
    ///         letter: DeadLetter<ParseIntError, String>,
    ///         letters: &mut DeadLetters,
    ///     ) -> Result<(), DeadLettersError> {
    ///         letters.keep(&letter)
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let folder = tempfile::tempdir()?;
    /// numbers::pipeline().start(folder.path().to_owned())?.wait()?;
    /// let found = Found::read(folder.path())?;
    /// assert_eq!((&*found.letters[0].stage, &*found.letters[0].error), ("parse", "invalid digit found in string"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::keep_json`].
    pub fn keep<E: fmt::Display, T: Serialize>(
        &self,
        letter: &DeadLetter<E, T>,
    ) -> Result<(), DeadLettersError> {
        with_entry(letter, |entry| self.keep_json(entry, &letter.item))
    }

    /// Takes a letter of a pipeline, with its item as bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::keep_json`].
    pub fn keep_with_bytes<E: fmt::Display, T>(
        &self,
        letter: &DeadLetter<E, T>,
        item: &[u8],
    ) -> Result<(), DeadLettersError> {
        with_entry(letter, |entry| self.keep_bytes(entry, item))
    }

    /// Takes a letter of a pipeline without its item.
    ///
    /// # Errors
    ///
    /// As [`Self::keep_json`].
    pub fn keep_without_item<E: fmt::Display, T>(
        &self,
        letter: &DeadLetter<E, T>,
    ) -> Result<(), DeadLettersError> {
        with_entry(letter, |entry| self.keep_error(entry))
    }

    /// Takes a letter, with its item as JSON. An item that cannot be JSON is kept as the reason for that.
    ///
    /// # Errors
    ///
    /// [`DeadLettersError::NotWritten`] if there is no room for it and nothing could be written for the time to give up. It
    /// was not taken then.
    pub fn keep_json<T: Serialize + ?Sized>(
        &self,
        entry: &Entry<'_>,
        item: &T,
    ) -> Result<(), DeadLettersError> {
        self.take(&Draft::json(entry, item, self.keep))
    }

    /// Takes a letter, with its item as bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::keep_json`].
    pub fn keep_bytes(&self, entry: &Entry<'_>, item: &[u8]) -> Result<(), DeadLettersError> {
        self.take(&Draft::bytes(entry, item, self.keep))
    }

    /// Takes a letter whose item is not at hand.
    ///
    /// # Errors
    ///
    /// As [`Self::keep_json`].
    pub fn keep_error(&self, entry: &Entry<'_>) -> Result<(), DeadLettersError> {
        self.take(&Draft::without_payload(entry))
    }

    fn take(&self, draft: &Draft<'_>) -> Result<(), DeadLettersError> {
        // The number is in the frame, so it is made under the lock that gives the number.
        self.line.push(draft.size(), |number| {
            let body = draft.body(number).map_err(|_| DeadLettersError::Encoding)?;
            Ok(frame(&body))
        })
    }

    /// Waits until all letters that were taken so far are durable.
    ///
    /// # Errors
    ///
    /// [`DeadLettersError::NotWritten`] if nothing could be written for the time to give up. The letters are still tried.
    pub fn sync(&self) -> Result<(), DeadLettersError> {
        self.line.sync()
    }

    /// What was done so far.
    pub fn stats(&self) -> DeadLettersStats {
        self.line.stats()
    }

    /// Waits until all letters are durable, and gives the folder up.
    ///
    /// # Errors
    ///
    /// If nothing could be written for the time to give up; the error has the letters that are not durable.
    pub fn close(mut self) -> Result<DeadLettersStats, CloseError> {
        let result = self.line.sync();
        let left = self.end();
        match result {
            Ok(()) => Ok(self.line.stats()),
            Err(error) => {
                let left = left.iter().filter_map(Held::record).collect();
                Err(CloseError { error, left })
            }
        }
    }

    /// Ends the thread, which returns what it has not written.
    fn end(&mut self) -> Vec<Held> {
        let Some(writer) = self.writer.take() else {
            return Vec::new();
        };
        self.line.end();
        // It panics only if a storage does, and has nothing to give back then.
        writer.join().unwrap_or_default()
    }
}

fn with_entry<E: fmt::Display, T, R>(
    letter: &DeadLetter<E, T>,
    take: impl FnOnce(&Entry<'_>) -> R,
) -> R {
    let (error, class) = (
        letter.error.to_string(),
        format!("{:?}", letter.class).to_lowercase(),
    );
    take(&Entry {
        time: letter.last,
        stage: letter.stage,
        class: &class,
        attempts: letter.attempts,
        origin: letter.origin.clone(),
        error: &error,
    })
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        if self.writer.is_some() {
            // Whoever wants to know calls `close`.
            let _ = self.line.sync();
            self.end();
        }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
