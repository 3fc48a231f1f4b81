//! `bench` as it is typed, on trials that are scripts: what they answer is known.

#![forbid(unsafe_code)]

mod folder;

use std::fs;

use folder::{Folder, json};

#[test]
fn verdicts_have_exit_codes() {
    let folder = Folder::new();
    let base = folder.trial("base", 100_000);
    let check = |throughput: u64, more: &[&str], expect: &str, code: i32| {
        let head = folder.trial("head", throughput);
        let (run, saved) = folder.ab(&base, &head, more);
        assert_eq!((run.out.trim(), run.code), (expect, code), "{}", run.err);
        let saved = json(&saved);
        assert_eq!(
            (&saved["schema"], &saved["partial"]),
            (&"pipewright.bench/1".into(), &false.into())
        );
        assert_eq!(saved["verdict"], expect);
    };
    check(100_000, &[], "equivalent", 0);
    check(70_000, &[], "regressed", 10);
    check(150_000, &[], "improved", 0);
}

#[test]
fn noise_is_no_verdict_and_can_be_denied() {
    let folder = Folder::new();
    // Every call is as fast as its number says, whichever side makes it.
    let count = folder.path("count");
    let noise = format!(
        "echo x >> {0}; n=$(wc -l < {0}); rate=$((1000 + n * 7919 % 9001))",
        count.display()
    );
    let noisy = folder.script("noisy", &noise);
    let (run, _) = folder.ab(&noisy, &noisy, &[]);
    assert!(
        ["refused", "inconclusive"].contains(&run.out.trim()),
        "{}",
        run.out
    );
    assert_eq!(run.code, 0);
    let (run, _) = folder.ab(&noisy, &noisy, &["--deny-refused", "--deny-inconclusive"]);
    assert!([13, 14].contains(&run.code), "{}", run.code);
}

#[test]
fn what_was_finished_is_kept_when_a_trial_breaks() {
    let folder = Folder::new();
    let good = folder.trial("good", 1000);
    let count = folder.path("count");
    let breaks = format!(
        "echo x >> {0}; if [ $(wc -l < {0}) -gt 5 ]; then exit 7; fi; rate=1000",
        count.display()
    );
    let (run, saved) = folder.ab(&good, &folder.script("breaks", &breaks), &[]);
    assert_eq!(run.code, 1, "{}", run.err);
    let saved = json(&saved);
    assert_eq!(saved["partial"], true);
    assert_eq!(saved["scenarios"][0]["blocks"], 2);
}

#[test]
fn targets_decide_how_a_run_ends() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 100_000);
    let check = |targets: &str, code: i32, expect: &str| {
        folder.write("targets.ron", targets);
        let bin = trial.to_str().expect("paths are text");
        let run = folder.bench(&[
            "run",
            "--bin",
            bin,
            "--no-guards",
            "--quiet",
            "--out",
            "out",
            "--targets",
            "targets.ron",
        ]);
        assert_eq!(run.code, code, "{}", run.err);
        assert!(
            format!("{}{}", run.out, run.err).contains(expect),
            "{}{}",
            run.out,
            run.err
        );
    };
    let target = |least: u64| {
        format!("(targets: [(of: \"throughput/*\", metric: \"throughput\", at_least: {least}.0)])")
    };
    check(&target(1_000), 0, "pass");
    check(&target(1_000_000), 11, "a target is missed");
    check(
        "(targets: [(of: \"*\", metric: \"speed\", at_least: 1.0)])",
        2,
        "no metric is called `speed`",
    );
    check("(targets: [", 2, "targets.ron");
}

#[test]
fn results_that_cannot_be_compared_are_refused() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 1000);
    let (_, saved) = folder.ab(&trial, &trial, &[]);
    let mut other = json(&saved);
    other["env"]["fields"]["cpu_model"] = "another one".into();
    let other = folder.write("other.json", &other.to_string());
    folder.write("half.json", "{\"schema\": \"pipewri");
    let newer = fs::read_to_string(&saved)
        .expect("it is there")
        .replace("pipewright.bench/1", "pipewright.bench/2");
    folder.write("newer.json", &newer);
    let saved = saved.to_str().expect("paths are text");
    let check = |other: &str, code: i32, expect: &str| {
        let run = folder.bench(&["compare", saved, other]);
        assert_eq!(run.code, code, "{}", run.err);
        assert!(run.err.contains(expect), "{}", run.err);
    };
    check(other.to_str().expect("paths are text"), 14, "cpu_model: `");
    check("half.json", 2, "it is damaged");
    check("newer.json", 2, "has the schema `pipewright.bench/2`");
    check("missing.json", 2, "there is no result `missing.json`");
    check(saved, 0, "");
}

