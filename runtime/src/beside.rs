//! Threads beside the workers of a run. Each has one chore, which it does at intervals from when the run starts until its workers
//! have ended: one looks at memory, one commits, one looks after guards.

use std::{io, time::Duration};

use crate::{
    acks,
    answers::spawn_scoped,
    guard, pressure,
    quarantine::Starts,
    shared::Shared,
    sync::{
        AtomicBool, Ordering,
        thread::{self, Scope, ScopedJoinHandle},
    },
};

/// What one of these threads does.
pub(crate) struct Chore<'s> {
    /// What the name of its thread ends with.
    pub(crate) name: &'static str,
    /// The time between the end of one look and the next.
    pub(crate) every: Duration,
    /// Looks once; false if there is nothing to look at any more.
    pub(crate) look: Box<dyn FnMut() -> bool + Send + 's>,
}

/// The threads of a run that has chores; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Beside<'s> {
    over: &'s AtomicBool,
    threads: Vec<ScopedJoinHandle<'s, ()>>,
}

impl<'s> Beside<'s> {
    /// Starts a thread for each chore of the run; `over`, which is false, tells them when to end. `starts` starts workers
    /// that stand in for others.
    ///
    /// # Errors
    ///
    /// If the system does not let one of them start. Those that have started end then.
    pub(crate) fn start(
        scope: &'s Scope<'s, '_>,
        shared: &'s Shared,
        starts: Starts<'s>,
        over: &'s AtomicBool,
    ) -> io::Result<Self> {
        let chores = [
            pressure::chore(shared),
            acks::chore(shared),
            guard::chore(shared, starts),
        ];
        let mut beside = Self {
            over,
            threads: Vec::new(),
        };
        for chore in chores.into_iter().flatten() {
            let name = format!("{}-{}", shared.info.name, chore.name);
            let thread = spawn_scoped(scope, name, Box::new(move || at_intervals(chore, over)))?;
            beside.threads.push(thread);
        }
        Ok(beside)
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire below. A thread that has not seen it yet finds its token when it goes to sleep.
        self.over.store(true, Ordering::Release);
        for thread in &self.threads {
            thread.thread().unpark();
        }
    }
}

fn at_intervals(mut chore: Chore<'_>, over: &AtomicBool) {
    while !over.load(Ordering::Acquire) && (chore.look)() {
        thread::park_timeout(chore.every);
    }
}
