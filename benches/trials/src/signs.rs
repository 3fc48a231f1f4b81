//! What a run does against overload.

use pipewright::{Blueprint, Running};
use pipewright_bench::protocol::Signs;

/// What a run did against overload until now.
pub(crate) fn signs<P: Blueprint>(run: &Running<P>) -> Signs {
    let metrics = run.metrics();
    let stages = metrics.stages().iter();
    stages.fold(
        Signs {
            held_back: metrics.memory().map_or(0, |memory| memory.changes),
            ..Signs::default()
        },
        |signs, stage| Signs {
            shed: signs.shed + stage.dropped_by.shed + stage.dropped_by.overflow,
            failed: signs.failed + stage.failed + stage.dropped_by.breaker,
            breakers: signs.breakers
                + stage
                    .guard
                    .as_ref()
                    .map_or(0, |guard| guard.breaker.changes),
            ..signs
        },
    )
}
