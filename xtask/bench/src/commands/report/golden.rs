//! A report of everything there can be, as it was when somebody looked at it.
//!
//! The drawings are compared by what is written in them; how they look is what the snapshots of `pipewright-draw` keep.

use std::path::Path;

use super::*;
use crate::{
    details::{Details, Moment, Stage, Tried},
    findings::{Capacity, Findings},
    history::{self, tests::run as at_day},
    load::Load,
    machine::Machine,
    metrics,
    protocol::Request,
    results::{Change, Code, METHOD, SCHEMA, SavedMetric, Values},
    session::Side,
    targets::{Found, Met},
    verdict::Verdict,
};

/// Two sides of a metric that gates.
fn metric(name: &str, [a, b]: [f64; 2], estimate: f64, verdict: Verdict) -> SavedMetric {
    let metric = metrics::find(name).expect("it is a metric");
    let values = |value: f64| {
        // A little more with each trial.
        let all = (0..8).map(|at| value * (1.0 + 0.001 * f64::from(at)));
        Values::of(all.collect()).expect("there are values")
    };
    let mut one = SavedMetric::of(
        metric,
        metric.gate,
        [(Side::A, values(a)), (Side::B, values(b))].into(),
    );
    one.change = Some(Change {
        estimate,
        interval: Some([estimate - 0.02, estimate + 0.02]),
        confidence: 0.96,
        method: METHOD.to_owned(),
        blocks: 8,
        mde: Some(0.02),
        band: metric.band,
        p: 0.008,
        suspect: false,
        verdict,
    });
    one
}

/// Twenty parts of a load with a peak in its middle.
fn timeline(slower: f64) -> Vec<Moment> {
    let moment = |at: u32| {
        let peak = (8..12).contains(&at);
        let offered = if peak { 60_000.0 } else { 20_000.0 };
        let ns = if peak { 2e6 } else { 3e4 } * slower * (1.0 + 0.1 * f64::from(at % 3));
        Moment {
            end_ms: 50.0 * f64::from(at + 1),
            offered,
            done: if peak { 45_000.0 / slower } else { offered },
            refused: if peak { 120 } else { 0 },
            queued: if peak { 900 } else { 12 + u64::from(at % 3) },
            resident: 9e6 + 1e5 * f64::from(at),
            p50: Some(ns),
            p99: Some(4.0 * ns),
            max: Some(9.0 * ns),
            latencies: match peak {
                true => vec![(630_957, 400), (1_584_893, 1500), (10_000_000, 90)],
                false => vec![(25_119, 700), (39_811, 260), (158_489, 40)],
            },
        }
    };
    (0..20).map(moment).collect()
}

fn stages(slower: f64) -> Vec<Stage> {
    let stage = |name: &str, wait_ns: f64, work_ns: f64, allocations| Stage {
        name: name.to_owned(),
        items: 412,
        blocked_ns: if name == "parse" { 300.0 } else { 0.0 },
        wait_ns,
        work_ns,
        rate: Some(20_000.0),
        p50: Some(wait_ns + work_ns),
        p95: Some(1.5 * (wait_ns + work_ns)),
        // One of them has too few items for it.
        p99: (name != "enrich").then_some(4.0 * (wait_ns + work_ns)),
        utilisation: Some(work_ns * 20_000.0 / 1e9),
        allocations,
    };
    vec![
        stage("parse", 21_000.0, 90.0, Some(0.0)),
        stage("enrich", 30.0, 75.0, Some(0.0)),
        stage("price", 30.0, 1_250.0 * slower, Some(1.0)),
        stage("apply", 900.0, 40.0, Some(0.0)),
        stage("deliver", 35.0, 60.0, Some(0.0)),
    ]
}

