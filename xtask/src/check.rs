//! `cargo xtask check`: what the macros would say, without compiling.

use std::{collections::BTreeSet, path::PathBuf};

use pipewright_spec::report::MAX_SHOWN;

use crate::read;

/// Checks the files and shows what is wrong; `true` if nothing is.
pub(crate) fn run(files: &[PathBuf]) -> bool {
    let mut told = BTreeSet::new();
    let mut problems = 0;
    for file in files {
        let reading = read::read(file);
        for note in reading.notes() {
            if told.insert(note.clone()) {
                println!("note: {note}");
            }
        }
        // A topology and the Rust file that names it tell the same.
        let found: Vec<&String> = reading
            .problems()
            .filter(|text| told.insert(text.to_string()))
            .collect();
        problems += found.len();
        for text in found.iter().take(MAX_SHOWN) {
            println!("{text}\n");
        }
        if found.len() > MAX_SHOWN {
            println!(
                "and {} more in `{}`\n",
                found.len() - MAX_SHOWN,
                file.display()
            );
        }
    }
    println!(
        "{}, {}",
        count(files.len(), "file"),
        count(problems, "problem")
    );
    problems == 0
}

/// `no problems`, `1 file`, `2 files`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
