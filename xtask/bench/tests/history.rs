//! What is kept of results as it is typed: histories, baselines, reports, and profiles by tools that are scripts.

#![forbid(unsafe_code)]

mod folder;

use std::{fs, path::Path, process::Command};

use folder::Folder;

/// Runs a trial with this throughput and adds it to the history below `kept`.
fn measure(folder: &Folder, throughput: u64) {
    let trial = folder.trial("trial", throughput);
    let trial = trial.to_str().expect("paths are text");
    let args = [
        "run",
        "--bin",
        trial,
        "--no-guards",
        "--out",
        "out",
        "--save=kept",
    ];
    let run = folder.bench(&args);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out.contains("history: 1 lines more in kept/history/"),
        "{}",
        run.out
    );
}

/// The history of the only class, written again as if it had been measured on days one after the other.
fn days(folder: &Folder, medians: &[f64]) {
    let kept = folder.path("kept/history");
    let file = fs::read_dir(&kept).expect("there is a history").flatten();
    let file = file.map(|file| file.path());
    let mut file = file.filter(|path| path.extension().is_some_and(|name| name == "jsonl"));
    let file = file.next().expect("there is one class");
    let text = fs::read_to_string(&file).expect("it can be read");
    let line: serde_json::Value =
        serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let mut lines = String::new();
    for (day, median) in medians.iter().enumerate() {
        let mut line = line.clone();
        line["run_id"] = format!("run{day}").into();
        line["started"] = format!("2026-01-{:02}T00:00:00Z", day + 1).into();
        line["commit"] = format!("c{day}").into();
        line["median"] = (*median).into();
        lines.push_str(&format!("{line}\n"));
    }
    fs::write(file, lines).expect("a file");
}

#[test]
fn a_history_is_kept_shown_and_searched_for_changes() {
    let folder = Folder::new();
    measure(&folder, 100_000);
    measure(&folder, 100_000);
    let shown = folder.bench(&["history", "show", "--folder", "kept"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(
        shown
            .out
            .starts_with("throughput/fused throughput (quick), 2 runs\n"),
        "{}",
        shown.out
    );
    let changes = |more: &[&str]| {
        let args = [&["history", "changes", "--folder", "kept"], more].concat();
        folder.bench(&args)
    };
    let few = changes(&[]);
    assert!(
        few.out
            .contains("2 runs: too few to see changes, 12 are needed"),
        "{}",
        few.out
    );
    let medians: Vec<f64> = (0..20)
        .map(|day| if day < 12 { 1e5 } else { 8e4 } + f64::from(day % 3))
        .collect();
    days(&folder, &medians);
    let found = changes(&[]);
    assert_eq!(found.code, 0, "{}", found.err);
    assert!(
        found.out.contains("2026-01-13T00:00:00Z  c12")
            && found
                .out
                .contains("worse by -20.0 %, from 100.0 k/s to 80.0 k/s, p = "),
        "{}",
        found.out
    );
    let json: serde_json::Value =
        serde_json::from_str(&changes(&["--json"]).out).expect("it is JSON");
    assert_eq!(json[0]["changes"][0]["commit"], "c12");
    let check = |args: &[&str], expect: &str| {
        let run = changes(args);
        assert_eq!(run.code, 2, "{}", run.out);
        assert!(run.err.contains(expect), "{}", run.err);
    };
    check(&["latency"], "no series has `latency`");
    check(
        &["--class", "other"],
        "has no history of the class `other`; there are `",
    );
    check(&["--p", "7"], "`--p` is 7");
}

#[test]
fn a_change_for_the_worse_denies_until_it_is_acknowledged() {
    let folder = Folder::new();
    measure(&folder, 100_000);
    let medians: Vec<f64> = (0..20)
        .map(|day| if day < 12 { 1e5 } else { 8e4 } + f64::from(day % 3))
        .collect();
    days(&folder, &medians);
    let history = |args: &[&str], code: i32| {
        let args = [&["history"], args, &["--folder", "kept"]].concat();
        let run = folder.bench(&args);
        assert_eq!(run.code, code, "{args:?}: {}{}", run.out, run.err);
        run
    };
    history(&["changes"], 0);
    history(&["changes", "--deny-worse"], 10);
    let check = |args: &[&str], expect: &str| {
        let run = history(&[&["ack"], args].concat(), 2);
        assert!(run.err.contains(expect), "{args:?}: {}", run.err);
    };
    check(
        &["c1234", "--reason", "x"],
        "no series changed at `c1234`; there are changes at `c12`",
    );
    check(&["c12", "--reason", " "], "`--reason` is empty");
    check(&["c12"], "--reason");
    check(
        &["c12", "latency", "--reason", "x"],
        "no series has `latency`",
    );
    let run = history(&["ack", "c12", "--reason", "seen", "--json"], 0);
    let json: serde_json::Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!(json["acknowledged"][0]["commit"], "c12", "{json}");
    assert_eq!(json["acknowledged"][0]["metric"], "throughput", "{json}");
    let run = history(&["ack", "c12", "--reason", "seen", "--quiet"], 0);
    assert_eq!(run.out.lines().count(), 1, "{}", run.out);
    let why = "the check of signatures costs that";
    let run = history(&["ack", "c12", "--reason", why], 0);
    assert!(
        run.out
            .starts_with("acknowledged: throughput/fused throughput: worse by -20.0 %"),
        "{}",
        run.out
    );
    let run = history(&["changes", "--deny-worse"], 0);
    let expect = format!("; acknowledged: {why}");
    assert!(run.out.contains(&expect), "{}", run.out);
    let run = history(&["changes", "--json"], 0);
    let json: serde_json::Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!(json[0]["changes"][0]["acknowledged"], why);
    // The report says so, too.
    let report = folder.bench(&["report", "out/run.json", "--folder", "kept"]);
    assert_eq!(report.code, 0, "{}", report.err);
    let html = fs::read_to_string(folder.path("out/report.html")).expect("there is a report");
    assert!(html.contains(&expect));
}

#[test]
fn results_of_before_can_be_added() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 1000);
    let trial = trial.to_str().expect("paths are text");
    let run = folder.bench(&[
        "run",
        "--bin",
        trial,
        "--no-guards",
        "--quiet",
        "--out",
        "out",
    ]);
    assert_eq!(run.code, 0, "{}", run.err);
    let add = || folder.bench(&["history", "add", "out/run.json", "--folder", "kept"]);
    assert!(add().out.contains("1 lines more"));
    assert!(
        add().out.contains("nothing new"),
        "the same run is there once"
    );
}

