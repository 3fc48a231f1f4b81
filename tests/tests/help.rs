//! `run` takes the calling thread as the first worker.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use pipewright::{Aborted, RunError, StartError, pipeline};

/// Longer than any of these tests takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A thread with its name.
type Named = (ThreadId, Option<String>);

/// Threads that ran a stage, with their names.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    seen: Arc<Mutex<HashSet<Named>>>,
    /// As many are waited for.
    wanted: usize,
}

impl Threads {
    fn wanted(wanted: usize) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Notes this thread; an item that is not one of the first takes its time until there are enough.
    fn note(&self, n: u64) {
        let this = thread::current();
        let known = {
            let mut seen = self.seen.lock().unwrap();
            seen.insert((this.id(), this.name().map(str::to_owned)));
            seen.len()
        };
        let begun = Instant::now();
        let most = match n {
            ..5_000 => Duration::from_micros(20),
            _ => PATIENCE,
        };
        while known < self.wanted && self.seen.lock().unwrap().len() < self.wanted {
            if begun.elapsed() > most {
                break;
            }
            std::hint::spin_loop();
        }
    }

    /// The others than this one, by name.
    fn others(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let this = thread::current().id();
        seen.iter()
            .filter(|(id, _)| *id != this)
            .map(|(_, name)| name.clone().unwrap())
            .collect()
    }

    fn has_this(&self) -> bool {
        let this = thread::current().id();
        self.seen.lock().unwrap().iter().any(|(id, _)| *id == this)
    }
}

#[pipeline(env = Threads)]
mod counted {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10_000
    }

    #[stage(from = numbers)]
    pub fn noted(n: u64, threads: &Threads) -> u64 {
        threads.note(n);
        n
    }

    #[sink(from = noted)]
    pub fn sum(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn a_run_with_one_worker_happens_on_the_calling_thread() {
    let threads = Threads::default();
    let mut report = counted::pipeline().workers(1).run(threads.clone()).unwrap();
    assert_eq!(report.take_state::<counted::sum>(), Some(49_995_000));
    assert!(threads.has_this());
    assert_eq!(threads.others(), [""; 0]);
}

#[test]
fn a_run_with_two_workers_starts_one_thread() {
    let threads = Threads::wanted(2);
    let report = counted::pipeline()
        .workers(2)
        .pin(false)
        .run(threads.clone())
        .unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert!(threads.has_this(), "{report}");
    assert_eq!(threads.others(), ["counted-1"], "{report}");
}

#[test]
fn the_calling_thread_is_not_bound_to_a_cpu() {
    let allowed = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list"))
            .map(str::to_owned)
    };
    let before = allowed();
    let threads = Threads::default();
    let report = counted::pipeline()
        .workers(1)
        .pin(true)
        .run(threads.clone())
        .unwrap();
    assert_eq!(threads.others(), ["counted-0"], "{report}");
    assert!(!threads.has_this());
    assert_eq!(allowed(), before);
}

#[pipeline(env = bool)]
mod faulty {
    fn made(fails: &bool) -> Result<u64, &'static str> {
        if *fails { Err("no luck") } else { Ok(0) }
    }

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..100
    }

    #[sink(from = numbers, state = made)]
    pub fn sum(n: u64, sum: &mut u64) {
        assert!(n < 50, "too much");
        *sum += n;
    }
}

#[test]
fn a_run_that_does_not_start_says_why() {
    let Err(Aborted::Start(StartError::State(error))) = faulty::pipeline().run(true) else {
        panic!("the state cannot be made");
    };
    assert_eq!(
        error.to_string(),
        "the state of `sum` could not be made: no luck"
    );
}

#[test]
fn a_run_that_fails_gives_its_report() {
    let Err(Aborted::Run(failed)) = faulty::pipeline().run(false) else {
        panic!("the sink panics");
    };
    assert!(
        matches!(failed.error, RunError::Panicked { stage: "sum", .. }),
        "{failed}"
    );
    assert_eq!(failed.report.ledger().delivered, 50);
    assert!(failed.report.ledger().is_balanced());
}

#[pipeline]
mod nested {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = usize> {
        1..=4
    }

    /// A pipeline in a stage of another one.
    #[stage(from = numbers)]
    pub fn inner(workers: usize) -> u64 {
        let mut report = counted::pipeline()
            .workers(workers)
            .run(Threads::default())
            .unwrap();
        report.take_state::<counted::sum>().unwrap()
    }

    #[sink(from = inner)]
    pub fn all(sum: u64, sums: &mut Vec<u64>) {
        sums.push(sum);
    }
}

#[test]
fn a_stage_can_run_another_pipeline() {
    let mut report = nested::pipeline().workers(2).run(()).unwrap();
    assert_eq!(
        report.take_state::<nested::all>(),
        Some(vec![49_995_000; 4])
    );
}

#[pipeline]
mod pinned {
    #[source(cores = "0")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..1000
    }

    #[sink(from = numbers, cores = "0")]
    pub fn sum(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn where_all_stages_are_pinned_the_calling_thread_waits() {
    let mut report = pinned::pipeline().run(()).unwrap();
    assert_eq!(report.take_state::<pinned::sum>(), Some(499_500));
}
