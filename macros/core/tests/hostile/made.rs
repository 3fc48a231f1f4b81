//! Hostile texts that are too long to be kept: each is made by its recipe, and pinned likewise.

use std::fmt::Write;

use super::*;

/// A topology of so many stages, each of which reads what `from` says for its number.
fn stages(count: usize, from: impl Fn(usize) -> String) -> String {
    let mut text = String::from("(\n    stages: {\n");
    for n in 0..count {
        writeln!(text, "        \"s{n}\": ({}),", from(n)).expect("text grows");
    }
    text + "    },\n)\n"
}

fn chain(n: usize) -> String {
    n.checked_sub(1)
        .map_or(String::new(), |before| format!("from: \"s{before}\""))
}

/// Looks at each text; all that differ are told together.
#[track_caller]
fn check(cases: Vec<(&str, String, &str)>) {
    let mut wrong = Vec::new();
    for (what, text, expect) in cases {
        let source = Source::new("m.ron", text);
        let begun = Instant::now();
        let told = topology(&source);
        let first = told.first().map_or("none", String::as_str);
        let told = format!("{first} of {}", told.len());
        expanded(&source);
        let taken = begun.elapsed();
        if told != expect || taken > SOON {
            wrong.push(format!("{what}: {told} in {taken:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn depth_is_bounded() {
    let deep = |open: &str| open.repeat(100_000);
    check(vec![
        ("lists", deep("["), "E_TOO_DEEP 1:11 of 1"),
        ("groups", deep("("), "E_TOO_DEEP 1:11 of 1"),
        ("maps", deep("{"), "E_TOO_DEEP 1:11 of 1"),
        ("options", deep("Some("), "E_TOO_DEEP 1:106 of 1"),
        ("names", deep("A("), "E_TOO_DEEP 1:22 of 1"),
        ("fields", deep("(a:"), "E_TOO_DEEP 1:31 of 1"),
        ("entries", deep("{\"a\":"), "E_TOO_DEEP 1:51 of 1"),
        (
            "129 lists",
            "[".repeat(129) + &"]".repeat(129),
            "E_TOO_DEEP 1:11 of 1",
        ),
        ("comments", deep("/*"), "E_RON_SYNTAX 1:1 of 1"),
    ]);
}

#[test]
fn length_is_bounded() {
    let million = |text: &str| text.repeat(1_000_000 / text.len());
    let (long, nines) = (million("x"), million("9"));
    check(vec![
        (
            "a name",
            format!("(stages: {{\"{long}\": ()}})"),
            "E_NAME 1:12 of 1",
        ),
        (
            "a wrong name",
            format!("(stages: {{\"{}\": ()}})", million("é-")),
            "E_NAME 1:12 of 1",
        ),
        ("a key", format!("({long}: 1)"), "E_TOO_LONG 1:2 of 1"),
        (
            "a word",
            format!("(hw: (enforce: {long}))"),
            "E_TOO_LONG 1:16 of 1",
        ),
        (
            "an output",
            format!("(stages: {{\"a\": (from: \"{long}\")}})"),
            "E_UNKNOWN_STAGE 1:24 of 1",
        ),
        (
            "a door",
            format!("(stages: {{\"a\": (from: \"b::{long}\")}})"),
            "E_DOOR 1:24 of 1",
        ),
        (
            "a string",
            format!("(quantum: \"{nines}\")"),
            "E_RANGE 1:11 of 1",
        ),
        (
            "a time",
            format!("(quantum: \"{nines}us\")"),
            "E_RANGE 1:11 of 1",
        ),
        (
            "a number",
            format!("(pool: (workers: {nines}))"),
            "E_TOO_LONG 1:18 of 1",
        ),
        (
            "cores",
            format!("(pool: (cores: \"{}0\"))", million("0,")),
            "E_CORES 1:16 of 1",
        ),
        (
            "other cores",
            format!("(pool: (cores: \"{}0\"))", million("0-8191,")),
            "E_CORES 1:16 of 1",
        ),
        (
            "spaces",
            format!("({})", million(" ") + &long),
            "E_FILE_SIZE 1:1 of 1",
        ),
        (
            "one line",
            stages(1_000, |_| "bacth: 3".into()).replace('\n', ""),
            "E_UNKNOWN_KEY 1:30 of 12",
        ),
    ]);
}

#[test]
fn the_number_of_stages_is_bounded() {
    let listed = |count: usize| {
        (0..count)
            .map(|m| format!("\"s{m}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let from = |count: usize| {
        if count == 0 {
            String::new()
        } else {
            format!("from: [{}]", listed(count))
        }
    };
    check(vec![
        (
            "10,000 stages",
            stages(10_000, chain),
            "E_TOO_MANY_STAGES 259:10 of 1",
        ),
        (
            "257 stages",
            stages(257, chain),
            "E_TOO_MANY_STAGES 259:10 of 1",
        ),
        ("256 stages", stages(256, chain), "none of 0"),
        (
            "256 stages of one name",
            "(stages: {".to_owned() + &"\"a\": (), ".repeat(256) + "})",
            "E_DUPLICATE_STAGE 1:21 of 12",
        ),
        (
            "each reads all before it",
            stages(100, from),
            "E_TOO_MANY_INPUTS 48:253 of 1",
        ),
        (
            "a circle",
            stages(256, |n| format!("from: \"s{}\"", (n + 255) % 256)),
            "E_CYCLE 3:23 of 1",
        ),
        (
            "each reads nobody",
            stages(256, |n| format!("from: \"t{n}\"")),
            "E_UNKNOWN_STAGE 3:23 of 12",
        ),
        (
            "each reads itself",
            stages(256, |n| format!("from: \"s{n}\"")),
            "E_CYCLE 3:23 of 1",
        ),
        (
            "10,000 inputs",
            format!("(stages: {{\"a\": (from: [{}])}})", listed(10_000)),
            "E_TOO_MANY_INPUTS 1:1963 of 1",
        ),
        (
            "10,000 keys",
            format!("({})", "quantum: 3, ".repeat(10_000)),
            "E_DUPLICATE_KEY 1:14 of 12",
        ),
        (
            "10,000 fields",
            format!("(pool: ({}))", "workers: 0, ".repeat(10_000)),
            "E_RANGE 1:18 of 12",
        ),
    ]);
}
