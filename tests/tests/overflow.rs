//! However many batches are on their way, each has a place to wait: those that a keyed stage divides by partition, too.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::pipeline;
use pipewright_tests::work;

const ITEMS: u64 = 100_000;

/// The pinned thread divides its batches by key much faster than the one worker takes the parts.
#[pipeline]
mod by_key {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[sink(from = numbers, key = |n| *n % 1000)]
    pub fn counted(n: u64, count: &mut u64) {
        *count += work(n).min(1);
    }
}

#[test]
fn no_part_of_a_batch_is_dropped_when_a_pinned_thread_divides_many() {
    let report = by_key::pipeline()
        .workers(1)
        .start(())
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(report.ledger().dropped, 0, "{report}");
    assert_eq!(report.ledger().delivered, ITEMS, "{report}");
}
