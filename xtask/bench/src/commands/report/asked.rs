//! A report of what questions find, as it was when somebody looked at it.

use std::path::Path;

use super::{golden, page};
use crate::{
    breaking::{Ordeal, Step},
    details::Details,
    findings::{Findings, Memory, Scaling},
    history::History,
    memory::leak,
    protocol::{Answer, Part, StageShare},
    results::{Saved, SavedScenario},
    session::Side,
    stats::{Fitted, Usl},
};

fn scenario(id: &str, answer: &Answer, findings: Findings) -> SavedScenario {
    SavedScenario {
        id: id.to_owned(),
        seed: 42,
        details: Details::of(&[(Side::A, answer)]),
        findings,
        ..SavedScenario::default()
    }
}

/// Seconds at half, at all, at 1.25, at 1.5 and again at half of what it can take, in quarters of a second.
fn breaks() -> SavedScenario {
    let rates: [f64; 6] = [10_000.0, 20_000.0, 25_000.0, 30_000.0, 10_000.0, 10_000.0];
    let part = |at: usize| {
        let offered = rates[at / 4] / 4.0;
        let (ns, refused) = match at / 4 {
            2 => (20_000_000, 0),
            3 => (90_000_000, 900),
            4 if at < 18 => (60_000_000, 0),
            _ => (1_000_000, 0),
        };
        Part {
            end_ms: 250.0 * (at + 1) as f64,
            offered: offered as u64,
            refused,
            done: offered.min(5_400.0) as u64,
            queued: 30 + refused,
            resident: 30 << 20,
            latencies: vec![(ns, 2_000)],
            busy: if ns > 1_000_000 { 1.98 } else { 1.0 },
            ..Part::default()
        }
    };
    let answer = Answer {
        timeline: (0..24).map(part).collect(),
        ..Answer::default()
    };
    let step = |(at, rate): (usize, &f64)| Step {
        rate: *rate,
        until_ms: 1000.0 * (at + 1) as f64,
    };
    let mut steps: Vec<Step> = rates.iter().enumerate().map(step).collect();
    // The last two seconds are one step.
    steps.remove(4);
    let ordeal = Ordeal {
        steps,
        p99_ns: 10e6,
        calm_ms: 500.0,
        running: 2.0,
        memory: None,
    };
    let findings = Findings {
        breaking: Some(ordeal.judge(&answer.timeline, None)),
        ..Findings::default()
    };
    scenario("latency/events", &answer, findings)
}

fn scales(id: &str, most: u32) -> SavedScenario {
    let law = Usl {
        one: 1e6,
        contention: 0.1,
        coherency: 0.02,
    };
    let rounds = (1..=most).map(|n| {
        let rate = |round: u32| law.at(f64::from(n)) * (0.98 + 0.01 * f64::from((round + n) % 5));
        (n, (0..7).map(rate).collect())
    });
    let rounds: Vec<(u32, Vec<f64>)> = rounds.collect();
    let (workers, speeds): (Vec<f64>, Vec<Vec<f64>>) = rounds
        .iter()
        .map(|(n, speeds)| (f64::from(*n), speeds.clone()))
        .unzip();
    let findings = Findings {
        scaling: Some(Scaling {
            law: Fitted::of(&workers, &speeds),
            rounds,
        }),
        ..Findings::default()
    };
    scenario(id, &Answer::default(), findings)
}

fn keeps(id: &str, each: i64) -> SavedScenario {
    let stage = StageShare {
        name: "price".to_owned(),
        items: 200_000,
        busy_ns: 100_000_000,
        allocations: 200_000,
        bytes: 3_200_000,
        kept: 200_000 * each,
    };
    let answer = Answer {
        stages: vec![stage.clone()],
        live_bytes: (0..40)
            .map(|at| 1_000_000 + 5_000 * each * at + 300 * (at % 3))
            .collect(),
        ..Answer::default()
    };
    let findings = Findings {
        memory: Some(Memory {
            live_bytes: answer.live_bytes.clone(),
            drained: (0..12)
                .map(|at| 4_096 + at.min(3) * 512 + 24 * each * at)
                .collect(),
            leak: leak(&answer),
            stages: vec![stage],
        }),
        ..Findings::default()
    };
    scenario(id, &answer, findings)
}

fn saved() -> Saved {
    Saved {
        scenarios: vec![
            breaks(),
            scales("throughput/fused", 8),
            scales("throughput/keyed", 2),
            keeps("memory/events", 16),
            keeps("memory/fused", 0),
        ],
        partial: false,
        verdict: "recovered".to_owned(),
        ..golden::saved()
    }
}

pub(super) fn html() -> String {
    let page = page(&saved(), &History::default(), Path::new("run.json"), "{}");
    page.expect("it can be drawn").html()
}

#[test]
fn the_page_of_what_questions_find_is_as_before() {
    insta::assert_snapshot!("questions", golden::outline(&html()));
}

#[test]
fn a_law_is_drawn_where_it_was_fitted_and_a_leak_where_there_is_one() {
    let html = html();
    let times = |part: &str| html.matches(part).count();
    let check = |part: &str, expect: usize| assert_eq!(times(part), expect, "{part}");
    check("<figcaption>Done by offered load, step by step", 1);
    check("<figcaption>Throughput by the number of workers", 2);
    check(
        "contention 0.1036 [0.0855 - 0.1131]; coherency 0.019499 [0.018218 - 0.021401]; fastest with about 7 workers; what was \
         measured is at most 1.0 % off",
        1,
    );
    check("it takes 6 numbers of workers", 1);
    check("bytes stay behind with each item", 1);
    check("While it runs they do not go up all the time.", 1);
    check("Exactly 5632 bytes after each of the last 6 times.", 1);
    check("may be none", 1);
}
