//! The file in which it is kept how far files that are followed were read: no line is lost because the process ended, however it did.
//!
//! Marks are saved once a second, and at the end, when all services have ended in order. What had not ended, or was not yet saved,
//! comes again. Who drops or misses an event that it was given, by its rule, a full disk or a panic, has had it; but where a service is
//! gone, nothing is saved any more.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{self, Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::mark::{Course, Mark};

/// How often marks are saved.
const OFTEN: Duration = Duration::from_secs(1);

/// Why there are no marks to go on from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PositionsError {
    /// The file can be read or written by nobody here.
    #[error("cannot keep positions in {0}: {1}")]
    File(PathBuf, io::Error),
    /// The file holds something else.
    #[error("{path}:{line}:{column}: these are no positions: {why}; without the file everything is read from its beginning", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it cannot be read any more, from 1.
        line: usize,
        /// The same, in the line.
        column: usize,
        /// What is wrong.
        why: String,
    },
}

/// The file of the marks.
#[derive(Debug)]
pub struct Positions {
    place: PathBuf,
    saved: Mutex<Saved>,
}

#[derive(Debug)]
struct Saved {
    marks: Vec<Mark>,
    at: Instant,
    /// What was read when reading ended, and may not have ended itself.
    left: Vec<(Mark, Course)>,
    /// Nothing is saved any more.
    held: bool,
}

impl Saved {
    /// What was saved, with other marks of these keys.
    fn with(&self, keys: &[&str], marks: Vec<Mark>) -> Vec<Mark> {
        let others = self.marks.iter();
        let others = others.filter(|mark| !keys.contains(&mark.path.as_str()));
        others.cloned().chain(marks).collect()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    files: Vec<Mark>,
}

impl Positions {
    /// Reads a file of marks; one that is not there, or empty, has none.
    ///
    /// # Errors
    ///
    /// If it cannot be read or written, or holds something else.
    pub fn open(place: PathBuf) -> Result<Self, PositionsError> {
        let marks = match fs::read(&place) {
            Ok(text) if text.is_empty() => Vec::new(),
            Ok(text) => {
                let kept = serde_json::from_slice::<Kept>(&text);
                kept.map_err(|error| malformed(&place, &error))?.files
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(PositionsError::File(place, error)),
        };
        // Who cannot write learns it now and not when the run ends.
        write(&place, &marks, false).map_err(|error| PositionsError::File(place.clone(), error))?;
        let at = Instant::now();
        Ok(Self {
            place,
            saved: Mutex::new(Saved {
                marks,
                at,
                left: Vec::new(),
                held: false,
            }),
        })
    }

    /// What is written: the file, and what becomes it.
    pub fn files(&self) -> [PathBuf; 2] {
        files(&self.place)
    }

    /// The marks that were saved last of files that are followed by this path, a [`key`](super::mark::key), the oldest first.
    pub fn of(&self, path: &str) -> Vec<Mark> {
        let saved = self.saved();
        let marks = saved.marks.iter().filter(|mark| mark.path == path);
        marks.cloned().collect()
    }

    /// Is it time to save again?
    pub fn is_due(&self) -> bool {
        self.saved().at.elapsed() >= OFTEN
    }

    /// Saves marks in the place of all others of these keys.
    ///
    /// # Errors
    ///
    /// If that cannot be; the marks from before are still there then.
    pub fn save(&self, keys: &[&str], marks: Vec<Mark>) -> Result<(), PositionsError> {
        let mut saved = self.saved();
        if saved.held {
            return Ok(());
        }
        saved.at = Instant::now();
        let all = saved.with(keys, marks);
        if all != saved.marks {
            self.write(&all, false)?;
            saved.marks = all;
        }
        Ok(())
    }

    /// Saves nothing from now on: a service is gone with what waited for it, and that comes again.
    pub fn hold(&self) {
        self.saved().held = true;
    }

    /// Nothing more is read; what was read may not have ended yet.
    pub fn leave(&self, left: Vec<(Mark, Course)>) {
        self.saved().left = left;
    }

    /// Saves how far everything has ended that was left, so that it is there even if the system goes down now.
    ///
    /// # Errors
    ///
    /// If that cannot be; the marks from before are still there then.
    pub fn finish(&self) -> Result<(), PositionsError> {
        // Nobody else writes meanwhile.
        let mut saved = self.saved();
        let left = std::mem::take(&mut saved.left);
        if saved.held {
            return Ok(());
        }
        let ended = left.into_iter().map(|(mark, mut course)| Mark {
            place: course.ended(),
            ..mark
        });
        let marks: Vec<Mark> = ended.collect();
        let keys: Vec<String> = marks.iter().map(|mark| mark.path.clone()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        saved.marks = saved.with(&keys, marks);
        self.write(&saved.marks, true)
    }

    fn write(&self, marks: &[Mark], durable: bool) -> Result<(), PositionsError> {
        write(&self.place, marks, durable)
            .map_err(|error| PositionsError::File(self.place.clone(), error))
    }

    /// A panic elsewhere leaves marks that are still true.
    fn saved(&self) -> MutexGuard<'_, Saved> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is written to keep positions there.
pub(super) fn files(place: &Path) -> [PathBuf; 2] {
    [place.to_owned(), beside(place)]
}

fn malformed(path: &Path, error: &serde_json::Error) -> PositionsError {
    PositionsError::Malformed {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        why: error.to_string(),
    }
}

fn beside(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Writes it beside and renames it, so that there is always a whole one.
fn write(place: &Path, marks: &[Mark], durable: bool) -> io::Result<()> {
    let kept = Kept {
        files: marks.to_vec(),
    };
    let mut text = serde_json::to_vec_pretty(&kept)?;
    text.push(b'\n');
    let beside = beside(place);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(&text)?;
        if durable { file.sync_all() } else { Ok(()) }
    });
    let renamed = written.and_then(|()| fs::rename(&beside, place));
    if renamed.is_err() {
        // What is half-written helps nobody.
        drop(fs::remove_file(&beside));
    }
    renamed?;
    if durable { keep_name(place) } else { Ok(()) }
}

/// A name is kept by its folder.
fn keep_name(place: &Path) -> io::Result<()> {
    let whole = path::absolute(place)?;
    match whole.parent().filter(|_| cfg!(unix)) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        events::mark::{Head, tests::place},
        files::Identity,
    };

    fn mark(path: &str, line: u64) -> Mark {
        Mark {
            path: path.to_owned(),
            identity: Identity::default(),
            head: Head::default(),
            place: place(line),
        }
    }

    #[test]
    fn marks_are_there_again_and_those_of_other_files_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("positions.json");
        let open = || Positions::open(file.clone()).expect("opens");
        let save = |name: &str, marks: &[Mark]| {
            open().save(&[name], marks.to_vec()).expect("saves");
        };
        assert!(open().of("a").is_empty());
        save("a", &[mark("a", 1), mark("a", 2)]);
        save("b", &[mark("b", 3)]);
        save("a", &[mark("a", 4)]);
        assert_eq!(open().of("a"), [mark("a", 4)]);
        assert_eq!(open().of("b"), [mark("b", 3)]);
        let there = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(there, 1, "nothing half-written is left");
        // What a system that went down left of it.
        fs::write(&file, "").expect("writes");
        assert!(open().of("b").is_empty());
    }

