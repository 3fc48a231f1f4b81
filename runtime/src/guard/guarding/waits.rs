//! A batch that may not go on: it is put aside, or waits with the thread that has it in its hands.

use std::time::Duration;

use super::{Guarding, Paused, Tries};
use crate::{aside::Parked, carrier::Carrier};

/// A batch cannot go on before a time.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// That time, in nanoseconds of the run.
    due: u64,
    /// Does a drain end it?
    collapses: bool,
    /// Was the run being drained already when this was decided?
    closing: bool,
    /// Does it wait to try again?
    retries: bool,
    /// The news that are older than the decision.
    news: u64,
}

impl Pause {
    /// A drain ends it.
    pub(super) fn collapses(self) -> Self {
        Self {
            collapses: true,
            ..self
        }
    }
}

impl<T: 'static> Guarding<'_, T> {
    /// Until `due`, or until the guard says something else. `closing`: the run was being drained before the guard was asked.
    pub(super) fn pause(&self, due: u64, closing: bool) -> Pause {
        Pause {
            due,
            collapses: false,
            closing,
            retries: false,
            news: self.news.get(),
        }
    }

    /// Before what failed is tried again, for the time number `again`.
    pub(super) fn pause_of_retry(&self, again: u32) -> Pause {
        let shared = self.w.shared;
        // Both asked before the numbers are, so that what changes meanwhile ends the pause.
        let (closing, news) = (shared.is_closing(), self.guard.news_for(true));
        let wait = match closing {
            true => 0,
            false => self.guard.pause(again),
        };
        Pause {
            due: shared.now().saturating_add(wait),
            collapses: true,
            closing,
            retries: true,
            news,
        }
    }

    /// The batch as it waits. `outs` are the carriers of its outputs.
    pub fn park<O: Send + 'static>(&self, pause: Pause, mut load: Carrier<T>, outs: O) -> Parked {
        let due = self.due(pause, &load);
        let mut kit = self.kit.take().unwrap_or_default();
        let items = (load.len() + kit.again.len()) as u64;
        self.guard.waits(items);
        kit.keep_outs(outs);
        kit.paused = Some(Paused {
            first: self.first.get(),
            tries: self.tries.get(),
            retries: pause.retries,
            since: self.since.get(),
            items,
        });
        *load.kit() = Some(kit);
        Parked {
            due,
            stage: self.stage,
            collapses: pause.collapses,
            closing: pause.closing,
            retries: pause.retries,
            news: pause.news,
            items,
            task: load.into_task(),
            flight: None,
        }
    }

    /// Waits with the batch in its hands, on a thread that has nothing else to do. It may go on afterwards, or ask again.
    pub fn wait(&self, pause: Pause, load: &Carrier<T>) {
        let shared = self.w.shared;
        let due = self.due(pause, load);
        let beside = self.kit.borrow().as_ref().map_or(0, |kit| kit.again.len());
        let items = (load.len() + beside) as u64;
        self.guard.waits(items);
        let drained = || pause.collapses && !pause.closing && shared.is_closing();
        let told = || self.guard.news_for(pause.retries) != pause.news;
        shared.pins.hold(self.w.id, || {
            let over = shared.is_stopping() || drained() || told();
            let left = due.saturating_sub(shared.now());
            (!over && left > 0).then(|| Duration::from_nanos(left))
        });
        self.guard.resumed(items);
        self.waited.set(true);
        self.waits_no_more(pause.retries);
    }

    /// It goes on after a pause. A drain makes the next try the last one.
    pub(super) fn waits_no_more(&self, retries: bool) {
        let tries = self.tries.get();
        let last = tries.last || (retries && self.w.shared.is_closing());
        self.tries.set(Tries { last, ..tries });
    }

    /// Nothing waits for longer than it is of use.
    fn due(&self, pause: Pause, load: &Carrier<T>) -> u64 {
        let until = self.w.shared.credits.until(load.ticket());
        pause.due.min(until)
    }
}
