//! Deadlines: what is of no use any more is dropped before work is done for it, and counted; callers hear of it.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use pipewright::{CallError, Report, pipeline};
use pipewright_tests::{Gate, Seen, eventually};

/// A long time, which no test waits for.
const LONG: Duration = Duration::from_secs(3600);

/// A gate for item 0, what the stages were called with, and a clock by the item.
#[derive(Default)]
pub struct World {
    gate: Gate,
    seen: Seen<(&'static str, u64)>,
    done: AtomicU64,
}

impl World {
    fn at(&self, stage: &'static str, n: u64) {
        self.seen.see((stage, n));
        if n == 0 {
            self.gate.pass();
        }
        self.done.fetch_add(1, SeqCst);
    }
}

type Env = Arc<World>;

/// Waits until a time has passed.
fn pass(time: Instant) {
    eventually(|| Instant::now() > time);
}

#[track_caller]
fn expired<P: pipewright::Blueprint>(report: &Report<P>, delivered: u64, expired: u64) {
    let ledger = report.ledger();
    assert!(ledger.is_balanced(), "{report}");
    let found = (ledger.delivered, ledger.dropped, ledger.dropped_by.expired);
    assert_eq!(found, (delivered, expired, expired), "{report}");
}

#[pipeline(env = Env)]
mod one {
    use super::*;

    #[sink(from = input)]
    pub fn last(n: u64, env: &Env) {
        env.at("last", n);
    }
}

#[test]
fn items_whose_time_is_up_in_the_input_are_not_worked_on() {
    for workers in [1, 2] {
        let env = Env::default();
        let run = one::pipeline()
            .workers(workers)
            .start(Arc::clone(&env))
            .unwrap();
        run.send(0).unwrap();
        env.gate.reached();
        let short = Duration::from_millis(1);
        run.send_within(1, LONG).unwrap();
        run.send_within(2, short).unwrap();
        run.send(3).unwrap();
        run.input().send_within(4, short).unwrap();
        pass(Instant::now() + short);
        env.gate.open();
        let report = run.drain().unwrap();
        let mut seen = env.seen.take();
        seen.sort_unstable();
        assert_eq!(seen, [("last", 0), ("last", 1), ("last", 3)], "{workers}");
        expired(&report, 3, 2);
        assert!(
            report.to_string().contains("2 after their deadline"),
            "{report}"
        );
        assert!(!report.health().is_healthy(), "{report}");
    }
}

#[pipeline(env = Env)]
mod guarded {
    use super::*;

    #[stage(from = input)]
    pub fn first(n: u64, env: &Env) -> u64 {
        env.at("first", n);
        n
    }

    /// Of which one may be called, and then nothing for a minute.
    #[sink(from = first, rate = "1/min")]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(("last", n));
    }
}

#[test]
fn a_batch_that_waits_in_front_of_a_stage_is_dropped_when_its_time_is_up() {
    let env = Env::default();
    env.gate.open();
    let run = guarded::pipeline()
        .workers(1)
        .start(Arc::clone(&env))
        .unwrap();
    run.send(1).unwrap();
    eventually(|| env.seen.len() == 2);
    // The rate would keep it for a minute. On a machine that is busy its time may be up before it waits there.
    let expired_at = |stage: &str| run.metrics().get(stage).unwrap().dropped_by.expired;
    let (mut time, mut sent) = (Duration::from_millis(20), 0);
    while expired_at("last") == 0 {
        run.send_within(2, time).unwrap();
        (time, sent) = (2 * time, sent + 1);
        eventually(|| expired_at("first") + expired_at("last") == sent);
    }
    let report = run.drain().unwrap();
    expired(&report, 1, sent);
    assert!(!env.seen.take().contains(&("last", 2)));
}

#[test]
fn a_dry_run_drops_what_waits_for_too_long() {
    let env = Env::default();
    env.gate.open();
    let mut run = guarded::pipeline().dry_run(Arc::clone(&env));
    run.feed_input_within([1, 2], Duration::from_secs(10));
    run.advance("1s");
    run.feed_input_within([3], Duration::ZERO);
    run.run();
    run.advance("9s");
    run.run();
    assert_eq!(
        env.seen.take(),
        [("first", 1), ("first", 2), ("last", 1)],
        "3 is late at once, and 2 would wait for a minute"
    );
    let metrics = run.metrics();
    assert_eq!(metrics.stage::<guarded::first>().dropped_by.expired, 1);
    assert_eq!(metrics.stage::<guarded::last>().dropped_by.expired, 1);
    expired(&run.drain().unwrap(), 1, 2);
}

#[pipeline(env = Env, reply = second)]
mod asked {
    use super::*;

    #[stage(from = input)]
    pub fn first(n: u64, env: &Env) -> u64 {
        env.at("first", n);
        n
    }

    /// Guarded, so that it is reached by a link.
    #[stage(from = first, rate = "1M/s")]
    pub fn second(n: u64, env: &Env) -> u64 {
        env.seen.see(("second", n));
        n + 1
    }
}

#[test]
fn a_request_whose_caller_has_left_goes_no_further() {
    let env = Env::default();
    let run = asked::pipeline()
        .workers(1)
        .start(Arc::clone(&env))
        .unwrap();
    // It is in the first stage when its caller leaves, and the other one in the input. A machine that is busy may have let the
    // time pass before.
    let (mut time, mut tries) = (Duration::from_millis(1), 0);
    while !env.gate.is_reached() {
        let late = run.call_within(0, time);
        assert_eq!(late, Err(CallError::Deadline(None)));
        (time, tries) = (2 * time, tries + 1);
    }
    let late = run.call_within(1, Duration::from_millis(1));
    assert_eq!(late, Err(CallError::Deadline(None)));
    // The worker is at the gate, so nothing leaves the input.
    let waiting = run.input().len();
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| run.call_within(2, LONG));
        eventually(|| run.input().len() == waiting + 1);
        env.gate.open();
        assert_eq!(patient.join().unwrap(), Ok(3));
    });
    assert_eq!(run.call(4), Ok(5));
    let late = run.metrics().late_answers();
    let report = run.drain().unwrap();
    let mut seen = env.seen.take();
    seen.sort_unstable();
    let expect = [
        ("first", 0),
        ("first", 2),
        ("first", 4),
        ("second", 2),
        ("second", 4),
    ];
    assert_eq!(seen, expect);
    expired(&report, 2, tries + 1);
    assert_eq!(late, 0, "nothing was worked on in vain");
}

#[test]
fn a_request_whose_future_is_dropped_is_not_worked_on() {
    let env = Env::default();
    let run = asked::pipeline()
        .workers(1)
        .start(Arc::clone(&env))
        .unwrap();
    run.send(0).unwrap();
    env.gate.reached();
    drop(run.call_async(1));
    env.gate.open();
    let report = run.drain().unwrap();
    expired(&report, 1, 1);
    assert!(!env.seen.take().contains(&("first", 1)));
}
