//! Stages that try again what failed of a batch: once they have begun, they take no memory but what the stage itself asks for.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    alloc::System,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use pipewright::{Batch, Blueprint, Builder, Classify, ErrorClass, NoInput, pipeline};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Tests that count run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

const ITEMS: u64 = 1_200_000;
/// When the sink has taken so many more, it is counted what was allocated.
const EACH: u64 = 100_000;
/// Every so manieth item fails at the first try.
const OF: u64 = 40;
/// Allocations for all batches that can wait at once, which are as many as a run with one worker has tickets, 8: each has some boxes,
/// and vectors that grow by doubling. When that happens is up to how long the pauses are on the machine of the day.
const FOR_BUFFERS: usize = 8 * 32;

#[derive(Debug)]
pub struct Env {
    tried: Vec<AtomicBool>,
    /// Vectors of verdicts that the stage has made.
    own: AtomicUsize,
    /// What was allocated until each count, without those.
    seen: Mutex<Vec<usize>>,
}

#[derive(Debug)]
pub struct Fault;

impl Classify for Fault {
    fn class(&self) -> ErrorClass {
        ErrorClass::Dependency
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not yet")
    }
}

impl Env {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            tried: (0..ITEMS).map(|_| AtomicBool::new(false)).collect(),
            own: AtomicUsize::new(0),
            seen: Mutex::new(Vec::with_capacity(ITEMS as usize)),
        })
    }

    fn call(&self, n: u64) -> Result<u64, Fault> {
        match n.is_multiple_of(OF) && !self.tried[n as usize].swap(true, SeqCst) {
            true => Err(Fault),
            false => Ok(n),
        }
    }

    /// The verdicts, in a vector that is allocated once.
    fn verdicts<T>(&self, all: impl ExactSizeIterator<Item = T>) -> Vec<T> {
        let mut verdicts = Vec::with_capacity(all.len());
        self.own.fetch_add(1, SeqCst);
        verdicts.extend(all);
        verdicts
    }

    fn see(&self, n: u64) {
        if n.is_multiple_of(EACH) {
            let stats = ALLOCATOR.stats();
            let all = stats.allocations + stats.reallocations;
            let mut seen = self.seen.lock().unwrap();
            seen.push(all - self.own.load(SeqCst));
        }
    }
}

/// A pipeline with this stage.
macro_rules! retries {
    ($name:ident, $guarded:item) => {
        #[pipeline(env = Arc<Env>)]
        mod $name {
            use super::*;

            #[source(batch = 64)]
            fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            $guarded

            #[sink(from = guarded)]
            fn publish(n: u64, last: &mut Option<u64>, env: &Arc<Env>) {
                assert!(last.is_none_or(|last| last < n), "out of order");
                *last = Some(n);
                env.see(n);
            }
        }
    };
}

retries!(
    converted,
    #[stage(from = numbers, batch = 16, retry(max = 3, backoff = "1us"), on_error = stop)]
    fn guarded(numbers: &mut Batch<u64>, env: &Arc<Env>) -> Vec<Result<u64, Fault>> {
        env.verdicts(numbers.drain().map(|n| env.call(n)))
    }
);
retries!(
    judged,
    #[stage(from = numbers, batch = 16, retry(max = 3, backoff = "1us"), breaker(failure_pct = 100), on_error = stop)]
    fn guarded(numbers: &mut [u64], env: &Arc<Env>) -> Vec<Result<(), Fault>> {
        env.verdicts(numbers.iter().map(|n| env.call(*n).map(drop)))
    }
);
retries!(
    stateful,
    #[stage(from = numbers, batch = 16, retry(max = 3, backoff = "1us"), on_error = stop)]
    fn guarded(numbers: &[u64], calls: &mut u64, env: &Arc<Env>) -> Vec<Result<(), Fault>> {
        *calls += 1;
        env.verdicts(numbers.iter().map(|n| env.call(*n).map(drop)))
    }
);
retries!(
    one_by_one,
    #[stage(from = numbers, retry(max = 3, backoff = "1us"), on_error = stop)]
    fn guarded(n: u64, env: &Arc<Env>) -> Result<u64, Fault> {
        env.call(n)
    }
);

#[track_caller]
fn check<P>(pipeline: Builder<P>)
where
    P: Blueprint<Env = Arc<Env>, Input = NoInput> + std::fmt::Debug,
{
    let _alone = ALONE.lock().unwrap_or_else(|held| held.into_inner());
    let env = Env::new();
    let report = pipeline.workers(1).run(Arc::clone(&env)).unwrap();
    let stage = report.metrics().get("guarded").unwrap();
    let guard = stage.guard.as_ref().unwrap();
    assert_eq!(guard.retried, ITEMS / OF, "{report}");
    assert_eq!(report.ledger().delivered, ITEMS, "{report}");
    let seen = env.seen.lock().unwrap();
    let windows: Vec<usize> = seen.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // There are thousands of tries in each. When more batches wait at once than ever before, each has its buffers from then on.
    assert_eq!(windows.len() as u64, ITEMS / EACH - 1);
    let made: usize = windows.iter().sum();
    assert!(made <= FOR_BUFFERS, "{windows:?} {report}");
}

#[test]
fn what_is_tried_again_of_a_batch_takes_no_memory_anew() {
    check(converted::pipeline());
    check(judged::pipeline());
}

#[test]
fn in_front_of_a_state_it_takes_none_either() {
    check(stateful::pipeline());
}

#[test]
fn items_that_are_tried_again_one_by_one_take_none() {
    check(one_by_one::pipeline());
}
