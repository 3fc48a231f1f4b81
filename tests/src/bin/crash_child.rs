//! The child of the test with kill -9: copies numbered lines from a file to a file, and keeps the bad ones as dead letters.
//!
//! `crash_child FOLDER` reads `in.txt`, writes `out.txt` and `letters/`, and keeps its position in `in.offset`.

#![forbid(unsafe_code)]

use std::{error::Error, path::PathBuf, process::ExitCode, sync::Arc};

use pipewright::{
    DeadLetter, Emit, Flow,
    dead_letters::{DeadLetters, DeadLettersError},
    files::{FileError, FileSink, FileSource},
    pipeline,
};

/// What the run works on.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    outputs: Arc<Outputs>,
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

    fn open(files: &Files) -> Result<FileSource, FileError> {
        let outputs = Arc::clone(&files.outputs);
        let kept = files.folder.join("in.offset");
        FileSource::lines(files.folder.join("in.txt"), kept)
            .before_commit(move || {
                outputs.letters.sync().map_err(|error| FileError::Io {
                    path: "letters".into(),
                    source: Arc::new(std::io::Error::other(error)),
                })?;
                outputs.lines.sync()
            })
            .open()
    }

    /// The lines behind the kept position.
    #[source(state = open, acks, batch = 50)]
    pub fn lines(file: &mut FileSource, out: &mut Emit<Result<Vec<u8>, FileError>>) -> Flow {
        file.poll(out)
    }

    /// A file that cannot be read ends the run.
    #[stage(from = lines, on_error = stop)]
    pub fn read(line: Result<Vec<u8>, FileError>) -> Result<Vec<u8>, FileError> {
        line
    }

    /// Some lines are bad.
    #[stage(from = read)]
    pub fn check(line: Vec<u8>) -> Result<Vec<u8>, String> {
        match line.split(|byte| *byte == b' ').nth(1) {
            Some(text) if !text.starts_with(b"bad") => Ok(line),
            _ => Err(String::from_utf8_lossy(&line).into_owned()),
        }
    }

    /// Takes the good ones.
    #[sink(from = check, on_error = stop)]
    pub fn store(line: Vec<u8>, files: &Files) -> Result<(), FileError> {
        files.outputs.lines.append(&line)
    }

    /// Takes the bad ones.
    #[sink(from = check::Err, on_error = stop)]
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
        .start(Files { folder, outputs })?
        .wait()?;
    println!("{report}");
    Ok(())
}
