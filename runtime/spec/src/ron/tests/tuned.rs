//! Tests of tuning files.

use super::{codes, tuning};
use crate::info::{DoorInfo, Enforce, Kind, OnPanic, Smt, StageInfo, StateKind, TopologyInfo};
use crate::options::Pool;
use crate::report::Source;

const SOURCE: StageInfo = StageInfo {
    name: "ingest",
    kind: Kind::Source,
    file: "src/mempool.rs",
    line: 1,
    state: StateKind::Serial,
    is_poll: true,
    ..StageInfo::EMPTY
};

const INPUTS: &[DoorInfo] = &[DoorInfo {
    stage: 0,
    door: None,
}];

static TOPOLOGY: TopologyInfo = TopologyInfo {
    name: "mempool",
    stages: &[
        SOURCE,
        StageInfo {
            name: "verify",
            kind: Kind::Stage,
            state: StateKind::None,
            is_poll: false,
            is_batch: true,
            inputs: INPUTS,
            ..SOURCE
        },
        StageInfo {
            name: "dedup",
            kind: Kind::Stage,
            state: StateKind::Keyed,
            is_poll: false,
            inputs: INPUTS,
            ..SOURCE
        },
        StageInfo {
            name: "publish",
            kind: Kind::Sink,
            state: StateKind::None,
            is_poll: false,
            inputs: INPUTS,
            ..SOURCE
        },
        StageInfo {
            name: "parse",
            kind: Kind::Sink,
            state: StateKind::None,
            is_poll: false,
            inputs: &[DoorInfo {
                stage: DoorInfo::INPUT,
                door: None,
            }],
            ..SOURCE
        },
    ],
    ..TopologyInfo::EMPTY
};

const GOOD: &str = r#"( stages: {
    "ingest": (batch: 256, idle: "5us", on_panic: reset),
    "verify": (batch: 128, linger: "40us"),
    "parse": (queue: "64Ki", on_panic: stop),
    "dedup": (linger: "1ms"),
}, pool: (workers: 2, cores: "0,2-3", smt: avoid, numa: 1), quantum: "64us", memory: "1Mi", hw: (enforce: deny) )"#;

#[test]
fn a_tuning_file_holds_typed_numbers() {
    let file = tuning(&Source::new("fast.tuning.ron", GOOD)).expect("a good file");
    assert!(file.check_against(&TOPOLOGY).is_empty());
    let Pool {
        workers,
        cores,
        smt,
        numa,
        ..
    } = &file.pool;
    assert_eq!(workers.as_ref().map(|workers| workers.value), Some(2));
    assert_eq!(
        cores.as_ref().map(|cores| cores.value.as_slice()),
        Some([0, 2, 3].as_slice())
    );
    assert_eq!(smt.as_ref().map(|smt| smt.value), Some(Smt::Avoid));
    assert_eq!(numa.as_ref().map(|numa| numa.value), Some(1));
    let enforce = file.enforce.as_ref();
    assert_eq!(enforce.map(|enforce| enforce.value), Some(Enforce::Deny));
    assert_eq!(
        file.quantum_ns.as_ref().map(|quantum| quantum.value),
        Some(64_000)
    );
    let memory = file.memory.as_ref();
    assert_eq!(memory.map(|memory| memory.value), Some(1 << 20));
    let [ingest, verify, parse, dedup] = file.stages.as_slice() else {
        panic!("four stages: {file:?}")
    };
    assert_eq!(ingest.batch.as_ref().map(|batch| batch.value), Some(256));
    assert_eq!(ingest.idle_ns.as_ref().map(|idle| idle.value), Some(5_000));
    assert_eq!(
        ingest.on_panic.as_ref().map(|given| given.value),
        Some(OnPanic::Reset)
    );
    assert_eq!(
        verify.linger_ns.as_ref().map(|linger| linger.value),
        Some(40_000)
    );
    assert_eq!(
        parse.queue.as_ref().map(|queue| queue.value),
        Some(64 << 10)
    );
    assert_eq!(
        dedup
            .linger_ns
            .as_ref()
            .map(|linger| &GOOD[linger.place.clone()]),
        Some("\"1ms\"")
    );
}

#[test]
fn a_tuning_file_may_be_empty() {
    assert_eq!(
        tuning(&Source::new("t.ron", "()")),
        Ok(super::super::TuningFile::default())
    );
}

