//! Dead letters: items that failed, with the reason and where they came from, kept in a folder until somebody deals with them.
//!
//! A reader of `stage::Err` that takes a `DeadLetter<E, T>` gets the failed item too. `DeadLetters` writes letters to a folder of
//! checksummed files, which `cargo xtask dead-letters list FOLDER` shows and `replay` turns into items again.

#![forbid(unsafe_code)]

use std::{error::Error, num::ParseIntError, path::PathBuf};

use pipewright::{
    DeadLetter,
    dead_letters::{DeadLetters, DeadLettersError, Found, Payload},
    pipeline,
};

const READINGS: [&str; 6] = ["17", "18", "?", "21", "-", "20"];

/// Adds up what sensors say.
#[pipeline(env = PathBuf)]
pub mod sensors {
    use super::*;

    /// What came over the wire.
    #[source]
    pub fn readings() -> impl Iterator<Item = String> {
        READINGS.into_iter().map(str::to_owned)
    }

    /// Some of it is no number.
    #[stage(from = readings)]
    pub fn parse(reading: String) -> Result<u32, ParseIntError> {
        reading.parse()
    }

    /// Adds up the rest.
    #[sink(from = parse)]
    pub fn add(degrees: u32, sum: &mut u32) {
        *sum += degrees;
    }

    fn open(folder: &PathBuf) -> Result<DeadLetters, DeadLettersError> {
        DeadLetters::open(folder)
    }

    /// Keeps what failed. If the folder cannot be written for 30 seconds, the run stops: no letter is lost in silence.
    #[sink(from = parse::Err, state = open, on_error = stop)]
    pub fn keep(
        letter: DeadLetter<ParseIntError, String>,
        letters: &mut DeadLetters,
    ) -> Result<(), DeadLettersError> {
        letters.keep(&letter)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let run = sensors::pipeline().start(folder.path().to_owned())?;
    let mut report = run.wait()?;
    println!("{report}\n");

    // The state of a sink is in the report; closing it says whether every letter is on the disk.
    if let Some(letters) = report.take_state::<sensors::keep>() {
        let stats = letters.close()?;
        println!("{} letters were kept", stats.taken);
    }

    for letter in Found::read(folder.path())?.letters {
        let (origin, error) = (letter.origin, letter.error);
        if let (Some(origin), Payload::Json(item)) = (origin, letter.payload) {
            let item = String::from_utf8_lossy(&item);
            println!(
                "{}: item {item} of `{}`: {error}",
                letter.stage, origin.source
            );
        }
    }
    Ok(())
}