#[test]
fn a_baseline_is_promoted_and_compared_with() {
    let folder = Folder::new();
    let trial = folder.trial("trial", 1000);
    let trial = trial.to_str().expect("paths are text");
    let args = [
        "run",
        "--bin",
        trial,
        "--no-guards",
        "--quiet",
        "--out",
        "out",
    ];
    assert_eq!(folder.bench(&args).code, 0);
    let compare = || folder.bench(&["compare", "baseline", "out/run.json", "--folder", "kept"]);
    let none = compare();
    assert_eq!(none.code, 15, "{}", none.err);
    assert!(
        none.err.contains("cargo xtask bench promote"),
        "{}",
        none.err
    );
    let promote = |more: &[&str]| {
        let args = [&["promote", "out/run.json", "--folder", "kept"], more].concat();
        folder.bench(&args)
    };
    // It counted disturbed trials.
    let refused = promote(&[]);
    assert_eq!(refused.code, 2, "{}", refused.out);
    assert!(
        refused.err.contains("disturbed were counted"),
        "{}",
        refused.err
    );
    assert!(!folder.path("kept").exists(), "nothing was written");
    let forced = promote(&["--force"]);
    assert_eq!(forced.code, 0, "{}", forced.err);
    let compared = compare();
    assert_eq!(compared.code, 0, "{}", compared.err);
    assert!(compared.out.contains("equivalent"), "{}", compared.out);
}

