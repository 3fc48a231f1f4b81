//! Loops that are compiled for vector levels give the same items, in the same order, with the same counts and the same
//! panics as plain ones: at every level that the machine has, for every length, for filters that keep none, some or all,
//! and with panics before, in and behind the stages that take blocks.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pipewright::{Ledger, Level, RunError, pipeline};
use pipewright_tests::{Seen, work};

// A quantum is long, so that even a slow build takes whole blocks from its sources.

/// What a run is given.
#[derive(Clone)]
pub struct Plan {
    items: Range<u64>,
    /// Of 64 mixed numbers, how many the filter keeps.
    kept: u64,
    /// The numbers at which a stage panics.
    bad: Bad,
    seen: Seen<u64>,
    /// How often the map was called.
    maps: Arc<AtomicU64>,
}

/// The numbers at which the map, the filter and the sink panic.
#[derive(Clone, Copy, Debug, Default)]
struct Bad {
    map: &'static [u64],
    filter: &'static [u64],
    sink: &'static [u64],
}

impl Plan {
    fn new(len: u64, kept: u64, bad: Bad) -> Self {
        Self {
            items: 0..len,
            kept,
            bad,
            seen: Seen::new(),
            maps: Arc::default(),
        }
    }

    #[inline(always)]
    fn mix(&self, n: u64) -> u64 {
        self.maps.fetch_add(1, Ordering::Relaxed);
        assert!(!self.bad.map.contains(&n), "in the map");
        n << 8 | n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58
    }

    #[inline(always)]
    fn keep(&self, mixed: u64) -> bool {
        assert!(!self.bad.filter.contains(&(mixed >> 8)), "in the filter");
        (mixed & 63) < self.kept
    }

    fn see(&self, mixed: u64) {
        assert!(!self.bad.sink.contains(&(mixed >> 8)), "in the sink");
        self.seen.see(mixed >> 8);
    }

    /// What one loop over the items, written by hand, would see; and how many of the items panic.
    fn expected(&self) -> (Vec<u64>, u64) {
        let (mut seen, mut panicked) = (Vec::new(), 0);
        for n in self.items.clone() {
            let mixed = n << 8 | n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
            let kept = (mixed & 63) < self.kept;
            let bad = self.bad.map.contains(&n)
                || self.bad.filter.contains(&n)
                || kept && self.bad.sink.contains(&n);
            panicked += u64::from(bad);
            if kept && !bad {
                seen.push(n);
            }
        }
        (seen, panicked)
    }
}

/// Numbers of 8 bytes from a range, then of 4 bytes behind a second filter.
#[pipeline(env = Plan, quantum = "1s")]
mod numbers {
    use super::*;

    #[source]
    pub fn items(env: &Plan) -> Range<u64> {
        env.items.clone()
    }

    #[stage(from = items, simd = [sse4_2, avx2, avx512, neon])]
    pub fn mix(n: u64, env: &Plan) -> u64 {
        env.mix(n)
    }

    #[stage(from = mix, simd = [sse4_2, avx2, avx512, neon])]
    pub fn keep(mixed: &u64, env: &Plan) -> bool {
        env.keep(*mixed)
    }

    #[stage(from = keep, simd = [sse4_2, avx2, avx512, neon])]
    pub fn narrow(mixed: u64) -> u32 {
        mixed as u32
    }

    #[stage(from = narrow, simd = [sse4_2, avx2, avx512, neon])]
    pub fn again(mixed: &u32, env: &Plan) -> bool {
        (u64::from(*mixed) & 63) < env.kept
    }

    #[stage(from = again)]
    pub fn widen(mixed: u32) -> u64 {
        mixed.into()
    }

    #[sink(from = widen, on_panic = isolate)]
    pub fn last(mixed: u64, env: &Plan) {
        env.see(mixed);
    }
}

/// Numbers of 4 bytes from a vector.
#[pipeline(env = Plan, quantum = "1s")]
mod halves {
    use super::*;

