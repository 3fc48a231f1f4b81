//! What goes wrong: files that are no results, a disk that is full, somebody who presses Ctrl-C, pipelines that never become steady.
//! What is wrong is told, the exit code says of which kind it is, and nothing is left half written.

#![forbid(unsafe_code)]

mod folder;

use std::fs;

use folder::{Folder, json};

#[test]
fn an_interrupted_run_keeps_what_is_finished() {
    let folder = Folder::new();
    let good = folder.trial("good", 1000);
    // The third call presses Ctrl-C.
    let count = folder.path("count");
    let stops = format!(
        "echo x >> {0}; if [ $(wc -l < {0}) -eq 7 ]; then kill -INT $PPID; fi; rate=1000",
        count.display()
    );
    let (run, saved) = folder.ab(&good, &folder.script("stops", &stops), &[]);
    assert_eq!(run.code, 130, "{}", run.err);
    assert!(
        run.err.contains("interrupted: what was finished is kept"),
        "{}",
        run.err
    );
    let saved = json(&saved);
    assert_eq!(
        (&saved["partial"], &saved["scenarios"][0]["blocks"]),
        (&true.into(), &3.into())
    );
    assert_eq!(saved["verdict"], "unfinished");
}

#[test]
fn an_interrupted_run_of_one_binary_keeps_what_is_finished_too() {
    let folder = Folder::new();
    let count = folder.path("count");
    let stops = format!(
        "echo x >> {0}; if [ $(wc -l < {0}) -eq 4 ]; then kill -INT $PPID; fi; rate=1000",
        count.display()
    );
    folder.script("stops", &stops);
    let run = folder.shell("$BENCH run --bin stops --no-guards --quiet --out out");
    assert_eq!(run.code, 130, "{}", run.err);
    let saved = json(&folder.path("out/run.json"));
    assert_eq!(
        (&saved["partial"], &saved["verdict"]),
        (&true.into(), &"unfinished".into())
    );
    let values = &saved["scenarios"][0]["metrics"][0]["sides"]["A"]["values"];
    assert_eq!(values.as_array().map(Vec::len), Some(3), "{saved}");
    assert_eq!(folder.names("out"), ["run.json"], "and nothing else");
}

/// Files may have three blocks, which is enough for a trial and for no result, and the signal that says so is ignored: writing fails
/// as on a full disk.
const FULL: &str = "trap '' XFSZ; ulimit -f 3; exec ";

#[test]
fn a_full_disk_is_told_and_leaves_what_was_there() {
    let folder = Folder::new();
    folder.trial("trial", 1000);
    let ab = "ab --base trial --head trial --no-guards --quiet --out out";
    let commands = [
        "run --bin trial --no-guards --quiet --out out",
        ab,
        "report out/run.json",
    ];
    // First there is nothing, and then what was written before.
    for _ in 0..2 {
        let before = (
            folder.names("out"),
            fs::read(folder.path("out/run.json")).ok(),
        );
        for command in commands {
            if before.1.is_none() && command.starts_with("report") {
                continue;
            }
            let run = folder.shell(&format!("{FULL} $BENCH {command}"));
            assert_eq!(run.code, 1, "{command}: {}", run.err);
            let told = run
                .err
                .lines()
                .any(|line| line.starts_with("error: cannot write `"));
            assert!(told, "{command}: {}", run.err);
            let after = (
                folder.names("out"),
                fs::read(folder.path("out/run.json")).ok(),
            );
            assert_eq!(after, before, "{command}");
        }
        assert_eq!(folder.shell(&format!("$BENCH {ab}")).code, 0);
    }
}

