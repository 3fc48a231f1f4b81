//! Stages that try again: what fails and may pass later waits for it, and everything comes out once and in order.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "what stages use is as public as the functions that pipelines are made of"
)]

use std::{fmt, time::Duration};

use pipewright::{Blueprint, Builder, ErrorClass, NoInput, pipeline};
use pipewright_tests::{
    dependency::{Count, Dependency as Env, Failure},
    guarded::guard_of,
};

/// The items of each run.
const ITEMS: u64 = 2_000;

#[pipeline(env = Env)]
mod plain {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, retry(max = 3, backoff = "1ms"))]
    pub(crate) fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

#[pipeline(env = Env)]
mod several {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, breaker(failure_pct = 100), retry(max = 3, backoff = "1ms"))]
    fn guarded(n: u64, out: &mut pipewright::Emit<u64>, env: &Env) -> Result<(), Failure> {
        let n = env.call(n)?;
        // What an item makes stays together.
        out.send(n);
        out.send(n);
        Ok(())
    }

    #[stage(from = guarded)]
    fn behind(n: u64, last: &mut Option<u64>) -> Option<u64> {
        match *last == Some(n) {
            true => Some(n),
            false => {
                *last = Some(n);
                None
            }
        }
    }

    #[sink(from = behind)]
    fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

#[pipeline(env = Env)]
mod borrowed {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, order = any, retry(max = 3, backoff = "1ms"), on_error = drop)]
    fn guarded(n: &u64, env: &Env) -> Result<(), Failure> {
        env.call(*n).map(|n| env.publish(n))
    }
}

#[pipeline(env = Env)]
mod serial {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, retry(max = 3, backoff = "1ms"))]
    fn guarded(n: u64, next: &mut Count, env: &Env) -> Result<u64, Failure> {
        assert_eq!(next.0, n, "no item overtakes one that is tried again");
        env.call(n).inspect(|_| next.0 += 1)
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

#[pipeline(env = Env)]
mod keyed {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, key = |n: &u64| n % 100, retry(max = 3, backoff = "1ms"))]
    fn guarded(n: u64, next: &mut Count, env: &Env) -> Result<u64, Failure> {
        assert_eq!(
            next.0,
            n / 100,
            "no item of the key overtakes one that is tried again"
        );
        env.call(n).inspect(|_| next.0 += 1)
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

#[pipeline(env = Env)]
mod sink {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, on_error = drop, retry(max = 3, backoff = "1ms"))]
    fn guarded(n: u64, env: &Env) -> Result<(), Failure> {
        env.call(n).map(|n| env.publish(n))
    }
}

/// Runs it while every 25th item fails twice.
fn check<P: Blueprint<Env = Env, Input = NoInput> + fmt::Debug>(
    pipeline: impl Fn() -> Builder<P>,
    key: impl Fn(&u64) -> u64,
) {
    for workers in [1, 2, 4] {
        let env = Env::failing_for(25, 2, ErrorClass::Dependency);
        let report = pipeline()
            .workers(workers)
            .run(env.clone())
            .expect("nothing stops it");
        assert!(report.ledger().is_balanced(), "{report}");
        assert_eq!(
            (report.ledger().failed, report.ledger().dropped),
            (0, 0),
            "{report}"
        );
        assert_eq!(
            (guard_of(&report).retried, guard_of(&report).waiting),
            (2 * ITEMS / 25, 0),
            "{report}"
        );
        let mut published = env.published();
        for of in 0..100 {
            assert!(published.iter().filter(|n| key(n) == of).is_sorted());
        }
        published.sort_unstable();
        assert!(
            published.into_iter().eq(0..ITEMS),
            "each item comes out once"
        );
        assert_eq!(env.tries_of(25), 3);
    }
}

#[test]
fn items_that_fail_are_tried_again_and_come_out_in_their_order() {
    check(plain::pipeline, |_| 0);
}

#[test]
fn what_an_item_makes_stays_together_and_in_order() {
    check(several::pipeline, |_| 0);
}

#[test]
fn a_sink_that_borrows_its_items_in_any_order_tries_again() {
    // Each item is a key of its own.
    check(borrowed::pipeline, |n| n + 100);
}

#[test]
fn in_front_of_one_state_nothing_overtakes_an_item_that_is_tried_again() {
    check(serial::pipeline, |_| 0);
}

#[test]
fn in_front_of_the_state_of_its_key_nothing_overtakes_an_item_that_is_tried_again() {
    check(keyed::pipeline, |n| n % 100);
}

