//! How letters are kept.

use std::{path::PathBuf, time::Duration};

use super::{DeadLetters, DeadLettersError, Folder, Keep, Storage, log::Sizes};
use crate::sync::Arc;

const MIB: u64 = 1 << 20;

/// How letters are kept; [`DeadLetters::options`] makes one.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open`"]
pub struct Options {
    pub(super) keep: Keep,
    pub(super) sizes: Sizes,
    pub(super) group: Duration,
    pub(super) give_up: Duration,
    pub(super) backoff: (Duration, Duration),
    pub(super) waiting: usize,
    pub(super) waiting_bytes: usize,
}

impl Options {
    pub(super) fn new() -> Self {
        Self {
            keep: Keep::Full,
            sizes: Sizes {
                segment: 64 * MIB,
                total: 1024 * MIB,
            },
            group: Duration::from_millis(10),
            give_up: Duration::from_secs(30),
            backoff: (Duration::from_millis(10), Duration::from_secs(1)),
            waiting: 4096,
            waiting_bytes: 64 * MIB as usize,
        }
    }

    /// What is kept of the items. Default: [`Keep::Full`].
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Bytes of a segment, all of which are reserved on the disk when it is made. Default 64 MiB, from 4 KiB to 1 GiB. A letter
    /// that is larger gets a segment of its own.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.sizes.segment = bytes;
        self
    }

    /// Bytes of all segments together, at least those of one. When they are reached it is as if the disk were full, until
    /// somebody moves segments away. Default 1 GiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.sizes.total = bytes;
        self
    }

    /// How long a letter waits for others that are made durable together with it. Default 10 ms, at most 10 s.
    pub fn group(mut self, time: Duration) -> Self {
        self.group = time;
        self
    }

    /// How long writing may fail until [`DeadLetters::keep`] and [`DeadLetters::sync`] say so. Default 30 s, at most an hour.
    pub fn give_up(mut self, time: Duration) -> Self {
        self.give_up = time;
        self
    }

    /// How long is waited after a failure until the next attempt: `first` at first, twice as long each time, and `most` at most.
    /// Default 10 ms and 1 s, at most a minute.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = (first, most.max(first));
        self
    }

    /// How many letters, and bytes of them, wait in memory at most. Whoever brings more has to wait. Default 4096 letters
    /// and 64 MiB; a single letter is always taken.
    pub fn waiting(mut self, letters: usize, bytes: usize) -> Self {
        self.waiting = letters;
        self.waiting_bytes = bytes;
        self
    }

    /// Opens a folder, which is made if it is missing, for this process alone.
    ///
    /// # Errors
    ///
    /// If a number is out of its range, or the folder or its last segment cannot be used, or another process has it.
    pub fn open(self, folder: impl Into<PathBuf>) -> Result<DeadLetters, DeadLettersError> {
        let folder = folder.into();
        let storage = Folder::open(&folder).map_err(|source| DeadLettersError::Open {
            folder: folder.clone(),
            source: Arc::new(source),
        })?;
        self.start(storage, folder)
    }

    /// As [`Self::open`], with letters in a place of another kind.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_in(self, storage: impl Storage) -> Result<DeadLetters, DeadLettersError> {
        self.start(storage, PathBuf::new())
    }

    fn start(
        self,
        storage: impl Storage,
        folder: PathBuf,
    ) -> Result<DeadLetters, DeadLettersError> {
        self.checked()?;
        DeadLetters::start(storage, folder, &self)
    }

    fn checked(&self) -> Result<(), DeadLettersError> {
        let Sizes { segment, total } = self.sizes;
        let wrong = [
            (
                !(4096..=1024 * MIB).contains(&segment),
                "`segment_bytes` is from 4 KiB to 1 GiB",
            ),
            (total < segment, "`max_bytes` is at least `segment_bytes`"),
            (
                self.group > Duration::from_secs(10),
                "`group` is at most 10 s",
            ),
            (
                self.give_up > Duration::from_secs(3600),
                "`give_up` is at most an hour",
            ),
            (
                self.backoff.1 > Duration::from_secs(60),
                "`backoff` is at most a minute",
            ),
            (self.waiting == 0, "`waiting` is at least one letter"),
        ];
        match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, rule)) => Err(DeadLettersError::OutOfRange(rule)),
            None => Ok(()),
        }
    }
}
