//! Numbers that say who is served and what waits, changed while a run goes on.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::Arc;

use pipewright::{Blueprint, Priority, Running, pipeline};
use pipewright_tests::{Gate, eventually};

/// Changes the numbers of a stage; the changes, as they are told.
#[track_caller]
fn retune<P: Blueprint>(run: &Running<P>, stage: &str, numbers: &str) -> Vec<String> {
    let text = format!("( stages: {{ \"{stage}\": ({numbers}) }} )");
    let changes = run.retune("operator", &text).unwrap();
    changes.iter().map(ToString::to_string).collect()
}

/// A gate, and nothing else.
type Env = Arc<Gate>;

#[pipeline(env = Env)]
mod narrow {
    use super::*;

    #[sink(from = input, workers = 1, order = any)]
    pub fn ask(_: u64, gate: &Env) {
        gate.pass();
    }
}

#[test]
fn more_workers_come_into_a_stage_when_they_may() {
    let gate = Env::default();
    let run = narrow::pipeline()
        .workers(3)
        .start(Arc::clone(&gate))
        .unwrap();
    let guard = || {
        run.metrics()
            .stage::<narrow::ask>()
            .guard
            .clone()
            .expect("it has a bulkhead")
    };
    run.send(0).unwrap();
    gate.reached();
    run.send(1).unwrap();
    eventually(|| guard().waiting == 1);
    assert_eq!(guard().inside, 1);
    assert_eq!(retune(&run, "ask", "workers: 2"), ["ask.workers 1 -> 2"]);
    eventually(|| guard().inside == 2);
    // The third one waits until the second of those has left.
    assert_eq!(retune(&run, "ask", "workers: 1"), ["ask.workers 2 -> 1"]);
    run.send(2).unwrap();
    eventually(|| guard().waiting == 1);
    assert_eq!(guard().inside, 2);
    gate.open();
    eventually(|| run.metrics().stage::<narrow::ask>().sent == 3);
    let report = run.drain().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
}

#[pipeline(pool(workers = 1))]
mod shedding {
    #[sink(from = input, shed(target = "60min", interval = "60min"))]
    pub fn last(_: u64) {}
}

#[test]
fn what_waits_is_shed_by_the_times_of_the_moment() {
    let run = shedding::pipeline().start(()).unwrap();
    let rounds = || {
        // Each round is a pull or more; twenty of them shed all that is not critical.
        for _ in 0..60 {
            for n in 0..10 {
                run.send_at(Priority::Low, n).unwrap();
            }
            eventually(|| run.input().is_empty());
        }
    };
    rounds();
    assert_eq!(
        retune(&run, "last", r#"shed: (target: "1ns", interval: "1ns")"#),
        [
            "last.shed.target 60min -> 1ns",
            "last.shed.interval 60min -> 1ns"
        ]
    );
    rounds();
    assert_eq!(
        retune(&run, "last", r#"shed: (target: "60min")"#),
        ["last.shed.target 1ns -> 60min"]
    );
    let ledger = run.drain().unwrap().ledger();
    assert!(ledger.is_balanced(), "{ledger}");
    assert!(ledger.delivered >= 600, "{ledger}");
    assert!(ledger.dropped_by.shed > 0, "{ledger}");
}
