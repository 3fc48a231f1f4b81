//! The files that the rules are for.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file of the repository.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    /// Its path from the root, with `/` between the parts.
    pub(super) shown: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn is_rust(&self) -> bool {
        self.shown.ends_with(".rs")
    }

    pub(super) fn is_ron(&self) -> bool {
        self.shown.ends_with(".ron")
    }

    /// A topology or a tuning file; other RON files say in a line what else they are.
    pub(super) fn is_pipeline(&self) -> bool {
        let header = self
            .text
            .lines()
            .find_map(|line| line.strip_prefix("#![type = \""));
        self.is_ron() && header.is_none_or(|kind| kind.starts_with("pipewright::spec::"))
    }

    /// Files of tests that are wrong or long on purpose: compile-error cases, snapshots, and RON files of tests.
    pub(super) fn is_test_data(&self) -> bool {
        let below = |folder: &str| self.shown.contains(&format!("/{folder}/"));
        below("ui")
            || below("snapshots")
            || (self.is_ron() && (below("tests") || self.shown.starts_with("tests/")))
    }
}

/// The text files below a folder, in the order of their paths.
pub(super) fn below(root: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    collect(root, "", &mut files)
        .map_err(|error| format!("cannot read `{}`: {error}", root.display()))?;
    files.sort_by(|a, b| a.shown.cmp(&b.shown));
    Ok(files)
}

fn collect(folder: &Path, above: &str, files: &mut Vec<File>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let (path, shown) = (entry.path(), format!("{above}{name}"));
        let path = path
            .strip_prefix(".")
            .map(Path::to_path_buf)
            .unwrap_or(path);
        if entry.file_type()?.is_dir() {
            if is_ours(name, &shown) {
                collect(&path, &format!("{shown}/"), files)?;
            }
        } else if is_text(name, &shown) {
            let text = fs::read_to_string(&path)?;
            files.push(File { path, shown, text });
        }
    }
    Ok(())
}

/// Not what cargo, git, an editor or trybuild puts there.
fn is_ours(name: &str, shown: &str) -> bool {
    let hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&name);
    !hidden && !["target", "benches/peers/target", "tests/wip"].contains(&shown)
}

/// Hostile files are no text for us, whatever they are called.
fn is_text(name: &str, shown: &str) -> bool {
    if shown.contains("/hostile/") && name.ends_with(".ron") {
        return false;
    }
    let endings = [".rs", ".ron", ".toml", ".md", ".stderr", ".snap", ".sh"];
    endings.iter().any(|ending| name.ends_with(ending)) || shown == ".ci/run"
}
