//! Calls of dry runs: the same answers and refusals, by a clock that only the test and the calls turn.

use std::{fmt, time::Duration};

use pipewright::{CallError, Classify, ErrorClass, pipeline};

/// Whom is called has failed with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong(pub u64);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is wrong", self.0)
    }
}

impl Classify for Wrong {
    fn class(&self) -> ErrorClass {
        ErrorClass::Dependency
    }
}

/// What requests do in the first stage.
#[pipeline(reply = price)]
mod prices {
    use super::Wrong;

    #[stage(from = input)]
    pub fn check(n: u64) -> Result<Option<u64>, Wrong> {
        match n {
            0 => Ok(None),
            1 => Err(Wrong(n)),
            2 => panic!("two"),
            _ => Ok(Some(n)),
        }
    }

    #[stage(from = check, batch = 4, linger = "2ms")]
    pub fn price(items: &mut [u64]) {
        for n in items {
            *n *= 10;
        }
    }

    /// Another reader of the answer.
    #[sink(from = price)]
    pub fn log(n: u64, all: &mut Vec<u64>) {
        all.push(n);
    }

    #[sink(from = check::Err)]
    pub fn complain(wrong: Wrong, all: &mut Vec<u64>) {
        all.push(wrong.0);
    }
}

#[test]
fn a_call_is_answered_when_the_clock_has_come_to_its_batch() {
    let mut run = prices::pipeline().dry_run(());
    assert_eq!(run.call(7), Ok(70));
    assert_eq!(run.elapsed(), Duration::from_millis(2));
    // Others are in the batch, which is full with the call.
    let _ = run.feed_input([3, 4, 5]);
    assert_eq!(run.call(8), Ok(80));
    assert_eq!(run.elapsed(), Duration::from_millis(2));
    let mut report = run.drain().expect("nothing stops it");
    let logged = report.take_state::<prices::log>();
    assert_eq!(logged, Some(vec![70, 30, 40, 50, 80]));
    assert_eq!(report.ledger().delivered, 5, "{report}");
}

#[test]
fn a_call_that_ends_on_its_way_says_where() {
    super::quiet();
    let mut run = prices::pipeline().dry_run(());
    assert_eq!(run.call(0), Err(CallError::Filtered { stage: "check" }));
    let stage = "check";
    let error = Wrong(1);
    assert_eq!(run.call(1), Err(CallError::Failed { stage, error }));
    assert_eq!(run.call(2), Err(CallError::Panicked { stage }));
    let mut report = run.drain().expect("a panic costs its item");
    // The error has a reader, too.
    assert_eq!(report.take_state::<prices::complain>(), Some(vec![1]));
    assert!(report.ledger().is_balanced(), "{report}");
}

#[test]
fn a_call_whose_time_is_up_has_no_answer_and_a_late_one_is_counted() {
    let mut run = prices::pipeline().dry_run(());
    let late = run.call_within(7, Duration::from_millis(1));
    assert_eq!(late, Err(CallError::Deadline(None)));
    assert_eq!(run.elapsed(), Duration::from_millis(1));
    run.advance("1ms");
    run.run();
    assert_eq!(run.metrics().late_answers(), 1);
    let in_time = run.call_within(8, Duration::from_millis(3));
    assert_eq!(in_time, Ok(80));
    assert_eq!(run.elapsed(), Duration::from_millis(4));
}

#[test]
fn several_calls_are_on_their_way_together() {
    let mut run = prices::pipeline().dry_run(());
    let mut calls: Vec<_> = (3..7).map(|n| run.ask(n).expect("there is room")).collect();
    assert!(calls.iter_mut().all(|call| call.answer().is_none()));
    run.run();
    let answers: Vec<_> = calls.iter_mut().map(|call| call.answer()).collect();
    let expect: Vec<_> = [30, 40, 50, 60].map(|n| Some(Ok(n))).into();
    assert_eq!(answers, expect);
    assert_eq!(run.elapsed(), Duration::ZERO);
    // What the test takes away has not come to the answer.
    let mut taken = run.ask(9).expect("there is room");
    assert_eq!(run.take::<prices::check>(), [9]);
    assert_eq!(
        taken.answer(),
        Some(Err(CallError::Filtered { stage: "check" }))
    );
}

/// A breaker that is open drops requests or keeps them waiting; a small input refuses some.
#[pipeline(reply = ask)]
mod guarded {
    use super::Wrong;

    #[stage(
        from = input,
        queue = 2,
        overflow = reject,
        on_error = drop,
        breaker(consecutive = 2, open = "1s", open_jitter_pct = 0, ramp = "0s", probes = 1)
    )]
    pub fn ask(n: u64) -> Result<u64, Wrong> {
        match n {
            0 => Err(Wrong(n)),
            n => Ok(n),
        }
    }
}

#[test]
fn a_call_waits_for_a_breaker_by_the_clock_of_the_run() {
    let mut run = guarded::pipeline().dry_run(());
    let stage = "ask";
    for _ in 0..2 {
        let error = Wrong(0);
        assert_eq!(run.call(0), Err(CallError::Failed { stage, error }));
    }
    // It is open.
    let late = run.call_within(5, Duration::from_millis(400));
    assert_eq!(late, Err(CallError::Deadline(None)));
    assert_eq!(run.elapsed(), Duration::from_millis(400));
    assert_eq!(run.call(6), Ok(6));
    assert_eq!(run.elapsed(), Duration::from_secs(1));
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.ledger().dropped_by.expired, 1, "{report}");
}

#[test]
fn a_full_input_refuses_a_call_and_gives_the_request_back() {
    let mut run = guarded::pipeline().dry_run(());
    let mut calls = [run.ask(1), run.ask(2)].map(|asked| asked.expect("there is room"));
    let refused = run.ask(3).map(|_| ()).expect_err("it is full");
    assert_eq!(refused, CallError::Overloaded(Some(3)));
    assert_eq!(run.call(4), Err(CallError::Overloaded(Some(4))));
    run.run();
    assert_eq!(
        calls.each_mut().map(|call| call.answer()),
        [1, 2].map(|n| Some(Ok(n)))
    );
}

/// A run that an error ends.
#[pipeline(reply = ask)]
mod stopping {
    use super::Wrong;

    #[stage(from = input, on_error = stop)]
    pub fn ask(n: u64) -> Result<u64, Wrong> {
        match n {
            0 => Err(Wrong(n)),
            n => Ok(n),
        }
    }
}

#[test]
fn a_run_that_has_stopped_answers_no_calls() {
    let mut run = stopping::pipeline().dry_run(());
    let error = Wrong(0);
    let failed = CallError::Failed {
        stage: "ask",
        error,
    };
    assert_eq!(run.call(0), Err(failed));
    assert_eq!(run.call(5), Err(CallError::ShutDown(Some(5))));
    assert!(run.drain().is_err());
}
