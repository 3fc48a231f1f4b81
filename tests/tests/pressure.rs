//! A source that is much faster than its sink fills nothing up: what is on its way is bounded.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use pipewright::pipeline;
use pipewright_tests::{WORKERS, work};

/// What the source gave, what the sink took, and the most that was ever between them.
#[derive(Debug, Default)]
pub struct Gauge {
    given: AtomicU64,
    taken: AtomicU64,
    most: AtomicU64,
}

#[pipeline(env = Arc<Gauge>)]
mod slow_sink {
    use super::*;

    #[source(batch = 64)]
    pub fn fast(env: &Arc<Gauge>) -> impl Iterator<Item = [u64; 8]> {
        (0..40_000).map(|n| {
            env.given.fetch_add(1, Ordering::Relaxed);
            [n; 8]
        })
    }

    #[stage(from = fast)]
    pub fn pass(item: [u64; 8]) -> [u64; 8] {
        item
    }

    #[sink(from = pass)]
    pub fn slow(item: [u64; 8], env: &Arc<Gauge>) {
        for _ in 0..10 {
            work(item[0]);
        }
        let taken = env.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let between = env.given.load(Ordering::Relaxed).saturating_sub(taken);
        env.most.fetch_max(between, Ordering::Relaxed);
    }
}

#[test]
fn what_is_on_its_way_is_bounded_by_the_credits() {
    for workers in WORKERS {
        let gauge = Arc::new(Gauge::default());
        let report = slow_sink::pipeline()
            .workers(workers)
            .start(Arc::clone(&gauge))
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(report.ledger().delivered, 40_000, "{report}");
        // At least 8 tickets, four for each worker, and one pull takes 64 items at most.
        let tickets = (4 * workers as u64).next_power_of_two().max(8);
        let most = gauge.most.load(Ordering::Relaxed);
        assert!(
            most <= tickets * 64,
            "{most} items between source and sink with {workers} workers"
        );
    }
}

#[pipeline]
mod wide {
    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..3
    }

    /// Far more items than any buffer is made for.
    #[stage(from = numbers)]
    pub fn expand(n: u64) -> impl Iterator<Item = u64> {
        (0..100_000).map(move |k| n * 100_000 + k)
    }

    #[sink(from = expand)]
    pub fn last(n: u64, next: &mut u64) {
        assert_eq!(n, *next);
        *next += 1;
    }
}

#[test]
fn one_item_may_become_very_many_in_order() {
    for workers in WORKERS {
        let mut report = wide::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(report.take_state::<wide::last>(), Some(300_000), "{report}");
        assert_eq!(report.ledger().created, 300_000 - 3);
    }
}
