//! RON files: topologies and tuning files.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use pipewright_spec::report::{Problems, Source, Span};

use super::{Pipeline, Reading, RustFile, listed, source, without_places};

/// Tuning files say so in their first lines or in their name.
pub(crate) fn is_tuning(file: &Source) -> bool {
    let header = file
        .text
        .lines()
        .find_map(|line| line.trim().strip_prefix("#![type"));
    match header {
        Some(header) => header.contains("\"pipewright::spec::Tuning\""),
        None => file.path.ends_with(".tuning.ron"),
    }
}

/// A tuning file is checked by itself: it does not say which pipeline it is for.
pub(super) fn tuning(file: &Source) -> Reading {
    let problems = pipewright_spec::ron::tuning(file).err();
    Reading {
        problems: problems
            .map(|found| rendered(&found, file))
            .unwrap_or_default(),
        ..Reading::default()
    }
}

/// A topology, with the signatures of a Rust file beside it that uses it.
pub(super) fn topology(path: &Path, file: &Source) -> Reading {
    let beside = users(path);
    if beside.is_empty() {
        return alone(path, file);
    }
    let mut reading = Reading::default();
    for (rust, names) in beside {
        let mut found = rust.read();
        let shown = rust.source().path.as_str();
        reading.notes.push(format!(
            "`{}` is read with the signatures of {} in `{shown}`",
            file.path,
            listed(&names)
        ));
        reading.problems.append(&mut found.problems);
        let used = found
            .pipelines
            .into_iter()
            .filter(|pipeline| names.contains(&pipeline.model.name));
        reading.pipelines.extend(used);
    }
    reading
}

/// A topology of which no signature is known.
fn alone(path: &Path, file: &Source) -> Reading {
    let model = match pipewright_spec::ron::topology(file) {
        Ok(model) => model,
        Err(found) => {
            return Reading {
                problems: rendered(&found, file),
                ..Reading::default()
            };
        }
    };
    let name = path
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or(&file.path);
    let note = format!(
        "no Rust file beside `{}` has `#[pipeline(\"{name}\")]`, so its signatures are not known",
        file.path
    );
    let mut problems = pipewright_spec::check(&model);
    problems.sort();
    let pipeline = Pipeline {
        problems: rendered(&problems, file),
        notes: vec![note],
        model: without_places(model),
    };
    Reading {
        pipelines: vec![pipeline],
        ..Reading::default()
    }
}

/// The Rust files of the same folder that name this file, with the names of their pipelines.
fn users(path: &Path) -> Vec<(RustFile, Vec<String>)> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .map(|name| path.with_file_name(name))
        .filter(|path| path.extension() == Some(OsStr::new("rs")))
        .collect();
    files.sort();
    files
        .into_iter()
        .filter_map(|rust| user(&rust, path))
        .collect()
}

fn user(rust: &Path, ron: &Path) -> Option<(RustFile, Vec<String>)> {
    let text = source(rust)
        .ok()
        .filter(|file| file.text.contains("pipeline"))?;
    let file = RustFile::new(rust, text);
    let names = file.users_of(ron);
    (!names.is_empty()).then_some((file, names))
}

fn rendered(problems: &Problems<Span>, file: &Source) -> Vec<String> {
    problems
        .iter()
        .map(|problem| problem.render(file))
        .collect()
}
