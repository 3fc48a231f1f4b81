//! `cargo xtask check`.

use super::{Folder, expect};

const LINE: &str = r#"(
    stages: {
        "ingest": (),
        "parse": (from: "ingest"),
        "out": (from: "parse"),
    },
)
"#;

const RUST_LINE: &str = r#"//! A pipeline.
use pipewright::pipeline;

#[pipeline("line.ron")]
mod line {
    #[source]
    fn ingest() -> std::ops::Range<u64> { 0..9 }
    #[stage]
    fn parse(n: u64) -> Result<u64, String> { Ok(n) }
    #[sink]
    fn out(n: u64) {}
}
"#;

const BESIDE: &str = "note: `line.ron` is read with the signatures of `line` in `line.rs`\n";

const ALONE: &str = "note: no Rust file beside `line.ron` has `#[pipeline(\"line.ron\")]`, so its signatures are not known\n";

const UNHANDLED: &str = "\
error[E_UNHANDLED_ERROR]: `parse` can fail, and nothing reads `parse::Err`
 --> line.ron:4:10
  |
4 |         \"parse\": (from: \"ingest\"),
  |          ^^^^^
  |
  = help: add a sink with `from = parse::Err`, or give `on_error = stop` or `on_error = drop`

";

/// Checks one file.
#[track_caller]
fn check(path: &str, text: &str, code: i32, out: &str) {
    expect(&[(path, text)], &["check", path], code, out);
}

#[test]
fn a_topology_alone_is_checked_without_signatures() {
    check(
        "line.ron",
        LINE,
        0,
        &format!("{ALONE}1 file, no problems\n"),
    );
    check(
        "line.ron",
        &LINE.replace(
            "from: \"parse\"",
            "from: \"pasre\", retry: (backoff: \"5s\")",
        ),
        1,
        &format!(
            "{ALONE}\
error[E_UNKNOWN_STAGE]: no stage is called `pasre`
 --> line.ron:5:24
  |
5 |         \"out\": (from: \"pasre\", retry: (backoff: \"5s\")),
  |                        ^^^^^
  |
  = help: did you mean `parse`?

error[E_RETRY]: the longest pause of `out` is shorter than the first
 --> line.ron:5:49
  |
5 |         \"out\": (from: \"pasre\", retry: (backoff: \"5s\")),
  |                                                 ^^^^
  |
  = help: let `max_backoff` be at least `backoff`

1 file, 2 problems
"
        ),
    );
}

#[test]
fn a_topology_is_read_with_the_rust_file_beside_it() {
    let files = [
        ("line.ron", LINE),
        ("line.rs", RUST_LINE),
        (
            "other.rs",
            "use pipewright::pipeline;\n#[pipeline]\nmod other {}\n",
        ),
    ];
    let out = format!("{BESIDE}{UNHANDLED}1 file, 1 problem\n");
    expect(&files, &["check", "line.ron"], 1, &out);
}

#[test]
fn a_problem_of_two_files_is_told_once() {
    let files = [("line.ron", LINE), ("line.rs", RUST_LINE)];
    let out = format!("{UNHANDLED}{BESIDE}2 files, 1 problem\n");
    expect(&files, &["check", "line.rs", "line.ron"], 1, &out);
}

#[test]
fn attributes_are_checked_in_modules_of_modules() {
    let rust = r#"//! Two pipelines.
mod deep {
    #[pipewright::pipeline]
    pub mod first {
        #[source]
        fn ingest() -> std::ops::Range<u64> { 0..9 }
        #[sink(from = ingest, from = ingest)]
        fn out(n: u64) {}
    }
}
#[pipewright::pipeline("gone.ron")]
mod second {}
"#;
    check(
        "two.rs",
        rust,
        1,
        "\
error[E_DUPLICATE_KEY]: `from` is given twice
 --> two.rs:7:31
  |
7 |         #[sink(from = ingest, from = ingest)]
  |                ----           ^^^^
  |                |
  |                first given here
  |
  = help: keep one

error[E_FILE]: cannot read `gone.ron`: there is no such file
  --> two.rs:11:24
   |
11 | #[pipewright::pipeline(\"gone.ron\")]
   |                        ^^^^^^^^^^
   |
   = help: a path is relative to this source file; start it with `/` for the root of the package

1 file, 2 problems
",
    );
}

/// A package whose pipeline imports its stages, by several ways.
const PACKAGE: [(&str, &str); 5] = [
    ("Cargo.toml", "[package]\nname = \"orders\"\n"),
    ("src/lib.rs", "//! Orders.\nmod flow;\nmod stages;\n"),
    (
        "src/flow.rs",
        "//! The pipeline.
use pipewright::pipeline;

#[pipeline(\"/line.ron\")]
pub mod line {
    use super::super::stages::{self, ingest, price as parse};
    use crate::stages::inline::out;
}
",
    ),
    (
        "src/stages.rs",
        "//! Stages.
mod pricing;
pub use pricing::price;
#[source]
pub fn ingest() -> std::ops::Range<u64> { 0..9 }
pub mod inline {
    #[sink]
    pub fn out(n: u64) {}
}
",
    ),
    ("line.ron", LINE),
];

