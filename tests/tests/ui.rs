//! What users read when a pipeline does not compile, and pipelines of every shape that do.
//!
//! `cargo xtask ui --bless` writes the `.stderr` files anew. They are those of the pinned toolchain.

#[test]
fn every_mistake_is_told_once_and_in_words() {
    let cases = trybuild::TestCases::new();
    for theme in [
        "wiring",
        "types",
        "options",
        "signature",
        "futures",
        "ron",
        "files",
    ] {
        cases.compile_fail(format!("ui/{theme}/*.rs"));
    }
}

#[test]
fn pipelines_of_every_shape_compile_and_run() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
}
