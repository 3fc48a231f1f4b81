//! A stage with `prefetch` does what it does without: same results, same order, same ledger, and panics lose the same items.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    clippy::boxed_local,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use pipewright::{Emit, Merge, pipeline};
use pipewright_tests::{Seen, WORKERS, work};

const ITEMS: u64 = 20_000;

#[derive(Default)]
pub struct Sum(pub u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

pub struct Env {
    pub table: Vec<u64>,
    pub seen: Seen<u64>,
    pub apart: Seen<u64>,
}

impl Env {
    fn new() -> Env {
        Env {
            table: (0..ITEMS).map(|n| n * 3).collect(),
            seen: Seen::new(),
            apart: Seen::new(),
        }
    }

    /// Where the number of an item stands; a method, to be named in `prefetch`.
    fn place(&self, at: &u64) -> &u64 {
        &self.table[*at as usize]
    }
}

fn next_place<'e>(at: &u64, env: &'e Env) -> &'e u64 {
    &env.table[(*at as usize + 1) % env.table.len()]
}

/// Makes the same pipeline with these options at each place.
macro_rules! all_shapes {
    ($name:ident: [$($a:tt)*] [$($b:tt)*] [$($c:tt)*] [$($d:tt)*] [$($e:tt)*] [$($f:tt)*]) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[source]
            pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
                0..env.table.len() as u64
            }

            #[stage(from = numbers, $($a)*)]
            pub fn first(at: u64, env: &Env) -> u64 {
                work(env.table[at as usize]) / 3 % ITEMS
            }

            #[stage(from = first, $($b)*)]
            pub fn some(at: u64, env: &Env) -> Option<u64> {
                assert!(at % 1000 != 7, "in some");
                (env.table[at as usize] % 7 != 0).then_some(at)
            }

            #[stage(from = some, $($c)*)]
            pub fn fallible(at: u64) -> Result<u64, u64> {
                if at % 5 == 0 { Err(at) } else { Ok(at) }
            }

            #[stage(from = fallible::Err)]
            pub fn repaired(at: u64) -> u64 {
                at
            }

            #[stage(from = [fallible, repaired], $($d)*)]
            pub fn many(at: u64, out: &mut Emit<Box<u64>>) {
                for k in 0..at % 4 {
                    out.send(Box::new(at + k));
                }
            }

            #[stage(from = many, $($e)*)]
            pub fn serial(n: Box<u64>, last: &mut u64) -> u64 {
                assert!(*n != 13, "in serial");
                *last = *n;
                *n
            }

            #[stage(from = serial)]
            pub fn behind(n: u64) -> u64 {
                n
            }

            #[sink(from = apart)]
            pub fn alone(n: u64, env: &Env) {
                env.apart.see(n);
            }

            #[stage(from = serial)]
            pub fn other(n: u64) -> u64 {
                n + 1
            }

            #[stage(from = serial, per_worker)]
            pub fn summed(n: &u64, sum: &mut Sum) -> bool {
                sum.0 += *n;
                false
            }

            #[stage(from = serial, $($f)*)]
            pub fn apart(n: u64) -> u64 {
                assert!(n % 1000 != 11, "apart");
                n
            }

            #[sink(from = summed)]
            pub fn never(_: u64) {}

            #[sink(from = [behind, other])]
            pub fn last(n: u64, env: &Env) {
                env.seen.see(n);
            }
        }
    };
}

all_shapes!(without: [] [] [] [] [on_panic = keep] []);
all_shapes!(with:
    [prefetch = Env::place]
    [prefetch = |at: &u64, env: &Env| &env.table[*at as usize]]
    [prefetch = |at: &u64| at]
    [prefetch = next_place]
    [on_panic = keep, prefetch = 16]
    [prefetch = |n: &u64| n]
);

macro_rules! outcome {
    ($name:ident, $workers:expr) => {{
        let env = Env::new();
        let (seen, apart) = (env.seen.clone(), env.apart.clone());
        let run = $name::pipeline().workers($workers).start(env).unwrap();
        let mut report = run.wait().unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        let stages: Vec<_> = report
            .metrics()
            .stages()
            .iter()
            .map(|s| (s.name, s.received, s.sent, s.filtered, s.failed, s.panicked))
            .collect();
        let sum = report.take_state::<$name::summed>().unwrap();
        (seen.take(), apart.take(), stages, sum.0, report.ledger())
    }};
}

