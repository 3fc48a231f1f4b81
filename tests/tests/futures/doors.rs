//! Items that leave an async stage by a way of their own: those that its breaker turns away, and those that panic.

use std::{fmt, future::poll_fn, task::Poll};

use pipewright::{
    Blueprint, CallError, Classify, DeadLetter, Panicked, Report, breaker::State, pipeline,
};
use pipewright_tests::{
    Seen, WORKERS,
    dependency::{Dependency, Failure},
    eventually,
    guarded::guard_of,
};

/// The items of each run.
const ITEMS: u64 = 20_000;

/// A third of the futures wait once.
async fn turn(n: u64) {
    let mut waits = n.is_multiple_of(3);
    poll_fn(|context| {
        if !std::mem::take(&mut waits) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Every item is in just one of these.
#[track_caller]
fn each_once(parts: &[Vec<u64>]) {
    let mut all = parts.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
}

#[pipeline(env = Dependency)]
mod diverted {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, breaker(consecutive = 5, open = "10ms", open_jitter_pct = 0, ramp = "0s", probes = 3, on_open = divert))]
    pub(crate) async fn guarded(n: u64, env: &Dependency) -> Result<u64, Failure> {
        turn(n).await;
        env.call(n)
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Dependency) {
        env.publish(n);
    }

    #[sink(from = guarded::Diverted)]
    fn spool(n: u64, env: &Dependency) {
        env.spool(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Dependency) {
        env.reject(&failure);
    }
}

/// A sink that diverts to two others, where nothing keeps order and so what has ended leaves first.
#[pipeline(env = Dependency)]
mod diverted_sink {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, on_error = drop, in_flight = 8, breaker(consecutive = 5, open = "10ms", ramp = "0s", probes = 3, on_open = divert))]
    async fn guarded(n: u64, env: &Dependency) -> Result<(), Failure> {
        turn(n).await;
        env.call(n).map(|n| env.publish(n))
    }

    #[stage(from = guarded::Diverted)]
    fn next(n: u64) -> u64 {
        n
    }

    #[sink(from = [next, guarded::Diverted], order = any)]
    fn spool(n: u64, env: &Dependency) {
        env.spool(n);
    }
}

#[pipeline(env = Dependency)]
mod fallen_back {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, retry(max = 1, backoff = "1us"), breaker(consecutive = 5, open = "10ms", open_jitter_pct = 0, ramp = "0s", probes = 3, fallback = from_cache))]
    pub(crate) async fn guarded(n: u64, env: &Dependency) -> Result<Option<u64>, Failure> {
        turn(n).await;
        env.call(n).map(Some)
    }

    fn from_cache(n: u64, env: &Dependency) -> u64 {
        env.spool(n);
        n
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Dependency) {
        env.publish(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Dependency) {
        env.reject(&failure);
    }
}

#[test]
fn items_that_are_turned_away_go_another_way_in_their_order() {
    for workers in [1, 2, 4] {
        let env = Dependency::failing(1_000, 200);
        let pipeline = diverted::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        let (seen, ledger) = (guard_of(&report), report.ledger());
        assert!(seen.diverted > 0, "{report}");
        assert_eq!(env.spooled().len() as u64, seen.diverted, "{report}");
        assert_eq!((ledger.filtered, ledger.dropped), (0, 0), "{report}");
        assert!(ledger.is_balanced(), "{report}");
        assert!(env.published().is_sorted() && env.spooled().is_sorted());
        each_once(&[env.published(), env.spooled(), env.rejected()]);
    }
}

