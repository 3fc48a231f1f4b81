//! Rules about lines.

use super::{
    Finding,
    files::File,
    rules::{GOOD_LINES, MAX_LINES, PRIVATE_FOLDERS, UNFINISHED},
};

/// Checks the lines of a file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let at = |message: String| Finding::new(file, index + 1, message);
        if let Some(folder) = PRIVATE_FOLDERS
            .iter()
            .find(|folder| names_folder(line, folder))
        {
            findings.push(at(format!("`{folder}` is a folder of somebody's machine")));
        }
        let word = UNFINISHED.iter().find(|word| has_word(line, word));
        if let Some(word) = word.filter(|_| !file.shown.ends_with(".md")) {
            findings.push(at(format!("`{word}`: finish it, or leave it out")));
        }
    }
    if file.is_rust() && !file.is_test_data() {
        findings.extend(length(file));
        if !file.text.starts_with("//!") {
            findings.push(Finding::new(
                file,
                1,
                "a file starts by saying what it is: `//! ..`",
            ));
        }
    }
    findings
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        Some(Finding::new(
            file,
            lines,
            format!("{lines} lines; a file has at most {MAX_LINES}"),
        ))
    } else if lines > GOOD_LINES {
        Some(Finding::new(file, lines, format!("{lines} lines; aim at {GOOD_LINES}")).warning())
    } else {
        None
    }
}

/// Is a path below `folder` named? It has to start there: `a/work/b` is another one.
fn names_folder(line: &str, folder: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "._-*/}~".contains(c);
    line.match_indices(folder)
        .any(|(at, _)| !line[..at].ends_with(inside))
}

fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}
