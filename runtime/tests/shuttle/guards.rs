//! Guarded stages: batches are put aside and come back, with a gate or without, and the run ends.

use pipewright::{Blueprint, Builder, Classify, pipeline};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, sync::Arc};

use crate::harness::{Seen, any, check, ended, start, uneven};

const ITEMS: u64 = 30;

/// What stages call: it fails in calls 5 to 9.
#[derive(Clone)]
pub struct Env {
    calls: Arc<AtomicU64>,
    published: Seen<u64>,
    rejected: Seen<u64>,
}

impl Env {
    fn new() -> Self {
        Self {
            calls: Arc::new(AtomicU64::new(0)),
            published: Seen::new(),
            rejected: Seen::new(),
        }
    }

    fn call(&self, n: u64) -> Result<u64, Down> {
        uneven(n);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if (5..10).contains(&call) {
            Err(Down(n))
        } else {
            Ok(n)
        }
    }

    /// Every item came out once, those that were published in their order.
    fn check(&self) {
        let published = self.published.take();
        assert!(published.is_sorted(), "{published:?}");
        let mut all = [published, self.rejected.take()].concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..ITEMS), "{all:?}");
    }
}

#[derive(Debug)]
pub struct Down(u64);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer for {}", self.0)
    }
}

impl Classify for Down {}

#[pipeline(env = Env, quantum = "1us")]
mod parallel {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, breaker(consecutive = 2, open = "10ms", open_max = "10ms", ramp = "0s", probes = 2))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Down> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn reject(down: Down, env: &Env) {
        env.rejected.see(down.0);
    }
}

#[test]
fn batches_wait_for_a_breaker_and_come_back() {
    check(|| {
        let env = Env::new();
        let report = ended(start(parallel::pipeline(), env.clone()).wait());
        assert_eq!(report.ledger().dropped, 0, "{report}");
        env.check();
    });
}

#[test]
fn a_drain_ends_when_what_waits_has_come_back() {
    check(|| {
        let env = Env::new();
        let run = start(parallel::pipeline(), env.clone());
        let report = ended(run.drain());
        assert!(report.ledger().is_balanced(), "{report}");
        assert_eq!(report.ledger().dropped, 0, "{report}");
    });
}

#[test]
fn a_run_that_stops_drops_what_waits() {
    check(|| {
        let run = start(parallel::pipeline(), Env::new());
        let report = ended(run.stop());
        assert!(report.ledger().is_balanced(), "{report}");
    });
}

#[pipeline(env = Env, quantum = "1us")]
mod serial {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn before(n: u64) -> u64 {
        uneven(n);
        n
    }

    #[stage(from = before, breaker(consecutive = 2, open = "10ms", open_max = "10ms", ramp = "0s", probes = 2))]
    pub fn ask(n: u64, next: &mut u64, env: &Env) -> Result<u64, Down> {
        assert_eq!(*next, n);
        *next += 1;
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn reject(down: Down, env: &Env) {
        env.rejected.see(down.0);
    }
}

#[test]
fn a_batch_that_waits_holds_its_gate() {
    check(|| {
        let env = Env::new();
        let report = ended(start(serial::pipeline(), env.clone()).wait());
        assert_eq!(report.ledger().dropped, 0, "{report}");
        env.check();
    });
}

#[pipeline(env = Env, quantum = "1us")]
mod retried {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, retry(max = 9, backoff = "20us"), breaker(consecutive = 3, open = "10ms", open_max = "10ms", ramp = "0s", probes = 2))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Down> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn reject(down: Down, env: &Env) {
        env.rejected.see(down.0);
    }
}

#[test]
fn items_that_are_tried_again_come_out_in_their_order() {
    check(|| {
        let env = Env::new();
        let report = ended(start(retried::pipeline(), env.clone()).wait());
        assert_eq!(report.ledger().failed, 0, "{report}");
        env.check();
    });
}

#[test]
fn a_drain_in_the_middle_of_tries_ends() {
    check(|| {
        let env = Env::new();
        let run = start(retried::pipeline(), env.clone());
        uneven(3);
        let report = ended(run.drain());
        assert_eq!(report.ledger().dropped, 0, "{report}");
    });
}

