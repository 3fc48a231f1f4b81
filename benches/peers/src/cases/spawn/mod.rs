//! `spawn`: a million empty tasks, scheduled, run and joined, with two workers.
//!
//! A task is given a number, as a real one is given something to work on, and adds it to a sum of its thread: so every run can
//! be checked, and nothing is shared. Its number also keeps a boxed task from being a box of nothing.

mod limits;
mod ours;
mod peers;

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use crossbeam_utils::CachePadded;

use crate::harness::{Contender, Sample, Scale};

/// Threads that add at the same time; far more than any contender has.
const THREADS: usize = 256;

static SUMS: [CachePadded<AtomicU64>; THREADS] =
    [const { CachePadded::new(AtomicU64::new(0)) }; THREADS];

/// Sums that no thread has.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A thread's sum, which the next thread goes on with when this one ends.
struct Slot(usize);

impl Slot {
    fn take() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let slot = free.unwrap_or_else(|| NEXT.fetch_add(1, Relaxed) as usize);
        assert!(slot < THREADS, "more threads than sums");
        Self(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        FREE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.0);
    }
}

thread_local!(static SLOT: Slot = Slot::take());

/// The task.
#[inline]
fn task(number: u64) {
    SLOT.with(|slot| {
        let sum = &SUMS[slot.0];
        // Only this thread writes it, so that it needs no locked addition.
        sum.store(sum.load(Relaxed) + number, Relaxed);
    });
}

/// The numbers of the tasks.
fn numbers(count: u64) -> Range<u64> {
    1..count + 1
}

/// What the tasks' numbers add up to.
fn sum_of(count: u64) -> u64 {
    count * (count + 1) / 2
}

/// The numbers of all tasks that have run since the program began, added up.
fn ran() -> u64 {
    SUMS.iter().map(|sum| sum.load(Relaxed)).sum()
}

/// How many tasks.
#[derive(Clone, Copy)]
struct Tasks {
    scale: Scale,
    count: u64,
}

impl Tasks {
    /// `run` schedules the tasks and returns when all have run.
    fn work(
        self,
        mut run: impl FnMut(u64) + 'static,
    ) -> impl FnMut() -> Result<Sample, String> + 'static {
        move || {
            self.scale.rate(self.count, &sum_of(self.count), || {
                let before = ran();
                run(self.count);
                ran() - before
            })
        }
    }

    /// The same for tasks that nobody can join: the one who schedules them waits until their sum is there.
    fn counted(
        self,
        mut run: impl FnMut(u64) + 'static,
    ) -> impl FnMut() -> Result<Sample, String> + 'static {
        self.work(move |count| {
            let end = ran() + sum_of(count);
            run(count);
            while ran() < end {
                thread::yield_now();
            }
        })
    }
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let tasks = Tasks {
        scale,
        count: scale.of(1_000_000, 5_000),
    };
    let mut all = ours::contenders(tasks);
    all.extend(limits::contenders(tasks));
    all.extend(peers::contenders(tasks));
    all
}
