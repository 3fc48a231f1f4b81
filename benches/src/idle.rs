//! What a pipeline costs that has nothing to do, as the system counts it, and how long it takes to start and to drain it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use pipewright::Running;

use crate::{
    heavy::{Env, Probe},
    links::pushed,
};

/// Workers of the pipeline.
pub const WORKERS: usize = 2;
/// Most of a core that it takes, in percent.
pub const CPU_PCT: f64 = 0.5;
/// Most wake-ups of all workers in a second.
pub const WAKES: f64 = 0.0;
/// Longest start, in milliseconds.
pub const START_MS: f64 = 2.0;
/// Longest drain of an empty pipeline, in milliseconds.
pub const DRAIN_MS: f64 = 1.0;

struct Nothing;

impl Probe for Nothing {
    fn at(&self, _: u64) {}
}

fn start() -> Running<pushed::Pipeline> {
    let env = Env {
        items: 0,
        probe: Box::new(Nothing),
    };
    let pipeline = pushed::pipeline().workers(WORKERS);
    pipeline.start(env).expect("the pipeline starts")
}

/// What idling costs.
#[derive(Clone, Copy, Debug)]
pub struct Idling {
    /// Threads of the pipeline.
    pub threads: usize,
    /// Their processor time, in percent of a core.
    pub cpu_pct: f64,
    /// Their wake-ups in a second.
    pub wakes: f64,
}

/// What a pipeline costs that waits for its input for so long; `None` where the system does not tell.
///
/// # Panics
///
/// If the pipeline cannot be started.
pub fn idle(time: Duration) -> Option<Idling> {
    let before = threads();
    let run = start();
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
        return None;
    }
    let spent = |all: &[Thread]| all.iter().map(|one| one.nanoseconds).sum::<u64>();
    let woken = |all: &[Thread]| all.iter().map(|one| one.switches).sum::<u64>();
    Some(Idling {
        threads: last.len(),
        cpu_pct: (spent(&last) - spent(&first)) as f64 / 1e9 / seconds * 100.0,
        wakes: (woken(&last) - woken(&first)) as f64 / seconds,
    })
}

/// Times of starts and of drains, in milliseconds.
///
/// # Panics
///
/// If the pipeline cannot be started.
pub fn starts_and_drains(rounds: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut starts, mut drains) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let begun = Instant::now();
        let run = start();
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        // Its workers sleep by then, which makes the drain longer, not shorter.
        thread::sleep(Duration::from_millis(2));
        let begun = Instant::now();
        let _ = run.drain().expect("nothing fails");
        drains.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    (starts, drains)
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
