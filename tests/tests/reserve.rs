//! Workers that are held in reserve: their threads start when there is something for them, and a run that cannot start them
//! goes on without.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use pipewright::{Aborted, Merge, StartError, join, pipeline};

/// Longer than any of these tests takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// The threads that have worked.
#[derive(Debug, Default)]
pub struct Threads(Mutex<HashSet<ThreadId>>);

impl Threads {
    fn note(&self) {
        self.0.lock().unwrap().insert(thread::current().id());
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn until(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() && begun.elapsed() < PATIENCE {
        std::hint::spin_loop();
    }
}

/// Its items take a microsecond each, so that sharing them pays; the later ones wait for a second thread.
#[pipeline(env = (u64, Arc<Threads>))]
mod shared {
    use super::*;

    #[source]
    pub fn numbers(env: &(u64, Arc<Threads>)) -> impl Iterator<Item = u64> + use<> {
        0..env.0
    }

    #[stage(from = numbers)]
    pub fn turn(n: u64, env: &(u64, Arc<Threads>)) -> u64 {
        env.1.note();
        let begun = Instant::now();
        until(|| begun.elapsed() >= Duration::from_micros(1));
        if n >= 5_000 {
            until(|| env.1.len() > 1);
        }
        n
    }

    #[sink(from = turn)]
    pub fn add(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn a_run_that_is_over_at_once_starts_no_other_thread() {
    // Without an item: one could take so long on a busy machine that others are called for the next.
    let report = shared::pipeline().workers(8).run((0, Arc::default()));
    let report = report.unwrap();
    let workers = report.metrics().workers();
    assert_eq!(workers.len(), 8);
    for other in &workers[1..] {
        assert_eq!((other.busy, other.parks), (Duration::ZERO, 0), "{other:?}");
        assert!(other.idle >= workers[0].busy, "{workers:?}");
    }
}

#[test]
fn the_others_start_when_sharing_pays() {
    let threads = Arc::new(Threads::default());
    let report = shared::pipeline()
        .workers(2)
        .run((5_100, Arc::clone(&threads)));
    let mut report = report.unwrap();
    assert_eq!(threads.len(), 2, "{report}");
    assert_eq!(report.take_state::<shared::add>(), Some(5_100 * 5_099 / 2));
    assert!(report.ledger().is_balanced() && report.warnings().is_empty());
}

/// One item, which forks until another thread has run a part of it.
#[pipeline(env = Arc<Threads>)]
mod forked {
    use super::*;

    #[source]
    pub fn once() -> impl Iterator<Item = u64> {
        0..1
    }

    #[sink(from = once)]
    pub fn divide(_: u64, env: &Arc<Threads>) {
        env.note();
        until(|| {
            join(|| (), || env.note());
            env.len() > 1
        });
    }
}

#[test]
fn the_others_start_when_a_stage_forks() {
    let threads = Arc::new(Threads::default());
    let report = forked::pipeline().workers(2).run(Arc::clone(&threads));
    assert_eq!(threads.len(), 2, "{}", report.unwrap());
}

/// How many states are made, and what then happens.
#[derive(Debug)]
pub struct Most {
    left: AtomicU32,
    then: fn() -> Result<(), String>,
    asked: AtomicU32,
}

impl Most {
    fn of(states: u32, then: fn() -> Result<(), String>) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU32::new(states),
            then,
            asked: AtomicU32::new(0),
        })
    }
}

/// A state for each worker, and items that are worth sharing; the later ones wait for a second state.
#[pipeline(env = Arc<Most>)]
mod stateful {
    use super::*;

    #[derive(Debug, Default)]
    pub struct Sum(pub u64);

    impl Merge for Sum {
        fn merge(&mut self, other: Self) {
            self.0 += other.0;
        }
    }

    fn begin(env: &Arc<Most>) -> Result<Sum, String> {
        env.asked.fetch_add(1, Ordering::Relaxed);
        let one_less = |left: u32| left.checked_sub(1);
        let left = &env.left;
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Ok(Sum::default()),
            Err(_) => (env.then)().map(|()| Sum::default()),
        }
    }

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..20_000
    }

    #[sink(from = numbers, per_worker, state = begin)]
    pub fn add(n: u64, sum: &mut Sum, env: &Arc<Most>) {
        let begun = Instant::now();
        until(|| begun.elapsed() >= Duration::from_micros(2));
        if n >= 10_000 {
            until(|| env.asked.load(Ordering::Relaxed) > 1);
        }
        sum.0 += n;
    }
}

#[test]
fn a_state_that_cannot_be_made_late_ends_the_run_and_nothing_is_lost() {
    #[track_caller]
    fn check(then: fn() -> Result<(), String>, message: &str) {
        let failed = match stateful::pipeline().workers(2).run(Most::of(1, then)) {
            Err(Aborted::Run(failed)) => failed,
            other => panic!("{other:?}"),
        };
        let error = failed.error.to_string();
        assert!(error.contains(message), "{error}");
        assert!(failed.report.ledger().is_balanced(), "{}", failed.report);
        // Who waits until all states are made is told by the start.
        let refused = stateful::pipeline().workers(2).start(Most::of(1, then));
        let refused = refused.map(drop).unwrap_err().to_string();
        assert!(refused.contains(message), "{refused}");
    }
    check(|| Err("no more of them".into()), "no more of them");
    check(|| panic!("not a second one"), "not a second one");
    let mut report = stateful::pipeline()
        .workers(2)
        .run(Most::of(2, || panic!("one too many")))
        .unwrap();
    let sum = report.take_state::<stateful::add>().unwrap();
    assert_eq!(sum.0, 20_000 * 19_999 / 2);
}

/// As [`shared`], where the machine has to give what is asked for.
#[pipeline(hw(enforce = deny))]
mod strict {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[sink(from = numbers)]
    pub fn done(n: u64) {
        assert!(n < 10);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_cannot_start_them_goes_on_alone_and_says_so() {
    // Stacks that no thread can have are the whole process's, so a process of its own has them: this test again.
    const STACK: &str = "RUST_MIN_STACK";
    const NAME: &str = "a_run_that_cannot_start_them_goes_on_alone_and_says_so";
    if std::env::var_os(STACK).is_some() {
        return without_threads();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(STACK, (1u64 << 60).to_string())
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}");
    assert!(out.contains("ran without threads"), "{out}");
}

fn without_threads() {
    let mut report = shared::pipeline()
        .workers(3)
        .run((5_000, Arc::default()))
        .unwrap();
    assert_eq!(report.take_state::<shared::add>(), Some(5_000 * 4_999 / 2));
    assert!(report.ledger().is_balanced(), "{report}");
    let [warning] = report.warnings() else {
        panic!("{report}");
    };
    let begins = "2 of 3 workers have no thread, so the others do their work: ";
    assert!(warning.starts_with(begins), "{warning}");
    let refused = strict::pipeline().workers(2).run(()).unwrap_err();
    assert!(
        matches!(refused, Aborted::Start(StartError::Thread(_))),
        "{refused:?}"
    );
    let refused = shared::pipeline().workers(2).start((1, Arc::default()));
    assert!(matches!(refused, Err(StartError::Thread(_))));
    println!("ran without threads");
}
