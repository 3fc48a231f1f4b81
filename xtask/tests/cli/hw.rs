//! `cargo xtask hw`.

use super::{Folder, Run};

/// A pipeline with a stage pinned to a core that the machine has not.
const TOO_FAR: &str = "#[pipeline]\nmod far {\n    #[source]\n    pub fn ticks() -> std::ops::Range<u64> {\n        0..9\n    }\n\n    #[sink(from = ticks, cores = \"7\")]\n    pub fn last(_: u64) {}\n}\n";

/// A machine with two cpus, and nothing that is wrong but its clock.
const MACHINE: [(&str, &str); 6] = [
    ("m/sys/devices/system/cpu/online", "0-1\n"),
    (
        "m/sys/devices/system/cpu/cpu0/topology/physical_package_id",
        "0\n",
    ),
    (
        "m/sys/devices/system/cpu/cpu1/topology/physical_package_id",
        "0\n",
    ),
    ("m/sys/devices/system/cpu/isolated", "\n"),
    (
        "m/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "hpet\n",
    ),
    ("m/proc/self/status", "Cpus_allowed_list:\t0-1\n"),
];

fn machine(more: &[(&str, &str)]) -> Folder {
    let files: Vec<(&str, &str)> = MACHINE.iter().chain(more).copied().collect();
    Folder::new(&files)
}

/// Runs `hw check` on the machine, and returns what it prints.
fn check(more: &[(&str, &str)], args: &[&str]) -> Run {
    let all: Vec<&str> = ["hw", "check", "--root", "m"]
        .iter()
        .chain(args)
        .copied()
        .collect();
    machine(more).run(&all)
}

#[test]
fn the_exit_code_says_how_bad_it_is() {
    let code = |args: &[&str], expect: i32| {
        let run = check(&[("far.rs", TOO_FAR)], args);
        assert_eq!(run.code, expect, "{args:?}: {}{}", run.out, run.err);
    };
    code(&["--only", "C09"], 0);
    code(&["--only", "C09", "--strict"], 21);
    code(&["--only", "C09", "--profile", "realtime"], 20);
    code(&["--only", "C", "--skip", "C09", "--strict"], 0);
    code(&["--only", "P01", "--pipeline", "far.rs"], 20);
    code(&["--only", "P09", "--pipeline", "far.rs"], 0);
}

