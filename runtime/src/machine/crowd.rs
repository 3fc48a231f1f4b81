//! The workers of all runs of the process: how many there are, and how many of them are awake.
//!
//! A worker that looks for work takes a cpu. That pays while nobody else wants it. Where the runs of a process have more workers
//! together than there are cpus, it keeps one waiting that has work: a service with a run of its own, say, that the same worker
//! has just woken.
//!
//! The counters are hints of the standard library, and no model of the runtime sees them: there a run is alone.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Workers of all runs that go on.
static WORKERS: AtomicUsize = AtomicUsize::new(0);
/// Threads that are at work for them now, and do not sleep.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// What is left for one that looks for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There are more cpus than threads.
    Plenty,
    /// A cpu for each thread that is awake.
    Enough,
    /// Others wait for a cpu, or may.
    None,
}

/// The workers of a run that goes on.
#[derive(Debug)]
pub(crate) struct Crowd(usize);

impl Crowd {
    pub(crate) fn join(workers: usize) -> Self {
        // Relaxed, as everywhere here: nothing is read by what these say.
        WORKERS.fetch_add(workers, Ordering::Relaxed);
        Self(workers)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        WORKERS.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// A thread that is at work for a run.
#[derive(Debug)]
pub(crate) struct Present(());

impl Present {
    pub(crate) fn join() -> Self {
        AWAKE.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        AWAKE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sleep of such a thread, in which it is not awake.
#[derive(Debug)]
pub(crate) struct Asleep(());

impl Asleep {
    pub(crate) fn begin() -> Self {
        AWAKE.fetch_sub(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        AWAKE.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is left for a worker of a run that has so many, and so many pinned threads besides, of so many cpus.
pub(crate) fn room_for(workers: usize, pinned: usize, cpus: usize) -> Room {
    let others = match cfg!(any(loom, shuttle)) {
        true => 0,
        false => WORKERS.load(Ordering::Relaxed).saturating_sub(workers),
    };
    room(
        workers + pinned,
        others,
        AWAKE.load(Ordering::Relaxed),
        cpus,
    )
}

/// With so many threads of its own, so many workers of others, and so many of all awake.
fn room(own: usize, others: usize, awake: usize, cpus: usize) -> Room {
    match own + others {
        all if all < cpus => Room::Plenty,
        // Who asks is awake itself.
        all if others > 0 && all > cpus && awake >= cpus => Room::None,
        _ => Room::Enough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_leaves_a_cpu_to_those_who_work() {
        let check = |own, others, awake, cpus, expect| {
            assert_eq!(
                room(own, others, awake, cpus),
                expect,
                "{own} {others} {awake} {cpus}"
            );
        };
        check(1, 0, 1, 2, Room::Plenty);
        check(2, 0, 2, 2, Room::Enough);
        // A run that asks for more workers than there are cpus knows what it does.
        check(4, 0, 4, 2, Room::Enough);
        check(1, 1, 2, 4, Room::Plenty);
        check(2, 2, 4, 4, Room::Enough);
        check(2, 100, 1, 2, Room::Enough);
        check(2, 100, 2, 2, Room::None);
        check(2, 100, 9, 2, Room::None);
    }
}
