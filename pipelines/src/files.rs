//! By what files are known, and that none is used in two ways that do not go together: who reads what it writes never ends, and who
//! writes where somebody else does cuts lines of that one off when the disk is full.

use std::{
    fmt,
    fs::{self, Metadata},
    io,
    path::{self, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Links that are followed to a file that is not there yet, as many as systems do.
const LINKS: usize = 40;

/// What a file is known by, whatever its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of the file that a path leads to.
    ///
    /// # Errors
    ///
    /// If there is none, or the system does not tell.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&fs::metadata(path)?))
    }

    /// Of a file.
    #[cfg(unix)]
    pub fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Without a number only the first bytes tell files apart.
    #[cfg(not(unix))]
    pub fn of(_: &Metadata) -> Self {
        Self::default()
    }
}

/// What somebody does with a file.
#[derive(Debug)]
pub struct Use {
    /// Who uses it, such as `` `--input` ``.
    pub who: String,
    /// The file, by any path.
    pub path: PathBuf,
    /// Whether it is written.
    pub writes: bool,
}

impl Use {
    /// It is read.
    pub fn reading(who: impl Into<String>, path: PathBuf) -> Self {
        Self {
            who: who.into(),
            path,
            writes: false,
        }
    }

    /// It is written.
    pub fn writing(who: impl Into<String>, path: PathBuf) -> Self {
        Self {
            writes: true,
            ..Self::reading(who, path)
        }
    }
}

/// Two uses of one file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} and {1}, which is the same file: name another one for one of them")]
pub struct Shared(String, String);

/// Sees to it that nothing is written that something else reads or writes, by whatever path.
///
/// # Errors
///
/// With the first two uses that do not go together.
pub fn check(uses: impl IntoIterator<Item = Use>) -> Result<(), Shared> {
    let mut known: Vec<(Place, Use)> = Vec::new();
    for one in uses {
        let Some(place) = Place::of(&one.path) else {
            continue;
        };
        let other = known
            .iter()
            .find(|(there, other)| *there == place && (one.writes || other.writes));
        if let Some((_, other)) = other {
            return Err(Shared(other.to_string(), one.to_string()));
        }
        known.push((place, one));
    }
    Ok(())
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = if self.writes { "writes" } else { "reads" };
        write!(f, "{} {does} {}", self.who, self.path.display())
    }
}

/// What a path leads to, the same for all paths that lead there.
#[derive(PartialEq, Eq)]
enum Place {
    /// A file, which may have several names.
    File(Identity),
    /// Nothing yet, or a file of a system without numbers of files.
    Path(PathBuf),
}

impl Place {
    /// None for what keeps nothing, such as `/dev/null`, a terminal or a socket.
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => None,
            Ok(metadata) if cfg!(unix) => Some(Self::File(Identity::of(&metadata))),
            _ => Some(Self::Path(whole(path).unwrap_or_else(|path| path))),
        }
    }
}

/// Where a file is, or will be made, with all links resolved.
///
/// # Errors
///
/// With the path as far as it is known, if its folder is not there.
pub fn whole(path: &Path) -> Result<PathBuf, PathBuf> {
    let mut path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        // The target is as seen from the folder of the link.
        path.pop();
        path.push(target);
    }
    if let Ok(found) = fs::canonicalize(&path) {
        return Ok(found);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(path);
    };
    match fs::canonicalize(folder) {
        Ok(folder) => Ok(folder.join(name)),
        Err(_) => Err(path),
    }
}
