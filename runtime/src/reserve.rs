//! Workers without a thread yet.
//!
//! A run begins with one worker that has the whole pipeline to itself (see [`crate::alone`]). While it has, the others could
//! do nothing but sleep, and starting and ending their threads takes longer than many a run. So they are held in reserve until
//! there is something for them: when the run turns parallel, or when a stage forks for the first time. Both happen on the
//! thread of the first worker, which then starts all of them.
//!
//! A worker in reserve is nobody whom others could wait for: it has no bit among the sleepers, its queue is empty, and it makes
//! what it has for itself ([`Own`]) when it has something to do. So if its thread cannot be started, the run goes on without
//! it, and says so.
//!
//! Held back is nobody where a run is parallel from its beginning, and where the pipeline says `hw(enforce = deny)`. Nor where
//! each worker makes a state of its own and [`start`](crate::Builder::start) promises that all are made; a run that its caller
//! works for ends with the error of a state whenever it comes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{drive::panic_message, error::RunError, graph::Graph, worker::Worker};

/// What a worker has for itself.
pub(crate) struct Own<G: Graph>(Option<G::Local>);

impl<G: Graph> Own<G> {
    /// It was made before the run.
    pub(crate) fn made(local: G::Local) -> Self {
        Self(Some(local))
    }

    /// It is made when it is needed first.
    pub(crate) fn later() -> Self {
        Self(None)
    }

    /// For a worker that has a reference into the pipeline; `None` if it cannot be made, which ends the run.
    pub(crate) fn get(&mut self, graph: &G, w: &Worker<'_>) -> Option<&mut G::Local> {
        if self.0.is_none() {
            self.0 = made_late(graph, w);
        }
        self.0.as_mut()
    }

    /// What it has, if it ever needed any.
    pub(crate) fn into_inner(self) -> Option<G::Local> {
        self.0
    }
}

#[cold]
fn made_late<G: Graph>(graph: &G, w: &Worker<'_>) -> Option<G::Local> {
    let shared = w.shared;
    let error = match catch_unwind(AssertUnwindSafe(|| graph.local(w))) {
        Ok(Ok(local)) => return Some(local),
        Ok(Err(error)) => RunError::state(error),
        Err(payload) => RunError::Panicked {
            stage: shared.info.name,
            message: panic_message(payload),
        },
    };
    shared.fail(error);
    None
}
