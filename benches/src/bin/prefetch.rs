//! Prints what prefetching gives on a random walk: `cargo run --release -p pipewright-benches --bin prefetch`.
//!
//! Records of 64 bytes in a table of 256 MiB are visited in random order, once with little work for each (the sum of its
//! words) and once with work of which each step needs the one before. The iterator that names no distance is compared with
//! distances placed by hand, with no prefetching, and with a walk in the order of memory. Exits with 1 if a bar is missed.
//!
//! The table lies on the pages that the allocator gives. `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` in front of the command asks
//! for huge pages; how much of the process lies on them is printed.

#![forbid(unsafe_code)]

use std::{fs, hint::black_box, process::ExitCode, sync::Arc};

use clap::Parser;
use pipewright::prefetch::{PrefetchExt as _, prefetch};
use pipewright_benches::{
    gather::{self, Record, work},
    paired::{Contender, Outcome, compare},
};

/// What prefetching gives on a random walk, in paired runs.
#[derive(Parser)]
struct Args {
    /// Rounds that are counted; each runs every contender once.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Size of the table in MiB.
    #[arg(long, default_value_t = 256)]
    mib: usize,
    /// Records visited in a run, in thousands.
    #[arg(long, default_value_t = 1024)]
    thousands: usize,
}

/// Distances placed by hand.
const BY_HAND: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// The least speed against the best of them.
const AGAINST_BEST: f64 = 0.97;
/// The least speed of a pipeline against a loop by hand.
const PIPELINE: f64 = 0.90;

/// What is done with a record, given what came of those before it.
type Body = fn(u64, &Record) -> u64;

#[inline(always)]
fn light(sum: u64, record: &Record) -> u64 {
    record
        .0
        .iter()
        .fold(sum, |sum, word| sum.wrapping_add(*word))
}

