//! Wrong and hostile topologies, each pinned to the codes and places of its problems.

use super::{codes, topology};
use crate::report::Source;

#[track_caller]
fn check(text: &str, expect: &str) {
    let source = Source::new("t.ron", text);
    let problems = topology(&source).expect_err(text);
    assert_eq!(codes(&problems, &source), expect, "{text}");
    assert!(problems.render(&source).contains("t.ron:"), "{text}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.code == "E_RON_SYNTAX" || !problem.help.is_empty()),
        "{text}"
    );
}

#[test]
fn what_is_not_ron_is_refused_where_it_breaks() {
    #[rustfmt::skip]
    const CASES: &[(&str, &str)] = &[
        ("", "E_RON_SYNTAX 1:1"),
        ("   \n\t", "E_RON_SYNTAX 2:2"),
        ("// only a comment", "E_RON_SYNTAX 1:18"),
        ("(", "E_RON_SYNTAX 1:2"),
        (")", "E_RON_SYNTAX 1:1"),
        ("(()", "E_RON_SYNTAX 1:4"),
        ("{", "E_RON_SYNTAX 1:2"),
        ("(stages: {", "E_RON_SYNTAX 1:11"),
        ("(stages: {}", "E_RON_SYNTAX 1:12"),
        ("(stages: {)", "E_RON_SYNTAX 1:11"),
        ("(stages: {]})", "E_RON_SYNTAX 1:11"),
        ("(\n  stages: {\n    \"a\": (batch: 1,\n  },\n)", "E_RON_SYNTAX 4:3"),
        (r#"(stages: {"a: ()})"#, "E_RON_SYNTAX 1:11"),
        (r#"(stages: {"a": /* ()})"#, "E_RON_SYNTAX 1:16"),
        (r#"(stages: {"a" ()})"#, "E_RON_SYNTAX 1:15"),
        (r#"(stages: {"a": (batch 1)})"#, "E_RON_SYNTAX 1:23"),
        (r#"(stages: {"a": (batch: )})"#, "E_RON_SYNTAX 1:23"),
        (r#"(stages: {"a": (batch: 1 queue: 2)})"#, "E_RON_SYNTAX 1:26"),
        (r#"(stages: {"a": ()}) ()"#, "E_RON_SYNTAX 1:21"),
        (r#"(stages: {"a": (batch: 0xG)})"#, "E_RON_SYNTAX 1:26"),
        (r#"(stages: {"a": (batch: '')})"#, "E_RON_SYNTAX 1:26"),
        (r#"(stages: {"a": (from: "\q")})"#, "E_RON_SYNTAX 1:24"),
        (r#"(stages: {"\u{110000}": ()})"#, "E_RON_SYNTAX 1:21"),
        ("#![type = 3]\n()", "E_RON_SYNTAX 1:11"),
        ("#![wrong]\n()", "E_RON_SYNTAX 1:4"),
        ("#![type = \"x\"\n()", "E_RON_SYNTAX 2:1"),
        ("#![enable(nothing)]\n()", "E_RON_SYNTAX 1:11"),
        ("\u{feff}(stages: {})", "E_BOM 1:1"),
        ("\0", "E_RON_SYNTAX 1:1"),
        ("(stages: {\"a\": \0})", "E_RON_SYNTAX 1:15"),
        ("(stages\0: {})", "E_RON_SYNTAX 1:8"),
        ("\u{202e}()", "E_RON_SYNTAX 1:1"),
        ("(1 2)", "E_RON_SYNTAX 1:4"),
        ("(,)", "E_RON_SYNTAX 1:2"),
        ("(stages: {,})", "E_RON_SYNTAX 1:11"),
        ("((((((((((((((((((((((((", "E_TOO_DEEP 1:11"),
    ];
    CASES.iter().for_each(|(text, expect)| check(text, expect));
}

#[test]
fn what_is_not_a_pipeline_is_refused() {
    #[rustfmt::skip]
    const CASES: &[(&str, &str)] = &[
        ("hello", "E_TYPE 1:1"),
        ("3", "E_TYPE 1:1"),
        (r#""text""#, "E_TYPE 1:1"),
        ("[]", "E_TYPE 1:1"),
        ("{}", "E_TYPE 1:1"),
        ("(1, 2)", "E_TYPE 1:1"),
        ("Topology(stages: {})", "E_TYPE 1:1"),
        ("Some(())", "E_TYPE 1:1"),
        ("(stages: ())", "E_TYPE 1:10"),
        ("(stages: [])", "E_TYPE 1:10"),
        ("(stages: None)", "E_TYPE 1:10"),
        ("(stages: {1: ()})", "E_TYPE 1:11"),
        ("(stages: {a: ()})", "E_TYPE 1:11"),
        (r#"(stages: {"a": 1})"#, "E_TYPE 1:16"),
        (r#"(stages: {"a": "b"})"#, "E_TYPE 1:16"),
        (r#"(stages: {"a": {}})"#, "E_TYPE 1:16"),
        (r#"(stages: {"a": [1]})"#, "E_TYPE 1:16"),
        (r#"(stages: {("a"): ()})"#, "E_TYPE 1:11"),
    ];
    CASES.iter().for_each(|(text, expect)| check(text, expect));
}

#[test]
fn keys_names_and_outputs_are_checked() {
    #[rustfmt::skip]
    const CASES: &[(&str, &str)] = &[
        ("(stage: {})", "E_UNKNOWN_KEY 1:2"),
        ("(stages: {}, stages: {})", "E_DUPLICATE_KEY 1:14"),
        ("(env: 1)", "E_RUST_ONLY 1:2"),
        ("(pool: (wokers: 1))", "E_UNKNOWN_KEY 1:9"),
        ("(pool: (workers: 0))", "E_RANGE 1:18"),
        ("(pool: 4)", "E_TYPE 1:8"),
        (r#"(quantum: "10us", quantum: "10us")"#, "E_DUPLICATE_KEY 1:19"),
        (r#"(quantum: "10ns")"#, "E_RANGE 1:11"),
        ("(memory: 64)", "E_TYPE 1:10"),
        (r#"(memory: "64")"#, "E_UNIT 1:10"),
        ("(reply: 3)", "E_TYPE 1:9"),
        ("(hw: (enforce: 1))", "E_TYPE 1:16"),
        (r#"(stages: {"a": (wrokers: 1)})"#, "E_UNKNOWN_KEY 1:17"),
        (r#"(stages: {"a": (batch: 1, batch: 2)})"#, "E_DUPLICATE_KEY 1:27"),
        (r#"(stages: {"a": (key: "Tx::sender")})"#, "E_RUST_ONLY 1:17"),
        (r#"(stages: {"a": (per_worker: true)})"#, "E_RUST_ONLY 1:17"),
        (r#"(stages: {"a": (state: load)})"#, "E_RUST_ONLY 1:17"),
        (r#"(stages: {"a": (stages: 1)})"#, "E_UNKNOWN_KEY 1:17"),
        (r#"(stages: {"a": (from: b)})"#, "E_TYPE 1:23"),
        (r#"(stages: {"a": (from: [])})"#, "E_EMPTY_FROM 1:23"),
        (r#"(stages: {"a": (from: ["b", 3])})"#, "E_TYPE 1:29"),
        (r#"(stages: {"a": (from: "b::")})"#, "E_DOOR 1:24"),
        (r#"(stages: {"a": (from: "b::c::d")})"#, "E_DOOR 1:24"),
        (r#"(stages: {"a": (from: "b:: c")})"#, "E_DOOR 1:24"),
        (r#"(stages: {"a": (from: "b\u{62}")})"#, "E_ESCAPE 1:23"),
        (r#"(stages: {"a": (from: ("b"))})"#, "E_TYPE 1:23"),
        (r#"(stages: {"a": (run: f)})"#, "E_TYPE 1:22"),
        (r#"(stages: {"a": (run: ["f"])})"#, "E_TYPE 1:22"),
        (r#"(stages: {"a\n": ()})"#, "E_ESCAPE 1:11"),
    ];
    CASES.iter().for_each(|(text, expect)| check(text, expect));
}

#[test]
fn values_are_checked() {
    #[rustfmt::skip]
    const CASES: &[(&str, &str)] = &[
        (r#"(stages: {"a": (batch: 0)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: -1)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: 18446744073709551615)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: 9223372036854775808)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: 99999999999999999999999999)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: 1e309)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: NaN)})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: -inf)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: 64.0)})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: 0xFFFFFFFFFFFFFFFFFF)})"#, "E_RANGE 1:24"),
        (r#"(stages: {"a": (batch: Some(4))})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: 1..4)})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: ..)})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: 'c')})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: b"4")})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: Count(4))})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: (4, 4))})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (batch: "64k")})"#, "E_UNIT 1:24"),
        (r#"(stages: {"a": (batch: true)})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (linger: 50)})"#, "E_TYPE 1:25"),
        (r#"(stages: {"a": (linger: "50")})"#, "E_UNIT 1:25"),
        (r#"(stages: {"a": (linger: "0s")})"#, "E_RANGE 1:25"),
        (r#"(stages: {"a": (linger: "1.5ms")})"#, "E_UNIT 1:25"),
        (r#"(stages: {"a": (linger: "999999999999999999999s")})"#, "E_RANGE 1:25"),
        (r#"(stages: {"a": (linger: None)})"#, "E_TYPE 1:25"),
        (r#"(stages: {"a": (cores: 4)})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (cores: "4-")})"#, "E_CORES 1:24"),
        (r#"(stages: {"a": (cores: "0-99999999")})"#, "E_CORES 1:24"),
        (r#"(stages: {"a": (cores: "3,3")})"#, "E_CORES 1:24"),
        (r#"(stages: {"a": (priority: hihg)})"#, "E_UNKNOWN_WORD 1:27"),
        (r#"(stages: {"a": (priority: "high")})"#, "E_TYPE 1:27"),
        (r#"(stages: {"a": (priority: r#high2)})"#, "E_UNKNOWN_WORD 1:27"),
        (r#"(stages: {"a": (on_error: retry)})"#, "E_UNKNOWN_WORD 1:27"),
        (r#"(stages: {"a": (overflow: Block)})"#, "E_UNKNOWN_WORD 1:27"),
        (r#"(stages: {"a": (rate: "10")})"#, "E_UNIT 1:23"),
        (r#"(stages: {"a": (retry: 3)})"#, "E_TYPE 1:24"),
        (r#"(stages: {"a": (retry: (max: 0))})"#, "E_RANGE 1:30"),
        (r#"(stages: {"a": (retry: (max: 3, max: 3))})"#, "E_DUPLICATE_KEY 1:33"),
        (r#"(stages: {"a": (breaker: (failure_pct: 101))})"#, "E_RANGE 1:40"),
        (r#"(stages: {"a": (breaker: (window: 0))})"#, "E_RANGE 1:35"),
        (r#"(stages: {"a": (breaker: (open: "1ms"))})"#, "E_RANGE 1:33"),
        (r#"(stages: {"a": (breaker: (counts: [panic, oops]))})"#, "E_UNKNOWN_WORD 1:43"),
        (r#"(stages: {"a": (simd: [avx3])})"#, "E_UNKNOWN_WORD 1:24"),
        (r#"(stages: {"a": (prefetch: 0)})"#, "E_RANGE 1:27"),
    ];
    CASES.iter().for_each(|(text, expect)| check(text, expect));
}

#[test]
fn depth_and_size_are_bounded() {
    check(&"[".repeat(100_000), "E_TOO_DEEP 1:11");
    check(&"{\"a\":".repeat(5_000), "E_TOO_DEEP 1:51");
    check(&"(a:".repeat(200), "E_TOO_DEEP 1:31");
    check(&format!("({})", " ".repeat(1 << 20)), "E_FILE_SIZE 1:1");
}

#[test]
fn a_name_of_a_megabyte_is_shown_in_part() {
    let long = "x".repeat(1_000_000);
    let source = Source::new("t.ron", format!("({long}: 1)"));
    let problems = topology(&source).expect_err("too long");
    assert_eq!(codes(&problems, &source), "E_TOO_LONG 1:2");
    assert!(problems.render(&source).len() < 2_000);
}

#[test]
fn thousands_of_problems_are_counted_and_a_dozen_shown() {
    let stages: String = (0..5_000)
        .map(|n| format!("\"s{n}\": (bacth: 0, queue: 0),\n"))
        .collect();
    let source = Source::new("t.ron", format!("( stages: {{\n{stages}}} )"));
    let problems = topology(&source).expect_err("many problems");
    assert_eq!(problems.len(), 10_000);
    let shown = problems.render(&source);
    assert_eq!(shown.matches("error[").count(), 12);
    assert!(shown.ends_with("and 9988 more"));
}

#[test]
fn any_prefix_of_a_good_file_is_read_or_refused_with_a_place() {
    let good = include_str!("good.ron");
    for end in (0..good.len()).filter(|&end| good.is_char_boundary(end)) {
        let source = Source::new("t.ron", &good[..end]);
        match topology(&source) {
            Ok(model) => assert_eq!(model.stages.len(), 9),
            Err(problems) => assert!(problems.render(&source).contains("t.ron:"), "{end}"),
        }
    }
}

#[test]
fn a_good_file_with_one_character_changed_does_no_harm() {
    let good = include_str!("good.ron");
    for (at, _) in good.char_indices() {
        for other in ["(", "}", "\"", "é"] {
            let mut text = good.to_owned();
            text.replace_range(
                at..at + good[at..].chars().next().map_or(0, char::len_utf8),
                other,
            );
            let source = Source::new("t.ron", text);
            match topology(&source) {
                Ok(model) => drop(crate::check(&model).render(&source)),
                Err(problems) => assert!(!problems.render(&source).is_empty()),
            }
        }
    }
}
