//! `breaker_1t`, `breaker_2t`: calls that all pass through one breaker that is closed, from one thread or from two.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use failsafe::CircuitBreaker;
use pipewright::breaker::{Breaker, Outcome, Slow};

use crate::harness::{Contender, Scale, contender::Kind, threads::on_two_cores};

/// Calls that are admitted together where a row says so.
const BATCH: u64 = 64;

/// What is called: nobody sees what is inside, and it always passes.
#[inline(never)]
fn called(n: u64) -> Result<u64, ()> {
    black_box(Ok(n))
}

/// The threads that call, and how often each.
#[derive(Clone, Copy)]
struct Task {
    scale: Scale,
    threads: u64,
    calls: u64,
}

impl Task {
    /// `call` makes the calls of a range and gives the sum of what came back.
    fn contender(
        self,
        kind: Kind,
        name: &'static str,
        calls: impl Fn(std::ops::Range<u64>) -> u64 + Sync + 'static,
    ) -> Contender {
        let Self {
            scale,
            threads,
            calls: n,
        } = self;
        let sum = n * (n - 1) / 2 * threads;
        Contender::new(kind, name, move || {
            scale.nanos(n, &sum, || match threads {
                1 => calls(0..n),
                _ => {
                    let (one, other, _) = on_two_cores(|| calls(0..n), || calls(0..n));
                    one + other
                }
            })
        })
    }

    /// One call after the other.
    fn one_by_one(
        self,
        kind: Kind,
        name: &'static str,
        call: impl Fn(u64) -> Result<u64, ()> + Sync + 'static,
    ) -> Contender {
        self.contender(kind, name, move |range| {
            range.map(|n| call(n).expect("it passes")).sum()
        })
    }
}

pub(crate) fn contenders(scale: Scale, threads: u64) -> Vec<Contender> {
    let task = Task {
        scale,
        threads,
        calls: scale.of(10_000_000, 1000),
    };
    let mut all = ours(task);
    all.extend(peers(task));
    all.extend(limits(task));
    all
}

fn ours(task: Task) -> Vec<Contender> {
    let breaker = || Breaker::builder().build().expect("the default numbers");
    let (plain, batches) = (breaker(), breaker());
    let timed = Breaker::builder().slow(Slow::Fixed(Duration::from_secs(1)));
    let timed = timed.build().expect("numbers in their ranges");
    vec![
        task.one_by_one(Kind::Ours, "pipewright breaker", move |n| {
            plain.call(|| called(n)).map_err(drop)
        }),
        task.one_by_one(Kind::Ours, "pipewright breaker, calls timed", move |n| {
            timed.call(|| called(n)).map_err(drop)
        }),
        task.contender(
            Kind::Ours,
            "pipewright breaker, batches of 64",
            move |range| in_batches(&batches, range),
        ),
    ]
}

/// A ticket for each batch, which is told how many passed.
fn in_batches(breaker: &Breaker, range: std::ops::Range<u64>) -> u64 {
    let mut sum = 0;
    for start in range.clone().step_by(BATCH as usize) {
        let batch = start..range.end.min(start + BATCH);
        let items = (batch.end - batch.start) as u32;
        let ticket = breaker.admit_up_to(items).expect("it is closed");
        let mut passed = 0;
        for n in batch {
            if let Ok(result) = called(n) {
                passed += 1;
                sum += result;
            }
        }
        ticket.settle(Outcome {
            passed,
            ..Outcome::default()
        });
    }
    sum
}

fn peers(task: Task) -> Vec<Contender> {
    let recloser = recloser::Recloser::default();
    let consecutive = failsafe::Config::new()
        .failure_policy(failsafe::failure_policy::consecutive_failures(
            5,
            failsafe::backoff::constant(Duration::from_secs(5)),
        ))
        .build();
    let default = failsafe::Config::new().build();
    vec![
        task.one_by_one(Kind::Peer, "recloser, default", move |n| {
            recloser.call(|| called(n)).map_err(drop)
        }),
        task.one_by_one(Kind::Peer, "failsafe, consecutive_failures", move |n| {
            consecutive.call(|| called(n)).map_err(drop)
        }),
        task.one_by_one(Kind::Peer, "failsafe, default policy", move |n| {
            default.call(|| called(n)).map_err(drop)
        }),
    ]
}

fn limits(task: Task) -> Vec<Contender> {
    let (flag, count) = (AtomicU64::new(0), AtomicU64::new(0));
    vec![
        task.one_by_one(Kind::Limit, "bare call", called),
        task.one_by_one(Kind::Limit, "one shared load + branch", move |n| {
            if flag.load(Relaxed) != 0 {
                Err(())
            } else {
                called(n)
            }
        }),
        task.one_by_one(Kind::Limit, "one shared fetch_add", move |n| {
            count.fetch_add(1, Relaxed);
            called(n)
        }),
    ]
}
