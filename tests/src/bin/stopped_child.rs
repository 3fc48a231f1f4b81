//! A process that is stopped and goes on, for the tests that stop it. It ends when its input is closed.
//!
//! Its breaker opens if one of ten calls is slow or too late; it prints what that has seen, and whether a stage without one has seen
//! calls that were too late. With the argument `hangs` it makes one call, which lasts as long as the process; it prints a line when that
//! is seen to hang, and how many calls took too long.

#![forbid(unsafe_code)]
#![allow(
    unreachable_pub,
    reason = "pipelines of a test are written as users write theirs"
)]

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

    #[stage(from = numbers, timeout = "800ms", breaker(window = 10, min_items = 10, slow = "800ms", slow_pct = 10, failure_pct = 10))]
    pub(crate) fn call(n: u64) -> Result<u64, Never> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(20) {}
        Ok(n)
    }

    /// Without a breaker.
    #[stage(from = call, timeout = "800ms")]
    pub(crate) fn again(n: u64) -> Result<u64, Never> {
        call(n)
    }

    #[sink(from = again, order = any)]
    fn end(_: u64) {}

    #[sink(from = [call::Err, again::Err], order = any)]
    fn never(_: Never) {}
}

#[pipeline]
mod hangs {
    use super::{Never, Read, io};

    #[stage(from = input, timeout = "50ms")]
    pub fn call(n: u64) -> Result<u64, Never> {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        Ok(n)
    }

    #[sink(from = call)]
    fn end(_: u64) {}

    #[sink(from = call::Err)]
    fn never(_: Never) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        None => stopped_between_calls(),
        Some("hangs") => stopped_in_a_call(),
        Some(other) => Err(format!("`{other}` is nothing that it does").into()),
    }
}

fn stopped_in_a_call() -> Result<(), Box<dyn std::error::Error>> {
    let run = hangs::pipeline().workers(1).start(())?;
    run.send(0)?;
    pipewright_tests::eventually(|| {
        let guard = run.metrics().stage::<hangs::call>().guard.clone();
        guard.is_some_and(|guard| guard.hung == 1)
    });
    println!("it hangs");
    let report = run.drain()?;
    let guard = report.metrics().stage::<hangs::call>().guard.clone();
    println!("{}", guard.ok_or("it is guarded")?.timed_out);
    Ok(())
}

fn stopped_between_calls() -> Result<(), Box<dyn std::error::Error>> {
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
