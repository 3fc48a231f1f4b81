//! `cargo xtask bench`: builds what measures and judges, and passes on what it says, its exit code included.
//!
//! It is a package of its own (`xtask/bench`), so that nobody else builds what it needs.

use std::{ffi::OsString, process::ExitCode};

use crate::cargo;

/// Runs a command of it.
pub(crate) fn run(args: &[OsString]) -> Result<ExitCode, String> {
    code(args).map(ExitCode::from)
}

/// What it ends with where something could not be compared on this machine.
pub(crate) const SKIPPED: u8 = 14;

/// What a command of it ends with.
pub(crate) fn code(args: &[OsString]) -> Result<u8, String> {
    let manifest = cargo::root().join("Cargo.toml");
    let fixed = [
        "run",
        "--quiet",
        "--package",
        "pipewright-bench",
        "--manifest-path",
    ];
    let fixed = fixed.map(OsString::from).into_iter();
    let fixed = fixed.chain([manifest.into_os_string(), OsString::from("--")]);
    let mut command = cargo::cargo(fixed.chain(args.iter().cloned()));
    // Paths that are given are meant from where the command was typed.
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    let status = cargo::status(&mut command)?;
    // Who is ended by a signal has no code.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
