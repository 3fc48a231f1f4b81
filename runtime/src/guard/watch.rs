//! Who looks after calls that take long, where a breaker goes by that or another worker can stand in for one that waits for
//! such a call: a thread beside the workers, 50 times a second.
//!
//! So a call that never returns is seen although nobody else calls. And a process that was stopped, or whose machine was, is
//! found out: then nobody has looked for a while, and calls that were being made meanwhile are neither slow nor too late. So
//! none of its breakers opens when it goes on.

use std::time::Duration;

use super::{GuardSettings, Guards, hangs};
use crate::{
    beside::Chore,
    quarantine::Starts,
    settings::{Settings, StageSettings},
    shared::Shared,
};

/// Between two looks: 20 ms.
pub(super) const EVERY: Duration = Duration::from_millis(20);

/// Does somebody go by how long calls take?
pub(super) fn is_wanted(settings: &Settings) -> bool {
    let goes_by_time = |stage: &StageSettings| {
        let breaker = stage
            .guard
            .as_ref()
            .is_some_and(GuardSettings::goes_by_time);
        breaker || stage.watches_calls()
    };
    settings.stages.iter().any(goes_by_time)
}

/// Looks after the calls of a run, where that is wanted. `starts` starts workers that stand in for others.
pub(crate) fn chore<'s>(shared: &'s Shared, starts: Starts<'s>) -> Option<Chore<'s>> {
    is_wanted(&shared.settings).then(|| {
        // The workers wait for this one; how long they took to come here is no sign of anything.
        shared.guards.looks.look(shared.now());
        Chore {
            name: "guards",
            every: EVERY,
            look: Box::new(move || {
                shared.guards.tick(shared.now());
                hangs::look(shared, &starts);
                true
            }),
        }
    })
}

impl Guards {
    fn tick(&self, now: u64) {
        self.looks.look(now);
        for guard in self.all.iter().flatten() {
            guard.tick(now);
        }
    }
}
