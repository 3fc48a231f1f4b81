//! Calls pass every kind of link, and each caller gets its own answer.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use pipewright::{Answers, Builder, CallError, Caller, Running, pipeline};
use pipewright_tests::eventually;

use crate::{block_on, quiet};

/// Every kind of link and of stage that a call can pass.
#[pipeline(reply = last)]
mod links {
    #[source]
    pub fn beside() -> std::ops::Range<u64> {
        0..1000
    }

    #[stage(from = input)]
    pub fn first(n: u64) -> u64 {
        n
    }

    #[stage(from = first)]
    pub fn odd(n: &u64) -> bool {
        !n.is_multiple_of(7)
    }

    #[stage(from = [odd, beside], key = |n: &u64| n % 16)]
    pub fn keyed(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = keyed)]
    pub fn serial(n: u64, sum: &mut u64) -> u64 {
        *sum = sum.wrapping_add(n);
        n
    }

    #[stage(from = serial)]
    pub fn in_place(n: &mut u64) {
        *n += 1;
    }

    #[stage(from = in_place, batch = 4, linger = "20us")]
    pub fn batched(all: &mut [u64]) {
        for n in all {
            *n *= 2;
        }
    }

    #[stage(from = batched, prefetch = beneath)]
    pub fn ahead(n: u64) -> Option<u64> {
        (n % 5 != 4).then_some(n)
    }

    fn beneath(n: &u64) -> &u64 {
        n
    }

    #[stage(from = ahead)]
    pub fn last(n: u64, per: &mut Vec<u64>) -> (u64, usize) {
        per.push(n);
        (n, per.len())
    }

    #[sink(from = serial)]
    pub fn other(_: u64) {}
}

fn expected(n: u64) -> Result<u64, &'static str> {
    match (n + 1) * 2 {
        _ if n.is_multiple_of(7) => Err("odd"),
        doubled if doubled % 5 == 4 => Err("ahead"),
        doubled => Ok(doubled),
    }
}

/// Many threads call; each gets its own answer.
fn call_from_many<P: Answers<Input = u64>>(
    run: &Running<P>,
    each: u64,
    check: impl Fn(u64, &Caller<P>) + Sync,
) {
    thread::scope(|scope| {
        for thread in 0..4 {
            let (caller, check) = (run.caller(), &check);
            scope.spawn(move || {
                for n in thread * each..(thread + 1) * each {
                    check(n, &caller);
                }
            });
        }
    });
}

#[test]
fn calls_pass_every_kind_of_link() {
    for workers in [1, 2, 3] {
        for parallel in [false, true] {
            let pipeline = links::pipeline().workers(workers);
            let pipeline = if parallel {
                pipeline.in_parallel()
            } else {
                pipeline
            };
            let run = pipeline.start(()).expect("it starts");
            call_from_many(&run, 500, |n, caller| {
                let answer = caller.call(n);
                let answer = answer
                    .map(|(n, _)| n)
                    .map_err(|error| error.stage().unwrap_or("?"));
                assert_eq!(answer, expected(n), "{n}, {workers} workers");
            });
            // A drain ends sources, also those that have more to give.
            eventually(|| run.metrics().stage::<links::beside>().sent == 1000);
            let report = run.drain().expect("the ledger balances");
            assert_eq!(report.ledger().received, 3000);
            assert_eq!(report.metrics().late_answers(), 0);
        }
    }
}

/// Ways that part and meet in order again, a state for each worker, and vector code, which takes items with calls one by one.
#[pipeline(reply = meet)]
mod ways {
    pub enum Way {
        Left(u64),
        Right(u64),
    }

    #[stage(from = input, simd = [avx2, neon])]
    pub fn mix(n: u64) -> u64 {
        n.wrapping_mul(3)
    }

    #[stage(from = mix, simd = [avx2, neon])]
    pub fn keep(n: &u64) -> bool {
        !n.is_multiple_of(5)
    }

    #[stage(from = keep, per_worker)]
    pub fn classify(n: u64, seen: &mut u64) -> Way {
        *seen += 1;
        if n.is_multiple_of(2) {
            Way::Left(n)
        } else {
            Way::Right(n)
        }
    }

    #[stage(from = classify::Left)]
    pub fn left(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = classify::Right)]
    pub fn right(n: u64, count: &mut u64) -> Option<u64> {
        *count += 1;
        (!n.is_multiple_of(7)).then_some(n + 1)
    }

    #[stage(from = [left, right])]
    pub fn meet(n: u64, all: &mut Vec<u64>) -> u64 {
        all.push(n);
        n
    }

    #[sink(from = [meet, right])]
    pub fn seen(_: u64, count: &mut u64) {
        *count += 1;
    }
}

