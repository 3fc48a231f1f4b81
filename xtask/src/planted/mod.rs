//! `cargo xtask planted`: plants bugs, one at a time, and sees that a test fails for each.
//!
//! `tests/planted` has a patch for each bug. The repository is copied below the build folder; there the named test must pass
//! without the bug and fail with it. A patch that does not fit or does not compile is an error, and catches nothing.

mod patch;

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use self::patch::{Caught, Planted};
use crate::{Outcome, cargo, say};

/// A test that takes longer hangs, which is a way to fail.
const LONGEST: Duration = Duration::from_secs(120);

/// Plants all bugs, or those with one of `names` in their names; `check`: only sees whether the patches fit.
pub(crate) fn run(names: &[String], check: bool) -> Outcome {
    let root = cargo::root();
    let bugs: Vec<(String, Planted)> = bugs(&root)?
        .into_iter()
        .filter(|(of, _)| names.is_empty() || names.iter().any(|name| of.contains(name)))
        .collect();
    if bugs.is_empty() {
        return Err(format!(
            "no planted bug has `{}` in its name",
            names.join("` or `")
        ));
    }
    for (name, bug) in &bugs {
        bug.applied(&root).map_err(|why| format!("{name}: {why}"))?;
    }
    if check {
        say::line(format!("{} patches fit", bugs.len()))?;
        return Ok(true);
    }
    let copy = cargo::target().join("planted/repository");
    mirror(&root, &copy, "").map_err(|error| format!("cannot copy the repository: {error}"))?;
    let mut rows = Vec::new();
    let mut passes = BTreeMap::new();
    for (name, bug) in &bugs {
        say::line(format!("\n=== {name}: {}", bug.bug))?;
        let without = passes
            .entry(bug.caught.clone())
            .or_insert_with(|| try_out(&copy, &bug.caught));
        let found = match without {
            Ok(Tried::Passed) => with_bug(&copy, bug)?,
            Ok(_) => Found::FailsWithout,
            Err(why) => return Err(format!("{name}: without the bug, {why}")),
        };
        say::line(format!("    {}", found.words()))?;
        rows.push((name, bug, found));
    }
    say::line(format!("\n{:32} {:12} by", "bug", "result"))?;
    for (name, bug, found) in &rows {
        say::line(format!("{name:32} {:12} {:?}", found.words(), bug.caught))?;
    }
    let caught = rows.iter().filter(|(.., found)| found.is_caught()).count();
    say::line(format!(
        "{caught} of {} planted bugs are caught",
        rows.len()
    ))?;
    Ok(caught == rows.len())
}

/// What came of a planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Caught,
    Hangs,
    Survived,
    FailsWithout,
}

impl Found {
    fn is_caught(self) -> bool {
        matches!(self, Self::Caught | Self::Hangs)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::Hangs => "caught, hangs",
            Self::Survived => "SURVIVED",
            Self::FailsWithout => "FAILS WITHOUT",
        }
    }
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Passed,
    Failed,
    Hung,
}

fn with_bug(copy: &Path, bug: &Planted) -> Result<Found, String> {
    let changed = bug.applied(copy)?;
    let mut before = Vec::new();
    for (path, text) in &changed {
        let path = copy.join(path);
        let read = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        before.push((path.clone(), read));
        fs::write(&path, text).map_err(|error| error.to_string())?;
    }
    let tried = try_out(copy, &bug.caught);
    for (path, text) in before {
        fs::write(path, text).map_err(|error| error.to_string())?;
    }
    Ok(match tried? {
        Tried::Passed => Found::Survived,
        Tried::Failed => Found::Caught,
        Tried::Hung => Found::Hangs,
    })
}

