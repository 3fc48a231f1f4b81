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
    graph::{Graph, States},
    lane::{AGE_NS, Lane},
    reserve::Own,
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
    Ready(Box<(Worker<'r>, Own<G>)>),
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
        if let Some(Inner::Ready(inner)) = self.inner.take()
            && let Some(local) = inner.1.into_inner()
        {
            G::retire(local, states);
        }
    }

    fn ready(&self, inner: Inner<'r, G>) -> Box<(Worker<'r>, Own<G>)> {
        match inner {
            Inner::Ready(ready) => ready,
            Inner::Unused => {
                let w = Worker::nested(self.shared, self.id, Queue::new_fifo());
                Box::new((w, Own::later()))
            }
        }
    }
}

impl<G: Graph> Urgent for Interrupt<'_, G> {
    fn serve(&self, lane: Lane) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        let mut ready = self.ready(inner);
        let (w, own) = &mut *ready;
        let until = w.tick() + AGE_NS;
        while !self.shared.is_stopping() && step_above(self.shelf, own, w, lane) && w.now() < until
        {
        }
        self.inner.replace(Some(Inner::Ready(ready)));
    }
}
