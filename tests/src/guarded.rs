//! The stage that guards are tested with, `guarded`: what is known of it, and how its breaker is opened.

use pipewright::{Blueprint, GuardMetrics, Metrics, Report, Running, breaker::State};

use crate::eventually;

/// What is known of the guards of `guarded` while it runs.
///
/// # Panics
///
/// If there is no such stage, or it has no guards.
#[track_caller]
pub fn guard<P: Blueprint>(run: &Running<P>) -> GuardMetrics {
    found(&run.metrics())
}

/// As [`guard`], at the end.
///
/// # Panics
///
/// As [`guard`] does.
#[track_caller]
pub fn guard_of<P: Blueprint>(report: &Report<P>) -> GuardMetrics {
    found(report.metrics())
}

#[track_caller]
fn found<P: Blueprint>(metrics: &Metrics<P>) -> GuardMetrics {
    let stage = metrics.get("guarded").expect("it is in the pipeline");
    stage.guard.clone().expect("it is guarded")
}

/// Sends twenty items, of which five open the breaker, however they go in batches: the others are behind them.
///
/// # Panics
///
/// If it does not open, or none of the others waits then.
#[track_caller]
pub fn break_with_five<P: Blueprint<Input = u64>>(run: &Running<P>) {
    run.send_all(0..5).expect("it takes items");
    eventually(|| guard(run).state == Some(State::Open));
    run.send_all(5..20).expect("it takes items");
    eventually(|| guard(run).waiting > 0);
}
