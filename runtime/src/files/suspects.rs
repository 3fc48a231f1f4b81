//! Finding records that end the process: by an abort, a stack overflow, or whatever else takes it away.
//!
//! A small file beside the position says how far the source had read, which is written before a batch is worked on and survives the
//! process, though not the machine. A run that finds it there goes on **carefully** up to that place: each record is done before the next
//! is read, and is noted before it is given. If the process ends again, the record that is noted was alone. It is not given again as a
//! record but as [`FileError::Crashed`](super::FileError::Crashed): the second time it is there, it is known.
//!
//! Whoever drops a source has ended in order, and empties the file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use super::offset::private;

/// Most records that are remembered, of those behind the position.
const MOST: usize = 1024;

/// What is known about records that ended the process.
#[derive(Debug)]
pub(super) struct Suspects {
    file: File,
    /// Up to here it goes carefully; 0 if not at all.
    until: u64,
    /// Where the records are that ended the process alone.
    known: Vec<u64>,
}

impl Suspects {
    /// Opens the file of a source that begins at `offset`.
    pub(super) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = private(options.read(true).create(true).truncate(false)).open(path)?;
        let mut bytes = Vec::new();
        (&file)
            .take(8 * (2 + MOST as u64))
            .read_to_end(&mut bytes)?;
        let mut numbers = bytes
            .chunks_exact(8)
            .map(|eight| eight.try_into().map_or(0, u64::from_le_bytes));
        let (furthest, noted) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let mut known: Vec<u64> = numbers.collect();
        // A note is the place and one, so that 0 is none.
        known.extend(noted.checked_sub(1));
        known.retain(|at| *at >= offset);
        known.truncate(MOST);
        let until = if furthest > offset { furthest } else { 0 };
        let this = Self { file, until, known };
        this.write(until)?;
        Ok(this)
    }

    /// Writes everything, with nothing noted.
    fn write(&self, furthest: u64) -> io::Result<()> {
        let numbers = [furthest, 0].into_iter().chain(self.known.iter().copied());
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        self.file.write_all_at(&bytes, 0)?;
        self.file.set_len(bytes.len() as u64)
    }

    /// Does it go carefully at this place?
    pub(super) fn is_careful(&self, offset: u64) -> bool {
        self.until > 0 && offset <= self.until
    }

    /// The record at `offset` is given next; is it one that ended the process?
    pub(super) fn next(&mut self, offset: u64) -> io::Result<bool> {
        if self.until == 0 {
            return Ok(false);
        }
        let is_known = self.known.contains(&offset);
        let note = match offset < self.until && !is_known {
            true => offset + 1,
            false => 0,
        };
        self.file.write_all_at(&note.to_le_bytes(), 8)?;
        if offset >= self.until {
            self.until = 0;
        }
        Ok(is_known)
    }

    /// Everything up to `offset` is about to be worked on. Where that cannot be written, a crash finds less.
    pub(super) fn reached(&self, offset: u64) {
        let furthest = offset.max(self.until);
        let _ = self.file.write_all_at(&furthest.to_le_bytes(), 0);
    }
}

impl Drop for Suspects {
    fn drop(&mut self) {
        // If it cannot be emptied the next run goes carefully, which costs time and nothing else.
        let _ = self.write(0);
    }
}
