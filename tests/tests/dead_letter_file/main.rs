//! The file of dead letters keeps what it was given: through damage, through disks that fail, and through crashes.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod damage;
mod disk;
mod failing;
mod folder;

use std::{path::Path, time::UNIX_EPOCH};

use pipewright::dead_letters::{DeadLetters, DeadLettersError, Entry, Found, Record};

/// Number `n` of the letters of a test: what it says follows from `n`.
fn keep(letters: &DeadLetters, n: u64) -> Result<(), DeadLettersError> {
    let error = text(n);
    let entry = Entry {
        time: UNIX_EPOCH,
        stage: "parse",
        class: "item",
        attempts: 1,
        origin: None,
        error: &error,
    };
    letters.keep_json(&entry, &n)
}

/// The error of letter `n`; their lengths differ.
fn text(n: u64) -> String {
    format!("no {n}{}", ".".repeat((n % 7) as usize))
}

/// What letters they are.
fn numbers(letters: &[Record]) -> Vec<u64> {
    let number = |letter: &Record| {
        let digits = letter.error.trim_start_matches("no ").trim_end_matches('.');
        let n: u64 = digits.parse().expect("the text of a letter");
        assert_eq!(letter.error, text(n));
        n
    };
    letters.iter().map(number).collect()
}

/// Reads a folder in which nothing may be damaged.
fn read(folder: &Path) -> Vec<u64> {
    let found = Found::read(folder).expect("a folder of letters");
    assert_eq!(found.damage, []);
    numbers(&found.letters)
}
