//! Urgent work in the middle of other work: a slow segment is suspended, and goes on afterwards.
//!
//! Between two batches a worker serves the most urgent lane anyway. Within a batch it looks up (see [`crate::look_up`]): if a
//! more urgent lane has something, the batch is suspended where it is, between two items, the urgent work is done, and the
//! batch goes on. The urgent work runs on top of the suspended loop, with a [`Worker`] and a `Local` of its own, so it
//! shares no borrow with it; a stage with one state per worker has one more for it, which is merged at the end like the
//! others. It never waits for what is suspended below: at a gate that is in use it leaves its batch there, like any worker.
//! Urgent work is not suspended itself.
//!
//! While there is no end of urgent work, the batch gets its turn nevertheless: after as long as a lane may wait
//! ([`AGE_NS`]) it goes on until it is looked up from again.
//!
//! A worker that has the whole pipeline to itself holds all tickets, so nothing can run beside it; there a pull takes a
//! quantum, and urgent items wait for its end.

use std::cell::RefCell;

use crossbeam_deque::Worker as Queue;

use crate::{
    error::RunError,
    graph::{Graph, States},
    lane::{AGE_NS, Lane},
    shared::Shared,
    shelf::Shelf,
    worker::{Worker, step_above},
};

/// Does urgent work of a pipeline whose types are not known here.
pub(crate) trait Urgent {
    /// Does what is more urgent than `lane`, as long as there is any.
    fn serve(&self, lane: Lane);
}

/// The means of one worker to do urgent work: made when it is needed first.
pub(crate) struct Interrupt<'r, G: Graph> {
    shelf: &'r Shelf<G>,
    shared: &'r Shared,
    id: usize,
    /// Taken out while it is in use.
    inner: RefCell<Option<Inner<'r, G>>>,
}

enum Inner<'r, G: Graph> {
    Unused,
    Ready(Box<(Worker<'r>, G::Local)>),
}

impl<'r, G: Graph> Interrupt<'r, G> {
    pub(crate) fn new(shelf: &'r Shelf<G>, shared: &'r Shared, id: usize) -> Self {
        Self {
            shelf,
            shared,
            id,
            inner: RefCell::new(Some(Inner::Unused)),
        }
    }

    /// Leaves the states that it made.
    pub(crate) fn retire(&self, states: &States) {
        if let Some(Inner::Ready(inner)) = self.inner.take() {
            G::retire(inner.1, states);
        }
    }

    fn ready(&self, inner: Inner<'r, G>) -> Option<Box<(Worker<'r>, G::Local)>> {
        if let Inner::Ready(ready) = inner {
            return Some(ready);
        }
        let w = Worker::nested(self.shared, self.id, Queue::new_fifo());
        match self.shelf.local(&w) {
            Ok(local) => Some(Box::new((w, local))),
            Err(error) => {
                self.shared.fail(RunError::state(error));
                None
            }
        }
    }
}

impl<G: Graph> Urgent for Interrupt<'_, G> {
    fn serve(&self, lane: Lane) {
        let inner = self.inner.take();
        let Some(mut ready) = inner.and_then(|inner| self.ready(inner)) else {
            return;
        };
        let (w, local) = &mut *ready;
        let until = w.tick() + AGE_NS;
        while !self.shared.is_stopping() && step_above(self.shelf, local, w, lane) && w.now() < until {}
        self.inner.replace(Some(Inner::Ready(ready)));
    }
}
