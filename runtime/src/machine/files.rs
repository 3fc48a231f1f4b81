//! Reading what the kernel tells in files, below a root that tests choose.
//!
//! Nothing here fails: what is missing is `None`, what makes no sense is a note.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use pipewright_spec::cores::MAX_CORE;

/// Most bytes read of one file; the kernel's are far shorter.
const MOST_BYTES: u64 = 1 << 20;
/// As long as most of them are.
const USUAL_BYTES: usize = 2 << 10;
/// Most notes kept; a machine whose files are all broken needs no more to be understood.
const MOST_NOTES: usize = 32;

/// Files below a root.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
}

/// Why a file or folder could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// There is none.
    #[error("not there")]
    Missing,
    /// This process may not.
    #[error("this process may not read it")]
    Forbidden,
    /// Another reason.
    #[error("{0}")]
    Failed(String),
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Files {
    /// Those below `root`; paths go on from there, without a `/` in front.
    pub fn at(root: &Path) -> Self {
        let root = root.to_path_buf();
        Self { root }
    }

    /// What a file says, without the space behind it.
    pub fn read(&self, path: &str) -> Result<String, Why> {
        let file = File::open(self.root.join(path))?;
        // Room for all of it at once: without, the first reads are of a few bytes.
        let mut text = String::with_capacity(USUAL_BYTES);
        file.take(MOST_BYTES).read_to_string(&mut text)?;
        text.truncate(text.trim_end().len());
        Ok(text)
    }

    /// What a file says, without the space behind it; `None` if it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        self.read(path).ok()
    }

    /// Is there such a file or folder?
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The names in a folder, in the order of the alphabet.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, Why> {
        let entries = fs::read_dir(self.root.join(folder))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The numbers N of the entries `{prefix}N` of a folder, ascending.
    pub fn numbered(&self, folder: &str, prefix: &str) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else {
            return Vec::new();
        };
        let number = |entry: fs::DirEntry| -> Option<u32> {
            let name = entry.file_name();
            let digits = name.to_str()?.strip_prefix(prefix)?;
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|n| plain && *n <= MAX_CORE)
        };
        let mut numbers: Vec<u32> = entries.flatten().filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Files, and what was strange about them.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) files: Files,
    pub(super) notes: Vec<String>,
}

impl Reader {
    pub(super) fn new(files: Files) -> Self {
        let notes = Vec::new();
        Self { files, notes }
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A list of cpus; an empty file is an empty list.
    pub(super) fn list(&mut self, path: &str) -> Option<Vec<u32>> {
        self.read(path, "a list of cpus", parse_list)
    }

    /// A whole number.
    pub(super) fn number(&mut self, path: &str) -> Option<i64> {
        self.read(path, "a number", |text| text.trim().parse().ok())
    }

    /// A file in the form that `parse` reads. A file that is there and makes no sense leaves a note.
    pub(super) fn read<T>(
        &mut self,
        path: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.files.text(path)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            let shown: String = text.chars().take(40).collect();
            self.note(format!(
                "`/{path}` is not {what}: `{}`",
                shown.escape_debug()
            ));
        }
        parsed
    }
}

/// Reads a list of cpus as the kernel writes it, `0-3,8`; ascending, each once.
pub fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last > MAX_CORE {
            return None;
        }
        all.extend(first..=last);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}
