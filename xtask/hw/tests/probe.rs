//! What is made of the measurements of a probe: the grade, the floor, the text and the page. The samples are a recording
//! (`probe/box.json`, two cpus of a guest) and made up (eight cpus on two memory nodes); nothing here is measured.

use std::{collections::BTreeMap, path::Path, time::Duration};

use pipewright_hw::{
    probe::{
        self, Kind, Measurement, Outcome, Plan, Probe, Rating, Unwatched,
        judge::{self, Grade},
        page,
    },
    saved::Saved,
};
use serde_json::{Value, json};

fn recorded() -> Saved {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe/box.json");
    Saved::read(&path).expect("a recording that this version reads")
}

fn probe(saved: &Saved) -> Probe {
    serde_json::from_value(saved.probe.clone().expect("it was measured"))
        .expect("the form of this version")
}

/// `(name, unit, [least, median, most], samples)`.
fn row(name: &str, unit: &str, [min, p50, max]: [f64; 3], n: usize) -> Value {
    let mut summary = json!({ "n": n, "min": min, "p50": p50, "max": max, "mad": 0.0 });
    if n >= 2_000 {
        summary["p99"] = json!(p50 + (max - p50) * 0.1);
        summary["p999"] = json!(p50 + (max - p50) * 0.5);
    }
    json!({ "name": name, "unit": unit, "summary": summary })
}

fn measurement(id: &str, title: &str, rows: Vec<Value>, details: Value) -> Value {
    json!({
        "id": id, "title": title, "outcome": "measured", "rating": "info", "seconds": 1.0,
        "rows": rows, "notes": [], "details": details,
    })
}

/// A server with a longest gap and a smallest visible difference.
fn server(longest: f64, shows: f64) -> Probe {
    let one = |x: f64| [x, x, x];
    let matrix: Vec<Vec<Option<f64>>> = (0..8)
        .map(|a| {
            (0..8)
                .map(|b| {
                    (a != b).then(|| {
                        if a / 4 == b / 4 {
                            24.0 + f64::from(a % 2)
                        } else {
                            97.0
                        }
                    })
                })
                .collect()
        })
        .collect();
    let gaps: Vec<Value> = (0..8)
        .map(|cpu| {
            let points: Vec<(f64, f64)> = (0..20)
                .map(|at| {
                    (
                        600.0 * 1.3f64.powi(at),
                        1_000.0 / f64::from((at + 1) * (at + 1 + cpu)),
                    )
                })
                .collect();
            json!({ "name": format!("cpu {cpu}"), "points": points })
        })
        .collect();
    let levels = json!([
        { "from": 16384.0, "to": 32768.0, "ns": 1.25 },
        { "from": 131072.0, "to": 1048576.0, "ns": 4.1 },
        { "from": 4194304.0, "to": 33554432.0, "ns": 14.0 },
        { "from": 134217728.0, "to": 268435456.0, "ns": 96.0 },
    ]);
    let access = |scale: f64| -> Vec<(f64, f64)> {
        let ns = [
            1.25, 1.25, 2.6, 4.1, 4.2, 4.4, 4.9, 9.0, 14.0, 14.2, 14.9, 16.5, 55.0, 96.0, 104.0,
        ];
        ns.iter()
            .enumerate()
            .map(|(power, ns)| (16384.0 * 2f64.powi(power as i32), ns * scale))
            .collect()
    };
    let latency = json!([
        { "latency": [{ "name": "4 KiB pages", "points": access(1.0) }, { "name": "2 MiB pages", "points": access(0.9) }] },
        { "plateaus": levels },
        { "nodes": [[96.0, 148.0], [150.0, 97.0]] },
    ]);
    let probe = json!({
        "cpus": [0, 1, 2, 3, 4, 5, 6, 7],
        "seconds": 12.3,
        "measurements": [
            measurement("A1", "reading a clock", vec![row("Instant::now", "nanoseconds", [19.0, 20.0, 900.0], 500)], json!([])),
            measurement("A2", "counters of cpus against each other", vec![row("cpu 1 against 0", "nanoseconds", one(-12.0), 1), row("cpu 7 against 0", "nanoseconds", one(9.0), 1)], json!([])),
            measurement("A3", "jitter: gaps in a thread that never sleeps", vec![
                row("cpu 0, a gap", "nanoseconds", [501.0, 2_000.0, longest], 5_000),
                row("cpu 0, time taken", "part", one(0.000_05), 1),
                row("cpu 1, a gap", "nanoseconds", [501.0, 2_500.0, longest / 2.0], 5_000),
                row("cpu 1, time taken", "part", one(0.000_09), 1),
                row("cpu 0 alone, a gap", "nanoseconds", [501.0, 9e9, 9e9], 10),
            ], json!([{ "gaps": gaps }])),
            measurement("A5", "waking a thread, one way", vec![
                row("park, after 1 ms of sleep, one cpu", "nanoseconds", [2e3, 9e4, 1e5], 300),
                row("park, after 1 ms of sleep, one cache", "nanoseconds", [3e3, 9_800.0, 31_000.0], 300),
            ], json!([])),
            { "id": "A6", "title": "calls into the kernel", "outcome": { "skipped": "a thread cannot be pinned to cpu 0: Operation not permitted (os error 1)" }, "rating": "info", "seconds": 0.0, "rows": [], "notes": [] },
            measurement("A7", "from cpu to cpu", vec![row("cpu 0 to 1", "nanoseconds", [24.0, 26.0, 90.0], 100)], json!([{ "handoffs": matrix }])),
            measurement("A8", "an access to memory", vec![row("level 1, 16 KiB to 32 KiB", "nanoseconds", one(1.25), 1)], latency),
            measurement("A9", "memory bandwidth", vec![row("triad, one cpu", "bytes_per_second", [1.5e10, 1.9e10, 2.0e10], 9), row("triad, 8 cpus", "bytes_per_second", [0.8e11, 1.1e11, 1.2e11], 9)], json!([])),
            measurement("A14", "the same work again and again", vec![row("varies by", "part", one(shows / 0.885), 1), row("smallest difference that 10 blocks show", "part", one(shows), 1)], json!([{ "canary": [5.0e7, 5.1e7, 5.0e7, 5.05e7, 4.98e7] }])),
        ],
    });
    serde_json::from_value(probe).expect("the form of this version")
}

