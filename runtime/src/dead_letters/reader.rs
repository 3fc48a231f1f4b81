//! Reading letters, from whole segments and from damaged ones.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    frame::{HEAD, Piece, Pieces},
    record::Record,
    storage::number_of,
};

/// No file that is larger is read.
const MAX_FILE: u64 = 2 << 30;

/// Bytes of a segment that are no letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes {} to {} are {}", .bytes.start, .bytes.end, if *.is_tail { "a torn tail" } else { "damaged" })]
#[non_exhaustive]
pub struct Damage {
    /// Where.
    pub bytes: Range<usize>,
    /// Is there no letter behind them? That is what a crash in the middle of writing leaves.
    pub is_tail: bool,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read `{}`: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("`{}` does not hold dead letters", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// A version of the format that is not known here.
    #[error("`{}` has dead letters of version `{version}`, and this reads version `1`", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: char,
    },
    /// It is larger than a segment can be.
    #[error("`{}` has {len} bytes, and a segment has at most 2 GiB", .path.display())]
    Large {
        /// The file.
        path: PathBuf,
        /// Its length.
        len: u64,
    },
}

/// The letters of the bytes of a segment, in order, and what is damaged between them. It never panics, whatever the bytes are,
/// and takes time in proportion to their number.
///
/// ```
/// use pipewright::dead_letters::letters;
///
/// assert_eq!(letters(b"PWDEADL1").count(), 0);
/// let damage = letters(b"PWDEADL1 and what is no letter").next().expect("one piece").unwrap_err();
/// assert_eq!((damage.bytes, damage.is_tail), (8..30, true));
/// ```
pub fn letters(segment: &[u8]) -> impl Iterator<Item = Result<Record, Damage>> {
    Pieces::new(segment).map(|(bytes, piece)| match piece {
        Piece::Body(body) => Record::of(body).ok_or(Damage {
            bytes,
            is_tail: false,
        }),
        Piece::Damaged => Err(Damage {
            bytes,
            is_tail: false,
        }),
        Piece::Torn => Err(Damage {
            bytes,
            is_tail: true,
        }),
    })
}

/// What is in a file or a folder.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The letters, each number once, in the order in which they were written.
    pub letters: Vec<Record>,
    /// What is damaged, with its file.
    pub damage: Vec<(PathBuf, Damage)>,
}

impl Found {
    /// Reads a segment, or all segments of a folder. A process may be writing them meanwhile.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is no segment. Damage is no error.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let mut found = Self::default();
        let mut seen = HashSet::new();
        for file in files(path)? {
            let bytes = load(&file)?;
            for letter in letters(&bytes) {
                match letter {
                    // A letter whose segment could not be made durable was written again.
                    Ok(letter) if !seen.insert(letter.number) => {}
                    Ok(letter) => found.letters.push(letter),
                    Err(damage) => found.damage.push((file.clone(), damage)),
                }
            }
        }
        Ok(found)
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let number = file.file_name().and_then(number_of);
        files.extend(number.map(|number| (number, file)));
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

fn load(path: &Path) -> Result<Vec<u8>, ReadError> {
    let path_ = || path.to_owned();
    let failed = |source| ReadError::Io {
        path: path_(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(ReadError::Other { path: path_() });
    }
    if meta.len() > MAX_FILE {
        return Err(ReadError::Large {
            path: path_(),
            len: meta.len(),
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match head_of(&bytes) {
        Head::Ours | Head::Torn => Ok(bytes),
        Head::Version(version) => Err(ReadError::Version {
            path: path_(),
            version,
        }),
        // One bad byte in the head hides no letters.
        Head::Other if letters(&bytes).any(|letter| letter.is_ok()) => Ok(bytes),
        Head::Other => Err(ReadError::Other { path: path_() }),
    }
}

/// What the first bytes of a segment are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    Ours,
    /// A crash came before they were written.
    Torn,
    Version(char),
    Other,
}

pub(super) fn head_of(bytes: &[u8]) -> Head {
    let head = &bytes[..bytes.len().min(HEAD.len())];
    let (name, version) = HEAD.split_at(HEAD.len() - 1);
    match head.strip_prefix(name) {
        Some(found) if found == version => Head::Ours,
        Some(&[found]) => Head::Version(found.into()),
        Some(_) => Head::Torn,
        None if HEAD.starts_with(head) || bytes.iter().all(|byte| *byte == 0) => Head::Torn,
        None => Head::Other,
    }
}
