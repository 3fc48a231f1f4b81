//! Prints the speed of pipelines against loops by hand in the same run: `cargo run --release -p pipewright-benches --bin speed`.
//!
//! Exits with 1 if a bar is missed.

#![forbid(unsafe_code)]

use std::{hint::black_box, process::ExitCode};

use clap::Parser;
use pipewright::Level;
use pipewright_benches::{
    heavy,
    linear::{by_hand, by_hand_on_two, run_cut, run_serial, run_vector},
    mandelbrot,
    paired::{Contender, Outcome, compare},
};

/// Speed of pipelines against loops by hand, in paired runs.
#[derive(Parser)]
struct Args {
    /// Rounds that are counted; each runs every contender once.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Millions of items of the linear pipeline.
    #[arg(long, default_value_t = 20)]
    millions: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let items = black_box(args.millions * 1_000_000);
    println!(
        "linear pipeline, {} M items, {} rounds; median ratio [least - greatest]",
        args.millions, args.rounds
    );
    let mut met = true;
    met &= show(one_worker(args.rounds, items));
    met &= show(two_workers(args.rounds, items));
    println!("linear pipeline, `simd = [avx2, avx512]`, 1 worker");
    met &= show(vector_levels(args.rounds, items));
    println!(
        "heavy pipeline, about 50 ns an item, {} rounds",
        args.rounds
    );
    met &= show(heavy_pipelines(args.rounds));
    println!(
        "200,000 items of about 50 ns, then {} of about 100 us",
        heavy::LATE
    );
    met &= show(slow_at_last(args.rounds));
    println!("Mandelbrot, {SIDE} rows in order, 1 worker; lane form with `simd = [avx2, avx512]`");
    met &= show(mandelbrot_rows(args.rounds));
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn show(outcomes: Vec<Outcome>) -> bool {
    for outcome in &outcomes {
        println!("  {outcome}");
    }
    outcomes.iter().all(Outcome::is_met)
}

fn one_worker(rounds: usize, items: u64) -> Vec<Outcome> {
    let expected = by_hand(0..items);
    compare(
        rounds,
        Contender::new("loop by hand", || {
            assert_eq!(by_hand(0..black_box(items)), expected)
        }),
        vec![
            Contender::new("source that can be cut, 1 worker", || {
                assert_eq!(run_cut(items, 1), expected)
            })
            .bar(0.95),
            Contender::new("iterator in order, 1 worker", || {
                assert_eq!(run_serial(items, 1), expected)
            })
            .bar(0.80),
        ],
    )
}

fn two_workers(rounds: usize, items: u64) -> Vec<Outcome> {
    let expected = by_hand(0..items);
    compare(
        rounds,
        Contender::new("loop by hand on 2 threads", || {
            assert_eq!(by_hand_on_two(black_box(items)), expected)
        }),
        vec![
            Contender::new("source that can be cut, 2 workers", || {
                assert_eq!(run_cut(items, 2), expected)
            })
            .bar(0.90),
            Contender::new("iterator in order, 2 workers", || {
                assert_eq!(run_serial(items, 2), expected)
            }),
        ],
    )
}

fn vector_levels(rounds: usize, items: u64) -> Vec<Outcome> {
    let expected = by_hand(0..items);
    let up_to = |most| move || assert_eq!(run_vector(items, 1, most), expected);
    let mut contenders = vec![
        Contender::new("without `simd`", || assert_eq!(run_cut(items, 1), expected)),
        Contender::new("baseline", up_to(Level::Baseline)),
    ];
    if Level::Avx2.is_available() {
        contenders.push(Contender::new("AVX2", up_to(Level::Avx2)));
    }
    if Level::Avx512.is_available() {
        contenders.push(Contender::new("AVX-512", up_to(Level::Avx512)).bar(1.5));
    }
    compare(
        rounds,
        Contender::new("loop by hand", || {
            assert_eq!(by_hand(0..black_box(items)), expected)
        }),
        contenders,
    )
}

/// Rows and columns of the picture.
const SIDE: usize = 400;

fn mandelbrot_rows(rounds: usize) -> Vec<Outcome> {
    let expected = mandelbrot::by_hand(SIDE);
    let up_to = |most| {
        let expected = &expected;
        move || assert!(mandelbrot::run_vector(SIDE, 1, most) == *expected)
    };
    let mut contenders = vec![
        Contender::new("plain pipeline", || {
            assert!(mandelbrot::run_plain(SIDE, 1) == expected)
        })
        .bar(0.95),
        Contender::new("lane form, baseline", up_to(Level::Baseline)),
    ];
    if Level::Avx2.is_available() {
        contenders.push(Contender::new("lane form, AVX2", up_to(Level::Avx2)));
    }
    if Level::Avx512.is_available() {
        contenders.push(Contender::new("lane form, AVX-512", up_to(Level::Avx512)).bar(8.0));
    }
    compare(
        rounds,
        Contender::new("loop by hand, a point at a time", || {
            assert!(mandelbrot::by_hand(black_box(SIDE)) == expected)
        }),
        contenders,
    )
}

struct Nothing;

impl heavy::Probe for Nothing {
    fn at(&self, _: u64) {}
}

fn heavy_pipelines(rounds: usize) -> Vec<Outcome> {
    const ITEMS: u64 = 1_000_000;
    let env = || heavy::Env {
        items: ITEMS,
        probe: Box::new(Nothing),
    };
    let ordered = |workers: usize| {
        let run = heavy::ordered::pipeline()
            .workers(workers)
            .start(env())
            .expect("the pipeline starts");
        let report = run.wait().expect("nothing fails");
        assert_eq!(report.ledger().delivered, ITEMS);
    };
    let keyed = |workers: usize| {
        let run = heavy::keyed::pipeline()
            .workers(workers)
            .start(env())
            .expect("the pipeline starts");
        let report = run.wait().expect("nothing fails");
        assert_eq!(report.ledger().delivered, ITEMS);
    };
    compare(
        rounds,
        Contender::new("loop by hand on 1 thread", || {
            (0..black_box(ITEMS)).for_each(|n| {
                black_box(heavy::work(n));
            });
        }),
        vec![
            Contender::new("iterator, ordered sink, 1 worker", || ordered(1)),
            Contender::new("iterator, ordered sink, 2 workers", || ordered(2)),
            Contender::new("keyed by 1000, serial sink, 1 worker", || keyed(1)),
            Contender::new("keyed by 1000, serial sink, 2 workers", || keyed(2)),
        ],
    )
}

fn slow_at_last(rounds: usize) -> Vec<Outcome> {
    const ITEMS: u64 = 200_000;
    let run = |workers: usize| {
        let env = heavy::Env {
            items: ITEMS,
            probe: Box::new(Nothing),
        };
        let report = heavy::late::pipeline().workers(workers).run(env);
        let report = report.expect("nothing fails");
        assert_eq!(report.ledger().delivered, ITEMS);
    };
    compare(
        rounds,
        Contender::new("loop by hand on 1 thread", || {
            (0..black_box(ITEMS)).for_each(|n| {
                black_box(heavy::late_work(n, ITEMS));
            });
        }),
        vec![
            Contender::new("iterator, ordered sink, 1 worker", || run(1)),
            Contender::new("iterator, ordered sink, 2 workers", || run(2)),
        ],
    )
}