#[test]
fn results_order_and_ledger_are_the_same_with_and_without() {
    let expect = outcome!(without, 1);
    let ledger = expect.4;
    assert!(ledger.panicked > 0 && ledger.failed > 0 && ledger.filtered > 0);
    for workers in WORKERS {
        let found = outcome!(with, workers);
        assert!(found.0 == expect.0, "other items with {workers} workers");
        assert!(
            found.1 == expect.1,
            "other items apart with {workers} workers"
        );
        assert_eq!(found.2, expect.2, "{workers} workers");
        assert_eq!((found.3, found.4), (expect.3, ledger), "{workers} workers");
    }
}

#[pipeline(env = Env)]
mod cautious {
    use super::*;

    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.table.len() as u64 + 10
    }

    /// The last ten stand nowhere.
    #[stage(from = numbers, prefetch = Env::place)]
    pub fn lookup(at: u64, env: &Env) -> u64 {
        env.table[at as usize]
    }

    #[sink(from = lookup)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn an_item_whose_memory_cannot_be_found_panics_in_its_stage_and_alone() {
    for workers in WORKERS {
        let env = Env::new();
        let (seen, expect) = (env.seen.clone(), env.table.clone());
        let run = cautious::pipeline().workers(workers).start(env).unwrap();
        let report = run.wait().unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        let lookup = report.metrics().stage::<cautious::lookup>().clone();
        assert_eq!((lookup.panicked, lookup.filtered), (10, 0), "{report}");
        assert!(seen.take() == expect, "other items with {workers} workers");
    }
}

#[pipeline(env = Env)]
mod stopped {
    use super::*;

    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.table.len() as u64
    }

    #[stage(from = numbers, prefetch = Env::place, on_panic = stop)]
    pub fn lookup(at: u64) -> u64 {
        assert!(at < 500, "too far");
        work(at)
    }

    #[sink(from = lookup)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn every_item_is_accounted_for_when_the_run_stops() {
    for workers in WORKERS {
        let run = stopped::pipeline()
            .workers(workers)
            .start(Env::new())
            .unwrap();
        let failed = run.wait().unwrap_err();
        let report = &failed.report;
        assert!(report.ledger().is_balanced(), "{report}");
        let lookup = report.metrics().stage::<stopped::lookup>().clone();
        assert_eq!(lookup.filtered, 0, "{report}");
    }
}

/// A batch stage behind one with `prefetch`, in one loop.
#[pipeline]
mod then_batched {
    #[source(batch = 100)]
    pub fn numbers() -> impl Iterator<Item = Box<u64>> {
        (0..10_000).map(Box::new)
    }

    #[stage(from = numbers, prefetch = 8)]
    pub fn ahead(n: Box<u64>) -> u64 {
        *n
    }

    #[stage(from = ahead, batch = 64)]
    pub fn gather(numbers: &mut pipewright::Batch<u64>) {
        numbers.retain(|n| n % 2 == 0);
    }

    #[sink(from = gather)]
    pub fn add(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn what_waits_for_memory_does_not_stay_in_a_batch_behind_it() {
    for workers in [1, 2] {
        let run = then_batched::pipeline()
            .workers(workers)
            .in_parallel()
            .start(())
            .unwrap();
        let mut report = run.wait().unwrap();
        assert!(report.ledger().is_balanced());
        let sum = (0..10_000).filter(|n| n % 2 == 0).sum::<u64>();
        assert_eq!(report.take_state::<then_batched::add>(), Some(sum));
    }
}

/// A place, and how often it was asked for.
#[derive(Clone, Default)]
pub struct Asked(Arc<(u64, AtomicU64)>);

fn asked<'e>(_: &u64, env: &'e Asked) -> &'e u64 {
    env.0.1.fetch_add(1, Relaxed);
    &env.0.0
}

/// A stage that is compiled for vectors, and whose items lead somewhere.
#[pipeline(env = Asked)]
mod of_vectors {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, simd = [sse4_2, avx2, avx512, neon], prefetch = asked)]
    pub fn double(n: u64) -> u64 {
        n * 2
    }

    #[sink(from = double)]
    pub fn add(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn memory_is_asked_for_once_an_item_also_where_a_stage_is_compiled_for_vectors() {
    for workers in [1, 2] {
        let env = Asked::default();
        let run = of_vectors::pipeline().workers(workers).start(env.clone());
        let mut report = run.unwrap().wait().unwrap();
        let sum = report.take_state::<of_vectors::add>();
        assert_eq!(sum, Some(ITEMS * (ITEMS - 1)), "{report}");
        assert_eq!(env.0.1.load(Relaxed), ITEMS, "{report}");
    }
}
