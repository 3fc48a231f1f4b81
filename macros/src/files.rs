//! Finds and reads the file that `#[pipeline("..")]` names: the only I/O of the macros.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use pipewright_macros_core::Source;
use proc_macro2::Span;

/// A little more than a topology may have, so that one that is too long is reported as such.
const LIMIT: u64 = 2 << 20;

/// Reads the file that a path literal names: beside the source file, or below the package with a leading `/`.
pub(crate) fn read(path: &str, literal: Span) -> Result<Source, String> {
    let file = locate(path, literal);
    let shown = file.display().to_string();
    match text(&file) {
        Ok(text) => Ok(Source::new(shown, text)),
        Err(error) => Err(format!("cannot read `{shown}`: {}", reason(&error))),
    }
}

fn locate(path: &str, literal: Span) -> PathBuf {
    if let Some(below) = path.strip_prefix('/') {
        return package().join(below);
    }
    // Older language servers do not tell where a token comes from.
    match literal.local_file() {
        Some(source) => source.parent().unwrap_or(Path::new("")).join(path),
        None => package().join("src").join(path),
    }
}

fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default()
}

fn text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// Why a file could not be read, in the words of this project.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}
