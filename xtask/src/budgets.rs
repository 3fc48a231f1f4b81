//! `cargo xtask budgets`: what each mechanism costs against its budget.

use std::path::{Path, absolute};

use crate::{Outcome, cargo};

/// Builds the measurements in release and runs them; they print what they find.
pub(crate) fn run(
    ids: &[String],
    quick: bool,
    rounds: Option<usize>,
    json: Option<&Path>,
) -> Outcome {
    // It runs in the root of the repository; a path is meant from here.
    let json = json
        .map(absolute)
        .transpose()
        .map_err(|error| format!("cannot tell where the file is: {error}"))?;
    let mut command = cargo::cargo([
        "run",
        "--quiet",
        "--release",
        "--package",
        "pipewright-benches",
        "--bin",
        "budgets",
        "--",
    ]);
    command.args(ids);
    if quick {
        command.arg("--quick");
    }
    if let Some(rounds) = rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    if let Some(file) = json {
        command.arg("--json").arg(file);
    }
    cargo::status(&mut command).map(|status| status.success())
}