#[test]
fn a_sink_that_sees_its_items_in_order_tries_again_in_order() {
    check(sink::pipeline, |_| 0);
}

#[test]
fn what_fails_too_often_leaves_as_an_error_and_bad_items_are_not_tried_again() {
    for (class, tries) in [
        (ErrorClass::Overload, 4),
        (ErrorClass::Timeout, 4),
        (ErrorClass::Item, 1),
    ] {
        let env = Env::failing_for(100, u64::MAX, class);
        let report = plain::pipeline()
            .workers(2)
            .run(env.clone())
            .expect("nothing stops it");
        assert_eq!(env.rejected().len() as u64, ITEMS / 100, "{report}");
        assert!(env.published().is_sorted() && env.rejected().is_sorted());
        assert_eq!(env.tries_of(100), tries);
    }
}

#[test]
fn the_budget_ends_what_would_make_an_outage_worse() {
    let env = Env::failing_for(1, u64::MAX, ErrorClass::Dependency);
    let report = plain::pipeline()
        .workers(2)
        .run(env.clone())
        .expect("nothing stops it");
    let guard = guard_of(&report);
    // A hundred at first, a tenth of the items, and ten a second besides.
    let seconds = report.elapsed().as_secs() + 1;
    assert!(
        (100..=100 + ITEMS / 10 + 10 * (seconds + 1)).contains(&guard.retried),
        "{report}"
    );
    assert!(guard.over_budget > 0, "{report}");
    assert_eq!(env.rejected().len() as u64, ITEMS);
}

#[test]
fn in_a_dry_run_the_pause_is_by_its_clock() {
    let env = Env::failing_for(2, 1, ErrorClass::Dependency);
    let tuned = r#"( stages: { "guarded": (retry: (backoff: "5ms", jitter_pct: 0)) } )"#;
    let pipeline = plain::pipeline().tuning("t.tuning.ron", tuned).unwrap();
    let mut run = pipeline.dry_run(env.clone());
    run.feed::<plain::guarded>([1, 2, 3]);
    run.run();
    assert_eq!(env.published(), [1]);
    run.advance("4999us");
    run.run();
    assert_eq!(env.published(), [1]);
    run.advance("1us");
    run.run();
    assert_eq!(env.published(), [1, 2, 3]);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(
        (guard_of(&report).retried, report.ledger().delivered),
        (1, 3)
    );
}

#[test]
fn a_drain_tries_once_more_and_waits_no_longer() {
    let env = Env::failing_for(2, u64::MAX, ErrorClass::Dependency);
    let mut run = plain::pipeline().dry_run(env.clone());
    run.feed::<plain::guarded>([2, 4]);
    run.run();
    let report = run.drain().expect("nothing stops it");
    assert_eq!((env.tries_of(2), env.tries_of(4)), (2, 2));
    assert_eq!(
        (report.elapsed(), report.ledger().failed),
        (Duration::ZERO, 2)
    );

    let env = Env::failing_for(1, u64::MAX, ErrorClass::Dependency);
    let tuned = r#"( stages: { "guarded": (retry: (max: 1000, backoff: "60min", max_backoff: "60min", jitter_pct: 0)) } )"#;
    let run = plain::pipeline()
        .workers(2)
        .tuning("t.tuning.ron", tuned)
        .unwrap()
        .start(env.clone())
        .expect("it starts");
    while run
        .metrics()
        .get("guarded")
        .and_then(|seen| seen.guard.clone())
        .is_none_or(|guard| guard.waiting == 0)
    {
        std::thread::yield_now();
    }
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.ledger().dropped, 0, "{report}");
    assert_eq!(
        env.rejected().len() as u64,
        report.ledger().received,
        "{report}"
    );
}

#[test]
fn a_run_that_stops_drops_and_counts_what_waits_to_be_tried_again() {
    let env = Env::failing_for(3, u64::MAX, ErrorClass::Dependency);
    let tuned = r#"( stages: { "guarded": (retry: (backoff: "60min", max_backoff: "60min", jitter_pct: 0)) } )"#;
    let run = plain::pipeline()
        .workers(2)
        .tuning("t.tuning.ron", tuned)
        .unwrap()
        .start(env.clone())
        .expect("it starts");
    while run
        .metrics()
        .get("guarded")
        .and_then(|seen| seen.guard.clone())
        .is_none_or(|guard| guard.waiting == 0)
    {
        std::thread::yield_now();
    }
    let report = run.stop().expect("nothing failed");
    assert!(
        report.ledger().is_balanced() && report.ledger().dropped > 0,
        "{report}"
    );
}
