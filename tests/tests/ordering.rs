//! What a sink or a serial stage sees is in source order, whatever ran in parallel between.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::pipeline;
use pipewright_tests::{Seen, WORKERS, uneven, work};

const ITEMS: u64 = 30_000;

#[pipeline(env = Seen<u64>)]
mod straight {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn heavy(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = heavy)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn a_sink_sees_source_order_behind_a_parallel_stage() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = straight::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        assert_eq!(
            seen.take(),
            (0..ITEMS).collect::<Vec<_>>(),
            "{workers} workers"
        );
    }
}

#[pipeline(env = Seen<u64>)]
mod gates {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn first(n: u64) -> Option<u64> {
        (!n.is_multiple_of(7)).then(|| uneven(n))
    }

    /// Checks for itself that it is called in order.
    #[stage(from = first)]
    pub fn serial(n: u64, last: &mut u64) -> u64 {
        assert!(n >= *last, "{n} after {last}");
        *last = n;
        n
    }

    #[stage(from = serial)]
    pub fn second(n: u64) -> u64 {
        uneven(n.rotate_left(32)).rotate_left(32)
    }

    #[sink(from = second)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn order_is_kept_through_a_serial_stage_between_parallel_ones() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = gates::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        let expected: Vec<u64> = (0..ITEMS).filter(|n| n % 7 != 0).collect();
        assert_eq!(seen.take(), expected, "{workers} workers\n{report}");
    }
}

pub enum Kind {
    Small(u64),
    Large(u64),
    Odd(u64),
}

#[pipeline(env = Seen<u64>)]
mod diamond {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn sort(n: u64) -> Kind {
        match n % 5 {
            0 => Kind::Small(n),
            1 | 2 => Kind::Large(n),
            _ => Kind::Odd(n),
        }
    }

    /// A serial arm, behind its own gate.
    #[stage(from = sort::Small)]
    pub fn small(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    /// A parallel arm behind another gate.
    #[stage(from = sort::Large)]
    pub fn large(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = large)]
    pub fn larger(n: u64) -> Option<u64> {
        (uneven(n) % 3 != 0).then_some(n)
    }

    #[stage(from = sort::Odd)]
    pub fn odd(n: u64) -> impl Iterator<Item = u64> {
        [work(n), n].into_iter()
    }

    #[sink(from = [small, larger, odd])]
    pub fn merged(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn arms_that_pass_different_gates_meet_in_source_order() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = diamond::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        let mut expected = Vec::new();
        for n in 0..ITEMS {
            match n % 5 {
                0 => expected.push(n),
                1 | 2 if n % 3 != 0 => expected.push(n),
                1 | 2 => {}
                _ => expected.extend([n, n]),
            }
        }
        assert_eq!(seen.take(), expected, "{workers} workers\n{report}");
    }
}

#[pipeline(env = Seen<(u64, u64)>)]
mod keyed {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn heavy(n: u64) -> u64 {
        uneven(n)
    }

    /// Each key sees its own numbers in order.
    #[stage(from = heavy, key = |n| n % 97)]
    pub fn chain(n: u64, last: &mut Option<u64>) -> (u64, u64) {
        let before = last.replace(n);
        assert_eq!(before, n.checked_sub(97), "key {}", n % 97);
        (n % 97, n)
    }

    #[stage(from = chain)]
    pub fn after(pair: (u64, u64)) -> (u64, u64) {
        uneven(pair.1);
        pair
    }

    #[sink(from = after)]
    pub fn last(pair: (u64, u64), env: &Seen<(u64, u64)>, count: &mut u64) {
        *count += 1;
        env.see(pair);
    }
}

#[test]
fn each_key_keeps_its_order_through_a_keyed_stage_and_after_it() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = keyed::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        let pairs = seen.take();
        assert_eq!(pairs.len() as u64, ITEMS, "{report}");
        for key in 0..97 {
            let of_key: Vec<u64> = pairs
                .iter()
                .filter(|(k, _)| *k == key)
                .map(|(_, n)| *n)
                .collect();
            assert!(of_key.is_sorted(), "key {key} with {workers} workers");
        }
    }
}

#[pipeline(env = Seen<u64>)]
mod given_up {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn heavy(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = heavy, order = any)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn without_order_every_item_still_comes_once() {
    for workers in WORKERS {
        let seen = Seen::new();
        let _ = given_up::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        let mut items = seen.take();
        items.sort_unstable();
        assert_eq!(items, (0..ITEMS).collect::<Vec<_>>(), "{workers} workers");
    }
}

#[pipeline(env = Seen<(u8, u64)>)]
mod two_sources {
    use super::*;

    #[source]
    pub fn left() -> impl Iterator<Item = (u8, u64)> {
        (0..ITEMS).map(|n| (0, n))
    }

    #[source]
    pub fn right() -> impl Iterator<Item = (u8, u64)> {
        (0..ITEMS).map(|n| (1, n))
    }

    #[stage(from = [left, right])]
    pub fn heavy(pair: (u8, u64)) -> (u8, u64) {
        uneven(pair.1);
        pair
    }

    #[sink(from = heavy)]
    pub fn last(pair: (u8, u64), env: &Seen<(u8, u64)>) {
        env.see(pair);
    }
}

#[test]
fn each_of_two_sources_keeps_its_order() {
    for workers in WORKERS {
        let seen = Seen::new();
        let report = two_sources::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap()
            .wait()
            .unwrap();
        let pairs = seen.take();
        for side in [0, 1] {
            let of_side: Vec<u64> = pairs
                .iter()
                .filter(|(s, _)| *s == side)
                .map(|(_, n)| *n)
                .collect();
            assert_eq!(
                of_side,
                (0..ITEMS).collect::<Vec<_>>(),
                "source {side}, {workers} workers\n{report}"
            );
        }
    }
}
