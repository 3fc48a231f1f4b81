//! What a run does while memory is scarce: the machine's, or that which the pipeline may take (see [`crate::pressure`] and
//! [`crate::budget`]).

use std::sync::{PoisonError, Weak};

use crate::{pressure::Level, shared::Shared, sync::MutexGuard};

/// Buffers that lie ready, and that can be freed.
pub(crate) trait Spares: Send + Sync {
    /// Frees them all.
    fn free_all(&self);
}

impl Shared {
    /// How long a worker works before it looks around, in nanoseconds: shorter while memory is scarce, so that it has less
    /// on its way.
    pub(crate) fn quantum(&self) -> u64 {
        let quantum = self.live.quantum();
        match self.scarcity() {
            Level::None => quantum,
            Level::Some => quantum / 4,
            Level::High | Level::Critical => quantum / 16,
        }
    }

    /// Are the sources left alone until there is memory again? Not when the run ends, which needs what they hold.
    pub(crate) fn is_paused(&self) -> bool {
        self.pressure.level() == Level::Critical && !self.is_closing()
    }

    /// Are there more buffers than there may be, and batches on their way that will give some back?
    pub(crate) fn is_short(&self) -> bool {
        self.budget.is_over() && self.credits.free() != self.credits.total()
    }

    /// May a source be asked for more now? If buffers are what is missing, the spare ones are freed.
    pub(crate) fn may_pull_now(&self) -> bool {
        if self.is_short() {
            self.free_spares();
            return false;
        }
        !self.is_paused()
    }

    /// May the sources be asked for more?
    pub(crate) fn may_pull(&self) -> bool {
        !self.is_paused() && !self.is_short()
    }

    /// How scarce memory is, that of the machine or that which the pipeline may take.
    pub(crate) fn scarcity(&self) -> Level {
        self.pressure.level().max(self.budget.level())
    }

    /// Buffers were freed.
    pub(crate) fn freed(&self, bytes: usize) {
        if self.budget.subtract(bytes) {
            self.idle.wake_one();
            self.pins.wake_sources();
        }
    }

    /// Is memory so plentiful that items may wait for others?
    pub(crate) fn may_linger(&self) -> bool {
        self.scarcity() == Level::None
    }

    /// Adds buffers that are freed when memory is scarce.
    pub(crate) fn add_spares(&self, spares: Weak<dyn Spares>) {
        self.spares().push(spares);
    }

    /// Frees the buffers that lie ready.
    pub(crate) fn free_spares(&self) {
        for spares in self.spares().iter().filter_map(Weak::upgrade) {
            spares.free_all();
        }
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Weak<dyn Spares>>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
