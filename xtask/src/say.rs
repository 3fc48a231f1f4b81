//! What commands say: the one place that writes to standard output.
//!
//! It may be a file on a disk that is full. That is told like any other problem, and not by a panic as `println!` does.

use std::{fmt::Display, io::Write};

/// Says text as it is; colours reach only a terminal.
pub(crate) fn text(text: &str) -> Result<(), String> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot write to standard output: {error}"))
}

/// Says a line.
pub(crate) fn line(line: impl Display) -> Result<(), String> {
    text(&format!("{line}\n"))
}
