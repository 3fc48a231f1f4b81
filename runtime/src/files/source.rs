//! A source that reads a file from where everything was done.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    FileError, OffsetFile,
    offset::{Before, with_ending},
    record::{Format, MAX},
    suspects::Suspects,
};
use crate::{
    acks::{Acknowledge, Rewind},
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
    finds_crashes: bool,
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
    suspects: Option<Suspects>,
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
                out.send(record);
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

    /// The next record, or what is given in its place.
    fn next(&mut self) -> Result<Option<Result<Vec<u8>, FileError>>, FileError> {
        let at = self.offset;
        let record = match self.format {
            Format::Lines => self.line()?,
            Format::Frames => self.frame()?,
        };
        let Some(record) = record else {
            return Ok(None);
        };
        let crashed = match &mut self.suspects {
            Some(suspects) => suspects.next(at).map_err(FileError::io(&self.path))?,
            None => false,
        };
        let path = || self.path.clone();
        Ok(Some(match crashed {
            true => Err(FileError::Crashed {
                path: path(),
                at,
                record,
            }),
            false => Ok(record),
        }))
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
            finds_crashes: false,
            before: None,
        }
    }

    /// Waits for more at the end of the file, and for the rest of a record that is being written. Without it, the source ends there.
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Finds records that end the process, such as by a stack overflow. A run that follows one whose process ended goes carefully over
    /// the records that may have been worked on, one after the other. If the process ends again, the record that was alone is not given a
    /// third time: in its place comes [`FileError::Crashed`], for the dead letters. Whoever ends the process twice for other reasons
    /// while a record is alone makes it look like one of them.
    ///
    /// Costs a system call for each batch.
    pub fn find_crashes(mut self) -> Self {
        self.finds_crashes = true;
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
            finds_crashes,
            before,
        } = self;
        let (mut offsets, offset) = OffsetFile::open(&path, &kept)?;
        offsets.set_before(before);
        let running = with_ending(&kept, "running");
        let suspects = finds_crashes.then(|| Suspects::open(&running, offset));
        let suspects = suspects.transpose().map_err(FileError::io(running))?;
        let file = open_at(&path, offset).map_err(FileError::io(&path))?;
        Ok(FileSource {
            reader: BufReader::with_capacity(BUFFER, file),
            path,
            format,
            follow,
            offset,
            failed: false,
            offsets: Some(offsets),
            suspects,
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
        if let Some(suspects) = &self.suspects {
            suspects.reached(self.offset);
        }
        self.offset
    }

    fn is_careful(&self) -> bool {
        let suspects = self.suspects.as_ref();
        suspects.is_some_and(|suspects| suspects.is_careful(self.offset))
    }
}

impl Rewind for FileSource {
    fn rewind(&mut self, position: u64) -> Result<(), FileError> {
        self.offset = position;
        self.failed = false;
        self.back()
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
