//! The breaker of a running stage, in the hands of whoever runs it.

#![allow(
    unreachable_pub,
    missing_docs,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{
    breaker::{Reason, State},
    pipeline,
};
use pipewright_tests::Seen;

#[pipeline(env = Seen<u64>)]
pub mod pushed {
    use super::*;

    #[stage(from = input, breaker(failure_pct = 50, ramp = "0s"), on_error = stop)]
    pub fn ask(n: u64) -> Result<u64, String> {
        Ok(n)
    }

    #[sink(from = ask)]
    pub fn publish(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn a_breaker_that_is_forced_open_holds_the_items_until_it_is_released() {
    let seen = Seen::new();
    let run = pushed::pipeline()
        .workers(2)
        .start(seen.clone())
        .expect("it starts");
    let breaker = run.breaker::<pushed::ask>().expect("it has one");
    assert!(run.breaker::<pushed::publish>().is_none());
    breaker.force_open();
    for n in 0..10 {
        run.send(n).expect("there is room");
    }
    let waiting = || {
        let ask = run.metrics().stage::<pushed::ask>().clone();
        ask.guard
            .is_some_and(|guard| guard.waiting > 0 && guard.state == Some(State::ForcedOpen))
    };
    // As many as there are tickets; the others wait in the input.
    while !waiting() {
        std::thread::yield_now();
    }
    assert!(seen.is_empty());
    breaker.release();
    let reasons: Vec<Reason> = breaker.events().map(|event| event.reason).collect();
    assert_eq!(reasons, [Reason::Forced, Reason::Forced]);
    let report = run.drain().expect("nothing stops it");
    assert!(seen.take().into_iter().eq(0..10), "{report}");
}
