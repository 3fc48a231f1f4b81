//! `cargo xtask loom`: tries every interleaving of the lock-free pieces, within each model's bound.

use crate::{Outcome, cargo, say};

/// Runs the models and lists them.
pub(crate) fn run() -> Outcome {
    let mut command = cargo::cargo([
        "test",
        "--package",
        "pipewright",
        "--release",
        "--lib",
        "loom_",
    ]);
    cargo::with_flags(&mut command, "RUSTFLAGS", "--cfg loom");
    // Other flags would rebuild everything each time, so the models have a folder of their own.
    command.env("CARGO_TARGET_DIR", cargo::target().join("loom"));
    let (passed, text) = cargo::output(&mut command)?;
    let models = models(&text);
    for (name, result) in &models {
        say::line(format!("{name}: {result}"))?;
    }
    if !passed {
        say::line(format!("\n{text}"))?;
        return Ok(false);
    }
    if models.is_empty() {
        return Err("no model ran; their names start with `loom_`".to_owned());
    }
    say::line(format!("{} models, no problems", models.len()))?;
    Ok(true)
}

/// The models of a test run: `test loom_models::loom_ring ... ok`.
fn models(text: &str) -> Vec<(&str, &str)> {
    let of = |line| {
        let (name, result) = str::strip_prefix(line, "test ")?.split_once(" ... ")?;
        let name = name.split(" - ").next()?;
        Some((name.rsplit("::").next()?, result))
    };
    text.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_in_what_the_test_runner_prints() {
        let text = "\nrunning 2 tests\n\
            test loom_models::loom_ring - should panic ... ok\n\
            test loom_models::loom_token ... FAILED\n\n\
            test result: FAILED. 1 passed; 1 failed;\n";
        assert_eq!(
            models(text),
            [("loom_ring", "ok"), ("loom_token", "FAILED")]
        );
        assert_eq!(models("test result: ok. 0 passed\n"), []);
    }
}
