//! Pipelines are read from source text without compiling it, and problems carry `file:line:col`.

use pipewright_macros_core::{FoundPipeline, Source, read_pipelines};

fn read(text: &str, ron: &str) -> Vec<FoundPipeline> {
    let files = |path: &str, _| Ok(Source::new(path, ron));
    read_pipelines(&Source::new("src/mempool.rs", text), &files).expect("the text is Rust")
}

/// Names of the stages of each pipeline, and everything that is wrong.
fn check(text: &str, ron: &str, stages: &[&str], problems: &[&str]) {
    let found = read(text, ron);
    let names: Vec<String> = found
        .iter()
        .map(|pipeline| {
            let names = pipeline.model.stages.iter().map(|stage| &*stage.name.text);
            format!(
                "{}: {}",
                pipeline.model.name,
                names.collect::<Vec<_>>().join(" ")
            )
        })
        .collect();
    assert_eq!(names, stages);
    let said: Vec<&String> = found
        .iter()
        .flat_map(|pipeline| &pipeline.problems)
        .collect();
    assert_eq!(said, problems);
}

const TWO: &str = "
use pipewright::pipeline;
#[pipeline]
pub mod a {
    #[source] fn n() -> impl Iterator<Item = u8> { 0..9 }
    #[sink(from = n)] fn z(x: u8) { if x == 1 { drop(x); } }
}
mod inside {
    #[cfg(test)] mod tests { struct S { x: u8 } }
    #[pipewright::pipeline(env = Env)]
    pub mod b {
        #[source] fn n() -> impl Iterator<Item = u8> { 0..9 }
        #[sink(from = n)] fn y(x: u8) {}
    }
}
";

#[test]
fn every_pipeline_of_a_file_is_found() {
    check(TWO, "", &["a: n z", "b: n y"], &[]);
    // Without a `use` between them, these lines and the attribute are one run of tokens.
    let documented = format!(
        "//! A file.\n#![allow(unused)]\n{}",
        TWO.replace("use pipewright::pipeline;", "")
    );
    check(&documented, "", &["a: n z", "b: n y"], &[]);
    check("fn main() {}", "", &[], &[]);
}

#[test]
fn problems_have_a_place_and_a_snippet() {
    check(
        "#[pipeline] mod a {
    #[source] fn decode() -> impl Iterator<Item = u8> { 0..9 }
    #[sink(from = decod)] fn z(x: u8) {}
}",
        "",
        &["a: decode z"],
        &["error[E_UNKNOWN_STAGE]: no stage is called `decod`
 --> src/mempool.rs:3:19
  |
3 |     #[sink(from = decod)] fn z(x: u8) {}
  |                   ^^^^^
  |
  = help: did you mean `decode`?"],
    );
}

#[test]
fn problems_of_a_file_are_shown_in_it() {
    check(
        "#[pipeline(\"m.ron\")] mod a { #[source] fn n() -> Vec<u8> { vec![] } }",
        "(stages: { \"n\": (), \"z\": (from: \"m\") })",
        &["a: n z"],
        &["error[E_UNKNOWN_STAGE]: no stage is called `m`
 --> m.ron:1:34
  |
1 | (stages: { \"n\": (), \"z\": (from: \"m\") })
  |                                  ^
  |
  = help: did you mean `n`?"],
    );
}

#[test]
fn stages_of_other_modules_are_left_open() {
    check(
        "#[pipeline(\"m.ron\")] mod a { use crate::stages::{n, z}; }",
        "(stages: { \"n\": (), \"z\": (from: \"n\") })",
        &["a: n z"],
        &[],
    );
    check(
        "#[pipeline] mod a { use crate::stages::n; #[sink(from = n)] fn z(x: u8) {} }",
        "",
        &["a: z n"],
        &[],
    );
}

#[test]
fn text_that_is_not_rust_is_an_error() {
    let files = |path: &str, _: proc_macro2::Span| Ok(Source::new(path, ""));
    let error = read_pipelines(&Source::new("a.rs", "mod a {\n  fn f() { ) }"), &files).err();
    let error = error.expect("a parenthesis is not closed");
    assert!(error.contains("a.rs:2:12"), "{error}");
}
