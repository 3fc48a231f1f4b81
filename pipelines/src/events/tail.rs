//! A file that grows, is renamed and made anew, or is cut off and begins again, as log files do.
//!
//! **Renamed**: another file has its name. The file from before is read on as well, because who writes it may not have noticed
//! yet, until the next one is renamed, too. **Cut off**: it is shorter than what was read of it, and is read from its beginning.
//! **Gone**: it is told once, and looked for until it is there again. **Remembered**: it is read from where that was, and if it was
//! renamed meanwhile, it is read to its end under its new name, as far as it lies in the same folder.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use pipewright::Emit;

use super::{
    feed::raw,
    lines::Lines,
    mark::{self, Course, Head, Mark, Place},
    reject::Fault,
    types::Raw,
};
use crate::files::Identity;

/// A file that is followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    name: String,
    /// What its marks are kept under.
    key: String,
    most: usize,
    /// The file that has the name, or had it last.
    file: Option<Open>,
    /// Those that had it before, the oldest first.
    older: Vec<Open>,
    /// How far files of this name were read when it is begun.
    marks: Vec<Mark>,
    /// It was told that nothing can be read.
    told: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: Identity,
    head: Head,
    position: u64,
    lines: Lines,
    course: Course,
    /// Another one has its place: it is read to its end, and no longer.
    is_last: bool,
    /// Nothing more is read of it.
    is_over: bool,
}

impl Tail {
    /// From the beginning of the file, or from where it is known by `marks`, the oldest first.
    pub fn new(path: &Path, most: usize, marks: Vec<Mark>) -> Self {
        Self {
            path: path.to_owned(),
            name: path.to_string_lossy().into_owned(),
            key: mark::key(path),
            most,
            file: None,
            older: Vec::new(),
            marks,
            told: false,
        }
    }

    /// What its marks are kept under.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How far everything that was read of each of its files has ended, the oldest first.
    pub fn marks(&mut self) -> Vec<Mark> {
        let key = &self.key;
        let all = self.older.iter_mut().chain(&mut self.file);
        let known = all.map(|open| open.mark(key));
        // What was not found yet may still come back.
        known.chain(self.marks.iter().cloned()).collect()
    }

    /// The same, with what is still on its way, when nothing more is read.
    pub fn leave(mut self) -> impl Iterator<Item = (Mark, Course)> {
        let all = self.older.into_iter().chain(self.file.take());
        let key = self.key;
        let known = all.map(move |mut open| (open.mark(&key), open.course));
        let others = self.marks.into_iter();
        known.chain(others.map(|mark| {
            let course = Course::from(mark.place);
            (mark, course)
        }))
    }

    /// Gives the lines that have come, up to a chunk of each of its files; whether there were any.
    pub fn poll(&mut self, chunk: &mut [u8], out: &mut Emit<Raw>) -> bool {
        let before = out.len();
        self.poll_older(chunk, out);
        match &mut self.file {
            None => self.open(out),
            Some(open) => match open.read(&self.name, chunk, out) {
                Ok(0) => self.look(out),
                Ok(_) => self.told = false,
                Err(error) => self.give_up(&error, out),
            },
        }
        out.len() > before
    }

    fn poll_older(&mut self, chunk: &mut [u8], out: &mut Emit<Raw>) {
        for at in 0..self.older.len() {
            let open = &mut self.older[at];
            if open.is_over {
                continue;
            }
            match open.read(&self.name, chunk, out) {
                Ok(0) if open.is_last => {
                    open.finish(&self.name, out);
                    open.is_over = true;
                }
                Ok(_) => {}
                Err(error) => {
                    open.is_over = true;
                    self.lose(&error, out);
                }
            }
        }
        self.older
            .retain_mut(|open| !(open.is_over && open.course.is_over()));
    }

