//! A run that watches its memory: what it does at each level, and that nothing is lost at any. The memory is made up: a
//! folder with the files of a control group, in which the test writes how much is used.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pipewright::{
    Emit, Flow, Running, pipeline,
    pressure::{Level, MemoryWatch},
};
use pipewright_tests::{WORKERS, eventually};
use tempfile::TempDir;

/// A control group with a limit of 1000 bytes.
struct Group(TempDir);

impl Group {
    fn new() -> Self {
        let group = Self(tempfile::tempdir().unwrap());
        let folder = group.0.path().join("sys/fs/cgroup");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup.controllers"), "memory\n").unwrap();
        fs::write(folder.join("memory.max"), "1000\n").unwrap();
        group.use_bytes(100);
        group
    }

    /// Replaces the file as a whole, so that no reader finds it empty.
    fn use_bytes(&self, bytes: u64) {
        let new = self.0.path().join("new");
        fs::write(&new, format!("{bytes}\n")).unwrap();
        fs::rename(new, self.0.path().join("sys/fs/cgroup/memory.current")).unwrap();
    }

    fn watch(&self) -> MemoryWatch {
        let quick = Duration::from_millis(1);
        MemoryWatch::new()
            .root(self.0.path())
            .every(quick)
            .hold(quick)
    }
}

/// The level of a run, as it tells it.
fn level<P: pipewright::Blueprint>(run: &Running<P>) -> Level {
    run.metrics().memory().unwrap().level
}

/// Waits until a count does not grow for a while, and something holds for it meanwhile. One that grows with every look of a worker
/// never does so; a worker that the system has put aside may still look once, so it is asked again until both are true.
#[track_caller]
fn until_it_rests(count: &AtomicU64, holds: impl Fn(u64) -> bool) -> u64 {
    let rests = || {
        let before = count.load(Ordering::Relaxed);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(100) {
            thread::yield_now();
        }
        count.load(Ordering::Relaxed) == before && holds(before)
    };
    eventually(rests);
    count.load(Ordering::Relaxed)
}

#[derive(Debug, Default)]
pub struct Counts {
    given: AtomicU64,
    taken: AtomicU64,
}

#[pipeline(env = Arc<Counts>)]
mod endless {
    use super::*;

    #[source]
    pub fn numbers(n: &mut u64, out: &mut Emit<u64>, env: &Arc<Counts>) -> Flow {
        out.send(*n);
        *n += 1;
        env.given.fetch_add(1, Ordering::Relaxed);
        Flow::More
    }

    #[stage(from = numbers, batch = 64, linger = "60min")]
    pub fn together(numbers: &mut pipewright::Batch<u64>) {
        numbers.retain(|n| n % 2 == 0);
    }

