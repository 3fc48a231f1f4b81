//! Prints what a pipeline costs that has nothing to do: `cargo run --release -p pipewright-benches --bin idle`.
//!
//! The processor time and the wake-ups of the workers of a started pipeline without items are read from the system, over
//! some seconds; the time to start it and to drain it empty are measured with its threads. Exits with 1 if a bar is missed.
//! On systems without `/proc` the first two are not known, and it says so.

#![forbid(unsafe_code)]

use std::{
    fs,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use pipewright_benches::{
    heavy::{Env, Probe},
    links::pushed,
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

const WORKERS: usize = 2;
/// Most of a core, in percent.
const CPU_PCT: f64 = 0.5;
/// Most wake-ups of all workers in a second.
const WAKES: f64 = 0.0;
/// Longest start, in milliseconds.
const START_MS: f64 = 2.0;
/// Longest drain of an empty pipeline, in milliseconds.
const DRAIN_MS: f64 = 1.0;

struct Nothing;

impl Probe for Nothing {
    fn at(&self, _: u64) {}
}

fn env() -> Env {
    Env {
        items: 0,
        probe: Box::new(Nothing),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    println!("a pipeline that waits for its input, {WORKERS} workers");
    let mut met = idle(Duration::from_secs(args.seconds));
    let (starts, drains) = starts_and_drains(args.rounds);
    met &= show("start", "ms", &starts, START_MS);
    met &= show("drain of an empty pipeline", "ms", &drains, DRAIN_MS);
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Processor time and wake-ups of the workers while nothing happens.
fn idle(time: Duration) -> bool {
    let before = threads();
    let run = pushed::pipeline()
        .workers(WORKERS)
        .start(env())
        .expect("the pipeline starts");
    // What the workers do while they start is no idling; a second is much longer than that takes.
    thread::sleep(Duration::from_secs(1));
    let workers = |all: Vec<Thread>| -> Vec<Thread> {
        all.into_iter()
            .filter(|one| before.iter().all(|old| old.id != one.id))
            .collect()
    };
    let (first, begun) = (workers(threads()), Instant::now());
    thread::sleep(time);
    let (last, seconds) = (workers(threads()), begun.elapsed().as_secs_f64());
    let _ = run.drain().expect("nothing fails");
    if first.is_empty() {
        println!("  processor time and wake-ups: not known on this system");
        return true;
    }
    let spent = |all: &[Thread]| all.iter().map(|one| one.nanoseconds).sum::<u64>();
    let woken = |all: &[Thread]| all.iter().map(|one| one.switches).sum::<u64>();
    let share = (spent(&last) - spent(&first)) as f64 / 1e9 / seconds * 100.0;
    let wakes = (woken(&last) - woken(&first)) as f64 / seconds;
    println!("  {} threads, {seconds:.0} s", last.len());
    show("processor time, % of a core", "", &[share], CPU_PCT)
        & show("wake-ups a second", "", &[wakes], WAKES)
}

/// What the system has counted of a thread.
struct Thread {
    id: String,
    /// Time on a processor.
    nanoseconds: u64,
    /// Times that it gave the processor up; each but the last was followed by a wake-up.
    switches: u64,
}

/// The threads of this process; none where the system does not tell.
fn threads() -> Vec<Thread> {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter_map(|task| {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
            let nanoseconds = read("schedstat")?.split_whitespace().next()?.parse().ok()?;
            let status = read("status")?;
            let switches = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            Some(Thread {
                id: task.file_name().to_string_lossy().into_owned(),
                nanoseconds,
                switches: switches.trim().parse().ok()?,
            })
        })
        .collect()
}

/// Times of starts and of drains, in milliseconds, in order of size.
fn starts_and_drains(rounds: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut starts, mut drains) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let begun = Instant::now();
        let run = pushed::pipeline()
            .workers(WORKERS)
            .start(env())
            .expect("the pipeline starts");
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        // Its workers sleep by then, which makes the drain longer, not shorter.
        thread::sleep(Duration::from_millis(2));
        let begun = Instant::now();
        let _ = run.drain().expect("nothing fails");
        drains.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    starts.sort_by(f64::total_cmp);
    drains.sort_by(f64::total_cmp);
    (starts, drains)
}

/// Prints a median with its spread, and says whether it is within its bar.
fn show(what: &str, unit: &str, sorted: &[f64], most: f64) -> bool {
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
