//! Looks at memory for a run, beside its workers, and tells them the level.

use std::thread;

use super::{Level, state::Hysteresis};
use crate::{beside::Chore, shared::Shared};

/// Looks at memory while a run goes on, if it was asked to. The level stays in the report as it was at the end.
pub(crate) fn chore(shared: &Shared) -> Option<Chore<'_>> {
    let (watch, gauge) = shared.memory.as_ref()?;
    let calm = Calm(shared);
    let mut state = Hysteresis::new(watch.hold);
    let look = move || {
        let level = state.step(calm.0.elapsed(), gauge.read());
        tell(calm.0, level);
        if level >= Level::High {
            calm.0.free_spares();
        }
        true
    };
    Some(Chore {
        name: "memory",
        every: watch.every,
        look: Box::new(look),
    })
}

fn tell(shared: &Shared, level: Level) {
    if shared.pressure.set(level) {
        // Who sleeps because sources are paused looks again; the fence in it orders that look after the level.
        shared.idle.wake_all();
        shared.pins.wake_all();
    }
}

/// A look that panics, which would be a bug, must not leave the sources paused.
struct Calm<'s>(&'s Shared);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            tell(self.0, Level::None);
        }
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
    fn a_look_that_panics_leaves_no_source_paused() {
        let shared = shared("1x1");
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _calm = Calm(&shared);
            tell(&shared, Level::Critical);
            panic!("a bug");
        }));
        assert!(attempt.is_err() && !shared.is_paused());
    }
}
