//! `cargo xtask tidy`: the house rules that a program can check.

mod files;
mod packages;
mod rules;
mod text;
mod tokens;

use std::path::{Path, PathBuf};

use crate::{Outcome, cargo, check::count, read, say};
use files::File;

/// Something that a rule found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
    /// Worth to be known, but no failure.
    warning: bool,
}

impl Finding {
    fn new(file: &File, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            path: file.shown.clone(),
            line,
            message: message.into(),
            warning: false,
        }
    }

    fn warning(self) -> Finding {
        Finding {
            warning: true,
            ..self
        }
    }
}

/// Is this the working directory?
fn is_here(folder: &Path) -> bool {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    matches!((here, folder.canonicalize()), (Ok(here), Ok(folder)) if here == folder)
}

/// Checks every file below `folder`, or of the repository; `true` if all rules hold.
pub(crate) fn run(folder: Option<&Path>) -> Outcome {
    let root = folder.map_or_else(cargo::root, Path::to_path_buf);
    let root = if is_here(&root) {
        PathBuf::from(".")
    } else {
        root
    };
    let files = files::below(&root)?;
    let mut findings = packages::check(&files);
    let mut rendered = Vec::new();
    for file in &files {
        findings.extend(text::check(file));
        if file.is_rust() {
            findings.extend(tokens::check(file));
        }
        if file.is_pipeline() && !file.is_test_data() {
            rendered.extend(read::read(&file.path).problems().cloned());
        }
    }
    findings.sort();
    rendered.sort();
    rendered.dedup();
    let problems = findings.iter().filter(|finding| !finding.warning).count() + rendered.len();
    for text in &rendered {
        say::line(format!("{text}\n"))?;
    }
    for Finding {
        path,
        line,
        message,
        warning,
    } in &findings
    {
        let warning = if *warning { "warning: " } else { "" };
        say::line(format!("{path}:{line}: {warning}{message}"))?;
    }
    let files = count(files.len(), "file");
    say::line(format!("{files}, {}", count(problems, "problem")))?;
    Ok(problems == 0)
}