#[test]
fn a_probe_is_graded_by_what_comparisons_show_and_by_its_gaps() {
    for (longest, shows, expect) in [
        (15_000.0, 0.008, Grade::A),
        (15_000.0, 0.02, Grade::B),
        (80_000.0, 0.008, Grade::B),
        (5_000_000.0, 0.008, Grade::C),
        (80_000.0, 0.09, Grade::C),
        (15_000.0, 0.2, Grade::D),
    ] {
        assert_eq!(
            judge::grade(&server(longest, shows)),
            Some(expect),
            "{longest} {shows}"
        );
    }
    let mut partial = server(15_000.0, 0.008);
    partial.measurements.retain(|one| one.id != "A14");
    assert_eq!(
        judge::grade(&partial),
        None,
        "what was not measured has no grade"
    );
}

#[test]
fn the_floor_takes_the_worst_of_what_a_pipeline_can_meet() {
    let floor = judge::floor(&server(84_000.0, 0.027));
    assert_eq!((floor.clock, floor.tsc_skew), (Some(19.0), Some(12.0)));
    let stolen = floor.stolen.expect("it was measured");
    assert!((stolen - 0.009).abs() < 1e-9, "per cent: {stolen}");
    let wake = floor.wake.expect("it was measured");
    assert_eq!(
        (wake.p50, wake.p99, wake.max),
        (9_800.0, 31_000.0, 31_000.0),
        "the row with another cpu"
    );
    assert_eq!(
        floor.jitter.expect("it was measured").max,
        84_000.0,
        "of all cpus at once"
    );
    assert_eq!(
        (
            floor.handoff(0, 1),
            floor.handoff(7, 0),
            floor.handoffs.len()
        ),
        (Some(24.0), Some(97.0), 28)
    );
    assert_eq!((floor.bandwidth, floor.oversleep), (Some(1.2e11), None));
    assert_eq!(
        judge::floor_line(&server(84_000.0, 0.027)),
        "clock 19 ns \u{b7} wake 9.8 us / 31 us \u{b7} jitter p99.9 43 us, max 84 us \u{b7} cpu to cpu 24 ns .. 97 ns \u{b7} \
         noise 3.05 %, shows 2.7 % in 10 blocks"
    );
}

#[test]
fn a_probe_of_which_nothing_could_be_measured_says_so() {
    let mut nothing = server(1.0, 0.1);
    for one in &mut nothing.measurements {
        let Measurement {
            outcome,
            rows,
            details,
            ..
        } = one;
        *outcome = Outcome::Skipped("it takes two cpus".into());
        rows.clear();
        details.clear();
    }
    assert_eq!(judge::floor_line(&nothing), "not measured");
    assert!(
        nothing
            .to_string()
            .contains("SKIP A7 from cpu to cpu: it takes two cpus")
    );
    let html = page::page(&nothing, &BTreeMap::new(), "{}")
        .expect("it can be drawn")
        .html();
    assert!(html.contains("Skipped: it takes two cpus.") && !html.contains("<svg"));
}

