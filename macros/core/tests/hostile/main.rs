//! Hostile topologies and tuning files. Each file here is pinned in `expect.txt` to the codes and the places of its problems,
//! and each is told in words, soon, by every way it can come in.
//!
//! `UPDATE_HOSTILE=1 cargo test -p pipewright-macros-core --test hostile` writes `expect.txt`; read what changed.

#[path = "../common/mod.rs"]
mod common;

mod made;
mod shop;
mod tuned;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use pipewright_macros_core::{Source, expand_pipeline, files, read_pipelines, ron};
use pipewright_spec::report::{MAX_SHOWN, Problems, Span};
use quote::quote;

/// What a file is pinned to: the codes of its problems and where they are, as many as are shown.
type Told = Vec<String>;

/// No file may take longer, even where nothing is optimised and much other work goes on: what is quadratic would. `cargo xtask fuzz` is
/// where times are looked at.
const SOON: Duration = Duration::from_secs(60);

/// What is told about a text.
type Look = fn(&Source) -> Told;

/// The longest that a message may be. Lines of the file are a part of it.
const LONGEST: usize = 4_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile")
}

/// The files of a folder by name, sorted.
fn files_of(kind: &str) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder().join(kind)).expect("a folder of files");
    let path = entries.map(|entry| entry.expect("an entry").path());
    path.map(|path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        (format!("{kind}/{}", stem.expect("a name")), path.clone())
    })
    .collect()
}

/// `E_CODE line:col` of each problem that is shown, and whether each says what to type.
fn codes(problems: &Problems<Span>, source: &Source) -> Told {
    let rendered = problems.render(source);
    assert!(rendered.len() < LONGEST * MAX_SHOWN, "{}", source.path);
    let shown = problems.iter().take(MAX_SHOWN);
    shown
        .map(|problem| {
            let help = problem.code == "E_RON_SYNTAX" || !problem.help.is_empty();
            assert!(help, "{}: no help for {problem:?}", source.path);
            let hidden = |c: char| c.is_control() && c != '\n';
            assert!(!problem.message.contains(hidden), "{problem:?}");
            let (line, column) = source.position(problem.place.start);
            format!("{} {line}:{column}", problem.code)
        })
        .collect()
}

/// What a topology says by itself.
fn topology(source: &Source) -> Told {
    let model = match ron::topology(source) {
        Ok(model) => model,
        Err(problems) => return codes(&problems, source),
    };
    let mut problems = pipewright_spec::check(&model);
    problems.sort();
    codes(&problems, source)
}

/// What the macro says about a topology on a module that has nothing to do with it: tokens, and at least one error.
fn expanded(source: &Source) {
    let files = |_: &str, _| Ok(source.clone());
    let module = quote!(
        mod m {
            #[sink(from = input)]
            fn z(x: u8) {}
        }
    );
    let errors = common::errors(expand_pipeline(quote!("m.ron"), module, &files));
    assert!(!errors.is_empty(), "{}", source.path);
}

/// What is told about a topology with the signatures of [`shop.rs`](shop::TEXT).
fn pipeline(source: &Source) -> Told {
    let files = |_: &str, _| Ok(Source::new("m.ron", source.text.as_str()));
    let found = read_pipelines(&Source::new("shop.rs", shop::TEXT), &files).expect("Rust");
    let [found] = found.as_slice() else {
        panic!("one pipeline in `shop.rs`")
    };
    found.problems.iter().map(|text| head_of(text)).collect()
}

/// `E_CODE line:col` of a rendered problem.
fn head_of(problem: &str) -> String {
    let code = problem.split(['[', ']']).nth(1).unwrap_or(problem);
    let place = problem
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("--> "));
    assert!(problem.contains("help: "), "{problem}");
    let place = place.expect("a problem has a place");
    format!("{code} {}", place.strip_prefix("m.ron:").unwrap_or(place))
}

/// What is told about a tuning file for the pipeline of [`tuned`].
fn tuning(source: &Source) -> Told {
    match ron::tuning_of(source, &tuned::TOPOLOGY) {
        Ok(_) => Vec::new(),
        Err(problems) => codes(&problems, source),
    }
}

/// Reads a file as the macros do and gives it to `look`.
fn told(name: &str, path: &Path, look: Look) -> Told {
    let begun = Instant::now();
    let told = match files::read(path, ron::MAX_BYTES as u64) {
        Ok(text) => look(&Source::new(format!("{name}.ron"), text)),
        Err(error) => vec![format!("cannot be read: {error}")],
    };
    assert!(begun.elapsed() < SOON, "{name} takes {:?}", begun.elapsed());
    told
}

#[test]
fn every_hostile_file_has_its_codes_and_places() {
    let kinds: [(&str, Look); 3] = [
        ("pipeline", pipeline),
        ("topology", topology),
        ("tuning", tuning),
    ];
    let mut all = BTreeMap::new();
    for (kind, look) in kinds {
        for (name, path) in files_of(kind) {
            let told = told(&name, &path, look);
            all.insert(name, told.join(", "));
        }
    }
    assert!(all.len() >= 300, "{} files", all.len());
    let silent: Vec<_> = all.iter().filter(|(_, told)| told.is_empty()).collect();
    assert!(silent.is_empty(), "these have no problem: {silent:?}");
    let lines: String = all
        .iter()
        .map(|(name, told)| format!("{name}: {told}\n"))
        .collect();
    let expect = folder().join("expect.txt");
    if std::env::var_os("UPDATE_HOSTILE").is_some() {
        fs::write(&expect, &lines).expect("`expect.txt` is written");
    }
    let expect = fs::read_to_string(expect).expect("`expect.txt`");
    for (line, expect) in lines.lines().zip(expect.lines()) {
        assert_eq!(line, expect);
    }
    assert_eq!(lines.lines().count(), expect.lines().count());
}

#[test]
fn the_macro_says_an_error_for_every_topology() {
    for (_, path) in files_of("topology") {
        if let Ok(text) = files::read(&path, ron::MAX_BYTES as u64) {
            expanded(&Source::new("m.ron", text));
        }
    }
}

#[test]
fn what_is_not_hostile_has_no_problem() {
    assert_eq!(pipeline(&Source::new("m.ron", shop::GOOD)), Told::new());
    assert_eq!(topology(&Source::new("m.ron", shop::GOOD)), Told::new());
    assert_eq!(tuning(&Source::new("m.ron", shop::TUNED)), Told::new());
}
