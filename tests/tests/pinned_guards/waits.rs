//! How a pinned thread that waits in a guarded stage is woken: by other numbers, by a drain, by the end of a deadline, by a stop; and
//! what is told of one whose call hangs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use pipewright::{
    Blueprint, Builder, CallError, Health, RunError, Running, breaker::State, pipeline,
};
use pipewright_tests::{
    Gate, Seen, eventually,
    guarded::{break_with_five, guard, guard_of},
};

use crate::world::{Env, Failure, placed};

/// A pipeline whose pinned stage has these guards.
macro_rules! pushed {
    ($name:ident, $($keys:tt)*) => {
        #[pipeline(env = Env)]
        pub mod $name {
            use super::*;

            #[stage(from = input, $($keys)*)]
            pub fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
                env.call(n)
            }

            #[sink(from = guarded)]
            pub fn publish(n: u64, env: &Env) {
                env.publish(n);
            }

            #[sink(from = guarded::Err)]
            pub fn reject(failure: Failure, env: &Env) {
                env.reject(&failure, None);
            }
        }
    };
}

pushed!(
    broken,
    cores = "0",
    breaker(
        consecutive = 5,
        open = "10min",
        open_max = "10min",
        open_jitter_pct = 0,
        ramp = "0s",
        probes = 3
    )
);
pushed!(limited, cores = "0", rate = "1/min");
pushed!(
    retried,
    cores = "0",
    retry(
        max = 5,
        backoff = "60min",
        max_backoff = "60min",
        jitter_pct = 0
    )
);
pushed!(
    retried_by_threads,
    cores = "0-2",
    retry(
        max = 5,
        backoff = "60min",
        max_backoff = "60min",
        jitter_pct = 0
    )
);

