//! Reads the files that people name, whatever lies under the name: a folder, a pipe that nobody writes to, a device without
//! an end, gigabytes, bytes that are no text. Nothing is read that is no regular file, and never more than a bound.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Why a file was not read.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// There is none.
    Missing,
    /// It is a folder.
    Folder,
    /// It is a pipe, a device or a socket, which may have no end or never begin.
    Special,
    /// It is longer than what is read.
    Large {
        /// Its length in bytes; one more than `most` if it grew while it was read.
        len: u64,
        /// The most bytes that are read.
        most: u64,
    },
    /// It is not UTF-8.
    NotText {
        /// The line of the first byte that is none, from 1.
        line: usize,
        /// Its column, from 1, in characters.
        column: usize,
    },
    /// The system refused.
    Io(io::Error),
}

/// The text of a regular file of at most `most` bytes.
///
/// ```
/// use pipewright_spec::files::{FileError, read};
///
/// assert!(matches!(read("/".as_ref(), 100), Err(FileError::Folder)));
/// assert!(matches!(read("/dev/zero".as_ref(), 100), Err(FileError::Special | FileError::Missing)));
/// ```
pub fn read(path: &Path, most: u64) -> Result<String, FileError> {
    // A pipe is found out before it is opened: opening one waits for who writes.
    let meta = fs::metadata(path).map_err(FileError::from)?;
    if meta.is_dir() {
        return Err(FileError::Folder);
    }
    if !meta.is_file() {
        return Err(FileError::Special);
    }
    let large = |len| FileError::Large { len, most };
    if meta.len() > most {
        return Err(large(meta.len()));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(large(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        not_text(&String::from_utf8_lossy(&error.as_bytes()[..good]))
    })
}

/// What follows `good` is no text.
fn not_text(good: &str) -> FileError {
    let last = good.rsplit('\n').next().unwrap_or_default();
    FileError::NotText {
        line: good.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: last.chars().count() + 1,
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::IsADirectory => Self::Folder,
            _ => Self::Io(error),
        }
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        let kind = match error {
            FileError::Io(error) => return error,
            FileError::Missing => io::ErrorKind::NotFound,
            FileError::Folder => io::ErrorKind::IsADirectory,
            FileError::Special => io::ErrorKind::InvalidInput,
            FileError::Large { .. } => io::ErrorKind::FileTooLarge,
            FileError::NotText { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Why, to stand behind ``cannot read `name`: ``.
impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Folder => f.write_str("it is a folder"),
            Self::Special => f.write_str("it is no regular file, but a pipe, a device or a socket"),
            Self::Large { len, most } => {
                write!(
                    f,
                    "it has {len} bytes, and at most {} MiB are read",
                    most >> 20
                )
            }
            Self::NotText { line, column } => {
                write!(f, "it is not UTF-8 text at line {line}, column {column}")
            }
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
