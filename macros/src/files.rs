//! Finds and reads the file that `#[pipeline("..")]` names: the only I/O of the macros.
//!
//! Editors expand macros as soon as a repository is opened, so a path must not lead out of what is being compiled: the file
//! is below the folder of the source file or below the package, also when links are followed.

use std::{
    io,
    path::{Path, PathBuf},
};

use pipewright_macros_core::{Source, files, ron};
use proc_macro2::Span;

/// Reads the file that a path literal names: beside the source file, or below the package with a leading `/`.
pub(crate) fn read(path: &str, literal: Span) -> Result<Source, String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    // Older language servers do not tell where a token comes from.
    let source = literal.local_file();
    let beside = source.as_deref().and_then(Path::parent);
    read_in(path, package.as_deref(), beside)
}

/// Reads a file of the package, from a source file in the folder `beside`, or in `src` where that is not known.
fn read_in(path: &str, package: Option<&Path>, beside: Option<&Path>) -> Result<Source, String> {
    let root = package.unwrap_or(Path::new(""));
    let file = match (path.strip_prefix('/'), beside) {
        (Some(below), _) => root.join(below),
        (None, Some(folder)) => folder.join(path),
        (None, None) => root.join("src").join(path),
    };
    let shown = file.display().to_string();
    let text = match is_below(&file, [package, beside]) {
        Ok(true) => files::read(&file, ron::MAX_BYTES as u64),
        Ok(false) => {
            return Err(format!(
                "`{shown}` is neither in this package nor below the folder of this source file"
            ));
        }
        Err(error) => Err(error.into()),
    };
    match text {
        Ok(text) => Ok(Source::new(shown, text)),
        Err(error) => Err(format!("cannot read `{shown}`: {error}")),
    }
}

/// Is what lies under this name in one of these folders?
fn is_below(file: &Path, folders: [Option<&Path>; 2]) -> io::Result<bool> {
    let file = file.canonicalize()?;
    // A folder without a name is the current one.
    let folder = |folder: &Path| Path::new(".").join(folder).canonicalize();
    let mut folders = folders.into_iter().flatten();
    Ok(folders.any(|name| folder(name).is_ok_and(|folder| file.starts_with(folder))))
}

#[cfg(test)]
mod tests;
