//! The push input: user threads push into the [intake](crate::intake), workers pull from it.
//!
//! **Order.** What one thread sends in one lane is taken in the order in which it was sent; the worker that takes items has
//! the input's token and draws their sequence number under it.
//!
//! **Nothing is lost at the end.** The input ends when the intake is closed and empty; nothing comes after that.
//!
//! **Back-pressure.** A sender that finds no room waits until a worker has taken items (see [`crate::senders`]), unless
//! `overflow` says otherwise: then it gets its item back, or an item is dropped, which is the oldest of the sender's lane or of
//! the lowest one, or the one at hand. No item is dropped for the sake of a less urgent one.

mod taken;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use pipewright_spec::options::Overflow;

pub use self::taken::IngressSource;
use super::{
    Waiting,
    rules::{Rules, victims},
    shed::ShedSettings,
};
use crate::{
    budget::Resized,
    deadlines::Deadlines,
    diagnose::{Crossing, Gone},
    dropped::{Losses, Why, drop_for},
    error::{SendBatchError, SendError},
    idle::Idle,
    intake::{Buffers, Intake, NEVER, Pushed, Sent, Shares, Times, own_shard},
    lane::Lane,
    senders::{Senders, Wait},
    sync::{AtomicU64, Instant, Ordering},
};

/// The queue of an input, and those who wait for room in it.
pub(crate) struct Ingress<T> {
    intake: Intake<T>,
    senders: Senders,
    /// The workers that take the items, and what they know of deadlines, once the run has begun.
    run: OnceLock<(Arc<Idle>, Arc<Deadlines>)>,
    /// Items that were left when the run was over.
    left: AtomicU64,
    /// What becomes of items of which there are too many.
    rules: Rules<T>,
    /// What was dropped because it was.
    losses: Losses,
    /// How to see that the caller of an item has left.
    gone: Option<Gone<T>>,
}

// SAFETY: an input is made with a `Crossing<T>`, which exists for `T: Send` only, and hands each item to one thread.
unsafe impl<T> Send for Ingress<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Ingress<T> {}

