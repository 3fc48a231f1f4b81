//! Tests of the table and of the check of values.

use super::*;

type Raw = RawValue<&'static str>;

fn text(text: &str) -> Raw {
    RawValue::Str(text.into())
}

fn word(word: &str) -> Raw {
    RawValue::Ident(word.into())
}

fn field(name: &str, value: Raw) -> RawField<&'static str> {
    RawField { name: name.into(), key: "field", value, place: "field value" }
}

/// A value that every key of this type takes.
fn good(value: ValueType) -> Raw {
    match value {
        ValueType::Count { min, .. } => RawValue::Int(min.into()),
        ValueType::CountOrCode { .. } | ValueType::Code => RawValue::Code,
        ValueType::Time { .. } | ValueType::TimeOrCount { .. } => text("20ms"),
        ValueType::Size { .. } => text("64Mi"),
        ValueType::Rate => text("10k/s"),
        ValueType::Cores => text("0-3"),
        ValueType::Word(words) => word(words[0]),
        ValueType::Words(words) => RawValue::List(vec![(word(words[0]), "item")]),
        ValueType::Bool | ValueType::Flag => RawValue::Flag,
        ValueType::Group(fields) => RawValue::Group(fields.iter().map(|f| field(f.name, good(f.value))).collect()),
        ValueType::Doors | ValueType::Function => unreachable!("the front doors store these themselves"),
    }
}

#[test]
fn every_key_of_the_table_can_be_given_once_and_is_found_again() {
    let mut options = StageOptions::default();
    for info in STAGE_KEYS.iter().filter(|info| !matches!(info.key, Key::From | Key::Run)) {
        options.set(info, good(info.value), info.name, "value").expect("a good value");
        assert_eq!(options.given(info.key), Some(&info.name));
        let problems = options.set(info, good(info.value), "again", "value").expect_err("given twice");
        assert_eq!(problems.iter().map(|p| (p.code, p.place)).collect::<Vec<_>>(), [("E_DUPLICATE_KEY", "again")]);
    }
    assert_eq!(options.all_given().count(), STAGE_KEYS.len() - 2);
    let mapped = options.map_place(&mut str::len);
    assert_eq!(mapped.all_given().count(), STAGE_KEYS.len() - 2);
    assert_eq!(mapped.given(Key::Retry), Some(&"retry".len()));
}

#[test]
fn every_key_of_a_pipeline_can_be_given_once_and_is_found_again() {
    let mut options = PipelineOptions::default();
    for info in PIPELINE_KEYS.iter().filter(|info| info.key != Key::Reply) {
        options.set(info, good(info.value), info.name, "value").expect("a good value");
        assert_eq!(options.given(info.key), Some(&info.name));
        assert!(options.set(info, good(info.value), "again", "value").is_err());
    }
    let pool = &options.pool;
    assert!(pool.workers.is_some() && pool.cores.is_some() && pool.smt.is_some() && pool.numa.is_some());
    let mapped = options.map_place(&mut str::len);
    assert_eq!(mapped.given(Key::Pool), Some(&"pool".len()));
}

#[test]
fn names_are_unique_and_documented() {
    for keys in [STAGE_KEYS, PIPELINE_KEYS] {
        for (n, info) in keys.iter().enumerate() {
            assert!(keys[..n].iter().all(|other| other.name != info.name), "{}", info.name);
            assert!(info.doc.ends_with('.') && !info.default.is_empty(), "{}", info.name);
            assert_eq!(super::info(info.key), info);
        }
    }
    assert_eq!(find("batch").map(|info| info.key), Some(Key::Batch));
    assert_eq!(find_pipeline("batch"), None);
    assert_eq!(find("pool"), None);
}

#[test]
fn values_become_typed() {
    let mut options = StageOptions::default();
    let mut set = |key: Key, value: Raw| options.set(info(key), value, "key", "value").expect("a good value");
    set(Key::Batch, RawValue::Int(64));
    set(Key::Queue, text("4Ki"));
    set(Key::Linger, text("150us"));
    set(Key::Priority, word("high"));
    set(Key::Cores, text("4-7,12"));
    set(Key::Simd, word("avx2"));
    set(Key::Prefetch, RawValue::Int(8));
    set(Key::Breaker, RawValue::Group(vec![field("window", RawValue::Int(100)), field("slow", text("2ms"))]));
    assert_eq!(options.batch, Some(Given { value: 64, key: "key", place: "value" }));
    assert_eq!(options.queue.map(|queue| queue.value), Some(4096));
    assert_eq!(options.linger.map(|linger| linger.value.ns()), Some(150_000));
    assert_eq!(options.priority.map(|priority| priority.value), Some(Priority::High));
    assert_eq!(options.cores.map(|cores| cores.value.len()), Some(5));
    assert_eq!(options.simd.map(|simd| simd.value), Some(vec!["avx2"]));
    assert_eq!(options.prefetch.map(|prefetch| prefetch.value), Some(Some(8)));
    let breaker = options.breaker.expect("given").value;
    assert_eq!(breaker.find("window").map(|field| &field.value), Some(&Value::Count(100)));
    assert_eq!(breaker.find("slow").map(|field| &field.value), Some(&Value::Time(Duration::from_ns(2_000_000))));
}

