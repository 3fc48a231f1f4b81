//! Stages with a `timeout`: a call that hangs is told while it hangs, and its breaker knows.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "what stages use is as public as the functions that pipelines are made of"
)]

use std::sync::{Arc, Condvar, Mutex};

use pipewright::{GuardMetrics, Running, breaker::State, pipeline};
use pipewright_tests::Seen;

/// What sinks have seen, and a gate at which one item hangs until it is opened.
#[derive(Clone, Debug)]
pub struct Env {
    seen: Seen<u64>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Env {
    fn new() -> Self {
        Self {
            seen: Seen::new(),
            gate: Arc::default(),
        }
    }

    pub fn pass(&self, n: u64) {
        let (open, opened) = &*self.gate;
        if n == 10 {
            drop(
                opened
                    .wait_while(open.lock().unwrap(), |open| !*open)
                    .unwrap(),
            );
        }
    }

    fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }
}

#[pipeline(env = Env)]
mod told {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..50
    }

    #[stage(from = numbers, timeout = "1ms", on_error = stop)]
    fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.pass(n);
        Ok(n)
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[pipeline(env = Env)]
mod breaks {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..50
    }

    #[stage(from = numbers, timeout = "1ms", on_error = stop,
        breaker(min_items = 5, failure_pct = 1, open = "10ms", ramp = "0s", probes = 1))]
    fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.pass(n);
        Ok(n)
    }

    #[sink(from = guarded)]
    fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

/// Waits until what guards the stage is seen in a way.
fn until<P: pipewright::Blueprint>(run: &Running<P>, sees: impl Fn(&GuardMetrics) -> bool) {
    while !run
        .metrics()
        .get("guarded")
        .unwrap()
        .guard
        .as_ref()
        .is_some_and(&sees)
    {
        std::thread::yield_now();
    }
}

#[test]
fn a_call_that_hangs_is_told_while_it_does_and_when_it_has_returned() {
    for workers in [1, 2] {
        // A machine that lets nobody look for long may be taken for one that was stopped, whose calls are not late.
        assert!((0..100).any(|_| is_told(workers)), "it is never told");
    }
}

/// Is a call that hangs told when it has returned?
fn is_told(workers: usize) -> bool {
    let env = Env::new();
    let run = told::pipeline()
        .workers(workers)
        .start(env.clone())
        .expect("it starts");
    until(&run, |guard| guard.overdue == 1);
    env.open();
    let report = run.wait().expect("nothing stops it");
    let stage = report.metrics().get("guarded").unwrap();
    let guard = stage.guard.clone().unwrap();
    assert_eq!(guard.overdue, 0, "{report}");
    // What it gave is taken.
    assert!(env.seen.take().into_iter().eq(0..50));
    let is_told = guard.timed_out >= 1;
    assert!(!is_told || report.to_string().contains("took too long"));
    is_told
}

#[test]
fn a_call_that_hangs_opens_its_breaker_before_it_returns() {
    let env = Env::new();
    let run = breaks::pipeline()
        .workers(2)
        .start(env.clone())
        .expect("it starts");
    until(&run, |guard| {
        guard.state != Some(State::Closed) && guard.overdue == 1
    });
    env.open();
    let report = run.wait().expect("nothing stops it");
    assert!(env.seen.take().into_iter().eq(0..50), "{report}");
    assert_eq!(report.ledger().dropped, 0);
}
