//! `cargo xtask peers`: pipewright against its peers and against what the machine can do.
//!
//! The comparison is a workspace of its own (`benches/peers`); this builds and runs it. What it measures is listed from its
//! file of cases, without building anything.

use std::{ffi::OsString, fs, path::PathBuf};

use serde::Deserialize;

use crate::{Outcome, cargo, say};

/// What is read of the file of cases.
#[derive(Debug, Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    about: String,
    #[serde(default)]
    goals: Vec<toml::Value>,
}

/// Lists the cases if the arguments ask for it, else builds the comparison and passes them on.
pub(crate) fn run(args: &[OsString]) -> Outcome {
    if args.iter().any(|arg| arg == "--list") {
        let path = folder().join("cases.toml");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        say::line(list(&text)?)?;
        return Ok(true);
    }
    let manifest = folder().join("Cargo.toml");
    let fixed = ["run", "--quiet", "--release", "--locked", "--manifest-path"].map(OsString::from);
    let command = fixed
        .into_iter()
        .chain([manifest.into_os_string(), OsString::from("--")]);
    let mut command = cargo::cargo(command.chain(args.iter().cloned()));
    // Paths that are given are meant from where the command was typed.
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    cargo::status(&mut command).map(|status| status.success())
}

fn folder() -> PathBuf {
    cargo::root().join("benches/peers")
}

/// A line for each case.
fn list(text: &str) -> Result<String, String> {
    let cases: Cases = toml::from_str(text).map_err(|error| format!("`cases.toml`: {error}"))?;
    let line = |case: &Case| {
        let goals = match case.goals.len() {
            0 => String::new(),
            1 => "; 1 goal".to_owned(),
            many => format!("; {many} goals"),
        };
        format!("{:24} {}{goals}", case.name, case.about)
    };
    Ok(cases.case.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_a_line_with_its_goals() {
        let text = "[[case]]\nname = \"hop\"\nabout = \"From one core to the other\"\n\
            measures = []\ngoals = [{ row = \"ours\", at_most = 1 }]\n\
            [[case]]\nname = \"spawn\"\nabout = \"Empty tasks\"\n";
        let expect = "hop                      From one core to the other; 1 goal\n\
            spawn                    Empty tasks";
        assert_eq!(list(text).unwrap(), expect);
        assert!(list("case = 1").unwrap_err().starts_with("`cases.toml`"));
    }

    #[test]
    fn the_cases_of_the_repository_can_be_listed() {
        let text = fs::read_to_string(folder().join("cases.toml")).unwrap();
        let listed = list(&text).unwrap();
        assert!(
            listed
                .lines()
                .any(|line| line.starts_with("linear_pipeline "))
        );
    }
}
