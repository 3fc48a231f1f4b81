//! How far a file was read, and by what it is known later.
//!
//! The lines of each chunk that is read share a copy of the file's name. When nobody else has it any more, all of them have ended:
//! services wrote them or dropped them by their rule, or they were left out or rejected. So a chunk is finished when it and all
//! before it have ended, and only that far a file is remembered. `acks` of a source would tell when its own pipeline is done with a
//! line; here each service is a pipeline of its own behind it.
//!
//! A file is known by its number and its first bytes, whatever its name: a number is given again when a file is deleted.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{self, Path},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::files::Identity;

/// Bytes by which a file is known at most.
const HEAD: usize = 256;

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
    /// Sees what the file has from a place on, of which some may have been seen.
    pub fn see(&mut self, position: u64, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.bytes as usize);
        let Some(known) = u64::from(self.bytes).checked_sub(position) else {
            return;
        };
        let Some(more) = bytes.get(known as usize..).filter(|more| !more.is_empty()) else {
            return;
        };
        let more = &more[..more.len().min(room)];
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
    /// Sets the file to where it was read, or to its beginning if it is not the one that is meant; whether it is.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn resume(&self, file: &mut File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let fits = metadata.is_file()
            && Identity::of(&metadata) == self.identity
            && metadata.len() >= self.place.position
            && self.head.is_of(file)?;
        let from = if fits { self.place.position } else { 0 };
        file.seek(SeekFrom::Start(from))?;
        Ok(fits)
    }

    /// The file, if it was renamed and lies where it did.
    pub fn renamed(&self) -> Option<File> {
        let path = Path::new(&self.path);
        let (folder, name) = (path.parent()?, path.file_name()?);
        let entries = fs::read_dir(folder).ok()?.flatten();
        let files = entries.filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let is_it = metadata.is_file() && Identity::of(&metadata) == self.identity;
            // A few bytes, or none, do not tell it from a file that was given its number.
            let is_known = self.head.bytes as usize >= HEAD || is_named_after(&entry, name);
            (is_it && is_known)
                .then(|| File::open(entry.path()).ok())
                .flatten()
        });
        files
            .into_iter()
            .find_map(|mut file| self.resume(&mut file).ok()?.then_some(file))
    }
}

/// Does it have the name with something behind it?
fn is_named_after(entry: &fs::DirEntry, name: &OsStr) -> bool {
    let found = entry.file_name();
    let begins = found.as_encoded_bytes();
    begins.starts_with(name.as_encoded_bytes())
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
        // A line that never ends holds up what is behind it. That is one chunk then, so that it does not become more and more.
        if let [.., (_, before), (last, end)] = self.going.make_contiguous()
            && Arc::get_mut(last).is_some()
        {
            *before = *end;
            self.going.pop_back();
        }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::events) fn place(line: u64) -> Place {
        Place {
            position: 10 * line,
            line,
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
    fn a_line_that_never_ends_does_not_make_what_is_kept_grow() {
        let mut course = Course::default();
        let hung: Arc<str> = "log".into();
        course.gave(Arc::clone(&hung), place(1));
        (2..1_000).for_each(|line| course.gave("log".into(), place(line)));
        assert_eq!((course.ended(), course.going.len()), (place(0), 2));
        drop(hung);
        assert_eq!((course.ended(), course.is_over()), (place(999), true));
    }

    #[test]
    fn a_beginning_is_the_same_however_it_is_seen() {
        let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
        let mut whole = Head::default();
        whole.see(0, &bytes);
        assert_eq!(whole.bytes as usize, HEAD);
        let mut pieces = Head::default();
        pieces.see(0, &bytes[..11]);
        // As who goes on before what was seen, and after it.
        pieces.see(5, &bytes[5..9]);
        pieces.see(5, &bytes[5..100]);
        pieces.see(200, &bytes[200..]);
        assert_ne!(pieces, whole);
        pieces.see(100, &bytes[100..]);
        assert_eq!(pieces, whole);
    }
}
