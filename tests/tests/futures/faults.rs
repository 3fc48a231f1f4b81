//! Futures that take too long, fail, are refused, and panic.

use std::{fmt, time::Duration};

use pipewright::{
    Classify, ErrorClass, TimedOut,
    breaker::{Refused, State},
    pipeline,
};
use pipewright_tests::eventually;

use crate::world::Env;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Down(u64),
    Bad(u64),
    Late(TimedOut),
    Refused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Classify for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Down(_) | Self::Refused => ErrorClass::Dependency,
            Self::Late(_) => ErrorClass::Timeout,
            Self::Bad(_) => ErrorClass::Item,
        }
    }
}

impl From<TimedOut> for Failure {
    fn from(late: TimedOut) -> Self {
        Self::Late(late)
    }
}

impl From<Refused> for Failure {
    fn from(_: Refused) -> Self {
        Self::Refused
    }
}

#[pipeline(env = Env)]
mod late {
    use super::{Env, Failure};

    #[stage(from = input, in_flight = 4, timeout = "5ms")]
    pub async fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        env.wait(n).await;
        Ok(n)
    }

    #[sink(from = ask)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn complain(failure: Failure, env: &Env) {
        env.complain(failure);
    }
}

#[test]
fn a_future_that_takes_too_long_is_dropped_and_its_item_leaves_as_an_error() {
    let env = Env::default();
    let run = late::pipeline().workers(2).start(env.clone()).unwrap();
    for n in [1, 3, 5, 7, 9] {
        env.let_through(n);
    }
    run.send_batch(&mut (0..10).collect()).unwrap();
    let report = run.drain().unwrap();
    assert_eq!(env.seen(), [1, 3, 5, 7, 9]);
    let expect = Failure::from(TimedOut::after(Duration::from_millis(5)));
    assert_eq!(env.errors(), vec![expect.to_string(); 5]);
    assert_eq!((env.begun(), env.gone()), (10, 10), "no future is left");
    let ask = report.metrics().stage::<late::ask>();
    assert_eq!((ask.received, ask.sent, ask.failed), (10, 5, 5));
    assert_eq!(ask.guard.as_ref().unwrap().timed_out, 5);
    assert_eq!(ask.flights.as_ref().unwrap().cancelled, 5);
}

#[pipeline(env = Env)]
mod retried {
    use super::{Env, Failure};

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..40
    }

    #[stage(from = numbers, in_flight = 8, retry(max = 2, backoff = "1ms", jitter_pct = 0))]
    pub async fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        env.turn(n % 3).await;
        match (env.tried(n), n % 4) {
            (_, 1) => Err(Failure::Bad(n)),
            (tries, 2) if tries <= 2 => Err(Failure::Down(n)),
            (_, 3) => Err(Failure::Down(n)),
            _ => Ok(n),
        }
    }

    #[sink(from = ask)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn complain(letter: pipewright::DeadLetter<Failure, u64>, env: &Env) {
        let pipewright::DeadLetter { attempts, item, .. } = &letter;
        env.complain(format!("{item}: {:?} after {attempts}", letter.error));
    }
}

#[test]
fn what_fails_is_tried_again_beside_the_others_and_order_is_kept() {
    for workers in [1, 3] {
        let env = Env::default();
        let run = retried::pipeline().workers(workers).start(env.clone());
        let report = run.unwrap().wait().unwrap();
        let expect: Vec<u64> = (0..40).filter(|n| n % 2 == 0).collect();
        assert_eq!(env.seen(), expect);
        let expect: Vec<String> = (0..40)
            .filter(|n| n % 2 == 1)
            .map(|n| match n % 4 {
                1 => format!("{n}: Bad({n}) after 1"),
                _ => format!("{n}: Down({n}) after 3"),
            })
            .collect();
        assert_eq!(env.errors(), expect);
        let ask = report.metrics().stage::<retried::ask>();
        assert_eq!((ask.received, ask.sent, ask.failed), (40, 20, 20));
        assert_eq!(ask.guard.as_ref().unwrap().retried, 40);
        assert_eq!(ask.flights.as_ref().unwrap().begun, 80);
    }
}

#[pipeline(env = Env)]
mod broken {
    use super::{Env, Failure};

    #[stage(from = input, in_flight = 4, breaker(min_items = 4, window = 10, open = "20ms", open_jitter_pct = 0, probes = 2, ramp = "0s"))]
    pub async fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        env.turn(1).await;
        if env.tried(0) <= 4 {
            Err(Failure::Down(n))
        } else {
            Ok(n)
        }
    }

    #[sink(from = ask)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn complain(failure: Failure, env: &Env) {
        env.complain(failure);
    }
}

