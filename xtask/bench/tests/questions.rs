//! The questions of `bench` as they are typed, on trials that are scripts: what they answer is known.

#![forbid(unsafe_code)]

mod trials;

use pipewright_bench::protocol::{Answer, Part, Passage, Scenario, StageShare};
use serde_json::Value;

use trials::{Trials, VALGRIND, in_time, scenario, throughput};

/// Parts of a quarter of a second: a second of 500, one of 1000 and one of 1250 a second, and four of 500 again. From the second on
/// the latency is this until then.
fn course(slow_until_ms: f64) -> Answer {
    let part = |at: u32| {
        let end_ms = 250.0 * f64::from(at + 1);
        let rate = [500, 1000, 1250]
            .get(at as usize / 4)
            .copied()
            .unwrap_or(500);
        let slow = end_ms > 1000.0 && end_ms <= slow_until_ms;
        Part {
            end_ms,
            offered: rate / 4,
            done: rate / 4,
            busy: if slow { 0.99 } else { 0.4 },
            resident: 1 << 20,
            latencies: vec![(if slow { 80_000_000 } else { 1_000_000 }, 120)],
            ..Part::default()
        }
    };
    Answer {
        timeline: (0..28).map(part).collect(),
        ..throughput(700.0)
    }
}

const BREAK: [&str; 11] = [
    "break",
    "latency/x",
    "--capacity",
    "1k/s",
    "--steps",
    "2",
    "--step",
    "1s",
    "--watch",
    "4s",
    "--quiet",
];

#[test]
fn what_breaks_and_recovers_is_told_apart_from_what_does_not() {
    let check = |slow_until_ms: f64, code: i32, verdict: &str, trials_made: usize| {
        let trials = Trials::new(&[(scenario("latency/x"), course(slow_until_ms))], "");
        let run = trials.bench(&BREAK);
        assert_eq!((run.code, run.out.trim()), (code, verdict), "{}", run.err);
        assert_eq!(trials.asked().lines().count(), trials_made);
        let saved = trials.saved();
        let broken = &saved["scenarios"][0]["findings"]["breaking"];
        assert_eq!(broken["events"][0]["what"], "latency_breach", "{broken}");
        assert_eq!(broken["events"][0]["at_ms"], 1000.0);
        assert_eq!(broken["gave_out"]["resource"], "workers");
    };
    check(3000.0, 0, "recovered", 1);
    check(4000.0, 0, "recovered", 1);
    check(7000.0, 11, "metastable: it did not recover", 2);
}

