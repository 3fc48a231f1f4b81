//! Prints the allocations of steady state: `cargo run --release -p pipewright-benches --bin allocations`.
//!
//! A counting allocator is read when the sink takes its millionth item and again ten million items later; what lies
//! between is steady state. Exits with 1 if there are any.

#![forbid(unsafe_code)]

use std::{
    alloc::System,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pipewright_benches::{
    heavy::{Env, Probe, keyed, ordered},
    links::{broadcast, direct, polled, pushed, routed},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WARM: u64 = 1_000_000;
const STEADY: u64 = 10_000_000;

#[derive(Default)]
struct Marks {
    before: AtomicUsize,
    after: AtomicUsize,
}

struct Reader(Arc<Marks>);

impl Probe for Reader {
    fn at(&self, n: u64) {
        let mark = match n {
            WARM => &self.0.before,
            n if n == WARM + STEADY => &self.0.after,
            _ => return,
        };
        let stats = ALLOCATOR.stats();
        mark.store(stats.allocations + stats.reallocations, Ordering::Relaxed);
    }
}

/// Runs one pipeline over the items of its environment.
macro_rules! run {
    ($pipeline:ident, $workers:expr) => {
        |env| {
            let run = $pipeline::pipeline()
                .workers($workers)
                .start(env)
                .expect("the pipeline starts");
            let _ = run.wait().expect("nothing fails");
        }
    };
}

fn main() -> ExitCode {
    let mut clean = true;
    println!("allocations while the sink takes {STEADY} items, after {WARM}");
    for workers in [1, 2] {
        clean &= show("ordered, from an iterator", workers, run!(ordered, workers));
        clean &= show("keyed, from a range", workers, run!(keyed, workers));
        clean &= show("serial, then direct", workers, run!(direct, workers));
        clean &= show("broadcast and join", workers, run!(broadcast, workers));
        clean &= show("route and join", workers, run!(routed, workers));
        clean &= show("polled, by `Emit`", workers, run!(polled, workers));
        clean &= show("pushed, prefetch, batches", workers, |env| {
            push(env, workers)
        });
    }
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn push(env: Env, workers: usize) {
    let items = env.items;
    let run = pushed::pipeline()
        .workers(workers)
        .start(env)
        .expect("the pipeline starts");
    for n in 0..items {
        run.send(n).expect("the input is open");
    }
    let _ = run.drain().expect("nothing fails");
}

fn show(name: &str, workers: usize, run: impl FnOnce(Env)) -> bool {
    let marks = Arc::new(Marks::default());
    // A margin behind the second mark keeps the end of the run out of it.
    run(Env {
        items: WARM + STEADY + WARM,
        probe: Box::new(Reader(Arc::clone(&marks))),
    });
    let count = marks.after.load(Ordering::Relaxed) - marks.before.load(Ordering::Relaxed);
    println!("  {name:<28} {workers} workers   {count}");
    count == 0
}
