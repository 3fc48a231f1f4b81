//! Prints what hashing keys with vectors would save: `cargo run --release -p pipewright-benches --bin keys`.
//!
//! Hashing alone, and hashing with moving each key to the bin of its partition, against foldhash, which keyed links use.

#![forbid(unsafe_code)]

use std::time::Duration;

use clap::Parser;
use pipewright::{
    Level,
    measure::{KeyHash, divide_keys, hash_keys},
};
use pipewright_bench::random::Random;

/// Hashing keys with vectors against foldhash, in rounds that take turns.
#[derive(Parser)]
struct Args {
    /// Rounds that are counted; each runs every contender once.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
}

/// Keys of a round.
const KEYS: usize = 1 << 20;

type Way = (&'static str, KeyHash);

const WAYS: [Way; 4] = [
    ("foldhash", KeyHash::Foldhash),
    ("baseline", KeyHash::Multiplied(Level::Baseline)),
    ("up to AVX2", KeyHash::Multiplied(Level::Avx2)),
    ("best there is", KeyHash::Multiplied(Level::Neon)),
];

fn main() {
    let args = Args::parse();
    let mut random = Random(0x5EED);
    let keys: Vec<u64> = (0..KEYS).map(|_| random.next_u64() % 1_000_000).collect();
    println!(
        "ns a key, median [least - greatest] of {} rounds; ratio of medians",
        args.rounds
    );
    show("hashing", args.rounds, |how| hash_keys(&keys, how));
    show("hashing and moving", args.rounds, |how| {
        divide_keys(&keys, how)
    });
}

fn show(name: &str, rounds: usize, time_of: impl Fn(KeyHash) -> Duration) {
    let mut times = WAYS.map(|_| Vec::new());
    for round in 0..=rounds {
        for ((_, how), times) in WAYS.iter().zip(&mut times) {
            let time = time_of(*how);
            // The first round is not counted.
            if round > 0 {
                times.push(time.as_secs_f64() * 1e9 / KEYS as f64);
            }
        }
    }
    let mut base = None;
    for ((way, _), times) in WAYS.iter().zip(times.iter_mut()) {
        times.sort_by(f64::total_cmp);
        let Some((least, greatest)) = times.first().zip(times.last()) else {
            return;
        };
        let median = times[times.len() / 2];
        let base = *base.get_or_insert(median);
        println!(
            "{name:<20} {way:<14} {median:6.3} [{least:.3} - {greatest:.3}]  {:.2}x",
            base / median
        );
    }
}