#[test]
fn shape_and_missing_options_are_refused() {
    #[track_caller]
    fn check(text: &str, place: &str, message: &str) {
        let source = Source::new("t.ron", text);
        let problems = tuning(&source).expect_err(text);
        assert_eq!(codes(&problems, &source), place, "{text}");
        assert_eq!(
            problems
                .iter()
                .next()
                .map(|problem| problem.message.as_str()),
            Some(message)
        );
    }
    let shape = |key: &str| {
        format!("`{key}` is part of the shape of a pipeline, which is fixed when it is compiled")
    };
    check(
        r#"(stages: {"a": (from: "b")})"#,
        "E_SHAPE 1:17",
        &shape("from"),
    );
    check(
        r#"(stages: {"a": (run: "b")})"#,
        "E_SHAPE 1:17",
        &shape("run"),
    );
    check(
        r#"(stages: {"a": (key: 1)})"#,
        "E_SHAPE 1:17",
        &shape("key"),
    );
    check(
        r#"(stages: {"a": (order: any)})"#,
        "E_SHAPE 1:17",
        &shape("order"),
    );
    check(
        r#"(stages: {"a": (overflow: block)})"#,
        "E_SHAPE 1:17",
        &shape("overflow"),
    );
    check(r#"(reply: "a")"#, "E_SHAPE 1:2", &shape("reply"));
    check(
        r#"(stages: {"a": (in_flight: 0)})"#,
        "E_RANGE 1:28",
        "`in_flight` must be at least 1",
    );
    check(
        r#"(pool: (workers: 2, cores: "3-1", smt: never))"#,
        "E_CORES 1:28, E_UNKNOWN_WORD 1:40",
        "the range `3-1` counts down",
    );
    check(
        r#"(memory: "1GiB")"#,
        "E_UNIT 1:10",
        "`\"1GiB\"` is spelled in another way here",
    );
    check(
        r#"(stage: {})"#,
        "E_UNKNOWN_KEY 1:2",
        "a tuning file has no option `stage`",
    );
    check(
        r#"(stages: {"a": (bacth: 1)})"#,
        "E_UNKNOWN_KEY 1:17",
        "a tuned stage has no option `bacth`",
    );
    check(
        r#"(stages: {"a": (batch: 0)})"#,
        "E_RANGE 1:24",
        "`batch` must be at least 1",
    );
    check(
        r#"(stages: {"a": (), "b": (), "a": ()})"#,
        "E_DUPLICATE_STAGE 1:30",
        "`a` is given twice",
    );
    check(
        r#"(stages: {"a": 4})"#,
        "E_TYPE 1:16",
        "the numbers of a stage stand in parentheses, and this is a number",
    );
    check("", "E_RON_SYNTAX 1:1", "this file is empty");
}

#[test]
fn a_tuning_file_fits_its_pipeline() {
    #[track_caller]
    fn check(text: &str, place: &str, message: &str) {
        let source = Source::new("t.ron", format!("(stages: {{{text}}})"));
        let problems = tuning(&source)
            .expect("good by itself")
            .check_against(&TOPOLOGY);
        assert_eq!(codes(&problems, &source), place, "{text}");
        assert_eq!(
            problems
                .iter()
                .next()
                .map(|problem| problem.message.as_str()),
            Some(message)
        );
        assert!(problems.iter().all(|problem| problem.help.len() == 1));
    }
    check(
        r#""verfy": ()"#,
        "E_UNKNOWN_STAGE 1:12",
        "`mempool` has no stage `verfy`",
    );
    check(
        r#""publish": (batch: 4)"#,
        "E_NEEDS 1:23",
        "`batch` of `publish` needs a source or a function that takes many items at a time",
    );
    check(
        r#""publish": (linger: "1us")"#,
        "E_NEEDS 1:23",
        "`linger` of `publish` needs a function that takes many items at a time, or a `key`",
    );
    check(
        r#""verify": (idle: "1us")"#,
        "E_NEEDS 1:22",
        "`idle` of `verify` needs a source that returns `Flow`",
    );
    check(
        r#""verify": (queue: 4)"#,
        "E_NEEDS 1:22",
        "`queue` of `verify` needs a stage that reads `input`, or a pinned stage that is fed item by item",
    );
    check(
        r#""publish": (on_panic: keep)"#,
        "E_NEEDS 1:33",
        "`on_panic = keep` needs a state, and `publish` has none",
    );
    check(
        r#""publish": (breaker: (open: "1s"))"#,
        "E_SHAPE 1:23",
        "`publish` was compiled without `breaker`",
    );
    check(
        r#""dedup": (on_panic: isolate, queue: 4)"#,
        "E_NEEDS 1:40, E_NEEDS 1:31",
        "`queue` of `dedup` needs a stage that reads `input`, or a pinned stage that is fed item by item",
    );
}
