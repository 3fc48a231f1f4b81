//! `cargo xtask ui`: programs that must not compile, and the messages they must get.

use crate::{Outcome, cargo};

/// Runs the cases; `bless` rewrites the expected messages.
pub(crate) fn run(bless: bool) -> Outcome {
    let mut command = cargo::cargo(["test", "--package", "pipewright-tests", "--test", "ui"]);
    if bless {
        command.env("TRYBUILD", "overwrite");
    }
    cargo::status(&mut command).map(|status| status.success())
}
