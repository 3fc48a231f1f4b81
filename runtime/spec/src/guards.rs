//! The numbers of guards that more than one place has to know, and how they have to fit each other.

use crate::info::FieldValue;

/// How long a breaker stays open for the first time, if nothing else is said: 5 s.
pub const OPEN_NS: u64 = 5_000 * MS;
/// The longest that it stays open: 60 s.
pub const OPEN_MAX_NS: u64 = 60_000 * MS;
/// How long a breaker looks back: 10 s.
pub const WINDOW_NS: u64 = 10_000 * MS;
/// The fewest items that it decides on.
pub const MIN_ITEMS: u32 = 100;
/// The shortest window in time: 100 ms.
pub const SHORTEST_WINDOW_NS: u64 = 100 * MS;
/// The smallest window in items.
pub const SMALLEST_WINDOW: u64 = 10;

/// Where calls are slow by what they usually take: so many hundredths of that.
pub const SLOW_FACTOR_X100: u32 = 300;
/// Such a threshold is never lower: 50 us.
pub const SLOW_FLOOR_NS: u64 = 50_000;
/// It is never higher: 1 s.
pub const SLOW_CEIL_NS: u64 = 1_000 * MS;
/// Calls until it is trusted.
pub const SLOW_WARMUP: u32 = 10_000;
/// The fields that only such a threshold has.
pub const SLOW_FIELDS: [&str; 4] = [
    "slow_factor_x100",
    "slow_floor",
    "slow_ceil",
    "slow_warmup_items",
];

const MS: u64 = 1_000_000;

/// The highest threshold of slow calls of a breaker that is open for so long: what was given, or else what leaves room for probes.
pub fn slow_ceil(given: Option<u64>, open: u64) -> u64 {
    given.unwrap_or(SLOW_CEIL_NS.min(open / 2))
}

/// A field that does not fit the others, why, and what to write.
pub type Misfit = (&'static str, &'static str, &'static str);

/// What does not fit in a breaker with the fields that `find` finds.
pub fn breaker_misfit<'v>(find: impl Fn(&str) -> Option<FieldValue<'v>>) -> Option<Misfit> {
    window_misfit(&find)
        .or_else(|| slow_misfit(&find))
        .or_else(|| on_open_misfit(&find))
}

/// The fields of a group.
type Find<'f, 'v> = &'f dyn Fn(&str) -> Option<FieldValue<'v>>;

fn number(find: Find<'_, '_>, name: &str) -> Option<u64> {
    match find(name)? {
        FieldValue::Count(number) | FieldValue::Time(number) => Some(number),
        _ => None,
    }
}

fn first<const N: usize>(rules: [(bool, Misfit); N]) -> Option<Misfit> {
    let (_, misfit) = rules.into_iter().find(|(wrong, _)| *wrong)?;
    Some(misfit)
}

/// How far it looks back, and how long it is open.
fn window_misfit(find: Find<'_, '_>) -> Option<Misfit> {
    let open = number(find, "open").unwrap_or(OPEN_NS);
    let min_items = number(find, "min_items").unwrap_or(MIN_ITEMS.into());
    let window = find("window");
    first([
        (
            matches!(window, Some(FieldValue::Time(window)) if window < SHORTEST_WINDOW_NS),
            (
                "window",
                "it looks back for less than 100 ms",
                "give at least `\"100ms\"`",
            ),
        ),
        (
            matches!(window, Some(FieldValue::Count(window)) if window < SMALLEST_WINDOW),
            (
                "window",
                "it looks back on fewer than 10 items",
                "give at least `10`",
            ),
        ),
        (
            matches!(window, Some(FieldValue::Count(window)) if window < min_items),
            (
                "window",
                "it looks back on fewer items than `min_items`, so that it never decides",
                "give it at least as many, or a smaller `min_items`",
            ),
        ),
        (
            number(find, "open_max").is_some_and(|most| most < open),
            (
                "open_max",
                "it is shorter than `open`",
                "give it at least as long",
            ),
        ),
    ])
}

