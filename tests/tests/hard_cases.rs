//! Cases that are easy to get wrong: gates behind gates, keys made anew, closing while others send.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pipewright::{Batch, RunError, pipeline};
use pipewright_tests::{Seen, WORKERS, work};

type Env = Seen<u64>;

#[pipeline(env = Env)]
mod joined_twice {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..20_000
    }

    /// Lets next to nothing through, so that its part of a ticket is mostly empty.
    #[stage(from = numbers)]
    pub fn rare(n: u64) -> Option<u64> {
        (n % 5000 == 1).then(|| work(n))
    }

    #[stage(from = numbers)]
    pub fn left(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = [rare, left])]
    pub fn first_join(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        work(n)
    }

    #[stage(from = numbers)]
    pub fn right(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[sink(from = [first_join, right])]
    pub fn last(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn a_join_behind_a_join_keeps_order_and_loses_nothing() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = joined_twice::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        let items = seen.take();
        assert_eq!(items.len(), 40_004, "{report}");
        assert!(items.is_sorted(), "{workers} workers");
    }
}

#[pipeline(env = Env)]
mod two_sources_fork {
    use super::*;

    #[source]
    pub fn left() -> impl Iterator<Item = u64> {
        0..20_000
    }

    #[source]
    pub fn right() -> impl Iterator<Item = u64> {
        100_000..120_000
    }

    /// One way from each source comes here.
    #[stage(from = [left, right])]
    pub fn both(n: u64) -> u64 {
        work(n)
    }

    /// Another way of one of them, beside that.
    #[stage(from = [both, right])]
    pub fn again(n: u64) -> u64 {
        work(n)
    }

    #[sink(from = [both, again, right])]
    pub fn last(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn ways_of_several_sources_that_meet_again_are_told_apart() {
    for workers in WORKERS {
        let seen = Seen::new();
        let run = two_sources_fork::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap();
        let report = run.wait().unwrap();
        let items = seen.take();
        assert_eq!(items.len(), 40_000 + 80_000, "{report}");
        for side in [false, true] {
            let of_side = items.iter().filter(|n| (**n >= 100_000) == side);
            assert!(of_side.is_sorted(), "{workers} workers");
        }
    }
}

#[pipeline]
mod many_keys {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..60_000
    }

    /// In the second round of the keys every twentieth panics.
    #[stage(from = numbers, key = |n| n % 20_000, on_panic = reset)]
    pub fn count(n: u64, seen: &mut u64) -> (u64, u64) {
        *seen += 1;
        assert!(!(n / 20_000 == 1 && n % 20 == 7), "every twentieth");
        (n % 20_000, *seen)
    }

    #[sink(from = count)]
    pub fn last(pair: (u64, u64), most: &mut BTreeMap<u64, u64>) {
        most.insert(pair.0, pair.1);
    }
}

#[test]
fn a_panic_makes_the_state_of_its_own_key_anew_and_of_no_other() {
    for workers in WORKERS {
        let mut report = many_keys::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(report.ledger().panicked, 1000, "{report}");
        let last = report
            .take_state::<many_keys::last>()
            .expect("the sink's state");
        for (key, count) in last {
            // One count before, one that was lost with the state, one after.
            let expected = if key % 20 == 7 { 1 } else { 3 };
            assert_eq!(count, expected, "key {key}, {workers} workers");
        }
    }
}

#[pipeline]
mod bad_key {
    use super::*;

    fn key(n: &u64) -> u64 {
        assert!(*n != 500, "no key");
        n % 7
    }

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[stage(from = numbers, key = key, on_panic = keep)]
    pub fn count(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        work(n)
    }

    #[sink(from = count)]
    pub fn last(_: u64, count: &mut u64) {
        *count += 1;
    }
}

#[test]
fn a_key_function_that_panics_loses_its_item_at_the_keyed_stage() {
    for workers in WORKERS {
        let mut report = bad_key::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(
            report.metrics().stage::<bad_key::count>().panicked,
            1,
            "{report}"
        );
        assert_eq!(report.take_state::<bad_key::last>(), Some(999));
    }
}

#[pipeline(env = Env)]
mod pushed {
    use super::*;

