//! Behind parallel work, items are in the order of the source: at serial stages, for each key, and where branches join.

use pipewright::pipeline;
use shuttle::sync::{Condvar, Mutex};

use crate::harness::{Seen, check, ended, mixed, slow, start, uneven};

const ITEMS: u64 = 40;

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod gates {
    use super::*;

    #[source(batch = 3)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn first(n: u64) -> Option<u64> {
        (!n.is_multiple_of(7)).then(|| uneven(n))
    }

    #[stage(from = first)]
    pub fn serial(n: u64, sum: &mut u64) -> u64 {
        *sum = sum.wrapping_mul(31).wrapping_add(n);
        *sum
    }

    #[stage(from = serial)]
    pub fn second(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = second)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn serial_stages_see_the_order_of_the_source() {
    check(|| {
        let seen = Seen::new();
        let mut report = ended(start(gates::pipeline(), seen.clone()).wait());
        let mut sum = 0u64;
        let expect = (0..ITEMS).filter(|n| !n.is_multiple_of(7)).map(|n| {
            sum = sum.wrapping_mul(31).wrapping_add(n);
            sum
        });
        let expect: Vec<u64> = expect.collect();
        assert_eq!(seen.take(), expect, "{report}");
        assert_eq!(report.take_state::<gates::serial>(), Some(sum));
        assert_eq!(report.ledger().received, ITEMS);
    });
}

/// The key of an item.
fn key(n: &u64) -> u64 {
    mixed(*n) % 5
}

#[pipeline(env = Seen<(u64, u64)>, quantum = "1us")]
mod keyed {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn before(n: u64) -> u64 {
        uneven(n)
    }

    #[stage(from = before, key = key)]
    pub fn by_key(n: u64, last: &mut u64) -> (u64, u64) {
        *last = last.wrapping_mul(31).wrapping_add(uneven(n));
        (n, *last)
    }

    #[sink(from = by_key)]
    pub fn last(pair: (u64, u64), env: &Seen<(u64, u64)>) {
        env.see(pair);
    }
}

#[test]
fn keyed_stages_see_the_order_of_the_source_for_each_key() {
    check(|| {
        let seen = Seen::new();
        let report = ended(start(keyed::pipeline(), seen.clone()).wait());
        let mut states = [0u64; 5];
        let mut oracle: Vec<(u64, u64)> = (0..ITEMS)
            .map(|n| {
                let state = &mut states[key(&n) as usize];
                *state = state.wrapping_mul(31).wrapping_add(n);
                (n, *state)
            })
            .collect();
        let mut items = seen.take();
        for of in 0..5 {
            let mine = items.iter().filter(|(n, _)| key(n) == of);
            assert!(mine.is_sorted(), "key {of}: {items:?}\n{report}");
        }
        items.sort_unstable();
        oracle.sort_unstable();
        assert_eq!(items, oracle, "{report}");
    });
}

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod joined {
    use super::*;

    pub enum Side {
        Even(u64),
        Odd(u64),
    }

    #[source(batch = 2)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn side(n: u64) -> Side {
        if uneven(n).is_multiple_of(2) {
            Side::Even(n)
        } else {
            Side::Odd(n)
        }
    }

    #[stage(from = side::Even)]
    pub fn counted(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = side::Odd)]
    pub fn plain(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = [counted, plain])]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn branches_join_in_the_order_of_the_source() {
    check(|| {
        let seen = Seen::new();
        let mut report = ended(start(joined::pipeline(), seen.clone()).wait());
        assert_eq!(seen.take(), (0..ITEMS).collect::<Vec<_>>(), "{report}");
        assert_eq!(report.take_state::<joined::counted>(), Some(ITEMS / 2));
    });
}

/// One item in eight takes very long, and the worker that has it pulled many.
#[pipeline(env = Seen<u64>)]
mod slow_items {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn work(n: u64) -> impl Iterator<Item = u64> {
        let n = slow(n);
        [2 * n, 2 * n + 1].into_iter()
    }

    #[sink(from = work)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn batches_with_slow_items_arrive_whole_and_in_order() {
    check(|| {
        let seen = Seen::new();
        let report = ended(start(slow_items::pipeline(), seen.clone()).wait());
        assert_eq!(seen.take(), (0..2 * ITEMS).collect::<Vec<_>>(), "{report}");
        assert_eq!(report.ledger().created, ITEMS, "{report}");
    });
}

/// Nothing keeps an order, and pieces of the source are worked on side by side.
#[pipeline(env = Seen<u64>, quantum = "1us")]
mod unordered {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn work(n: u64) -> u64 {
        slow(n)
    }

    #[sink(from = work, order = any)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn pieces_of_a_source_arrive_once_each() {
    check(|| {
        let seen = Seen::new();
        let report = ended(start(unordered::pipeline(), seen.clone()).wait());
        let mut items = seen.take();
        items.sort_unstable();
        assert_eq!(items, (0..ITEMS).collect::<Vec<_>>(), "{report}");
    });
}

/// Lets the first item wait until others have passed.
pub struct Gate {
    passed: Mutex<u64>,
    changed: Condvar,
}

/// Items that pass while the first one waits.
const PASS: u64 = 6;

#[pipeline(env = Gate, quantum = "1us")]
mod held_up {
    use super::*;

    #[source(batch = 1)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, order = any)]
    pub fn pass(n: u64, env: &Gate) {
        let mut passed = env.passed.lock().unwrap();
        if n > 0 {
            *passed += 1;
            env.changed.notify_all();
            return;
        }
        while *passed < PASS {
            passed = env.changed.wait(passed).unwrap();
        }
    }
}

#[test]
fn others_go_on_while_one_worker_is_held_up_in_a_stage() {
    check(|| {
        let env = Gate {
            passed: Mutex::new(0),
            changed: Condvar::new(),
        };
        // Alone a worker would wait for itself.
        let report = ended(start(held_up::pipeline().in_parallel(), env).wait());
        assert_eq!(report.ledger().delivered, ITEMS, "{report}");
    });
}
