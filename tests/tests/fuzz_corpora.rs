//! What fuzzers have found to reach new code is tried again. `cargo xtask fuzz` looks for more.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "the targets belong to the fuzzers, whose package is not built here"
)]

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

/// Runs a target on every file of its corpus.
#[track_caller]
fn check(name: &str, least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let (_, target) = targets::TARGETS
        .iter()
        .find(|(of, _)| *of == name)
        .expect("a target");
    let entries = fs::read_dir(&folder).expect("a corpus");
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    assert!(paths.len() >= least, "{} files", paths.len());
    for path in paths {
        let bytes = fs::read(&path).expect("a file");
        let survived = catch_unwind(|| target(&bytes));
        assert!(survived.is_ok(), "{}", path.display());
    }
}

#[test]
fn topologies() {
    check("topology", 200);
}

#[test]
fn tuning_files() {
    check("tuning", 200);
}

#[test]
fn token_streams() {
    check("tokens", 200);
}

#[test]
fn segments_of_dead_letters() {
    check("dead_letters", 50);
}