    #[source]
    pub fn items(env: &Plan) -> Vec<u32> {
        env.items
            .clone()
            .map(|n| env.clone().without().mix(n) as u32)
            .collect()
    }

    #[stage(from = items, simd = [avx2, avx512])]
    pub fn keep(mixed: &u32, env: &Plan) -> bool {
        let n = u64::from(*mixed) >> 8;
        env.mix(n);
        env.keep((*mixed).into())
    }

    #[sink(from = keep)]
    pub fn last(mixed: u32, env: &Plan) {
        env.see(mixed.into());
    }
}

/// Items that are no numbers, with padding, from an iterator, and a map behind which there is no filter.
#[pipeline(env = Plan, quantum = "1s")]
mod pairs {
    use super::*;

    #[derive(Clone, Copy)]
    pub struct Pair(u8, u64);

    #[source]
    pub fn items(env: &Plan) -> impl Iterator<Item = u64> + use<> {
        env.items.clone()
    }

    #[stage(from = items, simd = [avx2, avx512])]
    pub fn mix(n: u64, env: &Plan) -> Pair {
        Pair(n as u8, env.mix(n))
    }

    #[stage(from = mix)]
    pub fn keep(pair: Pair, env: &Plan) -> Option<u64> {
        assert_eq!(u64::from(pair.0), pair.1 >> 8 & 255);
        env.keep(pair.1).then_some(pair.1)
    }

    #[sink(from = keep)]
    pub fn last(mixed: u64, env: &Plan) {
        env.see(mixed);
    }
}

/// Items that cannot be copied go one by one.
#[pipeline(env = Plan, quantum = "1s")]
mod texts {
    use super::*;

    #[source]
    pub fn items(env: &Plan) -> impl Iterator<Item = String> + use<> {
        env.items.clone().map(|n| n.to_string())
    }

    #[stage(from = items, simd = [avx2, avx512])]
    pub fn mix(text: String, env: &Plan) -> u64 {
        env.mix(text.parse().unwrap())
    }

    #[stage(from = mix, simd = [avx2, avx512])]
    pub fn keep(mixed: &u64, env: &Plan) -> bool {
        env.keep(*mixed)
    }

    #[sink(from = keep)]
    pub fn last(mixed: u64, env: &Plan) {
        env.see(mixed);
    }
}

/// From two sources, with work, so that several workers take part, and a sink that sees the order.
#[pipeline(env = Plan, quantum = "1s")]
mod shared {
    use super::*;

    #[source]
    pub fn even(env: &Plan) -> impl Iterator<Item = u64> + use<> {
        env.items.clone().step_by(2)
    }

    #[source]
    pub fn odd(env: &Plan) -> Vec<u64> {
        env.items.clone().skip(1).step_by(2).collect()
    }

    #[stage(from = even, simd = [avx2, avx512])]
    pub fn mix(n: u64, env: &Plan) -> u64 {
        work(env.mix(n))
    }

    #[stage(from = mix, simd = [avx2, avx512])]
    pub fn keep(mixed: &u64, env: &Plan) -> bool {
        env.keep(*mixed)
    }

    #[stage(from = odd, simd = [avx2, avx512])]
    pub fn mix_odd(n: u64, env: &Plan) -> u64 {
        work(env.mix(n))
    }

    #[stage(from = mix_odd, simd = [avx2, avx512])]
    pub fn keep_odd(mixed: &u64, env: &Plan) -> bool {
        env.keep(*mixed)
    }

    #[sink(from = [keep, keep_odd])]
    pub fn last(mixed: u64, env: &Plan) {
        env.see(mixed);
    }
}

impl Plan {
    /// Without panics, to make what goes into a pipeline.
    fn without(mut self) -> Self {
        self.bad = Bad::default();
        self
    }
}

fn levels() -> Vec<Level> {
    let all = [
        Level::Baseline,
        Level::Sse42,
        Level::Avx2,
        Level::Avx512,
        Level::Neon,
    ];
    all.into_iter()
        .filter(|level| level.is_available())
        .collect()
}

