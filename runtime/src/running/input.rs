//! Handles that push items into a run.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use pipewright_spec::options::Priority;

use super::{send, send_all, send_batch, send_within, try_send};
use crate::{
    calls::Entry,
    error::{SendBatchError, SendError},
    lane::Lane,
    source::Ingress,
    sync::Instant,
};

/// A handle that pushes items into a running pipeline; clones push into the same one.
///
/// `Q` is what waits in the input: items, or, where the pipeline has `reply`, items with their calls.
pub struct Input<T, Q = T> {
    queue: Arc<Ingress<Q>>,
    items: PhantomData<fn(T)>,
}

impl<T: 'static, Q: Entry<T>> Input<T, Q> {
    pub(super) fn of(queue: &Arc<Ingress<Q>>) -> Self {
        Self {
            queue: Arc::clone(queue),
            items: PhantomData,
        }
    }

    /// Pushes an item; waits while the input is full.
    ///
    /// # Errors
    ///
    /// Gives the item back if the pipeline takes no more.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        send(&self.queue, Lane::NORMAL, item, None)
    }

    /// Pushes an item in a lane, as [`Running::send_at`](super::Running::send_at).
    ///
    /// # Errors
    ///
    /// Gives the item back if the pipeline takes no more.
    pub fn send_at(&self, priority: Priority, item: T) -> Result<(), SendError<T>> {
        send(&self.queue, Lane::of(priority), item, None)
    }

    /// Pushes an item, waiting at most `timeout` for room.
    ///
    /// # Errors
    ///
    /// Gives the item back if there was no room in time, or if the pipeline takes no more.
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), SendError<T>> {
        let deadline = Instant::now().checked_add(timeout);
        send(&self.queue, Lane::NORMAL, item, deadline)
    }

    /// Pushes an item that is of no use after a time, as [`Running::send_within`](super::Running::send_within).
    ///
    /// # Errors
    ///
    /// Gives the item back if there was no room in time, or if the pipeline takes no more.
    pub fn send_within(&self, item: T, within: Duration) -> Result<(), SendError<T>> {
        send_within(&self.queue, item, within)
    }

    /// Pushes an item without waiting.
    ///
    /// # Errors
    ///
    /// Gives the item back if the input is full or takes no more.
    pub fn try_send(&self, item: T) -> Result<(), SendError<T>> {
        try_send(&self.queue, item)
    }

    /// Pushes every item of an iterator as soon as it is made, as [`Running::send_all`](super::Running::send_all).
    ///
    /// # Errors
    ///
    /// Gives the first item back that was not taken, if the pipeline takes no more.
    pub fn send_all(&self, items: impl IntoIterator<Item = T>) -> Result<u64, SendError<T>> {
        send_all(&self.queue, items)
    }

    /// Moves all items of a vector into the pipeline, as [`Running::send_batch`](super::Running::send_batch).
    ///
    /// # Errors
    ///
    /// If the pipeline takes no more, or if the input is full and says `overflow = reject`; what was not taken is still in the
    /// vector.
    pub fn send_batch(&self, items: &mut Vec<T>) -> Result<(), SendBatchError> {
        send_batch(&self.queue, Lane::NORMAL, items)
    }

    /// The same in a lane, as [`Running::send_batch_at`](super::Running::send_batch_at).
    ///
    /// # Errors
    ///
    /// If the pipeline takes no more, or if the input is full and says `overflow = reject`; what was not taken is still in the
    /// vector.
    pub fn send_batch_at(
        &self,
        priority: Priority,
        items: &mut Vec<T>,
    ) -> Result<(), SendBatchError> {
        send_batch(&self.queue, Lane::of(priority), items)
    }

    /// Items that wait at this moment.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Does none wait at this moment?
    pub fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// Items that can wait.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}

impl<T, Q> Clone for Input<T, Q> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            items: PhantomData,
        }
    }
}

impl<T, Q: 'static> fmt::Debug for Input<T, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&self.queue).finish()
    }
}