#[test]
fn wrong_values_are_refused_with_what_to_write() {
    #[track_caller]
    fn check(key: Key, value: Raw, code: &str, message: &str, help: &str) {
        let problems = StageOptions::default().set(info(key), value, "key", "value").expect_err("a wrong value");
        let problem = problems.iter().next().expect("a problem");
        assert_eq!((problem.code, problem.message.as_str()), (code, message));
        assert_eq!(problem.help, [help]);
        assert_eq!((problems.len(), problem.place), (1, "value"));
    }
    let (int, number) = (Raw::Int, "write a whole number like 64, or \"64Ki\"");
    check(Key::Batch, int(0), "E_RANGE", "`batch` must be at least 1", "write 1 or more");
    check(Key::Batch, int(-1), "E_RANGE", "`batch` must be at least 1", "write 1 or more");
    check(Key::Batch, int(i128::MAX), "E_RANGE", "`batch` must be at most \"1Mi\"", "write \"1Mi\" or less");
    check(Key::Batch, int(i128::MIN), "E_RANGE", "`batch` must be at least 1", "write 1 or more");
    check(Key::Batch, text("2Mi"), "E_RANGE", "`batch` must be at most \"1Mi\"", "write \"1Mi\" or less");
    check(Key::Batch, text("0Ki"), "E_RANGE", "`batch` must be at least 1", "write 1 or more");
    check(Key::Batch, Raw::Float(64.0), "E_TYPE", "`batch` is a whole number, not `64.0`", "write 64");
    check(Key::Batch, Raw::Float(1.5), "E_TYPE", "`batch` is a whole number, not `1.5`", number);
    check(Key::Batch, Raw::Float(1e300), "E_RANGE", "`batch` must be at most \"1Mi\"", "write \"1Mi\" or less");
    check(Key::Batch, Raw::Float(f64::NAN), "E_TYPE", "`batch` is a whole number, not `NaN`", number);
    check(Key::Batch, Raw::Flag, "E_TYPE", "`batch` is a whole number, not a key without a value", number);
    check(Key::Batch, Raw::Code, "E_TYPE", "`batch` is a whole number, not an expression", number);
    check(Key::Batch, text("64"), "E_UNIT", "`\"64\"` is a number in quotes", "write 64 without quotes, or \"64Ki\"");
    check(Key::Workers, int(1025), "E_RANGE", "`workers` must be at most \"1Ki\"", "write \"1Ki\" or less");

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
    check(Key::Linger, text("50u"), "E_UNIT", "`\"50u\"` has no unit of time", "the units are ns, us, ms, s, min");
    check(Key::Linger, text("0us"), "E_RANGE", "`linger` must be at least \"1ns\"", "write \"1ns\" or more");
    check(Key::Linger, text("61min"), "E_RANGE", "`linger` must be at most \"60min\"", "write \"60min\" or less");
    let time = "write a whole number and a unit, like \"50us\"";
    check(Key::Linger, int(-1), "E_TYPE", "`linger` is a time like \"50us\", not `-1`", time);
    check(Key::Linger, Raw::Bool(true), "E_TYPE", "`linger` is a time like \"50us\", not `true`", time);

    check(Key::Cores, text("4-"), "E_CORES", "`\"4-\"` is not a core list", "write \"4-7,12\"");
    check(Key::Cores, int(4), "E_TYPE", "`cores` is a core list like \"4-7,12\", not `4`", "write \"4\"");
    check(Key::Rate, int(4), "E_TYPE", "`rate` is a rate like \"10k/s\", not `4`", RATE);
    check(Key::Rate, text("4"), "E_UNIT", "`\"4\"` is not a rate", "write a number for each unit of time, like \"500/s\" or \"10k/s\"");

    check(Key::Priority, word("hihg"), "E_UNKNOWN_WORD", "`hihg` is not a value of `priority`", "did you mean `high`?");
    check(
        Key::Priority,
        word("urgent"),
        "E_UNKNOWN_WORD",
        "`urgent` is not a value of `priority`",
        "its values: `critical`, `high`, `normal`, `low`",
    );
    check(Key::Priority, text("high"), "E_TYPE", "`priority` is a word, not `\"high\"`", "write high without quotes");
    check(Key::Order, int(1), "E_TYPE", "`order` is a word, not `1`", "write one of keep, any");
    check(Key::Simd, text("avx9"), "E_TYPE", "`simd` is a word, not `\"avx9\"`", "write one of sse4_2, avx2, avx512, neon, sve");
    check(Key::PerWorker, int(1), "E_TYPE", "`per_worker` is a flag, not `1`", "write `per_worker` alone");
    check(Key::Key, int(1), "E_TYPE", "`key` is code, not `1`", "write a path, like `Book::load`");
    check(
        Key::Retry,
        int(3),
        "E_TYPE",
        "`retry` is a group of fields in parentheses, not `3`",
        "its fields are max, backoff, max_backoff, jitter_pct",
    );
    check(Key::From, word("a"), "E_TYPE", "`from` is a stage, not `a`", "write the name of a stage");
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
    let problems = StageOptions::default().set(info(Key::Retry), group, "key", "value").expect_err("wrong fields");
    let shown: Vec<_> = problems.iter().map(|p| (p.code, p.place, p.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("E_RANGE", "field value", "`max` must be at least 1"),
            ("E_UNKNOWN_KEY", "field", "`retry` has no field `backof`"),
            ("E_TYPE", "field value", "`backoff` is a time like \"50us\", not `10`"),
            ("E_DUPLICATE_KEY", "field", "`jitter_pct` is given twice"),
        ]
    );
}

#[test]
fn words_know_their_names() {
    for name in Overflow::NAMES {
        assert_eq!(Overflow::from_name(name).map(|word| word.to_string()).as_deref(), Some(*name));
    }
    assert_eq!(Overflow::from_name("Block"), None);
    assert_eq!(OnPanic::Isolate.name(), "isolate");
}