#[test]
fn calls_pass_ways_that_part_and_meet() {
    for workers in [1, 2, 3] {
        for parallel in [false, true] {
            let pipeline = ways::pipeline().workers(workers);
            let pipeline = match parallel {
                true => pipeline.in_parallel().always_divide(),
                false => pipeline,
            };
            let run = pipeline.start(()).expect("it starts");
            call_from_many(&run, 500, |n, caller| {
                let expect = match n * 3 {
                    mixed if mixed.is_multiple_of(5) => Err("keep"),
                    mixed if mixed.is_multiple_of(2) => Ok(mixed),
                    mixed if mixed.is_multiple_of(7) => Err("right"),
                    mixed => Ok(mixed + 1),
                };
                let answer = caller.call(n).map_err(|error| error.stage().unwrap_or("?"));
                assert_eq!(answer, expect, "{n}, {workers} workers");
            });
            let _ = run.drain().expect("the ledger balances");
        }
    }
}

/// Pinned threads: items in batches to the first, one by one from it to the next, and back to the pool.
#[pipeline(reply = back)]
mod pinned {
    #[stage(from = input)]
    pub fn enter(n: u64) -> u64 {
        n + 1
    }

    #[stage(from = enter, cores = "0", wait = park)]
    pub fn one(n: u64, calls: &mut u64) -> Option<u64> {
        *calls += 1;
        (!n.is_multiple_of(3)).then_some(n)
    }

    #[stage(from = one, cores = "0-1", key = |n: &u64| n % 8, wait = park)]
    pub fn keyed(n: u64, calls: &mut u64) -> u64 {
        *calls += 1;
        n
    }

    #[stage(from = keyed)]
    pub fn back(n: u64) -> u64 {
        n * 10
    }
}

#[pipeline(reply = ring)]
mod rings {
    #[stage(from = input, cores = "0", wait = park)]
    pub fn one(n: u64) -> u64 {
        n + 1
    }

    #[stage(from = one, cores = "1", wait = park)]
    pub fn ring(n: u64) -> Option<u64> {
        (!n.is_multiple_of(3)).then_some(n * 10)
    }
}

fn on_pinned<P>(pipeline: Builder<P>, filter: &'static str)
where
    P: Answers<Input = u64, Env = (), Reply = u64, Failure = std::convert::Infallible>,
{
    let machine = pipewright::machine::Machine::simulate("1x4").expect("four cores");
    let run = pipeline.machine(machine).start(()).expect("it starts");
    call_from_many(&run, 100, |n, caller| {
        let expect = match (n + 1) % 3 {
            0 => Err(CallError::Filtered { stage: filter }),
            _ => Ok((n + 1) * 10),
        };
        assert_eq!(caller.call(n), expect, "{n}");
    });
    let report = run.drain().expect("the ledger balances");
    assert_eq!(report.ledger().received, 400);
}

#[test]
fn calls_pass_pinned_threads() {
    on_pinned(pinned::pipeline(), "one");
    on_pinned(rings::pipeline(), "ring");
}

#[pipeline(reply = kept)]
mod batches {
    #[stage(from = input, batch = 8, linger = "50us", on_panic = isolate)]
    pub fn kept(all: &mut [u64]) {
        assert!(!all.contains(&13), "asked to");
        for n in all {
            *n += 1;
        }
    }
}

#[test]
fn a_batch_that_panics_answers_all_its_calls() {
    quiet();
    let run = batches::pipeline().workers(2).start(()).expect("it starts");
    let panicked = AtomicU64::new(0);
    call_from_many(&run, 200, |n, caller| match caller.call(n) {
        Ok(answer) => assert_eq!(answer, n + 1),
        Err(error) => {
            assert_eq!(error, CallError::Panicked { stage: "kept" });
            panicked.fetch_add(1, Ordering::Relaxed);
        }
    });
    let report = run.drain().expect("the ledger balances");
    let panicked = panicked.into_inner();
    assert!(panicked >= 1);
    assert_eq!(
        (report.ledger().panicked, report.ledger().delivered),
        (panicked, 800 - panicked)
    );
}

#[test]
fn tasks_call_beside_threads() {
    let run = links::pipeline().workers(2).start(()).expect("it starts");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let task = scope.spawn(|| {
            // Many calls at once, answered in any order.
            let mut calls: Vec<_> = (0..64).map(|n| (n, run.call_async(n))).collect();
            while let Some((n, call)) = calls.pop() {
                let answer = block_on(call).map(|(n, _)| n);
                assert_eq!(
                    answer.map_err(|error| error.stage().unwrap_or("?")),
                    expected(n)
                );
            }
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) && !task.is_finished() {
            assert_eq!(run.call(2).map(|(n, _)| n), Ok(6));
        }
    });
    let _ = run.drain().expect("the ledger balances");
}