    #[sink(from = input, queue = 8)]
    pub fn last(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn a_batch_that_never_ends_does_not_keep_a_drain_from_ending() {
    for workers in WORKERS {
        let seen = Seen::new();
        let run = pushed::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap();
        let input = run.input();
        let given = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let sent = Arc::clone(&given);
            let sender = scope.spawn(move || {
                input.send_all((0..).inspect(|_| {
                    sent.fetch_add(1, Ordering::Relaxed);
                }))
            });
            while given.load(Ordering::Relaxed) < 1000 {
                std::thread::yield_now();
            }
            let report = run.drain().unwrap();
            let back = sender.join().unwrap().unwrap_err().into_inner();
            // What came back is the first that was not taken.
            assert_eq!(seen.take(), (0..back).collect::<Vec<_>>(), "{report}");
        });
    }
}

#[test]
fn what_is_sent_is_seen_before_the_batch_goes_on() {
    let seen = Seen::new();
    let run = pushed::pipeline().workers(2).start(seen.clone()).unwrap();
    let mut taken = 0;
    // Each item is made only when the one before has arrived.
    let sent = run.send_all((0..50u64).inspect(|n| {
        while taken < *n {
            taken += seen.take().len() as u64;
            std::thread::yield_now();
        }
    }));
    assert_eq!(sent.unwrap(), 50);
    let _ = run.drain().unwrap();
}

#[pipeline(env = Env)]
mod stopped_inside {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[stage(from = numbers)]
    pub fn ten(n: u64) -> impl Iterator<Item = u64> {
        (0..10).map(move |k| 10 * n + k)
    }

    #[stage(from = ten, on_panic = stop)]
    pub fn check(n: u64) -> u64 {
        assert!(n != 555, "five");
        n
    }

    #[sink(from = check)]
    pub fn last(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn a_run_that_stops_inside_an_item_counts_what_was_delivered() {
    for workers in WORKERS {
        let seen = Seen::new();
        let failed = stopped_inside::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap_err();
        assert!(matches!(
            failed.error,
            RunError::Panicked { stage: "check", .. }
        ));
        let ledger = failed.report.ledger();
        assert!(ledger.is_balanced(), "{}", failed.report);
        assert_eq!(
            ledger.delivered,
            seen.take().len() as u64,
            "{}",
            failed.report
        );
    }
}

#[pipeline]
mod growing {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[stage(from = numbers, batch = 10)]
    pub fn twice(batch: &mut Batch<u64>) {
        let more: Vec<u64> = batch.iter().copied().collect();
        batch.extend(more);
    }

    #[sink(from = twice)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn a_batch_may_grow() {
    for workers in WORKERS {
        let run = growing::pipeline().workers(workers).start(()).unwrap();
        let mut report = run.wait().unwrap();
        assert_eq!(report.ledger().created, 1000, "{report}");
        assert_eq!(report.take_state::<growing::last>(), Some(999_000));
    }
    let mut run = growing::pipeline().dry_run(());
    run.feed_from::<growing::numbers>(0..1000);
    assert_eq!(run.drain().unwrap().ledger().created, 1000);
}

#[pipeline]
mod bad_keys_reset {
    use super::*;

    fn key(n: &u64) -> u64 {
        assert!(*n != 500, "no key");
        n % 7
    }

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[stage(from = numbers, key = key, on_panic = reset)]
    pub fn count(n: u64, seen: &mut u64) -> (u64, u64) {
        *seen += 1;
        (n % 7, *seen)
    }

    #[sink(from = count)]
    pub fn last(pair: (u64, u64), most: &mut BTreeMap<u64, u64>) {
        most.insert(pair.0, pair.1);
    }
}

#[test]
fn a_key_function_that_panics_makes_no_state_anew() {
    for workers in WORKERS {
        let run = bad_keys_reset::pipeline()
            .workers(workers)
            .start(())
            .unwrap();
        let mut report = run.wait().unwrap();
        let last = report.take_state::<bad_keys_reset::last>().unwrap();
        for (key, count) in last {
            let items = (0..1000).filter(|n| n % 7 == key && *n != 500).count();
            assert_eq!(count, items as u64, "key {key}, {workers} workers");
        }
    }
}

#[pipeline(env = Env)]
mod half_an_iterator {
    use super::*;

    #[stage(from = input, on_panic = keep)]
    pub fn three(n: u64, calls: &mut u64) -> impl Iterator<Item = u64> {
        *calls += 1;
        (0..3).map(move |k| {
            assert!(n != 5 || k != 2, "the third of five");
            10 * n + k
        })
    }

    #[sink(from = three)]
    pub fn last(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn an_iterator_beside_a_state_sends_all_or_nothing_in_a_dry_run_too() {
    let (threads, alone) = (Seen::new(), Seen::new());
    let run = half_an_iterator::pipeline().start(threads.clone()).unwrap();
    run.send_all(0..10).unwrap();
    let report = run.drain().unwrap();
    let mut run = half_an_iterator::pipeline().dry_run(alone.clone());
    run.feed_input(0..10);
    let dry = run.drain().unwrap();
    assert_eq!(threads.take(), alone.take());
    assert_eq!(report.ledger(), dry.ledger(), "{report}\n{dry}");
    assert_eq!(dry.ledger().delivered, 27);
}