impl<T: 'static> Ingress<T> {
    pub(crate) fn new(capacity: u32, rules: Rules<T>, items: Crossing<T>) -> Arc<Self> {
        Arc::new(Self {
            intake: Intake::new(capacity.max(1).into()),
            senders: Senders::new(),
            run: OnceLock::new(),
            left: AtomicU64::new(0),
            rules,
            losses: Losses::default(),
            gone: items.gone(),
        })
    }

    pub(crate) fn attach(&self, workers: &Arc<Idle>, deadlines: &Arc<Deadlines>) {
        if self.rules.shed.is_some() {
            // What is taken out is looked at, item by item.
            deadlines.see();
        }
        // A queue belongs to one run, whose start calls this once.
        let _ = self.run.set((Arc::clone(workers), Arc::clone(deadlines)));
    }

    /// For an item that is of no use after a time, if there is one.
    pub(crate) fn until(&self, lane: Lane, time: Option<Instant>) -> Sent {
        let until = match (time, self.run.get()) {
            (Some(time), Some((_, deadlines))) => {
                deadlines.see();
                deadlines.of(time)
            }
            _ => NEVER,
        };
        let times = Times {
            until,
            ..Times::NONE
        };
        Sent { lane, times }
    }

    /// The same, at the present time, where that is of interest.
    #[inline]
    fn timed(&self, how: impl Into<Sent>) -> Sent {
        let how = how.into();
        match (&self.rules.shed, self.run.get()) {
            (Some(_), Some((_, deadlines))) => Sent {
                times: Times {
                    pushed: deadlines.now(),
                    ..how.times
                },
                ..how
            },
            _ => how,
        }
    }

    /// Somebody may stop waiting for an answer.
    #[cfg(feature = "async")]
    pub(crate) fn may_be_left(&self) {
        if let Some((_, deadlines)) = self.run.get() {
            deadlines.see();
        }
    }

    /// Items that workers were given so far, or that were dropped because it was full.
    pub(crate) fn given(&self) -> u64 {
        self.intake.given() + self.losses.read().total()
    }

    /// Does who finds it full wait for room?
    pub(crate) fn waits(&self) -> bool {
        self.rules.overflow == Overflow::Block
    }

    /// Is an item dropped when it is full?
    pub(crate) fn drops(&self) -> bool {
        self.rules.overflow.is_lossy()
    }

    pub(crate) fn len(&self) -> usize {
        self.intake.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.intake.capacity() as usize
    }

    #[inline]
    fn try_send(&self, how: Sent, item: T) -> Result<(), SendError<T>> {
        let mut item = Some(item);
        let pushed = self.intake.push(own_shard(), how, &mut item);
        match item {
            None => {
                self.tell(pushed);
                Ok(())
            }
            Some(item) if pushed == Pushed::Closed => Err(SendError::Closed(item)),
            Some(item) => Err(SendError::Full(item)),
        }
    }

    /// Sends. A full input makes the sender wait for room until `deadline`, or drops what waits in it, or refuses the item, as
    /// its `overflow` says.
    #[inline]
    pub(crate) fn send(
        &self,
        how: impl Into<Sent>,
        item: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendError<T>> {
        let how = self.timed(how);
        match self.try_send(how, item) {
            Err(SendError::Full(item)) => self.send_full(how, item, deadline),
            done => done,
        }
    }

    /// As [`send`](Self::send), without waiting.
    #[inline]
    pub(crate) fn send_now(&self, how: impl Into<Sent>, item: T) -> Result<(), SendError<T>> {
        let how = self.timed(how);
        match self.try_send(how, item) {
            Err(SendError::Full(item)) if self.drops() => self.displace(how, item),
            done => done,
        }
    }

    #[cold]
    fn send_full(&self, how: Sent, item: T, deadline: Option<Instant>) -> Result<(), SendError<T>> {
        match self.rules.overflow {
            Overflow::Block => self.send_later(how, item, deadline),
            Overflow::Reject => Err(SendError::Full(item)),
            _ => self.displace(how, item),
        }
    }

    /// Drops an item that waits and pushes this one in its place; gives it back if it is itself the one that is to be dropped.
    #[cold]
    fn displace(&self, how: Sent, item: T) -> Result<(), SendError<T>> {
        let mut item = Some(item);
        let victims = || victims(self.rules.overflow, how.lane);
        let count = || self.count_lost();
        let (pushed, victim) = self
            .intake
            .displace(own_shard(), how, victims, count, &mut item);
        if let Some(victim) = victim {
            drop_for(Why::Overflow, victim);
        }
        match item {
            None => {
                self.tell(pushed);
                Ok(())
            }
            Some(item) if pushed == Pushed::Closed => Err(SendError::Closed(item)),
            Some(item) => Err(SendError::Full(item)),
        }
    }

    /// Drops an item that a full input does not take, and counts it.
    #[cold]
    pub(crate) fn lose(&self, item: T) -> Result<(), SendError<T>> {
        if !self.intake.count_out(own_shard(), || self.count_lost()) {
            return Err(SendError::Closed(item));
        }
        drop_for(Why::Overflow, item);
        Ok(())
    }

    fn count_lost(&self) {
        let now = self.run.get().map_or(0, |(_, deadlines)| deadlines.now());
        self.losses.add(Why::Overflow, 1, now);
    }

    #[cold]
    fn send_later(
        &self,
        how: Sent,
        mut item: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendError<T>> {
        let mut wait = Wait::new();
        let sent = loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break Err(SendError::Full(item));
            }
            self.wait(&mut wait, left.unwrap_or(Duration::MAX));
            match self.try_send(self.timed(how), item) {
                Err(SendError::Full(back)) => item = back,
                sent => break sent,
            }
        };
        self.leave(&mut wait);
        sent
    }

    /// Moves all items out of `items`, and out of the others what a full input displaces; if one is given back, it and the
    /// others are still there.
    pub(crate) fn send_batch(&self, lane: Lane, items: &mut Vec<T>) -> Result<(), SendBatchError> {
        let mut wait = Wait::new();
        while !items.is_empty() {
            match self.intake.push_all(own_shard(), self.timed(lane), items) {
                Pushed::Closed => return Err(SendBatchError::closed(items.len())),
                Pushed::Full => match self.rules.overflow {
                    Overflow::Block => self.wait(&mut wait, Duration::MAX),
                    Overflow::Reject => return Err(SendBatchError::full(items.len())),
                    _ => return self.displace_all(lane, items),
                },
                pushed => {
                    self.tell(pushed);
                    self.leave(&mut wait);
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn displace_all(&self, lane: Lane, items: &mut Vec<T>) -> Result<(), SendBatchError> {
        let mut rest = items.drain(..);
        while let Some(item) = rest.next() {
            let sent = match self.send_now(lane, item) {
                Err(SendError::Full(item)) => self.lose(item),
                sent => sent,
            };
            if let Err(refused) = sent {
                let item = refused.into_inner();
                let left: Vec<T> = std::iter::once(item).chain(rest).collect();
                *items = left;
                return Err(SendBatchError::closed(items.len()));
            }
        }
        Ok(())
    }

    /// Makes sent items known to the workers, if they are news.
    #[inline]
    fn tell(&self, pushed: Pushed) {
        if pushed == (Pushed::Some { news: true })
            && let Some((workers, _)) = self.run.get()
        {
            workers.wake_one();
        }
    }

    /// Takes items for a worker that has the input's token, and lets senders into the room that this makes.
    fn take(
        &self,
        lane: Lane,
        most: usize,
        shares: Shares,
        buffers: Buffers,
        into: &mut Vec<T>,
        times: &mut Vec<Times>,
    ) -> usize {
        let taken = self.intake.take(lane, most, shares, buffers, into, times);
        if taken > 0 {
            self.senders.serve(|| self.has_plenty());
        }
        taken
    }

    /// Takes all that waits.
    #[cfg(feature = "measure")]
    pub(crate) fn take_all(&self, lane: Lane, into: &mut Vec<T>) -> usize {
        self.take(
            lane,
            usize::MAX,
            Shares {
                sharers: 1,
                least: 1,
            },
            Buffers::Exchanged,
            into,
            &mut Vec::new(),
        )
    }

    /// Takes nothing more and drops what is left, for a run that is over. Returns how many items that were, now and before.
    pub(crate) fn abandon(&self) -> u64 {
        if !self.intake.is_closed() {
            self.close();
        }
        // What was pushed before is known by now, and nothing comes after it.
        if !self.intake.is_empty() {
            // Whoever drops an item may run others' code, so it is done outside of the locks.
            let left = self.intake.empty_all();
            let items: usize = left.iter().map(Vec::len).sum();
            self.left.fetch_add(items as u64, Ordering::Relaxed);
        }
        self.left.load(Ordering::Relaxed)
    }

    fn wait(&self, wait: &mut Wait, most: Duration) {
        self.senders.wait(wait, most, || {
            self.intake.room() > 0 || self.intake.is_closed()
        });
    }

    fn leave(&self, wait: &mut Wait) {
        self.senders.leave(wait, || self.has_plenty());
    }

    /// Is there so much room that it is worth waking a sender?
    fn has_plenty(&self) -> bool {
        self.intake.room() * 4 >= self.intake.capacity() || self.intake.is_closed()
    }
}

impl<T: 'static> Waiting for Ingress<T> {
    fn is_ready(&self, lane: Lane) -> bool {
        // A closed input must be asked once more, to end.
        self.intake.waits_in(lane) || (self.intake.is_closed() && self.intake.is_empty())
    }

    fn close(&self) {
        self.intake.close();
        self.senders.serve_all();
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }

    fn resized(&self, queue: u32) -> Resized {
        Resized {
            before: self.capacity() * size_of::<T>(),
            after: queue.max(1) as usize * size_of::<T>(),
        }
    }

    fn retune(&self, queue: u32, shed: Option<ShedSettings>) {
        if let (Some(rule), Some(settings)) = (&self.rules.shed, shed) {
            rule.retune(settings);
        }
        let after = queue.max(1) as usize;
        if self.capacity() != after {
            self.intake.resize(after as u64);
            // There may be room for all who wait.
            self.senders.serve_all();
        }
    }
}

impl<T> fmt::Debug for Ingress<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("capacity", &self.intake.capacity())
            .field("room", &self.intake.room())
            .finish_non_exhaustive()
    }
}
