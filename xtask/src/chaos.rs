//! `cargo xtask chaos`: the tests that put faults into runs, with all of their faults.
//!
//! The same tests are among all tests, with a tenth of the faults.

use std::process::Command;

use crate::{Outcome, cargo};

/// Tests of which there is a full form.
const TESTS: [&str; 7] = [
    "chaos",
    "crash",
    "dead_letter_file",
    "limited",
    "overload",
    "stopped",
    "terminated",
];
/// The one of a ready-made pipeline, which is a unit test because stages are brought in from its crate.
const PIPELINE: &str = "flaky";

/// Runs them one after the other, optimised; `quick`: with a tenth of the faults. All run, whatever fails.
pub(crate) fn run(quick: bool, seed: Option<u64>) -> Outcome {
    let mut tests = vec!["--package", "pipewright-tests", "--no-fail-fast"];
    for test in TESTS {
        tests.extend(["--test", test]);
    }
    let pipeline = ["--package", "pipewright-pipelines", "--lib"];
    let passed = [
        status(&mut command(&tests, None), quick, seed)?,
        status(&mut command(&pipeline, Some(PIPELINE)), quick, seed)?,
    ];
    Ok(passed.iter().all(|passed| *passed))
}

/// Runs those of these tests whose names contain `filter`.
fn command(which: &[&str], filter: Option<&str>) -> Command {
    let mut args = vec!["test", "--release"];
    args.extend(which);
    args.extend(["--", "--nocapture", "--test-threads", "1"]);
    args.extend(filter);
    cargo::cargo(args)
}

fn status(command: &mut Command, quick: bool, seed: Option<u64>) -> Outcome {
    match quick {
        true => command.env_remove("PIPEWRIGHT_FULL"),
        false => command.env("PIPEWRIGHT_FULL", "1"),
    };
    if let Some(seed) = seed {
        command.env("PIPEWRIGHT_SEED", seed.to_string());
    }
    cargo::status(command).map(|status| status.success())
}