#[test]
fn a_pipeline_that_does_not_fit_is_told_with_its_stage_and_what_to_write() {
    let run = check(
        &[("far.rs", TOO_FAR)],
        &["--only", "P01", "--pipeline", "far.rs"],
    );
    let line = "FAIL    P01 core-exists        far.last is pinned to cpu 7, which is not online\n";
    assert!(run.out.contains(line), "{}", run.out);
    assert!(
        run.out
            .contains("help: write `cores = \"1\"` for far.last\n"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .ends_with("1 fail, 0 warn, 0 unknown, 0 info, 0 pass, 116 skip\n"),
        "{}",
        run.out
    );
    assert!(
        !run.out.contains('\x1b'),
        "no colours where nobody sees them"
    );
}

#[test]
fn wrong_input_is_refused_before_anything_is_checked() {
    let broken =
        "#[pipeline]\nmod far {\n    #[sink(from = nobody)]\n    pub fn last(_: u64) {}\n}\n";
    let files = [
        ("broken.rs", broken),
        ("none.rs", "fn main() {}\n"),
        ("few.ron", "(swappiness: 1)\n"),
        ("no.json", "{}"),
    ];
    let wrong = |args: &[&str], expect: &str| {
        let run = check(&files, args);
        assert_eq!(
            (run.code, run.out.as_str()),
            (2, ""),
            "{args:?}: {}",
            run.err
        );
        assert!(run.err.contains(expect), "{args:?}: {}", run.err);
    };
    wrong(
        &["--only", "C99"],
        "error: there is no check `C99`; did you mean `",
    );
    wrong(&["--pipeline", "gone.rs"], "cannot read `gone.rs`");
    wrong(
        &["--pipeline", "broken.rs"],
        "`broken.rs` is no pipeline that can run",
    );
    wrong(&["--pipeline", "none.rs"], "`none.rs` holds no pipeline");
    wrong(&["--thresholds", "few.ron"], "`few.ron`: ");
    wrong(&["--probe", "no.json"], "`no.json` is not a result of `hw`");
    wrong(
        &["--profile", "fast"],
        "[possible values: dev, ci, bench, prod, realtime]",
    );
    wrong(&["--p99", "5"], "invalid value '5' for '--p99 <TIME>'");
    wrong(
        &["--rate", "many"],
        "invalid value 'many' for '--rate <RATE>'",
    );
    wrong(
        &["--item", "64Kb"],
        "invalid value '64Kb' for '--item <BYTES>'",
    );
}

#[test]
fn json_is_read_again_and_compared() {
    let folder = machine(&[]);
    let mut saved = Vec::new();
    for (file, clock) in [("a.json", "hpet\n"), ("b.json", "tsc\n")] {
        folder.write(
            "m/sys/devices/system/clocksource/clocksource0/current_clocksource",
            clock.as_bytes(),
        );
        let run = folder.run(&["hw", "check", "--root", "m", "--json"]);
        assert!(
            run.out
                .starts_with("{\n  \"schema\": \"pipewright.hw/2\",\n  \"kind\": \"check\",\n"),
            "{}",
            run.out
        );
        folder.write(file, run.out.as_bytes());
        saved.push(run.out);
    }
    let diff = |args: &[&str], code: i32, out: &str| {
        let run = folder.run(&[&["hw", "diff"], args].concat());
        assert_eq!(
            (run.code, run.out.as_str()),
            (code, out),
            "{args:?}: {}",
            run.err
        );
        run.err
    };
    let expect = "checks\n  C09 clocksource: warn -> pass: hpet -> tsc\n";
    diff(&["a.json", "b.json"], 0, expect);
    diff(&["a.json", "b.json", "--strict"], 21, expect);
    diff(&["a.json", "a.json", "--strict"], 0, "nothing differs\n");
    let json = "{\n  \"machine\": [],\n  \"checks\": [\n    \"C09 clocksource: warn -> pass: hpet -> tsc\"\n  ],\n  \"figures\": []\n}\n";
    diff(&["a.json", "b.json", "--json"], 0, json);
    diff(&["a.json", "b.json", "--json", "--strict"], 21, json);
    folder.write("old.json", saved[0].replace("hw/2", "hw/1").as_bytes());
    folder.write("half.json", &saved[0].as_bytes()[..saved[0].len() / 2]);
    let err = diff(&["a.json", "old.json"], 2, "");
    assert!(
        err.contains("has the form `pipewright.hw/1`, and this version reads `pipewright.hw/2`: make it again"),
        "{err}"
    );
    let err = diff(&["half.json", "a.json"], 2, "");
    assert!(
        err.contains("`half.json` is not a result of `hw`: EOF"),
        "{err}"
    );
    let err = diff(&["a.json", "gone.json"], 2, "");
    assert!(err.contains("cannot read `gone.json`"), "{err}");
}

#[test]
fn a_check_is_explained() {
    let run = Folder::new(&[]).run(&["hw", "explain", "c09"]);
    let expect = "\
C09 clocksource (cpu and clock)

why      other clocks are read by a system call: about 1 us instead of 25 ns, for each deadline, breaker and rate
passes   tsc, arch_sys_counter, kvm-clock or hyperv_clocksource_tsc_page
reads    /sys/devices/system/clocksource/clocksource0/current_clocksource
         /sys/devices/system/clocksource/clocksource0/available_clocksource
else     dev warn, ci warn, bench warn, prod warn, realtime fail
inside   in a container, the value is the host's and is changed there
fix      echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource
fix      for good: tsc=reliable on the kernel's command line, only where C08 passes (sysfs)
risk     a counter that the kernel found unstable may run backwards
";
    assert_eq!((run.code, run.out.as_str()), (0, expect));
    let run = Folder::new(&[]).run(&["hw", "explain", "L06"]);
    let grades = "\
else     dev warn, ci warn, bench warn, prod warn, realtime warn
at worst dev fail, ci fail, bench fail, prod fail, realtime fail, where what is asked for cannot be had at all
";
    assert!(run.out.contains(grades), "{}", run.out);
    let run = Folder::new(&[]).run(&["hw", "explain", "F05"]);
    assert!(
        run.out.contains("\nrisk     cpus that do not sleep"),
        "{}",
        run.out
    );
    let run = Folder::new(&[]).run(&["hw", "explain", "Q1"]);
    assert_eq!(run.code, 2);
    assert!(
        run.err.starts_with("error: there is no check `Q1`; "),
        "{}",
        run.err
    );
}

#[test]
fn scripts_are_printed_and_nothing_is_changed() {
    let folder = machine(&[]);
    let script = |args: &[&str]| folder.run(&[&["hw", "script", "--root", "m"], args].concat());
    let there = "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource\n";
    let back = "echo hpet > /sys/devices/system/clocksource/clocksource0/current_clocksource\n";
    let tune = script(&["--only", "tune"]);
    assert!(
        tune.code == 0 && tune.out.contains(there) && !tune.out.contains(back),
        "{}",
        tune.out
    );
    let untune = script(&["--only", "untune"]);
    assert!(
        untune.code == 0 && untune.out.contains(back) && !untune.out.contains(there),
        "{}",
        untune.out
    );
    let both = script(&[]);
    assert!(
        both.out.contains(there) && both.out.contains(back),
        "{}",
        both.out
    );
}

#[test]
fn this_machine_is_checked() {
    let run = Folder::new(&[]).run(&[
        "hw",
        "check",
        "--seconds",
        "0",
        "--json",
        "--profile",
        "bench",
    ]);
    // It may be a good or a bad machine; each check says something about it.
    assert!([0, 20].contains(&run.code), "{}", run.err);
    assert_eq!(
        run.out.matches("\"expected\": ").count(),
        117,
        "{}",
        run.out
    );
}

#[test]
fn a_folder_that_is_no_machine_is_neither_checked_nor_tuned() {
    let folder = Folder::new(&[("file", ""), ("empty/readme", "")]);
    for root in ["gone", "file", "empty"] {
        for args in [
            &["check", "--root", root][..],
            &["check", "--root", root, "--strict", "--json"],
            &["script", "--root", root],
        ] {
            let run = folder.run(&[&["hw"], args].concat());
            assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}");
            let expect = format!(
                "error: `{root}` is no machine: it holds neither a folder `proc` nor a folder `sys`\nhelp: give the folder"
            );
            assert!(run.err.starts_with(&expect), "{args:?}: {}", run.err);
        }
    }
    // One of the two is enough, as in a sandbox without `/sys`.
    let folder = Folder::new(&[("m/proc/loadavg", "0 0 0 1/1 1\n")]);
    let run = folder.run(&["hw", "check", "--root", "m"]);
    assert_eq!(run.code, 0, "{}", run.err);
}