/// Which calls are slow.
fn slow_misfit(find: Find<'_, '_>) -> Option<Misfit> {
    let open = number(find, "open").unwrap_or(OPEN_NS);
    let follows = matches!(find("slow"), Some(FieldValue::Word("adaptive")));
    let alone = SLOW_FIELDS
        .into_iter()
        .find(|name| !follows && find(name).is_some());
    let (floor, ceil) = (number(find, "slow_floor"), number(find, "slow_ceil"));
    first([
        (
            number(find, "slow").is_some_and(|slow| slow.saturating_mul(2) > open),
            (
                "slow",
                "one slow call takes as long as the breaker is open, so that every call is a probe",
                "let `open` be at least twice as long",
            ),
        ),
        (
            alone.is_some(),
            (
                alone.unwrap_or_default(),
                "the threshold of slow calls does not follow them",
                "remove it, or write `slow = adaptive`",
            ),
        ),
        (
            follows && floor.unwrap_or(0) > slow_ceil(ceil, open),
            (
                "slow_floor",
                "it is above the highest threshold",
                "give less, or a higher `slow_ceil`",
            ),
        ),
        (
            follows && slow_ceil(ceil, open).saturating_mul(2) > open,
            (
                "slow_ceil",
                "one slow call takes as long as the breaker is open, so that every call is a probe",
                "let `open` be at least twice as long",
            ),
        ),
    ])
}

/// What becomes of items meanwhile.
fn on_open_misfit(find: Find<'_, '_>) -> Option<Misfit> {
    let on_open = match find("on_open") {
        Some(FieldValue::Word(word)) => Some(word),
        _ => None,
    };
    let falls_back = find("fallback").is_some();
    let held = matches!(on_open, None | Some("hold")) && !falls_back;
    first([
        (
            number(find, "hold").is_some() && !held,
            (
                "hold",
                "items wait only with `on_open = hold`",
                "remove it, or write `on_open = hold`",
            ),
        ),
        (
            falls_back && !matches!(on_open, None | Some("fallback")),
            (
                "fallback",
                "nothing calls it, because `on_open` says otherwise",
                "remove it, or write `on_open = fallback`",
            ),
        ),
        (
            on_open == Some("fallback") && !falls_back,
            (
                "on_open",
                "there is no function to fall back on",
                "add `fallback = ..` with the name of a function",
            ),
        ),
    ])
}

/// How long a stage waits before it tries for the second time, if nothing else is said: 10 ms.
pub const BACKOFF_NS: u64 = 10 * MS;
/// The longest that it waits: 1 s.
pub const MAX_BACKOFF_NS: u64 = 1_000 * MS;

/// Is the longest pause of a `retry` with the fields that `find` finds shorter than the first?
pub fn retry_misfits<'v>(find: impl Fn(&str) -> Option<FieldValue<'v>>) -> bool {
    let time = |name: &str, default: u64| match find(name) {
        Some(FieldValue::Time(ns)) => ns,
        _ => default,
    };
    time("max_backoff", MAX_BACKOFF_NS) < time("backoff", BACKOFF_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, FieldValue<'static>)], expect: Option<&str>) {
        let find = |name: &str| {
            fields
                .iter()
                .find(|(of, _)| *of == name)
                .map(|(_, value)| *value)
        };
        assert_eq!(
            breaker_misfit(find).map(|(field, ..)| field),
            expect,
            "{fields:?}"
        );
    }

    #[test]
    fn numbers_of_a_breaker_fit_each_other() {
        use FieldValue::{Count, Time, Word};
        let ms = |ms: u64| Time(ms * MS);
        check(&[], None);
        check(&[("window", ms(99))], Some("window"));
        check(
            &[("window", Count(9)), ("min_items", Count(5))],
            Some("window"),
        );
        check(&[("window", Count(99))], Some("window"));
        check(&[("window", Count(99)), ("min_items", Count(99))], None);
        check(&[("open_max", ms(4_999))], Some("open_max"));
        check(&[("open", ms(10)), ("open_max", ms(10))], None);
        check(&[("open", ms(100)), ("slow", ms(51))], Some("slow"));
        check(&[("slow", ms(2_500))], None);
        check(&[("hold", ms(1)), ("on_open", Word("drop"))], Some("hold"));
        check(&[("hold", ms(1)), ("on_open", Word("hold"))], None);
        let follows = ("slow", Word("adaptive"));
        check(&[follows], None);
        check(&[follows, ("open", ms(10))], None);
        check(&[("slow_ceil", ms(10))], Some("slow_ceil"));
        check(&[follows, ("slow_ceil", ms(2_501))], Some("slow_ceil"));
        check(&[follows, ("slow_floor", ms(1_001))], Some("slow_floor"));
        check(
            &[follows, ("slow_floor", ms(2)), ("slow_ceil", ms(1))],
            Some("slow_floor"),
        );
        let function = ("fallback", Word("function"));
        check(&[function], None);
        check(&[function, ("on_open", Word("fallback"))], None);
        check(&[function, ("on_open", Word("drop"))], Some("fallback"));
        check(&[function, ("hold", ms(1))], Some("hold"));
        check(&[("on_open", Word("fallback"))], Some("on_open"));
    }
}
