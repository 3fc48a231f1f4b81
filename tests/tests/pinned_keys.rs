//! A state for each key on threads of its own: every key is served by one thread, in order, with one state, whatever is
//! before and behind.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{collections::HashMap, thread::ThreadId};

use pipewright::{Blueprint, Builder, Report, pipeline};
use pipewright_tests::{Seen, uneven};

const ITEMS: u64 = 20_000;
const KEYS: u64 = 97;

/// A key's item: number, how many of its key came before, and the thread that served it.
type Served = (u64, u64, ThreadId);

#[track_caller]
fn done<P: Blueprint>(builder: Builder<P>, env: P::Env) -> Report<P> {
    let report = builder.start(env).unwrap().wait().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.ledger().in_flight, 0);
    report
}

/// Every item was served, each key by one thread and in order; returns how many threads there were.
#[track_caller]
fn threads_of(served: &[Served], items: u64) -> usize {
    assert_eq!(served.len() as u64, items);
    let mut thread_of: HashMap<u64, ThreadId> = HashMap::new();
    let mut next: HashMap<u64, u64> = HashMap::new();
    for (n, before, thread) in served {
        let key = n % KEYS;
        assert_eq!(
            *thread_of.entry(key).or_insert(*thread),
            *thread,
            "key {key}"
        );
        let next = next.entry(key).or_default();
        assert_eq!((*n, *before), (key + *next * KEYS, *next), "key {key}");
        *next += 1;
    }
    let threads: std::collections::HashSet<ThreadId> = thread_of.into_values().collect();
    threads.len()
}

/// From the pool to keys on several threads, and back.
#[pipeline(env = Seen<Served>)]
mod several {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn heavy(n: u64) -> u64 {
        uneven(n)
    }

    #[stage(from = heavy, key = |n| n % KEYS, cores = "0,1")]
    pub fn counted(n: u64, before: &mut u64) -> Served {
        let served = (n, *before, std::thread::current().id());
        *before += 1;
        served
    }

    #[sink(from = counted)]
    pub fn last(served: Served, env: &Seen<Served>) {
        env.see(served);
    }
}

#[test]
fn keys_are_divided_between_several_threads_and_each_keeps_its_order() {
    for wait in ["spin", "adaptive", "park"] {
        let seen = Seen::new();
        let tuning = format!("( stages: {{ \"counted\": (wait: {wait}) }} )");
        let builder = several::pipeline()
            .tuning("wait.ron", &tuning)
            .unwrap()
            .workers(2);
        let report = done(builder, seen.clone());
        assert_eq!(report.ledger().delivered, ITEMS);
        assert_eq!(threads_of(&seen.take(), ITEMS), 2, "{wait}");
    }
}

#[test]
fn one_core_can_have_all_keys_of_a_stage_that_was_compiled_for_several() {
    let seen = Seen::new();
    let tuning = "( stages: { \"counted\": (cores: \"0\") } )";
    let builder = several::pipeline().tuning("one.ron", tuning).unwrap();
    let report = done(builder, seen.clone());
    assert_eq!(report.ledger().delivered, ITEMS);
    assert_eq!(threads_of(&seen.take(), ITEMS), 1);
}

#[test]
fn a_stopped_run_drops_and_counts_what_was_left_for_the_threads() {
    let run = several::pipeline().start(Seen::new()).unwrap();
    let report = run.stop().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
}

/// Items that are pushed by the caller, keys in the order in which they come, and a keyed stage behind a keyed one.
#[pipeline(env = Seen<(u64, u64)>)]
mod pushed {
    use super::*;

    #[stage(from = input, key = |n: &u64| n % KEYS, cores = "0,1", order = any)]
    pub fn first(n: u64, before: &mut u64) -> (u64, u64) {
        *before += 1;
        (n, *before)
    }

    #[stage(from = first, cores = "0,1")]
    pub fn between(counted: (u64, u64)) -> (u64, u64) {
        counted
    }

    #[sink(from = between, key = |(n, _): &(u64, u64)| n % KEYS, cores = "0,1")]
    pub fn second((n, before): (u64, u64), count: &mut u64, env: &Seen<(u64, u64)>) {
        *count += 1;
        assert_eq!(*count, before, "key {}", n % KEYS);
        env.see((n % KEYS, *count));
    }
}