    /// Looks whether the file that was read to its end still has the name.
    fn look(&mut self, out: &mut Emit<Raw>) {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(_) => return self.tell(Fault::Gone, out),
        };
        let Some(open) = &self.file else { return };
        if Identity::of(&metadata) != open.identity {
            self.older.iter_mut().for_each(|open| open.is_last = true);
            self.older.extend(self.file.take());
            self.open(out);
        } else if metadata.len() < open.position {
            self.begin_again(out);
        }
    }

    /// Reads what was cut off from its beginning.
    fn begin_again(&mut self, out: &mut Emit<Raw>) {
        let Some(mut open) = self.file.take() else {
            return;
        };
        open.finish(&self.name, out);
        let mut file = open.file;
        let begun = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| Open::new(file, None, self.most));
        match begun {
            Ok(open) => self.file = Some(open),
            Err(error) => self.lose(&error, out),
        }
    }

    /// Closes what cannot be read, to open it again where everything before has ended.
    fn give_up(&mut self, error: &io::Error, out: &mut Emit<Raw>) {
        let mark = self.file.take().map(|mut open| open.mark(&self.key));
        self.marks.extend(mark);
        self.lose(error, out);
    }

    fn open(&mut self, out: &mut Emit<Raw>) {
        let opened = File::open(&self.path).and_then(|mut file| {
            let known = self.known(&mut file)?;
            Open::new(file, known, self.most)
        });
        match opened {
            Ok(open) => {
                self.file = Some(open);
                self.find_renamed();
                // What is not there any more is forgotten.
                self.marks.clear();
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !self.told {
                    self.find_renamed();
                }
                self.tell(Fault::Gone, out);
            }
            Err(error) => self.lose(&error, out),
        }
    }

    /// The mark of the file that has the name now, which then stands where it was read to.
    fn known(&mut self, file: &mut File) -> io::Result<Option<Mark>> {
        for at in 0..self.marks.len() {
            if self.marks[at].resume(file)? {
                return Ok(Some(self.marks.remove(at)));
            }
        }
        Ok(None)
    }

    /// Opens what is remembered and has another name by now; the marks of what is not found are left.
    fn find_renamed(&mut self) {
        for mark in std::mem::take(&mut self.marks) {
            let mut open = self.older.iter().chain(&self.file);
            if open.any(|open| open.identity == mark.identity) {
                continue;
            }
            let found = mark.renamed();
            let open = found.map(|file| Open::new(file, Some(mark.clone()), self.most));
            match open {
                Some(Ok(open)) => self.older.push(open),
                _ => self.marks.push(mark),
            }
        }
    }

    fn lose(&mut self, error: &io::Error, out: &mut Emit<Raw>) {
        self.tell(Fault::Unreadable(error.to_string()), out);
    }

    /// Tells it once, until something was read again.
    fn tell(&mut self, fault: Fault, out: &mut Emit<Raw>) {
        if !std::mem::replace(&mut self.told, true) {
            let source = self.name.as_str().into();
            out.send(raw(&source, 0, Instant::now(), Err(fault)));
        }
    }
}

impl Open {
    /// A file that stands where its mark says, or at its beginning.
    fn new(file: File, mark: Option<Mark>, most: usize) -> io::Result<Self> {
        let (head, place) = mark.map_or_else(Default::default, |mark| (mark.head, mark.place));
        Ok(Self {
            identity: Identity::of(&file.metadata()?),
            file,
            head,
            position: place.position,
            lines: Lines::after(place.line, most),
            course: Course::from(place),
            is_last: false,
            is_over: false,
        })
    }

    fn mark(&mut self, key: &str) -> Mark {
        Mark {
            path: key.to_owned(),
            identity: self.identity,
            head: self.head,
            place: self.course.ended(),
        }
    }

    /// Gives the whole lines of the next chunk; how many bytes it had.
    fn read(&mut self, name: &str, chunk: &mut [u8], out: &mut Emit<Raw>) -> io::Result<usize> {
        // Only an end of the file is nothing: one that was renamed is given up there.
        let length = loop {
            match self.file.read(chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let bytes = &chunk[..length];
        self.head.see(self.position, bytes);
        self.position += length as u64;
        self.lines.push(bytes);
        let before = self.lines.number();
        let (source, received): (Arc<str>, _) = (name.into(), Instant::now());
        while let Some(line) = self.lines.next_line() {
            out.send(raw(&source, self.lines.number(), received, line));
        }
        if self.lines.number() > before {
            self.course.gave(source, self.place());
        }
        Ok(length)
    }

    /// Where the last whole line ends.
    fn place(&self) -> Place {
        Place {
            position: self.position - self.lines.pending(),
            line: self.lines.number(),
        }
    }

    /// Gives a last line without an end, because there will be none.
    fn finish(&mut self, name: &str, out: &mut Emit<Raw>) {
        if let Some(line) = self.lines.finish() {
            let source: Arc<str> = name.into();
            out.send(raw(&source, self.lines.number(), Instant::now(), line));
            self.course.gave(source, self.place());
        }
    }
}

#[cfg(test)]
mod tests;
