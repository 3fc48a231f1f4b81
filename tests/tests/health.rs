//! A run tells how it is: healthy, degraded with every reason, or stopped.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use pipewright::{Concern, Health, breaker::State, pipeline};
use pipewright_tests::eventually;

type Env = Arc<AtomicBool>;

#[pipeline(env = Env)]
mod remote {
    use super::*;

    /// Fails while it is down.
    #[sink(
        from = input,
        on_error = drop,
        breaker(min_items = 2, failure_pct = 50, open = "10ms", probes = 1)
    )]
    pub fn ask(_: u64, env: &Env) -> Result<(), std::io::Error> {
        match env.load(SeqCst) {
            true => Err(std::io::ErrorKind::ConnectionRefused.into()),
            false => Ok(()),
        }
    }
}

#[test]
fn an_open_breaker_degrades_a_run_until_it_closes() {
    let down = Arc::new(AtomicBool::new(true));
    let run = remote::pipeline()
        .workers(1)
        .start(Arc::clone(&down))
        .unwrap();
    assert_eq!(run.health(), Health::Healthy);
    run.send_all(0..20).unwrap();
    eventually(|| !run.health().is_healthy());
    down.store(false, SeqCst);
    // All before it may have been called when it opened.
    run.send(20).unwrap();
    eventually(|| run.health() == Health::Healthy);
    let report = run.drain().unwrap();
    assert!(report.health().is_healthy(), "{report}");
}

#[test]
fn every_reason_is_told_and_the_report_keeps_them() {
    let down = Arc::new(AtomicBool::new(true));
    let run = remote::pipeline()
        .workers(1)
        .start(Arc::clone(&down))
        .unwrap();
    run.send_all(0..20).unwrap();
    run.retune("bad.tuning.ron", "(quantum: 1)").unwrap_err();
    let is_open = |concern: &Concern| match concern {
        Concern::Breaker { stage, state, .. } => *stage == "ask" && *state != State::Closed,
        _ => false,
    };
    let is_tuning = |concern: &Concern| matches!(concern, Concern::Tuning(what) if what.contains("bad.tuning.ron"));
    eventually(|| match run.health() {
        Health::Degraded(concerns) => {
            concerns.iter().any(is_open) && concerns.iter().any(is_tuning)
        }
        _ => false,
    });
    let text = run.health().to_string();
    assert!(
        text.starts_with("degraded: ") && text.contains("bad.tuning.ron"),
        "{text}"
    );
    down.store(false, SeqCst);
    let report = run.drain().unwrap();
    assert!(
        report.to_string().contains("  at the end degraded: "),
        "{report}"
    );
}

#[pipeline]
mod failing {
    #[sink(from = input, on_panic = stop)]
    pub fn take(_: u64) {
        panic!("on purpose");
    }
}

#[test]
fn a_run_that_failed_tells_why() {
    let run = failing::pipeline().start(()).unwrap();
    run.send(1).unwrap();
    eventually(|| matches!(run.health(), Health::Stopped(Some(why)) if why.contains("on purpose")));
    let failed = run.wait().unwrap_err();
    assert!(matches!(failed.report.health(), Health::Stopped(Some(_))));
}
