//! The thread that looks at memory for a run and tells its workers the level.

use super::{Gauge, Level, MemoryWatch, state::Hysteresis};
use crate::{
    shared::Shared,
    sync::{
        AtomicBool, Ordering,
        thread::{self, Scope, ScopedJoinHandle},
    },
};

/// A sampler that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Sampler<'s> {
    over: &'s AtomicBool,
    thread: ScopedJoinHandle<'s, ()>,
}

impl<'s> Sampler<'s> {
    /// Starts a thread of its own, if there is something to look at; `over` tells it when to end.
    pub(crate) fn start(
        scope: &'s Scope<'s, '_>,
        shared: &'s Shared,
        over: &'s AtomicBool,
    ) -> std::io::Result<Option<Self>> {
        let Some((watch, gauge)) = &shared.memory else {
            return Ok(None);
        };
        let name = format!("{}-memory", shared.info.name);
        let thread = thread::Builder::new()
            .name(name)
            .spawn_scoped(scope, move || sample(shared, watch, gauge, over))?;
        Ok(Some(Self { over, thread }))
    }
}

impl Drop for Sampler<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the sampler, which sleeps only after it has looked.
        self.over.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}

fn sample(shared: &Shared, watch: &MemoryWatch, gauge: &Gauge, over: &AtomicBool) {
    let calm = Calm(shared);
    let mut state = Hysteresis::new(watch.hold);
    while !over.load(Ordering::Acquire) {
        let level = state.step(shared.elapsed(), gauge.read());
        tell(shared, level);
        if level >= Level::High {
            shared.free_spares();
        }
        thread::park_timeout(watch.every);
    }
    // The level stays in the report as it was at the end.
    std::mem::forget(calm);
}

fn tell(shared: &Shared, level: Level) {
    if shared.pressure.set(level) {
        // Who sleeps because sources are paused looks again; the fence in it orders that look after the level.
        shared.idle.wake_all();
        shared.pins.wake_all();
    }
}

/// A sampler that panics, which would be a bug, must not leave the sources paused.
struct Calm<'s>(&'s Shared);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        tell(self.0, Level::None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placed::shared;

    #[test]
    fn the_scarcer_memory_is_the_less_a_run_has_on_its_way() {
        let shared = shared("1x1");
        let whole = shared.settings.quantum;
        let check = |level: Level, quantum: u64, lingers: bool, paused: bool| {
            tell(&shared, level);
            let seen = (shared.quantum(), shared.may_linger(), shared.is_paused());
            assert_eq!(seen, (quantum, lingers, paused), "{level}");
        };
        check(Level::Some, whole / 4, false, false);
        check(Level::High, whole / 16, false, false);
        check(Level::Critical, whole / 16, false, true);
        check(Level::None, whole, true, false);
        check(Level::Critical, whole / 16, false, true);
        let seen = shared.pressure.seen();
        assert_eq!((seen.highest, seen.changes), (Level::Critical, 5));
        // A run that ends needs what its sources hold.
        shared.close();
        assert!(!shared.is_paused());
    }

    #[test]
    fn a_sampler_that_panics_leaves_no_source_paused() {
        let shared = shared("1x1");
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _calm = Calm(&shared);
            tell(&shared, Level::Critical);
            panic!("a bug");
        }));
        assert!(attempt.is_err() && !shared.is_paused());
    }
}