#[pipeline(env = Env, quantum = "1us")]
mod retried_in_turn {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, key = |n: &u64| n % 3, retry(max = 9, backoff = "20us"))]
    pub fn ask(n: u64, next: &mut u64, env: &Env) -> Result<u64, Down> {
        assert_eq!(*next, n / 3);
        env.call(n).inspect(|_| *next += 1)
    }

    #[sink(from = ask, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn reject(down: Down, env: &Env) {
        env.rejected.see(down.0);
    }
}

#[test]
fn nothing_of_a_key_overtakes_what_is_tried_again() {
    check(|| {
        let env = Env::new();
        let report = ended(start(retried_in_turn::pipeline(), env.clone()).wait());
        assert_eq!(
            (report.ledger().failed, report.ledger().delivered),
            (0, ITEMS),
            "{report}"
        );
    });
}

/// A guarded stage on a thread of its own, which waits with its batch.
#[pipeline(env = Env, quantum = "1us")]
mod pinned {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "0", retry(max = 9, backoff = "20us"), breaker(consecutive = 3, open = "10ms", open_max = "10ms", ramp = "0s", probes = 2))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Down> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn reject(down: Down, env: &Env) {
        env.rejected.see(down.0);
    }
}

/// Three threads, of which two may be in the stage at once.
#[pipeline(env = Env, quantum = "1us")]
mod pinned_threads {
    use super::*;

    #[source(batch = 2)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "0-2", workers = 2, retry(max = 9, backoff = "20us"), breaker(consecutive = 3, open = "10ms", open_max = "10ms", ramp = "0s", probes = 2))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Down> {
        env.call(n)
    }

    #[sink(from = ask)]
    pub fn publish(n: u64, env: &Env) {
        env.published.see(n);
    }

    #[sink(from = ask::Err)]
    pub fn reject(down: Down, env: &Env) {
        env.rejected.see(down.0);
    }
}

/// Lets the pinned threads wait in some way.
fn waiting<P: Blueprint>(builder: Builder<P>) -> Builder<P> {
    let wait = ["spin", "adaptive", "park"][any(3) as usize];
    let tuning = format!("( stages: {{ \"ask\": (wait: {wait}) }} )");
    builder.tuning("wait.ron", &tuning).unwrap()
}

#[test]
fn a_pinned_thread_that_waits_with_its_batch_goes_on() {
    check(|| {
        let env = Env::new();
        let report = ended(start(waiting(pinned::pipeline()), env.clone()).wait());
        assert_eq!(report.ledger().failed, 0, "{report}");
        env.check();
    });
}

#[test]
fn pinned_threads_that_wait_for_each_other_go_on() {
    check(|| {
        let env = Env::new();
        let report = ended(start(waiting(pinned_threads::pipeline()), env.clone()).wait());
        assert_eq!(report.ledger().failed, 0, "{report}");
        env.check();
    });
}

#[test]
fn a_drain_reaches_pinned_threads_that_wait() {
    check(|| {
        let env = Env::new();
        let run = start(waiting(pinned_threads::pipeline()), env.clone());
        uneven(3);
        let report = ended(run.drain());
        assert_eq!(report.ledger().dropped, 0, "{report}");
    });
}

#[test]
fn a_stop_reaches_pinned_threads_that_wait() {
    check(|| {
        let run = start(waiting(pinned_threads::pipeline()), Env::new());
        uneven(3);
        let report = ended(run.stop());
        assert!(report.ledger().is_balanced(), "{report}");
    });
}

#[test]
fn other_numbers_reach_a_pinned_thread_that_waits() {
    check(|| {
        let env = Env::new();
        let text = r#"( stages: { "ask": (retry: (backoff: "60min", max_backoff: "60min", jitter_pct: 0)) } )"#;
        let builder = waiting(pinned::pipeline()).tuning("t.ron", text).unwrap();
        let run = start(builder, env.clone());
        uneven(3);
        let text = r#"( stages: { "ask": (retry: (backoff: "20us", max_backoff: "20us")) } )"#;
        run.retune("operator", text).unwrap();
        let report = ended(run.wait());
        assert_eq!(report.ledger().failed, 0, "{report}");
        env.check();
    });
}
