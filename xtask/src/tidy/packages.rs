//! Rules about packages.

use super::{Finding, files::File, rules::UNSAFE_PACKAGES};

/// Every crate of every package but those of the list forbids `unsafe` code.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let manifests = files
        .iter()
        .filter(|file| file.shown == "Cargo.toml" || file.shown.ends_with("/Cargo.toml"));
    let folders: Vec<(&str, &str)> = manifests
        .filter_map(|file| Some((file.shown.strip_suffix("Cargo.toml")?, name(&file.text)?)))
        .collect();
    let safe = folders
        .iter()
        .filter(|(_, name)| !UNSAFE_PACKAGES.contains(name));
    safe.flat_map(|(folder, _)| roots(files, folder))
        .filter_map(forbids)
        .collect()
}

/// `name = ".."` of `[package]`.
fn name(manifest: &str) -> Option<&str> {
    let mut lines = manifest
        .lines()
        .skip_while(|line| line.trim() != "[package]")
        .skip(1);
    let name = lines.find_map(|line| line.trim().strip_prefix("name"))?;
    name.split('"').nth(1)
}

/// The libraries and binaries of a package: files that are the root of a crate.
fn roots<'f>(files: &'f [File], folder: &str) -> impl Iterator<Item = &'f File> {
    files.iter().filter(move |file| {
        let inside = file.shown.strip_prefix(folder).unwrap_or_default();
        let bin = inside
            .strip_prefix("src/bin/")
            .filter(|name| name.ends_with(".rs"));
        let bin = bin.is_some_and(|name| !name.contains('/') || name.ends_with("/main.rs"));
        // A manifest may also list files beside it.
        let beside = inside.ends_with(".rs") && !inside.contains('/');
        bin || beside || ["src/lib.rs", "src/main.rs"].contains(&inside)
    })
}

fn forbids(root: &File) -> Option<Finding> {
    let says = root
        .text
        .lines()
        .any(|line| line.trim() == "#![forbid(unsafe_code)]");
    (!says).then(|| {
        Finding::new(
            root,
            1,
            "every package but `pipewright` says `#![forbid(unsafe_code)]`",
        )
    })
}