    #[test]
    fn what_was_left_is_saved_as_far_as_it_has_ended_by_then() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("positions.json");
        let positions = Positions::open(file.clone()).expect("opens");
        positions
            .save(&["a", "b"], vec![mark("a", 1), mark("b", 1)])
            .expect("saves");
        let [first, second]: [Arc<str>; 2] = ["a".into(), "a".into()];
        let mut course = Course::from(place(1));
        course.gave(Arc::clone(&first), place(2));
        course.gave(Arc::clone(&second), place(3));
        positions.leave(vec![(mark("a", 1), course)]);
        drop(first);
        positions.finish().expect("saves");
        let again = Positions::open(file).expect("opens");
        assert_eq!(again.of("a"), [mark("a", 2)]);
        assert_eq!(again.of("b"), [mark("b", 1)]);
        drop(second);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_before_anything_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("positions.json");
        let check = |path: &Path, expect: &str| {
            let refused = Positions::open(path.to_owned()).expect_err("it is refused");
            let told = refused.to_string();
            assert!(told.contains(expect), "{told}");
        };
        fs::write(&file, "{\n  \"files\": [7]\n}").expect("writes");
        check(&file, "positions.json:2:13: these are no positions: ");
        check(folder.path(), "cannot keep positions in ");
        check(&folder.path().join("no/such"), "No such file");
    }

    #[test]
    fn what_cannot_be_saved_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("positions.json");
        let positions = Positions::open(file.clone()).expect("opens");
        positions.save(&["a"], vec![mark("a", 1)]).expect("saves");
        // Where it would be written first, there is a folder.
        fs::create_dir(beside(&file)).expect("makes");
        let before = fs::read(&file).expect("reads");
        let refused = positions.save(&["a"], vec![mark("a", 2)]);
        assert!(matches!(refused, Err(PositionsError::File(path, _)) if path == file));
        assert_eq!(positions.of("a"), [mark("a", 1)]);
        assert_eq!(fs::read(&file).expect("reads"), before);
    }
}
