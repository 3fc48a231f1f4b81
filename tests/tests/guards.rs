//! Guarded stages: a dependency that dies and comes back, and what becomes of the items meanwhile.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "what stages use is as public as the functions that pipelines are made of"
)]

use std::fmt;

use pipewright::{Blueprint, Builder, ErrorClass, NoInput, Report, breaker::State, pipeline};
use pipewright_tests::{
    dependency::{Count, Dependency as Env, Failure},
    guarded::guard_of,
};

/// The items of each run.
const ITEMS: u64 = 20_000;

#[pipeline(env = Env)]
mod plain {
    use super::{Env, Failure, ITEMS};

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
    fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
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
mod serial {
    use super::{Count, Env, Failure, ITEMS};

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
    fn guarded(n: u64, last: &mut Count, env: &Env) -> Result<u64, Failure> {
        assert_eq!(last.0, n, "it sees all items in their order");
        last.0 += 1;
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
mod keyed {
    use super::{Count, Env, Failure, ITEMS};

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, key = |n: &u64| n % 100, breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
    fn guarded(n: u64, last: &mut Count, env: &Env) -> Result<u64, Failure> {
        assert_eq!(last.0, n / 100, "it sees the items of a key in their order");
        last.0 += 1;
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
mod sink {
    use super::{Env, Failure, ITEMS};

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
    fn guarded(n: u64, env: &Env) -> Result<(), Failure> {
        env.call(n).map(|n| env.publish(n))
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

#[pipeline(env = Env)]
mod per_worker {
    use super::{Count, Env, Failure, ITEMS};

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    fn before(n: u64) -> u64 {
        n
    }

    #[stage(from = before, per_worker, breaker(window = 100, min_items = 50, open = "10ms", open_max = "10ms", ramp = "1ms", probes = 5))]
    fn guarded(n: u64, count: &mut Count, env: &Env) -> Result<u64, Failure> {
        count.0 += 1;
        env.call(n)
    }

    #[stage(from = guarded)]
    fn behind(n: u64) -> u64 {
        n
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

/// Runs it, and checks that every item came out once, those that were published in their order by `key`.
fn check<P: Blueprint<Env = Env, Input = NoInput>>(
    pipeline: impl Fn() -> Builder<P>,
    key: impl Fn(&u64) -> u64,
) {
    for workers in [1, 2, 4] {
        let env = Env::failing(1_000, 200);
        let run = pipeline()
            .workers(workers)
            .start(env.clone())
            .expect("it starts");
        let report = run.wait().expect("nothing stops it");
        let seen = guard_of(&report);
        assert_eq!(seen.state, Some(State::Closed), "{report}");
        assert!(seen.breaker.changes >= 3 && seen.held > 0, "{report}");
        assert_eq!((seen.waiting, report.ledger().dropped), (0, 0), "{report}");
        let (published, rejected) = (env.published(), env.rejected());
        assert_eq!(rejected.len(), 200, "{report}");
        for of in 0..100 {
            let of_key: Vec<&u64> = published.iter().filter(|n| key(n) == of).collect();
            assert!(of_key.is_sorted(), "{of_key:?}");
        }
        let mut all = [published, rejected].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
    }
}

#[test]
fn items_wait_in_front_of_a_stage_while_its_breaker_is_open() {
    check(plain::pipeline, |_| 0);
}

#[test]
fn items_wait_in_front_of_a_stage_with_one_state() {
    check(serial::pipeline, |_| 0);
}

#[test]
fn items_wait_in_front_of_a_stage_with_a_state_for_each_key() {
    check(keyed::pipeline, |n| n % 100);
}

#[test]
fn items_wait_in_front_of_a_stage_with_a_state_for_each_worker() {
    check(per_worker::pipeline, |_| 0);
}

#[test]
fn items_wait_in_front_of_a_sink() {
    check(sink::pipeline, |_| 0);
}

/// A pipeline whose breaker opens after five failures in a row; `$keys` say what follows.
macro_rules! opens_after_five {
    ($name:ident, $open:literal, $($keys:tt)*) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::{Env, Failure, ITEMS};

            #[source]
            fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            #[stage(from = numbers, breaker(consecutive = 5, open = $open, open_jitter_pct = 0, ramp = "0s", probes = 3, $($keys)*))]
            pub(crate) fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
                env.call(n)
            }

            #[sink(from = guarded)]
            pub(crate) fn publish(n: u64, env: &Env) {
                env.publish(n);
            }

            #[sink(from = guarded::Err)]
            fn reject(failure: Failure, env: &Env) {
                env.reject(&failure);
            }
        }
    };
}

opens_after_five!(held, "1s", on_open = hold);
opens_after_five!(limited, "1s", hold = "300ms");
opens_after_five!(dead, "10ms", on_open = dead_letter);
opens_after_five!(dropped, "10ms", on_open = drop);
opens_after_five!(overload_only, "1s", counts = [overload, panic]);

#[test]
fn in_a_dry_run_items_wait_until_the_clock_says_that_the_breaker_may_try() {
    let env = Env::failing(0, 5);
    let mut run = held::pipeline().dry_run(env.clone());
    run.feed::<held::guarded>(0..10);
    run.run();
    assert_eq!(env.rejected(), [0, 1, 2, 3, 4]);
    let seen = run.metrics().stage::<held::guarded>().clone();
    let open = seen.guard.expect("it is guarded");
    assert_eq!(
        (open.state, open.waiting, seen.in_flight),
        (Some(State::Open), 1, 5)
    );
    run.advance("999ms");
    run.run();
    assert_eq!(env.published(), [0u64; 0]);
    run.advance("1ms");
    run.feed::<held::guarded>([10]);
    run.run();
    assert_eq!(env.published(), [5, 6, 7, 8, 9, 10]);
    let report = run.drain().expect("nothing stops it");
    let closed = guard_of(&report);
    assert_eq!((closed.state, closed.waiting), (Some(State::Closed), 0));
    assert_eq!(
        (closed.held, closed.breaker.probes, closed.breaker.changes),
        (1, 3, 3)
    );
    assert!(
        report
            .to_string()
            .contains("`guarded`: breaker closed after 3 changes"),
        "{report}"
    );
}

#[test]
fn a_dry_run_that_ends_moves_the_clock_on_until_nothing_waits() {
    let env = Env::failing(0, 5);
    let mut run = held::pipeline().dry_run(env.clone());
    run.feed::<held::guarded>(0..10);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(env.published(), [5, 6, 7, 8, 9]);
    assert_eq!(report.elapsed(), std::time::Duration::from_secs(1));
}

#[test]
fn a_drain_waits_for_a_breaker_for_half_a_minute_and_then_calls_whatever_it_says() {
    let env = Env::failing(0, u64::MAX / 2);
    let tuned = r#"( stages: { "guarded": (breaker: (open: "10min")) } )"#;
    let pipeline = held::pipeline().tuning("t.tuning.ron", tuned).unwrap();
    let mut run = pipeline.dry_run(env.clone());
    run.feed::<held::guarded>(0..10);
    run.advance("1s");
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.elapsed(), std::time::Duration::from_secs(30));
    assert!(
        env.rejected().into_iter().eq(0..10),
        "each item has an error of its own"
    );
}

#[test]
fn items_that_have_waited_for_long_enough_leave_as_errors() {
    let mut run = limited::pipeline().dry_run(Env::failing(0, 5));
    run.feed::<limited::guarded>(0..10);
    run.advance("299ms");
    assert_eq!(run.take_err::<limited::guarded>().len(), 5);
    run.advance("1ms");
    let refused = run.take_err::<limited::guarded>();
    assert_eq!(refused.len(), 5);
    assert!(
        refused.iter().all(
            |error| matches!(error, Failure::Refused(refused) if refused.state == State::Open)
        )
    );
    let report = run.drain().expect("nothing stops it");
    assert_eq!(guard_of(&report).refused, 5);
}

#[test]
fn items_leave_as_errors_at_once_or_are_dropped_where_that_is_said() {
    let env = Env::failing(0, 5);
    let mut run = dead::pipeline().dry_run(env.clone());
    run.feed::<dead::guarded>(0..10);
    let report = run.drain().expect("nothing stops it");
    assert_eq!((guard_of(&report).refused, report.ledger().failed), (5, 10));

    let mut run = dropped::pipeline().dry_run(env.clone());
    run.feed::<dropped::guarded>(0..10);
    env.forget_calls();
    let report = run.drain().expect("nothing stops it");
    assert_eq!((guard_of(&report).dropped, report.ledger().dropped), (5, 5));
    assert!(report.ledger().is_balanced());
}

#[test]
fn only_the_classes_that_count_open_a_breaker() {
    // Failures of whom is called do not count here, nor do bad items anywhere.
    let mut run = overload_only::pipeline().dry_run(Env::failing(0, 100));
    run.feed::<overload_only::guarded>(0..100);
    let report = run.drain().expect("nothing stops it");
    let seen = guard_of(&report);
    assert_eq!((seen.breaker.passed, seen.breaker.changes), (100, 0));
    assert_eq!(report.ledger().failed, 100);

    let mut run = held::pipeline().dry_run(Env::well());
    run.stub_with::<held::guarded>(|n, out| out.fail(Failure::Of(n, ErrorClass::Item)));
    run.feed::<held::guarded>(0..1_000);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(guard_of(&report).breaker.changes, 0);
    assert_eq!(report.ledger().failed, 1_000);
}

#[test]
fn panics_count_as_failures_and_a_fatal_error_ends_the_run() {
    let mut run = held::pipeline().dry_run(Env::well());
    run.stub_with::<held::guarded>(|n, _| panic!("{n}"));
    run.feed::<held::guarded>(0..5);
    run.run();
    let seen = run.metrics().stage::<held::guarded>().clone();
    assert_eq!(
        (seen.panicked, seen.guard.and_then(|guard| guard.state)),
        (5, Some(State::Open))
    );

    let mut run = held::pipeline().dry_run(Env::well());
    run.stub_with::<held::guarded>(|_, out| out.fail(Failure::Of(0, ErrorClass::Fatal)));
    run.feed::<held::guarded>(0..5);
    let failed = run.drain().expect_err("a fatal error ends it");
    assert_eq!(failed.to_string(), "`guarded` failed: 0 failed: Fatal");
    assert!(failed.report.ledger().is_balanced(), "{}", failed.report);
}

/// Runs it with threads while the dependency fails for a while.
fn run_with<P: Blueprint<Env = Env, Input = NoInput> + fmt::Debug>(
    pipeline: Builder<P>,
) -> (Report<P>, Env) {
    let env = Env::failing(1_000, 200);
    let report = pipeline
        .workers(2)
        .run(env.clone())
        .expect("nothing stops it");
    assert!(report.ledger().is_balanced(), "{report}");
    assert!(env.published().is_sorted());
    (report, env)
}

#[test]
fn with_threads_items_leave_as_errors_or_are_dropped_and_every_one_is_accounted_for() {
    let (report, env) = run_with(dead::pipeline());
    let (refused, rejected) = (guard_of(&report).refused, env.rejected().len() as u64);
    assert!(refused > 0, "{report}");
    assert_eq!(report.ledger().failed, refused + rejected, "{report}");
    assert_eq!(env.published().len() as u64 + refused + rejected, ITEMS);

    let (report, env) = run_with(dropped::pipeline());
    let (dropped, rejected) = (guard_of(&report).dropped, env.rejected().len() as u64);
    assert!(dropped > 0, "{report}");
    assert_eq!(
        (report.ledger().failed, report.ledger().dropped),
        (rejected, dropped),
        "{report}"
    );
    assert_eq!(env.published().len() as u64 + dropped + rejected, ITEMS);
}

#[test]
fn a_run_that_stops_drops_and_counts_what_waits() {
    let env = Env::failing(0, u64::MAX / 2);
    let run = held::pipeline()
        .workers(2)
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
    assert!(report.ledger().is_balanced(), "{report}");
    assert!(report.ledger().dropped > 0, "{report}");
    assert_eq!(guard_of(&report).waiting, 0, "{report}");
    assert_eq!(env.published(), [0u64; 0]);
}

#[test]
fn the_numbers_of_a_breaker_can_be_tuned_and_have_to_fit() {
    let env = Env::failing(0, 5);
    let tuned = r#"( stages: { "guarded": (breaker: (open: "20s", probes: 1)) } )"#;
    let pipeline = held::pipeline().tuning("t.tuning.ron", tuned).unwrap();
    let mut run = pipeline.dry_run(env.clone());
    run.feed::<held::guarded>(0..10);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.elapsed(), std::time::Duration::from_secs(20));
    assert_eq!(guard_of(&report).breaker.probes, 1);

    for (fields, says) in [
        (
            r#"open: "2min", open_max: "60s""#,
            "`open_max` of the breaker of `guarded`: it is shorter than `open`",
        ),
        (
            r#"slow: "2s""#,
            "`slow` of the breaker of `guarded`: one slow call takes as long as the breaker is open",
        ),
        (
            "on_open: drop",
            "`on_open` of `guarded` was not compiled in",
        ),
        (r#"hold: "1s""#, "`hold` of `guarded` was not compiled in"),
    ] {
        let text = format!(r#"( stages: {{ "guarded": (breaker: ({fields})) }} )"#);
        let wrong = held::pipeline()
            .tuning("t.tuning.ron", &text)
            .expect_err(fields);
        assert!(wrong.to_string().contains(says), "{wrong}");
    }
    let tuned = r#"( stages: { "guarded": (breaker: (hold: "600ms")) } )"#;
    let pipeline = limited::pipeline().tuning("t.tuning.ron", tuned).unwrap();
    let mut run = pipeline.dry_run(Env::failing(0, 5));
    run.feed::<limited::guarded>(0..10);
    run.advance("599ms");
    assert_eq!(run.take_err::<limited::guarded>().len(), 5);
}
