//! Stages with a rate: what is beyond it waits, and nothing is lost or reordered.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "what stages use is as public as the functions that pipelines are made of"
)]

use std::time::Duration;

use pipewright::pipeline;
use pipewright_tests::Seen;

type Env = Seen<u64>;

#[pipeline(env = Env)]
mod slow {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..5_000
    }

    #[stage(from = numbers, rate = "100k/s")]
    pub(crate) fn limited(n: u64) -> u64 {
        n
    }

    #[sink(from = limited)]
    fn publish(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn in_a_dry_run_items_go_on_at_their_rate() {
    let seen = Env::new();
    let mut run = slow::pipeline().dry_run(seen.clone());
    run.feed::<slow::limited>(0..1_500);
    run.run();
    // As much as comes in 10 ms comes at once.
    assert_eq!(seen.len(), 1_000);
    run.advance("1ms");
    run.run();
    assert_eq!(seen.len(), 1_100);
    let limited = run.metrics().stage::<slow::limited>().clone();
    assert_eq!(
        (limited.in_flight, limited.guard.map(|guard| guard.waiting)),
        (400, Some(1))
    );
    // At the end nothing waits for the sake of a rate.
    let report = run.drain().expect("nothing stops it");
    assert_eq!(
        (seen.len(), report.elapsed()),
        (1_500, Duration::from_millis(1))
    );
}

#[test]
fn with_threads_no_item_is_lost_or_reordered_and_the_rate_is_kept() {
    for workers in [1, 3] {
        let seen = Env::new();
        let report = slow::pipeline()
            .workers(workers)
            .run(seen.clone())
            .expect("nothing stops it");
        assert!(seen.take().into_iter().eq(0..5_000), "{report}");
        // 5,000 items less a burst of 1,000; a machine that pauses brings as much at most.
        assert!(report.elapsed() >= Duration::from_millis(39), "{report}");
        let guard = report
            .metrics()
            .get("limited")
            .unwrap()
            .guard
            .clone()
            .unwrap();
        assert!(guard.held > 0 && guard.state.is_none(), "{report}");
    }
}

#[test]
fn a_drain_waits_for_no_rate() {
    let seen = Env::new();
    let tuned = r#"( stages: { "limited": (rate: "1/min") } )"#;
    let run = slow::pipeline()
        .workers(2)
        .tuning("t.tuning.ron", tuned)
        .unwrap()
        .start(seen.clone())
        .expect("it starts");
    while run
        .metrics()
        .get("limited")
        .and_then(|seen| seen.guard.clone())
        .is_none_or(|guard| guard.waiting == 0)
    {
        std::thread::yield_now();
    }
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.ledger().dropped, 0);
    assert_eq!(seen.len() as u64, report.ledger().received, "{report}");
}
