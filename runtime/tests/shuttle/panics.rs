//! Many items panic, in stages of every kind: each is lost by itself, and the ledger says so.

use std::panic::resume_unwind;

use pipewright::{Batch, Emit, Merge, RunError, pipeline};

use crate::harness::{Seen, any, balanced, check, ended, mixed, start, uneven};

const ITEMS: u64 = 40;

/// Where items panic, and how many do: one in so many.
pub struct Storm {
    one_in: u64,
    seen: Seen<u64>,
}

impl Storm {
    fn any(seen: &Seen<u64>) -> Self {
        Self {
            one_in: 2 + any(8),
            seen: seen.clone(),
        }
    }

    /// Panics for some items, in the stage with this number.
    fn strike(&self, stage: u64, n: u64) {
        if self.hits(stage, n) {
            // The same as a panic, without the message on the screen and without shuttle's, which is for those that are not caught.
            resume_unwind(Box::new("a storm"));
        }
    }

    fn hits(&self, stage: u64, n: u64) -> bool {
        mixed(n * 8 + stage).is_multiple_of(self.one_in)
    }
}

#[derive(Default)]
pub struct Count(u64);

impl Merge for Count {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[pipeline(env = Storm, quantum = "1us")]
mod storm {
    use super::*;

    #[source(batch = 5)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn map(n: u64, env: &Storm) -> u64 {
        env.strike(0, n);
        uneven(n)
    }

    #[stage(from = map)]
    pub fn emit(n: u64, env: &Storm, out: &mut Emit<u64>) {
        out.send(2 * n);
        env.strike(1, n);
        out.send(2 * n + 1);
    }

    #[stage(from = emit, on_panic = reset)]
    pub fn serial(n: u64, count: &mut u64, env: &Storm) -> u64 {
        *count += 1;
        env.strike(2, n);
        n
    }

    #[stage(from = serial, batch = 4)]
    pub fn batch(batch: &mut Batch<u64>, env: &Storm) {
        if batch.iter().all(|n| env.hits(3, *n)) {
            env.strike(3, batch[0]);
        }
    }

    #[stage(from = batch, per_worker, on_panic = keep)]
    pub fn own(n: u64, count: &mut Count, env: &Storm) -> u64 {
        env.strike(4, n);
        count.0 += 1;
        n
    }

    #[stage(from = own, key = |n| n % 5, on_panic = keep)]
    pub fn keyed(n: u64, count: &mut u64, env: &Storm) -> u64 {
        *count += 1;
        env.strike(5, n);
        n
    }

    #[sink(from = keyed)]
    pub fn last(n: u64, env: &Storm) {
        env.strike(6, n);
        env.seen.see(uneven(n));
    }
}

#[test]
fn items_that_panic_are_lost_one_by_one_and_counted() {
    check(|| {
        let seen = Seen::new();
        let env = Storm::any(&seen);
        let struck = |stage: u64| (0..ITEMS).filter(|n| env.hits(stage, *n)).count() as u64;
        let (in_map, one_in) = (struck(0), env.one_in);
        let lost = (0..ITEMS)
            .filter(|n| !env.hits(0, *n) && env.hits(1, *n))
            .count() as u64;
        let mut report = ended(start(storm::pipeline(), env).wait());
        let metrics = report.metrics();
        assert_eq!(
            metrics.stage::<storm::map>().panicked,
            in_map,
            "one in {one_in}: {report}"
        );
        assert_eq!(
            metrics.stage::<storm::emit>().panicked,
            lost,
            "one in {one_in}: {report}"
        );
        let passed = metrics.stage::<storm::own>().sent;
        let mut items = seen.take();
        assert_eq!(report.ledger().delivered, items.len() as u64, "{report}");
        items.sort_unstable();
        items.dedup();
        assert_eq!(report.ledger().delivered, items.len() as u64, "{report}");
        let counted = report.take_state::<storm::own>().map(|count| count.0);
        assert_eq!(counted, Some(passed), "{report}");
    });
}

#[pipeline(env = Storm, quantum = "1us")]
mod fragile {
    use super::*;

    #[source(batch = 3)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn map(n: u64) -> u64 {
        uneven(n)
    }

    #[stage(from = map, key = |n| n % 3)]
    pub fn keyed(n: u64, count: &mut u64, env: &Storm) -> u64 {
        *count += 1;
        env.strike(0, n + 8 * env.one_in);
        n
    }

    #[sink(from = keyed)]
    pub fn last(n: u64, env: &Storm) {
        env.seen.see(n);
    }
}

#[test]
fn a_panic_that_stops_the_run_leaves_nothing_uncounted() {
    check(|| {
        let seen = Seen::new();
        let env = Storm::any(&seen);
        let expected = (0..ITEMS).any(|n| env.hits(0, n + 8 * env.one_in));
        match start(fragile::pipeline(), env).wait() {
            Ok(report) => {
                balanced(&report);
                assert!(!expected, "{report}");
                assert_eq!(seen.take().len() as u64, ITEMS);
            }
            Err(failed) => {
                balanced(&failed.report);
                let of_stage = matches!(failed.error, RunError::Panicked { stage: "keyed", .. });
                assert!(expected && of_stage, "{:?}", failed.error);
                assert_eq!(failed.report.ledger().delivered, seen.take().len() as u64);
            }
        }
    });
}
