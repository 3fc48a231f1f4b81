//! Calls: each is answered once, whatever becomes of its request.

#![allow(
    missing_docs,
    unreachable_pub,
    reason = "pipelines of a test are written as users write theirs"
)]

mod dry;
mod links;
mod readers;

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use pipewright::{CallError, RunError, Running, TrySendError, pipeline};
use pipewright_tests::Gate;

/// What a stage is to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Double(u64),
    Filter,
    Fail(u64),
    Panic,
    /// Waits at the gate, then doubles.
    Wait(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub u64);

const FAR: Duration = Duration::from_secs(60);

/// Panics that are asked for are not printed.
fn quiet() {
    std::panic::set_hook(Box::new(|info| {
        if info.payload().downcast_ref() != Some(&"asked to") {
            eprintln!("{info}");
        }
    }));
}

#[pipeline(env = Arc<super::Gate>, reply = double)]
mod simple {
    use super::*;

    #[stage(from = input, on_error = drop, queue = 2)]
    pub fn check(request: Request, gate: &Arc<Gate>) -> Result<Option<u64>, Wrong> {
        match request {
            Request::Double(n) => Ok(Some(n)),
            Request::Filter => Ok(None),
            Request::Fail(n) => Err(Wrong(n)),
            Request::Panic => panic!("asked to"),
            Request::Wait(n) => {
                gate.pass();
                Ok(Some(n))
            }
        }
    }

    #[stage(from = check)]
    pub fn double(n: u64) -> u64 {
        n * 2
    }
}

type Simple = Running<simple::Pipeline>;

fn simple(gate: &Arc<Gate>) -> Simple {
    let env = Arc::clone(gate);
    simple::pipeline().workers(1).start(env).expect("it starts")
}

/// How a test calls.
type Call = fn(&Simple, Request) -> Result<u64, CallError<Request, Wrong>>;

const CALLS: [Call; 5] = [
    |run, request| run.call(request),
    |run, request| run.try_call(request),
    |run, request| run.call_within(request, FAR),
    |run, request| run.caller().call(request),
    |run, request| block_on(run.call_async(request)),
];

#[test]
fn every_end_of_a_request_is_told() {
    quiet();
    let run = simple(&Arc::default());
    let stage = "check";
    let error = Wrong(7);
    let cases = [
        (Request::Double(21), Ok(42)),
        (Request::Filter, Err(CallError::Filtered { stage })),
        (Request::Fail(7), Err(CallError::Failed { stage, error })),
        (Request::Panic, Err(CallError::Panicked { stage })),
        (Request::Double(4), Ok(8)),
    ];
    for call in CALLS {
        for (request, expect) in &cases {
            assert_eq!(&call(&run, *request), expect, "{request:?}");
        }
    }
    let report = run.drain().expect("the ledger balances");
    let ledger = report.ledger();
    let n = CALLS.len() as u64;
    assert_eq!((ledger.received, ledger.delivered), (5 * n, 2 * n));
    assert_eq!((ledger.filtered, ledger.failed, ledger.panicked), (n, n, n));
    assert_eq!(report.metrics().late_answers(), 0);
}

/// A thread that waits for a task.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(ready) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return ready;
        }
        thread::park();
    }
}

#[test]
fn a_full_input_gives_the_request_back() {
    let gate = Arc::default();
    let run = simple(&gate);
    thread::scope(|scope| {
        let first = scope.spawn(|| run.call(Request::Wait(1)));
        gate.reached();
        // The worker waits with the first, so the input fills up.
        while run.input().len() < run.input().capacity() {
            let _ = run.input().try_send(Request::Filter);
        }
        let more = Request::Double(5);
        assert_eq!(run.try_call(more), Err(CallError::Overloaded(Some(more))));
        assert_eq!(
            block_on(run.call_async(more)),
            Err(CallError::Overloaded(Some(more)))
        );
        let late = run.call_within(more, Duration::from_millis(1));
        assert_eq!(late, Err(CallError::Deadline(Some(more))));
        gate.open();
        assert_eq!(first.join().expect("it returns"), Ok(2));
    });
    assert_eq!(run.call(Request::Double(6)), Ok(12));
    let report = run.drain().expect("the ledger balances");
    assert_eq!(
        report.metrics().late_answers(),
        0,
        "what was not taken has no answer"
    );
}

#[test]
fn an_answer_that_comes_too_late_is_thrown_away_and_counted() {
    let gate = Arc::<Gate>::default();
    let run = simple(&gate);
    // A machine that is busy may have let the time pass before the stage was called, which is then not called; and those that are
    // not called may fill the input.
    let mut time = Duration::from_millis(1);
    let mut taken = 0;
    while !gate.is_reached() {
        match run.call_within(Request::Wait(1), time) {
            Err(CallError::Deadline(back)) => taken += u64::from(back.is_none()),
            other => panic!("{other:?}"),
        }
        time *= 2;
    }
    gate.open();
    assert_eq!(run.call(Request::Double(2)), Ok(4), "others go on");
    assert_eq!(run.metrics().late_answers(), 1);
    let report = run.drain().expect("the ledger balances");
    let ledger = report.ledger();
    assert_eq!(ledger.delivered, 2, "its item went its way");
    assert_eq!(ledger.dropped_by.expired, taken - 1, "{report}");
    assert!(
        report
            .to_string()
            .contains("  1 answer too late, when callers had gone\n"),
        "{report}"
    );
}

