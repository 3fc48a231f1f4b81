//! Who looks after calls that take long, where a breaker goes by that: a thread beside the workers, 50 times a second.
//!
//! So a call that never returns is seen although nobody else calls. And a process that was stopped, or whose machine was, is
//! found out: then nobody has looked for a while, and calls that were being made meanwhile are neither slow nor too late. So
//! none of its breakers opens when it goes on.

use std::time::Duration;

use super::{GuardSettings, Guards};
use crate::{beside::Chore, shared::Shared};

/// Between two looks: 20 ms.
pub(super) const EVERY: Duration = Duration::from_millis(20);

/// Looks after the calls of a run, where a breaker goes by how long they take.
pub(crate) fn chore(shared: &Shared) -> Option<Chore<'_>> {
    let mut guards = shared
        .settings
        .stages
        .iter()
        .filter_map(|stage| stage.guard.as_ref());
    guards.any(GuardSettings::goes_by_time).then(|| Chore {
        name: "guards",
        every: EVERY,
        look: Box::new(|| {
            shared.guards.tick(shared.now());
            true
        }),
    })
}

impl Guards {
    fn tick(&self, now: u64) {
        for guard in self.0.iter().flatten() {
            guard.tick(now);
        }
    }
}
