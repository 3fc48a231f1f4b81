//! The child of the test with kill -9: copies numbered lines from a file to a file, and keeps the bad ones as dead letters.
//!
//! `crash_child FOLDER [find]` reads `in.txt`, writes `out.txt` and `letters/`, and keeps its position in `in.offset`. Whom it asks about each line is
//! down now and then; while its breaker is open, lines are given back to the file, and `rewinds` has a byte for each time that it goes
//! back. Lines with `abort` or `overflow` end the process; with `find`, they become dead letters when they have done so twice, and nobody
//! is down.

#![forbid(unsafe_code)]

use std::{
    error::Error,
    fs::File,
    io::Write,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use pipewright::{
    Acknowledge, DeadLetter, Emit, Flow, Rewind,
    dead_letters::{DeadLetters, DeadLettersError},
    files::{FileError, FileSink, FileSource},
    pipeline,
};

/// What the run works on.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    finds_crashes: bool,
    outputs: Arc<Outputs>,
    asked: AtomicU64,
}

/// Whom is asked is down for the last 8 of so many questions.
const DOWN: u64 = 300;

impl Files {
    fn is_down(&self) -> bool {
        !self.finds_crashes && self.asked.fetch_add(1, Relaxed) % DOWN >= DOWN - 8
    }
}

/// A file, which tells when it goes back.
#[derive(Debug)]
pub struct Lines {
    file: FileSource,
    rewinds: File,
}

impl Acknowledge for Lines {
    type Position = u64;
    type Committer = <FileSource as Acknowledge>::Committer;
    type Error = FileError;

    fn committer(&mut self) -> Result<Self::Committer, FileError> {
        self.file.committer()
    }

    fn position(&self) -> u64 {
        self.file.position()
    }

    fn is_careful(&self) -> bool {
        self.file.is_careful()
    }
}

impl Rewind for Lines {
    fn rewind(&mut self, position: u64) -> Result<(), FileError> {
        self.rewinds.write_all(b"-").map_err(of_rewinds)?;
        self.file.rewind(position)
    }
}

fn of_rewinds(error: std::io::Error) -> FileError {
    FileError::Io {
        path: "rewinds".into(),
        source: Arc::new(error),
    }
}

/// What must be durable before a position is kept.
#[derive(Debug)]
pub struct Outputs {
    lines: FileSink,
    letters: DeadLetters,
}

/// Lines are `number text`; those whose text begins with `bad` are refused.
#[pipeline(env = Files)]
pub mod copied {
    use super::*;

    fn open(files: &Files) -> Result<Lines, FileError> {
        let mut rewinds = File::options();
        let rewinds = rewinds.append(true).create(true);
        let rewinds = rewinds.open(files.folder.join("rewinds"));
        let outputs = Arc::clone(&files.outputs);
        let kept = files.folder.join("in.offset");
        let source = FileSource::lines(files.folder.join("in.txt"), kept);
        let source = match files.finds_crashes {
            true => source.find_crashes(),
            false => source,
        };
        let file = source
            .before_commit(move || {
                outputs.letters.sync().map_err(|error| FileError::Io {
                    path: "letters".into(),
                    source: Arc::new(std::io::Error::other(error)),
                })?;
                outputs.lines.sync()
            })
            .open()?;
        let rewinds = rewinds.map_err(of_rewinds)?;
        Ok(Lines { file, rewinds })
    }

    /// The lines behind the kept position.
    #[source(state = open, acks, batch = 50)]
    pub fn lines(from: &mut Lines, out: &mut Emit<Result<Vec<u8>, FileError>>) -> Flow {
        from.file.poll(out)
    }

    /// Divides what came from what could not.
    #[stage(from = lines)]
    pub fn read(line: Result<Vec<u8>, FileError>) -> Result<Vec<u8>, FileError> {
        line
    }

    /// What ended the process is kept; a file that cannot be read ends the run.
    #[sink(from = read::Err, on_error = stop)]
    pub fn suspect(letter: DeadLetter<FileError>, files: &Files) -> Result<(), Box<dyn Error>> {
        match &letter.error {
            FileError::Crashed { record, .. } => {
                let kept = files.outputs.letters.keep_with_bytes(&letter, record);
                kept.map_err(Into::into)
            }
            error => Err(error.clone().into()),
        }
    }

    /// Calls itself until the stack ends.
    fn overflow(depth: u64) -> u64 {
        let deep = std::hint::black_box([depth; 64]);
        match std::hint::black_box(deep[0]) {
            u64::MAX => 0,
            depth => overflow(depth + 1) + deep[1],
        }
    }

    /// Some lines are bad.
    #[stage(from = read)]
    pub fn check(line: Vec<u8>) -> Result<Vec<u8>, String> {
        match line.split(|byte| *byte == b' ').nth(1) {
            Some(text) if text.starts_with(b"abort") => std::process::abort(),
            Some(text) if text.starts_with(b"overflow") => Err(overflow(0).to_string()),
            Some(text) if !text.starts_with(b"bad") => Ok(line),
            _ => Err(String::from_utf8_lossy(&line).into_owned()),
        }
    }

    /// Asks about a line; what is not answered in three tries is kept as bad lines are.
    #[stage(from = check, retry(max = 3, backoff = "100us"), breaker(
        consecutive = 5, open = "10ms", open_backoff_x100 = 100, ramp = "0s", probes = 3, on_open = nack
    ))]
    pub fn ask(line: Vec<u8>, files: &Files) -> Result<Vec<u8>, String> {
        match files.is_down() {
            true => Err(String::from_utf8_lossy(&line).into_owned()),
            false => Ok(line),
        }
    }

    /// Takes the good ones.
    #[sink(from = ask, on_error = stop)]
    pub fn store(line: Vec<u8>, files: &Files) -> Result<(), FileError> {
        files.outputs.lines.append(&line)
    }

    /// Takes the bad ones.
    #[sink(from = [check::Err, ask::Err], on_error = stop)]
    pub fn keep(letter: DeadLetter<String>, files: &Files) -> Result<(), DeadLettersError> {
        files.outputs.letters.keep_without_item(&letter)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(
        std::env::args_os()
            .nth(1)
            .ok_or("usage: crash_child FOLDER")?,
    );
    let outputs = Arc::new(Outputs {
        lines: FileSink::lines(folder.join("out.txt"))?,
        // Small segments, so that some are begun while it is killed.
        letters: DeadLetters::options()
            .segment_bytes(1 << 16)
            .open(folder.join("letters"))?,
    });
    let report = copied::pipeline()
        .workers(2)
        .in_parallel()
        .start(Files {
            folder,
            finds_crashes: std::env::args().nth(2).is_some_and(|word| word == "find"),
            outputs,
            asked: AtomicU64::new(0),
        })?
        .wait()?;
    println!("{report}");
    Ok(())
}
