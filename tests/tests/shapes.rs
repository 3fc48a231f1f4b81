//! Every shape of stage does what its signature says, with one worker and with several.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{Batch, Emit, Flow, Merge, pipeline};
use pipewright_tests::{Seen, WORKERS, work};

const ITEMS: u64 = 20_000;

/// A per-worker state that can be merged.
#[derive(Default)]
pub struct Sum(pub u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

pub struct Env {
    pub add: u64,
    pub seen: Seen<u64>,
    pub errors: Seen<String>,
}

#[pipeline(env = Env)]
mod all {
    use super::*;

    pub struct Countdown(u64);

    fn countdown(env: &Env) -> Result<Countdown, std::num::ParseIntError> {
        Ok(Countdown(ITEMS + env.add - "1".parse::<u64>()?))
    }

    #[source(state = countdown, idle = "10us")]
    pub fn poll(state: &mut Countdown, out: &mut Emit<u64>) -> Flow {
        for _ in 0..3 {
            if state.0 == 0 {
                return Flow::Done;
            }
            state.0 -= 1;
            out.send(state.0);
        }
        if state.0.is_multiple_of(1000) {
            Flow::Idle
        } else {
            Flow::More
        }
    }

    #[stage(from = poll)]
    pub fn one(n: u64) -> u64 {
        work(n) + 1
    }

    #[stage(from = one)]
    pub fn option(n: u64) -> Option<u64> {
        (!n.is_multiple_of(2)).then_some(n)
    }

    #[stage(from = option)]
    pub fn in_place(n: &mut u64) {
        *n *= 2;
    }

    #[stage(from = in_place)]
    pub fn keep(n: &u64) -> bool {
        !n.is_multiple_of(3)
    }

    #[stage(from = keep)]
    pub fn result(n: u64) -> Result<u64, String> {
        if n.is_multiple_of(5) {
            Err(format!("five {n}"))
        } else {
            Ok(n)
        }
    }

    #[stage(from = result)]
    pub fn both(n: u64, env: &Env) -> Result<Option<u64>, String> {
        match n % 11 {
            0 => Err(format!("eleven {n}")),
            1 => Ok(None),
            _ => Ok(Some(n + env.add)),
        }
    }

    #[stage(from = both)]
    pub fn many(n: u64) -> impl Iterator<Item = u64> {
        (0..n % 3).map(move |k| n + k)
    }

    #[stage(from = many)]
    pub fn emit(n: u64, out: &mut Emit<u64>) {
        out.send(n);
        if n.is_multiple_of(4) {
            out.send(n + 1);
        }
    }

    #[stage(from = emit, batch = 16)]
    pub fn retain(batch: &mut Batch<u64>) {
        assert!(batch.len() <= 16);
        batch.retain(|n| !n.is_multiple_of(7));
    }

    #[stage(from = retain, batch = 8)]
    pub fn slice(batch: &mut [u64]) {
        for n in batch {
            *n += 1;
        }
    }

    #[stage(from = slice, batch = 32)]
    pub fn pack(batch: &[u64], out: &mut Emit<u64>) {
        for n in batch {
            out.send(*n);
        }
    }

    #[stage(from = pack, per_worker)]
    pub fn tally(n: u64, sum: &mut Sum) -> u64 {
        sum.0 += n;
        n
    }

    #[sink(from = tally)]
    pub fn last(n: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.seen.see(n);
    }

    #[sink(from = [result::Err, both::Err])]
    pub fn errors(error: String, env: &Env) {
        env.errors.see(error);
    }
}

/// The same in one loop by hand.
fn by_hand(add: u64) -> (Vec<u64>, usize) {
    let (mut out, mut errors) = (Vec::new(), 0);
    for n in (0..ITEMS).rev() {
        let n = n + 1;
        if n % 2 == 0 || (n * 2) % 3 == 0 {
            continue;
        }
        let n = n * 2;
        if n % 5 == 0 || n % 11 == 0 {
            errors += 1;
            continue;
        }
        if n % 11 == 1 {
            continue;
        }
        let n = n + add;
        for m in (0..n % 3).map(|k| n + k) {
            out.push(m);
            if m % 4 == 0 {
                out.push(m + 1);
            }
        }
    }
    out.retain(|n| n % 7 != 0);
    out.iter_mut().for_each(|n| *n += 1);
    (out, errors)
}

#[test]
fn a_pipeline_of_all_shapes_equals_the_loop_by_hand() {
    let (expected, errors) = by_hand(1);
    for workers in WORKERS {
        let env = Env {
            add: 1,
            seen: Seen::new(),
            errors: Seen::new(),
        };
        let (seen, failed) = (env.seen.clone(), env.errors.clone());
        let mut report = all::pipeline()
            .workers(workers)
            .start(env)
            .unwrap()
            .wait()
            .unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        assert_eq!(seen.take(), expected, "{workers} workers\n{report}");
        assert_eq!(failed.take().len(), errors, "{workers} workers\n{report}");
        let sum = report
            .take_state::<all::tally>()
            .expect("the merged state")
            .0;
        assert_eq!(sum, expected.iter().sum::<u64>());
        assert_eq!(
            report.take_state::<all::last>(),
            Some(expected.len() as u64)
        );
        assert!(
            report.take_state::<all::last>().is_none(),
            "a state is taken once"
        );
    }
}

#[pipeline(env = Seen<u64>)]
mod broadcast {
    use super::*;

    #[source]
    pub fn vector() -> Vec<u64> {
        (0..ITEMS).collect()
    }

    #[stage(from = vector)]
    pub fn double(n: u64) -> u64 {
        work(n) * 2
    }

    #[stage(from = double)]
    pub fn left(n: u64) -> Option<u64> {
        (n % 3 == 0).then_some(n)
    }

    #[stage(from = double)]
    pub fn right(n: u64) -> u64 {
        n + 1
    }

    #[sink(from = [left, right])]
    pub fn both(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn two_readers_of_one_output_each_get_every_item() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = broadcast::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        let expected: Vec<u64> = (0..ITEMS)
            .flat_map(|n| [(2 * n % 3 == 0).then_some(2 * n), Some(2 * n + 1)])
            .flatten()
            .collect();
        assert_eq!(seen.take(), expected, "{workers} workers\n{report}");
        let ledger = report.ledger();
        assert_eq!((ledger.received, ledger.created), (ITEMS, ITEMS));
    }
}

#[pipeline(env = Seen<String>)]
mod failing {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..1000
    }

    #[stage(from = numbers, on_error = drop)]
    pub fn parse(n: u64) -> Result<u64, String> {
        if n == 3 {
            Err("three".to_owned())
        } else {
            Ok(n)
        }
    }

    #[sink(from = parse, on_error = stop)]
    pub fn store(n: u64, env: &Seen<String>) -> Result<(), String> {
        if n == 500 {
            return Err("the disk is full".to_owned());
        }
        env.see(n.to_string());
        Ok(())
    }
}

#[test]
fn an_error_that_stops_ends_the_run_and_accounts_for_what_was_done() {
    for workers in WORKERS {
        let seen = Seen::new();
        let failed = failing::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap_err();
        assert_eq!(failed.to_string(), "`store` failed: the disk is full");
        assert!(failed.report.ledger().is_balanced(), "{}", failed.report);
        assert_eq!(seen.take().len(), 499);
        let metrics = failed.report.metrics();
        assert_eq!(metrics.stage::<failing::parse>().failed, 1);
        assert_eq!(metrics.stage::<failing::store>().failed, 1);
    }
}
