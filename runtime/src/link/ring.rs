//! A link from one pinned thread to another, item by item (see [`crate::spsc`]).
//!
//! The ring has room for `queue` items; while it is full the producing thread waits, until there is room or the run stops. With
//! `overflow = drop_newest` it does not wait, and drops the item at hand.
//! When the producing thread ends it closes the ring, and the other one ends when it has taken what is left. Items that
//! are in the ring when the run stops are dropped and counted by the thread that takes.

use std::{fmt, sync::PoisonError};

use pipewright_spec::options::Overflow;

use crate::{
    diagnose::Crossing,
    drive::Watch,
    dropped::{Why, drop_for},
    graph::Site,
    idle::Idle,
    load::{Load, Rest, Undivided},
    pin::Waiter,
    shared::Shared,
    simd::{Feed, OneByOne},
    spsc::{Burst, Consumer, Drain, Producer, ring_of},
    sync::{Mutex, MutexGuard},
    worker::Worker,
};

/// A ring between two pinned threads. Each takes its end when it starts.
pub struct RingLink<T: 'static> {
    ends: Mutex<Ends<T>>,
    link: u16,
    /// Is an item that finds it full dropped?
    drops: bool,
    /// The pinned segments before and behind it.
    before: usize,
    behind: usize,
}

/// The ends that no thread has taken yet.
type Ends<T> = (Option<Producer<T>>, Option<Consumer<T>>);

impl<T: 'static> RingLink<T> {
    /// The link number `link`.
    pub fn new<I>(site: &Site<'_, I>, link: u16, _: Crossing<T>) -> Self {
        let shared = site.shared;
        let to = shared.info.links[usize::from(link)].to;
        let room = shared.settings.stages[usize::from(to)].queue;
        let (producer, consumer) = ring_of(room as usize);
        shared.budget.add_queue(room as usize * size_of::<T>());
        Self {
            ends: Mutex::new((Some(producer), Some(consumer))),
            link,
            drops: shared.info.overflow_at(to) == Overflow::DropNewest,
            before: shared.pins.before(shared.info, link),
            behind: shared.pins.behind(shared.info, link),
        }
    }

    /// The end that pushes, for the thread that calls.
    pub fn sender<'w>(&self, w: &Worker<'w>) -> Sender<'w, T> {
        let end = self.ends().0.take();
        Sender {
            producer: end.expect("one thread pushes into a ring, and asks for its end once"),
            wait: Waiter::new(w),
            link: self.link,
            drops: self.drops,
            last: Last {
                shared: w.shared,
                behind: self.behind,
            },
        }
    }

    /// The life of the thread that takes.
    pub fn serve<'w>(
        &self,
        w: &mut Worker<'w>,
        mut run: impl FnMut(RingLoad<'_, T>, &mut Worker<'w>),
    ) {
        let shared = w.shared;
        let Some(mut consumer) = self.ends().1.take() else {
            return;
        };
        let mut wait = Waiter::new(w);
        loop {
            // Asked before the ring is: what was pushed before it was closed is taken.
            let closed = consumer.is_closed();
            let drain = consumer.drain();
            if drain.len() > 0 && !shared.is_stopping() {
                let (drain, link) = (Some(drain), self.link);
                run(RingLoad { drain, link }, w);
                wait.found();
                shared.pins.wake(self.before);
            } else if drain.len() > 0 {
                shared.dropped(self.link, drain.count() as u64);
                shared.pins.wake(self.before);
            } else {
                drop(drain);
                if closed && consumer.is_empty() {
                    return;
                }
                wait.rest(None, || !consumer.is_empty() || consumer.is_closed());
            }
        }
    }

    fn ends(&self) -> MutexGuard<'_, Ends<T>> {
        // Only moves happen under the lock.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pinned thread pushes by, for its whole life.
pub struct Sender<'w, T: 'static> {
    producer: Producer<T>,
    wait: Waiter<'w>,
    link: u16,
    drops: bool,
    /// Dropped after the producer, which closes the ring.
    last: Last<'w>,
}

/// Wakes the thread behind a ring when it is closed.
struct Last<'w> {
    shared: &'w Shared,
    behind: usize,
}

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.shared.pins.wake(self.behind);
    }
}

