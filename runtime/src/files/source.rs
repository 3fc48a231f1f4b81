//! A source that reads a file from where everything was done.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    FileError, OffsetFile,
    offset::Before,
    record::{Format, MAX},
};
use crate::{
    acks::Acknowledge,
    dead_letters::frame::{FRONT, front_of, is_whole},
    emit::{Emit, Flow},
};

/// What is read ahead, in bytes.
const BUFFER: usize = 64 << 10;

/// How a file is read; [`FileSource::lines`] and [`FileSource::frames`] make one.
#[must_use = "nothing is opened before `open`"]
pub struct SourceOptions {
    path: PathBuf,
    kept: PathBuf,
    format: Format,
    follow: bool,
    before: Option<Before>,
}

/// A file as a polled source, for `#[source(acks)]`; see [the module](super).
pub struct FileSource {
    reader: BufReader<File>,
    path: PathBuf,
    format: Format,
    follow: bool,
    /// Behind the last record that was sent.
    offset: u64,
    /// Was there an error, after which nothing is read?
    failed: bool,
    offsets: Option<OffsetFile>,
}

impl FileSource {
    /// The lines of a file; `kept` is the file that keeps the position.
    pub fn lines(path: impl Into<PathBuf>, kept: impl Into<PathBuf>) -> SourceOptions {
        SourceOptions::new(path.into(), kept.into(), Format::Lines)
    }

    /// The frames of a file, as [`FileSink::frames`](super::FileSink::frames) writes them; otherwise as [`Self::lines`].
    pub fn frames(path: impl Into<PathBuf>, kept: impl Into<PathBuf>) -> SourceOptions {
        SourceOptions::new(path.into(), kept.into(), Format::Frames)
    }

    /// Sends the next record. Without one it says [`Flow::Done`] at the end of the file, or [`Flow::Idle`] if the file is
    /// followed. A record that cannot be read is sent as the error, and is the last: its position is not passed.
    pub fn poll(&mut self, out: &mut Emit<Result<Vec<u8>, FileError>>) -> Flow {
        if self.failed {
            return Flow::Done;
        }
        match self.next() {
            Ok(Some(record)) => {
                out.send(Ok(record));
                Flow::More
            }
            Ok(None) if self.follow => Flow::Idle,
            Ok(None) => Flow::Done,
            Err(error) => {
                self.failed = true;
                out.send(Err(error));
                Flow::Done
            }
        }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        match self.format {
            Format::Lines => self.line(),
            Format::Frames => self.frame(),
        }
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        let mut line = Vec::new();
        let mut bounded = self.reader.by_ref().take(MAX as u64 + 1);
        let len = bounded
            .read_until(b'\n', &mut line)
            .map_err(FileError::io(&self.path))?;
        let ends = line.last() == Some(&b'\n');
        if ends {
            line.pop();
        }
        if line.len() > MAX {
            return Err(self.long());
        }
        if len == 0 || (!ends && self.follow) {
            // Somebody may be writing the rest of it.
            self.back()?;
            return Ok(None);
        }
        self.offset += len as u64;
        Ok(Some(line))
    }

    fn frame(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        let front = self.read(FRONT)?;
        let (len, crc) = match front_of(&front) {
            Some(found) => found,
            None if front.len() < FRONT => return self.torn(front.is_empty()),
            None => return Err(self.damaged()),
        };
        if len > MAX {
            return Err(self.long());
        }
        let body = self.read(len)?;
        if body.len() < len {
            return self.torn(false);
        }
        if !is_whole(&front, &body, crc) {
            return Err(self.damaged());
        }
        self.offset += (FRONT + len) as u64;
        Ok(Some(body))
    }

    /// So many bytes, or fewer at the end.
    fn read(&mut self, len: usize) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        let mut bounded = self.reader.by_ref().take(len as u64);
        bounded
            .read_to_end(&mut bytes)
            .map_err(FileError::io(&self.path))?;
        Ok(bytes)
    }

    /// The file ends in the middle of a frame, or before one.
    fn torn(&mut self, nothing: bool) -> Result<Option<Vec<u8>>, FileError> {
        if !nothing && !self.follow {
            return Err(self.damaged());
        }
        self.back()?;
        Ok(None)
    }

    /// Goes back to where the record begins.
    fn back(&mut self) -> Result<(), FileError> {
        let to = SeekFrom::Start(self.offset);
        self.reader
            .seek(to)
            .map(drop)
            .map_err(FileError::io(&self.path))
    }

    fn long(&self) -> FileError {
        FileError::Long {
            path: self.path.clone(),
            at: self.offset,
        }
    }

    fn damaged(&self) -> FileError {
        FileError::Damaged {
            path: self.path.clone(),
            at: self.offset,
        }
    }
}

impl SourceOptions {
    fn new(path: PathBuf, kept: PathBuf, format: Format) -> Self {
        Self {
            path,
            kept,
            format,
            follow: false,
            before: None,
        }
    }

    /// Waits for more at the end of the file, and for the rest of a record that is being written. Without it, the source ends there.
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// What is done before each position is kept: makes durable what sinks have taken. If it fails, the position is not kept and
    /// the run stops.
    pub fn before_commit(
        mut self,
        before: impl FnMut() -> Result<(), FileError> + Send + 'static,
    ) -> Self {
        self.before = Some(Box::new(before));
        self
    }

    /// Opens the file at the position that was kept; at its beginning if there is none.
    ///
    /// # Errors
    ///
    /// If a file cannot be used, if the position is one of another file, or if another process uses it.
    pub fn open(self) -> Result<FileSource, FileError> {
        let Self {
            path,
            kept,
            format,
            follow,
            before,
        } = self;
        let (mut offsets, offset) = OffsetFile::open(&path, &kept)?;
        offsets.set_before(before);
        let file = open_at(&path, offset).map_err(FileError::io(&path))?;
        Ok(FileSource {
            reader: BufReader::with_capacity(BUFFER, file),
            path,
            format,
            follow,
            offset,
            failed: false,
            offsets: Some(offsets),
        })
    }
}

fn open_at(path: &Path, offset: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(file)
}

impl Acknowledge for FileSource {
    type Position = u64;
    type Committer = OffsetFile;
    type Error = FileError;

    fn committer(&mut self) -> Result<OffsetFile, FileError> {
        self.offsets.take().ok_or_else(|| FileError::InUse {
            kept: self.path.clone(),
        })
    }

    fn position(&self) -> u64 {
        self.offset
    }
}

impl fmt::Debug for SourceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOptions")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSource")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
