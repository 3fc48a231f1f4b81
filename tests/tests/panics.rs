//! A panic loses the item that caused it and no other, and the ledger says so.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{Batch, Emit, Merge, RunError, pipeline};
use pipewright_tests::{Seen, WORKERS, work};

const ITEMS: u64 = 10_000;

#[pipeline(env = Seen<u64>)]
mod stateless {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn split(n: u64) -> impl Iterator<Item = u64> {
        (0..3).map(move |k| {
            assert!(!(n == 500 && k == 2), "in the iterator");
            3 * n + k
        })
    }

    #[stage(from = split)]
    pub fn map(n: u64) -> u64 {
        assert!(n % 1000 != 999, "in the map");
        work(n)
    }

    #[stage(from = map)]
    pub fn emit(n: u64, out: &mut Emit<u64>) {
        out.send(n);
        assert!(n % 1000 != 500, "after sending");
    }

    #[stage(from = emit, batch = 10)]
    pub fn batch(batch: &mut Batch<u64>) {
        assert!(!batch.contains(&7000), "in the batch");
    }

    #[stage(from = batch)]
    pub fn after(n: u64) -> u64 {
        assert!(n != 8001, "behind the batch");
        n
    }

    #[sink(from = after)]
    pub fn last(n: u64, env: &Seen<u64>) {
        assert!(n != 9001, "in the sink");
        env.see(n);
    }
}

#[test]
fn a_panicking_item_leaves_and_the_others_go_on() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = stateless::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        let metrics = report.metrics();
        assert_eq!(metrics.stage::<stateless::split>().panicked, 1);
        assert_eq!(metrics.stage::<stateless::map>().panicked, 30);
        assert_eq!(metrics.stage::<stateless::emit>().panicked, 30);
        // A batch that panics is lost whole; one that was cut short by the end of a pull may be smaller.
        let lost = metrics.stage::<stateless::batch>().panicked;
        assert!((1..=10).contains(&lost), "{report}");
        let items = seen.take();
        assert!(items.is_sorted());
        let made = 3 * ITEMS - 1;
        let rest = metrics.stage::<stateless::after>().panicked
            + metrics.stage::<stateless::last>().panicked;
        assert_eq!(items.len() as u64, made - 30 - 30 - lost - rest, "{report}");
        assert!(rest <= 2 && !report.panics().is_empty());
    }
}

#[derive(Default)]
pub struct Count(u64);

impl Merge for Count {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[pipeline]
mod stateful {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, per_worker)]
    pub fn worker(n: u64, count: &mut Count) -> u64 {
        count.0 += 1;
        assert!(n != 100, "per worker");
        n
    }

    #[stage(from = worker, on_panic = keep)]
    pub fn kept(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        assert!(n != 200, "kept");
        n
    }

    #[stage(from = kept, on_panic = reset)]
    pub fn made_anew(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        assert!(n != 300, "reset");
        n
    }

    #[stage(from = made_anew, key = |n| n % 10, on_panic = reset)]
    pub fn keyed(n: u64, count: &mut u64) -> (u64, u64) {
        *count += 1;
        assert!(n != 403, "keyed");
        (n, *count)
    }

    #[sink(from = keyed)]
    pub fn last(pair: (u64, u64), seen: &mut Vec<(u64, u64)>) {
        seen.push(pair);
    }
}

#[test]
fn state_is_kept_or_made_anew_as_on_panic_says() {
    for workers in WORKERS {
        let mut report = stateful::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        assert_eq!(report.ledger().panicked, 4, "{report}");
        // Kept: 10,000 items less the one lost before it.
        assert_eq!(report.take_state::<stateful::kept>(), Some(ITEMS - 1));
        // Made anew behind item 300.
        assert_eq!(
            report.take_state::<stateful::made_anew>(),
            Some(ITEMS - 301)
        );
        let last = report
            .take_state::<stateful::last>()
            .expect("the sink's state");
        let of_key = |key: u64| {
            last.iter()
                .filter(move |(n, _)| n % 10 == key)
                .map(|(_, count)| *count)
                .max()
        };
        // Key 3 began again behind item 403; the items 3, 13, .., 393 came before, 300 is another key's.
        assert_eq!(of_key(3), Some(ITEMS / 10 - 41));
        // Key 1 lost nothing.
        assert_eq!(of_key(1), Some(ITEMS / 10));
    }
}

#[pipeline]
mod stopping {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers)]
    pub fn last(n: u64, count: &mut u64) {
        *count += 1;
        assert!(n != 1234, "no such number");
    }
}

#[test]
fn a_panic_with_a_shared_state_stops_the_run_and_names_the_stage() {
    for workers in WORKERS {
        let failed = stopping::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap_err();
        assert!(
            matches!(&failed.error, RunError::Panicked { stage: "last", .. }),
            "{:?}",
            failed.error
        );
        assert_eq!(failed.to_string(), "`last` panicked: no such number");
        assert!(failed.report.ledger().is_balanced(), "{}", failed.report);
        assert_eq!(failed.report.ledger().delivered, 1234);
    }
}

#[pipeline]
mod bad_source {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        (0..100u64).inspect(|n| assert!(*n != 50, "the wire broke"))
    }

    #[sink(from = numbers)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn a_panicking_source_stops_the_run() {
    for workers in WORKERS {
        let failed = bad_source::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap_err();
        assert_eq!(failed.to_string(), "`numbers` panicked: the wire broke");
        assert!(failed.report.ledger().is_balanced(), "{}", failed.report);
    }
}
