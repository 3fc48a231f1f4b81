//! A file that grows, is renamed and made anew, or is cut off and begins again, as log files do.
//!
//! **Renamed**: another file has its name. The file from before is read on as well, because who writes it may not have noticed
//! yet, until the next one is renamed, too. **Cut off**: it is shorter than what was read of it, and is read from its beginning.
//! **Gone**: it is told once, and looked for until it is there again.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use pipewright::Emit;

use super::{feed::raw, lines::Lines, reject::Fault, types::Raw};

/// A file that is followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    source: Arc<str>,
    most: usize,
    /// The file that has the name, or had it last.
    file: Option<Open>,
    /// The one that had it before.
    before: Option<Open>,
    /// It was told that nothing can be read.
    told: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: Identity,
    position: u64,
    lines: Lines,
}

/// What a file is known by, whatever its name.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Without a number of the file, only one that was cut off is known.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    (0, 0)
}

impl Tail {
    /// From the beginning of the file.
    pub fn new(path: &Path, most: usize) -> Self {
        Self {
            path: path.to_owned(),
            source: path.to_string_lossy().into(),
            most,
            file: None,
            before: None,
            told: false,
        }
    }

    /// Gives the lines that have come, up to a chunk of them; whether there were any.
    pub fn poll(&mut self, chunk: &mut [u8], out: &mut Emit<Raw>) -> bool {
        let before = out.len();
        if let Some(open) = &mut self.before
            && let Err(error) = open.read(&self.source, chunk, out)
        {
            self.lose(&error, out);
            self.before = None;
        }
        match &mut self.file {
            None => self.open(out),
            Some(open) => match open.read(&self.source, chunk, out) {
                Ok(0) => self.look(out),
                Ok(_) => self.told = false,
                Err(error) => {
                    self.lose(&error, out);
                    self.file = None;
                }
            },
        }
        out.len() > before
    }

    /// Looks whether the file that was read to its end still has the name.
    fn look(&mut self, out: &mut Emit<Raw>) {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(_) => return self.tell(Fault::Gone, out),
        };
        let Some(open) = &mut self.file else { return };
        if identity(&metadata) != open.identity {
            if let Some(mut oldest) = std::mem::replace(&mut self.before, self.file.take()) {
                oldest.finish(&self.source, out);
            }
            self.open(out);
        } else if metadata.len() < open.position {
            open.finish(&self.source, out);
            match open.file.seek(SeekFrom::Start(0)) {
                Ok(_) => {
                    open.position = 0;
                    open.lines = Lines::new(self.most);
                }
                Err(error) => {
                    self.lose(&error, out);
                    self.file = None;
                }
            }
        }
    }

    fn open(&mut self, out: &mut Emit<Raw>) {
        let opened = File::open(&self.path).and_then(|file| {
            let identity = identity(&file.metadata()?);
            Ok(Open {
                file,
                identity,
                position: 0,
                lines: Lines::new(self.most),
            })
        });
        match opened {
            Ok(open) => self.file = Some(open),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.tell(Fault::Gone, out),
            Err(error) => self.lose(&error, out),
        }
    }

    fn lose(&mut self, error: &io::Error, out: &mut Emit<Raw>) {
        self.tell(Fault::Unreadable(error.to_string()), out);
    }

    /// Tells it once, until something was read again.
    fn tell(&mut self, fault: Fault, out: &mut Emit<Raw>) {
        if !std::mem::replace(&mut self.told, true) {
            out.send(raw(&self.source, 0, Instant::now(), Err(fault)));
        }
    }
}

