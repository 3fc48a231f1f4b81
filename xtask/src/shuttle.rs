//! `cargo xtask shuttle`: runs whole pipelines in random interleavings; see `runtime/tests/shuttle`.

use std::{
    hash::{BuildHasher, RandomState},
    path::Path,
    process::Command,
};

use crate::{Outcome, cargo, say};

/// Schedules of all tests together.
pub(crate) const FULL: usize = 100_000;
/// As many as take less than a minute.
pub(crate) const QUICK: usize = 10_000;

/// Runs the tests whose names contain `test` in so many schedules, divided among them.
pub(crate) fn run(test: &str, iterations: usize, seed: Option<u64>) -> Outcome {
    let tests = count(test)?;
    if tests == 0 {
        return Err(format!(
            "no test has `{test}` in its name\nhelp: without a name all run"
        ));
    }
    let each = iterations.div_ceil(tests);
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    say::line(format!(
        "{tests} tests, {each} schedules each, --seed {seed}"
    ))?;
    let mut command = cargo_test(&["--", test]);
    command
        .env("PIPEWRIGHT_SHUTTLE_SCHEDULES", each.to_string())
        .env("PIPEWRIGHT_SHUTTLE_SEED", seed.to_string());
    cargo::status(&mut command).map(|status| status.success())
}

/// Repeats the schedule that a failed test has left in `file`.
pub(crate) fn replay(test: &str, file: &Path) -> Outcome {
    let file = file
        .canonicalize()
        .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    if count(test)? != 1 {
        return Err(format!(
            "a schedule is of one test, and `{test}` is in the names of several or of none\nhelp: give the whole name"
        ));
    }
    let mut command = cargo_test(&["--", test, "--nocapture"]);
    command.env("PIPEWRIGHT_SHUTTLE_REPLAY", file);
    cargo::status(&mut command).map(|status| status.success())
}

/// The number of tests whose names contain `test`.
fn count(test: &str) -> Result<usize, String> {
    let mut command = cargo_test(&["--", test, "--list", "--format", "terse"]);
    let (built, text) = cargo::output(&mut command)?;
    if !built {
        return Err("the tests cannot be built".to_owned());
    }
    Ok(text.lines().filter(|line| line.ends_with(": test")).count())
}

/// Runs the tests of the whole runtime with shuttle behind `runtime/src/sync.rs`.
fn cargo_test(args: &[&str]) -> Command {
    let test = [
        "test",
        "--quiet",
        "--package",
        "pipewright",
        "--release",
        "--features",
        "async",
        "--test",
        "shuttle",
    ];
    let mut command = cargo::cargo(test.iter().chain(args));
    cargo::with_flags(&mut command, "RUSTFLAGS", "--cfg shuttle");
    // Other flags would rebuild everything each time, so these tests have a folder of their own.
    command
        .env("CARGO_TARGET_DIR", cargo::target().join("shuttle"))
        // Most of the time goes into shuttle, and building with the settings of a release takes longer than they save.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    command
}