#[test]
fn keyed_stages_in_a_row_keep_the_order_of_each_key() {
    let seen = Seen::new();
    let run = pushed::pipeline().start(seen.clone()).unwrap();
    run.send_all(0..ITEMS).unwrap();
    let report = run.drain().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(seen.len() as u64, ITEMS);
}

/// Keys on one thread: in the middle of its loop, fed by a ring, and in order.
#[pipeline(env = Seen<u64>)]
mod one {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "1", queue = 64)]
    pub fn odd(n: &u64) -> bool {
        n % 2 == 1
    }

    #[stage(from = odd, key = |n: &u64| n % KEYS, cores = "1")]
    pub fn fifth(n: u64, count: &mut u64) -> Option<(u64, u64)> {
        *count += 1;
        count.is_multiple_of(5).then_some((n, *count))
    }

    #[sink(from = fifth, key = |(_, count): &(u64, u64)| *count, cores = "1")]
    pub fn last((n, count): (u64, u64), seen: &mut Option<u64>, env: &Seen<u64>) {
        assert!(seen.is_none_or(|before| before < n), "count {count}");
        *seen = Some(n);
        env.see(n);
    }
}

#[test]
fn one_thread_has_the_states_of_all_keys_in_the_middle_of_its_loop() {
    let seen = Seen::new();
    let report = done(one::pipeline(), seen.clone());
    let mut counts = [0; KEYS as usize];
    let expect = (0..ITEMS).filter(|n| n % 2 == 1).filter(|n| {
        let count = &mut counts[(n % KEYS) as usize];
        *count += 1;
        *count % 5 == 0
    });
    // One thread keeps the order of all keys.
    assert_eq!(seen.take(), expect.collect::<Vec<_>>());
    assert!(
        report
            .to_string()
            .contains("on 0 workers and 2 pinned threads"),
        "{report}"
    );
}

/// Ways that part and meet again in front of keys, by threads with and without a pool.
#[pipeline(env = Seen<Served>)]
mod joined {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "0")]
    pub fn even(n: u64) -> Option<u64> {
        n.is_multiple_of(2).then_some(n)
    }

    #[stage(from = numbers)]
    pub fn odd(n: u64) -> Option<u64> {
        (n % 2 == 1).then(|| uneven(n))
    }

    #[sink(from = [even, odd], key = |n: &u64| n % KEYS, cores = "0,1")]
    pub fn last(n: u64, before: &mut u64, env: &Seen<Served>) {
        env.see((n, *before, std::thread::current().id()));
        *before += 1;
    }
}

#[test]
fn what_was_parted_is_joined_in_order_before_it_is_divided_by_key() {
    let seen = Seen::new();
    let report = done(joined::pipeline().workers(2), seen.clone());
    assert_eq!(report.ledger().filtered, ITEMS);
    assert_eq!(threads_of(&seen.take(), ITEMS), 2);
}

/// Panics: of key functions, and of stages with a state that is made anew.
#[pipeline]
mod faulty {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    pub fn key(n: &u64) -> u64 {
        assert_ne!(n % 1000, 7, "key");
        n % 10
    }

    #[stage(from = numbers, key = key, cores = "0,1", on_panic = reset)]
    pub fn several(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        assert_ne!(n % 1000, 8, "several");
        n
    }

    #[sink(from = several, key = |n: &u64| n % 10, cores = "1", on_panic = keep)]
    pub fn one(n: u64, count: &mut u64) {
        *count += 1;
        assert_ne!(n % 1000, 9, "one");
    }
}

#[test]
fn a_panic_of_a_key_function_or_of_a_keyed_stage_costs_its_item_and_no_other() {
    let report = done(faulty::pipeline(), ());
    let each = ITEMS / 1000;
    assert_eq!(report.ledger().panicked, 3 * each);
    assert_eq!(report.ledger().delivered, ITEMS - 3 * each);
    assert_eq!(
        report.metrics().stage::<faulty::several>().panicked,
        2 * each
    );
    assert_eq!(report.metrics().stage::<faulty::one>().panicked, each);
}

#[test]
fn keys_need_no_threads_in_a_dry_run() {
    let seen = Seen::new();
    let mut dry = one::pipeline().dry_run(seen.clone());
    dry.feed_from::<one::numbers>(0..1000);
    dry.run();
    assert!(dry.drain().unwrap().ledger().is_balanced());
    assert!(!seen.is_empty());
}
