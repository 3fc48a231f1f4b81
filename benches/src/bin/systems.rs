//! Measures the transaction scanner and the event daemon: `cargo run --release -p pipewright-benches --bin systems`.
//!
//! Prints Markdown for `pipelines/RESULTS.md`: the scanner stage by stage and by the number of workers, the daemon by the number of
//! services beside what it replaces. `--quick` shows that it works and measures nothing.

#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use pipewright_benches::{
    systems::{events, txpool},
    table::Table,
};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The transaction scanner and the event daemon, measured.
#[derive(Parser)]
struct Args {
    /// Which of them; both if not said
    system: Option<System>,
    /// Little work and two rounds: shows that it works, and measures nothing
    #[arg(long)]
    quick: bool,
    /// Rounds that are counted; six are the fewest with an interval
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(6..=1_000))]
    rounds: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    /// The transaction scanner
    Txpool,
    /// The event daemon
    Events,
}

fn main() {
    let args = Args::parse();
    let times = if args.quick { 2 } else { args.rounds as usize };
    let of = |full, quick| if args.quick { quick } else { full };
    if args.system != Some(System::Events) {
        show(&txpool::stages(times, of(2_000, 20)));
        show(&txpool::workers(times, of(5_000, 20)));
    }
    if args.system != Some(System::Txpool) {
        let services = [3, 10, 50, 100, 300, 1_000];
        let services = &services[..of(services.len(), 2)];
        for services in services {
            show(&events::services(times, of(20_000, 50), *services));
        }
    }
}

fn show(table: &Table) {
    println!("{}", table.markdown());
}