#[test]
fn a_report_shows_the_history_of_its_class() {
    let folder = Folder::new();
    measure(&folder, 100_000);
    let medians: Vec<f64> = (0..14).map(|day| if day < 7 { 1e5 } else { 9e4 }).collect();
    days(&folder, &medians);
    let run = folder.bench(&["report", "out/run.json", "--folder", "kept"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let html = fs::read_to_string(folder.path("out/report.html")).expect("it was written");
    assert!(html.contains("History of throughput, 14 runs") && html.contains("c7, 2026-01-08"));
    let file = folder.path("kept/history");
    for entry in fs::read_dir(&file).expect("a folder").flatten() {
        fs::write(entry.path(), "{\"half\n").expect("a file");
    }
    let run = folder.bench(&["report", "out/run.json", "--folder", "kept"]);
    assert_eq!(run.code, 2, "{}", run.out);
    assert!(
        run.err.contains("line 1: it is no line of a history"),
        "{}",
        run.err
    );
}

/// Programs that are scripts, in a folder that is all of `PATH` but for the shell's own.
fn profile(folder: &Folder, tools: &[(&str, &str)], args: &[&str]) -> folder::Run {
    let bin = folder.path("bin");
    fs::create_dir_all(&bin).expect("a folder");
    for (name, text) in tools {
        let place = bin.join(name);
        fs::write(&place, format!("#!/bin/sh\n{text}\n")).expect("a file");
        let mut permissions = fs::metadata(&place).expect("it is there").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        fs::set_permissions(&place, permissions).expect("it is ours");
    }
    let trial = folder.trial("trial", 1000);
    let fixed = ["profile", "throughput/fused", "--out", "out", "--bin"];
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(fixed)
        .arg(&trial)
        .args(args)
        .env("PATH", bin)
        .current_dir(folder.path(""))
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    folder::Run {
        out: text(&output.stdout),
        err: text(&output.stderr),
        code: output.status.code().unwrap_or(-1),
    }
}

/// Records by running what comes behind `--`, and tells one stack.
const PERF: &str = "\
if [ \"$1\" = record ]; then
  while [ \"$1\" != -- ]; do shift; done; shift
  [ \"$1\" = true ] && exit 0
  exec \"$@\"
fi
printf 'pw-worker-0 1 1.0: cpu-clock:\\n\\t 55d0 flow::price+0x1 (/trial)\\n\\t 55e0 work+0x1 (/trial)\\n\\n'";

#[test]
fn a_profile_is_a_flame_graph_with_the_names_of_stages() {
    let folder = Folder::new();
    let run = profile(&folder, &[("perf", PERF)], &[]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("flow::price"), "{}", run.out);
    let svg = fs::read_to_string(folder.path("out/throughput-fused.svg")).expect("it was written");
    assert!(svg.contains("flow::price"));
    assert!(!folder.path("out/run.json").exists(), "it saves no result");
    let base = folder.path("trial");
    let base = base.to_str().expect("paths are text");
    let run = profile(&folder, &[("perf", PERF)], &["--base", base]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    let svg = folder.path("out/throughput-fused-difference.svg");
    let svg = fs::read_to_string(svg).expect("it was written");
    assert!(svg.contains("100.00%; 0.00%"), "nothing differs");
    let run = profile(&folder, &[("perf", PERF)], &["--json"]);
    let found: serde_json::Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!(found["samples"], 1, "{found}");
    assert_eq!(found["functions"][0]["function"], "flow::price", "{found}");
    assert_eq!(found["written"][1], "out/throughput-fused.svg", "{found}");
    let run = profile(&folder, &[("perf", PERF)], &["--quiet"]);
    assert!(run.out.contains("flow::price"), "{}", run.out);
    assert!(!run.out.contains("written: "), "{}", run.out);
}

#[test]
fn without_a_tool_that_may_take_samples_a_profile_is_skipped_with_the_reason() {
    let check = |tools: &[(&str, &str)], args: &[&str], expect: &[&str]| {
        let run = profile(&Folder::new(), tools, args);
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.out.starts_with("skipped: "), "{}", run.out);
        for expect in expect {
            assert!(run.out.contains(expect), "{}", run.out);
        }
    };
    check(
        &[],
        &[],
        &["`perf` is not installed", "`samply` is not installed"],
    );
    let run = profile(&Folder::new(), &[], &["--json"]);
    let found: serde_json::Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!(found["skipped"][0], "`perf` is not installed", "{found}");
    let forbidden = "echo 'no permission to enable cycles' >&2; exit 255";
    check(
        &[("perf", forbidden)],
        &[],
        &["`perf` cannot take samples: no permission to enable cycles"],
    );
    check(
        &[("perf", PERF)],
        &["--tool", "samply"],
        &["`samply` is not installed"],
    );
}

#[test]
fn where_there_is_no_perf_samply_records_for_its_own_viewer() {
    let folder = Folder::new();
    let samply = "\
while [ \"$1\" != --output ]; do shift; done; place=$2
while [ \"$1\" != -- ]; do shift; done; shift
: > \"$place\"
[ \"$1\" = true ] && exit 0
exec \"$@\"";
    let run = profile(&folder, &[("samply", samply)], &[]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(
        run.out.contains("samply load out/throughput-fused.json.gz"),
        "{}",
        run.out
    );
    assert!(Path::new(&folder.path("out/throughput-fused.json.gz")).exists());
    let run = profile(&folder, &[("samply", samply)], &["--base", "HEAD"]);
    assert_eq!(run.code, 2, "{}", run.out);
    assert!(run.err.contains("`--base` needs `perf`"), "{}", run.err);
}
