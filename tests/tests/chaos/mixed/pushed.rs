//! Items from several threads, through all guards, while numbers change; with calls of functions, and with futures.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use pipewright::{Batch, Blueprint, Builder, DeadLetter, Input, TrySendError, pipeline};
use pipewright_tests::oracle::Random;

use super::{Fault, Sum, World, guard, guards, pause};

const SENDERS: u64 = 2;
/// Items of a run at most.
const ITEMS: u64 = 8_000;

#[pipeline(env = Arc<World>)]
mod mixed {
    use super::*;

    #[stage(from = input, queue = 256, batch = 16, linger = "200us")]
    pub fn pack(_: &mut Batch<u64>) {}

    #[stage(from = pack)]
    pub fn enter(n: u64, env: &Arc<World>) -> Option<u64> {
        env.may_panic(1, n);
        env.filtered(n)
    }

    #[stage(from = enter, timeout = "20ms", rate = "500k/s", retry(max = 3, backoff = "100us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub fn ask(n: u64, env: &Arc<World>) -> Result<u64, Fault> {
        env.may_panic(3, n);
        env.ask(n)
    }

    /// A key's items are of one sender, who counts up.
    #[stage(from = ask, key = |n: &u64| n % 8, on_panic = keep)]
    pub fn keyed(n: u64, last: &mut Option<u64>, env: &Arc<World>) -> u64 {
        let late = last.is_some_and(|last| last >= n);
        env.disordered.fetch_add(late.into(), Relaxed);
        *last = Some(n);
        env.may_panic(6, n);
        n
    }

    #[sink(from = keyed)]
    pub fn last(n: u64, env: &Arc<World>) {
        env.ends.end(n);
    }

    #[sink(from = ask::Err)]
    pub fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<World>) {
        assert_eq!(letter.stage, "ask");
        env.ends.end(letter.item);
    }
}

#[pipeline(env = Arc<World>)]
mod waiting {
    use super::*;

    #[stage(from = input, queue = 256, batch = 16, linger = "200us")]
    pub fn pack(_: &mut Batch<u64>) {}

    #[stage(from = pack)]
    pub fn enter(n: u64, env: &Arc<World>) -> Option<u64> {
        env.may_panic(1, n);
        env.filtered(n)
    }

    #[stage(from = enter, in_flight = 24, timeout = "20ms", rate = "500k/s", retry(max = 3, backoff = "100us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub async fn ask(n: u64, env: &Arc<World>) -> Result<u64, Fault> {
        env.may_panic(3, n);
        env.waits(n).await;
        env.may_panic(9, n);
        env.ask(n)
    }

    /// A key's items are of one sender, who counts up.
    #[stage(from = ask, key = |n: &u64| n % 8, on_panic = keep)]
    pub fn keyed(n: u64, last: &mut Option<u64>, env: &Arc<World>) -> u64 {
        let late = last.is_some_and(|last| last >= n);
        env.disordered.fetch_add(late.into(), Relaxed);
        *last = Some(n);
        env.may_panic(6, n);
        n
    }

    #[sink(from = keyed, in_flight = 8, order = any)]
    pub async fn last(n: u64, env: &Arc<World>) {
        pipewright_tests::turns(n % 3).await;
        env.ends.end(n);
    }

    #[sink(from = ask::Err)]
    pub async fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<World>) {
        assert_eq!(letter.stage, "ask");
        pipewright_tests::turns(letter.item % 3).await;
        env.ends.end(letter.item);
    }
}

/// Sends every second number until there are no more or the run takes none; how many were taken.
fn send(input: &Input<u64>, sender: u64, mut random: Random) -> u64 {
    let mut taken = 0;
    for n in (sender..ITEMS).step_by(SENDERS as usize) {
        let mut sent = match random.below(3) {
            0 => input.try_send(n),
            _ => input.send_timeout(n, Duration::from_secs(60)),
        };
        while let Err(TrySendError::Full(n)) = sent {
            thread::yield_now();
            sent = input.try_send(n);
        }
        if sent.is_err() {
            break;
        }
        taken += 1;
        if random.below(512) == 0 {
            pause(&mut random, 500);
        }
    }
    taken
}

/// Numbers that fit.
fn numbers(random: &mut Random) -> String {
    format!(
        "(quantum: \"{}us\", memory: \"{}Ki\", stages: {{ \"pack\": (batch: {}, linger: \"{}us\"), {} }})",
        1 + random.below(200),
        // The queue fits in.
        1 << (4 + random.below(8)),
        1 + random.below(64),
        1 + random.below(500),
        guards(random, true),
    )
}

pub(super) fn round(seed: u64, sum: &mut Sum) {
    drive(mixed::pipeline(), seed, sum);
    drive(waiting::pipeline(), seed, sum);
}

/// Sends, changes numbers, and ends it at any time in any way.
fn drive<P>(pipeline: Builder<P>, seed: u64, sum: &mut Sum)
where
    P: Blueprint<Env = Arc<World>, Input = u64, Queued = u64>,
{
    let mut random = Random::new(seed);
    let env = World::new(seed, ITEMS);
    let builder = pipeline.workers(1 + random.below(4) as usize);
    let builder = match random.below(2) {
        0 => builder.in_parallel(),
        _ => builder,
    };
    let run = builder.start(Arc::clone(&env)).unwrap();
    let stops = random.below(4) == 0;
    let (taken, report) = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (input, random) = (run.input(), Random::new(random.any()));
                scope.spawn(move || send(&input, sender, random))
            })
            .collect();
        for _ in 0..random.below(20) {
            run.retune("by the seed", &numbers(&mut random)).unwrap();
            sum.retuned += 1;
            pause(&mut random, 2_000);
        }
        let ended = match random.below(2) {
            _ if stops => run.stop(),
            0 => run.drain(),
            _ => run.drain_within(Duration::from_secs(60)),
        };
        let taken = senders.into_iter().map(|sender| sender.join().unwrap());
        (taken.sum::<u64>(), ended.unwrap())
    });
    let ledger = report.ledger();
    assert!(ledger.is_balanced(), "{report}");
    assert_eq!((ledger.received, ledger.in_flight), (taken, 0), "{report}");
    assert!(stops || ledger.dropped == 0, "{report}");
    let (ended, twice) = env.ends.counts();
    assert_eq!((ended + ledger.dropped, twice), (taken, 0), "{report}");
    assert_eq!(env.disordered.load(Relaxed), 0, "{report}");
    assert_eq!(env.waiting.load(Relaxed), 0, "a future is left: {report}");
    let guard = guard(&report, "ask");
    sum.runs += 1;
    sum.items += taken;
    sum.delivered += report.metrics().get("last").unwrap().sent;
    sum.panicked += ledger.panicked;
    sum.failed += ledger.failed;
    sum.dropped += ledger.dropped;
    sum.retried += guard.retried;
    sum.opened += guard.breaker.changes;
    sum.add_futures(&report);
}
