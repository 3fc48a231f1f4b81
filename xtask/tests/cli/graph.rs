//! `cargo xtask graph`.

use super::{Folder, expect};

const LINE: &str = r#"( stages: { "ingest": (), "parse": (from: "ingest"), "out": (from: "parse", priority: high) } )
"#;

const RUST: &str = "//! Two pipelines.
use pipewright::pipeline;

#[pipeline]
mod one {
    #[source]
    fn ingest() -> std::ops::Range<u64> { 0..9 }
    #[stage(from = ingest)]
    fn sum(n: u64, total: &mut u64) -> u64 { n }
    #[sink(from = sum)]
    fn out(n: u64) {}
}

#[pipeline]
mod two {
    #[sink(from = input)]
    pub fn out(n: u64) {}
}
";

/// Draws `line.ron`, of which no signature is known.
#[track_caller]
fn check(flags: &[&str], out: &str) {
    let args = [&["graph", "line.ron"], flags].concat();
    expect(&[("line.ron", LINE)], &args, 0, out);
}

#[test]
fn text_is_what_is_drawn_without_a_flag() {
    let text = "\
line

╭ 1 parallel, in order
│ ingest ─▶ parse ═▶ 2 out (in order)
╰

╭ 2 serial, in order
│ out [high lane]
╰
";
    check(&[], text);
    check(&["--text"], text);
}

#[test]
fn mermaid_and_dot_can_be_asked_for() {
    check(
        &["--mermaid"],
        "\
%% line
flowchart LR
    subgraph s1[\"1 parallel, in order\"]
        n0([\"ingest\"])
        n1[\"parse\"]
    end
    subgraph s2[\"2 serial, in order\"]
        n2[\"out<br/>high lane\"]
    end
    n0 --> n1
    n1 ==>|\"in order\"| n2
",
    );
    check(
        &["--dot"],
        "\
digraph \"line\" {
    rankdir=LR;
    node [shape=box, fontname=\"sans-serif\"];
    edge [fontname=\"sans-serif\"];
    subgraph cluster_1 {
        label=\"1 parallel, in order\";
        n0 [label=\"ingest\", shape=oval];
        n1 [label=\"parse\"];
    }
    subgraph cluster_2 {
        label=\"2 serial, in order\";
        n2 [label=\"out\\nhigh lane\"];
    }
    n0 -> n1;
    n1 -> n2 [label=\"in order\", style=bold];
}
",
    );
}

#[test]
fn every_pipeline_of_a_rust_file_is_drawn() {
    expect(
        &[("two.rs", RUST)],
        &["graph", "two.rs"],
        0,
        "\
one

╭ 1 parallel, in order
│ ingest ═▶ 2 sum (in order)
╰

╭ 2 serial, in order
│ sum [serial] ─▶ out
╰

two

╭ 1 parallel, in order
│ input ═▶ 2 out (in order)
╰

╭ 2 serial, in order
│ out
╰
",
    );
}

#[test]
fn a_pipeline_with_problems_is_not_drawn() {
    let wrong = RUST.replace("from = sum", "from = smu");
    let run = Folder::new(&[("two.rs", &wrong)]).run(&["graph", "two.rs"]);
    assert_eq!((run.out.as_str(), run.code), ("", 1));
    let err = "\
error[E_UNKNOWN_STAGE]: no stage is called `smu`
  --> two.rs:10:19
   |
10 |     #[sink(from = smu)]
   |                   ^^^
   |
   = help: did you mean `sum`?

";
    assert_eq!(run.err, err);
}

#[test]
fn a_file_without_pipelines_is_refused() {
    for (path, text) in [("a.rs", "//! Nothing.\n"), ("a.tuning.ron", "()")] {
        let run = Folder::new(&[(path, text)]).run(&["graph", path]);
        assert_eq!((run.out.as_str(), run.code), ("", 1));
        assert!(
            run.err
                .ends_with(&format!("error: there is no pipeline in `{path}`\n")),
            "{}",
            run.err
        );
    }
}