#[track_caller]
fn check_package(pricing: &str, code: i32, out: &str) {
    let folder = Folder::new(&PACKAGE);
    folder.write("src/stages/pricing.rs", pricing.as_bytes());
    let run = folder.run(&["check", "src/flow.rs"]);
    // The path of the package stands in front of a file that is named from its root.
    let root = folder.0.path().canonicalize().expect("the folder is there");
    assert_eq!(run.out.replace(&format!("{}/", root.display()), ""), out);
    assert_eq!(run.code, code);
}

#[test]
fn imported_stages_are_found_in_their_modules() {
    let price = "//! Prices.\n#[stage]\npub fn price(n: u64) -> u64 { n }\n";
    check_package(price, 0, "1 file, no problems\n");
    let fallible = price.replace("-> u64 { n }", "-> Result<u64, String> { Ok(n) }");
    check_package(&fallible, 1, &format!("{UNHANDLED}1 file, 1 problem\n"));
}

#[test]
fn a_problem_of_an_imported_stage_is_told_where_it_stands() {
    let price = "//! Prices.\n\n    #[stage(order = any, on_panic = stopp)]\n    pub fn price(n: u64) -> u64 { n }\n";
    check_package(
        price,
        1,
        "\
error[E_UNKNOWN_WORD]: `stopp` is not a value of `on_panic`
 --> src/stages/pricing.rs:3:37
  |
3 |     #[stage(order = any, on_panic = stopp)]
  |                                     ^^^^^
  |
  = help: did you mean `stop`?

1 file, 1 problem
",
    );
}

#[test]
fn an_import_that_leads_nowhere_is_mentioned() {
    check_package(
        "//! Prices.\n",
        0,
        "note: no stage was found where `line` imports `parse` from, so not all signatures are known\n\
         1 file, no problems\n",
    );
}

#[test]
fn a_function_that_is_neither_here_nor_imported_is_a_problem() {
    let rust = RUST_LINE.replace("#[stage]\n    fn parse", "fn parse");
    expect(
        &[("line.ron", LINE), ("line.rs", &rust)],
        &["check", "line.rs"],
        1,
        "\
error[E_NO_FUNCTION]: `line.ron` names `parse`, but the module has no `#[stage] fn parse`
 --> line.ron:4:10
  |
4 |         \"parse\": (from: \"ingest\"),
  |          ^^^^^
  |
  = help: write `#[stage] fn parse` in it, or `use` the stage by its name

1 file, 1 problem
",
    );
}

#[test]
fn tuning_files_are_known_by_their_header_or_their_name() {
    let problem = |path: &str, line: usize| {
        format!(
            "\
error[E_SHAPE]: `from` is part of the shape of a pipeline, which is fixed when it is compiled
 --> {path}:{line}:24
  |
{line} | ( stages: {{ \"parse\": ( from: \"ingest\" ) }} )
  |                        ^^^^
  |
  = help: change it where the pipeline is written, and compile again

1 file, 1 problem
"
        )
    };
    let text = "( stages: { \"parse\": ( from: \"ingest\" ) } )\n";
    check("fast.tuning.ron", text, 1, &problem("fast.tuning.ron", 1));
    let header = "#![type = \"pipewright::spec::Tuning\"]\n";
    check(
        "fast.ron",
        &format!("{header}{text}"),
        1,
        &problem("fast.ron", 2),
    );
    let good = "( stages: { \"parse\": ( batch: 64 ) } )\n";
    check("fast.tuning.ron", good, 0, "1 file, no problems\n");
}

#[test]
fn files_that_cannot_be_read_are_problems() {
    let folder = Folder::new(&[("a.txt", ""), ("half.rs", "fn a( {\n")]);
    folder.write("bytes.rs", b"\xff\xfe");
    let run = folder.run(&["check", "gone.ron", "bytes.rs", "a.txt", "half.rs"]);
    let out = "\
error: cannot read `gone.ron`: there is no such file

error: cannot read `bytes.rs`: it is not UTF-8 text at line 1, column 1

error: `a.txt` is neither a `.ron` nor a `.rs` file

error[E_SYNTAX]: this is not Rust
 --> half.rs:1:7
  |
1 | fn a( {
  |       ^

4 files, 4 problems
";
    assert_eq!((run.out.as_str(), run.code), (out, 1));
}

#[test]
fn a_file_without_pipelines_is_mentioned() {
    let out = "note: `a.rs` has no `#[pipeline]` module\n1 file, no problems\n";
    check("a.rs", "//! Nothing.\n", 0, out);
}

#[test]
fn at_most_twelve_problems_of_a_file_are_shown() {
    let stages: String = (0..20)
        .map(|n| format!("\"s{n}\": (from: \"gone{n}\"),\n"))
        .collect();
    let folder = Folder::new(&[("many.ron", &format!("(stages: {{ {stages} }})"))]);
    let run = folder.run(&["check", "many.ron"]);
    assert_eq!(run.out.matches("error[E_UNKNOWN_STAGE]").count(), 12);
    assert!(
        run.out
            .ends_with("\n\nand 8 more in `many.ron`\n\n1 file, 20 problems\n"),
        "{}",
        run.out
    );
}
