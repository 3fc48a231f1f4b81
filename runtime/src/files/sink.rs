//! A sink that appends records to a file, and says when they are durable.
//!
//! Records gather in memory and are written at `end`, behind the last one that was written as a whole. If a write fails, what was not
//! written stays, and the next attempt begins at `end` again: a partial record is never followed by another one. If it cannot be made
//! durable nobody knows which pages are lost, so the file is cut off where it was durable last, and takes nothing any more.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    FileError,
    offset::private,
    record::{Format, MAX},
};
use crate::dead_letters::{
    Segment,
    frame::frame,
    log::{retried, write},
};

/// Records are written when so many bytes have gathered.
const GATHERED: usize = 64 << 10;

/// A file that records are appended to, by any thread; see [the module](super). When it is dropped, what has gathered is
/// written and made durable; [`FileSink::sync`] says whether that succeeds.
pub struct FileSink {
    path: PathBuf,
    format: Format,
    inside: Mutex<Inside>,
}

struct Inside {
    file: Box<dyn Segment>,
    gathered: Vec<u8>,
    /// Behind what was written.
    end: u64,
    /// Up to here it is durable.
    durable: u64,
    failed: Option<Arc<io::Error>>,
}

impl FileSink {
    /// A file of lines, which is made if it is missing, readable by its owner only. What a crash has left of a line is cut off.
    ///
    /// # Errors
    ///
    /// If it cannot be opened or mended, or is a link.
    pub fn lines(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::open(path.into(), Format::Lines)
    }

    /// A file of frames; otherwise as [`Self::lines`].
    ///
    /// # Errors
    ///
    /// As [`Self::lines`].
    pub fn frames(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::open(path.into(), Format::Frames)
    }

    fn open(path: PathBuf, format: Format) -> Result<Self, FileError> {
        let (file, end) = mended(&path, format).map_err(FileError::io(&path))?;
        Ok(Self::of(path, format, Box::new(file), end))
    }

    /// Lines that are appended to something else than a file, at `end`.
    pub fn lines_in(segment: impl Segment, end: u64) -> Self {
        Self::of(PathBuf::new(), Format::Lines, Box::new(segment), end)
    }

    fn of(path: PathBuf, format: Format, file: Box<dyn Segment>, end: u64) -> Self {
        Self {
            path,
            format,
            inside: Mutex::new(Inside {
                file,
                gathered: Vec::with_capacity(2 * GATHERED),
                end,
                durable: end,
                failed: None,
            }),
        }
    }

    /// Takes a record. It is durable after the next [`Self::sync`].
    ///
    /// # Errors
    ///
    /// If it is too long, or is no line, it was not taken. If the file could not be written it was taken, and is tried again.
    pub fn append(&self, record: &[u8]) -> Result<(), FileError> {
        let mut inside = self.inside()?;
        if record.len() > MAX {
            let at = inside.end + inside.gathered.len() as u64;
            let path = self.path.clone();
            return Err(FileError::Long { path, at });
        }
        match self.format {
            Format::Lines if record.contains(&b'\n') => {
                let path = self.path.clone();
                return Err(FileError::LineBreak { path });
            }
            Format::Lines => {
                inside.gathered.extend_from_slice(record);
                inside.gathered.push(b'\n');
            }
            Format::Frames => inside.gathered.extend(frame(record)),
        }
        if inside.gathered.len() < GATHERED {
            return Ok(());
        }
        inside.write().map_err(FileError::io(&self.path))
    }

    /// Waits until everything that was taken is durable.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or cannot be made durable; in the second case it takes nothing any more.
    pub fn sync(&self) -> Result<(), FileError> {
        let mut inside = self.inside()?;
        inside.write().map_err(FileError::io(&self.path))?;
        inside.sync().map_err(|source| FileError::NotDurable {
            path: self.path.clone(),
            source,
        })
    }

    /// Its inside, as long as it is in order.
    fn inside(&self) -> Result<MutexGuard<'_, Inside>, FileError> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match &inside.failed {
            None => Ok(inside),
            Some(source) => Err(FileError::NotDurable {
                path: self.path.clone(),
                source: Arc::clone(source),
            }),
        }
    }
}

impl Inside {
    fn write(&mut self) -> io::Result<()> {
        write(&mut *self.file, &self.gathered, self.end)?;
        self.end += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Arc<io::Error>> {
        if self.durable == self.end {
            return Ok(());
        }
        if let Err(error) = retried(|| self.file.sync()) {
            // Whether this helps or not, nothing was said to be durable behind it.
            let _ = self.file.truncate(self.durable);
            let error = Arc::new(error);
            self.failed = Some(Arc::clone(&error));
            return Err(error);
        }
        self.durable = self.end;
        Ok(())
    }
}

/// A file without the torn record at its end, and its length.
fn mended(path: &Path, format: Format) -> io::Result<(File, u64)> {
    let file = private(OpenOptions::new().read(true).create(true).truncate(false)).open(path)?;
    let len = file.metadata()?.len();
    let end = match format {
        Format::Lines => last_line(&file, len)?,
        Format::Frames => {
            let len = usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?;
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0)?;
            format.whole(&bytes) as u64
        }
    };
    if end < len {
        file.set_len(end)?;
    }
    file.sync_all()?;
    Ok((file, end))
}

/// Where the last line ends, looked for from the end.
fn last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut bytes = vec![0; GATHERED];
    while end > 0 {
        let some = end.min(GATHERED as u64);
        let part = &mut bytes[..some as usize];
        file.read_exact_at(part, end - some)?;
        match Format::Lines.whole(part) {
            0 => end -= some,
            whole => return Ok(end - some + whole as u64),
        }
    }
    Ok(0)
}

impl Drop for FileSink {
    fn drop(&mut self) {
        // Whoever wants to know calls it.
        let _ = self.sync();
    }
}

impl fmt::Debug for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSink")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
