//! What becomes of items while a breaker is open, besides waiting: they go another way, or another function takes them.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{CallError, breaker::State, pipeline};
use pipewright_tests::{
    dependency::{Dependency as Env, Failure},
    guarded::guard_of,
};

/// The items of each run.
const ITEMS: u64 = 20_000;

#[pipeline(env = Env)]
mod diverted {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, breaker(consecutive = 5, open = "10ms", open_jitter_pct = 0, ramp = "0s", probes = 3, on_open = divert))]
    pub(crate) fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = guarded::Diverted)]
    fn spool(n: u64, env: &Env) {
        env.spool(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

/// A sink that diverts, to a stage that others read, too, and twice.
#[pipeline(env = Env)]
mod diverted_sink {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, on_error = drop, breaker(consecutive = 5, open = "10ms", ramp = "0s", probes = 3, on_open = divert))]
    fn guarded(n: u64, env: &Env) -> Result<(), Failure> {
        env.call(n).map(|n| env.publish(n))
    }

    #[stage(from = guarded::Diverted)]
    fn next(n: u64) -> u64 {
        n
    }

    #[sink(from = [next, guarded::Diverted])]
    fn spool(n: u64, env: &Env) {
        env.spool(n);
    }
}

#[pipeline(env = Env)]
mod fallen_back {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, breaker(consecutive = 5, open = "10ms", open_jitter_pct = 0, ramp = "0s", probes = 3, fallback = from_cache))]
    pub(crate) fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    fn from_cache(n: u64, env: &Env) -> u64 {
        env.spool(n);
        n
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

/// A stage with a state for each key, and what it emits.
#[pipeline(env = Env)]
mod fallen_back_keyed {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, key = |n: &u64| n % 10, breaker(consecutive = 5, open = "10ms", ramp = "0s", probes = 3, on_open = fallback, fallback = as_it_is))]
    fn guarded(
        n: u64,
        _: &mut u64,
        out: &mut pipewright::Emit<u64>,
        env: &Env,
    ) -> Result<(), Failure> {
        out.send(env.call(n)?);
        Ok(())
    }

    fn as_it_is(n: u64) -> u64 {
        n
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

/// Requests that go another way.
#[pipeline(env = Env, reply = answer)]
pub mod called {
    use super::*;

    #[stage(from = input, breaker(on_open = divert))]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[stage(from = guarded::Diverted)]
    pub fn instead(n: u64) -> u64 {
        n + 1_000
    }

    #[stage(from = [guarded, instead])]
    pub fn answer(n: u64) -> u64 {
        n
    }

    #[sink(from = guarded::Err)]
    pub fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

/// Every item is in just one of these.
#[track_caller]
fn each_once(parts: &[Vec<u64>]) {
    let mut all = parts.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
}

#[test]
fn diverted_items_go_another_way_in_their_order_and_every_one_is_accounted_for() {
    for workers in [1, 2, 4] {
        let env = Env::failing(1_000, 200);
        let pipeline = diverted::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        let (seen, ledger) = (guard_of(&report), report.ledger());
        assert!(seen.diverted > 0 && seen.held == 0, "{report}");
        assert_eq!(env.spooled().len() as u64, seen.diverted, "{report}");
        assert_eq!((ledger.filtered, ledger.dropped), (0, 0), "{report}");
        assert!(ledger.is_balanced(), "{report}");
        assert!(report.to_string().contains(" diverted"), "{report}");
        assert!(env.published().is_sorted() && env.spooled().is_sorted());
        each_once(&[env.published(), env.spooled(), env.rejected()]);
    }
}

#[test]
fn what_a_sink_diverts_may_have_several_readers() {
    for workers in [1, 2] {
        let env = Env::failing(1_000, 200);
        let pipeline = diverted_sink::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        let (mut spooled, ledger) = (env.spooled(), report.ledger());
        assert_eq!(spooled.len() as u64, 2 * guard_of(&report).diverted);
        assert!(guard_of(&report).diverted > 0, "{report}");
        spooled.sort_unstable();
        spooled.dedup();
        let called = (env.published().len() + spooled.len()) as u64;
        assert_eq!(called + ledger.failed, ITEMS, "{report}");
        assert!(ledger.is_balanced(), "{report}");
    }
}

#[test]
fn while_a_breaker_is_open_another_function_takes_the_place_of_its_stage() {
    for workers in [1, 2, 4] {
        let env = Env::failing(1_000, 200);
        let pipeline = fallen_back::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        let seen = guard_of(&report);
        assert!(seen.fell_back > 0 && seen.held == 0, "{report}");
        assert_eq!(env.spooled().len() as u64, seen.fell_back, "{report}");
        assert!(env.published().is_sorted());
        each_once(&[env.published(), env.rejected()]);
        assert!(report.ledger().is_balanced(), "{report}");
    }
    let env = Env::failing(1_000, 200);
    let pipeline = fallen_back_keyed::pipeline().workers(2);
    let report = pipeline.run(env.clone()).expect("nothing stops it");
    assert!(guard_of(&report).fell_back > 0, "{report}");
    each_once(&[env.published(), env.rejected()]);
}

#[test]
fn a_dry_run_diverts_and_falls_back_too() {
    let env = Env::failing(0, 5);
    let mut run = diverted::pipeline().dry_run(env.clone());
    run.feed::<diverted::guarded>(0..10);
    run.run();
    assert_eq!(
        (env.rejected(), env.spooled()),
        (vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9])
    );
    run.advance("10ms");
    run.feed::<diverted::guarded>(10..20);
    let report = run.drain().expect("nothing stops it");
    assert!(env.published().into_iter().eq(10..20));
    let seen = guard_of(&report);
    assert_eq!((seen.diverted, seen.state), (5, Some(State::Closed)));
    assert!(report.ledger().is_balanced(), "{report}");

    let env = Env::failing(0, 5);
    let mut run = fallen_back::pipeline().dry_run(env.clone());
    run.feed::<fallen_back::guarded>(0..10);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(env.published(), [5, 6, 7, 8, 9]);
    assert_eq!(
        (guard_of(&report).fell_back, report.ledger().failed),
        (5, 5)
    );
    assert!(report.ledger().is_balanced(), "{report}");
}

#[test]
fn a_call_goes_the_way_that_its_request_goes() {
    let run = called::pipeline().workers(2).start(Env::well()).unwrap();
    assert_eq!(run.call(1).unwrap(), 1);
    run.breaker::<called::guarded>().unwrap().force_open();
    assert_eq!(run.call(2).unwrap(), 1_002);
    run.breaker::<called::guarded>().unwrap().release();
    assert_eq!(run.call(3).unwrap(), 3);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(guard_of(&report).diverted, 1);
}

#[pipeline(env = Env, reply = answer)]
pub mod called_away {
    use super::*;

    #[stage(from = input, on_error = drop, breaker(on_open = divert))]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[sink(from = guarded::Diverted)]
    pub fn spool(n: u64, env: &Env) {
        env.spool(n);
    }

    #[stage(from = guarded)]
    pub fn answer(n: u64) -> u64 {
        n
    }
}

#[test]
fn a_call_whose_request_is_diverted_from_the_answer_is_told_so() {
    let env = Env::well();
    let run = called_away::pipeline()
        .workers(2)
        .start(env.clone())
        .unwrap();
    run.breaker::<called_away::guarded>().unwrap().force_open();
    let away = run.call(2).unwrap_err();
    assert!(matches!(away, CallError::Filtered { .. }), "{away:?}");
    let report = run.drain().expect("nothing stops it");
    assert_eq!(env.spooled(), [2], "{report}");
}

/// Nothing here takes an environment.
#[pipeline]
pub mod without_env {
    use pipewright_tests::dependency::Failure;

    #[stage(from = input, breaker(fallback = twice), on_error = drop)]
    pub fn guarded(n: u64) -> Result<u64, Failure> {
        Ok(n)
    }

    fn twice(n: u64) -> u64 {
        2 * n
    }

    #[sink(from = guarded)]
    pub fn end(n: u64) {
        assert!(n.is_multiple_of(2), "it is doubled");
    }
}

#[test]
fn a_fallback_needs_no_environment() {
    let run = without_env::pipeline().workers(2).start(()).unwrap();
    run.breaker::<without_env::guarded>().unwrap().force_open();
    for n in 0..10 {
        run.send(n).unwrap();
    }
    let report = run.drain().expect("nothing stops it");
    let (ledger, seen) = (report.ledger(), guard_of(&report));
    assert_eq!((ledger.delivered, seen.fell_back), (10, 10), "{report}");
}

#[test]
fn what_becomes_of_items_is_part_of_the_shape() {
    for (field, says) in [
        (
            "on_open: divert",
            "`on_open` of `guarded` was not compiled in",
        ),
        (
            "fallback: \"f\"",
            "`fallback` of `guarded` was not compiled in",
        ),
    ] {
        let text = format!(r#"( stages: {{ "guarded": (breaker: ({field})) }} )"#);
        let wrong = diverted::pipeline()
            .tuning("t.tuning.ron", &text)
            .expect_err(field);
        assert!(wrong.to_string().contains(says), "{wrong}");
    }
}
