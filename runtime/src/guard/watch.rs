//! Who looks after calls that take long, where a breaker goes by that: a thread, which looks 50 times a second.
//!
//! So a call that never returns is seen although nobody else calls. And a process that was stopped, or whose machine was, is
//! found out: then nobody has looked for a while, and calls that were being made meanwhile are neither slow nor too late. So
//! none of its breakers opens when it goes on.

use std::{io, time::Duration};

use super::Guards;
use crate::{
    shared::Shared,
    sync::{
        AtomicBool, Ordering,
        thread::{self, Scope, ScopedJoinHandle},
    },
};

/// Between two looks: 20 ms.
pub(super) const EVERY: Duration = Duration::from_millis(20);

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watching<'s> {
    over: &'s AtomicBool,
    thread: ScopedJoinHandle<'s, ()>,
}

impl<'s> Watching<'s> {
    /// Starts it, if there is something to look after.
    pub(crate) fn start(
        scope: &'s Scope<'s, '_>,
        shared: &'s Shared,
        over: &'s AtomicBool,
    ) -> io::Result<Option<Self>> {
        let mut stages = shared.settings.stages.iter();
        let is_watched = stages.any(|stage| {
            let mut guard = stage.guard.clone();
            guard.as_mut().is_some_and(|guard| {
                guard.is_watched = true;
                guard.is_watched()
            })
        });
        if !is_watched {
            return Ok(None);
        }
        let thread = thread::Builder::new()
            .name(format!("{}-guards", shared.info.name))
            .spawn_scoped(scope, move || {
                // Acquire: pairs with the Release below; this sleeps only after it has looked.
                while !over.load(Ordering::Acquire) {
                    shared.guards.tick(shared.now());
                    thread::park_timeout(EVERY);
                }
            })?;
        Ok(Some(Self { over, thread }))
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}

impl Guards {
    fn tick(&self, now: u64) {
        for guard in self.0.iter().flatten() {
            guard.tick(now);
        }
    }
}
