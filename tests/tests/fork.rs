//! `join`: what a stage forks is run once, by whoever, and what comes out is what two calls would give.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    collections::BTreeMap,
    hint::{black_box, spin_loop},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use pipewright::{Merge, join, pipeline};
use pipewright_tests::WORKERS;

/// Longer than any of these tests takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a test lets a stage do.
type Work = Arc<dyn Fn(u64) -> u64 + Send + Sync>;

/// A stage that does what its test says, and a sink that keeps what it returned.
#[pipeline(env = Work)]
mod calls {
    use super::*;

    #[stage(from = input)]
    pub fn call(n: u64, env: &Work) -> u64 {
        env(n)
    }

    #[sink(from = call)]
    pub fn results(n: u64, results: &mut Vec<u64>) {
        results.push(n);
    }
}

/// A sink with a state, so that one item is worked on at a time and the other workers have nothing to do.
#[pipeline(env = Work)]
mod one_by_one {
    use super::*;

    #[sink(from = input)]
    pub fn call(n: u64, results: &mut Vec<u64>, env: &Work) {
        results.push(env(n));
    }
}

/// What `work` makes of every item, in a stage, in order.
fn in_a_stage(
    workers: usize,
    items: impl IntoIterator<Item = u64>,
    work: impl Fn(u64) -> u64 + Send + Sync + 'static,
) -> Vec<u64> {
    let run = calls::pipeline()
        .workers(workers)
        .start(Arc::new(work))
        .unwrap();
    run.send_all(items).unwrap();
    let mut report = run.drain().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    report.take_state::<calls::results>().unwrap()
}

/// Forks until `done`, so that whoever asks is answered; false if that takes too long.
fn fork_until(done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        join(spin_loop, spin_loop);
        if begun.elapsed() > PATIENCE {
            return false;
        }
    }
    true
}

/// A tree of random shape: balanced, a list to the left or to the right, and all between.
struct Tree {
    value: u64,
    parts: Option<Box<(Tree, Tree)>>,
}

/// Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl Tree {
    fn of_size(size: u64, lean: u64, state: &mut u64) -> Self {
        let value = random(state);
        let parts = (size > 1).then(|| {
            let left = match lean {
                0 => 1,
                1 => size - 1,
                _ => 1 + random(state) % (size - 1),
            };
            let right = (size - left).max(1);
            let left = Self::of_size(left, lean, state);
            Box::new((left, Self::of_size(right, lean, state)))
        });
        Self { value, parts }
    }

    /// Differs if a part is missing, comes twice, or at another place.
    fn sum_with(&self, join: &(impl Fn(&Tree, &Tree) -> (u64, u64) + Sync)) -> u64 {
        let Some(parts) = &self.parts else {
            return self.value;
        };
        let (left, right) = join(&parts.0, &parts.1);
        self.value ^ left.wrapping_mul(3) ^ right.wrapping_mul(5).rotate_left(7)
    }

    fn sum(&self) -> u64 {
        self.sum_with(&|left, right| (left.sum(), right.sum()))
    }

    fn forked_sum(&self) -> u64 {
        self.sum_with(&|left, right| join(|| left.forked_sum(), || right.forked_sum()))
    }
}

#[test]
fn a_tree_that_is_forked_everywhere_gives_what_calls_give() {
    let seed: u64 = std::env::var("PIPEWRIGHT_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for workers in WORKERS {
        let trees: Vec<Tree> = (0..24)
            .map(|n| Tree::of_size(1 + random(&mut state) % 400, n % 4, &mut state))
            .collect();
        let expected: Vec<u64> = trees.iter().map(Tree::sum).collect();
        let items = 0..trees.len() as u64;
        let found = in_a_stage(workers, items, move |n| trees[n as usize].forked_sum());
        assert_eq!(found, expected, "PIPEWRIGHT_SEED={seed}, {workers} workers");
    }
}

fn sort(part: &mut [u64]) {
    if part.len() < 2 {
        return;
    }
    let pivot = part[part.len() / 2];
    let (mut low, mut next, mut high) = (0, 0, part.len());
    while next < high {
        match part[next].cmp(&pivot) {
            std::cmp::Ordering::Less => {
                part.swap(low, next);
                low += 1;
                next += 1;
            }
            std::cmp::Ordering::Equal => next += 1,
            std::cmp::Ordering::Greater => {
                high -= 1;
                part.swap(next, high);
            }
        }
    }
    let (below, rest) = part.split_at_mut(low);
    let above = &mut rest[high - low..];
    join(|| sort(below), || sort(above));
}