#[test]
fn results_that_nobody_can_take_are_told_and_saved_all_the_same() {
    let folder = Folder::new();
    folder.trial("trial", 1000);
    let check = |command: &str| {
        let run = folder.shell(&format!("$BENCH {command} > /dev/full"));
        assert_eq!(run.code, 1, "{command}: {}", run.err);
        let expect = "error: cannot write to standard output: ";
        assert!(run.err.contains(expect), "{command}: {}", run.err);
    };
    check("run --bin trial --no-guards --json --out out");
    assert_eq!(json(&folder.path("out/run.json"))["partial"], false);
    check("compare out/run.json out/run.json --json");
    check("compare out/run.json out/run.json");
    check("ab --base trial --head trial --no-guards --out ab");
    assert_eq!(json(&folder.path("ab/run.json"))["partial"], false);
}

#[test]
fn a_pipeline_that_never_becomes_steady_is_refused() {
    let folder = Folder::new();
    folder.script("slows", "rate=1000; windows=100,95,90,85,80,75,70,65,60,55");
    let check = |command: &str, code: i32| {
        let run = folder.shell(&format!("$BENCH {command} --out out"));
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        let expect = "it never became steady; warm up for longer";
        assert!(run.out.contains(expect), "{}{}", run.out, run.err);
        assert!(run.out.contains("verdict: refused"), "{}", run.out);
        let saved = json(&folder.path("out/run.json"));
        assert_eq!(
            (&saved["verdict"], &saved["partial"]),
            (&"refused".into(), &false.into())
        );
        let times = saved["scenarios"][0]["disturbed"]["unsteady"].as_u64();
        assert!(times.is_some_and(|times| times > 0), "{saved}");
    };
    check("run --bin slows", 0);
    check("ab --base slows --head slows --deny-refused", 14);
}

#[test]
fn an_interrupted_selftest_goes_on_where_it_was() {
    let folder = Folder::new();
    let count = folder.path("count");
    // The first comparison takes 48 trials; in the second one somebody presses Ctrl-C.
    let stops = format!(
        "echo x >> {0}; if [ $(wc -l < {0}) -eq 60 ]; then kill -INT $PPID; fi; rate=1000",
        count.display()
    );
    folder.script("stops", &stops);
    let command = "$BENCH selftest same --short --bin stops --notes notes.jsonl";
    let notes = || fs::read_to_string(folder.path("notes.jsonl")).unwrap_or_default();
    let run = folder.shell(command);
    assert_eq!(run.code, 130, "{}", run.err);
    assert_eq!(notes().lines().count(), 1);
    let run = folder.shell(command);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(
        run.err.contains("tests that are left: 1, about 1 min"),
        "{}",
        run.err
    );
    assert!(
        run.out.contains("| same | 2 comparisons, 0 refused"),
        "{}",
        run.out
    );
    assert_eq!(notes().lines().count(), 2);
    // Of another binary nothing is known yet.
    folder.script("other", "rate=1000; # another one");
    let run = folder.shell(&command.replace("stops", "other"));
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(
        run.err.contains("has 2 notes of other binaries"),
        "{}",
        run.err
    );
    assert_eq!(notes().lines().count(), 4);
}

#[test]
fn notes_on_a_full_disk_are_told_and_can_be_read_afterwards() {
    let folder = Folder::new();
    folder.trial("trial", 1000);
    // A note of something else, which stays.
    let other = format!(
        r#"{{"part":"leak","short":false,"found":{{"found":true,"said":"{}"}}}}"#,
        "x".repeat(1_200)
    );
    folder.write("notes.jsonl", &format!("{other}\n"));
    let command = "$BENCH selftest same slower10 --short --bin trial --notes notes.jsonl";
    let run = folder.shell(&format!("{FULL} {command}"));
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(
        run.err.contains("error: cannot write `notes.jsonl`"),
        "{}",
        run.err
    );
    let notes = fs::read_to_string(folder.path("notes.jsonl")).expect("there are some");
    assert!(
        notes.ends_with('\n') && notes.lines().count() < 5,
        "{notes}"
    );
    let run = folder.shell(command);
    assert!([0, 30].contains(&run.code), "{}{}", run.out, run.err);
    let notes = fs::read_to_string(folder.path("notes.jsonl")).expect("there are some");
    assert_eq!(notes.lines().count(), 5);
}