#[test]
fn a_probe_of_another_machine_is_refused_with_what_differs() {
    let recorded = include_str!("../../hw/tests/probe/box.json");
    let identity = [
        (
            "m/proc/cpuinfo",
            "model name : AMD EPYC\nmicrocode : 0x1000065\n",
        ),
        ("m/proc/sys/kernel/osrelease", "6.18.44\n"),
        ("m/sys/devices/system/node/online", "0\n"),
        ("box.json", recorded),
    ];
    let probed = ["--only", "V08", "--probe", "box.json"];
    let same = check(&identity, &probed);
    assert_eq!(same.code, 0, "{}", same.err);
    assert!(same.out.contains("0 unknown"), "{}", same.out);

    let mut other = identity;
    other[0].1 = "model name : Another One\nmicrocode : 0x1000065\n";
    other[2].1 = "0-1\n";
    let refused = check(&other, &probed);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    let expect = "error: `box.json` was measured on another machine: cpu_model: AMD EPYC -> Another One; numa_nodes: 0 -> 0-1\nhelp: ";
    assert!(refused.err.starts_with(expect), "{}", refused.err);
}

#[test]
fn a_group_and_what_the_probe_measures_are_explained_too() {
    let explain = |name: &str| Folder::new(&[]).run(&["hw", "explain", name]);
    for (letter, first, lines) in [
        ("P", "P01  core-exists", 27),
        ("c", "C01  cpu-identity", 13),
        ("A", "A1   reading a clock", 17),
    ] {
        let run = explain(letter);
        assert_eq!(
            (run.code, run.out.lines().count()),
            (0, lines),
            "{}",
            run.out
        );
        assert!(
            run.out
                .lines()
                .nth(2)
                .is_some_and(|line| line.starts_with(first)),
            "{}",
            run.out
        );
    }
    for n in 1..=15 {
        let run = explain(&format!("a{n}"));
        assert!(
            run.out.starts_with(&format!("A{n} ")) && run.out.contains("\nhow      "),
            "{}",
            run.out
        );
    }
    let run = explain("A16");
    assert_eq!(run.code, 2);
    assert!(
        run.err
            .starts_with("error: there is no check `A16`; did you mean `A"),
        "{}",
        run.err
    );
}
