//! Tests of values that are refused, each with its code, its sentence and what to write.

use super::*;

#[test]
fn wrong_values_are_refused_with_what_to_write() {
    #[track_caller]
    fn check(key: Key, value: Raw, code: &str, message: &str, help: &str) {
        let problems = StageOptions::default()
            .set(info(key), value, "key", "value")
            .expect_err("a wrong value");
        let problem = problems.iter().next().expect("a problem");
        assert_eq!((problem.code, problem.message.as_str()), (code, message));
        assert_eq!(problem.help, [help]);
        assert_eq!((problems.len(), problem.place), (1, "value"));
    }
    let (int, number) = (Raw::Int, "write a whole number like 64, or \"64Ki\"");
    check(
        Key::Batch,
        int(0),
        "E_RANGE",
        "`batch` must be at least 1",
        "write 1 or more",
    );
    check(
        Key::Batch,
        int(-1),
        "E_RANGE",
        "`batch` must be at least 1",
        "write 1 or more",
    );
    check(
        Key::Batch,
        int(i128::MAX),
        "E_RANGE",
        "`batch` must be at most \"1Mi\"",
        "write \"1Mi\" or less",
    );
    check(
        Key::Batch,
        int(i128::MIN),
        "E_RANGE",
        "`batch` must be at least 1",
        "write 1 or more",
    );
    check(
        Key::Batch,
        text("2Mi"),
        "E_RANGE",
        "`batch` must be at most \"1Mi\"",
        "write \"1Mi\" or less",
    );
    check(
        Key::Batch,
        text("0Ki"),
        "E_RANGE",
        "`batch` must be at least 1",
        "write 1 or more",
    );
    check(
        Key::Batch,
        Raw::Float(64.0),
        "E_TYPE",
        "`batch` is a whole number, not `64.0`",
        "write 64",
    );
    check(
        Key::Batch,
        Raw::Float(1.5),
        "E_TYPE",
        "`batch` is a whole number, not `1.5`",
        number,
    );
    check(
        Key::Batch,
        Raw::Float(1e300),
        "E_RANGE",
        "`batch` must be at most \"1Mi\"",
        "write \"1Mi\" or less",
    );
    check(
        Key::Batch,
        Raw::Float(f64::NAN),
        "E_TYPE",
        "`batch` is a whole number, not `NaN`",
        number,
    );
    check(
        Key::Batch,
        Raw::Flag,
        "E_TYPE",
        "`batch` is a whole number, not a key without a value",
        number,
    );
    check(
        Key::Batch,
        Raw::Code,
        "E_TYPE",
        "`batch` is a whole number, not an expression",
        number,
    );
    check(
        Key::Batch,
        text("64"),
        "E_UNIT",
        "`\"64\"` is a number in quotes",
        "write 64 without quotes, or \"64Ki\"",
    );
    check(
        Key::Workers,
        int(1025),
        "E_RANGE",
        "`workers` must be at most \"1Ki\"",
        "write \"1Ki\" or less",
    );

    check(
        Key::Linger,
        int(50),
        "E_TYPE",
        "`linger` is a time like \"50us\", not `50`",
        "write \"50us\" or \"50ms\"",
    );
    check(
        Key::Linger,
        text("50"),
        "E_UNIT",
        "`linger` is a time like \"50us\", not \"50\"",
        "write \"50us\" or \"50ms\"",
    );
    check(
        Key::Linger,
        text("50u"),
        "E_UNIT",
        "`\"50u\"` has no unit of time",
        "the units are ns, us, ms, s, min",
    );
    check(
        Key::Linger,
        text("0us"),
        "E_RANGE",
        "`linger` must be at least \"1ns\"",
        "write \"1ns\" or more",
    );
    check(
        Key::Linger,
        text("61min"),
        "E_RANGE",
        "`linger` must be at most \"60min\"",
        "write \"60min\" or less",
    );
    let time = "write a whole number and a unit, like \"50us\"";
    check(
        Key::Linger,
        int(-1),
        "E_TYPE",
        "`linger` is a time like \"50us\", not `-1`",
        time,
    );
    check(
        Key::Linger,
        Raw::Bool(true),
        "E_TYPE",
        "`linger` is a time like \"50us\", not `true`",
        time,
    );

    check(
        Key::Cores,
        text("4-"),
        "E_CORES",
        "`\"4-\"` is not a core list",
        "write \"4-7,12\"",
    );
    check(
        Key::Cores,
        int(4),
        "E_TYPE",
        "`cores` is a core list like \"4-7,12\", not `4`",
        "write \"4\"",
    );
    check(
        Key::Rate,
        int(4),
        "E_TYPE",
        "`rate` is a rate like \"10k/s\", not `4`",
        RATE,
    );
    check(
        Key::Rate,
        text("4"),
        "E_UNIT",
        "`\"4\"` is not a rate",
        "write a number for each unit of time, like \"500/s\" or \"10k/s\"",
    );

    check(
        Key::Priority,
        word("hihg"),
        "E_UNKNOWN_WORD",
        "`hihg` is not a value of `priority`",
        "did you mean `high`?",
    );
    check(
        Key::Priority,
        word("urgent"),
        "E_UNKNOWN_WORD",
        "`urgent` is not a value of `priority`",
        "its values: `critical`, `high`, `normal`, `low`",
    );
    check(
        Key::Priority,
        text("high"),
        "E_TYPE",
        "`priority` is a word, not `\"high\"`",
        "write high without quotes",
    );
    check(
        Key::Order,
        int(1),
        "E_TYPE",
        "`order` is a word, not `1`",
        "write one of keep, any",
    );
    check(
        Key::Simd,
        text("avx9"),
        "E_TYPE",
        "`simd` is a word, not `\"avx9\"`",
        "write one of sse4_2, avx2, avx512, neon",
    );
    check(
        Key::PerWorker,
        int(1),
        "E_TYPE",
        "`per_worker` is a flag, not `1`",
        "write `per_worker` alone",
    );
    check(
        Key::Key,
        int(1),
        "E_TYPE",
        "`key` is code, not `1`",
        "write a path, like `Book::load`",
    );
    check(
        Key::Retry,
        int(3),
        "E_TYPE",
        "`retry` is a group of fields in parentheses, not `3`",
        "its fields are max, backoff, max_backoff, jitter_pct",
    );
    check(
        Key::From,
        word("a"),
        "E_TYPE",
        "`from` is a stage, not `a`",
        "write the name of a stage",
    );
}

const RATE: &str = "write a number for each unit of time, like \"10k/s\"";

#[test]
fn every_field_of_a_group_is_reported() {
    let group = RawValue::Group(vec![
        field("max", RawValue::Int(0)),
        field("backof", text("1ms")),
        field("backoff", RawValue::Int(10)),
        field("jitter_pct", RawValue::Int(20)),
        field("jitter_pct", RawValue::Int(20)),
    ]);
    let problems = StageOptions::default()
        .set(info(Key::Retry), group, "key", "value")
        .expect_err("wrong fields");
    let shown: Vec<_> = problems
        .iter()
        .map(|p| (p.code, p.place, p.message.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("E_RANGE", "field value", "`max` must be at least 1"),
            ("E_UNKNOWN_KEY", "field", "`retry` has no field `backof`"),
            (
                "E_TYPE",
                "field value",
                "`backoff` is a time like \"50us\", not `10`"
            ),
            ("E_DUPLICATE_KEY", "field", "`jitter_pct` is given twice"),
        ]
    );
}
