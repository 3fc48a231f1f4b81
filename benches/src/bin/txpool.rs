//! Prints how txpool scales on real blocks: `cargo run --release -p pipewright-benches --bin txpool`.
//!
//! Runs with one and with two workers take turns. The blocks are those of the folder `ethereum/` in `PIPEWRIGHT_DATA`, or
//! in `../shared/data`. Exits with 1 if the bar is missed or there are no blocks.

#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use pipewright_benches::paired::{Contender, Outcome, compare};
use pipewright_pipelines::txpool::{cli::Order, env::Env, feed::Input, run::Settings};

/// How txpool scales on real blocks, in paired runs.
#[derive(Parser)]
struct Args {
    /// Rounds that are counted.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How often a run goes over the blocks.
    #[arg(long, default_value_t = 12)]
    repeat: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let folder = std::env::var_os("PIPEWRIGHT_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let Some(files) = blocks(&folder.join("ethereum")) else {
        println!("no blocks: set PIPEWRIGHT_DATA to the folder that holds `ethereum/`");
        return ExitCode::FAILURE;
    };
    let transactions = run(&files, args.repeat, 1);
    println!(
        "txpool, {transactions} transactions, {} rounds; median ratio [least - greatest]",
        args.rounds
    );
    let outcomes = compare(
        args.rounds,
        Contender::new("1 worker", || {
            assert_eq!(run(&files, args.repeat, 1), transactions)
        }),
        vec![
            Contender::new("2 workers", || {
                assert_eq!(run(&files, args.repeat, 2), transactions)
            })
            .bar(1.85),
        ],
    );
    for outcome in &outcomes {
        println!("  {outcome}");
    }
    if outcomes.iter().all(Outcome::is_met) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The block files of a folder, in order; `None` if there are none.
fn blocks(folder: &Path) -> Option<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).ok()?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    (!files.is_empty()).then_some(files)
}

/// Runs the pipeline; returns how many transactions it accounted for, all of them matched.
fn run(files: &[PathBuf], repeat: u32, workers: u32) -> u64 {
    let inputs = files.iter().cloned().map(Input::File).collect();
    let settings = Settings {
        order: Order::Keep,
        workers: Some(workers),
        tuning: None,
    };
    let outcome = settings
        .run(Env::new(inputs, repeat))
        .expect("the pipeline starts");
    assert!(outcome.is_good(), "{:?}", outcome.ending.problems);
    outcome.summary.transactions
}