#[test]
fn the_order_of_events_is_printed_with_the_steps() {
    let trials = Trials::new(&[(scenario("latency/x"), course(4000.0))], "");
    let run = trials.bench(&BREAK[..10]);
    for expect in [
        "latency/x: it can take about 1.0 k/s",
        " 1.25x ",
        "in this order:\n      1.00 s at 1.00x  p99 above its limit: 80.0 ms",
        "gave out first: the workers: busy for 99 % of their time",
        "as before (p99 1.00 ms) 1.00 s after the load had gone back",
        "verdict: recovered",
    ] {
        assert!(run.out.contains(expect), "{expect}\n{}", run.out);
    }
    let asked = trials.asked();
    assert!(
        asked.contains(r#"{"steady":{"rate":1250.0,"during_ms":1000}},{"steady":{"rate":500.0,"during_ms":4000}}"#),
        "{asked}"
    );
    let run = trials.bench(&[
        "break",
        "latency/x",
        "--spike",
        "--capacity",
        "1k/s",
        "--short",
    ]);
    assert!(
        trials
            .asked()
            .contains(r#"{"steady":{"rate":5000.0,"during_ms":400}}"#),
        "{}",
        run.err
    );
}

#[test]
fn a_latency_that_nobody_knows_is_not_as_before() {
    let mut unknown = course(0.0);
    for part in &mut unknown.timeline {
        part.latencies.clear();
    }
    let trials = Trials::new(&[(scenario("latency/x"), unknown)], "");
    let run = trials.bench(&BREAK);
    let expect = "unknown: too few items for a p99; give it longer steps (`--step`)";
    assert_eq!((run.code, run.out.trim()), (0, expect), "{}", run.err);
    let run = trials.bench(&["break", "latency/x", "--spike", "--steps", "3"]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("cannot be used with"), "{}", run.err);
}

#[test]
fn what_it_can_take_is_found_out_or_has_to_be_said() {
    let both = [
        (scenario("latency/x"), course(3000.0)),
        (scenario("throughput/x"), throughput(1000.0)),
    ];
    let args: Vec<&str> = BREAK
        .iter()
        .copied()
        .filter(|arg| !["--capacity", "1k/s"].contains(arg))
        .collect();
    let run = Trials::new(&both, "").bench(&args);
    assert_eq!((run.code, run.out.trim()), (0, "recovered"), "{}", run.err);
    let run = Trials::new(&both[..1], "").bench(&args);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("say it with `--capacity`"), "{}", run.err);
    let run = Trials::new(&both, "").bench(&["break", "throughput/x"]);
    assert!(
        run.err.contains("is no scenario with an open loop"),
        "{}",
        run.err
    );
}

#[test]
fn instructions_of_two_are_compared() {
    let check = |[before, after]: [u64; 2], code: i32, expect: &str| {
        let trials = Trials::new(&[(scenario("throughput/mine"), throughput(1.0))], "");
        trials.program("valgrind", VALGRIND);
        trials.write("each", &after.to_string());
        let base = Trials::new(&[(scenario("throughput/mine"), throughput(1.0))], "");
        base.write("each", &before.to_string());
        let trial = base.path("trial");
        let trial = trial.to_str().expect("paths are text");
        let run = trials.bench(&["insn", "--base", trial]);
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        assert!(run.out.contains(expect), "{}", run.out);
        let metric = &trials.saved()["scenarios"][0]["metrics"][0];
        assert_eq!(metric["name"], "instructions_per_item");
        assert_eq!(metric["sides"]["B"]["median"], after as f64);
    };
    check([100, 100], 0, "100.000 ->      100.000  +0.00 %");
    check([100, 120], 12, "FAILED mine");
    check([100, 50], 0, "-50.00 %");
}

/// A compiler that no references are of.
const COMPILER: &str = "#!/bin/sh\necho 'release: 0.1'\necho 'host: nowhere'\n";

#[test]
fn what_cannot_be_counted_or_compared_is_skipped_and_may_be_denied() {
    let check = |has_valgrind: bool, args: &[&str], code: i32, expect: &str| {
        let trials = Trials::new(&[(scenario("throughput/mine"), throughput(1.0))], "");
        trials.write("each", "100");
        trials.program("rustc", COMPILER);
        // Nothing but what the trial itself needs.
        std::os::unix::fs::symlink("/bin/cat", trials.path("cat")).expect("a link");
        if has_valgrind {
            std::os::unix::fs::symlink("/usr/bin/dirname", trials.path("dirname")).expect("a link");
            trials.program("valgrind", VALGRIND);
        }
        let run = trials.alone(&[args, &["--bin", "trial", "--out", "out"]].concat());
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        let said = format!("SKIPPED: {expect}");
        assert!(run.out.contains(&said), "{}", run.out);
        assert!(run.out.contains("verdict: skipped"), "{}", run.out);
        let saved = trials.saved();
        assert_eq!(saved["verdict"], "skipped");
        let limit = saved["limits"][0].as_str().unwrap_or_default();
        assert!(limit.contains(expect), "{saved}");
    };
    let none = "valgrind is not installed";
    check(false, &["insn"], 0, none);
    check(false, &["insn", "--deny-skipped"], 14, none);
    let foreign = "the references are of `";
    check(true, &["insn"], 0, foreign);
    check(true, &["insn", "--deny-skipped"], 14, foreign);
}

#[test]
fn gates_of_another_compiler_are_skipped_and_may_be_denied() {
    let trials = Trials::new(&[], "");
    trials.program("rustc", COMPILER);
    for (args, code) in [(&["ci"][..], 0), (&["ci", "--deny-skipped"], 14)] {
        let run = trials.alone(args);
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        assert!(
            run.out.contains("SKIPPED: the references are of `"),
            "{}",
            run.out
        );
        assert!(run.out.contains("verdict: skipped: "), "{}", run.out);
    }
    let run = trials.alone(&["ci", "--json"]);
    let found: Value = serde_json::from_str(&run.out).expect("it prints JSON");
    assert_eq!(found["passed"], 0, "{found}");
    let gate = &found["gates"][0];
    assert_eq!(gate["result"], "skipped", "{found}");
    assert!(gate["reference"]["most"].is_number(), "{found}");
}

#[test]
fn memory_that_stays_behind_fails() {
    let stage = |allocations: u64| StageShare {
        name: "parse".to_owned(),
        items: 1000,
        busy_ns: 5000,
        allocations,
        bytes: 8 * allocations,
        kept: 0,
    };
    let memory = |each: i64, allocations: u64| Answer {
        metrics: [("allocs_per_item".to_owned(), allocations as f64 / 1000.0)].into(),
        stages: vec![stage(allocations)],
        live_bytes: (0..40).map(|at| 5000 + each * at).collect(),
        ..Answer::default()
    };
    let drain = |each: i64| Answer {
        live_bytes: (0..12).map(|at| 900 + each * at).collect(),
        ..Answer::default()
    };
    let check = |memory: Answer, drain: Answer, args: &[&str], code: i32, expect: &str| {
        let trials = Trials::new(
            &[(scenario("memory/x"), memory), (scenario("drain/x"), drain)],
            "",
        );
        let run = trials.bench(args);
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        assert!(run.out.contains(expect), "{}", run.out);
    };
    check(
        memory(0, 0),
        drain(0),
        &["mem"],
        0,
        "exactly 900 live bytes after each of the last 6 times",
    );
    check(
        memory(0, 0),
        drain(3),
        &["mem"],
        12,
        "FAILED started and ended: +15 bytes over the last 6 times",
    );
    check(
        memory(25, 0),
        drain(0),
        &["mem"],
        12,
        "FAILED while it runs: 1.000 bytes an item",
    );
    check(memory(0, 0), drain(0), &["alloc"], 0, "verdict: pass");
    check(
        memory(0, 2000),
        drain(0),
        &["alloc"],
        12,
        "`parse` allocates 2.000 times an item",
    );
    check(memory(0, 0), drain(0), &["mem", "nothing"], 2, "");
}

#[test]
fn an_interrupted_search_keeps_what_was_tried() {
    let answer = Answer {
        metrics: [
            ("throughput".to_owned(), 1000.0),
            ("latency_p50".to_owned(), 1e5),
            ("latency_p99".to_owned(), 1e6),
        ]
        .into(),
        generator: Some(pipewright_bench::protocol::Generator {
            offered: 1000,
            sent: 1000,
            ..Default::default()
        }),
        ..Answer::default()
    };
    // The third call presses Ctrl-C.
    let before =
        "n=$(wc -l < \"$(dirname \"$0\")/asked\"); if [ \"$n\" -eq 3 ]; then kill -INT $PPID; fi";
    let trials = Trials::new(&[(scenario("latency/x"), answer)], before);
    let run = trials.bench(&[
        "capacity",
        "latency/x",
        "--during",
        "10ms",
        "--no-guards",
        "--quiet",
    ]);
    assert_eq!(run.code, 130, "{}{}", run.out, run.err);
    let saved = trials.saved();
    let points = saved["scenarios"][0]["findings"]["capacity"]["points"].as_array();
    assert_eq!(points.map(Vec::len), Some(2), "{saved}");
    assert_eq!(saved["partial"], true);
}

#[test]
fn a_search_tells_how_far_it_is_unless_it_is_to_be_quiet() {
    let answer = in_time(&[
        ("throughput", 1e3),
        ("latency_p50", 1e5),
        ("latency_p99", 1e6),
    ]);
    let trials = Trials::new(&[(scenario("latency/x"), answer)], "");
    let args = [
        "capacity",
        "latency/x",
        "--during",
        "10ms",
        "--from",
        "5M/s",
        "--no-guards",
    ];
    let run = trials.bench(&args);
    assert_eq!(run.code, 0, "{}", run.err);
    let told: Vec<&str> = run.err.lines().collect();
    // A rate that can be taken makes it one rate more.
    let expect = [
        ("[1/7, ", " left]    5000000 /s  sustainable"),
        ("[2/8, ", " left]   10000000 /s  sustainable"),
    ];
    assert_eq!(told.len(), expect.len(), "{}", run.err);
    for (line, (begin, end)) in told.iter().zip(expect) {
        assert!(line.starts_with(begin) && line.ends_with(end), "{line}");
    }
    let run = trials.bench(&[&args[..], &["--quiet"]].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}

#[test]
fn more_workers_are_saved_and_printed_as_asked() {
    let trials = Trials::new(&[(scenario("throughput/x"), throughput(1e6))], "");
    let args = [
        "scale",
        "--workers",
        "1,2",
        "--during",
        "1ms",
        "--no-guards",
    ];
    let run = trials.bench(&[&args[..], &["--json"]].concat());
    let printed: Value = serde_json::from_str(&run.out).expect("it prints JSON");
    assert_eq!(printed, trials.saved());
    let rounds = &printed["scenarios"][0]["findings"]["scaling"]["rounds"];
    assert_eq!(rounds[1][0], 2);
    assert_eq!(rounds[1][1].as_array().map(Vec::len), Some(7));
    let run = trials.bench(&[&args[..], &["--quiet"]].concat());
    assert_eq!((run.out.trim(), run.err.as_str()), ("measured", ""));
    let report = trials.report();
    let again = "`cargo xtask bench scale --workers 1,2 --during 1ms --no-guards --quiet --bin trial --out out`";
    assert!(report.contains(again), "{report}");
}

#[test]
fn a_run_names_the_stage_that_limits_and_what_a_faster_one_would_bring() {
    let passage = |stage: &str, ns: u64| Passage {
        stage: stage.to_owned(),
        items: 100,
        work_ns: 100 * ns,
        latencies: vec![(ns, 990), (3 * ns, 510)],
        rate: 1e6,
        ..Passage::default()
    };
    let answer = Answer {
        passages: vec![passage("parse", 200), passage("price", 600)],
        ..throughput(1e6)
    };
    let trials = Trials::new(&[(scenario("throughput/x"), answer)], "");
    let run = trials.bench(&["run", "--no-guards"]);
    assert_eq!(run.code, 0, "{}", run.err);
    for expect in [
        "bottleneck `price`: the workers are busy in stages for 80 % of their time, 75 % of that in `price`",
        "1.43x, then the limit is `all workers`",
        "(between)      200.0 ns",
        "  by stage                items          p50          p95          p99\n  parse                1.00 M/s     200.0 ns     600.0 ns     600.0 ns",
    ] {
        assert!(run.out.contains(expect), "{expect}\n{}", run.out);
    }
    let limit = &trials.saved()["scenarios"][0]["findings"]["limit"];
    assert_eq!(limit["stage"], "price");
}

#[test]
fn what_comes_is_typed_or_written_and_reaches_the_trial() {
    let check = |args: &[&str], scenario_id: &str, expect: &str| {
        let trials = Trials::new(&[(scenario(scenario_id), throughput(1e3))], "");
        trials.write(
            "load.ron",
            "(phases: [spike(base: \"1k/s\", times: 4.0, during: \"3s\")], level: heavy, mix: (1, 0, 0, 0, 0, 1))",
        );
        let run = trials.bench(&[&["run", "--no-guards", "--quiet"], args].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(trials.asked().contains(expect), "{}", trials.asked());
    };
    for (phase, expect) in [
        ("steady", r#""phases":[{"steady":"#),
        ("burst", r#""phases":[{"burst":"#),
        ("ramp", r#""phases":[{"ramp":"#),
        ("spike", r#""phases":[{"spike":"#),
        ("sine", r#""phases":[{"sine":"#),
        ("mixed", r#""phases":[{"mixed":"#),
    ] {
        check(&["--phase", phase], "latency/x", expect);
    }
    for level in ["light", "medium", "heavy", "stress"] {
        let expect = format!("\"level\":\"{level}\"");
        check(&["--level", level], "throughput/x", &expect);
    }
    check(
        &["--mix", "50/10/10/10/10/10"],
        "throughput/x",
        r#""mix":[5,1,1,1,1,1]"#,
    );
    check(&["--during", "5s"], "throughput/x", r#""measure_ms":5000"#);
    check(
        &["--during", "5s", "--rate", "2k/s"],
        "latency/x",
        r#""phases":[{"steady":{"rate":2000.0,"during_ms":5000}}]"#,
    );
    check(
        &["--load", "load.ron"],
        "latency/x",
        r#""measure_ms":3000,"load":{"arrivals":"poisson","phases":[{"spike":{"base":1000.0,"times":4.0,"during_ms":3000}}]},"level":"heavy","mix":[1,0,0,0,0,1]"#,
    );
}

#[test]
fn each_of_several_levels_is_measured_in_each_of_several_phases() {
    let trials = Trials::new(&[(scenario("latency/x"), throughput(1e3))], "");
    let asked = ["--level", "light,heavy", "--phase", "steady,burst"];
    let run = trials.bench(&[&["run", "--no-guards", "--quiet"], &asked[..]].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    let saved = trials.saved();
    let scenarios = saved["scenarios"].as_array().expect("scenarios").iter();
    let ids: Vec<&str> = scenarios.filter_map(|one| one["id"].as_str()).collect();
    let expect = [
        "latency/x (light, steady)",
        "latency/x (light, burst)",
        "latency/x (heavy, steady)",
        "latency/x (heavy, burst)",
    ];
    assert_eq!(ids, expect);
}

#[test]
fn targets_are_judged_whatever_else_is_asked_and_none_vanishes() {
    let answer = Answer {
        metrics: [("latency_p50".to_owned(), 1e6)].into(),
        latencies: vec![(1_000_000, 1_200)],
        ..Answer::default()
    };
    let trials = Trials::new(
        &[
            (scenario("latency/x"), answer),
            (scenario("throughput/x"), throughput(1e3)),
        ],
        "",
    );
    let check = |targets: &str, args: &[&str], code: i32, expect: &str| {
        trials.write("targets.ron", &format!("(targets: [{targets}])"));
        let fixed = ["run", "--no-guards", "--targets", "targets.ron"];
        let run = trials.bench(&[&fixed[..], args].concat());
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        let said = format!("{}{}", run.out, run.err);
        assert!(said.contains(expect), "{expect}\n{said}");
    };
    let p50 = "(of: \"latency/x\", metric: \"latency_p50\", at_most: 1e5),";
    let p99 = "(of: \"latency/x\", metric: \"latency_p99\", at_most: 1e6),";
    let levels = ["latency", "--level", "light,medium"];
    check(p50, &levels, 11, "verdict: a target is missed");
    for one in trials.saved()["scenarios"].as_array().expect("scenarios") {
        assert_eq!(one["targets"][0]["result"], "failed", "{one}");
    }
    check(p99, &["latency"], 0, "verdict: a target is unknown");
    let few = "unknown: `latency_p99` needs 10000 items in each trial, and there were about 1200: `--during 6s`";
    check(p99, &["latency"], 0, few);
    check(p99, &["throughput"], 0, "verdict: measured");
    check("", &[], 0, "verdict: measured");
    let other = p50.replace("latency/x", "latency/y");
    let expect = "a target is of `latency/y`, and there is no such scenario; there are `latency/x`, `throughput/x`";
    check(&other, &[], 2, expect);
}

#[test]
fn a_level_is_for_scenarios_that_know_levels() {
    let plain = |id: &str| Scenario {
        levels: false,
        ..scenario(id)
    };
    let trials = Trials::new(
        &[
            (plain("latency/x"), throughput(1e3)),
            (plain("latency/y"), throughput(1e3)),
            (plain("throughput/x"), throughput(1e3)),
        ],
        "",
    );
    let check = |args: &[&str], id: &str| {
        for asked in [["--level", "heavy"], ["--mix", "1/1/1/1/1/1"]] {
            let run = trials.bench(&[args, &asked[..]].concat());
            assert_eq!(run.code, 2, "{args:?}: {}", run.err);
            let expect = format!("`{id}` has the same items always");
            assert!(run.err.contains(&expect), "{args:?}: {}", run.err);
        }
    };
    check(&["run", "latency"], "latency/x");
    check(&["capacity", "latency/x"], "latency/x");
    check(&["break", "latency/x"], "latency/x");
    check(&["scale", "throughput/x"], "throughput/x");
    check(&["impl", "latency/x", "latency/y"], "latency/x");
}
