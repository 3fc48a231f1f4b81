//! A run ends in time: what was taken in arrives, or it is dropped and told, even where a function does not return.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use pipewright::{Batch, Failed, RunError, pipeline};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(120);

#[pipeline(pool(workers = 2))]
mod endless {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..
    }

    #[stage(from = numbers, batch = 100, linger = "60min")]
    pub fn pack(_: &mut Batch<u64>) {}

    #[sink(from = pack)]
    pub fn count(_: u64, count: &mut u64) {
        *count += 1;
    }
}

#[test]
fn a_drain_that_has_time_finishes_all_that_was_taken() {
    let run = endless::pipeline().start(()).unwrap();
    while run.metrics().stage::<endless::count>().sent < 10_000 {
        thread::yield_now();
    }
    let mut report = run.drain_within(LONG).unwrap();
    let ledger = report.ledger();
    assert_eq!((ledger.dropped, ledger.in_flight), (0, 0), "{report}");
    assert_eq!(report.take_state::<endless::count>(), Some(ledger.received));
    assert_eq!(
        format!("{:?}", report.exit_code()),
        format!("{:?}", std::process::ExitCode::SUCCESS)
    );
}

#[pipeline(pool(workers = 1))]
mod slow {
    use super::*;

    #[sink(from = input, queue = 1000)]
    pub fn work(_: u64) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
    }
}

#[test]
fn what_is_left_at_the_deadline_is_dropped_and_told() {
    let run = slow::pipeline().start(()).unwrap();
    run.send_all(0..1000).unwrap();
    let failed = run.drain_within(Duration::from_millis(20)).unwrap_err();
    let (ledger, left) = (failed.report.ledger(), left(&failed));
    assert!(ledger.is_balanced() && ledger.in_flight == 0, "{failed:?}");
    assert_eq!(ledger.delivered + ledger.dropped, 1000);
    assert!(
        ledger.dropped > 0,
        "a thousand items of a millisecond take longer"
    );
    assert_eq!(
        left.iter().map(|(_, dropped, _)| dropped).sum::<u64>(),
        ledger.dropped
    );
    assert!(
        left.iter()
            .all(|(stage, _, held)| ["work", "input"].contains(stage) && *held == 0)
    );
    assert!(
        failed
            .to_string()
            .starts_with("the run did not end within 20ms; `"),
        "{failed}"
    );
    assert_eq!(
        format!("{:?}", failed.exit_code()),
        format!("{:?}", std::process::ExitCode::from(4))
    );
}

type Key = Arc<Mutex<mpsc::Receiver<()>>>;

#[pipeline(env = Key, pool(workers = 2))]
mod stuck {
    use super::*;

    #[stage(from = input)]
    pub fn enter(n: u64) -> u64 {
        n
    }

    #[sink(from = enter)]
    pub fn wait(n: u64, env: &Key) {
        if n == 3 {
            // Until the test lets it go.
            let _ = env.lock().unwrap().recv();
        }
    }
}

#[test]
fn a_function_that_does_not_return_holds_up_no_drain_with_a_deadline() {
    let (release, key) = mpsc::channel::<()>();
    let key = Arc::new(Mutex::new(key));
    let run = stuck::pipeline().start(Arc::clone(&key)).unwrap();
    run.send_all(0..10).unwrap();
    while key.try_lock().is_ok() {
        thread::yield_now();
    }
    let failed = run.drain_within(Duration::from_millis(1)).unwrap_err();
    let ledger = failed.report.ledger();
    assert!(ledger.is_balanced(), "{failed:?}");
    // The item itself, and what came with it and waits behind it.
    assert!((1..=7).contains(&ledger.in_flight), "{failed:?}");
    let held: u64 = left(&failed).iter().map(|(_, _, held)| held).sum();
    assert_eq!(held, ledger.in_flight);
    assert!(
        failed
            .to_string()
            .contains("held by a call that has not returned"),
        "{failed}"
    );
    // Its thread ends as soon as it can, and lets go of all that it held.
    drop(release);
    let begun = Instant::now();
    while Arc::strong_count(&key) > 1 {
        assert!(begun.elapsed() < LONG, "the thread never ended");
        thread::yield_now();
    }
}

#[pipeline(pool(workers = 1))]
mod failing {
    #[sink(from = input, on_panic = stop)]
    pub fn take(_: u64) {
        panic!("on purpose");
    }
}

#[test]
fn why_a_run_failed_before_the_deadline_is_what_is_told() {
    let run = failing::pipeline().start(()).unwrap();
    run.send(1).unwrap();
    let failed = run.drain_within(LONG).unwrap_err();
    assert!(
        matches!(failed.error, RunError::Panicked { .. }),
        "{failed}"
    );
    assert_eq!(
        format!("{:?}", failed.exit_code()),
        format!("{:?}", std::process::ExitCode::from(1))
    );
}

#[track_caller]
fn left<P>(failed: &Failed<P>) -> Vec<(&'static str, u64, u64)> {
    match &failed.error {
        RunError::Deadline { left, .. } => left
            .iter()
            .map(|left| (left.stage, left.dropped, left.held))
            .collect(),
        other => panic!("{other}"),
    }
}
