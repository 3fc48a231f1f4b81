//! The push input: a bounded queue that user threads fill and workers empty.
//!
//! **Order.** What one thread sends is taken in the order in which it was sent; the worker that takes items has the
//! input's token and draws their sequence number under it.
//!
//! **Nothing is lost at the end.** What was taken from a sender is in the queue before the input may end: see
//! [`crate::door`].
//!
//! **Back-pressure.** A sender that finds the queue full parks until a worker has taken items. Workers wake senders when
//! a quarter of the queue is free, so that a wake-up is paid for many items.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering, fence},
    },
    thread::Thread,
    time::{Duration, Instant},
};

use crossbeam_queue::ArrayQueue;

use super::{Place, Pulled, SourceCtl, Waiting};
use crate::{
    carrier::{Carrier, Home},
    diagnose::Crossing,
    door::Door,
    drive::{HANDED, Segment},
    error::{SendError, TrySendError},
    graph::Site,
    idle::Idle,
    token::Token,
    worker::Worker,
};

/// Longest sleep of a blocked sender before it looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The queue of an input.
pub(crate) struct Ingress<T> {
    items: ArrayQueue<T>,
    door: Door,
    /// Senders that sleep.
    waiting: AtomicUsize,
    sleepers: Mutex<Vec<Thread>>,
    /// The workers that take the items, once the run has begun.
    run: OnceLock<Arc<Idle>>,
}

// SAFETY: an input is made with a `Crossing<T>`, which exists for `T: Send` only, and hands each item to one thread.
unsafe impl<T> Send for Ingress<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Ingress<T> {}

impl<T: 'static> Ingress<T> {
    pub(crate) fn new(capacity: u32, _: Crossing<T>) -> Arc<Self> {
        Arc::new(Self {
            items: ArrayQueue::new(capacity.max(1) as usize),
            door: Door::new(),
            waiting: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::new()),
            run: OnceLock::new(),
        })
    }

    pub(crate) fn attach(&self, run: &Arc<Idle>) {
        // A queue belongs to one run, whose start calls this once.
        let _ = self.run.set(Arc::clone(run));
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.items.capacity()
    }

    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let Some(_inside) = self.door.enter() else {
            return Err(TrySendError::Closed(item));
        };
        self.items.push(item).map_err(TrySendError::Full)?;
        self.tell();
        Ok(())
    }

    /// Sends, waiting for room until `deadline`.
    pub(crate) fn send(
        &self,
        mut item: T,
        deadline: Option<Instant>,
    ) -> Result<(), TrySendError<T>> {
        loop {
            match self.try_send(item) {
                Err(TrySendError::Full(back)) => item = back,
                done => return done,
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(TrySendError::Full(item));
            }
            self.sleep(left.map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN)));
        }
    }

    /// Sends many, waiting for room; on closing the first that was not taken comes back. Nothing is held while the
    /// iterator makes an item: it may take its time, or wait for what was sent before.
    pub(crate) fn send_batch(&self, items: &mut dyn Iterator<Item = T>) -> Result<u64, SendError<T>> {
        let mut sent = 0;
        for item in items {
            self.send(item, None).map_err(|error| SendError(error.into_inner()))?;
            sent += 1;
        }
        Ok(sent)
    }

    /// Closes it and waits until nobody is on the way in; a sender there has nothing to wait for.
    pub(crate) fn close_for_good(&self) {
        self.close();
        while !self.door.is_left() {
            std::thread::yield_now();
        }
    }

    /// Makes sent items known to the workers.
    fn tell(&self) {
        if let Some(run) = self.run.get() {
            run.wake_one();
        }
    }

    fn sleep(&self, most: Duration) {
        {
            let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
            sleepers.push(std::thread::current());
            self.waiting.store(sleepers.len(), Ordering::Relaxed);
        }
        // Pairs with the fence in `wake_senders`: either it sees this sleeper, or this sees the room that it made.
        fence(Ordering::SeqCst);
        if self.items.is_full() && !self.door.is_closed() {
            std::thread::park_timeout(most);
        }
        let me = std::thread::current().id();
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        sleepers.retain(|sleeper| sleeper.id() != me);
        self.waiting.store(sleepers.len(), Ordering::Relaxed);
    }

    /// Wakes all sleeping senders if there is room worth it.
    fn wake_senders(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let free = self.items.capacity() - self.items.len();
        if free * 4 < self.items.capacity() && !self.door.is_closed() {
            return;
        }
        let sleepers = {
            let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
            self.waiting.store(0, Ordering::Relaxed);
            std::mem::take(&mut *sleepers)
        };
        for sleeper in sleepers {
            sleeper.unpark();
        }
    }

    /// Is it closed and empty for good?
    fn has_ended(&self) -> bool {
        self.door.is_left() && self.items.is_empty()
    }
}