#[test]
fn both_sides_may_borrow_what_the_stage_has() {
    for workers in WORKERS {
        let sorted = in_a_stage(workers, 1..40, |n| {
            let mut state = n;
            let mut items: Vec<u64> = (0..500 * n).map(|_| random(&mut state) % 1000).collect();
            let sum: u64 = items.iter().sum();
            sort(&mut items);
            u64::from(items.is_sorted() && items.iter().sum::<u64>() == sum)
        });
        assert_eq!(sorted, vec![1; 39]);
    }
}

#[test]
fn another_worker_takes_a_job_and_the_report_says_so() {
    for workers in [2, 4] {
        let run = one_by_one::pipeline().workers(workers).start(Arc::new(|_| {
            let taken_by = OnceLock::new();
            let (answered, ()) = join(
                || fork_until(|| taken_by.get().is_some()),
                || taken_by.set(thread::current().id()).unwrap(),
            );
            let elsewhere = taken_by.get() != Some(&thread::current().id());
            u64::from(answered && elsewhere)
        }));
        let run = run.unwrap();
        run.send_all(0..20).unwrap();
        let mut report = run.drain().unwrap();
        let helped: u64 = report
            .metrics()
            .workers()
            .iter()
            .map(|worker| worker.helped)
            .sum();
        assert!(helped >= 20, "{workers} workers took {helped} jobs");
        assert_eq!(
            report.take_state::<one_by_one::call>().unwrap(),
            vec![1; 20]
        );
    }
}

#[test]
fn who_waits_for_a_job_works_on_what_that_job_forks() {
    let run = one_by_one::pipeline().workers(2).start(Arc::new(|_| {
        let owner = thread::current().id();
        let (begun, inner) = (AtomicBool::new(false), OnceLock::<ThreadId>::new());
        let (a, b) = join(
            || fork_until(|| begun.load(Ordering::Acquire)),
            || {
                begun.store(true, Ordering::Release);
                let (answered, ()) = join(
                    || fork_until(|| inner.get().is_some()),
                    || inner.set(thread::current().id()).unwrap(),
                );
                answered
            },
        );
        u64::from(a && b && inner.get() == Some(&owner))
    }));
    let run = run.unwrap();
    run.send_all(0..10).unwrap();
    let found = run.drain().unwrap().take_state::<one_by_one::call>();
    assert_eq!(found, Some(vec![1; 10]));
}

/// The leaves of a full tree of this height.
fn leaves(height: u32) -> u64 {
    if height == 0 {
        return black_box(1);
    }
    let (left, right) = join(|| leaves(height - 1), || leaves(height - 1));
    left + right
}

/// Counts those that are inside.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_panic_of_either_side_comes_out_when_both_are_over() {
    for workers in WORKERS {
        let found = in_a_stage(workers, 0..200, |n| {
            let (inside, kept) = (AtomicUsize::new(0), Arc::new(()));
            let side = |panics: bool, name: char| {
                let _inside = Inside::of(&inside);
                let leaves = leaves(n as u32 % 8);
                if panics {
                    resume_unwind(Box::new(name));
                }
                leaves
            };
            let held = Arc::clone(&kept);
            let both = || join(|| side(n & 1 != 0, 'a'), || (side(n & 2 != 0, 'b'), held));
            let both = catch_unwind(AssertUnwindSafe(both));
            assert_eq!(inside.load(Ordering::SeqCst), 0, "a side still runs");
            let found = match both {
                Ok((a, (b, held))) => {
                    drop(held);
                    a + b
                }
                Err(panic) => u64::from(*panic.downcast_ref::<char>().unwrap()),
            };
            assert_eq!(
                Arc::strong_count(&kept),
                1,
                "what `b` had or returned is gone"
            );
            found
        });
        let expected = (0..200u64).map(|n| match n % 4 {
            0 => 2 << (n % 8),
            2 => u64::from('b'),
            _ => u64::from('a'),
        });
        assert_eq!(found, expected.collect::<Vec<_>>(), "{workers} workers");
    }
}

#[test]
fn an_item_whose_job_panics_is_lost_and_the_others_go_on() {
    for workers in WORKERS {
        let run = calls::pipeline().workers(workers).start(Arc::new(|n| {
            let (left, right) = join(
                || leaves(5),
                || {
                    assert!(!n.is_multiple_of(10), "in a job");
                    leaves(5)
                },
            );
            left + right
        }));
        let run = run.unwrap();
        run.send_all(1..=100).unwrap();
        let mut report = run.drain().unwrap();
        assert_eq!(report.ledger().panicked, 10, "{report}");
        assert_eq!(report.panics()[0].stage, "call");
        assert!(report.panics()[0].message.contains("in a job"));
        assert_eq!(report.take_state::<calls::results>().unwrap(), vec![64; 90]);
    }
}

#[test]
fn a_thread_that_is_no_worker_calls_one_side_after_the_other() {
    let here = thread::current().id();
    let order = Mutex::new(Vec::new());
    let note = |side| order.lock().unwrap().push((side, thread::current().id()));
    join(|| note('a'), || join(|| note('b'), || note('c')));
    assert_eq!(
        *order.lock().unwrap(),
        [('a', here), ('b', here), ('c', here)]
    );
}

