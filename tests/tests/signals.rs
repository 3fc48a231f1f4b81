//! A process that is asked to end finishes what it has taken in. Signals are the process's, so all of it is one test.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    thread,
    time::{Duration, Instant},
};

use pipewright::{RunError, Running, Signals, pipeline};
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGXFSZ},
    low_level::raise,
};

const LONG: Duration = Duration::from_secs(120);

#[pipeline(pool(workers = 2))]
mod endless {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..
    }

    #[sink(from = numbers)]
    pub fn count(_: u64, count: &mut u64) {
        *count += 1;
    }
}

#[pipeline(pool(workers = 1))]
mod slow {
    use super::*;

    #[sink(from = input, queue = 100_000)]
    pub fn work(_: u64) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
    }
}

fn started() -> Running<endless::Pipeline> {
    let run = endless::pipeline().start(()).unwrap();
    while run.metrics().stage::<endless::count>().sent < 1000 {
        thread::yield_now();
    }
    run
}

#[test]
fn the_first_signal_drains_and_the_second_drops_what_is_left() {
    let signals = Signals::listen().unwrap();

    let run = started();
    raise(SIGTERM).unwrap();
    let mut report = run.wait_for(&signals, LONG).unwrap();
    let ledger = report.ledger();
    assert_eq!(
        report.take_state::<endless::count>(),
        Some(ledger.received),
        "{report}"
    );
    assert_eq!((ledger.dropped, ledger.in_flight), (0, 0));

    // A signal that came before a run was waited for counts for it, too.
    let report = started().wait_for(&signals, LONG).unwrap();
    assert!(report.ledger().is_balanced());

    let signals = Signals::listen().unwrap();
    let run = slow::pipeline().start(()).unwrap();
    run.send_all(0..100_000).unwrap();
    raise(SIGINT).unwrap();
    raise(SIGINT).unwrap();
    // Two that are raised at once may come as one.
    let failed = thread::scope(|scope| {
        let waiting = scope.spawn(|| run.wait_for(&signals, LONG).unwrap_err());
        while !waiting.is_finished() {
            raise(SIGINT).unwrap();
            thread::yield_now();
        }
        waiting.join().unwrap()
    });
    assert!(
        matches!(failed.error, RunError::Deadline { .. }),
        "{failed}"
    );
    let ledger = failed.report.ledger();
    assert_eq!(ledger.delivered + ledger.dropped, 100_000);
    assert!(signals.received() >= 2);

    // A file that grows too large is an error of the write, not the end of the process.
    raise(SIGXFSZ).unwrap();
}
