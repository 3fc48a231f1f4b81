//! The child of the tests with limits of the process: starts runs and builds pools while the system refuses threads or memory.
//!
//! `limited_child threads` starts runs with room for more and more threads; `limited_child memory` builds pools with room for more and more
//! bytes. Each prints what happened, and fails if something stays behind.

#![forbid(unsafe_code)]

use std::{
    error::Error,
    fs,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use pipewright::{
    Blueprint, Builder, RunError, StartError,
    memory::{BuildError, Class, Pool, Tier},
    pipeline,
    pressure::MemoryWatch,
};
use pipewright_tests::oracle::Open;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the caller sets `RUST_MIN_STACK` to, so that threads and nothing else use the room.
const STACK: u64 = 256 << 20;
/// Room for all that is no thread.
const BESIDES: u64 = 96 << 20;
const MIB: u64 = 1 << 20;

/// Three workers from the beginning, a pinned thread, and one that watches memory.
#[pipeline(pool(workers = 3))]
pub mod threaded {
    /// Some numbers.
    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..10_000
    }

    /// On a thread of its own.
    #[stage(from = numbers, cores = "0", wait = park)]
    pub fn pinned(n: u64) -> u64 {
        n
    }

    /// Adds up.
    #[sink(from = pinned)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

/// Three workers, of which two start when there is something for them.
#[pipeline(pool(workers = 3))]
pub mod reserved {
    use super::{AtomicU64, Relaxed};

    static CALLS: AtomicU64 = AtomicU64::new(0);

    /// Some numbers.
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..2_000
    }

    /// Takes long enough to be worth sharing.
    #[stage(from = numbers)]
    pub fn slow(n: u64) -> u64 {
        for _ in 0..2_000 {
            CALLS.fetch_add(1, Relaxed);
        }
        n
    }

    /// Adds up.
    #[sink(from = slow)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("threads") => threads()?,
        Some("memory") => memory()?,
        _ => return Err("usage: limited_child threads|memory".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Room for so many bytes more than the process has mapped.
fn limit(more: Option<u64>) -> Outcome<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let size: u64 = size
        .ok_or("no size")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    let maximum = getrlimit(Resource::As).maximum;
    let current = more.map(|more| size * 1024 + more);
    Ok(setrlimit(Resource::As, Rlimit { current, maximum })?)
}

/// Waits until everything that was opened is gone.
fn nothing_stays(before: Open) -> Outcome<()> {
    let begun = Instant::now();
    while Open::now() != before {
        if begun.elapsed() > Duration::from_secs(20) {
            return Err(format!("{:?} stay, of {before:?}", Open::now()).into());
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn threads() -> Outcome<()> {
    let before = Open::now();
    let root = tempfile_root()?;
    let watch = MemoryWatch::new().root(&root);
    let (mut refused, mut ran, mut short) = (0, 0, 0);
    for room in 0..10 {
        limit(Some(room * STACK + BESIDES))?;
        let builder = threaded::pipeline()
            .in_parallel()
            .watch_memory(watch.clone());
        match attempt(builder)? {
            None => refused += 1,
            Some(warned) => {
                ran += 1;
                assert!(!warned, "a thread is missing");
            }
        }
        nothing_stays(before)?;
        // Those in reserve are not needed.
        let builder = reserved::pipeline().watch_memory(watch.clone());
        match attempt(builder)? {
            None => refused += 1,
            Some(warned) => {
                ran += 1;
                short += u64::from(warned);
            }
        }
        nothing_stays(before)?;
    }
    limit(None)?;
    fs::remove_dir_all(root)?;
    println!("refused {refused} ran {ran} short {short}");
    Ok(())
}

/// A folder in which the kernel says that memory is not scarce.
fn tempfile_root() -> Outcome<std::path::PathBuf> {
    let root = std::env::temp_dir().join(format!("limited_child-{}", std::process::id()));
    fs::create_dir_all(root.join("proc/pressure"))?;
    let calm = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    fs::write(root.join("proc/pressure/memory"), calm)?;
    Ok(root)
}

/// Runs, if it can be started: whether it warns that threads are missing. Without threads it says so and nothing else.
fn attempt<P: Blueprint<Env = ()>>(builder: Builder<P>) -> Outcome<Option<bool>> {
    let run = match builder.start(()) {
        Ok(run) => run,
        Err(StartError::Thread(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
            return Ok(None);
        }
        Err(other) => return Err(other.into()),
    };
    let report = run.wait().map_err(|failed| match failed.error {
        RunError::Ledger(wrong) => format!("it does not balance: {wrong:?}"),
        other => other.to_string(),
    })?;
    let ledger = report.ledger();
    if ledger.delivered != ledger.received || ledger.dropped > 0 || !ledger.is_balanced() {
        return Err(format!("{report}").into());
    }
    Ok(Some(
        report
            .warnings()
            .iter()
            .any(|warning| warning.contains("no thread")),
    ))
}

fn memory() -> Outcome<()> {
    // Nothing of a pool is locked, so nothing can be refused for that.
    let none = Rlimit {
        current: Some(0),
        maximum: getrlimit(Resource::Memlock).maximum,
    };
    setrlimit(Resource::Memlock, none)?;
    let before = Open::now();
    let (mut refused, mut built, mut tiers) = (0, 0, Vec::new());
    for room in 0..24 {
        limit(Some(room * 4 * MIB))?;
        for best in [Tier::Base, Tier::Transparent, Tier::Hugetlb] {
            // 32 MiB.
            let pool = Pool::builder()
                .blocks(Class::Mib2, 16)
                .best_tier(best)
                .build();
            match pool {
                Ok(pool) => {
                    built += 1;
                    let stats = pool.stats();
                    let class = stats.class(Class::Mib2).ok_or("the pool has no blocks")?;
                    if class.tier > best {
                        return Err(format!("{:?} instead of {best:?}", class.tier).into());
                    }
                    tiers.push(class.tier);
                    // It can be used as a whole.
                    let blocks: Result<Vec<_>, _> =
                        (0..16).map(|_| pool.take(Class::Mib2)).collect();
                    for mut block in blocks? {
                        block.fill(7);
                    }
                }
                Err(BuildError::Map { count: 16, .. }) => refused += 1,
                Err(other) => return Err(other.into()),
            }
        }
        nothing_stays(before)?;
    }
    // What was refused has left nothing mapped: there is room for a large one.
    limit(Some(48 * MIB))?;
    drop(Pool::builder().blocks(Class::Mib2, 16).build()?);
    tiers.sort_unstable();
    tiers.dedup();
    println!("refused {refused} built {built} tiers {tiers:?}");
    Ok(())
}