fn curve() -> Vec<Tried> {
    let tried = |offered: f64, achieved: f64, p50: f64, p99: f64, sustainable| Tried {
        offered,
        achieved,
        p50: Some(p50),
        p99: Some(p99),
        sustainable,
    };
    vec![
        tried(1e4, 1e4, 3.0e4, 9.0e4, true),
        tried(2e4, 2e4, 3.1e4, 1.1e5, true),
        tried(4e4, 4e4, 3.6e4, 3.4e5, true),
        tried(8e4, 7.9e4, 8.0e5, 9.0e6, true),
        tried(1.6e5, 9.1e4, 4.1e7, 1.2e8, false),
    ]
}

fn latency() -> SavedScenario {
    SavedScenario {
        id: "latency/events".to_owned(),
        seed: 42,
        blocks: 8,
        disturbed: [("steal".to_owned(), 3)].into(),
        refused: None,
        canary_ns: Some(91_000.0),
        metrics: vec![
            metric(
                "latency_p50",
                [3e4, 3.2e4],
                0.066,
                Verdict::Inconclusive { missing: 7 },
            ),
            metric("latency_p99", [1.2e5, 1.5e5], 0.25, Verdict::Regressed),
        ],
        latencies: [
            (
                Side::A,
                vec![
                    (25_119, 7000),
                    (39_811, 2600),
                    (158_489, 395),
                    (2_000_000, 5),
                ],
            ),
            (
                Side::B,
                vec![
                    (25_119, 6000),
                    (39_811, 3600),
                    (158_489, 390),
                    (4_000_000, 10),
                ],
            ),
        ]
        .into(),
        targets: vec![
            Found {
                target: "latency_p99 <= 1.00 ms".to_owned(),
                why: "P99 below 1 ms".to_owned(),
                estimate: 1.5e5,
                interval: Some([1.4e5, 1.6e5]),
                floor: None,
                result: Met::Pass,
            },
            Found {
                target: "latency_p50 <= 20.0 us".to_owned(),
                why: String::new(),
                estimate: 3.2e4,
                interval: None,
                floor: Some(5.2e4),
                result: Met::Infeasible,
            },
        ],
        unknown_targets: Vec::new(),
        details: Details {
            asked: Some(Request {
                load: Some(Load::steady(2e4, 1000)),
                ..Request::new("latency/events", 42, [100, 1000])
            }),
            timeline: [(Side::A, timeline(1.0)), (Side::B, timeline(1.25))].into(),
            stages: [(Side::A, stages(1.0)), (Side::B, stages(1.2))].into(),
            live_bytes: [(Side::B, (0..40).map(|at| 1_000_000 + 640 * at).collect())].into(),
            shared: [(Side::A, true), (Side::B, true)].into(),
            curve: curve(),
        },
        findings: Findings {
            capacity: Some(Capacity {
                slo: [("p99".to_owned(), 1e7)].into(),
                ..Capacity::default()
            }),
            ..Findings::default()
        },
    }
}

fn throughput() -> SavedScenario {
    let mut one = at_day(1, 1.0).scenarios.remove(0);
    one.metrics = vec![metric("throughput", [1e6, 9e5], -0.1, Verdict::Regressed)];
    one.targets = vec![Found {
        target: "throughput >= 1.00 M/s".to_owned(),
        why: String::new(),
        estimate: 9e5,
        interval: None,
        floor: None,
        result: Met::Failed,
    }];
    one
}

