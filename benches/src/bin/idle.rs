//! Prints what a pipeline costs that has nothing to do: `cargo run --release -p pipewright-benches --bin idle`.
//!
//! The processor time and the wake-ups of the workers of a started pipeline without items are read from the system, over
//! some seconds; the time to start it and to drain it empty are measured with its threads. Exits with 1 if a bar is missed.
//! On systems without `/proc` the first two are not known, and it says so.

#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use pipewright_benches::idle::{
    CPU_PCT, DRAIN_MS, START_MS, WAKES, WORKERS, idle, starts_and_drains,
};

/// What a pipeline costs that has nothing to do.
#[derive(Parser)]
struct Args {
    /// Seconds that it idles.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Starts and drains that are measured.
    #[arg(long, default_value_t = 101)]
    rounds: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    println!("a pipeline that waits for its input, {WORKERS} workers");
    let mut met = true;
    match idle(Duration::from_secs(args.seconds)) {
        None => println!("  processor time and wake-ups: not known on this system"),
        Some(idling) => {
            println!("  {} threads, {} s", idling.threads, args.seconds);
            met &= show(
                "processor time, % of a core",
                "",
                &[idling.cpu_pct],
                CPU_PCT,
            );
            met &= show("wake-ups a second", "", &[idling.wakes], WAKES);
        }
    }
    let (starts, drains) = starts_and_drains(args.rounds);
    met &= show("start", "ms", &starts, START_MS);
    met &= show("drain of an empty pipeline", "ms", &drains, DRAIN_MS);
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a median with its spread, and says whether it is within its bar.
fn show(what: &str, unit: &str, times: &[f64], most: f64) -> bool {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (median, least, greatest) = (
        sorted[sorted.len() / 2],
        sorted[0],
        sorted[sorted.len() - 1],
    );
    let met = median <= most;
    let verdict = if met { "met" } else { "MISSED" };
    println!(
        "  {what:<28} {median:>7.3} {unit} [{least:.3} - {greatest:.3}]   bar {most:.3} {verdict}"
    );
    met
}
