//! Numbers as people read them: three digits and a unit.

/// A time, such as `21 ns`, `9.81 us` or `2.1 s`.
///
/// ```
/// use pipewright_draw::format::nanoseconds;
/// assert_eq!(nanoseconds(9_812.0), "9.81 us");
/// assert_eq!(nanoseconds(0.4), "0.4 ns");
/// ```
pub fn nanoseconds(ns: f64) -> String {
    scaled(ns, &[(1e9, " s"), (1e6, " ms"), (1e3, " us"), (1.0, " ns")])
}

/// Bytes in powers of 1024, such as `64 KiB`.
///
/// ```
/// assert_eq!(pipewright_draw::format::bytes(65_536.0), "64 KiB");
/// ```
pub fn bytes(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    scaled(
        bytes,
        &[
            (KIB * KIB * KIB * KIB, " TiB"),
            (KIB * KIB * KIB, " GiB"),
            (KIB * KIB, " MiB"),
            (KIB, " KiB"),
            (1.0, " B"),
        ],
    )
}

/// A number of things, such as `12.5 k` or `3 M`.
///
/// ```
/// assert_eq!(pipewright_draw::format::count(12_500.0), "12.5 k");
/// ```
pub fn count(count: f64) -> String {
    scaled(count, &[(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")])
}

/// A part of a whole as per cent: `0.031` is `3.1 %`.
///
/// ```
/// assert_eq!(pipewright_draw::format::percent(0.031), "3.1 %");
/// ```
pub fn percent(part: f64) -> String {
    if !part.is_finite() {
        return "n/a".into();
    }
    format!("{} %", digits(part * 100.0))
}

/// A change as per cent with its sign: `1.021` times as much is `+2.1 %`.
///
/// ```
/// assert_eq!(pipewright_draw::format::change(1.021), "+2.1 %");
/// assert_eq!(pipewright_draw::format::change(1.0), "0 %");
/// ```
pub fn change(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "n/a".into();
    }
    let percent = digits((ratio - 1.0) * 100.0);
    let sign = if percent.starts_with('-') || percent == "0" {
        ""
    } else {
        "+"
    };
    format!("{sign}{percent} %")
}

/// A number with three digits that count, without zeros behind its point.
///
/// ```
/// use pipewright_draw::format::digits;
/// assert_eq!([digits(3.14159), digits(0.0125), digits(1234.6)], ["3.14", "0.0125", "1235"]);
/// ```
pub fn digits(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return if number == 0.0 {
            "0".into()
        } else {
            "n/a".into()
        };
    }
    // `log10` of the largest float is 308, so the cast is exact.
    let places = (2 - number.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{number:.places$}");
    if !text.contains('.') {
        return if text == "-0" { "0".into() } else { text };
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "-0" | "") {
        "0".into()
    } else {
        text.into()
    }
}

/// The number in the largest unit of which there is at least one; `units` begin with the largest.
fn scaled(number: f64, units: &[(f64, &str)]) -> String {
    if !number.is_finite() {
        return "n/a".into();
    }
    // 999.7 would be written as `1000`: what is rounded up to the next unit is written in it.
    let fits = |&&(size, _): &&(f64, &str)| number.abs() >= size * 0.9995;
    let last = units.last().copied().unwrap_or((1.0, ""));
    let (size, unit) = units.iter().find(fits).copied().unwrap_or(last);
    format!("{}{unit}", digits(number / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (ns, expect) in [
            (0.0, "0 ns"),
            (0.3333, "0.333 ns"),
            (21.0, "21 ns"),
            (999.7, "1 us"),
            (9_812.0, "9.81 us"),
            (84_000.0, "84 us"),
            (2.1e6, "2.1 ms"),
            (123.4e6, "123 ms"),
            (7.25e9, "7.25 s"),
            (-1_500.0, "-1.5 us"),
            (f64::NAN, "n/a"),
            (f64::INFINITY, "n/a"),
        ] {
            assert_eq!(nanoseconds(ns), expect, "{ns}");
        }
    }

    #[test]
    fn small_changes_round_to_no_change() {
        for (ratio, expect) in [
            (1.0, "0 %"),
            (0.9, "-10 %"),
            (1.1, "+10 %"),
            (1.000_4, "+0.04 %"),
            (2.0, "+100 %"),
        ] {
            assert_eq!(change(ratio), expect, "{ratio}");
        }
    }

    #[test]
    fn numbers_of_things_have_a_letter() {
        for (number, expect) in [
            (0.0, "0"),
            (7.0, "7"),
            (1_000.0, "1 k"),
            (12_500.0, "12.5 k"),
            (3e6, "3 M"),
            (0.25, "0.25"),
        ] {
            assert_eq!(count(number), expect, "{number}");
        }
    }
}
