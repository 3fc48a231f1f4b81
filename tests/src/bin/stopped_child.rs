//! A process that is stopped and goes on, for the test that stops it: its breaker opens if one of ten calls is slow or too late. It ends when its input is closed, and prints what the breaker has seen,
//! and whether a stage without one has seen calls that were too late.

#![forbid(unsafe_code)]

use std::{
    io::{self, Read},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use pipewright::{Classify, ErrorClass, pipeline};

static OVER: AtomicBool = AtomicBool::new(false);

/// It never fails.
#[derive(Debug)]
pub struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("never")
    }
}

impl Classify for Never {
    fn class(&self) -> ErrorClass {
        ErrorClass::Item
    }
}

#[pipeline]
mod calls {
    use super::{Duration, Instant, Never, OVER, Ordering};

    #[source(batch = 1)]
    fn numbers() -> impl Iterator<Item = u64> {
        (0..).take_while(|_| !OVER.load(Ordering::Relaxed))
    }

    #[stage(from = numbers, timeout = "400ms", breaker(window = 10, min_items = 10, slow = "400ms", slow_pct = 10, failure_pct = 10))]
    pub(crate) fn call(n: u64) -> Result<u64, Never> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(20) {}
        Ok(n)
    }

    /// Without a breaker.
    #[stage(from = call, timeout = "400ms")]
    pub(crate) fn again(n: u64) -> Result<u64, Never> {
        call(n)
    }

    #[sink(from = again, order = any)]
    fn end(_: u64) {}

    #[sink(from = [call::Err, again::Err], order = any)]
    fn never(_: Never) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            OVER.store(true, Ordering::Relaxed);
        });
        let report = calls::pipeline().workers(2).run(())?;
        let guard = |stage| {
            let stage = report.metrics().get(stage);
            stage
                .and_then(|stage| stage.guard.clone())
                .ok_or("it is guarded")
        };
        let (seen, other) = (guard("call")?, guard("again")?);
        println!(
            "{} {} {} {} {}",
            seen.breaker.changes,
            seen.breaker.slow,
            seen.timed_out,
            other.timed_out,
            seen.breaker.passed
        );
        Ok(())
    })
}
