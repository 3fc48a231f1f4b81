//! Requests of several threads, each of which is answered once, whatever becomes of it.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
};

use pipewright::{CallError, Caller, pipeline};
use pipewright_tests::oracle::Random;

use super::{Fault, Sum, World, guards, pause};

const CALLERS: u64 = 3;
/// Requests of a run at most.
const REQUESTS: u64 = 3_000;

#[pipeline(env = Arc<World>, reply = ask)]
mod asked {
    use super::*;

    #[stage(from = input, queue = 64)]
    pub fn enter(n: u64, env: &Arc<World>) -> Option<u64> {
        env.may_panic(1, n);
        env.filtered(n)
    }

    #[stage(from = enter, in_flight = 8, timeout = "20ms", breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub async fn look_up(n: u64, env: &Arc<World>) -> Result<u64, Fault> {
        env.may_panic(9, n);
        env.waits(n).await;
        Ok(n)
    }

    #[stage(from = look_up, timeout = "20ms", rate = "500k/s", breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub fn ask(n: u64, env: &Arc<World>) -> Result<u64, Fault> {
        env.may_panic(3, n);
        env.ask(n).map(|n| n * 2)
    }

    #[sink(from = ask)]
    pub fn last(n: u64, env: &Arc<World>) {
        env.ends.end(n / 2);
    }

    #[sink(from = [look_up::Err, ask::Err])]
    pub fn failed(_: Fault) {}
}

/// Calls until there are no more or the run takes none; how many were taken.
fn call(caller: &Caller<asked::Pipeline>, first: u64, env: &World) -> u64 {
    let mut taken = 0;
    for n in (first..REQUESTS).step_by(CALLERS as usize) {
        match caller.call(n) {
            Ok(answer) => assert_eq!(answer, n * 2),
            Err(CallError::Failed {
                stage: "look_up" | "ask",
                ..
            }) => env.ends.end(n),
            Err(CallError::Filtered { stage: "enter" } | CallError::Panicked { .. }) => {}
            Err(CallError::ShutDown(None)) => {}
            Err(CallError::ShutDown(Some(_))) => break,
            Err(other) => panic!("{other:?}"),
        }
        taken += 1;
    }
    taken
}

/// Calls, and ends the run at any time.
pub(super) fn round(seed: u64, sum: &mut Sum) {
    let mut random = Random::new(seed);
    let env = World::new(seed, REQUESTS);
    let workers = 1 + random.below(3) as usize;
    let run = asked::pipeline()
        .workers(workers)
        .start(Arc::clone(&env))
        .unwrap();
    let stops = random.below(4) == 0;
    let (taken, report) = thread::scope(|scope| {
        let call = |first| {
            let (caller, env) = (run.caller(), &env);
            scope.spawn(move || call(&caller, first, env))
        };
        let callers: Vec<_> = (0..CALLERS).map(call).collect();
        for _ in 0..random.below(8) {
            let text = format!("(stages: {{ {} }})", guards(&mut random, false));
            run.retune("by the seed", &text).unwrap();
            sum.retuned += 1;
            pause(&mut random, 4_000);
        }
        let ended = if stops { run.stop() } else { run.drain() };
        let taken = callers.into_iter().map(|caller| caller.join().unwrap());
        (taken.sum::<u64>(), ended.unwrap())
    });
    let ledger = report.ledger();
    assert!(ledger.is_balanced(), "{report}");
    assert_eq!((ledger.received, ledger.in_flight), (taken, 0), "{report}");
    assert!(stops || ledger.dropped == 0, "{report}");
    let (ended, twice) = env.ends.counts();
    // Of what a stop drops, the caller has been told the errors.
    let dropped = ledger.dropped - report.metrics().stage::<asked::failed>().dropped;
    assert_eq!((ended + dropped, twice), (taken, 0), "{report}");
    assert_eq!(env.waiting.load(Relaxed), 0, "a future is left: {report}");
    sum.add_futures(&report);
    sum.calls += taken;
    sum.panicked += ledger.panicked;
    sum.failed += ledger.failed;
    sum.dropped += ledger.dropped;
}
