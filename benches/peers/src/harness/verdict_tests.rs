//! What the verdicts, the tables and the machine-readable results say of made-up measurements.

use serde_json::Value;

use super::{
    Case, Scale,
    contender::Kind,
    json::{CaseReport, Report},
    machine::Machine,
    rounds::{NoValue, Outcome, Rounds, Row},
    table,
    verdict::{Judged, judge},
};

fn case(better: &str, goal: &str) -> Case {
    let text = format!(
        "name = \"made_up\"\nabout = \"Nothing\"\n\
         measures = [{{ name = \"first\", unit = \"ns\", better = \"{better}\" }}, \
         {{ name = \"second\", unit = \"ns\", better = \"{better}\" }}]\n\
         goals = [{{ row = \"ours\", {goal} }}]\n"
    );
    toml::from_str(&text).unwrap()
}

fn row(name: &str, kind: Kind, values: [[f64; 3]; 2]) -> Row {
    Row {
        name: name.to_owned(),
        kind,
        result: Ok(values.map(|values| values.to_vec()).to_vec()),
    }
}

/// The second measure is twice the first one.
fn outcome(case: &Case) -> Outcome<'_> {
    let values = |first: [f64; 3]| [first, first.map(|value| 2.0 * value)];
    let rows = vec![
        row("ours", Kind::Ours, values([10.0, 12.0, 8.0])),
        row("slow", Kind::Peer, values([40.0, 40.0, 48.0])),
        row("quick", Kind::Peer, values([20.0, 24.0, 20.0])),
        row("limit", Kind::Limit, values([8.0, 8.0, 8.0])),
        Row {
            name: "absent".to_owned(),
            kind: Kind::Peer,
            result: Err(NoValue::Skipped("not installed".to_owned())),
        },
    ];
    Outcome { case, rows }
}

fn judged(better: &str, goal: &str) -> Judged {
    let case = case(better, goal);
    let mut judged = judge(&outcome(&case)).unwrap();
    assert_eq!(judged.len(), 1);
    judged.remove(0)
}

#[test]
fn a_goal_is_judged_by_the_ratio_of_medians_with_the_spread_of_rounds() {
    let check = |better: &str, goal: &str, word: &str, reached: &str| {
        let judged = judged(better, goal);
        assert_eq!(
            (judged.verdict.word(), judged.verdict.to_string().as_str()),
            (word, reached),
            "{goal}"
        );
    };
    let faster = |whom: &str, times: f64| format!("faster = {{ than = {whom}, times = {times} }}");
    let within = |whom: &str, times: f64| format!("within = {{ of = {whom}, times = {times} }}");
    check(
        "smaller",
        &faster("\"best_peer\"", 2.0),
        "met",
        "2.000 [2.000 - 2.500]",
    );
    check(
        "smaller",
        &faster("\"best_peer\"", 2.1),
        "MISSED",
        "2.000 [2.000 - 2.500]",
    );
    check(
        "greater",
        &faster("\"best_peer\"", 0.25),
        "met",
        "0.250 [0.167 - 0.300]",
    );
    check(
        "smaller",
        &faster("{ row = \"quick\" }", 2.0),
        "met",
        "2.000 [2.000 - 2.500]",
    );
    check(
        "smaller",
        &faster("{ best_of = [\"slow\", \"absent\"] }", 4.0),
        "met",
        "4.000 [3.333 - 6.000]",
    );
    check(
        "greater",
        &faster("{ best_run_of = \"quick\" }", 0.5),
        "MISSED",
        "0.417 [0.333 - 0.500]",
    );
    check(
        "smaller",
        &within("{ row = \"limit\" }", 1.25),
        "met",
        "1.250 [1.000 - 1.500]",
    );
    check(
        "smaller",
        &within("{ row = \"limit\" }", 1.2),
        "MISSED",
        "1.250 [1.000 - 1.500]",
    );
    check(
        "smaller",
        &within("{ own = \"second\" }", 0.5),
        "met",
        "0.500 [0.500 - 0.500]",
    );
    check(
        "smaller",
        "measure = \"second\", at_most = 20.0",
        "met",
        "20.0 [16.0 - 24.0]",
    );
    check("smaller", "at_most = 9.9", "MISSED", "10.0 [8.000 - 12.0]");
    check("smaller", "steady = 0.8", "met", "0.833 [0.833 - 0.833]");
    check(
        "greater",
        "steady = 0.81",
        "MISSED",
        "0.800 [0.800 - 0.800]",
    );
}

#[test]
fn a_goal_without_a_value_is_not_measured_and_says_why() {
    let check = |whom: &str, why: &str| {
        let judged = judged(
            "smaller",
            &format!("faster = {{ than = {whom}, times = 1.0 }}"),
        );
        assert_eq!(
            (judged.verdict.word(), judged.verdict.to_string().as_str()),
            ("not measured", why)
        );
    };
    check("{ row = \"absent\" }", "`absent`: not installed");
    check("{ row = \"nobody\" }", "there is no row `nobody`");
    check("{ best_of = [\"absent\"] }", "no value of absent");
}

#[test]
fn goals_are_told_in_words() {
    let check = |goal: &str, words: &str| assert_eq!(judged("smaller", goal).goal, words);
    check(
        "faster = { than = \"best_peer\", times = 2 }",
        "first: >= 2x the best peer, quick",
    );
    check(
        "within = { of = { row = \"limit\" }, times = 1.2 }",
        "first: <= 1.2x the ns of limit",
    );
    check("measure = \"second\", at_most = 3", "second: <= 3 ns");
    check("steady = 0.7", "first: no run below 0.7x of its median");
}

#[test]
fn tables_and_files_hold_every_row_and_every_run() {
    let case = case("smaller", "at_most = 10.0");
    let outcome = outcome(&case);
    let goals = judge(&outcome).unwrap();
    let text = table::rows(&outcome);
    for part in [
        "| ours",
        "10.0 [8.000 - 12.0]",
        "2.00x",
        "0.80x",
        "* absent: skipped: not installed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let machine = Machine::look();
    let rounds = Rounds {
        runs: 3,
        scale: Scale::Quick,
        seed: 5,
    };
    let mut report = Report::new(&machine, rounds);
    report.cases.push(CaseReport::new(&outcome, &goals));
    let json: Value = serde_json::to_value(&report).unwrap();
    let case = &json["cases"][0];
    let ours = &case["rows"][0]["values"][0];
    assert_eq!(json["seed"], 5);
    assert_eq!(ours["name"], "first");
    assert_eq!(ours["median"], 10.0);
    assert_eq!(ours["against_best_peer"], 2.0);
    assert_eq!(ours["against_the_limit"], 0.8);
    assert_eq!(ours["runs"].as_array().map(Vec::len), Some(3));
    assert_eq!(case["rows"][4]["skipped"], "not installed");
    assert_eq!(case["goals"][0]["verdict"], "met");
    assert_eq!(case["goals"][0]["figure"]["value"], 10.0);
}
