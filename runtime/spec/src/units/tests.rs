//! Tests of times, counts and rates: what is read, how it is shown, and what is refused with which help.

use super::*;

#[test]
fn times_are_read_and_shown_in_their_largest_unit() {
    #[track_caller]
    fn check(text: &str, ns: u64, shown: &str) {
        let time = Duration::parse(text).expect("a time");
        assert_eq!((time.ns(), time.to_string().as_str()), (ns, shown));
    }
    check("0ns", 0, "0ns");
    check("1ns", 1, "1ns");
    check("150us", 150_000, "150us");
    check("1500us", 1_500_000, "1500us");
    check("2000us", 2_000_000, "2ms");
    check("60s", 60_000_000_000, "1min");
    check("90s", 90_000_000_000, "90s");
    check("007ms", 7_000_000, "7ms");
    check("18446744073709551615ns", u64::MAX, "18446744073709551615ns");
    assert_eq!(
        Duration::from_ns(1_500).to_std(),
        std::time::Duration::from_nanos(1_500)
    );
}

#[test]
fn what_is_not_a_time_is_refused_with_what_to_write() {
    #[track_caller]
    fn check(text: &str, message: &str, help: &str) {
        let error = Duration::parse(text).expect_err("not a time");
        assert_eq!(
            (error.to_string().as_str(), error.help().as_str()),
            (message, help)
        );
    }
    let units = "the units are ns, us, ms, s, min";
    check(
        "",
        "`\"\"` is not a time",
        "write a whole number and a unit, like \"50us\"",
    );
    check(
        "us",
        "`\"us\"` is not a time",
        "write a whole number and a unit, like \"50us\"",
    );
    check(
        "-5us",
        "`\"-5us\"` is not a time",
        "write a whole number and a unit, like \"50us\"",
    );
    check(
        "50",
        "a time has a unit, and `\"50\"` has none",
        "write \"50us\" or \"50ms\"",
    );
    check("50u", "`\"50u\"` has no unit of time", units);
    check("5h", "`\"5h\"` has no unit of time", units);
    check("5us5", "`\"5us5\"` has no unit of time", units);
    check(
        "5µs",
        "`\"5µs\"` is spelled in another way here",
        "write \"5us\"",
    );
    check(
        "5 us",
        "`\"5 us\"` is spelled in another way here",
        "write \"5us\"",
    );
    check(
        "5sec",
        "`\"5sec\"` is spelled in another way here",
        "write \"5s\"",
    );
    check(
        "5m",
        "`\"5m\"` is spelled in another way here",
        "write \"5min\"",
    );
    let smaller = "use the next smaller unit, like \"1500us\" for one and a half ms";
    check("1.5ms", "`\"1.5ms\"` is a fraction", smaller);
    check(
        "18446744073709551616ns",
        "`\"18446744073709551616ns\"` is too big",
        "write a smaller number",
    );
    check(
        "18446744073709551615us",
        "`\"18446744073709551615us\"` is too big",
        "write a smaller number",
    );
}

#[test]
fn counts_are_read_with_binary_suffixes() {
    assert_eq!(parse_count("64Ki"), Ok(64 << 10));
    assert_eq!(parse_count("1Mi"), Ok(1 << 20));
    assert_eq!(parse_count("0Gi"), Ok(0));
    assert_eq!(
        [show_count(64 << 10), show_count(1000), show_count(0)],
        ["\"64Ki\"", "1000", "0"]
    );
}

#[test]
fn what_is_not_a_count_is_refused_with_what_to_write() {
    #[track_caller]
    fn check(text: &str, message: &str, help: &str) {
        let error = parse_count(text).expect_err("not a count");
        assert_eq!(
            (error.to_string().as_str(), error.help().as_str()),
            (message, help)
        );
    }
    check(
        "",
        "`\"\"` is not a count",
        "write a whole number like 64, or \"64Ki\"",
    );
    check(
        "many",
        "`\"many\"` is not a count",
        "write a whole number like 64, or \"64Ki\"",
    );
    check(
        "64",
        "`\"64\"` is a number in quotes",
        "write 64 without quotes, or \"64Ki\"",
    );
    check(
        "64k",
        "`\"64k\"` is spelled in another way here",
        "write \"64Ki\"",
    );
    check(
        "64MiB",
        "`\"64MiB\"` is spelled in another way here",
        "write \"64Mi\"",
    );
    check(
        "1g",
        "`\"1g\"` is spelled in another way here",
        "write \"1Gi\"",
    );
    check(
        "64Ti",
        "`\"64Ti\"` has no suffix of a count",
        "the suffixes are Ki (1024), Mi and Gi",
    );
    check(
        "99999999999Gi",
        "`\"99999999999Gi\"` is too big",
        "write a smaller number",
    );
    check(
        "99999999999999999999Ki",
        "`\"99999999999999999999Ki\"` is too big",
        "write a smaller number",
    );
}

#[test]
fn rates_are_read_and_shown() {
    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(
            Rate::parse(text)
                .ok()
                .map(|rate| rate.to_string())
                .as_deref(),
            expect,
            "{text}"
        );
    }
    check("500/s", Some("500/s"));
    check("10k/s", Some("10000/s"));
    check("2M/min", Some("2000000/min"));
    check("1/us", Some("1/us"));
    check("1/ns", None);
    check("0/s", None);
    check("/s", None);
    check("k/s", None);
    check("10", None);
    check("10/day", None);
    check("10/s/s", None);
    check("99999999999999999999/s", None);
    check("99999999999999999M/s", None);
}

#[test]
fn hostile_texts_are_cut_and_shown_harmlessly() {
    assert_eq!(short(&"x".repeat(1 << 20)).len(), 43);
    assert_eq!(
        short("a\u{0}b\n\u{202e}c\u{200b}"),
        "a\\u{0}b\\u{a}\\u{202e}c\\u{200b}"
    );
}
