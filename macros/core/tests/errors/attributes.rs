//! Arguments of `#[stage]`, `#[source]` and `#[sink]`.

use super::check;

#[test]
fn options_are_named_once_and_with_a_value() {
    check(
        "#[stage(wrokers = 2)] fn f(x: u8) -> u8 { x }",
        &[r#"`#[stage]` has no option `wrokers`
help: did you mean `workers`?"#],
    );
    check(
        "#[stage(banana = 2)] fn f(x: u8) -> u8 { x }",
        &[r#"`#[stage]` has no option `banana`
help: its options: `from`, `key`, `per_worker`, `state`, `order`, `on_error`, `on_panic`, `priority`, `workers`, `cores`, `wait`, `realtime`, `batch`, `linger`, `budget`, `queue`, `overflow`, `shed`, `in_flight`, `timeout`, `rate`, `retry`, `breaker`, `prefetch`, `simd`"#],
    );
    check(
        "#[stage(batch = 2, batch = 3)] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` is given twice
help: keep one"#],
    );
    check(
        "#[stage(batch)] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` is a whole number, not a key without a value
help: write a whole number like 64, or "64Ki""#],
    );
    check(
        "#[stage(batch =)] fn f(x: u8) -> u8 { x }",
        &["`batch` needs a value after `=`"],
    );
    check(
        r#"#[stage(batch = 2 linger = "5us")] fn f(x: u8) -> u8 { x }"#,
        &["expected `,`, found `linger`"],
    );
    check(
        "#[stage(= 2)] fn f(x: u8) -> u8 { x }",
        &["expected an option like `batch = 64`, found `=`"],
    );
    check(
        r#"#[stage(run = "decode")] fn f(x: u8) -> u8 { x }"#,
        &[
            r#"`run` is for RON, where a stage can be named differently from its function
help: take it away; a stage is called like its function"#,
        ],
    );
}

#[test]
fn from_names_outputs_by_path() {
    check(
        "#[source(from = a)] fn f() -> impl Iterator<Item = u8> { 0..9 }",
        &[r#"`f` is a source, so it reads nothing
help: remove `from`, or make it a `#[stage]`"#],
    );
    check(
        r#"#[stage(from = "decode")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`from` is a path here, not a string
help: write `from = decode`"#],
    );
    check(
        "#[stage(from)] fn f(x: u8) -> u8 { x }",
        &[r#"`from` needs the stage that it reads
help: write `from = stage`"#],
    );
    check(
        "#[stage(from = [])] fn f(x: u8) -> u8 { x }",
        &[r#"`from` names no stage
help: write `from = stage`, or `from = input` for items that the handle sends"#],
    );
    check(
        "#[stage(from = a::b::c)] fn f(x: u8) -> u8 { x }",
        &[r#"an output is a stage, or a stage and one door
help: write `from = stage` or `from = stage::Door`; a stage of another module is brought in by `use`"#],
    );
    check(
        "#[stage(from = a + b)] fn f(x: u8) -> u8 { x }",
        &[r#"`from` names a stage, and this is another expression
help: write `from = stage`, `from = stage::Door` or `from = [a, b]`"#],
    );
    check(
        "#[stage(from = a::<u8>)] fn f(x: u8) -> u8 { x }",
        &[r#"an output is a stage, or a stage and one door
help: write `from = stage` or `from = stage::Door`; a stage of another module is brought in by `use`"#],
    );
}

#[test]
fn values_have_a_type_a_unit_and_bounds() {
    check(
        "#[stage(batch = 0)] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` must be at least 1
help: write 1 or more"#],
    );
    check(
        "#[stage(batch = -1)] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` must be at least 1
help: write 1 or more"#],
    );
    check(
        "#[stage(batch = 99999999999)] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` must be at most "1Mi"
help: write "1Mi" or less"#],
    );
    check(
        "#[stage(batch = 999999999999999999999999999999999999999999)] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` must be at most "1Mi"
help: write "1Mi" or less"#],
    );
    check(
        r#"#[stage(batch = "64Ki")] fn f(x: u8) -> u8 { x }"#,
        &[
            r#"`batch` of `f` needs a source or a function that takes many items at a time
help: take `&mut Batch<T>`, `&mut [T]` or `&[T]`, or remove it"#,
        ],
    );
    check(
        r#"#[stage(batch = "64Kx")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`"64Kx"` has no suffix of a count
help: the suffixes are Ki (1024), Mi and Gi"#],
    );
    check(
        "#[stage(batch = 1.5)] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` is a whole number, not `1.5`
help: write a whole number like 64, or "64Ki""#],
    );
    check(
        "#[stage(batch = 'x')] fn f(x: u8) -> u8 { x }",
        &[r#"`batch` is a whole number, not a character
help: write a whole number like 64, or "64Ki""#],
    );
    check(
        "#[stage(linger = 50)] fn f(x: u8) -> u8 { x }",
        &[r#"`linger` is a time like "50us", not `50`
help: write "50us" or "50ms""#],
    );
    check(
        r#"#[stage(linger = "50")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`linger` is a time like "50us", not "50"
help: write "50us" or "50ms""#],
    );
    check(
        r#"#[stage(linger = "50u")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`"50u"` has no unit of time
help: the units are ns, us, ms, s, min"#],
    );
    check(
        r#"#[stage(linger = "0us")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`linger` must be at least "1ns"
help: write "1ns" or more"#],
    );
    check(
        r#"#[stage(cores = "4-")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`"4-"` is not a core list
help: write "4-7,12""#],
    );
    check(
        "#[stage(cores = 4)] fn f(x: u8) -> u8 { x }",
        &[r#"`cores` is a core list like "4-7,12", not `4`
help: write "4""#],
    );
    check(
        "#[stage(priority = hihg)] fn f(x: u8) -> u8 { x }",
        &[r#"`hihg` is not a value of `priority`
help: did you mean `high`?"#],
    );
    check(
        r#"#[stage(priority = "high")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`priority` is a word, not `"high"`
help: write high without quotes"#],
    );
    check(
        "#[stage(order = kep)] fn f(x: u8) -> u8 { x }",
        &[r#"`kep` is not a value of `order`
help: did you mean `keep`?"#],
    );
    check(
        "#[stage(on_error = retry)] fn f(x: u8) -> u8 { x }",
        &[r#"`retry` is not a value of `on_error`
help: its values: `stop`, `drop`"#],
    );
    check(
        "#[stage(retry(max = 0))] fn f(x: u8) -> u8 { x }",
        &[r#"`max` must be at least 1
help: write 1 or more"#],
    );
    check(
        "#[stage(retry(mx = 3, max = 2, max = 4))] fn f(x: u8) -> u8 { x }",
        &[
            r#"`max` is given twice
help: keep one"#,
            r#"`retry` has no field `mx`
help: did you mean `max`?"#,
        ],
    );
    check(
        "#[stage(retry = 3)] fn f(x: u8) -> u8 { x }",
        &[r#"`retry` is a group of fields in parentheses, not `3`
help: its fields are max, backoff, max_backoff, jitter_pct"#],
    );
    check(
        "#[stage(overflow = drop)] fn f(x: u8) -> u8 { x }",
        &[r#"`drop` is not a value of `overflow`
help: its values: `block`, `reject`, `drop_newest`, `drop_oldest`, `shed_lowest`"#],
    );
}

#[test]
fn keys_about_state_need_a_state_and_code() {
    check(
        "#[stage(per_worker = true)] fn f(x: u8, s: &mut u8) -> u8 { x }",
        &[r#"`per_worker` is a flag, not `true`
help: write `per_worker` alone"#],
    );
    check(
        r#"#[stage(key = "sender")] fn f(x: u8, s: &mut u8) -> u8 { x }"#,
        &[r#"`key` is code, not `"sender"`
help: write a path, like `Book::load`"#],
    );
    check(
        "#[stage(key)] fn f(x: u8, s: &mut u8) -> u8 { x }",
        &[r#"`key` is code, not a key without a value
help: write a path, like `Book::load`"#],
    );
    check(
        "#[stage(key = Tx::sender)] fn f(x: u8) -> u8 { x }",
        &[r#"`key` of `f` needs a `&mut S` parameter
help: add a `&mut S` parameter, or remove it"#],
    );
    check(
        "#[stage(state = load)] fn f(x: u8) -> u8 { x }",
        &[r#"`state` of `f` needs a `&mut S` parameter
help: add a `&mut S` parameter, or remove it"#],
    );
    check(
        "#[stage(per_worker)] fn f(x: u8) -> u8 { x }",
        &[r#"`per_worker` of `f` needs a `&mut S` parameter
help: add a `&mut S` parameter, or remove it"#],
    );
    check(
        "#[stage(key = f, per_worker)] fn f(x: u8, s: &mut u8) -> u8 { x }",
        &[r#"`key` and `per_worker` exclude each other
help: keep `key` for one state for each key, or `per_worker` for one for each worker"#],
    );
}

#[test]
fn an_option_stands_where_it_has_an_effect() {
    check(
        r#"#[stage(idle = "5us")] fn f(x: u8) -> u8 { x }"#,
        &[r#"`idle` is for sources, and `f` is a stage
help: remove it"#],
    );
    check(
        r#"#[source(idle = "5us")] fn f() -> impl Iterator<Item = u8> { 0..9 }"#,
        &[r#"`idle` of `f` needs a source that returns `Flow`
help: return `Flow`, or remove it"#],
    );
    check(
        r#"#[stage(linger = "5us")] fn f(x: u8) -> u8 { x }"#,
        &[
            r#"`linger` of `f` needs a function that takes many items at a time, or a `key`
help: take `&mut Batch<T>`, `&mut [T]` or `&[T]`, or remove it"#,
        ],
    );
    check(
        "#[stage(on_error = drop)] fn f(x: u8) -> u8 { x }",
        &[r#"`f` cannot fail, so `on_error` has no effect
help: remove it, or let the function return a `Result`"#],
    );
}