    #[sink(from = together)]
    pub fn take(n: u64, last: &mut u64, env: &Arc<Counts>) {
        assert!(*last <= n, "out of order");
        *last = n;
        env.taken.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn sources_pause_while_memory_is_critical_and_go_on_afterwards() {
    for workers in WORKERS {
        let (group, counts) = (Group::new(), Arc::new(Counts::default()));
        let run = endless::pipeline()
            .workers(workers)
            .watch_memory(group.watch())
            .start(Arc::clone(&counts))
            .unwrap();
        for _ in 0..3 {
            let before = counts.given.load(Ordering::Relaxed);
            eventually(|| counts.given.load(Ordering::Relaxed) > before);
            assert_eq!(level(&run), Level::None);
            group.use_bytes(980);
            eventually(|| level(&run) == Level::Critical);
            // What was taken in is finished, although its batch is not full.
            until_it_rests(&counts.given, |given| {
                counts.taken.load(Ordering::Relaxed) == given.div_ceil(2)
            });
            group.use_bytes(100);
            eventually(|| level(&run) == Level::None);
        }
        group.use_bytes(980);
        eventually(|| level(&run) == Level::Critical);
        let given = until_it_rests(&counts.given, |given| {
            counts.taken.load(Ordering::Relaxed) == given.div_ceil(2)
        });
        // Draining works while sources are paused.
        let report = run.drain().unwrap();
        let memory = report.metrics().memory().unwrap();
        assert_eq!(
            (memory.level, memory.highest),
            (Level::Critical, Level::Critical)
        );
        assert!(memory.changes >= 7, "{memory}");
        assert!(
            report
                .to_string()
                .contains("memory pressure: critical, at most critical, "),
            "{report}"
        );
        let ledger = report.ledger();
        assert!(ledger.is_balanced() && ledger.received == given, "{ledger}");
        assert_eq!(ledger.delivered + ledger.filtered, given, "{ledger}");
    }
}

#[pipeline(env = Arc<Counts>)]
mod fed {
    use super::*;

    #[source(cores = "0", wait = park)]
    pub fn numbers(n: &mut u64, out: &mut Emit<u64>, env: &Arc<Counts>) -> Flow {
        out.send(*n);
        *n += 1;
        env.given.fetch_add(1, Ordering::Relaxed);
        Flow::More
    }

    #[sink(from = numbers)]
    pub fn take(_n: u64, env: &Arc<Counts>) {
        env.taken.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_pinned_source_pauses_too() {
    let (group, counts) = (Group::new(), Arc::new(Counts::default()));
    let run = fed::pipeline()
        .watch_memory(group.watch())
        .start(Arc::clone(&counts))
        .unwrap();
    for _ in 0..3 {
        let before = counts.given.load(Ordering::Relaxed);
        eventually(|| counts.given.load(Ordering::Relaxed) > before);
        group.use_bytes(980);
        eventually(|| level(&run) == Level::Critical);
        until_it_rests(&counts.given, |given| {
            counts.taken.load(Ordering::Relaxed) == given
        });
        group.use_bytes(100);
        eventually(|| level(&run) == Level::None);
    }
    group.use_bytes(980);
    eventually(|| level(&run) == Level::Critical);
    let ledger = run.drain().unwrap().ledger();
    assert!(ledger.is_balanced(), "{ledger}");
    assert_eq!(ledger.received, counts.given.load(Ordering::Relaxed));
}

#[test]
fn a_scarce_memory_slows_a_run_down_and_loses_nothing() {
    for bytes in [800, 900] {
        let (group, counts) = (Group::new(), Arc::new(Counts::default()));
        let run = endless::pipeline()
            .workers(2)
            .watch_memory(group.watch())
            .start(Arc::clone(&counts))
            .unwrap();
        eventually(|| counts.taken.load(Ordering::Relaxed) > 1000);
        group.use_bytes(bytes);
        let expect = if bytes == 800 {
            Level::Some
        } else {
            Level::High
        };
        eventually(|| level(&run) == expect);
        let before = counts.taken.load(Ordering::Relaxed);
        eventually(|| counts.taken.load(Ordering::Relaxed) > before + 1000);
        let ledger = run.drain().unwrap().ledger();
        assert!(ledger.is_balanced(), "{ledger}");
        assert_eq!(ledger.received, counts.given.load(Ordering::Relaxed));
    }
}

#[pipeline(env = Arc<Counts>)]
mod pushed {
    use super::*;

    #[sink(from = input, queue = 64)]
    pub fn take(_n: u64, env: &Arc<Counts>) {
        env.taken.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_paused_input_keeps_its_items_and_holds_its_senders_back() {
    for workers in WORKERS {
        let (group, counts) = (Group::new(), Arc::new(Counts::default()));
        group.use_bytes(980);
        let run = pushed::pipeline()
            .workers(workers)
            .watch_memory(group.watch())
            .start(Arc::clone(&counts))
            .unwrap();
        eventually(|| level(&run) == Level::Critical);
        // A worker that looked before that may still pull once.
        until_it_rests(&counts.taken, |_| true);
        // Nothing is pulled, so the queue holds all it can and no more.
        let mut sent = 0;
        while run.try_send(sent).is_ok() {
            sent += 1;
        }
        assert_eq!((sent, counts.taken.load(Ordering::Relaxed)), (64, 0));
        group.use_bytes(100);
        eventually(|| counts.taken.load(Ordering::Relaxed) == 64);
        group.use_bytes(980);
        eventually(|| level(&run) == Level::Critical);
        run.send(64).unwrap();
        let ledger = run.drain().unwrap().ledger();
        assert!(ledger.is_balanced() && ledger.delivered == 65, "{ledger}");
    }
}

#[test]
fn a_run_that_stops_does_not_wait_for_memory() {
    let (group, counts) = (Group::new(), Arc::new(Counts::default()));
    group.use_bytes(980);
    let run = pushed::pipeline()
        .watch_memory(group.watch())
        .start(counts)
        .unwrap();
    eventually(|| level(&run) == Level::Critical);
    run.send(1).unwrap();
    let ledger = run.stop().unwrap().ledger();
    assert!(ledger.is_balanced() && ledger.dropped == 1, "{ledger}");
}

#[test]
fn where_there_is_nothing_to_watch_the_run_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let run = pushed::pipeline()
        .watch_memory(MemoryWatch::new().root(empty.path()))
        .start(Arc::default())
        .unwrap();
    let warning =
        "there is no memory limit and no pressure information (PSI), so memory is not watched";
    assert_eq!(run.warnings(), [warning]);
    let report = run.drain().unwrap();
    assert_eq!(report.metrics().memory(), None);
    assert_eq!(report.warnings(), [warning]);
}