#[test]
fn while_the_breaker_is_open_no_future_begins_and_nothing_is_lost() {
    let env = Env::default();
    let run = broken::pipeline().workers(2).start(env.clone()).unwrap();
    run.send_batch(&mut (0..4).collect()).unwrap();
    eventually(|| env.errors().len() == 4);
    let breaker = run.breaker::<broken::ask>().unwrap();
    eventually(|| breaker.state() == State::Open);
    // However long this thread is kept waiting, the breaker is open when the others come.
    breaker.force_open();
    run.send_batch(&mut (4..100).collect()).unwrap();
    let ask = || run.metrics().stage::<broken::ask>().guard.clone();
    eventually(|| ask().is_some_and(|guard| guard.held > 0));
    assert_eq!(env.seen(), Vec::<u64>::new());
    breaker.release();
    eventually(|| env.seen().len() == 96);
    let report = run.drain().unwrap();
    assert_eq!(env.seen(), (4..100).collect::<Vec<_>>());
    let guard = report
        .metrics()
        .stage::<broken::ask>()
        .guard
        .clone()
        .unwrap();
    assert_eq!(guard.state, Some(State::Closed));
    assert!(guard.held > 0 && guard.waiting == 0, "{guard:?}");
    assert_eq!((guard.breaker.passed, guard.breaker.failed), (96, 4));
}

#[pipeline(env = Env)]
mod diverted {
    use super::{Env, Failure};

    #[stage(from = input, breaker(consecutive = 3, min_items = 3, window = 10, open = "600s", on_open = dead_letter))]
    pub async fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        env.turn(n % 2).await;
        Err(Failure::Down(n))
    }

    #[sink(from = ask)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn complain(failure: Failure, env: &Env) {
        env.complain(failure);
    }
}

#[test]
fn what_an_open_breaker_turns_away_leaves_without_a_call() {
    let env = Env::default();
    let run = diverted::pipeline().workers(2).start(env.clone()).unwrap();
    run.send_batch(&mut (0..1000).collect()).unwrap();
    let report = run.drain().unwrap();
    let ask = report.metrics().stage::<diverted::ask>();
    let guard = ask.guard.as_ref().unwrap();
    assert_eq!(env.errors().len(), 1000);
    let refused = env.errors().iter().filter(|one| *one == "Refused").count() as u64;
    assert!(refused > 0 && refused == guard.refused, "{guard:?}");
    let begun = ask.flights.as_ref().unwrap().begun;
    assert_eq!(begun + refused, 1000);
}

#[pipeline(env = Env)]
mod panicking {
    use super::{Env, Failure};

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[stage(from = numbers, in_flight = 8, breaker(min_items = 1000, window = 1000))]
    pub async fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        let _begun = env.begin();
        env.turn(n % 3).await;
        assert!(n % 100 != 7, "{n} is bad");
        Ok(n)
    }

    #[sink(from = ask)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn complain(failure: Failure, env: &Env) {
        env.complain(failure);
    }
}

#[test]
fn a_future_that_panics_loses_its_own_item_only() {
    let env = Env::default();
    let run = panicking::pipeline().workers(2).start(env.clone()).unwrap();
    let report = run.wait().unwrap();
    let expect: Vec<u64> = (0..1000).filter(|n| n % 100 != 7).collect();
    assert_eq!(env.seen(), expect);
    let ask = report.metrics().stage::<panicking::ask>();
    assert_eq!((ask.received, ask.sent, ask.panicked), (1000, 990, 10));
    let guard = ask.guard.as_ref().unwrap();
    assert_eq!((guard.breaker.passed, guard.breaker.failed), (990, 10));
    assert_eq!((env.begun(), env.gone()), (1000, 1000));
    let mut notes = report.panics().iter();
    assert!(notes.all(|note| note.stage == "ask" && note.message.ends_with("is bad")));
}

#[pipeline(env = Env)]
mod strict {
    use super::Env;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..1000
    }

    #[sink(from = numbers, on_panic = stop)]
    pub async fn ask(n: u64, env: &Env) {
        env.turn(n % 3).await;
        assert!(n != 70, "{n} is bad");
    }
}

#[test]
fn with_on_panic_stop_the_run_ends_and_its_ledger_balances() {
    let run = strict::pipeline().workers(2).start(Env::default()).unwrap();
    let failed = run.wait().unwrap_err();
    assert!(failed.error.to_string().contains("70 is bad"));
    assert_eq!(failed.report.ledger().in_flight, 0, "{}", failed.report);
}
