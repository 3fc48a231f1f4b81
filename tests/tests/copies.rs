//! One output that several stages of the same loop read: what happens to one copy is no matter of the others.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::pipeline;
use pipewright_tests::{Seen, WORKERS};

type Env = Seen<u64>;

#[pipeline(env = Env)]
mod copied {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    /// The first reader of the numbers.
    #[stage(from = numbers)]
    pub fn fragile(n: u64) -> Option<u64> {
        assert!(n % 10 != 3, "a three");
        (n % 2 == 0).then_some(n)
    }

    #[sink(from = fragile, order = any)]
    pub fn even(_: u64) {}

    /// The other one; all three are in one loop.
    #[sink(from = numbers, order = any)]
    pub fn all(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn a_panic_in_one_reader_keeps_nothing_from_the_others() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = copied::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(seen.len(), 1000, "{report}");
        let ledger = report.ledger();
        assert_eq!((ledger.delivered, ledger.filtered), (1500, 400), "{report}");
        assert_eq!(ledger.panicked, 100, "{report}");
    }
}

#[pipeline(env = Env)]
mod copied_and_stopped {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[sink(from = numbers, order = any, on_panic = stop)]
    pub fn fragile(n: u64) {
        assert!(n != 500, "five hundred");
    }

    #[sink(from = numbers, order = any)]
    pub fn all(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn a_reader_that_stops_the_run_drops_and_counts_the_copies_of_the_others() {
    for workers in WORKERS {
        let seen = Seen::new();
        let failed = copied_and_stopped::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap_err();
        let report = failed.report;
        let all = report.metrics().stage::<copied_and_stopped::all>();
        assert_eq!(all.sent, seen.len() as u64, "{report}");
        assert_eq!(
            (all.filtered, all.received),
            (0, all.sent + all.dropped),
            "{report}"
        );
    }
}