#[test]
fn what_a_sink_turns_away_may_have_several_readers() {
    for workers in [1, 2] {
        let env = Dependency::failing(1_000, 200);
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
fn while_its_breaker_is_open_a_function_takes_the_place_of_an_async_stage() {
    for workers in [1, 2, 4] {
        let env = Dependency::failing(1_000, 200);
        let pipeline = fallen_back::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        let seen = guard_of(&report);
        assert!(seen.fell_back > 0, "{report}");
        assert_eq!(env.spooled().len() as u64, seen.fell_back, "{report}");
        assert!(env.published().is_sorted());
        each_once(&[env.published(), env.rejected()]);
        assert!(report.ledger().is_balanced(), "{report}");
    }
}

#[test]
fn a_dry_run_turns_items_of_an_async_stage_away_too() {
    let env = Dependency::failing(0, 5);
    let mut run = diverted::pipeline().dry_run(env.clone());
    run.feed::<diverted::guarded>(0..10);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(env.rejected(), [0, 1, 2, 3, 4]);
    assert_eq!(env.spooled(), [5, 6, 7, 8, 9]);
    assert_eq!(guard_of(&report).diverted, 5);
    assert!(report.ledger().is_balanced(), "{report}");

    let env = Dependency::failing(0, 20);
    let mut run = fallen_back::pipeline().dry_run(env.clone());
    run.feed::<fallen_back::guarded>(0..100);
    let report = run.drain().expect("nothing stops it");
    let fell_back = guard_of(&report).fell_back;
    assert!(fell_back > 0, "{report}");
    assert_eq!(fell_back + report.ledger().failed, 100, "{report}");
    assert!(report.ledger().is_balanced(), "{report}");
}

/// Requests that go another way.
#[pipeline(env = Dependency, reply = answer)]
pub mod called {
    use super::*;

    #[stage(from = input, breaker(on_open = divert))]
    pub async fn guarded(n: u64, env: &Dependency) -> Result<u64, Failure> {
        turn(n).await;
        env.call(n)
    }

    #[stage(from = guarded::Diverted, on_error = drop, breaker(fallback = tenfold))]
    pub async fn second(n: u64) -> Result<u64, Failure> {
        Ok(n + 1_000)
    }

    fn tenfold(n: u64) -> u64 {
        10 * n
    }

    #[stage(from = [guarded, second])]
    pub fn answer(n: u64) -> u64 {
        n
    }

    #[sink(from = guarded::Err)]
    pub fn reject(failure: Failure, env: &Dependency) {
        env.reject(&failure);
    }
}

#[test]
fn a_call_goes_the_way_of_its_request_around_an_async_stage() {
    let run = called::pipeline()
        .workers(2)
        .start(Dependency::well())
        .unwrap();
    assert_eq!(run.call(3).unwrap(), 3);
    run.breaker::<called::guarded>().unwrap().force_open();
    assert_eq!(run.call(3).unwrap(), 1_003);
    run.breaker::<called::second>().unwrap().force_open();
    assert_eq!(run.call(3).unwrap(), 30);
    run.breaker::<called::guarded>().unwrap().release();
    assert_eq!(run.call(4).unwrap(), 4);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(guard_of(&report).diverted, 2, "{report}");
}

/// Why an item failed.
#[derive(Clone, Debug)]
pub enum Wrong {
    Bad(u64),
    Panicked(String),
}

impl From<Panicked> for Wrong {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked(panicked.message)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Also what panicked may be tried again, by its class; it is not.
impl Classify for Wrong {}

/// One item in a hundred panics, before or after it has waited, and one fails.
async fn parse(n: u64) -> Result<u64, Wrong> {
    assert_ne!(n % 200, 7, "at {n}");
    turn(n).await;
    assert_ne!(n % 200, 107, "at {n}");
    match n % 100 {
        8 => Err(Wrong::Bad(n)),
        _ => Ok(n),
    }
}

/// What panicked, by its number.
fn number(wrong: &Wrong) -> u64 {
    match wrong {
        Wrong::Bad(n) => *n,
        Wrong::Panicked(said) => {
            let (_, after) = said.split_once("at ").unwrap();
            let digits = after.chars().take_while(char::is_ascii_digit);
            digits.collect::<String>().parse().unwrap()
        }
    }
}

/// A pipeline whose async stage panics; `$keys` say how it runs.
macro_rules! panics {
    ($name:ident, [$($keys:tt)*], $reject:item) => {
        #[pipeline(env = Seen<u64>)]
        mod $name {
            use super::*;

            #[source]
            fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            #[stage(from = numbers, on_panic = dead_letter, $($keys)*)]
            pub(crate) async fn guarded(n: u64) -> Result<u64, Wrong> {
                parse(n).await
            }

            #[sink(from = guarded)]
            fn publish(n: u64, env: &Seen<u64>) {
                env.see(n);
            }

            $reject
        }
    };
}

panics!(
    plain,
    [in_flight = 16],
    #[sink(from = guarded::Err)]
    fn reject(wrong: Wrong, env: &Seen<u64>) {
        env.see(number(&wrong));
    }
);
panics!(
    kept,
    [order = any, retry(max = 2, backoff = "1us")],
    #[sink(from = guarded::Err)]
    fn reject(letter: DeadLetter<Wrong, u64>, env: &Seen<u64>) {
        assert_eq!(letter.item, number(&letter.error));
        assert_eq!((letter.stage, letter.attempts > 0), ("guarded", true));
        if matches!(letter.error, Wrong::Panicked(_)) {
            assert_eq!(letter.attempts, 1, "what panics is not called again");
        }
        env.see(letter.item);
    }
);

#[test]
fn items_of_futures_that_panic_leave_as_errors_and_each_item_comes_out_once() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = plain::pipeline()
            .workers(workers)
            .run(seen.clone())
            .unwrap();
        come_out_once(&report, &seen);
        let seen = Seen::new();
        let report = kept::pipeline().workers(workers).run(seen.clone()).unwrap();
        come_out_once(&report, &seen);
    }
    let seen = Seen::new();
    let mut run = kept::pipeline().dry_run(seen.clone());
    run.feed::<kept::guarded>(0..ITEMS);
    come_out_once(&run.drain().unwrap(), &seen);
}

#[track_caller]
fn come_out_once<P: Blueprint>(report: &Report<P>, seen: &Seen<u64>) {
    let (ledger, metrics) = (report.ledger(), report.metrics());
    assert_eq!((ledger.panicked, ledger.filtered), (0, 0), "{report}");
    assert_eq!(metrics.get("guarded").unwrap().failed, ITEMS / 50);
    assert!(report.panics()[0].message.contains("at "), "{report}");
    assert!(ledger.is_balanced(), "{report}");
    each_once(&[seen.take()]);
}

/// Whoever calls is told at once, and the error goes on.
#[pipeline(env = Seen<u64>, reply = guarded)]
pub mod asked {
    use super::*;

    #[stage(from = input, on_panic = dead_letter, breaker(consecutive = 3))]
    pub async fn guarded(n: u64) -> Result<u64, Wrong> {
        parse(n).await
    }

    #[sink(from = guarded::Err)]
    pub fn reject(wrong: Wrong, env: &Seen<u64>) {
        env.see(number(&wrong));
    }
}

#[test]
fn a_call_whose_future_panics_is_told_so_and_a_breaker_counts_it_by_its_error() {
    let seen = Seen::new();
    let run = asked::pipeline().workers(2).start(seen.clone()).unwrap();
    assert_eq!(run.call(1).unwrap(), 1);
    for n in [7, 107, 207] {
        let told = run.call(n).unwrap_err();
        assert!(matches!(told, CallError::Panicked { .. }), "{told:?}");
    }
    eventually(|| run.breaker::<asked::guarded>().unwrap().state() == State::Open);
    let report = run.drain().unwrap();
    assert_eq!(seen.take(), [7, 107, 207], "{report}");
    assert_eq!(report.ledger().panicked, 0, "{report}");
}
