//! Prints the resident memory of a run whose source is a hundred times faster than its sink:
//! `cargo run --release -p pipewright-benches --bin memory`.
//!
//! The sink reads the process's resident memory as it goes. Exits with 1 if it grows after the first tenth of the run.

#![forbid(unsafe_code)]

use std::{
    fs,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pipewright::pipeline;
use pipewright_benches::heavy::work;

const ITEMS: u64 = 400_000;
/// Growth that is noise: stacks, counters, the allocator's own.
const NOISE_KIB: u64 = 4 * 1024;

/// Resident memory in KiB after each tenth of the run.
#[derive(Debug, Default)]
pub struct Marks([AtomicU64; 10]);

/// A kibibyte an item; the source makes one in some ten nanoseconds, the sink takes more than a microsecond for it.
#[pipeline(env = Arc<Marks>)]
mod slow_sink {
    use super::*;

    #[source]
    fn fast() -> impl Iterator<Item = [u64; 128]> {
        (0..ITEMS).map(|n| [n; 128])
    }

    #[stage(from = fast)]
    fn pass(item: [u64; 128]) -> [u64; 128] {
        item
    }

    #[sink(from = pass)]
    fn slow(item: [u64; 128], env: &Arc<Marks>) {
        for _ in 0..20 {
            work(item[0]);
        }
        if (item[0] + 1).is_multiple_of(ITEMS / 10) {
            env.0[((item[0] + 1) * 10 / ITEMS) as usize - 1]
                .store(resident_kib(), Ordering::Relaxed);
        }
    }
}

/// Resident memory in KiB, as Linux tells it; 0 elsewhere.
fn resident_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}

fn main() -> ExitCode {
    let mut flat = true;
    println!("resident memory in KiB after each tenth of {ITEMS} items of 1 KiB");
    for workers in [1, 2] {
        let marks = Arc::new(Marks::default());
        let run = slow_sink::pipeline()
            .workers(workers)
            .start(Arc::clone(&marks))
            .expect("the pipeline starts");
        let _ = run.wait().expect("nothing fails");
        let marks: Vec<u64> = marks
            .0
            .iter()
            .map(|mark| mark.load(Ordering::Relaxed))
            .collect();
        println!("  {workers} workers   {marks:?}");
        flat &= marks.iter().all(|mark| *mark <= marks[0] + NOISE_KIB);
    }
    if flat {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
