//! How far files that are followed were read, over restarts: every line gets to its services at least once.
//!
//! The lines of each chunk that is read share a copy of the file's name. When nobody else has it any more, all of them have ended:
//! services wrote them or dropped them by their rule, or they were left out or rejected. So a chunk is finished when it and all
//! before it have ended, and only that far a file is remembered. Marks are saved once a second, and at the end, when all services
//! have ended. After a crash what was not yet saved comes again.
//!
//! `acks` of a source would tell when its own pipeline is done with a line; here each service is a pipeline of its own behind it.
//!
//! A file is known by its number and its first bytes, whatever its name: a number is given again when a file is deleted.

use std::{
    collections::VecDeque,
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{self, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// How often marks are saved.
const OFTEN: Duration = Duration::from_secs(1);

/// Bytes by which a file is known at most.
const HEAD: usize = 256;

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

/// What a file is known by, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
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
        Self {
            device: 0,
            inode: 0,
        }
    }
}

/// A place in a file: so many bytes, and so many lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Bytes before it.
    pub position: u64,
    /// Lines before it.
    pub line: u64,
}

/// How a file begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    bytes: u32,
    crc32: u32,
}

impl Head {
    /// Sees what the file has from a place on; what does not follow what was seen is nothing new.
    pub fn see(&mut self, position: u64, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.bytes as usize);
        let more = &bytes[..bytes.len().min(room)];
        if more.is_empty() || position != u64::from(self.bytes) {
            return;
        }
        let mut hasher = crc32fast::Hasher::new_with_initial_len(self.crc32, self.bytes.into());
        hasher.update(more);
        self.crc32 = hasher.finalize();
        self.bytes += more.len() as u32;
    }

    /// Does the file begin like this? Afterwards it stands anywhere.
    fn is_of(self, file: &mut File) -> io::Result<bool> {
        let mut bytes = [0; HEAD];
        let wanted = (self.bytes as usize).min(HEAD);
        file.seek(SeekFrom::Start(0))?;
        match file.read_exact(&mut bytes[..wanted]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut seen = Self::default();
        seen.see(0, &bytes[..wanted]);
        Ok(seen == self)
    }
}

/// How far a file was read, and everything before that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The whole path by which it is followed, also if it has another one by now.
    pub path: String,
    /// Which file it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// How it begins.
    pub head: Head,
    /// How far.
    #[serde(flatten)]
    pub place: Place,
}

impl Mark {
    /// Sets the file to where it was read, if it is the one that is meant.
    pub fn resume(&self, file: &mut File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let fits = Identity::of(&metadata) == self.identity
            && metadata.len() >= self.place.position
            && self.head.is_of(file)?;
        let from = if fits { self.place.position } else { 0 };
        file.seek(SeekFrom::Start(from))?;
        Ok(fits)
    }

    /// The file, if it was renamed and lies where it did.
    pub fn renamed(&self) -> Option<File> {
        let folder = Path::new(&self.path).parent()?;
        let entries = fs::read_dir(folder).ok()?.flatten();
        let files = entries.filter_map(|entry| {
            let is_it = Identity::of(&entry.metadata().ok()?) == self.identity;
            is_it.then(|| File::open(entry.path()).ok()).flatten()
        });
        files
            .into_iter()
            .find_map(|mut file| self.resume(&mut file).ok()?.then_some(file))
    }
}

/// What the marks of a path are kept under: the same wherever the process is started.
pub fn key(path: &Path) -> String {
    let whole = path::absolute(path);
    let whole = whole.as_deref().unwrap_or(path);
    whole.to_string_lossy().into_owned()
}

/// What of a file has ended.
#[derive(Debug, Default)]
pub struct Course {
    ended: Place,
    /// What the lines of each chunk share, and where the chunk's last whole line ends.
    going: VecDeque<(Arc<str>, Place)>,
}

impl Course {
    /// From a place on.
    pub fn from(place: Place) -> Self {
        Self {
            ended: place,
            going: VecDeque::new(),
        }
    }

    /// The lines of a chunk were given out, up to this place; `source` is their own copy of the name.
    pub fn gave(&mut self, source: Arc<str>, to: Place) {
        self.settle();
        self.going.push_back((source, to));
    }

    /// How far everything has ended.
    pub fn ended(&mut self) -> Place {
        self.settle();
        self.ended
    }

    /// Whether all that was given out has ended.
    pub fn is_over(&mut self) -> bool {
        self.settle();
        self.going.is_empty()
    }

    fn settle(&mut self) {
        // `get_mut` and not a count of the owners: it happens after whatever the last of the others did.
        while let Some((source, to)) = self.going.front_mut()
            && Arc::get_mut(source).is_some()
        {
            self.ended = *to;
            self.going.pop_front();
        }
    }
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
            }),
        })
    }

    /// What is written: the file, and what becomes it.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.place.clone(), beside(&self.place)]
    }

    /// The marks that were saved last of files that are followed by this path, a [`key`], the oldest first.
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
        let all = self.with(keys, marks);
        let mut saved = self.saved();
        saved.at = Instant::now();
        if all != saved.marks {
            self.write(&all, false)?;
            saved.marks = all;
        }
        Ok(())
    }

    /// Nothing more is read; what was read may not have ended yet.
    pub fn leave(&self, left: Vec<(Mark, Course)>) {
        self.saved().left = left;
    }

    /// Saves how far everything has ended that was left, for good: when this returns it is on the disk.
    ///
    /// # Errors
    ///
    /// If that cannot be; the marks from before are still there then.
    pub fn finish(&self) -> Result<(), PositionsError> {
        let left = std::mem::take(&mut self.saved().left);
        let ended = left.into_iter().map(|(mark, mut course)| Mark {
            place: course.ended(),
            ..mark
        });
        let marks: Vec<Mark> = ended.collect();
        let keys: Vec<String> = marks.iter().map(|mark| mark.path.clone()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.write(&self.with(&keys, marks), true)
    }

    /// What was saved, with other marks of these keys.
    fn with(&self, keys: &[&str], marks: Vec<Mark>) -> Vec<Mark> {
        let saved = self.saved();
        let others = saved.marks.iter();
        let others = others.filter(|mark| !keys.contains(&mark.path.as_str()));
        others.cloned().chain(marks).collect()
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
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u64) -> Place {
        Place {
            position: 10 * line,
            line,
        }
    }

    fn mark(path: &str, line: u64) -> Mark {
        Mark {
            path: path.to_owned(),
            identity: Identity {
                device: 1,
                inode: 2,
            },
            head: Head::default(),
            place: place(line),
        }
    }

    #[test]
    fn a_file_has_ended_as_far_as_all_lines_before_have() {
        let mut course = Course::from(place(1));
        let [first, second]: [Arc<str>; 2] = ["log".into(), "log".into()];
        course.gave(Arc::clone(&first), place(2));
        course.gave(Arc::clone(&second), place(3));
        drop(second);
        assert_eq!((course.ended(), course.is_over()), (place(1), false));
        drop(first);
        assert_eq!((course.ended(), course.is_over()), (place(3), true));
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
        let refused = positions.save(&["a"], vec![mark("a", 2)]);
        assert!(matches!(refused, Err(PositionsError::File(path, _)) if path == file));
        assert_eq!(positions.of("a"), [mark("a", 1)]);
    }
}
