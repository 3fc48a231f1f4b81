//! Calls that hang: others stand in for those who wait for them, who give way when they have returned. Any call may be seen to hang
//! here, because the time goes on as the schedule wants.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use pipewright::{Report, pipeline};

use crate::harness::{Seen, balanced, check, ended, slow, start};

const ITEMS: u64 = 30;

/// Workers that stood in for others, in all schedules.
static STOOD_IN: AtomicU64 = AtomicU64::new(0);

#[derive(Clone)]
pub struct Env {
    published: Seen<u64>,
    calls: Arc<[AtomicU64]>,
}

impl Env {
    fn new() -> Self {
        Self {
            published: Seen::new(),
            calls: (0..ITEMS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn call(&self, n: u64) -> Result<u64, String> {
        self.calls[n as usize].fetch_add(1, Ordering::Relaxed);
        Ok(slow(n))
    }

    /// How many items were called; none was twice.
    fn called(&self) -> u64 {
        let calls = self.calls.iter().map(|calls| calls.load(Ordering::Relaxed));
        calls.inspect(|calls| assert!(*calls <= 1)).sum()
    }
}

/// Notes how often a worker stood in.
fn note<P: pipewright::Blueprint>(report: &Report<P>) {
    let guard = report.metrics().get("ask").unwrap().guard.as_ref();
    let stood_in = guard.map_or(0, |guard| guard.stood_in);
    STOOD_IN.fetch_add(stood_in, Ordering::Relaxed);
}

#[pipeline(env = Env, quantum = "1us")]
mod parallel {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, timeout = "100ns", on_error = stop)]
    pub fn ask(n: u64, env: &Env) -> Result<u64, String> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }
}

#[test]
fn what_hung_is_done_once_and_in_order() {
    check(|| {
        let env = Env::new();
        let report = ended(start(parallel::pipeline(), env.clone()).wait());
        note(&report);
        assert_eq!(env.called(), ITEMS, "{report}");
        let published = env.published.take();
        assert!(published.into_iter().eq(0..ITEMS), "{report}");
    });
    if std::env::var_os("PIPEWRIGHT_SHUTTLE_REPLAY").is_none() {
        let stood_in = STOOD_IN.load(Ordering::Relaxed);
        println!("workers stood in {stood_in} times for others");
        assert!(stood_in > 0, "the schedules have shown nothing");
    }
}

#[test]
fn a_drain_waits_for_calls_that_hang_and_loses_nothing() {
    check(|| {
        let env = Env::new();
        let run = start(parallel::pipeline(), env.clone());
        slow(7);
        let report = ended(run.drain());
        assert_eq!(report.ledger().dropped, 0, "{report}");
        assert_eq!(env.called(), report.ledger().delivered, "{report}");
        assert!(env.published.take().is_sorted(), "{report}");
    });
}

#[test]
fn a_run_that_stops_ends_with_workers_in_quarantine() {
    check(|| {
        let env = Env::new();
        let run = start(parallel::pipeline(), env.clone());
        slow(7);
        slow(8);
        let report = run.stop().unwrap();
        balanced(&report);
        assert!(env.called() >= report.ledger().delivered, "{report}");
    });
}

#[pipeline(env = Env, quantum = "1us")]
mod keyed {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, key = |n: &u64| n % 3, timeout = "100ns", on_error = stop)]
    pub fn ask(n: u64, next: &mut u64, env: &Env) -> Result<u64, String> {
        assert_eq!(*next, n / 3);
        *next += 1;
        env.call(n)
    }

    #[sink(from = ask, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }
}

#[test]
fn a_key_belongs_to_the_call_that_hangs() {
    check(|| {
        let env = Env::new();
        let report = ended(start(keyed::pipeline(), env.clone()).wait());
        assert_eq!(env.called(), ITEMS, "{report}");
        assert_eq!(report.ledger().delivered, ITEMS, "{report}");
    });
}
