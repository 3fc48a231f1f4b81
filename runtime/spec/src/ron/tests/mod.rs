//! Tests of the readers: good files and their places, then wrong ones.

mod hostile;
mod tuned;

use super::{topology, tuning};
use crate::report::{Problems, Source, Span};

/// Each problem as `CODE line:col`.
fn codes(problems: &Problems<Span>, source: &Source) -> String {
    let show = |place: &Span| source.position(place.start);
    let all = problems
        .iter()
        .map(|problem| (problem.code, show(&problem.place)));
    all.map(|(code, (line, col))| format!("{code} {line}:{col}"))
        .collect::<Vec<_>>()
        .join(", ")
}

const GOOD: &str = include_str!("good.ron");

#[test]
fn a_topology_becomes_a_model() {
    let model = topology(&Source::new("src/mempool.ron", GOOD)).expect("a good file");
    assert_eq!(model.name, "mempool");
    assert_eq!(
        model
            .options
            .pool
            .workers
            .as_ref()
            .map(|workers| workers.value),
        Some(4)
    );
    assert_eq!(
        model
            .options
            .quantum
            .as_ref()
            .map(|quantum| quantum.value.ns()),
        Some(64_000)
    );
    let shown: Vec<String> = model
        .stages
        .iter()
        .map(|stage| {
            let from: Vec<String> = stage.from.iter().map(|door| door.path()).collect();
            let keys: Vec<&str> = stage.options.all_given().map(|(key, _)| key.name).collect();
            format!(
                "{} < {} : {}",
                stage.name.text,
                from.join(" "),
                keys.join(" ")
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "ingest <  : cores wait idle",
            "decode < ingest : ",
            "dedup < decode : ",
            "verify < dedup : cores batch linger",
            "classify < verify : ",
            "price < classify::Swap : priority",
            "enrich < classify::Lookup : in_flight retry breaker",
            "publish < price enrich : priority",
            "reject < price::Err enrich::Err : ",
        ]
    );
    assert_eq!(
        model.stages[7].run.as_ref().map(|run| run.text.as_str()),
        Some("send")
    );
    assert!(crate::check(&model).is_empty());
}

#[test]
fn every_place_is_where_the_text_is() {
    let model = topology(&Source::new("mempool.ron", GOOD)).expect("a good file");
    for stage in &model.stages {
        assert_eq!(&GOOD[stage.name.place.clone()], stage.name.text);
        for door in &stage.from {
            assert_eq!(&GOOD[door.stage.place.clone()], door.stage.text);
            assert!(
                door.door
                    .iter()
                    .all(|name| GOOD[name.place.clone()] == name.text)
            );
        }
        for (key, place) in stage.options.all_given() {
            assert_eq!(&GOOD[place.clone()], key.name);
        }
    }
    let verify = &model.stages[3].options;
    assert_eq!(
        verify
            .linger
            .as_ref()
            .map(|linger| &GOOD[linger.place.clone()]),
        Some("\"150us\"")
    );
    assert_eq!(
        verify
            .batch
            .as_ref()
            .map(|batch| &GOOD[batch.place.clone()]),
        Some("64")
    );
    let breaker = model.stages[6].options.breaker.as_ref().expect("given");
    let open = breaker.value.find("open").expect("given");
    assert_eq!(
        (&GOOD[open.key.clone()], &GOOD[open.place.clone()]),
        ("open", "\"5s\"")
    );
    assert_eq!(&GOOD[model.place.clone()], "(");
}

#[test]
fn words_that_ron_allows_are_read() {
    #[track_caller]
    fn check(text: &str) {
        let problems = topology(&Source::new("t.ron", text)).err();
        assert!(problems.is_none(), "{text}: {problems:?}");
    }
    check("()");
    check("(stages: {})");
    check("#![enable(implicit_some)]\n(stages: {},)");
    check("/* a */ ( /* b */ stages /* c */ : /* d */ { /* e */ } /* f */ ) // g");
    check(
        "(\r\n\tstages: {\r\n\t\t\"a\": (batch: 0x40), \"b\": (from: [\"a\",],),\r\n\t},\r\n)\r\n",
    );
    check("(stages: {r\"a\": (batch: 1_000, linger: r#\"1ms\"#), \"é\": (from: \"a\")})");
    check("(stages: {\"a\": (batch: 4u8)})");
    check(
        "(reply: \"a\", stages: {\"a\": (from: \"input\", simd: [avx2, neon], linger: \"1\\u{6d}s\")})",
    );
}

#[test]
fn problems_are_shown_like_those_of_a_compiler() {
    let source = Source::new(
        "src/mempool.ron",
        "(\n    stages: {\n        \"ingest\": (linger: 50),\n        \"verify\": (from: \"ingest\", bacth: 64, from: \"input\"),\n    },\n)\n",
    );
    let problems = topology(&source).expect_err("three problems");
    assert_eq!(
        problems.render(&source),
        r#"error[E_TYPE]: `linger` is a time like "50us", not `50`
 --> src/mempool.ron:3:28
  |
3 |         "ingest": (linger: 50),
  |                            ^^
  |
  = help: write "50us" or "50ms"

error[E_UNKNOWN_KEY]: a stage has no option `bacth`
 --> src/mempool.ron:4:36
  |
4 |         "verify": (from: "ingest", bacth: 64, from: "input"),
  |                                    ^^^^^
  |
  = help: did you mean `batch`?

error[E_DUPLICATE_KEY]: `from` is given twice
 --> src/mempool.ron:4:47
  |
4 |         "verify": (from: "ingest", bacth: 64, from: "input"),
  |                    ---- first given here      ^^^^
  |
  = help: keep one"#
    );
}

#[test]
fn a_bracket_that_is_not_closed_is_shown() {
    let source = Source::new(
        "mempool.ron",
        "(\n    stages: {\n        \"a\": (batch: 1,\n    },\n)\n",
    );
    let problems = topology(&source).expect_err("a bracket is missing");
    assert_eq!(
        problems.render(&source),
        r#"error[E_RON_SYNTAX]: expected identifier
 --> mempool.ron:4:5
  |
3 |         "a": (batch: 1,
  |              - opened here and never closed
4 |     },
  |     ^
  |
  = help: close the `(`"#
    );
}

#[test]
fn rules_of_the_graph_point_into_the_file() {
    let source = Source::new(
        "mempool.ron",
        "(\n  stages: {\n    \"a\": (from: \"c\"),\n    \"c\": (from: [\"a\", \"b::X\"]),\n  },\n)",
    );
    let model = topology(&source).expect("nothing wrong by itself");
    assert_eq!(
        codes(&crate::check(&model), &source),
        "E_UNKNOWN_STAGE 4:24"
    );
}