#[test]
fn steady_work_shows_small_differences_and_drift_is_no_noise() {
    let steady: Vec<f64> = (0..20)
        .map(|round| 5e7 * (1.0 + 0.001 * f64::from(round % 3)))
        .collect();
    let drifting: Vec<f64> = steady
        .iter()
        .enumerate()
        .map(|(round, ns)| ns * 1.01f64.powi(round as i32))
        .collect();
    let (steady, drifting) = (
        judge::steadiness(&steady).expect("rounds"),
        judge::steadiness(&drifting).expect("rounds"),
    );
    assert!(steady.detectable < 0.002, "{steady:?}");
    assert!(
        (steady.varies - drifting.varies).abs() < 1e-6,
        "{drifting:?}"
    );
    assert!(
        (drifting.drifts - 0.208).abs() < 0.01,
        "19 steps of 1 %: {drifting:?}"
    );
    assert_eq!(judge::steadiness(&[1.0; 4]), None);
    assert_eq!(judge::steadiness(&[0.0; 9]), None);
}

#[test]
fn what_is_measured_here_has_figures_or_says_why_not() {
    // Those that take little time; how long what takes is nothing that a test can know.
    let kinds = [
        "A1", "A2", "A4", "A5", "A6", "A7", "A10", "A11", "A12", "A15",
    ]
    .map(|id| Kind::named(id).expect("a kind"));
    let plan = Plan::new(Duration::from_millis(500)).only(kinds.to_vec());
    let probe = probe::run(&plan, &mut Unwatched).expect("this package is always optimised");
    assert_eq!(probe.measurements.len(), kinds.len());
    for one in &probe.measurements {
        match &one.outcome {
            Outcome::Measured => assert!(!one.rows.is_empty(), "{one:?}"),
            Outcome::Skipped(why) => assert!(!why.is_empty() && one.rows.is_empty(), "{one:?}"),
        }
        for row in &one.rows {
            let all = &row.summary;
            assert!(
                all.n > 0 && all.min <= all.p50 && all.p50 <= all.max,
                "{} {row:?}",
                one.id
            );
        }
    }
    let text = serde_json::to_string(&probe).expect("it is JSON");
    assert_eq!(
        serde_json::from_str::<Probe>(&text).expect("the same form"),
        probe
    );
}

#[test]
fn the_text_is_as_before() {
    insta::assert_snapshot!("server_text", server(84_000.0, 0.027));
    insta::assert_snapshot!("box_text", probe(&recorded()));
}

#[test]
fn the_pages_are_as_before() {
    let saved = recorded();
    for (name, probe, machine) in [
        ("box_page", probe(&saved), saved.machine),
        (
            "server_page",
            server(84_000.0, 0.027),
            BTreeMap::from([("cpu".to_owned(), "two of them <made up>".to_owned())]),
        ),
    ] {
        let page = page::page(&probe, &machine, "{}").expect("it can be drawn");
        insta::assert_snapshot!(name, page.html());
    }
}

#[test]
fn what_is_saved_has_the_floor_and_every_figure() {
    let saved = recorded();
    let probe = probe(&saved);
    assert_eq!(saved.floor, Some(judge::floor(&probe)));
    let figures: BTreeMap<_, _> = judge::figures(&probe).collect();
    assert_eq!(saved.figures, figures);
    let rows: usize = probe.measurements.iter().map(|one| one.rows.len()).sum();
    assert_eq!(figures.len(), rows, "no two figures have one name");
    let measured = probe
        .measurements
        .iter()
        .filter(|one| one.outcome == Outcome::Measured)
        .count();
    assert_eq!((measured, probe.measurements.len()), (15, 15));
    assert!(
        probe
            .measurements
            .iter()
            .all(|one| one.rating != Rating::Fail)
    );
}

#[test]
fn the_pages_look_right_in_a_browser_on_telephones_and_screens_in_both_themes() {
    let Some(browser) = pipewright_draw::Browser::find_or_skip() else {
        return;
    };
    // The pictures stay, for whoever wants to see them.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let saved = recorded();
    let probes = [("box", probe(&saved)), ("server", server(84_000.0, 0.027))];
    let pages = probes.map(|(name, probe)| {
        let path = folder.join(format!("{name}.html"));
        page::page(&probe, &saved.machine, &saved.to_string())
            .expect("it can be drawn")
            .write(&path)
            .expect("the folder can be written");
        path
    });
    let faults = browser.faults(&pages, folder);
    assert_eq!(faults.expect("the browser shows them"), [] as [String; 0]);
}
