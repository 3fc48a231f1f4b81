//! What follows when a worker panics outside of all functions of users, which is a bug of pipewright.
//!
//! Panics of users' functions never come here: the loop around them decides what is lost. A worker that panics elsewhere unwinds
//! to the base of its thread. What it has there is whole: its queue, from which others go on stealing meanwhile, its states, and
//! its place among the sleepers. So there are two cases.
//!
//! * **It held nothing**: it looked for work, or found none. It begins anew on the same thread with what it has; nothing is lost and
//!   nobody waits for it. The run says so once ([`crate::Running::warnings`]), and each time counts
//!   ([`crate::WorkerMetrics::revived`]).
//! * **It held something**: a batch, a ticket, the right to pass a gate, a source, or the clock of a source that rests. What became
//!   of it is not known, and others may wait for it, so the run ends with the panic as its error. What is left is dropped and counted.
//!
//! A worker that does this more than [`MOST`] times and for longer than [`LONGEST_NS`] while no worker of the run has done anything
//! will do nothing else, so then the run ends as well. Times alone would not tell: whoever waits for a worker that the
//! system has put aside, or for a function that takes long, looks for work very often meanwhile.

use std::any::Any;

use crate::{drive::panic_message, error::RunError, worker::Worker};

/// Times that a worker begins anew while no worker does a piece of work.
const MOST: u32 = 100;
/// How long it does so: 1 s.
const LONGEST_NS: u64 = 1_000_000_000;

/// How often a worker has begun anew.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    /// Pieces of work that all workers had done when it last did.
    done: u64,
    /// Times since one of them last did one.
    in_vain: u32,
    /// When it was the first of them.
    since: u64,
}

impl Lives {
    /// One more at the time `now`, when so many pieces of work are done; false if it gets nowhere.
    fn begin(&mut self, done: u64, now: u64) -> bool {
        if done > self.done || self.in_vain == 0 {
            *self = Self {
                done,
                in_vain: 0,
                since: now,
            };
        }
        self.in_vain = self.in_vain.saturating_add(1);
        self.in_vain <= MOST || now.saturating_sub(self.since) <= LONGEST_NS
    }
}

impl Worker<'_> {
    /// Does what must not be broken off: the worker holds something meanwhile.
    #[inline(always)]
    pub(crate) fn holding<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        self.holds = true;
        let result = work(self);
        self.holds = false;
        result
    }

    /// Decides what follows a panic: true if it goes on.
    #[cold]
    pub(crate) fn survives(&mut self, payload: Box<dyn Any + Send>) -> bool {
        let shared = self.shared;
        let message = panic_message(payload);
        let all = shared.stats.iter();
        let done = all
            .map(|stats| stats.executed.get() + stats.pulled.get() + stats.helped.get())
            .sum();
        if !self.holds && self.lives.begin(done, shared.now()) {
            self.stats().revived.add(1);
            shared.warnings.add(format!(
                "a worker panicked between two batches and went on, which is a bug of pipewright: {message}"
            ));
            // Others may have relied on its look.
            self.stop_looking();
            return true;
        }
        shared.fail(RunError::Panicked {
            stage: shared.info.name,
            message,
        });
        shared.finish();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_goes_on_while_something_is_done_in_between_and_ends_when_nothing_is() {
        let mut lives = Lives::default();
        assert!((1..10_000).all(|done| lives.begin(done, done * LONGEST_NS)));
        let first = 9_999 * LONGEST_NS;
        // The last of them was one already.
        assert!((1..MOST).all(|_| lives.begin(9_999, first + 2 * LONGEST_NS)));
        assert!(lives.begin(9_999, first + LONGEST_NS));
        assert!(!lives.begin(9_999, first + LONGEST_NS + 1));
    }
}
