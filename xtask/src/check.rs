//! `cargo xtask check`: what the macros would say, without compiling.

use std::{collections::BTreeSet, path::PathBuf};

use pipewright_spec::report::MAX_SHOWN;

use crate::{Outcome, read, say};

/// Checks the files and shows what is wrong; `true` if nothing is.
pub(crate) fn run(files: &[PathBuf]) -> Outcome {
    let mut told = BTreeSet::new();
    let mut problems = 0;
    for file in files {
        let reading = read::read(file);
        for note in reading.notes() {
            if told.insert(note.clone()) {
                say::line(format!("note: {note}"))?;
            }
        }
        // A topology and the Rust file that names it tell the same.
        let found: Vec<&String> = reading
            .problems()
            .filter(|text| told.insert(text.to_string()))
            .collect();
        problems += found.len();
        for text in found.iter().take(MAX_SHOWN) {
            say::line(format!("{text}\n"))?;
        }
        if found.len() > MAX_SHOWN {
            let more = found.len() - MAX_SHOWN;
            say::line(format!("and {more} more in `{}`\n", file.display()))?;
        }
    }
    let files = count(files.len(), "file");
    say::line(format!("{files}, {}", count(problems, "problem")))?;
    Ok(problems == 0)
}

/// `no problems`, `1 file`, `2 files`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