/// Starts it, with its pinned threads waiting like this.
fn start<P: Blueprint<Env = Env>>(builder: Builder<P>, wait: &str, env: &Env) -> Running<P> {
    let text = format!(r#"( stages: {{ "guarded": (wait: {wait}) }} )"#);
    let builder = builder.tuning("wait.ron", &text).unwrap();
    placed(builder).start(env.clone()).unwrap()
}

const WAITS: [&str; 2] = ["park", "spin"];

#[track_caller]
fn retune<P: Blueprint>(run: &Running<P>, numbers: &str) {
    let text = format!(r#"( stages: {{ "guarded": ({numbers}) }} )"#);
    run.retune("operator", &text).unwrap();
}

#[test]
fn other_numbers_reach_a_thread_that_waits() {
    for wait in WAITS {
        let env = Env::failing(0, 5);
        let run = start(broken::pipeline(), wait, &env);
        break_with_five(&run);
        let told = run.health().to_string();
        assert!(told.contains("the breaker of `guarded` is open"), "{told}");
        retune(&run, r#"breaker: (open: "10ms", probes: 1)"#);
        eventually(|| env.published().len() == 15);
        assert_eq!(run.health(), Health::Healthy);
        let report = run.drain().unwrap();
        assert_eq!(report.ledger().failed, 5, "{report}");

        let env = Env::failing(0, 0);
        let run = start(limited::pipeline(), wait, &env);
        run.send_all(0..20).unwrap();
        eventually(|| guard(&run).waiting > 0);
        retune(&run, r#"rate: "1M/s""#);
        eventually(|| env.published().len() == 20);
        assert_eq!(run.drain().unwrap().ledger().delivered, 20);

        let env = Env::failing(0, 1);
        let run = start(retried::pipeline(), wait, &env);
        run.send_all(0..20).unwrap();
        eventually(|| guard(&run).waiting > 0);
        retune(&run, r#"retry: (backoff: "1ms", max_backoff: "1ms")"#);
        eventually(|| env.published().len() == 20);
        assert!(env.published().is_sorted(), "nothing has overtaken it");
        assert_eq!(run.drain().unwrap().ledger().failed, 0);
    }
}

#[test]
fn a_drain_ends_pauses_and_rates_and_a_last_try_is_made() {
    for wait in WAITS {
        let env = Env::failing(0, 1);
        let run = start(retried::pipeline(), wait, &env);
        run.send_all(0..20).unwrap();
        eventually(|| guard(&run).waiting > 0);
        let report = run.drain().unwrap();
        assert_eq!((env.calls(), env.published().len()), (21, 20), "{report}");

        let env = Env::failing(0, u64::MAX / 2);
        let run = start(retried_by_threads::pipeline(), wait, &env);
        run.send_all(0..3).unwrap();
        eventually(|| guard(&run).waiting > 0);
        let report = run.drain().unwrap();
        // Each was tried once more, and then its error was final.
        assert_eq!(report.ledger().failed, 3, "{report}");
        assert!(report.ledger().is_balanced(), "{report}");

        let env = Env::failing(0, 0);
        let run = start(limited::pipeline(), wait, &env);
        run.send_all(0..20).unwrap();
        eventually(|| guard(&run).waiting > 0);
        assert_eq!(run.drain().unwrap().ledger().delivered, 20);
    }
}

#[test]
fn a_stop_wakes_who_waits_and_what_it_held_is_counted() {
    for wait in WAITS {
        let env = Env::failing(0, u64::MAX / 2);
        let run = start(broken::pipeline(), wait, &env);
        break_with_five(&run);
        let report = run.stop().unwrap();
        let ledger = report.ledger();
        assert!(ledger.is_balanced(), "{report}");
        // Of the errors some may be dropped on their way to their sink.
        assert!(ledger.failed == 5 && ledger.dropped >= 15, "{report}");
        assert_eq!(guard_of(&report).waiting, 0, "{report}");

        let env = Env::failing(0, u64::MAX / 2);
        let run = start(retried_by_threads::pipeline(), wait, &env);
        run.send_all(0..20).unwrap();
        eventually(|| guard(&run).waiting > 0);
        let report = run.stop().unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        assert_eq!(report.ledger().in_flight, 0, "{report}");
    }
}

#[test]
fn a_batch_whose_time_is_up_while_its_thread_waits_is_dropped_and_counted() {
    let env = Env::failing(0, 0);
    let run = start(limited::pipeline(), "adaptive", &env);
    run.send(0).unwrap();
    eventually(|| env.published().len() == 1);
    run.send_within(1, Duration::from_millis(5)).unwrap();
    eventually(|| run.metrics().get("guarded").unwrap().dropped_by.expired == 1);
    let report = run.drain().unwrap();
    let ledger = report.ledger();
    assert!(ledger.is_balanced(), "{report}");
    assert_eq!((ledger.delivered, ledger.dropped_by.expired), (1, 1));
}

/// Threads of a stage, and how many of them call at once.
#[derive(Debug, Default)]
pub struct Inside {
    now: AtomicU64,
    most: AtomicU64,
    gate: Gate,
    seen: Seen<u64>,
}

type Room = Arc<Inside>;

#[pipeline(env = Room)]
mod narrow {
    use super::*;

    /// One by one, so that there are batches for all threads.
    #[source(batch = 1)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..64
    }

    #[stage(from = numbers, cores = "0-3", workers = 2)]
    pub fn guarded(n: u64, env: &Room) -> u64 {
        let now = env.now.fetch_add(1, SeqCst) + 1;
        env.most.fetch_max(now, SeqCst);
        env.gate.pass();
        env.now.fetch_sub(1, SeqCst);
        n
    }

    #[sink(from = guarded)]
    pub fn publish(n: u64, env: &Room) {
        env.seen.see(n);
    }
}

#[test]
fn as_many_threads_as_may_are_in_a_stage_and_the_others_wait_for_a_permit() {
    for (most, tuning) in [(2, ""), (1, "workers: 1"), (3, "workers: 3")] {
        let env = Room::default();
        let text = format!(r#"( stages: {{ "guarded": ({tuning}) }} )"#);
        let builder = narrow::pipeline().tuning("t.ron", &text).unwrap();
        let run = placed(builder).start(Arc::clone(&env)).unwrap();
        let _opens = Opens(Arc::clone(&env));
        eventually(|| guard(&run).waiting > 0);
        eventually(|| env.now.load(SeqCst) == most);
        assert_eq!(u64::from(guard(&run).inside), most);
        env.gate.open();
        let report = run.wait().unwrap();
        assert!(env.seen.take().into_iter().eq(0..64), "{report}");
        assert_eq!(env.most.load(SeqCst), most, "{report}");
        assert_eq!(guard_of(&report).inside, 0, "{report}");
    }
}

/// Opens the gate when it is dropped, so that a test that fails ends.
struct Opens(Room);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.gate.open();
    }
}

#[pipeline(env = Room)]
mod hung {
    use super::*;

    #[stage(from = input, cores = "0", timeout = "20ms", on_error = stop)]
    pub fn guarded(n: u64, env: &Room) -> Result<u64, String> {
        if n == 3 {
            env.gate.pass();
        }
        Ok(n)
    }

    #[stage(from = input)]
    pub fn beside(n: u64) -> u64 {
        n
    }

    #[sink(from = guarded)]
    pub fn publish(n: u64, env: &Room) {
        env.seen.see(n);
    }

    #[sink(from = beside, order = any)]
    pub fn count(n: u64, env: &Room) {
        let _ = n;
        env.now.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_pinned_thread_that_hangs_is_told_and_others_go_on_without_anybody_in_its_place() {
    let env = Room::default();
    let run = placed(hung::pipeline()).start(Arc::clone(&env)).unwrap();
    let _opens = Opens(Arc::clone(&env));
    run.send(3).unwrap();
    eventually(|| guard(&run).hung > 0 && guard(&run).overdue == 1);
    // Each may be a batch with a ticket of its own, of which there are 16.
    run.send_all(4..12).unwrap();
    eventually(|| env.now.load(SeqCst) == 9);
    let told = run.health().to_string();
    let expect = "a call of `guarded` hangs, for ";
    assert!(
        told.contains(expect) && told.contains("nobody stands in"),
        "{told}"
    );
    let seen = guard(&run);
    assert_eq!((seen.stood_in, seen.quarantined), (0, 0), "{seen:?}");
    env.gate.open();
    eventually(|| run.health() == Health::Healthy);
    let report = run.drain().unwrap();
    assert!(env.seen.take().into_iter().eq(3..12), "{report}");
    assert!(guard_of(&report).timed_out > 0, "{report}");
}

#[test]
fn a_drain_with_a_deadline_ends_without_a_pinned_thread_that_hangs() {
    let env = Room::default();
    let run = placed(hung::pipeline()).start(Arc::clone(&env)).unwrap();
    let _opens = Opens(Arc::clone(&env));
    run.send_all(0..100).unwrap();
    env.gate.reached();
    let failed = run.drain_within(Duration::from_millis(1)).unwrap_err();
    assert!(failed.report.ledger().is_balanced(), "{failed:?}");
    let RunError::Deadline { left, .. } = &failed.error else {
        panic!("{failed}");
    };
    let held: u64 = left.iter().map(|left| left.held).sum();
    assert!(held > 0, "{failed}");
}

/// Calls through a pinned stage that its breaker guards.
#[pipeline(env = Env, reply = guarded)]
mod answers {
    use super::*;

    #[stage(from = input, cores = "0", prefetch = Env::place,
        breaker(consecutive = 2, open = "10min", open_max = "10min", on_open = dead_letter))]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
        env.call(n)
    }

    #[sink(from = guarded)]
    pub fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = guarded::Err)]
    pub fn reject(failure: Failure, env: &Env) {
        env.reject(&failure, None);
    }
}

#[test]
fn calls_through_a_pinned_stage_are_answered_also_when_its_breaker_is_open() {
    let env = Env::failing(1, 2);
    let run = placed(answers::pipeline()).start(env.clone()).unwrap();
    assert_eq!(run.call(7).unwrap(), 7);
    for n in 0..2 {
        let error = run.call(n).unwrap_err();
        assert!(matches!(&error, CallError::Failed { .. }), "{error:?}");
    }
    let refused = run.call(9).unwrap_err();
    assert!(format!("{refused:?}").contains("Refused"), "{refused:?}");
    assert_eq!(env.calls(), 3);
    let report = run.drain().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
}

#[test]
fn a_dry_run_of_pinned_guarded_stages_waits_by_its_clock() {
    let env = Env::failing(0, 5);
    let mut run = broken::pipeline().dry_run(env.clone());
    run.feed::<broken::guarded>(0..10);
    run.run();
    let open = run.metrics().stage::<broken::guarded>().guard.clone();
    assert_eq!(open.unwrap().state, Some(State::Open));
    assert_eq!((env.rejected().len(), env.published().len()), (5, 0));
    run.advance("10min");
    run.run();
    assert_eq!(env.published(), [5, 6, 7, 8, 9]);
    let report = run.drain().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
}