/// Builds and runs a test; an error is that it cannot be built, or that there is none of this name.
fn try_out(copy: &Path, caught: &Caught) -> Result<Tried, String> {
    let (program, filter) = build(copy, caught)?;
    let mut command = Command::new(&program);
    command
        .arg(filter)
        .current_dir(copy.join(folder(caught)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
    let passed = wait(&mut child)?;
    let mut text = String::new();
    if let Some(mut out) = child.stdout.take() {
        // A test may print what is no text; then it ran.
        drop(out.read_to_string(&mut text));
    }
    if text.contains("running 0 tests") {
        return Err(format!("no test has `{filter}` in its name"));
    }
    Ok(match passed {
        Some(true) => Tried::Passed,
        Some(false) => Tried::Failed,
        None => Tried::Hung,
    })
}

/// Whether it succeeded; `None` if it did not end in time and was killed.
fn wait(child: &mut Child) -> Result<Option<bool>, String> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(Some(status.success()));
        }
        if begun.elapsed() > LONGEST {
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn folder(caught: &Caught) -> &'static str {
    match caught {
        Caught::Tests(..) => "tests",
        Caught::Macros(..) => "macros/core",
        Caught::Lib(_) | Caught::Loom(_) => "runtime",
    }
}

/// Builds a test in the copy: its program, and what its tests have in their names.
fn build<'c>(copy: &Path, caught: &'c Caught) -> Result<(PathBuf, &'c str), String> {
    let lib = ["--package", "pipewright", "--lib"];
    let (args, filter, cfg) = match caught {
        Caught::Lib(filter) => (
            [&lib[..], &["--features", "durable"]].concat(),
            filter,
            None,
        ),
        Caught::Loom(filter) => (lib.to_vec(), filter, Some("loom")),
        Caught::Tests(binary, filter) => (
            vec!["--package", "pipewright-tests", "--test", binary],
            filter,
            None,
        ),
        Caught::Macros(binary, filter) => (
            vec!["--package", "pipewright-macros-core", "--test", binary],
            filter,
            None,
        ),
    };
    let mut command = cargo::cargo([
        "test",
        "--quiet",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    command
        .args(args)
        .current_dir(copy)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Most of the time goes into building.
        .env(
            "CARGO_PROFILE_DEV_OPT_LEVEL",
            if cfg.is_some() { "1" } else { "0" },
        )
        // Each kind of build has its folder, so that none is built anew for another.
        .env(
            "CARGO_TARGET_DIR",
            cargo::target().join("planted").join(cfg.unwrap_or("plain")),
        );
    if let Some(cfg) = cfg {
        cargo::with_flags(&mut command, "RUSTFLAGS", &format!("--cfg {cfg}"));
    }
    let (built, text) = cargo::output(&mut command)?;
    if !built {
        return Err("it does not compile".to_owned());
    }
    let program = text.lines().filter_map(executable).next_back();
    Ok((program.ok_or("cargo names no test program")?, filter))
}

/// The program of a line that cargo prints.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_test = message["profile"]["test"].as_bool()?;
    let path = message["executable"].as_str().filter(|_| is_test)?;
    Some(path.into())
}

/// All planted bugs by name.
fn bugs(root: &Path) -> Result<Vec<(String, Planted)>, String> {
    let folder = root.join("tests/planted");
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", folder.display());
    let mut bugs = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.and_then(|name| name.strip_suffix(".patch")) else {
            continue;
        };
        let text = fs::read_to_string(&path).map_err(failed)?;
        let bug = Planted::read(&text).map_err(|why| format!("{name}: {why}"))?;
        bugs.push((name.to_owned(), bug));
    }
    bugs.sort_by(|a, b| (&a.1.caught, &a.0).cmp(&(&b.1.caught, &b.0)));
    Ok(bugs)
}

/// Makes `to` like `from`. What is the same already is left alone, so that it is not built anew.
fn mirror(from: &Path, to: &Path, above: &str) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let gone = !from.join(entry.file_name()).exists();
        match (gone, entry.file_type()?.is_dir()) {
            (true, true) => fs::remove_dir_all(entry.path())?,
            (true, false) => fs::remove_file(entry.path())?,
            (false, _) => {}
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let shown = format!("{above}{}", name.to_string_lossy());
        let kind = entry.file_type()?;
        let hidden = shown.starts_with('.') && !shown.starts_with(".cargo");
        if hidden || ["target", "benches/peers/target", "tests/fuzz/target"].contains(&&*shown) {
            continue;
        }
        let (old, new) = (to.join(&name), entry.path());
        if kind.is_dir() {
            mirror(&new, &old, &format!("{shown}/"))?;
        } else if kind.is_file() {
            let bytes = fs::read(&new)?;
            if fs::read(&old).ok().is_none_or(|old| old != bytes) {
                fs::write(&old, bytes)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_still_fits() {
        let root = cargo::root();
        let bugs = bugs(&root).unwrap();
        assert!(bugs.len() >= 15, "{} bugs", bugs.len());
        for (name, bug) in bugs {
            let changed = bug.applied(&root);
            assert!(changed.is_ok(), "{name}: {}", changed.unwrap_err());
        }
    }

    #[test]
    fn a_copy_is_like_its_original_and_keeps_what_is_the_same() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |path: &str, text: &str| {
            let path = from.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/b.rs", "b");
        write("target/x", "no");
        write(".git/x", "no");
        write(".cargo/config.toml", "yes");
        mirror(from.path(), to.path(), "").unwrap();
        let read = |path: &str| fs::read_to_string(to.path().join(path)).ok();
        assert_eq!(read("a/b.rs").as_deref(), Some("b"));
        assert_eq!(read(".cargo/config.toml").as_deref(), Some("yes"));
        assert_eq!((read("target/x"), read(".git/x")), (None, None));
        let time = || {
            fs::metadata(to.path().join("a/b.rs"))
                .unwrap()
                .modified()
                .unwrap()
        };
        let before = time();
        fs::remove_dir_all(from.path().join(".cargo")).unwrap();
        mirror(from.path(), to.path(), "").unwrap();
        assert_eq!((time(), read(".cargo/config.toml")), (before, None));
    }

    #[test]
    fn programs_of_tests_are_found_in_what_cargo_prints() {
        let line = |test: bool, path: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"profile\":{{\"test\":{test}}},\"executable\":{path}}}"
            )
        };
        assert_eq!(
            executable(&line(true, "\"/t/acks-1\"")),
            Some("/t/acks-1".into())
        );
        assert_eq!(executable(&line(true, "null")), None);
        assert_eq!(executable(&line(false, "\"/t/bin\"")), None);
        assert_eq!(executable("warning"), None);
    }
}
