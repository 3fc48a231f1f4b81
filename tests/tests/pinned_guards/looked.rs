//! What `simd` and `prefetch` are for works before guards as it does without: blocks of 64, and memory that is asked for once
//! and ahead, also where finding it panics.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use pipewright::{DeadLetter, Level, pipeline};
use pipewright_tests::Seen;

use crate::world::{CHAOS, Count, Failure, placed, quiet};

/// Not a multiple of a block.
const ITEMS: u64 = 10_007;

/// Maps and filters in blocks, with a rate that bounds nothing but makes a guarded loop of each.
#[pipeline(env = Seen<u64>)]
mod blocks {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers, rate = "1000M/s", simd = [sse4_2, avx2, avx512, neon])]
    pub fn mix(n: u64) -> u64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[stage(from = mix, workers = 1, simd = [sse4_2, avx2, avx512, neon])]
    pub fn keep(n: &u64) -> bool {
        assert!(!n.is_multiple_of(1_000), "{CHAOS}");
        *n & 3 != 0
    }

    #[sink(from = keep)]
    pub fn publish(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn maps_and_filters_in_blocks_give_at_every_level_what_a_loop_gives() {
    quiet();
    let mixed = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bad = |n: &u64| n.is_multiple_of(1_000);
    let expect: Vec<u64> = (0..ITEMS)
        .map(mixed)
        .filter(|n| !bad(n) && n & 3 != 0)
        .collect();
    let panicked = (0..ITEMS).map(mixed).filter(bad).count() as u64;
    assert!(panicked > 0);
    let levels = [
        Level::Baseline,
        Level::Sse42,
        Level::Avx2,
        Level::Avx512,
        Level::Neon,
    ];
    for level in levels.into_iter().filter(|level| level.is_available()) {
        let seen = Seen::new();
        let builder = blocks::pipeline().workers(2).simd_up_to(level);
        let report = builder.start(seen.clone()).unwrap().wait().unwrap();
        assert_eq!(seen.take(), expect, "{level}: {report}");
        assert_eq!(report.ledger().panicked, panicked, "{level}: {report}");
        assert!(report.ledger().is_balanced(), "{level}: {report}");
    }
}

/// How often memory was looked for.
#[derive(Debug, Default)]
pub struct Table {
    places: Vec<u64>,
    asked: AtomicU64,
    seen: Seen<u64>,
    apart: Seen<u64>,
}

type Env = Arc<Table>;

fn table() -> Env {
    Arc::new(Table {
        places: (0..ITEMS).collect(),
        ..Table::default()
    })
}

/// One item in a thousand leads nowhere.
fn place<'e>(n: &u64, env: &'e Env) -> &'e u64 {
    env.asked.fetch_add(1, Relaxed);
    assert!(n % 1_000 != 7, "{CHAOS}");
    &env.places[*n as usize]
}

/// A stage that looks ahead, of a kind, and what becomes of items that panic.
macro_rules! looks {
    ($name:ident, [$($on:tt)*], ($($param:tt)*)) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[source]
            pub fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            #[stage(from = numbers, timeout = "10s", on_panic = dead_letter, prefetch = place, $($on)*)]
            pub fn guarded(n: u64 $($param)*, env: &Env) -> Result<u64, Failure> {
                Ok(env.places[n as usize])
            }

            #[sink(from = guarded)]
            pub fn publish(n: u64, env: &Env) {
                env.seen.see(n);
            }

            #[sink(from = guarded::Err)]
            pub fn reject(letter: DeadLetter<Failure, u64>, env: &Env) {
                env.apart.see(letter.item);
            }
        }
    };
}

looks!(of_any, [], ());
looks!(of_one, [], (, _count: &mut Count));
looks!(of_pinned, [cores = "0"], ());
looks!(of_vectors, [simd = [sse4_2, avx2, avx512, neon]], ());

#[test]
fn memory_is_looked_for_once_an_item_and_a_panic_there_is_that_of_its_item() {
    quiet();
    macro_rules! check {
        ($name:ident) => {
            let env = table();
            let run = placed($name::pipeline()).start(Arc::clone(&env));
            let report = run.unwrap().wait().unwrap();
            let bad = |n: &u64| n % 1_000 == 7;
            assert!(
                env.seen
                    .take()
                    .into_iter()
                    .eq((0..ITEMS).filter(|n| !bad(n))),
                "{report}"
            );
            let mut apart = env.apart.take();
            apart.sort_unstable();
            assert!(apart.into_iter().eq((0..ITEMS).filter(bad)), "{report}");
            assert_eq!(env.asked.load(Relaxed), ITEMS, "{report}");
            assert!(report.ledger().is_balanced(), "{report}");
        };
    }
    check!(of_any);
    check!(of_one);
    check!(of_pinned);
    check!(of_vectors);
}

/// Handles, so many items ahead, in a pipeline that has no environment.
#[pipeline]
mod handles {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = Box<u64>> {
        (0..ITEMS).map(Box::new)
    }

    #[stage(from = numbers, rate = "1000M/s", prefetch = 8)]
    pub fn guarded(n: Box<u64>) -> u64 {
        *n
    }

    #[stage(from = guarded, rate = "1000M/s", prefetch = |n: &u64| n)]
    pub fn further(n: u64) -> u64 {
        n
    }

    #[sink(from = further)]
    pub fn publish(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn handles_are_looked_behind_so_many_items_ahead() {
    let mut report = handles::pipeline().workers(2).run(()).unwrap();
    let sum = report.take_state::<handles::publish>();
    assert_eq!(sum, Some((0..ITEMS).sum()), "{report}");
}
