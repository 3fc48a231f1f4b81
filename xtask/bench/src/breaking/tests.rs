//! What is read from courses that are made up.

use super::*;
use crate::protocol::Signs;

/// Half of 1000 a second, then 1000, 1250 and 1500, and half again; a second each, but for the last one.
fn ordeal() -> Ordeal {
    let step = |rate, until_ms| Step { rate, until_ms };
    Ordeal {
        steps: vec![
            step(500.0, 1000.0),
            step(1000.0, 2000.0),
            step(1250.0, 3000.0),
            step(1500.0, 4000.0),
            step(500.0, 8000.0),
        ],
        p99_ns: 10e6,
        running: 2.0,
        memory: Some(1000),
        calm_ms: 1000.0,
    }
}

/// A quarter of a second at a rate that it can take.
fn calm(at: usize, rate: u64) -> Part {
    Part {
        end_ms: 250.0 * (at + 1) as f64,
        offered: rate / 4,
        done: rate / 4,
        resident: 100,
        busy: 2.0 * rate as f64 / 1000.0,
        latencies: vec![(1_000_000, 198), (2_000_000, 2)],
        ..Part::default()
    }
}

/// A course in which nothing happens, and what happens in it.
fn course(change: impl Fn(f64, &mut Part)) -> Vec<Part> {
    let part = |at: usize| {
        let rate = [500, 1000, 1250, 1500][(at / 4) % 4];
        let rate = if at >= 16 { 500 } else { rate };
        let mut part = calm(at, rate);
        change(part.end_ms - 250.0, &mut part);
        part
    };
    (0..32).map(part).collect()
}

fn slow(part: &mut Part, ns: u64) {
    part.latencies = vec![(ns, 200)];
}

fn whats(found: &Broken) -> Vec<What> {
    found.events.iter().map(|event| event.what).collect()
}

#[test]
fn what_takes_everything_does_not_break() {
    let found = ordeal().judge(&course(|_, _| ()), None);
    assert_eq!((whats(&found), found.gave_out.clone()), (vec![], None));
    assert_eq!(found.recovered_ms, Some(0.0));
    assert_eq!((found.peak, found.usual_p99_ns), (1500.0, 1e6));
    let rates: Vec<f64> = found.steps.iter().map(|step| step.rate).collect();
    assert_eq!(rates, [500.0, 1000.0, 1250.0, 1500.0, 500.0]);
    // A quarter of 1250 has no half item.
    assert_eq!(found.steps[2].done, 1248.0);
}

#[test]
fn what_happens_is_told_in_its_order() {
    let parts = course(|from, part| {
        let after = |ms: f64| from >= ms && from < 4000.0;
        let since = |ms: f64| if from >= ms { 7 } else { 0 };
        part.busy = 1.95;
        if after(2000.0) {
            slow(part, 30_000_000);
        }
        part.signs = Signs {
            breakers: since(2250.0),
            shed: since(2750.0),
            failed: since(3000.0),
            held_back: since(3250.0),
        };
        if after(2500.0) {
            part.refused = 3;
        }
        if after(3500.0) {
            part.done = 100;
        }
    });
    let found = ordeal().judge(&parts, None);
    let expect = [
        (What::LatencyBreach, 2000.0, 1250.0),
        (What::BreakerChanged, 2250.0, 1250.0),
        (What::QueueFull, 2500.0, 1250.0),
        (What::Shedding, 2750.0, 1250.0),
        (What::Failing, 3000.0, 1500.0),
        (What::MemoryGuard, 3250.0, 1500.0),
        (What::ThroughputCollapse, 3500.0, 1500.0),
    ];
    let told: Vec<_> = found
        .events
        .iter()
        .map(|event| (event.what, event.at_ms, event.rate))
        .collect();
    assert_eq!(told, expect);
    assert_eq!(found.recovered_ms, Some(0.0));
}

#[test]
fn what_gave_out_first_is_named_with_its_evidence() {
    let check = |change: &dyn Fn(&mut Part), stage: Option<(&str, f64)>, expect: Resource| {
        let parts = course(|from, part| {
            if (2000.0..4000.0).contains(&from) {
                change(part);
            }
        });
        let found = ordeal().judge(&parts, stage);
        let gave = found.gave_out.expect("something gave out");
        assert_eq!(gave.resource, expect, "{gave:?}");
    };
    let busy = |share: f64| {
        move |part: &mut Part| {
            slow(part, 30_000_000);
            part.busy = 2.0 * share;
        }
    };
    check(&busy(0.97), None, Resource::Workers);
    check(&busy(0.4), None, Resource::Waiting);
    check(&busy(0.4), Some(("fold", 0.98)), Resource::Stage);
    check(&busy(0.97), Some(("fold", 0.3)), Resource::Workers);
    check(&|part| part.resident = 900, None, Resource::Memory);
    let late = |part: &mut Part| {
        slow(part, 30_000_000);
        part.late_ns = 20_000_000;
    };
    check(&late, None, Resource::Generator);
}

#[test]
fn recovery_is_when_it_is_as_before_and_stays_so() {
    let check = |slow_from: f64, slow_until: f64, expect: Option<f64>| {
        let parts = course(|from, part| {
            if from >= 2000.0 && (from < 4000.0 || (slow_from..slow_until).contains(&from)) {
                slow(part, 30_000_000);
            }
        });
        let found = ordeal().judge(&parts, None);
        assert_eq!(found.recovered_ms, expect, "{slow_from} {slow_until}");
    };
    check(0.0, 0.0, Some(0.0));
    check(4000.0, 4750.0, Some(750.0));
    // Calm for half a second only, in between.
    check(4500.0, 5000.0, Some(1000.0));
    check(4000.0, 8000.0, None);
    check(7250.0, 8000.0, Some(0.0));
}

#[test]
fn what_still_loses_items_has_not_recovered() {
    let check = |change: &dyn Fn(&mut Part)| {
        let parts = course(|from, part| {
            if from >= 2000.0 {
                change(part);
            }
        });
        let found = ordeal().judge(&parts, None);
        assert_eq!(found.recovered_ms, None, "{:?}", found.events);
    };
    check(&|part| part.refused = 1);
    check(&|part| part.signs.shed = part.end_ms as u64);
}

#[test]
fn what_nobody_knows_or_is_not_done_has_not_recovered() {
    let check = |change: &dyn Fn(&mut Part)| {
        let parts = course(|from, part| {
            if from >= 4000.0 {
                change(part);
            }
        });
        assert_eq!(ordeal().judge(&parts, None).recovered_ms, None);
    };
    check(&|part| part.latencies.clear());
    check(&|part| part.done /= 2);
}

#[test]
fn what_does_all_that_comes_does_not_collapse() {
    let parts = course(|from, part| {
        if from == 3500.0 {
            (part.offered, part.done) = (250, 250);
        }
    });
    assert_eq!(whats(&ordeal().judge(&parts, None)), []);
}