#[test]
fn results_of_binaries_that_were_built_differently_are_refused() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 1000);
    let (_, saved) = folder.ab(&trial, &trial, &[]);
    let silent = "whether both sides were built alike is unknown: neither says how";
    assert_eq!(json(&saved)["limits"][0], silent);
    let built = |name: &str, rustc: &str| {
        let mut one = json(&saved);
        one["code"]["B"]["build"]["rustc"] = rustc.into();
        folder.write(name, &one.to_string());
    };
    built("old.json", "1.95.0");
    built("new.json", "1.96.0");
    let check = |both: [&str; 2], code: i32, expect: &str| {
        let run = folder.bench(&["compare", both[0], both[1]]);
        let said = format!("{}{}", run.out, run.err);
        assert_eq!(run.code, code, "{said}");
        assert!(said.contains(expect), "{said}");
    };
    let differs = "rustc: `1.95.0` and `1.96.0`";
    check(["old.json", "new.json"], 14, differs);
    check(["old.json", "old.json"], 0, "verdict: advisory");
    // Results of before say nothing of it.
    check(["out/run.json", "new.json"], 0, "unknown: rustc");
    check(["out/run.json", "out/run.json"], 0, silent);
}

#[test]
fn a_report_is_written_beside_its_result() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 1000);
    let (_, saved) = folder.ab(&trial, &trial, &[]);
    let run = folder.bench(&["report", saved.to_str().expect("paths are text")]);
    assert_eq!(run.code, 0, "{}", run.err);
    let html = fs::read_to_string(folder.path("out/report.html")).expect("it was written");
    assert!(html.contains("<svg") && html.contains("What changed"));
    let md = fs::read_to_string(folder.path("out/report.md")).expect("it was written");
    assert!(
        md.contains("| throughput/fused | throughput (gates) |"),
        "{md}"
    );
    let run = folder.shell("$BENCH report out/run.json --html x --md x");
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("give two files"), "{}", run.err);
    assert!(!folder.path("x").exists());
}

#[test]
fn who_reads_the_first_line_only_is_no_error() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 1000);
    folder.ab(&trial, &trial, &[]);
    // The pipe is closed before anything is written.
    let line = "{ $BENCH compare out/run.json out/run.json; echo $? > code; } | true; cat code";
    assert_eq!(folder.shell(&format!("set -e; {line}")).out.trim(), "0");
}

#[test]
fn what_is_typed_wrongly_says_what_there_is() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 1000);
    let trial = trial.to_str().expect("paths are text");
    let check = |args: &[&str], expect: &str| {
        let run = folder.bench(args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.err);
        assert!(run.err.contains(expect), "{args:?}: {}", run.err);
    };
    check(
        &["run", "--bin", trial, "latency"],
        "there are `throughput/fused`",
    );
    check(
        &["run", "--bin", trial, "--rate", "10k/s"],
        "a load is for open loops",
    );
    check(
        &["run", "--bin", trial, "--rate", "fast"],
        "like \"500/s\" or \"10k/s\"",
    );
    for command in ["mem", "scale", "capacity", "alloc"] {
        let args = [command, "--bin", trial, "--during", "0s"];
        check(&args, "`--during`: `0s` is too short");
    }
    check(
        &["mem", "--bin", trial, "--during", "1ms"],
        "at least 1000ms",
    );
    check(
        &["mem", "--bin", trial, "--cycles", "4"],
        "4 is not in 12..=10000",
    );
    check(&["run", "--bin", trial, "--soak", "30"], "`--soak`");
    check(&["run", "--bin", "nothing"], "there is no binary `nothing`");
    check(
        &["ab", "--base", "no-such-revision"],
        "is neither a revision nor a file",
    );
    check(&["frobnicate"], "unrecognized subcommand");
}
