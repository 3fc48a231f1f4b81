//! Keyed stages with so many keys that their states lie in no cache.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::pipeline;
use pipewright_tests::WORKERS;

const KEYS: u64 = 50_000;
const ROUNDS: u64 = 4;

/// An item of the second round in a thousand panics.
fn panics(n: u64) -> bool {
    n / KEYS == 1 && n.is_multiple_of(1009)
}

#[pipeline]
mod many {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..KEYS * ROUNDS
    }

    /// Each item with the one of its key before it.
    #[stage(from = numbers, key = |n| n % KEYS, on_panic = reset)]
    pub fn chain(n: u64, last: &mut Option<u64>) -> (u64, Option<u64>) {
        let before = last.replace(n);
        assert!(!panics(n), "item {n}");
        (n, before)
    }

    #[sink(from = chain)]
    pub fn last(pair: (u64, Option<u64>), seen: &mut Vec<(u64, Option<u64>)>) {
        seen.push(pair);
    }
}

#[test]
fn every_one_of_many_keys_has_its_own_state_in_order_and_a_panic_resets_no_other() {
    let expected: Vec<(u64, Option<u64>)> = (0..KEYS * ROUNDS)
        .filter(|n| !panics(*n))
        .map(|n| (n, n.checked_sub(KEYS).filter(|before| !panics(*before))))
        .collect();
    for workers in WORKERS {
        for parallel in [false, true] {
            let pipeline = many::pipeline().workers(workers);
            let pipeline = if parallel {
                pipeline.in_parallel()
            } else {
                pipeline
            };
            let mut report = pipeline.start(()).unwrap().wait().unwrap();
            assert!(report.ledger().is_balanced(), "{report}");
            let lost = KEYS * ROUNDS - expected.len() as u64;
            assert_eq!(report.ledger().panicked, lost, "{report}");
            let mut seen = report.take_state::<many::last>().expect("the sink's state");
            seen.sort_unstable();
            assert!(seen == expected, "{workers} workers, parallel: {parallel}");
        }
    }
}

/// A pipeline of which the macro knows only the source, as those who write many alike do.
macro_rules! counted {
    ($name:ident, $($stage:item)*) => {
        #[pipeline(env = u64)]
        mod $name {
            use super::*;

            #[source]
            pub fn numbers() -> impl Iterator<Item = u64> {
                0..100
            }

            $($stage)*
        }
    };
}

/// The first number of a key.
fn first(env: &u64) -> Result<u64, String> {
    Ok(*env)
}

counted! {
    by_macro,
    #[stage(from = numbers, key = |item| item % 10, state = first)]
    pub fn count(n: u64, count: &mut u64) -> (u64, u64) {
        *count += 1;
        (n, *count)
    }

    #[sink(from = count)]
    pub fn last(pair: (u64, u64), seen: &mut Vec<(u64, u64)>) {
        seen.push(pair);
    }
}

#[test]
fn a_key_and_a_state_may_come_into_a_pipeline_through_another_macro() {
    let mut report = by_macro::pipeline().run(7).unwrap();
    let mut seen = report.take_state::<by_macro::last>().expect("the sink's");
    seen.sort_unstable();
    let expected = (0..100).map(|n| (n, 7 + 1 + n / 10));
    assert!(seen.into_iter().eq(expected), "{report}");
}