impl Open {
    /// Gives the whole lines of the next chunk; how many bytes it had.
    fn read(
        &mut self,
        source: &Arc<str>,
        chunk: &mut [u8],
        out: &mut Emit<Raw>,
    ) -> io::Result<usize> {
        let length = match self.file.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => other?,
        };
        self.position += length as u64;
        self.lines.push(&chunk[..length]);
        let received = Instant::now();
        while let Some(line) = self.lines.next_line() {
            out.send(raw(source, self.lines.number(), received, line));
        }
        Ok(length)
    }

    /// Gives a last line without an end, because there will be none.
    fn finish(&mut self, source: &Arc<str>, out: &mut Emit<Raw>) {
        if let Some(line) = self.lines.finish() {
            let number = self.lines.number();
            out.send(raw(source, number, Instant::now(), line));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Log {
        folder: tempfile::TempDir,
        tail: Tail,
        chunk: Vec<u8>,
    }

    impl Log {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let tail = Tail::new(&folder.path().join("log"), 100);
            Self {
                folder,
                tail,
                chunk: vec![0; 64],
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let file = File::options()
                .create(true)
                .append(true)
                .open(self.path(name));
            file.and_then(|mut file| file.write_all(text.as_bytes()))
                .expect("writes");
        }

        /// What is given until nothing comes any more, `line:text` each.
        fn told(&mut self) -> Vec<String> {
            let mut out = Emit::new();
            // A file that was just opened has given nothing yet.
            for _ in 0..4 {
                while self.tail.poll(&mut self.chunk, &mut out) && out.len() < 1000 {}
            }
            let told = out.into_vec().into_iter().map(|raw| match raw.text {
                Ok(text) => format!("{}:{}", raw.origin.line, String::from_utf8_lossy(&text)),
                Err(fault) => fault.to_string(),
            });
            told.collect()
        }
    }

    const GONE: &str = "is not there any more, and is looked for until it comes back";

    #[test]
    fn lines_are_given_when_they_are_whole() {
        let mut log = Log::new();
        log.write("log", "one\ntw");
        assert_eq!(log.told(), ["1:one"]);
        log.write("log", "o\nthree");
        assert_eq!(log.told(), ["2:two"]);
        log.write("log", "\n");
        assert_eq!(log.told(), ["3:three"]);
        assert!(log.told().is_empty());
    }

    #[test]
    fn a_file_that_is_renamed_is_read_to_its_end_and_the_new_one_from_its_beginning() {
        let mut log = Log::new();
        log.write("log", "one\n");
        assert_eq!(log.told(), ["1:one"]);
        log.write("log", "two\n");
        fs::rename(log.path("log"), log.path("log.1")).expect("renames");
        log.write("log", "new\n");
        assert_eq!(log.told(), ["2:two", "1:new"]);
        // Who writes has not noticed.
        log.write("log.1", "late\n");
        assert_eq!(log.told(), ["3:late"]);
        log.write("log.1", "no end");
        fs::rename(log.path("log"), log.path("log.2")).expect("renames");
        log.write("log", "newest\n");
        assert_eq!(log.told(), ["4:no end", "1:newest"]);
    }

    #[test]
    fn a_file_that_is_cut_off_is_read_again() {
        let mut log = Log::new();
        log.write("log", "one\ntwo\nno end");
        assert_eq!(log.told(), ["1:one", "2:two"]);
        fs::write(log.path("log"), "again\n").expect("writes");
        assert_eq!(log.told(), ["3:no end", "1:again"]);
    }

    #[test]
    fn a_file_that_is_gone_is_told_once_and_found_again() {
        let mut log = Log::new();
        assert_eq!(log.told(), [GONE]);
        assert!(log.told().is_empty());
        log.write("log", "one\n");
        assert_eq!(log.told(), ["1:one"]);
        fs::remove_file(log.path("log")).expect("removes");
        assert_eq!(log.told(), [GONE]);
        log.write("log", "two\n");
        assert_eq!(log.told(), ["1:two"]);
        // A folder cannot be read as a file.
        fs::remove_file(log.path("log")).expect("removes");
        fs::create_dir(log.path("log")).expect("makes");
        assert_eq!(log.told().len(), 1);
    }
}