#[test]
fn a_thread_that_a_stage_starts_is_no_worker() {
    let found = in_a_stage(2, 0..3, |_| {
        thread::scope(|scope| {
            let plain = || join(|| leaves(3), || thread::current().id());
            let thread = scope.spawn(plain);
            let id = thread.thread().id();
            u64::from(thread.join().unwrap() == (8, id))
        })
    });
    assert_eq!(found, [1, 1, 1]);
}

#[test]
fn a_stage_may_run_a_pipeline_of_its_own_on_either_side() {
    let found = in_a_stage(2, 0..4, |n| {
        let inner = |_| in_a_stage(2, [n], |n| n + leaves(6))[0];
        let (a, b) = join(|| inner(()), || inner(()));
        a + b + leaves(6)
    });
    assert_eq!(found, [192, 194, 196, 198]);
}

/// What each worker has counted.
#[derive(Default)]
pub struct Sum(u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// Forks in every kind of stage.
#[pipeline]
mod places {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..300
    }

    #[stage(from = numbers)]
    pub fn free(n: u64) -> u64 {
        n + leaves(6)
    }

    #[stage(from = free, per_worker)]
    pub fn of_worker(n: u64, sum: &mut Sum) -> u64 {
        // The borrow of the state goes to another worker.
        let (count, ()) = join(|| leaves(6), || sum.0 += n);
        n + count
    }

    #[stage(from = of_worker, key = |n| n % 7)]
    pub fn keyed(n: u64, seen: &mut u64) -> u64 {
        let (count, ()) = join(|| leaves(6), || *seen += 1);
        n + count + *seen
    }

    #[stage(from = keyed, cores = "0")]
    pub fn pinned(n: u64) -> u64 {
        n + leaves(6)
    }

    #[sink(from = pinned)]
    pub fn serial(n: u64, results: &mut BTreeMap<u64, u64>) {
        let (count, ()) = join(|| leaves(6), || *results.entry(n).or_default() += 1);
        assert_eq!(count, 64);
    }
}

#[test]
fn every_kind_of_stage_may_fork() {
    let (mut expected, mut seen) = (BTreeMap::new(), [0; 7]);
    for n in 0..300 {
        let n = n + 128;
        seen[n as usize % 7] += 1;
        *expected
            .entry(n + 64 + seen[n as usize % 7] + 64)
            .or_default() += 1;
    }
    let mut found = BTreeMap::new();
    let mut dry = places::pipeline().dry_run(());
    dry.stub::<places::serial>(|n| *found.entry(n).or_default() += 1);
    dry.feed_from::<places::numbers>(0..300);
    dry.run();
    drop(dry);
    assert_eq!(found, expected);
    for workers in WORKERS {
        let run = places::pipeline()
            .workers(workers)
            .in_parallel()
            .start(())
            .unwrap();
        let mut report = run.wait().unwrap();
        assert_eq!(
            report.take_state::<places::serial>(),
            Some(expected.clone())
        );
        let sum = report.take_state::<places::of_worker>().unwrap();
        assert_eq!(sum.0, (64..64 + 300).sum::<u64>());
    }
}

/// A stage is in the middle of its forks when the run ends, and goes on until they are joined.
fn while_it_ends(end: impl FnOnce(pipewright::Running<calls::Pipeline>) + Send) {
    let (entered, may_leave) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let joined = Arc::new(AtomicUsize::new(0));
    let work = {
        let (entered, may_leave) = (Arc::clone(&entered), Arc::clone(&may_leave));
        let joined = Arc::clone(&joined);
        move |n| {
            entered.store(true, Ordering::Release);
            let leave = || fork_until(|| may_leave.load(Ordering::Acquire));
            let both = join(leave, || leave() && leaves(8) == 256);
            joined.fetch_add(usize::from(both == (true, true)), Ordering::Relaxed);
            n
        }
    };
    let run = calls::pipeline().workers(2).start(Arc::new(work)).unwrap();
    run.send(1).unwrap();
    while !entered.load(Ordering::Acquire) {
        thread::yield_now();
    }
    thread::scope(|scope| {
        scope.spawn(|| end(run));
        may_leave.store(true, Ordering::Release);
    });
    assert_eq!(joined.load(Ordering::Relaxed), 1);
}

#[test]
fn forks_are_joined_while_the_run_drains_stops_or_is_dropped() {
    for _ in 0..20 {
        while_it_ends(|run| assert!(run.drain().unwrap().ledger().is_balanced()));
        while_it_ends(|run| assert!(run.stop().unwrap().ledger().is_balanced()));
        while_it_ends(drop);
    }
}
