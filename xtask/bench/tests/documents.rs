//! What commands find as one document of JSON, and what they leave out when they are to be quiet.

#![forbid(unsafe_code)]

mod folder;

use folder::{Folder, Run};
use serde_json::Value;

/// A folder with a result of a run.
fn measured() -> Folder {
    let folder = Folder::new();
    folder.trial("trial", 1000);
    let run = folder.shell("$BENCH run --bin trial --no-guards --quiet --out out");
    assert_eq!(run.code, 0, "{}", run.err);
    folder
}

/// Runs a command that ends well.
fn bench(folder: &Folder, line: &str) -> Run {
    let run = folder.shell(&format!("$BENCH {line}"));
    assert_eq!(run.code, 0, "{line}: {}{}", run.out, run.err);
    run
}

#[test]
fn what_is_found_is_one_document_where_that_is_asked_for() {
    let folder = measured();
    let result = folder::json(&folder.path("out/run.json"));
    let class = &result["env"]["class"];
    let check = |line: &str, fields: &[(&str, Value)]| {
        let run = bench(&folder, &format!("{line} --json"));
        let found: Value = serde_json::from_str(&run.out).expect("it is one document");
        for (pointer, expect) in fields {
            assert_eq!(found.pointer(pointer), Some(expect), "{line}: {found}");
        }
    };
    check(
        "list --bin trial",
        &[
            ("/protocol", "pipewright.trial/1".into()),
            ("/scenarios/0/id", "throughput/fused".into()),
        ],
    );
    check(
        "report out/run.json",
        &[
            ("/run_id", result["run_id"].clone()),
            ("/verdict", result["verdict"].clone()),
            ("/md", "out/report.md".into()),
        ],
    );
    let promoted = format!("kept/baselines/{}.json", class.as_str().unwrap_or_default());
    check(
        "promote out/run.json --folder kept --force",
        &[
            ("/class", class.clone()),
            ("/before", Value::Null),
            ("/saved", promoted.into()),
        ],
    );
    let add = "history add out/run.json --folder kept";
    check(add, &[("/class", class.clone()), ("/lines", 1.into())]);
    check(add, &[("/lines", 0.into())]);
    check(
        "history show --folder kept",
        &[
            ("/0/metric", "throughput".into()),
            ("/0/runs/0/schema", "pipewright.history/1".into()),
            ("/0/runs/0/run_id", result["run_id"].clone()),
            ("/0/runs/0/at_usual_speed", Value::Null),
        ],
    );
    check(
        "selftest same --short --bin trial --notes notes.jsonl",
        &[
            ("/parts/0/part", "same".into()),
            ("/parts/0/rates/all", 2.into()),
        ],
    );
}

#[test]
fn who_is_quiet_tells_what_was_found_and_neither_progress_nor_hints() {
    let folder = measured();
    let check = |line: &str, expect: &dyn Fn(&str) -> bool| {
        let run = bench(&folder, &format!("{line} --quiet"));
        assert!(expect(&run.out), "{line}: {}", run.out);
        // What speaks against a baseline is no hint.
        let said = run
            .err
            .lines()
            .filter(|line| !line.starts_with("warning: "));
        assert_eq!(said.count(), 0, "{line}: {}", run.err);
    };
    check("report out/run.json", &str::is_empty);
    assert!(folder.path("out/report.html").exists());
    check("promote out/run.json --folder kept --force", &|out| {
        out.starts_with("baseline of the class ") && out.lines().count() == 1
    });
    check(
        "selftest same --short --bin trial --notes notes.jsonl",
        &|out| out.contains("| same | 2 comparisons, "),
    );
}

#[test]
fn an_option_that_would_change_nothing_is_refused() {
    let folder = measured();
    for line in [
        "list --bin trial --quiet",
        "report out/run.json --json --quiet",
        "promote out/run.json --json --quiet",
        "history show --quiet",
        "history add out/run.json --quiet",
        "history ack c1 --reason x --json --quiet",
        "profile --json --quiet",
    ] {
        let run = folder.shell(&format!("$BENCH {line}"));
        assert_eq!(run.code, 2, "{line}: {}", run.out);
    }
}