impl<T: 'static> Waiting for Ingress<T> {
    fn is_empty(&self) -> bool {
        // A closed input must be asked once more, to end.
        self.items.is_empty() && !self.door.is_closed()
    }

    fn close(&self) {
        self.door.close();
        self.wake_senders();
    }
}

/// The input as a source.
pub struct IngressSource<T: 'static> {
    end: Token<End<T>>,
    home: Arc<Home<T>>,
    place: Place,
}

struct End<T> {
    queue: Arc<Ingress<T>>,
    /// Items of one quantum, for the exclusive loop.
    taken: Vec<T>,
}

// SAFETY: the source of an input is made with a `Crossing<T>`, which exists for `T: Send` only.
unsafe impl<T> Send for End<T> {}

impl<T: 'static> IngressSource<T> {
    /// The input, as source number `source`.
    ///
    /// # Panics
    ///
    /// If the pipeline was started without its input: an error in generated code.
    pub fn new(site: &Site<'_, T>, source: usize, crossing: Crossing<T>) -> Self {
        let link = site.shared.source_link(source);
        let home = Home::new(
            site.shared,
            link,
            site.shared.credits.total() as usize,
            crossing,
        );
        let queue = site
            .input
            .expect("a pipeline that reads `input` is opened with one");
        Self {
            end: Token::new(End {
                queue: Arc::clone(queue),
                taken: Vec::new(),
            }),
            home,
            place: Place {
                source,
                stage: HANDED,
            },
        }
    }

    /// Takes a quantum of items and hands them to `run` in a carrier.
    pub fn pull<'w>(
        &self,
        w: &mut Worker<'w>,
        run: impl FnOnce(Carrier<T>, &mut Worker<'w>),
    ) -> Pulled {
        let fill = |w: &Worker<'_>, end: &mut End<T>, carrier: &mut Carrier<T>, limit| {
            take(&end.queue, self.place.ctl(w), carrier.items(), limit);
        };
        self.place.pull(w, &self.end, &self.home, fill, run)
    }

    /// Runs a quantum of items through the whole pipeline.
    pub fn solo<C: Segment>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        step: impl Fn(&mut C, T, &mut C::Tally),
    ) -> Pulled {
        self.solo_by(w, |place, w, items, begun| place.all(w, items, begun, cx, step))
    }

    /// Takes a quantum of items and lets `run` run them. It is also told when the pull began.
    pub(crate) fn solo_by<'w>(
        &mut self,
        w: &mut Worker<'w>,
        run: impl FnOnce(&Place, &mut Worker<'w>, std::vec::Drain<'_, T>, u64) -> Pulled,
    ) -> Pulled {
        let begun = w.tick();
        let ctl = self.place.ctl(w);
        let end = self.end.get_mut();
        take(&end.queue, ctl, &mut end.taken, ctl.limit(true));
        run(&self.place, w, end.taken.drain(..), begun)
    }
}

fn take<T: 'static>(queue: &Ingress<T>, ctl: &SourceCtl, into: &mut Vec<T>, limit: u64) {
    while (into.len() as u64) < limit {
        match queue.items.pop() {
            Some(item) => into.push(item),
            None => break,
        }
    }
    if !into.is_empty() {
        queue.wake_senders();
    } else if queue.has_ended() {
        ctl.end();
    }
}

impl<T> fmt::Debug for Ingress<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("len", &self.items.len())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for IngressSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngressSource")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