/// A comparison of everything.
pub(super) fn saved() -> Saved {
    let code = |revision: &str, dirty| Code {
        revision: revision.to_owned(),
        dirty,
        binary: "d1gest".to_owned(),
        build: [("rustc".to_owned(), "1.95.0".to_owned())].into(),
    };
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Saved {
        schema: SCHEMA.to_owned(),
        run_id: "20260101T000000Z-abc".to_owned(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        mode: "quick".to_owned(),
        command: ["ab", "--base", "f00dface"].map(str::to_owned).to_vec(),
        partial: true,
        code: [
            (Side::A, code("f00dface", false)),
            (Side::B, code("abcdef01", true)),
        ]
        .into(),
        env: Machine {
            class: "c".to_owned(),
            fields: [field("cpu_model", "Fast <9000>"), field("kernel", "6.18")].into(),
        },
        limits: vec![
            "the generator shared its processors with what was measured: latency/events".to_owned(),
        ],
        scenarios: vec![throughput(), latency()],
        verdict: "regressed".to_owned(),
    }
}

/// Thirty runs, which became slower with the nineteenth.
fn past() -> History {
    let folder = tempfile::tempdir().expect("a folder");
    for day in 1..=30 {
        let rate = if day < 19 { 1e6 } else { 9e5 };
        let run = at_day(day, rate + 1e3 * (day % 5) as f64);
        history::append(folder.path(), &run).expect("it can be written");
    }
    History::read(folder.path(), "c").expect("it can be read")
}

fn html() -> String {
    let raw = "{\"a\":\"</script>\"}";
    let page = page(&saved(), &past(), Path::new("run.json"), raw);
    page.expect("it can be drawn").html()
}

/// The page without its style, and of each drawing what is written in it.
pub(super) fn outline(html: &str) -> String {
    let body = html.split_once("<body>").expect("there is one").1;
    let mut text = String::new();
    let mut rest = body;
    while let Some((before, svg)) = rest.split_once("<svg ") {
        let (svg, after) = svg.split_once("</svg>").expect("it ends");
        text.push_str(before);
        // The narrow one says the same.
        if svg.starts_with("class=\"wide\"") {
            let written: Vec<&str> = svg
                .split("</text>")
                .filter_map(|part| part.rsplit_once('>'))
                .map(|(_, text)| text.trim())
                .filter(|text| !text.is_empty())
                .collect();
            text.push_str(&format!("[drawing: {}]", written.join(" | ")));
        }
        rest = after.trim_start();
    }
    text.push_str(rest);
    text
}

#[test]
fn the_page_is_as_before() {
    insta::assert_snapshot!("page", outline(&html()));
}

#[test]
fn the_markdown_is_as_before() {
    let text = markdown::markdown(&saved());
    assert!(text.len() < 60_000);
    insta::assert_snapshot!("markdown", text);
}

#[test]
fn a_page_has_every_part_and_needs_no_network() {
    let html = html();
    for part in [
        "What changed",
        "What to do",
        "Latency by percentile",
        "Rate over the load pattern",
        "Latency over the load pattern",
        "The most items in the pipeline",
        "Latency over time, A",
        "Latency by throughput",
        "An item&#39;s way through the stages, B",
        "How busy each stage keeps the workers, A",
        "What each stage allocates, B",
        "Memory over the time",
        "Live bytes over the time",
        "History of throughput, 30 runs",
        "Targets",
        "FAILED",
    ] {
        let plain = part.replace("&#39;", "'");
        assert!(html.contains(part) || html.contains(&plain), "{part}");
    }
    assert!(html.contains("Fast &lt;9000&gt;"));
    for foreign in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[test]
fn a_result_with_many_scenarios_stays_a_short_comment() {
    let mut saved = saved();
    let one = saved.scenarios[0].clone();
    saved.scenarios = (0..2000)
        .map(|at| SavedScenario {
            id: format!("throughput/{at}"),
            ..one.clone()
        })
        .collect();
    let text = markdown::markdown(&saved);
    assert!(text.len() < 60_000, "{}", text.len());
    assert!(text.starts_with("<!-- pipewright bench -->\n**regressed**"));
    assert!(text.contains("more rows are in the result"), "it says so");
}

#[test]
fn the_page_looks_right_in_a_browser_on_telephones_and_screens_in_both_themes() {
    let Some(browser) = pipewright_draw::Browser::find_or_skip() else {
        return;
    };
    // The pictures stay, for whoever wants to see them.
    let folder = std::env::temp_dir().join("pipewright-report");
    fs::create_dir_all(&folder).expect("a folder");
    let pages = [("report", html()), ("questions", asked::html())].map(|(name, html)| {
        let path = folder.join(format!("{name}.html"));
        fs::write(&path, html).expect("the folder can be written");
        path
    });
    let faults = browser.faults(&pages, &folder);
    assert_eq!(faults.expect("the browser shows them"), [] as [String; 0]);
}
