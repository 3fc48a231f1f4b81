//! Which letters of a folder were replayed: `replayed.txt`, a number a line.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const FILE: &str = "replayed.txt";

/// The marks of a folder.
pub(super) struct Marks {
    folder: PathBuf,
    numbers: BTreeSet<u64>,
    /// Does the file end in the middle of a line?
    is_torn: bool,
}

impl Marks {
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let file = folder.join(FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read `{}`: {error}", file.display())),
        };
        // A line without an end may be a part of a number.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut numbers = BTreeSet::new();
        for (at, line) in whole.lines().enumerate() {
            let wrong = || {
                format!(
                    "{}:{}: `{line}` is no number of a letter",
                    file.display(),
                    at + 1
                )
            };
            numbers.insert(line.trim().parse().map_err(|_| wrong())?);
        }
        Ok(Self {
            folder: folder.to_owned(),
            numbers,
            is_torn: !text.is_empty() && !text.ends_with('\n'),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    /// Adds marks, durably.
    pub(super) fn add(&self, numbers: &[u64]) -> io::Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.folder.join(FILE))?;
        let mut text = String::new();
        if self.is_torn {
            text.push('\n');
        }
        for number in numbers {
            text.push_str(&format!("{number}\n"));
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}