fn main() -> ExitCode {
    let args = Args::parse();
    let len = (args.mib << 20) / size_of::<Record>();
    let table: Arc<[Record]> = (0..len as u64)
        .map(|n| Record(std::array::from_fn(|k| n + k as u64)))
        .collect();
    let mut dice = 0x2545_F491_4F6C_DD1D_u64;
    let walk: Arc<[u32]> = (0..args.thousands * 1000)
        .map(|_| {
            dice = dice
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(0x1405_7B7E_F767_814F);
            ((dice >> 33) as usize % len) as u32
        })
        .collect();
    println!(
        "random walk over {} MiB, {} k records, {} rounds; median ratio [least - greatest]; on huge pages: {}",
        args.mib,
        args.thousands,
        args.rounds,
        huge_pages()
    );
    let mut met = true;
    met &= show(
        "light body",
        &case::<{ LIGHT }>(args.rounds, &table, &walk),
        None,
    );
    met &= show(
        "working body",
        &case::<{ WORK }>(args.rounds, &table, &walk),
        Some(3.0),
    );
    met &= show_pipelines(&pipelines(args.rounds, &table, &walk));
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The same walk as a pipeline of one worker, with and without `prefetch` on its stage.
fn pipelines(rounds: usize, table: &Arc<[Record]>, walk: &Arc<[u32]>) -> Vec<Outcome> {
    let expected = plain::<WORK>(table, walk);
    compare(
        rounds,
        Contender::new("pipeline without `prefetch`", || {
            assert_eq!(gather::plain(table, walk), expected);
        }),
        vec![
            Contender::new("pipeline with `prefetch`", || {
                assert_eq!(gather::ahead(table, walk), expected);
            }),
            Contender::new("loop by hand, 16 ahead", || {
                assert_eq!(
                    by_hand::<WORK, 16>(black_box(table), black_box(walk)),
                    expected
                );
            }),
        ],
    )
}

fn show_pipelines(outcomes: &[Outcome]) -> bool {
    println!("working body, in a pipeline");
    for outcome in outcomes {
        println!("  {outcome}");
    }
    let (ahead, hand) = (outcomes[1].ratios[0], outcomes[2].ratios[0]);
    let over_none = bar("against no prefetch", ahead, 3.0);
    over_none & bar("against the loop by hand", ahead / hand, PIPELINE)
}

/// The bodies are chosen at compile time, so that each loop has its own copy.
const LIGHT: bool = false;
const WORK: bool = true;

const fn body<const WHICH: bool>() -> Body {
    if WHICH == LIGHT { light } else { work }
}

fn plain<const WHICH: bool>(table: &[Record], walk: &[u32]) -> u64 {
    let body = const { body::<WHICH>() };
    walk.iter()
        .fold(0, |sum, at| body(sum, &table[*at as usize]))
}

fn by_hand<const WHICH: bool, const AHEAD: usize>(table: &[Record], walk: &[u32]) -> u64 {
    let body = const { body::<WHICH>() };
    let mut sum = 0;
    for (i, at) in walk.iter().enumerate() {
        if let Some(ahead) = walk.get(i + AHEAD) {
            prefetch(&table[*ahead as usize]);
        }
        sum = body(sum, &table[*at as usize]);
    }
    sum
}

fn ours<const WHICH: bool>(table: &[Record], walk: &[u32]) -> u64 {
    let body = const { body::<WHICH>() };
    walk.iter()
        .map(|at| &table[*at as usize])
        .prefetching_targets()
        .fold(0, body)
}

fn in_order<const WHICH: bool>(table: &[Record], records: usize) -> u64 {
    let body = const { body::<WHICH>() };
    table.iter().cycle().take(records).fold(0, body)
}

fn case<const WHICH: bool>(rounds: usize, table: &[Record], walk: &[u32]) -> Vec<Outcome> {
    let expected = plain::<WHICH>(table, walk);
    let ordered = in_order::<WHICH>(table, walk.len());
    let same = |name: &'static str, run: fn(&[Record], &[u32]) -> u64| {
        Contender::new(name, move || {
            assert_eq!(run(black_box(table), black_box(walk)), expected)
        })
    };
    compare(
        rounds,
        same("no prefetch", plain::<WHICH>),
        vec![
            same("by hand, 1 ahead", by_hand::<WHICH, { BY_HAND[0] }>),
            same("by hand, 2 ahead", by_hand::<WHICH, { BY_HAND[1] }>),
            same("by hand, 4 ahead", by_hand::<WHICH, { BY_HAND[2] }>),
            same("by hand, 8 ahead", by_hand::<WHICH, { BY_HAND[3] }>),
            same("by hand, 16 ahead", by_hand::<WHICH, { BY_HAND[4] }>),
            same("by hand, 32 ahead", by_hand::<WHICH, { BY_HAND[5] }>),
            same("iterator, no distance named", ours::<WHICH>),
            Contender::new("in the order of memory", || {
                assert_eq!(
                    in_order::<WHICH>(black_box(table), black_box(walk.len())),
                    ordered
                );
            }),
        ],
    )
}

fn show(title: &str, outcomes: &[Outcome], over_none: Option<f64>) -> bool {
    println!("{title}");
    for outcome in outcomes {
        println!("  {outcome}");
    }
    let hand = &outcomes[1..=BY_HAND.len()];
    let best = hand.iter().map(|one| one.ratios[0]).fold(0.0, f64::max);
    let own = outcomes[1 + BY_HAND.len()].ratios[0];
    let mut met = bar(
        "against the best distance by hand",
        own / best,
        AGAINST_BEST,
    );
    if let Some(least) = over_none {
        met &= bar("against no prefetch", own, least);
    }
    met
}

fn bar(what: &str, ratio: f64, least: f64) -> bool {
    let met = ratio >= least;
    println!(
        "  {what}: {ratio:.3}x, bar {least:.2}x {}",
        if met { "met" } else { "MISSED" }
    );
    met
}

/// How much of the process lies on huge pages, as the system tells it.
fn huge_pages() -> String {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("AnonHugePages:"));
    line.map_or_else(|| "not known".to_owned(), |rest| rest.trim().to_owned())
}
