//! Results that nobody can take, because the disk is full that standard output goes to: told by every command, and saved all the same.

#![forbid(unsafe_code)]

mod trials;

use pipewright_bench::protocol::{Answer, Generator, Part, Scenario};

use trials::{Trials, VALGRIND, scenario, throughput};

/// One scenario for each question.
fn answers() -> Vec<(Scenario, Answer)> {
    let live = Answer {
        metrics: [("allocs_per_item".to_owned(), 0.0)].into(),
        live_bytes: vec![5000; 40],
        ..Answer::default()
    };
    let rates = [
        ("throughput", 1000.0),
        ("latency_p50", 1e5),
        ("latency_p99", 1e6),
    ];
    let part = |at: u32| Part {
        end_ms: 250.0 * f64::from(at + 1),
        offered: 250,
        done: 250,
        busy: 0.4,
        latencies: vec![(1_000_000, 120)],
        ..Part::default()
    };
    let open = Answer {
        metrics: rates.map(|(name, value)| (name.to_owned(), value)).into(),
        generator: Some(Generator {
            offered: 1000,
            sent: 1000,
            ..Generator::default()
        }),
        timeline: (0..40).map(part).collect(),
        ..Answer::default()
    };
    let same = Answer {
        digest: Some(7),
        ..throughput(1000.0)
    };
    vec![
        (scenario("throughput/old"), same.clone()),
        (scenario("throughput/new"), same),
        (scenario("latency/x"), open),
        (scenario("memory/x"), live.clone()),
        (scenario("drain/x"), live),
    ]
}

#[test]
fn every_command_tells_that_it_cannot_be_heard() {
    let trials = Trials::new(&answers(), "");
    trials.program("valgrind", VALGRIND);
    trials.write("each", "100");
    let commands = [
        "list --bin trial",
        "list --bin trial --json",
        "run old --bin trial --no-guards --out out --save=kept",
        "run old --bin trial --no-guards --quiet --out out",
        "run old --bin trial --no-guards --json --out out",
        "ab old --base trial --head trial --no-guards --out ab",
        "impl old new --bin trial --no-guards --out impl",
        "capacity latency/x --bin trial --during 10ms --no-guards --out capacity",
        "break latency/x --bin trial --capacity 1k/s --short --out break",
        "scale old --bin trial --workers 1,2 --during 1ms --no-guards --out scale",
        "insn --bin trial --out insn",
        "alloc --bin trial --out alloc",
        "mem --bin trial --out mem",
        "compare ab/run.json ab/run.json",
        "compare ab/run.json ab/run.json --json",
        "report ab/run.json",
        "promote out/run.json --folder kept --force",
        "history add ab/run.json --folder kept",
        "history show --folder kept",
        "history changes --folder kept",
        "history changes --folder kept --json",
    ];
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let run = trials.unheard(&words);
        assert_eq!(run.code, 1, "{command}: {}", run.err);
        let expect = "error: cannot write to standard output: ";
        assert!(run.err.contains(expect), "{command}: {}", run.err);
        if let Some(at) = words.iter().position(|word| *word == "--out") {
            let saved = trials.saved_in(words[at + 1]);
            assert_eq!(saved["partial"], false, "{command}");
        }
    }
}
