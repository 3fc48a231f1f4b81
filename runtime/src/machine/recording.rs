//! Recordings of machines, for tests: text with a line for each file of the machine.
//!
//! `path = content`, with `\n`, `\t` and `\0`, where `{0-3,8}` in a path stands for each of these numbers. Lines that begin with `#` say
//! what it is. The tests of `xtask/hw` read their machines by this file too.

use std::{fs, path::Path};

/// The paths and contents of a recording, in its order.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = (&str, String)> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (path, content) = line
            .split_once(" =")
            .unwrap_or_else(|| panic!("`path = content`, not `{line}`"));
        let content = content
            .trim_start()
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\0", "\0");
        (path, content)
    })
}

/// The paths that one stands for. `list` reads a list of numbers.
pub(crate) fn expand(path: &str, list: fn(&str) -> Option<Vec<u32>>) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else {
        return vec![path.to_owned()];
    };
    let (numbers, after) = rest.split_once('}').expect("a closed brace");
    let numbers = list(numbers).expect("a list of numbers");
    let one = |n: u32| expand(&format!("{before}{n}{after}"), list);
    numbers.into_iter().flat_map(one).collect()
}

/// Writes a file as the kernel shows it.
pub(crate) fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a path below the root")).expect("a folder");
    fs::write(path, format!("{content}\n")).expect("a file");
}
