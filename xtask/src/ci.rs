//! `cargo xtask ci`: every step runs, then a table tells how it went.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::ValueEnum;

use crate::{Outcome, bench, cargo, loom, say, shuttle, tidy};

/// A step, in the order they run in: what fails soon comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// The format of the code
    Fmt,
    /// The house rules
    Tidy,
    /// clippy, with warnings denied
    Clippy,
    /// The documentation, with warnings denied
    Docs,
    /// All tests
    Test,
    /// Every example
    Examples,
    /// The txpool pipeline on a small input
    Txpool,
    /// The loom models
    Loom,
    /// Whole pipelines in some random interleavings
    Shuttle,
    /// Instructions, allocations and size of the code against their references
    Bench,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    fn run(self) -> Result<Went, String> {
        let passed = match self {
            Step::Fmt => format(),
            Step::Tidy => tidy::run(None),
            Step::Clippy => cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
            Step::Docs => docs(),
            Step::Test => cargo(&["test", "--workspace"]),
            Step::Examples => examples(),
            Step::Txpool => cargo(&[
                "run",
                "--quiet",
                "--package",
                "pipewright-pipelines",
                "--",
                "txpool",
                "--transactions",
                "500",
            ]),
            Step::Loom => loom::run(),
            Step::Shuttle => shuttle::run("", shuttle::QUICK, None),
            Step::Bench => return gates(),
        };
        passed.map(Went::of)
    }
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    Passed,
    Failed,
    /// Nothing failed of what could be looked at, and not everything could.
    InPart,
    /// It was left out.
    Skipped,
}

impl Went {
    fn of(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::InPart => "IN PART",
            Self::Skipped => "skipped",
        }
    }
}

/// Runs the steps that are not left out; `true` if all of them passed, and with `deny_skipped` if they looked at everything.
pub(crate) fn run(skip: &[Step], deny_skipped: bool) -> Outcome {
    let mut rows = Vec::new();
    for step in Step::value_variants() {
        if skip.contains(step) {
            rows.push((step.name(), Went::Skipped, 0.0));
            continue;
        }
        say::line(format!("\n=== {} ===", step.name()))?;
        let start = Instant::now();
        let went = step.run().unwrap_or_else(|why| {
            eprintln!("error: {why}");
            Went::Failed
        });
        rows.push((step.name(), went, start.elapsed().as_secs_f64()));
    }
    say::line(format!("\n{}", table(&rows)))?;
    Ok(rows.iter().all(|(_, went, _)| is_good(*went, deny_skipped)))
}

fn is_good(went: Went, deny_skipped: bool) -> bool {
    match went {
        Went::Passed | Went::Skipped => true,
        Went::InPart => !deny_skipped,
        Went::Failed => false,
    }
}

/// The gates of `bench`, some of which need valgrind and all of which need the toolchain of the references.
fn gates() -> Result<Went, String> {
    let code = bench::code(&["ci".into(), "--deny-skipped".into()])?;
    Ok(match code {
        bench::SKIPPED => Went::InPart,
        code => Went::of(code == 0),
    })
}

fn table(rows: &[(String, Went, f64)]) -> String {
    let mut text = format!("{:10} {:8} {:>8}", "step", "result", "seconds");
    for (name, went, seconds) in rows {
        text.push_str(&format!("\n{name:10} {:8} {seconds:8.1}", went.word()));
    }
    if rows.iter().any(|(_, went, _)| *went == Went::InPart) {
        text.push_str("\nIN PART: this machine could not look at everything; what it needs stands above as SKIPPED");
    }
    text
}

fn cargo(args: &[&str]) -> Outcome {
    let mut command = cargo::cargo(args);
    cargo::status(&mut command).map(|status| status.success())
}

/// Besides what `cargo fmt` finds, every file of the runtime: most of its modules are declared in a macro, where it does not look.
fn format() -> Outcome {
    let found = cargo(&["fmt", "--all", "--", "--check"])?;
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2024", "--check"]);
    command.args(rust_files(&cargo::root().join("runtime/src"))?);
    let others = cargo::status(&mut command)?;
    Ok(found && others.success())
}

/// The Rust files below a folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |why: std::io::Error| format!("cannot read {}: {why}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension() == Some(OsStr::new("rs")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn docs() -> Outcome {
    let mut command = cargo::cargo(["doc", "--workspace", "--no-deps"]);
    cargo::with_flags(&mut command, "RUSTDOCFLAGS", "-D warnings");
    cargo::status(&mut command).map(|status| status.success())
}

/// Builds the examples once and runs each; they are written to be quick.
fn examples() -> Outcome {
    let names = example_names(&cargo::root().join("examples"));
    if names.is_empty() {
        return Err("there is no example in `examples`".to_owned());
    }
    if !cargo(&["build", "--package", "pipewright-examples", "--bins"])? {
        return Ok(false);
    }
    let mut failed = Vec::new();
    for name in names {
        say::line(format!("--- {name}"))?;
        if !cargo(&[
            "run",
            "--quiet",
            "--package",
            "pipewright-examples",
            "--bin",
            &name,
        ])? {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        say::line(format!("these examples failed: {}", failed.join(", ")))?;
    }
    Ok(failed.is_empty())
}

/// Each file of `examples/` and of `examples/src/bin/` is a binary of that name.
fn example_names(folder: &Path) -> BTreeSet<String> {
    let entries = [folder.to_path_buf(), folder.join("src/bin")]
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let file = path.extension() == Some(OsStr::new("rs")) || path.join("main.rs").is_file();
            let stem = path.file_stem().filter(|_| file)?;
            Some(stem.to_str()?.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_among_the_examples_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "fn main() {}\n").unwrap();
        };
        [
            "src/bin/route.rs",
            "src/bin/push/main.rs",
            "linear.rs",
            "src/lib.rs",
            "Cargo.toml",
        ]
        .into_iter()
        .for_each(write);
        let names: Vec<String> = example_names(folder.path()).into_iter().collect();
        assert_eq!(names, ["linear", "push", "route"]);
    }

    #[test]
    fn the_table_has_a_row_for_each_step() {
        let rows = [
            ("fmt".to_owned(), Went::Passed, 1.25),
            ("test".to_owned(), Went::Skipped, 0.0),
            ("bench".to_owned(), Went::InPart, 2.0),
        ];
        let expect = "step       result    seconds\n\
                      fmt        passed        1.2\n\
                      test       skipped       0.0\n\
                      bench      IN PART       2.0\n\
                      IN PART: this machine could not look at everything; what it needs stands above as SKIPPED";
        assert_eq!(table(&rows), expect);
    }

    #[test]
    fn what_could_not_be_looked_at_fails_where_that_is_denied() {
        let check = |went: Went, deny_skipped: bool, expect: bool| {
            assert_eq!(is_good(went, deny_skipped), expect, "{went:?}");
        };
        check(Went::Passed, true, true);
        check(Went::Skipped, true, true);
        check(Went::InPart, false, true);
        check(Went::InPart, true, false);
        check(Went::Failed, false, false);
    }
}
