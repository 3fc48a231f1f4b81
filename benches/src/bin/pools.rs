//! Prints the speed of pools against allocators in the same run: `cargo run --release -p pipewright-benches --bin pools`.
//!
//! Exits with 1 if a bar is missed.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use pipewright::memory::Class;
use pipewright_benches::{
    paired::{Contender, Outcome, compare},
    pools::{
        Boxes, LIVE, LocalStack, Pooled, SystemBoxes, Way, in_batches, in_pool_batches, one_by_one,
        recycled, same_thread,
    },
};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What `Box` is on.
const ALLOCATOR_NAME: &str = if cfg!(feature = "jemalloc") {
    "jemalloc"
} else {
    "the system's allocator"
};

/// Speed of pools against allocators, in paired runs.
#[derive(Parser)]
struct Args {
    /// Rounds that are counted; each runs every contender once.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Blocks of a run, in millions.
    #[arg(long, default_value_t = 1)]
    millions: u64,
    /// Only blocks of so many bytes: 64, 1024 or 4096.
    #[arg(long)]
    size: Option<usize>,
    /// Only on one thread.
    #[arg(long)]
    same_thread: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let blocks = args.millions * 1_000_000 / LIVE as u64 * LIVE as u64;
    println!(
        "{} M blocks a run, so ms / {} are ns a block; Box is on {ALLOCATOR_NAME}; {} rounds, median ratio [least - greatest]",
        args.millions, args.millions, args.rounds
    );
    let mut met = true;
    let wanted = |class: Class| args.size.is_none_or(|size| size == class.size());
    if wanted(Class::Bytes64) {
        met &= size::<56>(Class::Bytes64, &args, blocks, &LocalStack::<56>);
    }
    if wanted(Class::Kib1) {
        met &= size::<1016>(Class::Kib1, &args, blocks, &LocalStack::<1016>);
    }
    if wanted(Class::Kib4) {
        met &= size::<4088>(Class::Kib4, &args, blocks, &LocalStack::<4088>);
    }
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn size<const R: usize>(class: Class, args: &Args, blocks: u64, stack: &impl Way) -> bool {
    let pool = Pooled::new(class);
    println!("{class}, one thread, {LIVE} live");
    let mut met = show(compare(
        args.rounds,
        Contender::new("thread-local stack", || same_thread(stack, blocks)),
        vec![
            Contender::new("pool", || same_thread(&pool, blocks)).bar(1.0 / 1.3),
            Contender::new("Box", || same_thread(&Boxes::<R>, blocks)),
            Contender::new("Box, system", || same_thread(&SystemBoxes::<R>, blocks)),
        ],
    ));
    if args.same_thread {
        return met;
    }
    println!("{class}, freed on another thread, one by one");
    met &= show(compare(
        args.rounds,
        Contender::new("recycled through a second ring", || recycled::<R>(blocks)),
        vec![
            Contender::new("pool", || one_by_one(&pool, blocks)),
            Contender::new("pool, batches", || in_pool_batches(&pool, blocks)).bar(2.0),
            Contender::new("Box", || one_by_one(&Boxes::<R>, blocks)),
            Contender::new("Box, system", || one_by_one(&SystemBoxes::<R>, blocks)),
        ],
    ));
    println!("{class}, freed on another thread, against Box one by one and {LIVE} at a time");
    met &= show(compare(
        args.rounds,
        Contender::new("Box", || one_by_one(&Boxes::<R>, blocks)),
        vec![
            Contender::new("Box, in vectors", || in_batches(&Boxes::<R>, blocks)),
            Contender::new("pool, in vectors", || in_batches(&pool, blocks)).bar(2.0),
            Contender::new("pool, batches", || in_pool_batches(&pool, blocks)).bar(2.0),
        ],
    ));
    met
}

fn show(outcomes: Vec<Outcome>) -> bool {
    for outcome in &outcomes {
        println!("  {outcome}");
    }
    outcomes.iter().all(Outcome::is_met)
}
