//! `cargo xtask expand`. What is generated is tested with the macros; here it counts that it is printed.

use super::Folder;

const FLOW: &str = "//! The pipeline.
use pipewright::pipeline;

/// Orders.
#[pipeline]
pub mod orders {
    use super::stages::ingest as orders;
    #[sink(from = orders)]
    pub fn out(n: u64) {}
}

mod stages {
    #[source]
    pub fn ingest() -> std::ops::Range<u64> { 0..9 }
}
";

#[test]
fn generated_code_is_printed_also_for_imported_stages() {
    let run = Folder::new(&[("flow.rs", FLOW)]).run(&["expand", "flow.rs"]);
    assert_eq!((run.err.as_str(), run.code), ("", 0));
    assert!(
        run.out.starts_with(
            "/// Orders.\npub mod orders {\n    use super::stages::ingest as orders;\n"
        )
    );
    let parts = [
        "pub struct Pipeline;",
        "impl rt::Blueprint for Pipeline {",
        "file: \"flow.rs\",",
        "name: \"orders\",",
    ];
    for part in parts {
        assert!(run.out.contains(part), "{part} is missing in\n{}", run.out);
    }
    assert!(!run.out.contains("finish_pipeline"), "{}", run.out);
}

#[test]
fn a_stage_that_cannot_be_found_is_mentioned() {
    let flow = FLOW.replace("mod stages", "mod others");
    let run = Folder::new(&[("flow.rs", &flow)]).run(&["expand", "flow.rs"]);
    let err =
        "note: the function of `orders` was not found, so the code that needs it is left out\n";
    assert_eq!((run.err.as_str(), run.code), (err, 0));
    assert!(
        run.out.contains("    super::stages::__stage_ingest! {\n"),
        "{}",
        run.out
    );
}

#[test]
fn problems_are_shown_instead() {
    let wrong = FLOW.replace("from = orders", "from = order");
    let run = Folder::new(&[("flow.rs", &wrong)]).run(&["expand", "flow.rs"]);
    let err = "\
error[E_UNKNOWN_STAGE]: no stage is called `order`
 --> flow.rs:8:19
  |
8 |     #[sink(from = order)]
  |                   ^^^^^
  |
  = help: stages here: `out`

";
    assert_eq!((run.err.as_str(), run.out.as_str(), run.code), (err, "", 1));
}

#[test]
fn a_file_without_pipelines_is_refused() {
    let run = Folder::new(&[("a.rs", "//! Nothing.\n")]).run(&["expand", "a.rs"]);
    assert_eq!((run.out.as_str(), run.code), ("", 1));
    assert_eq!(run.err, "error: there is no pipeline in `a.rs`\n");
}