impl<T: 'static> Sender<'_, T> {
    /// For the loop over a batch.
    pub fn batch(&mut self) -> Sending<'_, T> {
        Sending {
            burst: self.producer.burst(),
            wait: &mut self.wait,
            link: self.link,
            drops: self.drops,
            shared: self.last.shared,
            behind: self.last.behind,
            idle: self
                .last
                .shared
                .pins
                .places()
                .get(self.last.behind)
                .map(|pin| &pin.idle),
        }
    }
}

/// Pushes the items of one batch; what is not published by then is when it is dropped.
pub struct Sending<'s, T: 'static> {
    burst: Burst<'s, T>,
    wait: &'s mut dyn Rests,
    link: u16,
    drops: bool,
    shared: &'s Shared,
    behind: usize,
    /// Where the reader sleeps.
    idle: Option<&'s Idle>,
}

impl<T: 'static> Sending<'_, T> {
    /// Pushes an item; waits while the ring is full. If the run stops meanwhile, or the ring does not wait, the item is dropped
    /// and counted.
    #[inline(always)]
    pub fn push(&mut self, item: T) {
        match self.burst.try_push(item) {
            // What was not published yet is found by a reader that looks around; one that sleeps is woken.
            Ok(()) if self.idle.is_some_and(Idle::has_sleepers) => publish(self),
            Ok(()) => {}
            Err(item) => self.push_with_care(item),
        }
    }

    #[inline(always)]
    fn push_with_care(&mut self, item: T) {
        if make_room(self) {
            // It has found room.
            match self.burst.try_push(item) {
                Ok(()) => return,
                Err(item) => return lose(self.shared, self.link, item),
            }
        }
        lose(self.shared, self.link, item);
    }
}

/// Drops an item for which there is no room, because the run stops or the ring does not wait.
#[cold]
fn lose<T>(shared: &Shared, link: u16, item: T) {
    if shared.is_stopping() {
        shared.dropped(link, 1);
        return;
    }
    shared.lost(link, Why::Overflow, 1);
    drop_for(Why::Overflow, item);
}

/// Publishes what was pushed. Neither this nor [`make_room`] runs a user's code or can unwind, and `extern "C"` says so to
/// the compiler: else it would keep the counts of the loop around them in memory, for the sake of a panic that cannot be.
#[cold]
extern "C" fn publish<T>(to: &mut Sending<'_, T>) {
    if to.burst.publish() {
        to.shared.pins.wake(to.behind);
    }
}

/// Publishes what was pushed, and waits for room; false if the run stops meanwhile, or where the ring does not wait.
#[cold]
extern "C" fn make_room<T>(to: &mut Sending<'_, T>) -> bool {
    publish(to);
    while !to.burst.make_room() {
        if to.drops || to.shared.is_stopping() || to.burst.is_closed() {
            return false;
        }
        let (burst, shared) = (&mut to.burst, to.shared);
        to.wait
            .rest_until(&mut || burst.make_room() || shared.is_stopping());
    }
    true
}

/// A waiter, whatever run it is of.
trait Rests {
    fn rest_until(&mut self, visible: &mut dyn FnMut() -> bool);
}

impl Rests for Waiter<'_> {
    fn rest_until(&mut self, visible: &mut dyn FnMut() -> bool) {
        self.rest(None, visible);
    }
}

impl<T: 'static> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        publish(self);
    }
}

/// What was in a ring when its reader looked.
pub struct RingLoad<'c, T: 'static> {
    /// Until it is opened.
    drain: Option<Drain<'c, T>>,
    link: u16,
}

impl<T: 'static> Load for RingLoad<'_, T> {
    type Item = T;

    fn open(&mut self) -> impl Rest<Item = T> {
        Undivided(self.drain.take().expect("a load is opened once"))
    }

    fn feed(&mut self) -> impl Feed<Item = T> {
        OneByOne(self.drain.take().expect("a load is opened once"))
    }

    fn open_tagged(&mut self) -> impl Rest<Item = (u32, T)> {
        Undivided((0..=u32::MAX).zip(self.drain.take().expect("a load is opened once")))
    }

    /// None: behind a ring there are rings only, which need no tickets.
    fn ticket(&self) -> u32 {
        u32::MAX
    }

    fn part(&self) -> u16 {
        0
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn link(&self) -> u16 {
        self.link
    }

    fn is_divisible(&self, _: Watch<'_>) -> bool {
        false
    }
}

impl<T> fmt::Debug for RingLink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingLink")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sender<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for RingLoad<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingLoad")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