const LAST: u64 = 199;

/// None; the first and last item of blocks and beside them; a whole block; several stages.
const BADS: [Bad; 6] = [
    Bad {
        map: &[],
        filter: &[],
        sink: &[],
    },
    Bad {
        map: &[0, 17, 80, 81, 144, LAST],
        filter: &[],
        sink: &[],
    },
    Bad {
        map: &[],
        filter: &[16, 17, 79, 80, 81],
        sink: &[],
    },
    Bad {
        map: &[],
        filter: &[],
        sink: &[0, 1, 17, 40, 80, 81, 82, 144, 150, LAST],
    },
    Bad {
        map: &[20, 90],
        filter: &[21, 91],
        sink: &[22, 23, 24, 92, 93, 94, 160],
    },
    Bad {
        map: &[30, 31, 32],
        filter: &[],
        sink: &[17, 18, 33, 34],
    },
];

/// Runs a pipeline and compares what its sink saw, the panics and the ledger with the loop by hand.
macro_rules! report {
    ($pipeline:ident, $plan:expr, $level:expr, $workers:expr, $sorted:expr) => {{
        let (plan, level, workers): (Plan, Level, usize) = ($plan, $level, $workers);
        let context = format!(
            "{} at {level}, {:?}, {} of 64, {:?}, {workers} workers",
            stringify!($pipeline),
            plan.items,
            plan.kept,
            plan.bad
        );
        let report = $pipeline::pipeline()
            .workers(workers)
            .simd_up_to(level)
            .start(plan.clone())
            .unwrap()
            .wait()
            .unwrap();
        let (expected, panicked) = plan.expected();
        let mut seen = plan.seen.take();
        if $sorted {
            seen.sort_unstable();
        }
        assert_eq!(seen, expected, "{context}");
        let received = plan.items.end - plan.items.start;
        let delivered = expected.len() as u64;
        let ledger = report.ledger();
        assert!(ledger.is_balanced(), "{context}: {report}");
        let Ledger {
            received: r,
            delivered: d,
            filtered: f,
            panicked: p,
            ..
        } = ledger;
        assert_eq!(
            (r, d, f, p),
            (
                received,
                delivered,
                received - delivered - panicked,
                panicked
            ),
            "{context}: {report}"
        );
        report
    }};
}

/// As `report`, for the comparison alone.
macro_rules! check {
    ($($args:tt)*) => { drop(report!($($args)*)) };
}

#[test]
fn every_level_sees_what_a_loop_by_hand_sees_at_every_length() {
    for level in levels() {
        for len in 0..=200 {
            let kept = [0, 1, 8, 32, 63, 64][len as usize % 6];
            check!(numbers, Plan::new(len, kept, BADS[0]), level, 1, false);
            check!(halves, Plan::new(len, kept, BADS[0]), level, 1, false);
            check!(pairs, Plan::new(len, kept, BADS[0]), level, 1, false);
            check!(texts, Plan::new(len, kept, BADS[0]), level, 1, false);
        }
    }
}

#[test]
fn only_the_items_that_panic_are_lost_at_every_level() {
    for level in levels() {
        for bad in BADS {
            for kept in [0, 1, 8, 32, 63, 64] {
                for len in [64, 81, 128, 145, 200, 1000] {
                    check!(numbers, Plan::new(len, kept, bad), level, 1, false);
                    check!(halves, Plan::new(len, kept, bad), level, 1, false);
                    check!(pairs, Plan::new(len, kept, bad), level, 1, false);
                    check!(texts, Plan::new(len, kept, bad), level, 1, false);
                }
            }
        }
    }
}

#[test]
fn several_sources_and_workers_give_the_same() {
    for level in levels() {
        for workers in [1, 2, 4] {
            for bad in BADS {
                check!(shared, Plan::new(5000, 20, bad), level, workers, true);
                check!(numbers, Plan::new(5000, 20, bad), level, workers, true);
            }
        }
    }
}

