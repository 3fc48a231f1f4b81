//! `cargo xtask fuzz`: looks for input that breaks a reader, with libFuzzer on the toolchain that is pinned.
//!
//! `cargo fuzz` asks for a nightly compiler, because it turns on a sanitizer. What libFuzzer needs, to be told which code was
//! reached, stable compilers do as well; and outside of `runtime` there is no unsafe code that a sanitizer would look at. With
//! `cargo-fuzz` at hand, `cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none TARGET` does the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Outcome, cargo, say};

/// The targets, each in `tests/fuzz/fuzz_targets`.
const TARGETS: [&str; 4] = ["topology", "tuning", "tokens", "dead_letters"];

/// What makes the compiler count the code that is reached, as `cargo fuzz` does it.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code";

/// When a target has been fuzzed for long enough, by libFuzzer's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Until(Vec<String>);

impl Until {
    /// After so many seconds or runs, whatever is first; after a minute where nothing is said.
    pub(crate) fn new(seconds: Option<u64>, runs: Option<u64>) -> Self {
        let seconds = match (seconds, runs) {
            (None, None) => Some(60),
            (seconds, _) => seconds,
        };
        let seconds = seconds.map(|seconds| format!("-max_total_time={seconds}"));
        let runs = runs.map(|runs| format!("-runs={runs}"));
        Self(seconds.into_iter().chain(runs).collect())
    }
}

/// How a target is run. Much of a run's time is what libFuzzer does with the code that was reached, so it does not count how rare that is,
/// and inputs are as long as what is new needs: twice as many runs a second as with the defaults.
const HOW: [&str; 5] = [
    "-timeout=5",
    "-rss_limit_mb=512",
    "-max_len=1024",
    "-entropic=0",
    "-print_final_stats=1",
];

/// Fuzzes each target, or the one that is named; `keep`: puts what reached new code into the corpus.
pub(crate) fn run(target: Option<&str>, until: Until, keep: bool) -> Outcome {
    let targets: Vec<&str> = match target {
        Some(name) => vec![known(name)?],
        None => TARGETS.to_vec(),
    };
    let programs = build()?;
    let mut found = Vec::new();
    for target in targets {
        let figures = fuzz(&programs.join(target), target, &until)?;
        if keep {
            merge(&programs.join(target), target)?;
        }
        found.push((target, figures));
    }
    say::line(format!("\n{:14} {:>12} {:>8}", "target", "runs", "crashes"))?;
    for (target, figures) in &found {
        let crashes = figures.crashes.len();
        say::line(format!("{target:14} {:>12} {crashes:>8}", figures.runs))?;
    }
    let crashes: Vec<&PathBuf> = found
        .iter()
        .flat_map(|(_, figures)| &figures.crashes)
        .collect();
    for path in &crashes {
        say::line(format!("crash: {}", path.display()))?;
    }
    Ok(crashes.is_empty())
}

/// What came of a target.
struct Figures {
    runs: u64,
    /// The inputs that broke it.
    crashes: Vec<PathBuf>,
}

fn known(name: &str) -> Result<&'static str, String> {
    let found = TARGETS.into_iter().find(|target| *target == name);
    found.ok_or_else(|| {
        format!(
            "there is no target `{name}`\nhelp: they are {}",
            TARGETS.join(", ")
        )
    })
}

fn package() -> PathBuf {
    cargo::root().join("tests/fuzz")
}

/// Where inputs of a target are kept, and where new ones go.
fn folder(target: &str, what: &str) -> PathBuf {
    cargo::target().join("fuzz").join(what).join(target)
}

/// Builds all targets; they lie in the folder that comes back.
fn build() -> Result<PathBuf, String> {
    let host = host()?;
    let built = cargo::target().join("fuzz");
    let mut command = cargo::cargo(["build", "--release", "--locked", "--target", &host]);
    command
        .arg("--manifest-path")
        .arg(package().join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &built);
    cargo::with_flags(&mut command, "RUSTFLAGS", COVERAGE);
    match cargo::status(&mut command)?.success() {
        true => Ok(built.join(host).join("release")),
        false => Err("the fuzz targets cannot be built; libFuzzer needs a C++ compiler".to_owned()),
    }
}

/// The platform of this machine. With a target given, build scripts are not told to count.
fn host() -> Result<String, String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| format!("cannot run `rustc`: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

fn fuzz(program: &Path, target: &str, until: &Until) -> Result<Figures, String> {
    let (work, crashes) = (folder(target, "work"), folder(target, "crashes"));
    for folder in [&work, &crashes] {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    }
    say::line(format!("=== {target}: {}", until.0.join(" ")))?;
    let mut command = Command::new(program);
    command
        .arg(&work)
        .args(seeds(target))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .args(&until.0)
        .args(HOW)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let runs = executed(&text).ok_or_else(|| format!("libFuzzer did not run:\n{text}"))?;
    if !output.status.success() {
        say::line(&text)?;
    }
    let crashes = fs::read_dir(&crashes).map_err(|error| error.to_string())?;
    Ok(Figures {
        runs,
        crashes: crashes
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect(),
    })
}

/// The corpus, and the files of tests that are good to begin with.
fn seeds(target: &str) -> Vec<PathBuf> {
    let hostile = cargo::root().join("macros/core/tests/hostile");
    let more = match target {
        "topology" => vec![hostile.join("topology"), hostile.join("pipeline")],
        "tuning" => vec![hostile.join("tuning")],
        _ => Vec::new(),
    };
    [vec![package().join("corpus").join(target)], more].concat()
}

/// The number of runs that libFuzzer tells at its end.
fn executed(text: &str) -> Option<u64> {
    let lines = text.lines();
    let mut runs = lines.filter_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    runs.next_back()?.trim().parse().ok()
}

/// Adds to the corpus what covers code that nothing in it covers, and nothing else.
fn merge(program: &Path, target: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(package().join("corpus").join(target))
        .arg(folder(target, "work"))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    match cargo::status(&mut command)?.success() {
        true => Ok(()),
        false => Err(format!("the corpus of `{target}` could not be merged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_program_and_its_corpus() {
        for target in TARGETS {
            let program = package().join("fuzz_targets").join(format!("{target}.rs"));
            assert!(program.is_file(), "{}", program.display());
            assert!(package().join("corpus").join(target).is_dir(), "{target}");
        }
        assert!(known("topologies").is_err());
    }

    #[test]
    fn a_target_is_fuzzed_for_so_long_or_so_often() {
        let check = |seconds, runs, expect: &[&str]| {
            assert_eq!(Until::new(seconds, runs).0, expect);
        };
        check(None, None, &["-max_total_time=60"]);
        check(Some(5), None, &["-max_total_time=5"]);
        check(None, Some(7), &["-runs=7"]);
        check(Some(5), Some(7), &["-max_total_time=5", "-runs=7"]);
    }

    #[test]
    fn the_number_of_runs_is_read_from_what_libfuzzer_prints() {
        let text = "#2\tINITED\nDone 7 runs in 1 second(s)\nstat::number_of_executed_units: 1234\nstat::peak_rss_mb: 40\n";
        assert_eq!(executed(text), Some(1234));
        assert_eq!(executed("==1== ERROR"), None);
    }
}
