//! Where the graph of a run lies: workers use it together, or one of them has it alone.
//!
//! The tickets are the lock (see [`crate::credit`]): who holds one has a shared reference, who holds all of them has the only
//! one.

use std::cell::UnsafeCell;

use crate::{error::InitError, graph::Graph, worker::Worker};

/// A pipeline's graph that workers use together, or one of them alone.
pub(crate) struct Shelf<G>(UnsafeCell<G>);

impl<G: Graph> Shelf<G> {
    pub(crate) fn new(graph: G) -> Self {
        Self(UnsafeCell::new(graph))
    }

    pub(crate) fn into_inner(self) -> G {
        self.0.into_inner()
    }

    /// The graph, for a worker that holds a ticket or a task (which holds one), before the workers start, or where there are
    /// pinned threads or guarded stages, so that nobody is ever alone.
    pub(crate) fn get(&self) -> &G {
        // SAFETY: an exclusive reference exists only while one worker holds all tickets (`alone`). Callers hold one, so
        // there is none now, and none is made before they release it, which they do after their last use of the reference.
        // With pinned threads or guarded stages the run is parallel from the beginning and stays so: there never is one.
        unsafe { &*self.0.get() }
    }

    /// The graph for a worker that holds all tickets.
    #[allow(
        clippy::mut_from_ref,
        reason = "the tickets are the lock; see the safety comment"
    )]
    pub(crate) fn alone(&self) -> &mut G {
        // SAFETY: the caller has taken all tickets, so no other worker holds one and none has a reference from `get`;
        // the credits' Acquire and Release order their accesses before and after this one.
        unsafe { &mut *self.0.get() }
    }

    /// Makes a worker's own part. Called while no worker runs, or for one that stands in for another: only the calls of guarded
    /// stages hang.
    pub(crate) fn local(&self, w: &Worker<'_>) -> Result<G::Local, InitError> {
        self.get().local(w)
    }
}

// SAFETY: workers share it by `&G` (`G: Sync`) or use it alone, one after the other (`G: Send`).
unsafe impl<G: Send + Sync> Sync for Shelf<G> {}