#[test]
fn every_stage_counts_what_it_would_count_without_blocks() {
    let counts = |level| {
        let plan = Plan::new(1000, 40, BADS[4]);
        let report = report!(numbers, plan, level, 1, false);
        let stages = report.metrics().stages().to_vec();
        let line = |s: &pipewright::StageMetrics| {
            format!(
                "{} {} {} {} {}",
                s.name, s.received, s.sent, s.filtered, s.panicked
            )
        };
        stages.iter().map(line).collect::<Vec<_>>()
    };
    let plain = counts(Level::Baseline);
    for level in levels() {
        assert_eq!(counts(level), plain, "{level}");
    }
}

#[test]
fn a_map_is_called_again_only_for_the_items_of_a_block_in_which_one_panicked() {
    const LEN: u64 = 1000;
    let bad = Bad {
        map: &[500],
        ..BADS[0]
    };
    for level in levels() {
        let calls = |bad| {
            let plan = Plan::new(LEN, 64, bad);
            let maps = Arc::clone(&plan.maps);
            check!(numbers, plan, level, 1, false);
            maps.load(Ordering::Relaxed)
        };
        assert_eq!(calls(BADS[0]), LEN, "{level}");
        let again = calls(bad) - LEN;
        // Levels below AVX2 take no blocks.
        let blocks = level >= Level::Avx2;
        assert_eq!((1..=64).contains(&again), blocks, "{again} at {level}");
    }
}

/// The sink stops the run.
#[pipeline(env = Plan, quantum = "1s")]
mod stopping {
    use super::*;

    #[source]
    pub fn items(env: &Plan) -> Range<u64> {
        env.items.clone()
    }

    #[stage(from = items, simd = [avx2, avx512])]
    pub fn mix(n: u64, env: &Plan) -> u64 {
        env.mix(n)
    }

    #[stage(from = mix, simd = [avx2, avx512], on_panic = stop)]
    pub fn keep(mixed: &u64, env: &Plan) -> bool {
        env.keep(*mixed)
    }

    #[stage(from = keep)]
    pub fn pass(mixed: u64) -> u64 {
        mixed
    }

    #[sink(from = pass, on_panic = stop)]
    pub fn last(mixed: u64, env: &Plan) {
        env.see(mixed);
    }
}

#[test]
fn a_run_that_a_panic_stops_accounts_for_what_was_in_its_blocks() {
    for level in levels() {
        for (bad, stage) in [
            (
                Bad {
                    sink: &[90],
                    ..BADS[0]
                },
                "last",
            ),
            (
                Bad {
                    filter: &[90],
                    ..BADS[0]
                },
                "keep",
            ),
        ] {
            for kept in [48, 64] {
                let plan = Plan::new(1000, kept, bad);
                let failed = stopping::pipeline()
                    .workers(1)
                    .simd_up_to(level)
                    .start(plan.clone())
                    .unwrap()
                    .wait()
                    .unwrap_err();
                let context = format!("{level}, {kept} of 64: {}", failed.report);
                assert!(
                    matches!(&failed.error, RunError::Panicked { stage: s, .. } if *s == stage),
                    "{context}"
                );
                let ledger = failed.report.ledger();
                assert!(ledger.is_balanced(), "{context}");
                let seen = plan.seen.take();
                assert_eq!(ledger.delivered, seen.len() as u64, "{context}");
                assert!(seen.iter().all(|n| *n < 90), "{context}");
                assert_eq!(ledger.panicked, 1, "{context}");
                assert_eq!(ledger.in_flight, 0, "{context}");
                // What is filtered was looked at by the filter, and not what waited behind it.
                assert!(ledger.filtered <= 90 + 64, "{context}");
                if kept == 64 {
                    assert_eq!(ledger.filtered, 0, "{context}");
                }
            }
        }
    }
}
