//! Batch stages that try again: of a batch only what failed, and everything comes out once and in order.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "what stages use is as public as the functions that pipelines are made of"
)]

use pipewright::{Batch, Blueprint, Builder, DeadLetter, ErrorClass, NoInput, pipeline};
use pipewright_tests::{
    WORKERS,
    dependency::{Count, Dependency as Env, Failure},
    guarded::guard_of,
};

/// The items of each run.
const ITEMS: u64 = 4_000;
/// Every so manieth item fails.
const OF: u64 = 40;

/// A pipeline with this stage and this reader of its errors.
macro_rules! retries {
    ($name:ident, $guarded:item, $reject:item) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[source]
            fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            $guarded

            #[sink(from = guarded)]
            fn publish(n: u64, env: &Env) {
                env.publish(n);
            }

            $reject
        }
    };
}

retries!(
    converted,
    #[stage(from = numbers, batch = 16, retry(max = 3, backoff = "1ms"))]
    pub(crate) fn guarded(numbers: &mut Batch<u64>, env: &Env) -> Vec<Result<u64, Failure>> {
        numbers.drain().map(|n| env.call(n)).collect()
    },
    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
);
retries!(
    judged,
    #[stage(from = numbers, batch = 7, retry(max = 3, backoff = "1us"), breaker(failure_pct = 100))]
    pub(crate) fn guarded(numbers: &mut [u64], env: &Env) -> Vec<Result<(), Failure>> {
        let judge = |n: &mut u64| {
            let verdict = env.call(*n).map(drop);
            if verdict.is_err() {
                // The next try begins with the item as it came.
                *n = u64::MAX;
            }
            verdict
        };
        numbers.iter_mut().map(judge).collect()
    },
    #[sink(from = guarded::Err)]
    fn reject(letter: DeadLetter<Failure, u64>, env: &Env) {
        let Failure::Of(n, _) = letter.error else {
            unreachable!("no breaker opens");
        };
        assert_eq!(letter.attempts as u64, env.tries_of(n));
        env.reject(&letter.error);
    }
);
retries!(
    stateful,
    #[stage(from = numbers, batch = 16, retry(max = 3, backoff = "1us"))]
    fn guarded(numbers: &[u64], count: &mut Count, env: &Env) -> Vec<Result<(), Failure>> {
        // What is in a batch, and what is behind it, comes only when all before it are done.
        let first = numbers.first().copied().unwrap_or_default();
        assert!(
            first % OF == 0 || count.0 <= first,
            "{first} after {}",
            count.0
        );
        count.0 = first;
        numbers.iter().map(|n| env.call(*n).map(drop)).collect()
    },
    #[sink(from = guarded::Err)]
    fn reject(letter: DeadLetter<Failure>, env: &Env) {
        env.reject(&letter.error);
    }
);

/// A sink, which is called with all items in order.
#[pipeline(env = Env)]
mod stored {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    fn same(n: u64) -> Option<u64> {
        Some(n)
    }

    #[sink(from = same, batch = 16, retry(max = 3, backoff = "1us"))]
    fn guarded(numbers: &[u64], env: &Env) -> Vec<Result<(), Failure>> {
        let judge = |n: &u64| env.call(*n).map(|n| env.publish(n));
        numbers.iter().map(judge).collect()
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

/// Runs a pipeline whose items fail `times` times with an error of this class.
#[track_caller]
fn check<P>(pipeline: fn() -> Builder<P>, class: ErrorClass, times: u64, in_order: bool)
where
    P: Blueprint<Env = Env, Input = NoInput> + std::fmt::Debug,
{
    let tries = match class {
        ErrorClass::Item => 1,
        _ => (times + 1).min(4),
    };
    let passes = tries > times;
    for workers in WORKERS {
        for builder in [pipeline(), pipeline().in_parallel()] {
            let env = Env::failing_for(OF, times, class);
            let report = builder.workers(workers).run(env.clone()).expect("it ends");
            let (published, rejected) = (env.published(), env.rejected());
            assert!(published.is_sorted() || !in_order, "{report}");
            assert!(rejected.is_sorted(), "{report}");
            assert_eq!(rejected.len() as u64, if passes { 0 } else { ITEMS / OF });
            let mut all = [published, rejected].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
            for n in 0..ITEMS {
                let expect = if n % OF == 0 { tries } else { 1 };
                assert_eq!(env.tries_of(n), expect, "only {n} is tried again, {report}");
            }
            let seen = guard_of(&report);
            assert_eq!((seen.retried, seen.waiting), ((tries - 1) * ITEMS / OF, 0));
            let stage = report.metrics().get("guarded").unwrap();
            assert_eq!(stage.received, ITEMS, "{report}");
            assert!(report.ledger().is_balanced(), "{report}");
        }
    }
}

#[test]
fn of_a_batch_only_what_failed_is_tried_again_and_order_is_kept() {
    use ErrorClass::{Dependency, Item, Overload};
    check(converted::pipeline, Dependency, 1, true);
    check(converted::pipeline, Overload, 2, true);
    check(converted::pipeline, Item, 2, true);
    check(judged::pipeline, Dependency, 2, true);
    check(judged::pipeline, Dependency, 9, true);
    check(stored::pipeline, Dependency, 1, false);
}

#[test]
fn in_front_of_a_state_the_next_batch_waits_for_what_is_tried_again() {
    use ErrorClass::{Dependency, Item};
    check(stateful::pipeline, Dependency, 2, true);
    check(stateful::pipeline, Dependency, 9, true);
    check(stateful::pipeline, Item, 2, true);
}

#[test]
fn a_dry_run_tries_the_items_of_a_batch_again_too() {
    let env = Env::failing_for(OF, 1, ErrorClass::Dependency);
    let mut run = judged::pipeline().dry_run(env.clone());
    run.feed::<judged::guarded>(0..2 * OF);
    let report = run.drain().expect("nothing stops it");
    assert!(env.published().into_iter().eq(0..2 * OF), "{report}");
    assert_eq!(
        (env.tries_of(0), env.tries_of(OF), env.tries_of(1)),
        (2, 2, 1)
    );
    assert_eq!(guard_of(&report).retried, 2, "{report}");
}
