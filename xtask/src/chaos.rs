//! `cargo xtask chaos`: the tests that put faults into runs, with all of their faults.
//!
//! The same tests are among all tests, with a tenth of the faults.

use crate::{Outcome, cargo};

/// Tests of which there is a full form.
const TESTS: [&str; 4] = ["chaos", "crash", "dead_letter_file", "overload"];

/// Runs them one after the other, optimised; `quick`: with a tenth of the faults. All run, whatever fails.
pub(crate) fn run(quick: bool, seed: Option<u64>) -> Outcome {
    let mut args = vec![
        "test",
        "--release",
        "--package",
        "pipewright-tests",
        "--no-fail-fast",
    ];
    for test in TESTS {
        args.extend(["--test", test]);
    }
    args.extend(["--", "--nocapture", "--test-threads", "1"]);
    let mut command = cargo::cargo(args);
    match quick {
        true => command.env_remove("PIPEWRIGHT_FULL"),
        false => command.env("PIPEWRIGHT_FULL", "1"),
    };
    if let Some(seed) = seed {
        command.env("PIPEWRIGHT_SEED", seed.to_string());
    }
    cargo::status(&mut command).map(|status| status.success())
}