#[test]
fn a_future_that_is_dropped_cancels_its_call() {
    let gate = Arc::default();
    let run = simple(&gate);
    let (dropped, never_polled) = (
        run.call_async(Request::Wait(1)),
        run.call_async(Request::Double(3)),
    );
    {
        let mut dropped = pin!(dropped);
        let waker = Waker::noop();
        assert!(
            dropped
                .as_mut()
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
    drop(never_polled);
    gate.open();
    assert_eq!(run.call(Request::Double(2)), Ok(4));
    let report = run.drain().expect("the ledger balances");
    // A request that was worked on already is answered in vain, and the others are not worked on.
    let expired = report.ledger().dropped_by.expired;
    assert_eq!(report.metrics().late_answers() + expired, 2);
}

#[test]
fn who_waits_when_a_run_is_stopped_is_answered() {
    let gate = Arc::<Gate>::default();
    let run = simple(&gate);
    let (caller, input) = (run.caller(), run.input());
    thread::scope(|scope| {
        let inside = scope.spawn(|| caller.call(Request::Wait(1)));
        gate.reached();
        let queued = scope.spawn(|| caller.call(Request::Double(2)));
        while input.is_empty() {
            thread::yield_now();
        }
        // The worker is at the gate, and the gate opens when the run is stopping: nothing is sent any more.
        let opener = scope.spawn(|| {
            while !matches!(
                input.try_send(Request::Filter),
                Err(TrySendError::Closed(_))
            ) {
                thread::yield_now();
            }
            gate.open();
        });
        let report = run.stop().expect("the ledger balances");
        opener.join().expect("it opens");
        // The one that a stage had goes on to its answer; the other one is dropped.
        assert_eq!(inside.join().expect("it returns"), Ok(2));
        assert_eq!(
            queued.join().expect("it returns"),
            Err(CallError::ShutDown(None))
        );
        let ledger = report.ledger();
        assert_eq!((ledger.delivered, ledger.received), (1, ledger.dropped + 1));
    });
    let after = Request::Double(1);
    assert_eq!(caller.call(after), Err(CallError::ShutDown(Some(after))));
    assert_eq!(
        caller.try_call(after),
        Err(CallError::ShutDown(Some(after)))
    );
}

#[test]
fn who_waits_when_a_run_is_drained_is_answered_with_the_reply() {
    let gate = Arc::<Gate>::default();
    let run = simple(&gate);
    let caller = run.caller();
    thread::scope(|scope| {
        let inside = scope.spawn(|| caller.call(Request::Wait(1)));
        gate.reached();
        let queued = scope.spawn(|| caller.call(Request::Double(2)));
        while run.input().is_empty() {
            thread::yield_now();
        }
        gate.open();
        let _ = run.drain().expect("the ledger balances");
        assert_eq!(inside.join().expect("it returns"), Ok(2));
        assert_eq!(queued.join().expect("it returns"), Ok(4));
    });
}

#[test]
fn what_is_sent_has_no_caller() {
    let run = simple(&Arc::default());
    run.send(Request::Double(1)).expect("it is taken");
    run.send_all([Request::Double(2), Request::Filter])
        .expect("they are taken");
    let mut batch = vec![Request::Double(3); 10];
    run.send_batch(&mut batch).expect("they are taken");
    assert!(batch.is_empty());
    assert_eq!(run.call(Request::Double(4)), Ok(8));
    let input = run.input();
    let report = run.drain().expect("the ledger balances");
    assert_eq!(
        (report.ledger().received, report.ledger().delivered),
        (14, 13)
    );
    let mut batch = vec![Request::Double(1), Request::Filter];
    input.send_batch(&mut batch).expect_err("it is over");
    assert_eq!(batch, [Request::Double(1), Request::Filter]);
    assert_eq!(
        input
            .send(Request::Filter)
            .expect_err("it is over")
            .into_inner(),
        Request::Filter
    );
}

#[pipeline(reply = fragile)]
mod stops {
    #[stage(from = input)]
    pub fn fragile(n: u64, calls: &mut u64) -> u64 {
        *calls += 1;
        assert!(n != 13, "asked to");
        n
    }
}

#[test]
fn a_run_that_ends_by_itself_leaves_nobody_waiting() {
    quiet();
    let run = stops::pipeline().workers(2).start(()).expect("it starts");
    let caller = run.caller();
    assert_eq!(caller.call(1), Ok(1));
    assert_eq!(
        caller.call(13),
        Err(CallError::Panicked { stage: "fragile" })
    );
    // Nobody waits for the run, and still the next call is told.
    assert_eq!(caller.call(2).map_err(|error| error.stage()), Err(None));
    let failed = run.wait().expect_err("its state is not safe");
    assert!(matches!(
        failed.error,
        RunError::Panicked {
            stage: "fragile",
            ..
        }
    ));
    assert!(failed.report.ledger().is_balanced());
}

#[pipeline(reply = halve)]
mod failing {
    #[stage(from = input, on_error = stop)]
    pub fn halve(n: u64) -> Result<u64, String> {
        if n.is_multiple_of(2) {
            Ok(n / 2)
        } else {
            Err(format!("{n} is odd"))
        }
    }
}

#[test]
fn an_error_that_stops_the_run_answers_its_call() {
    let run = failing::pipeline().workers(1).start(()).expect("it starts");
    assert_eq!(run.call(8), Ok(4));
    let failed = run.call(3).expect_err("3 is odd");
    assert_eq!(failed.to_string(), "`halve` failed: 3 is odd");
    let ended = run.wait().expect_err("it was stopped");
    assert_eq!(ended.error.to_string(), "`halve` failed: 3 is odd");
    assert!(ended.report.ledger().is_balanced());
}

#[test]
fn a_handle_outlives_the_run() {
    let run = simple(&Arc::default());
    let caller = run.caller();
    drop(run);
    let refused = caller.clone().call_within(Request::Double(1), FAR);
    let refused = refused.expect_err("the run is over");
    assert!(!refused.is_overloaded());
    assert_eq!(refused.into_request(), Some(Request::Double(1)));
}
