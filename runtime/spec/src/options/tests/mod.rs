//! Tests of the table and of the check of values.

mod wrong;

use super::*;

type Raw = RawValue<&'static str>;

fn text(text: &str) -> Raw {
    RawValue::Str(text.into())
}

fn word(word: &str) -> Raw {
    RawValue::Ident(word.into())
}

fn field(name: &str, value: Raw) -> RawField<&'static str> {
    RawField {
        name: name.into(),
        key: "field",
        value,
        place: "field value",
    }
}

/// A value that every key of this type takes.
fn good(value: ValueType) -> Raw {
    match value {
        ValueType::Count { min, .. } => RawValue::Int(min.into()),
        ValueType::CountOrCode { .. } | ValueType::Code => RawValue::Code,
        ValueType::Time { .. } | ValueType::TimeOrWord { .. } | ValueType::TimeOrCount { .. } => {
            text("20ms")
        }
        ValueType::Size { .. } => text("64Mi"),
        ValueType::Rate => text("10k/s"),
        ValueType::Cores => text("0-3"),
        ValueType::Word(words) => word(words[0]),
        ValueType::Words(words) => RawValue::List(vec![(word(words[0]), "item")]),
        ValueType::Bool | ValueType::Flag => RawValue::Flag,
        ValueType::Group(fields) => RawValue::Group(
            fields
                .iter()
                .map(|f| field(f.name, good(f.value)))
                .collect(),
        ),
        ValueType::Function => word("cached"),
        ValueType::Doors | ValueType::Stage => {
            unreachable!("the front doors store these themselves")
        }
    }
}

#[test]
fn every_key_of_the_table_can_be_given_once_and_is_found_again() {
    let mut options = StageOptions::default();
    for info in STAGE_KEYS
        .iter()
        .filter(|info| !matches!(info.key, Key::From | Key::Run))
    {
        options
            .set(info, good(info.value), info.name, "value")
            .expect("a good value");
        assert_eq!(options.given(info.key), Some(&info.name));
        let problems = options
            .set(info, good(info.value), "again", "value")
            .expect_err("given twice");
        assert_eq!(
            problems
                .iter()
                .map(|p| (p.code, p.place))
                .collect::<Vec<_>>(),
            [("E_DUPLICATE_KEY", "again")]
        );
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
        options
            .set(info, good(info.value), info.name, "value")
            .expect("a good value");
        assert_eq!(options.given(info.key), Some(&info.name));
        assert!(
            options
                .set(info, good(info.value), "again", "value")
                .is_err()
        );
    }
    let pool = &options.pool;
    assert!(
        pool.workers.is_some() && pool.cores.is_some() && pool.smt.is_some() && pool.numa.is_some()
    );
    assert!(options.hw.enforce.is_some());
    let mapped = options.map_place(&mut str::len);
    assert_eq!(mapped.given(Key::Pool), Some(&"pool".len()));
    assert_eq!(mapped.given(Key::Hw), Some(&"hw".len()));
}

#[test]
fn names_are_unique_and_documented() {
    for keys in [STAGE_KEYS, PIPELINE_KEYS] {
        for (n, info) in keys.iter().enumerate() {
            assert!(
                keys[..n].iter().all(|other| other.name != info.name),
                "{}",
                info.name
            );
            assert!(
                info.doc.ends_with('.') && !info.default.is_empty(),
                "{}",
                info.name
            );
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
    let mut set = |key: Key, value: Raw| {
        options
            .set(info(key), value, "key", "value")
            .expect("a good value")
    };
    set(Key::Batch, RawValue::Int(64));
    set(Key::Queue, text("4Ki"));
    set(Key::Linger, text("150us"));
    set(Key::Priority, word("high"));
    set(Key::Cores, text("4-7,12"));
    set(Key::Simd, word("avx2"));
    set(Key::Prefetch, RawValue::Int(8));
    set(
        Key::Breaker,
        RawValue::Group(vec![
            field("window", RawValue::Int(100)),
            field("slow", text("2ms")),
        ]),
    );
    assert_eq!(
        options.batch,
        Some(Given {
            value: 64,
            key: "key",
            place: "value"
        })
    );
    assert_eq!(options.queue.map(|queue| queue.value), Some(4096));
    assert_eq!(
        options.linger.map(|linger| linger.value.ns()),
        Some(150_000)
    );
    assert_eq!(
        options.priority.map(|priority| priority.value),
        Some(Priority::High)
    );
    assert_eq!(options.cores.map(|cores| cores.value.len()), Some(5));
    assert_eq!(options.simd.map(|simd| simd.value), Some(vec!["avx2"]));
    assert_eq!(
        options.prefetch.map(|prefetch| prefetch.value),
        Some(Some(8))
    );
    let breaker = options.breaker.expect("given").value;
    assert_eq!(
        breaker.find("window").map(|field| &field.value),
        Some(&Value::Count(100))
    );
    assert_eq!(
        breaker.find("slow").map(|field| &field.value),
        Some(&Value::Time(Duration::from_ns(2_000_000)))
    );
}

#[test]
fn words_know_their_names() {
    for name in Overflow::NAMES {
        assert_eq!(
            Overflow::from_name(name)
                .map(|word| word.to_string())
                .as_deref(),
            Some(*name)
        );
    }
    assert_eq!(Overflow::from_name("Block"), None);
    assert_eq!(OnPanic::Isolate.name(), "isolate");
}
