//! The file that keeps the position of a source.
//!
//! It is written as a whole beside the old one, made durable, and renamed, so that there is one or the other at any time. It also has
//! a fingerprint of the bytes in front of the position, so that it is not taken for that of another file.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::FileError;
use crate::acks::Commit;

/// Bytes in front of a position that its fingerprint is of.
const SEEN: usize = 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    offset: u64,
    /// CRC-32C of the bytes in front of it.
    fingerprint: u32,
}

/// What is done before a position is kept.
pub(super) type Before = Box<dyn FnMut() -> Result<(), FileError> + Send>;

/// Keeps the position of a [`FileSource`](super::FileSource).
pub struct OffsetFile {
    /// The source's file, for fingerprints.
    data: File,
    path: PathBuf,
    kept: PathBuf,
    before: Option<Before>,
    /// Locked as long as this is there.
    _lock: File,
}

impl OffsetFile {
    /// Opens it, for this process alone, and returns the position in it.
    pub(super) fn open(path: &Path, kept: &Path) -> Result<(Self, u64), FileError> {
        let lock = with_ending(kept, "lock");
        let lock_file = private(OpenOptions::new().create(true).truncate(false))
            .open(&lock)
            .map_err(FileError::io(&lock))?;
        match rustix::fs::flock(&lock_file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(FileError::InUse {
                    kept: kept.to_owned(),
                });
            }
            Err(error) => return Err(FileError::io(&lock)(error.into())),
        }
        let this = Self {
            data: File::open(path).map_err(FileError::io(path))?,
            path: path.to_owned(),
            kept: kept.to_owned(),
            before: None,
            _lock: lock_file,
        };
        let offset = this.read()?;
        Ok((this, offset))
    }

    pub(super) fn set_before(&mut self, before: Option<Before>) {
        self.before = before;
    }

    fn read(&self) -> Result<u64, FileError> {
        let mut text = Vec::new();
        match File::open(&self.kept) {
            Ok(file) => file
                .take(1 << 12)
                .read_to_end(&mut text)
                .map_err(FileError::io(&self.kept))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(FileError::io(&self.kept)(error)),
        };
        let kept: Option<Kept> = serde_json::from_slice(&text).ok();
        let Some(Kept {
            version: 1,
            offset,
            fingerprint,
        }) = kept
        else {
            return Err(FileError::Offset {
                kept: self.kept.clone(),
            });
        };
        let same = self
            .fingerprint(offset)
            .map_err(FileError::io(&self.path))?
            == Some(fingerprint);
        same.then_some(offset).ok_or_else(|| FileError::Other {
            path: self.path.clone(),
            kept: self.kept.clone(),
            offset,
        })
    }

    /// That of the bytes in front of a position; `None` behind the end.
    fn fingerprint(&self, offset: u64) -> io::Result<Option<u32>> {
        let len = offset.min(SEEN as u64);
        let mut seen = [0; SEEN];
        let seen = &mut seen[..len as usize];
        match self.data.read_exact_at(seen, offset - len) {
            Ok(()) => Ok(Some(crc32c::crc32c(seen))),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, offset: u64) -> io::Result<()> {
        let fingerprint = self.fingerprint(offset)?.ok_or(ErrorKind::UnexpectedEof)?;
        let kept = Kept {
            version: 1,
            offset,
            fingerprint,
        };
        let text = serde_json::to_vec(&kept)?;
        let new = with_ending(&self.kept, "new");
        let mut file = private(OpenOptions::new().create(true).truncate(true)).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.kept)?;
        let folder = self.kept.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Commit<u64> for OffsetFile {
    type Error = FileError;

    fn commit(&mut self, offset: u64) -> Result<(), FileError> {
        if let Some(before) = &mut self.before {
            before()?;
        }
        self.write(offset).map_err(FileError::io(&self.kept))
    }
}

impl Drop for OffsetFile {
    fn drop(&mut self) {
        // As for a folder of dead letters: a process that was forked meanwhile has the file open too.
        let _ = rustix::fs::flock(&self._lock, FlockOperation::Unlock);
    }
}

impl fmt::Debug for OffsetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetFile")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

/// To write a file that only its owner may read, and no link leads to.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
}

pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
