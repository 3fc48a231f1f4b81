//! Threads on the cpus where they are wanted.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

/// Why a measurement could not be had.
pub(crate) type Why = String;

/// Runs on a cpu, on a thread of its own, so that the caller keeps its place.
pub(crate) fn on<T: Send>(cpu: u32, run: impl FnOnce() -> T + Send) -> Result<T, Why> {
    thread::scope(|scope| join(scope.spawn(|| seated(cpu, |seated| seated, run))))
}

/// Runs at once on each cpu; the closure is told the how manyeth it is. They begin together.
pub(crate) fn all<T: Send>(cpus: &[u32], run: impl Fn(usize) -> T + Sync) -> Result<Vec<T>, Why> {
    let gate = Gate::new(cpus.len());
    thread::scope(|scope| {
        let begin = |(index, cpu): (usize, &u32)| {
            let (cpu, gate, run) = (*cpu, &gate, &run);
            scope.spawn(move || seated(cpu, |seated| gate.pass(seated), || run(index)))
        };
        let threads: Vec<_> = cpus.iter().enumerate().map(begin).collect();
        threads.into_iter().map(join).collect()
    })
}

/// Runs two things at once, each on its cpu, which may be the same. They begin together.
pub(crate) fn pair<A: Send, B: Send>(
    (a, b): (u32, u32),
    run_a: impl FnOnce() -> A + Send,
    run_b: impl FnOnce() -> B + Send,
) -> Result<(A, B), Why> {
    let gate = Gate::new(2);
    thread::scope(|scope| {
        let one = scope.spawn(|| seated(a, |seated| gate.pass(seated), run_a));
        let other = scope.spawn(|| seated(b, |seated| gate.pass(seated), run_b));
        let (one, other) = (join(one), join(other));
        Ok((one?, other?))
    })
}

/// Waits for what another thread does, awake. Nothing, if it did not come in ten seconds: then the other one is gone.
#[inline]
pub(crate) fn spin<T>(mut found: impl FnMut() -> Option<T>) -> Option<T> {
    /// Looks between two at the clock: some milliseconds.
    const LOOKS: u32 = 1 << 20;
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut since = None;
    loop {
        for _ in 0..LOOKS {
            if let Some(found) = found() {
                return Some(found);
            }
            std::hint::spin_loop();
        }
        if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return None;
        }
    }
}

/// Threads that begin together, or not at all.
struct Gate {
    barrier: Barrier,
    failed: AtomicBool,
}

impl Gate {
    fn new(threads: usize) -> Self {
        Gate {
            barrier: Barrier::new(threads),
            failed: AtomicBool::new(false),
        }
    }

    fn pass(&self, seated: bool) -> bool {
        if !seated {
            self.failed.store(true, Ordering::Relaxed);
        }
        // What the others stored before the barrier is visible behind it.
        self.barrier.wait();
        !self.failed.load(Ordering::Relaxed)
    }
}

fn seated<T>(cpu: u32, gate: impl FnOnce(bool) -> bool, run: impl FnOnce() -> T) -> Result<T, Why> {
    let seated = sit(cpu);
    let passed = gate(seated.is_ok());
    seated?;
    if !passed {
        return Err("another thread could not be pinned".to_owned());
    }
    let result = run();
    stayed(cpu).map(|()| result)
}

fn join<T>(thread: ScopedJoinHandle<'_, Result<T, Why>>) -> Result<T, Why> {
    thread
        .join()
        .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

fn sit(cpu: u32) -> Result<(), Why> {
    let index = cpu as usize;
    if index >= CpuSet::MAX_CPU {
        return Err(format!(
            "cpu {cpu} is beyond those that threads can be pinned to"
        ));
    }
    let mut set = CpuSet::new();
    set.set(index);
    sched_setaffinity(None, &set)
        .map_err(|error| format!("a thread cannot be pinned to cpu {cpu}: {error}"))?;
    stayed(cpu)
}

fn stayed(cpu: u32) -> Result<(), Why> {
    let now = sched_getcpu();
    if now == cpu as usize {
        Ok(())
    } else {
        Err(format!(
            "a thread that was pinned to cpu {cpu} ran on cpu {now}"
        ))
    }
}
