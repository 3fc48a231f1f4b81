//! What waits for a time: how it is put aside, how it comes back, and how it ends.

use super::Shared;
use crate::{
    aside::{Parked, What},
    lane::Lane,
};

impl Shared {
    /// Puts a batch aside until it is due.
    pub(crate) fn put_aside(&self, parked: Parked) {
        if let Some(flight) = parked.flight {
            return self.park(flight, parked);
        }
        let (stage, retries, news) = (parked.stage, parked.retries, parked.news);
        let may_collapse = parked.collapses && !parked.closing;
        if self.aside.put(parked) {
            // Whoever sleeps may sleep too long.
            self.idle.wake_one();
        }
        // A drain that has begun meanwhile may have looked before this was here.
        if may_collapse
            && self.is_closing()
            && self
                .aside
                .release(|parked| parked.collapses && !parked.closing)
        {
            self.idle.wake_one();
        }
        if self
            .guards
            .of(stage.into())
            .is_some_and(|guard| guard.news_for(retries) != news)
        {
            self.let_go(stage, retries);
        }
    }

    /// Leaves what is due to whichever worker is free first.
    #[cold]
    pub(crate) fn bring_back(&self, now: u64) {
        while let Some((due, what)) = self.aside.take_due(now) {
            match what {
                What::Batch(parked) => self.leave_task(parked.task),
                What::Alarm { stage, flight } => {
                    if let Some(hub) = self.flights.of(stage.into()) {
                        hub.flight(flight).alarm(due, |task| self.leave_task(task));
                    }
                }
            }
        }
    }

    /// What `stage` has put aside may go on, but for what waits to be tried again.
    pub(crate) fn release_aside(&self, stage: u16) {
        self.let_go(stage, false);
    }

    /// All that `stage` has put aside goes by other numbers.
    pub(crate) fn release_all_aside(&self, stage: u16) {
        self.let_go(stage, true);
    }

    fn let_go(&self, stage: u16, retries: bool) {
        let fits = |parked: &Parked| parked.stage == stage && (retries || !parked.retries);
        if self.aside.release(fits) {
            self.idle.wake_one();
        }
        self.pins.release(self.info, stage);
        if let Some(hub) = self.flights.of(stage.into()) {
            hub.ring_all(|task| self.leave_task(task));
        }
    }

    /// Drops what was put aside.
    pub(crate) fn drop_aside(&self) {
        self.flights.ring_all(|task| self.leave_task(task));
        for parked in self.aside.clear() {
            if let Some(guard) = self.guards.of(parked.stage.into()) {
                guard.resumed(parked.items);
            }
        }
    }

    /// Drops what lies in the queues when the last worker has ended: what pinned threads left there after a stop, and batches whose
    /// futures were woken just then.
    pub(crate) fn drop_late(&self) {
        self.flights.close();
        while self.injector.pop().is_some() {}
        for lane in Lane::ALL {
            while self.lanes.pop(lane).is_some() {}
        }
    }
}
