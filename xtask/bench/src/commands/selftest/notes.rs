//! What an interrupted selftest has finished: a line of JSON for each test.
//!
//! Each says of which binaries and which machine it is, so that what is counted together is of one code and one machine.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Part, plants::Found, rates::Compared};
use crate::error::Error;

/// What was tested once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) part: Part,
    pub(super) short: bool,
    /// Of what: a digest of the binaries and of the machine.
    #[serde(default)]
    pub(super) of: String,
    /// How long it took.
    #[serde(default)]
    pub(super) seconds: f64,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Compared(Compared),
    Found(Found),
}

/// The notes of one code on one machine, and the file that they lie in.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    of: String,
    short: bool,
    notes: Vec<Note>,
    /// How many others lie in the file.
    pub(super) others: usize,
}

impl Notes {
    /// Reads those that are of this.
    pub(super) fn read(path: PathBuf, of: String, short: bool) -> Result<Self, Error> {
        let all = read(&path)?;
        let before = all.len();
        let is_ours = |note: &Note| note.of == of && note.short == short;
        let notes: Vec<Note> = all.into_iter().filter(is_ours).collect();
        Ok(Self {
            others: before - notes.len(),
            notes,
            path,
            of,
            short,
        })
    }

    /// Notes what was tested; it is on the disk when this returns.
    pub(super) fn add(&mut self, part: Part, seconds: f64, what: What) -> Result<(), Error> {
        let note = Note {
            part,
            short: self.short,
            of: self.of.clone(),
            seconds,
            what,
        };
        append(&self.path, &note)?;
        self.notes.push(note);
        Ok(())
    }

    pub(super) fn all(&self) -> &[Note] {
        &self.notes
    }

    /// The comparisons of a part, refused ones included.
    pub(super) fn compared(&self, part: Part) -> Vec<&Compared> {
        let of = self.notes.iter().filter(|note| note.part == part);
        of.filter_map(|note| match &note.what {
            What::Compared(compared) => Some(compared),
            What::Found(_) => None,
        })
        .collect()
    }

    /// What was planted and looked for.
    pub(super) fn found(&self, part: Part) -> Vec<&Found> {
        let of = self.notes.iter().filter(|note| note.part == part);
        of.filter_map(|note| match &note.what {
            What::Found(found) => Some(found),
            What::Compared(_) => None,
        })
        .collect()
    }
}

/// A last line that is half written was not finished.
fn read(path: &Path) -> Result<Vec<Note>, Error> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| Error::file("read", path, &error))?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let note = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::Usage(format!(
                "`{}`, line {}: {error}; `--fresh` begins anew",
                path.display(),
                at + 1
            ))
        })
    };
    whole.lines().enumerate().map(note).collect()
}

/// What was half written before is ended by a line of its own only if it is cut off first.
fn append(path: &Path, note: &Note) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::file("write", path, &error);
    let line = serde_json::to_string(note).map_err(|error| Error::Tool(error.to_string()))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    let text = fs::read(path).map_err(failed)?;
    let whole = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    file.set_len(whole as u64).map_err(failed)?;
    let written = file.write_all(format!("{line}\n").as_bytes());
    if written.is_err() {
        // A disk that is full has room for what was there before.
        let _ = file.set_len(whole as u64);
    }
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(found: bool) -> What {
        What::Found(Found {
            found,
            said: "said".to_owned(),
        })
    }

    fn notes(path: &Path, of: &str) -> Result<Notes, Error> {
        Notes::read(path.to_owned(), of.to_owned(), false)
    }

    #[test]
    fn what_is_finished_is_noted_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/notes.jsonl");
        let mut first = notes(&path, "a").expect("none is none");
        first.add(Part::Leak, 1.0, found(true)).expect("a note");
        first.add(Part::Stall, 1.0, found(false)).expect("a note");
        let mut text = fs::read_to_string(&path).expect("it is there");
        text.push_str("{\"part\":\"le");
        fs::write(&path, &text).expect("it can be written");
        let mut second = notes(&path, "a").expect("it can be read");
        assert_eq!(second.all(), first.all());
        // What follows half a line can be read too.
        second.add(Part::Leak, 1.0, found(true)).expect("a note");
        assert_eq!(notes(&path, "a").expect("it can be read").all().len(), 3);
        fs::write(&path, "what\n").expect("it can be written");
        let error = notes(&path, "a").expect_err("it is damaged").to_string();
        assert!(
            error.contains("line 1") && error.contains("--fresh"),
            "{error}"
        );
    }

    #[test]
    fn notes_of_another_code_are_counted_and_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.jsonl");
        // A note that does not say of what it is.
        let old = r#"{"part":"leak","short":false,"found":{"found":true,"said":"x"}}"#;
        fs::write(&path, format!("{old}\n")).expect("it can be written");
        let mut of_a = notes(&path, "a").expect("it can be read");
        of_a.add(Part::Leak, 1.0, found(true)).expect("a note");
        let of_b = notes(&path, "b").expect("it can be read");
        assert_eq!((of_b.all().len(), of_b.others), (0, 2));
        let of_a = notes(&path, "a").expect("it can be read");
        assert_eq!((of_a.found(Part::Leak).len(), of_a.others), (1, 1));
    }

    #[test]
    fn what_has_no_value_can_be_noted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.jsonl");
        let refused = What::Compared(Compared::default());
        let mut first = notes(&path, "a").expect("none is none");
        first.add(Part::Same, 1.0, refused).expect("a note");
        assert_eq!(
            notes(&path, "a").expect("it can be read").all(),
            first.all()
        );
    }
}
