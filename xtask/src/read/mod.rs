//! Reads the pipelines of a file without compiling it, for `check`, `graph` and `expand`.

mod imports;
mod modules;
mod ron;
mod rust;
mod splice;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use pipewright_spec::{
    files,
    model::{Model, Place},
    report::Source,
};

use self::{imports::Import, ron::is_tuning};
pub(crate) use self::{
    imports::stage_attribute,
    rust::{PipelineModule, RustFile, arguments, attribute, is_pipeline},
};

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Its pipelines, in the order of the file.
    pub(crate) pipelines: Vec<Pipeline>,
    /// Why the file as a whole could not be read.
    pub(crate) problems: Vec<String>,
    /// What a reader of the results should know.
    pub(crate) notes: Vec<String>,
}

/// A pipeline of a file.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The pipeline as it is written.
    pub(crate) model: Model<()>,
    /// What is wrong with it.
    pub(crate) problems: Vec<String>,
    /// What a reader of the results should know.
    pub(crate) notes: Vec<String>,
}

impl Reading {
    /// All notes.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &String> {
        self.notes
            .iter()
            .chain(self.pipelines.iter().flat_map(|pipeline| &pipeline.notes))
    }

    /// Everything that keeps a pipeline from being compiled.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &String> {
        self.problems.iter().chain(
            self.pipelines
                .iter()
                .flat_map(|pipeline| &pipeline.problems),
        )
    }

    fn problem(text: String) -> Reading {
        Reading {
            problems: vec![text],
            ..Reading::default()
        }
    }
}

/// Reads a topology, a tuning file or a Rust file.
pub(crate) fn read(path: &Path) -> Reading {
    let source = match source(path) {
        Ok(source) => source,
        Err(why) => return Reading::problem(format!("error: {why}")),
    };
    match path.extension().and_then(OsStr::to_str) {
        Some("ron") if is_tuning(&source) => ron::tuning(&source),
        Some("ron") => ron::topology(path, &source),
        Some("rs") => RustFile::new(path, source).read(),
        _ => Reading::problem(format!(
            "error: `{}` is neither a `.ron` nor a `.rs` file",
            source.path
        )),
    }
}

/// No longer file is read. A topology has a smaller bound, which is told with its place.
const MAX_BYTES: u64 = 16 << 20;

/// The text of a file, shown under the path that was asked for.
pub(crate) fn source(path: &Path) -> Result<Source, String> {
    let shown = path.display().to_string();
    match files::read(path, MAX_BYTES) {
        Ok(text) => Ok(Source::new(shown, text)),
        Err(error) => Err(format!("cannot read `{shown}`: {error}")),
    }
}

/// The nearest folder above a file that has a manifest.
fn package(file: &Path) -> Option<PathBuf> {
    let file = file.canonicalize().ok()?;
    let folder = file
        .ancestors()
        .skip(1)
        .find(|folder| folder.join("Cargo.toml").is_file())?;
    Some(folder.to_path_buf())
}

/// The same pipeline without its places.
fn without_places<P: Place>(model: Model<P>) -> Model<()> {
    model.map_place(&mut |_| ())
}

/// `` `a`, `b` and `c` ``.
fn listed<T: std::fmt::Display>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
