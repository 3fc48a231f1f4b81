//! Workers that panic outside of all functions of users.

use pipewright::{
    RunError,
    failpoint::{Place, arm, hits},
    pipeline,
};
use pipewright_tests::{
    faults,
    oracle::{Case, InOrder, Random},
    turns, work,
};

const ITEMS: u64 = 20_000;

/// An item goes through the hands of several workers.
#[pipeline(pool(workers = 3), quantum = "20us")]
mod shared {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn first(n: u64) -> u64 {
        work(n)
    }

    #[stage(from = first, key = |n: &u64| n % 16)]
    pub fn keyed(n: u64, last: &mut Option<u64>) -> u64 {
        assert!(
            last.is_none_or(|last| last < n),
            "a key's items are out of order"
        );
        *last = Some(n);
        work(n)
    }

    /// Its futures are under way while workers die.
    #[stage(from = keyed, in_flight = 32)]
    pub async fn rest(n: u64) -> u64 {
        turns(n % 3).await;
        work(n)
    }

    #[sink(from = rest)]
    pub fn last(n: u64, seen: &mut Vec<u64>) {
        seen.push(n);
    }
}

/// The failpoints are the process's.
struct Armed;

impl Armed {
    fn at(random: &mut Random, places: &[Place]) -> Self {
        places
            .iter()
            .for_each(|place| arm(*place, 3 + random.below(40)));
        Self
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        for place in [Place::Between, Place::Resting, Place::Holding] {
            arm(place, 0);
        }
    }
}

#[test]
fn c5_workers_that_die_between_two_batches_lose_nothing() {
    let case = Case::begin("C5");
    let (mut random, deaths) = (case.random(), faults(20_000));
    let (mut died, mut runs) = (0, 0);
    while died < deaths {
        let before = hits(Place::Between) + hits(Place::Resting);
        let armed = Armed::at(&mut random, &[Place::Between, Place::Resting]);
        let report = shared::pipeline().in_parallel().start(()).unwrap().wait();
        drop(armed);
        let mut report = report.unwrap();
        let seen = report.take_state::<shared::last>().unwrap();
        let mut all = seen.clone();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ITEMS), "{report}");
        let revived: u64 = report
            .metrics()
            .workers()
            .iter()
            .map(|worker| worker.revived)
            .sum();
        assert_eq!(
            revived,
            hits(Place::Between) + hits(Place::Resting) - before
        );
        let ledger = report.ledger();
        assert!(
            ledger.is_balanced() && ledger.delivered == ITEMS,
            "{report}"
        );
        let told = report
            .warnings()
            .iter()
            .any(|warning| warning.contains("a bug of pipewright"));
        assert_eq!(told, revived > 0, "{report}");
        assert_eq!(report.panics(), []);
        died += revived;
        runs += 1;
    }
    println!("C5: {died} deaths in {runs} runs of {ITEMS} items, 0 lost");
    case.end();
}

#[test]
fn c5_a_worker_that_dies_with_a_batch_ends_the_run_and_all_of_it_is_accounted_for() {
    let case = Case::begin("C5, with a batch");
    let (mut random, runs) = (case.random(), faults(400));
    let mut dropped = 0;
    for round in 0..runs {
        let armed = Armed::at(&mut random, &[Place::Holding]);
        let builder = shared::pipeline().in_parallel();
        // In every second one there is no other worker, who would see to what is left.
        let builder = match round % 2 {
            0 => builder,
            _ => builder.workers(1),
        };
        let ended = builder.start(()).unwrap().wait();
        drop(armed);
        let failed = ended.unwrap_err();
        let is_told =
            matches!(&failed.error, RunError::Panicked { message, .. } if message == "failpoint");
        assert!(is_told, "{failed}");
        let mut report = failed.report;
        let ledger = report.ledger();
        let seen = report.take_state::<shared::last>().unwrap_or_default();
        assert!(ledger.is_balanced(), "{report}");
        assert_eq!(
            (ledger.in_flight, ledger.delivered),
            (0, seen.len() as u64),
            "{report}"
        );
        assert_eq!(
            ledger.received,
            ledger.delivered + ledger.dropped,
            "{report}"
        );
        for key in 0..16 {
            let mut own = InOrder::default();
            seen.iter()
                .filter(|n| **n % 16 == key)
                .for_each(|n| own.see(*n));
            assert_eq!(own.disordered, 0, "{report}");
        }
        dropped += ledger.dropped;
    }
    println!("C5: {runs} runs ended by a death with a batch, {dropped} items dropped and counted");
    case.end();
}

/// What comes through the gate is left for two, so that one is in the queue while the worker has the other in its hands.
#[pipeline]
mod left {
    #[source(batch = 8)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..64
    }

    #[stage(from = numbers)]
    pub fn count(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[sink(from = count, order = any)]
    pub fn one(_: u64) {}

    #[sink(from = count, order = any)]
    pub fn other(_: u64) {}
}

#[test]
fn c5_what_the_last_worker_leaves_in_its_queue_when_it_dies_is_accounted_for() {
    let case = Case::begin("C5, the last worker");
    for workers in [1, 2, 3] {
        for _ in 0..faults(100) {
            // Whoever takes something out of a queue dies.
            arm(Place::Holding, 1);
            let armed = Armed;
            let run = left::pipeline().workers(workers).in_parallel().start(());
            let failed = run.unwrap().wait().unwrap_err();
            drop(armed);
            let (report, ledger) = (&failed.report, failed.report.ledger());
            assert!(ledger.is_balanced(), "{report}");
            assert_eq!((ledger.in_flight, ledger.delivered), (0, 0), "{report}");
            // Of what came through the gate both copies are left: the one in its hands, and the one in the queue. What others have
            // brought may not have come through.
            let counted = report.metrics().stage::<left::count>().sent;
            assert!(counted > 0, "{report}");
            let waits = ledger.received - counted;
            assert_eq!(ledger.dropped, 2 * counted + waits, "{report}");
        }
    }
    case.end();
}
