//! Where pushed items wait until a worker takes them: one bounded queue, made of many small ones.
//!
//! **Shards.** Every thread pushes into a shard of its own (two threads share one only when there are more than
//! [`SHARDS`]), under the shard's lock, which nobody else wants most of the time. A worker that runs out of items takes the
//! whole content of all shards at once: the first by swapping buffers, the others by copying. So an item costs its sender an
//! uncontended lock and its taker next to nothing, what one thread sends stays in its order, and a sender that is
//! descheduled holds up nobody but itself. What a worker does not want of that is left for the next one.
//!
//! **Announcing.** `pending` has a bit for each shard and lane. A sender sets it under the shard's lock if it is not set,
//! and only then has to wake a worker: if the bit was set, whoever set it wakes one, and the items have not been taken
//! since, because the taker clears the bit under the same lock when it takes them.
//!
//! **Room.** The whole queue holds `capacity` items. `room` is what is left of that; a shard takes some of it in advance, so
//! that not every item has to be counted where all senders meet, and keeps at most `ahead` of it. All shards together keep
//! at most a quarter of the capacity, or nothing if that is too little to be shared: so when there is no room, items are
//! waiting, and taking them makes room.
//!
//! **Who is too many.** Where a full queue drops items, a sender that finds no room takes the place of a worker: it takes out the item
//! that would be taken next of a lane, under the same lock, and pushes its own into that room. What was taken out gives its
//! room back under that lock, so who finds nothing to take out has room.
//!
//! **Another capacity** changes the room by the difference, which may leave it below zero: then nothing is pushed until enough was
//! taken. Where the queue becomes smaller, the shards give back what they have in advance, each under its lock; who has the lock
//! afterwards knows the new capacity. So what the shards keep is a quarter of that again.
//!
//! **Closing** takes each shard's lock once. Afterwards nothing can be pushed, and what was pushed is announced.

use std::sync::TryLockError;

use crossbeam_utils::CachePadded;

use self::buffer::Buffer;
use crate::{
    lane::{LANES, Lane},
    sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, spin_loop},
};

mod buffer;
#[cfg(all(test, loom))]
mod models;

#[cfg_attr(
    loom,
    allow(unused_imports, reason = "not all of their users are there")
)]
pub(crate) use self::buffer::{NEVER, Times};

/// Shards of a queue. With its lanes they fill a word of bits.
pub(crate) const SHARDS: usize = if cfg!(any(loom, shuttle)) { 2 } else { 16 };

/// Most room that a shard takes in advance.
const MOST_AHEAD: u64 = 64;

/// A buffer has room for all items of the queue as soon as it has any, or for as many as this is enough for: so the few buffers
/// of a queue grow once, and not again and again whenever more items wait than ever before.
const ROOMY_BYTES: usize = 64 << 10;

/// The queue.
pub(crate) struct Intake<T> {
    shards: Box<[CachePadded<Mutex<Shard<T>>>]>,
    pending: CachePadded<AtomicU64>,
    /// Room that no shard has, as an `i64`.
    room: CachePadded<AtomicU64>,
    capacity: AtomicU64,
    /// Items that a buffer has room for from the beginning.
    roomy: AtomicUsize,
    closed: AtomicBool,
    /// What workers have taken out of the shards and did not want, the last item first, so that the next ones are taken from
    /// the end.
    taken: Mutex<Lined<T>>,
    /// Items that workers were given so far. Only whoever has the lock of `taken` changes it.
    given: AtomicU64,
    /// Lanes in which something of that is left: a bit each.
    left: AtomicU64,
}

/// Items by lane.
type Lined<T> = [Buffer<T>; LANES];

struct Shard<T> {
    open: bool,
    /// Room taken in advance.
    room: u64,
    lanes: Lined<T>,
}

/// How an item is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) lane: Lane,
    pub(crate) times: Times,
}

impl From<Lane> for Sent {
    fn from(lane: Lane) -> Self {
        Self {
            lane,
            times: Times::NONE,
        }
    }
}

/// How items are divided among workers that take them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// Workers that find something.
    pub(crate) sharers: usize,
    /// As many are taken in any case.
    pub(crate) least: usize,
}

impl Shares {
    fn of(self, items: usize) -> usize {
        items
            .div_ceil(self.sharers.max(1))
            .max(self.least)
            .min(items)
    }
}

/// Whose buffers items come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// The taker keeps its buffer, and items are copied.
    Kept,
    /// Buffers are exchanged: the taker's belongs to nobody else, and may become as large as the queue.
    Exchanged,
}

/// What can be taken out of a full queue.
enum Victim<T> {
    One(T),
    /// Items of other lanes wait.
    Others,
    /// Nothing waits.
    None,
}

/// What came of pushing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Some were pushed; `news`: workers do not know yet that there is something.
    Some { news: bool },
    /// There is no room.
    Full,
    /// Nothing is taken any more.
    Closed,
}

impl<T> Intake<T> {
    pub(crate) fn new(capacity: u64) -> Self {
        let shard = || Shard {
            open: true,
            room: 0,
            lanes: Lined::default(),
        };
        Self {
            shards: (0..SHARDS)
                .map(|_| CachePadded::new(Mutex::new(shard())))
                .collect(),
            pending: CachePadded::new(AtomicU64::new(0)),
            room: CachePadded::new(AtomicU64::new(capacity)),
            capacity: AtomicU64::new(capacity),
            roomy: AtomicUsize::new(roomy::<T>(capacity)),
            closed: AtomicBool::new(false),
            taken: Mutex::new(Lined::default()),
            given: AtomicU64::new(0),
            left: AtomicU64::new(0),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Holds so many items from now on. If more of them wait, nothing is pushed until they do not. Whoever waits for room is to
    /// look again.
    pub(crate) fn resize(&self, capacity: u64) {
        let before = self.capacity.swap(capacity, Ordering::Relaxed);
        self.roomy.store(roomy::<T>(capacity), Ordering::Relaxed);
        // Relaxed: as in `take_room`.
        self.room
            .fetch_add(capacity.wrapping_sub(before), Ordering::Relaxed);
        if capacity < before {
            for shard in 0..SHARDS {
                let mut slot = self.shard(shard);
                self.room
                    .fetch_add(std::mem::take(&mut slot.room), Ordering::Relaxed);
            }
        }
    }

    /// Items that wait. Takes every lock for a moment.
    pub(crate) fn len(&self) -> usize {
        let in_shards: usize = (0..SHARDS)
            .map(|shard| count(&self.shard(shard).lanes))
            .sum();
        in_shards + count(&lock(&self.taken))
    }

    /// Items that workers were given so far.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Is there room that no shard has taken?
    pub(crate) fn room(&self) -> u64 {
        below_zero_is_none(self.room.load(Ordering::Relaxed))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Does nothing wait?
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0 && self.left.load(Ordering::Acquire) == 0
    }

    /// Does something wait in this lane?
    pub(crate) fn waits_in(&self, lane: Lane) -> bool {
        self.pending.load(Ordering::Acquire) & (ALL_SHARDS << (lane.index() * SHARDS)) != 0
            || self.left.load(Ordering::Acquire) & (1 << lane.index()) != 0
    }

    /// Pushes the item that `item` holds, and takes it out of there if there was room.
    pub(crate) fn push(&self, shard: usize, how: impl Into<Sent>, item: &mut Option<T>) -> Pushed {
        let mut slot = self.shard(shard);
        if !slot.open {
            return Pushed::Closed;
        }
        if self.find_room(&mut slot, 1) == 0 {
            return Pushed::Full;
        }
        self.push_into(slot, shard, how.into(), item)
    }

    /// Pushes into a shard that has room.
    #[inline]
    fn push_into(
        &self,
        mut slot: MutexGuard<'_, Shard<T>>,
        shard: usize,
        how: Sent,
        item: &mut Option<T>,
    ) -> Pushed {
        let into = &mut slot.lanes[how.lane.index()];
        if let Some(item) = item.take() {
            self.make_room(&mut into.items, 1);
            into.push(item, how.times);
        }
        slot.room -= 1;
        self.announce(slot, shard, how.lane)
    }

    /// Pushes the item that `item` holds into the room of one that waits, of the first of the lanes `victims` that has any, and
    /// returns that one, counted; into other room, if others have made some. It is [`Pushed::Full`] of items that stay.
    #[cold]
    pub(crate) fn displace<L: Iterator<Item = Lane>>(
        &self,
        shard: usize,
        how: Sent,
        victims: impl Fn() -> L,
        count: impl Fn(),
        item: &mut Option<T>,
    ) -> (Pushed, Option<T>) {
        loop {
            let (pushed, victim) = match self.take_one(victims(), &count) {
                Victim::One(victim) => (self.push_instead(shard, how, item), Some(victim)),
                Victim::Others => (self.push(shard, how, item), None),
                // Whoever has taken the items has made room, or pushes others there.
                Victim::None => match self.push(shard, how, item) {
                    Pushed::Full => {
                        spin_loop();
                        continue;
                    }
                    pushed => (pushed, None),
                },
            };
            return (pushed, victim);
        }
    }

    /// Counts an item that is not pushed, unless nothing is taken any more; true if it was counted.
    pub(crate) fn count_out(&self, shard: usize, count: impl FnOnce()) -> bool {
        // Under the lock: whoever has closed the queue finds it counted.
        let slot = self.shard(shard);
        if slot.open {
            count();
        }
        slot.open
    }

    /// As [`push`](Self::push), with the room of an item that was taken out.
    fn push_instead(&self, shard: usize, how: Sent, item: &mut Option<T>) -> Pushed {
        let mut slot = self.shard(shard);
        if !slot.open {
            return Pushed::Closed;
        }
        slot.room += 1;
        self.push_into(slot, shard, how, item)
    }

    /// Takes out the item that a worker would take next, of the first of these lanes that has any. Its room is the caller's.
    fn take_one(&self, lanes: impl Iterator<Item = Lane>, count: impl Fn()) -> Victim<T> {
        let mut taken = lock(&self.taken);
        // What waits now waits as long as the lock is held.
        let any = !self.is_empty();
        for lane in lanes.filter(|lane| self.waits_in(*lane)) {
            let rest = &mut taken[lane.index()];
            if rest.is_empty() {
                self.gather(lane, rest);
                rest.reverse();
            }
            let one = rest.pop();
            self.tell_left(lane, rest.is_empty());
            if let Some(one) = one {
                // Under the lock: whoever finds the queue empty finds it counted.
                count();
                return Victim::One(one);
            }
        }
        match any {
            true => Victim::Others,
            false => Victim::None,
        }
    }

    /// Pushes as many of the first items as there is room for, at most `most`, and takes them out of `items`.
    pub(crate) fn push_all(&self, shard: usize, how: Sent, items: &mut Vec<T>) -> Pushed {
        let Sent { lane, times } = how;
        let mut slot = self.shard(shard);
        if !slot.open {
            return Pushed::Closed;
        }
        let room = self.find_room(&mut slot, items.len() as u64);
        let many = room.min(items.len() as u64);
        if many == 0 {
            return Pushed::Full;
        }
        let into = &mut slot.lanes[lane.index()];
        self.make_room(&mut into.items, many as usize);
        into.take_over(items, many as usize, times);
        slot.room -= many;
        self.announce(slot, shard, lane)
    }

    /// Moves at most `most` items of a lane into `into`, which is empty, and leaves some for other workers as `shares` says.
    /// Returns how many there are. If it takes all, `into` may become one of the queue's buffers, and the queue has the other,
    /// where `buffers` says so. `times`, which is empty, has theirs then, if they are known of any.
    pub(crate) fn take(
        &self,
        lane: Lane,
        most: usize,
        shares: Shares,
        buffers: Buffers,
        into: &mut Vec<T>,
        times: &mut Vec<Times>,
    ) -> usize {
        let mut taken = lock(&self.taken);
        let rest = &mut taken[lane.index()];
        let fresh = rest.is_empty();
        if fresh {
            self.gather(lane, rest);
        }
        let many = most.min(shares.of(rest.len()));
        if fresh && many == rest.len() {
            rest.hand_all(buffers == Buffers::Exchanged, into, times);
        } else {
            if fresh {
                rest.reverse();
            }
            self.make_room(into, many);
            rest.hand_last(many, into, times);
        }
        self.tell_left(lane, rest.is_empty());
        let given = self.given.load(Ordering::Relaxed);
        self.given.store(given + many as u64, Ordering::Relaxed);
        if many > 0 {
            // Under the lock, so that whoever finds nothing to take out finds room. Relaxed: as in `take_room`.
            self.room.fetch_add(many as u64, Ordering::Relaxed);
        }
        many
    }

    /// Notes under the lock of `taken` whether something of a lane is left there.
    #[inline]
    fn tell_left(&self, lane: Lane, empty: bool) {
        let bit = 1 << lane.index();
        // Only whoever has the lock changes it. Release: with the bit go the items that it speaks of, and a closed queue
        // that looks empty has none.
        let left = self.left.load(Ordering::Relaxed);
        let now = if empty { left & !bit } else { left | bit };
        if now != left {
            self.left.store(now, Ordering::Release);
        }
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        for shard in 0..SHARDS {
            self.shard(shard).open = false;
        }
        // Release: whoever sees it sees the bits of everything that was pushed.
        self.closed.store(true, Ordering::Release);
    }

    /// Takes all items out, of a queue that is closed.
    pub(crate) fn empty_all(&self) -> Vec<Vec<T>> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let mut slot = self.shard(shard);
            all.extend(slot.lanes.each_mut().map(|lane| std::mem::take(lane).items));
        }
        let mut taken = lock(&self.taken);
        all.extend(taken.each_mut().map(|lane| std::mem::take(lane).items));
        self.left.store(0, Ordering::Release);
        self.pending.store(0, Ordering::Release);
        all
    }

    /// Is it closed and empty for good?
    pub(crate) fn has_ended(&self) -> bool {
        self.is_closed() && self.is_empty()
    }

    /// Swaps or appends what the shards hold in this lane.
    fn gather(&self, lane: Lane, items: &mut Buffer<T>) {
        let waiting = self.pending.load(Ordering::Acquire) >> (lane.index() * SHARDS) & ALL_SHARDS;
        if waiting == 0 {
            return;
        }
        // `left` says that something is there from now on; it must do so before the bits go.
        self.left.fetch_or(1 << lane.index(), Ordering::Release);
        let mut shards = waiting;
        let mut busy = None;
        while shards != 0 {
            let shard = shards.trailing_zeros() as usize;
            shards &= shards - 1;
            match self.shards[shard].try_lock() {
                // Somebody pushes there at the moment, and the next look will find it.
                Err(TryLockError::WouldBlock) => busy = busy.or(Some(shard)),
                Err(TryLockError::Poisoned(slot)) => {
                    self.empty(slot.into_inner(), shard, lane, items);
                }
                Ok(slot) => self.empty(slot, shard, lane, items),
            }
        }
        if let Some(shard) = busy.filter(|_| items.is_empty()) {
            self.empty(self.shard(shard), shard, lane, items);
        }
    }

    fn empty(
        &self,
        mut slot: MutexGuard<'_, Shard<T>>,
        shard: usize,
        lane: Lane,
        items: &mut Buffer<T>,
    ) {
        self.pending
            .fetch_and(!bit_of(shard, lane), Ordering::Release);
        let lane = &mut slot.lanes[lane.index()];
        if items.is_empty() {
            std::mem::swap(items, lane);
        } else {
            items.append(lane);
        }
    }

    /// Room for `wanted` items in a shard, as far as there is any.
    #[inline]
    fn find_room(&self, slot: &mut Shard<T>, wanted: u64) -> u64 {
        if slot.room < wanted {
            self.take_room(slot, wanted);
        }
        slot.room
    }

    #[cold]
    fn take_room(&self, slot: &mut Shard<T>, wanted: u64) {
        let ahead = (self.capacity() / (4 * SHARDS as u64)).clamp(1, MOST_AHEAD);
        let wanted = (wanted - slot.room).max(ahead);
        let mut room = self.room.load(Ordering::Relaxed);
        while below_zero_is_none(room) > 0 {
            let some = room.min(wanted);
            // Relaxed: it is a number; what it bounds is handed over under the locks.
            match self.room.compare_exchange_weak(
                room,
                room - some,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return slot.room += some,
                Err(now) => room = now,
            }
        }
    }

    /// Room in a buffer for so many more items, and at once for all that it has room for from the beginning.
    #[inline]
    fn make_room(&self, items: &mut Vec<T>, more: usize) {
        let roomy = self.roomy.load(Ordering::Relaxed);
        let least = roomy.max(items.len() + more);
        if items.capacity() < least {
            items.reserve(least - items.len());
        }
    }

    #[inline]
    fn announce(&self, slot: MutexGuard<'_, Shard<T>>, shard: usize, lane: Lane) -> Pushed {
        let bit = bit_of(shard, lane);
        let news = self.pending.load(Ordering::Relaxed) & bit == 0;
        if news {
            self.pending.fetch_or(bit, Ordering::Release);
        }
        drop(slot);
        Pushed::Some { news }
    }

    fn shard(&self, shard: usize) -> MutexGuard<'_, Shard<T>> {
        lock(&self.shards[shard % SHARDS])
    }
}

const ALL_SHARDS: u64 = (1 << SHARDS) - 1;

fn bit_of(shard: usize, lane: Lane) -> u64 {
    1 << (lane.index() * SHARDS + shard % SHARDS)
}

/// Room that may be below zero.
fn below_zero_is_none(room: u64) -> u64 {
    (room as i64).max(0) as u64
}

/// Items that a buffer of such a queue has room for from the beginning.
fn roomy<T>(capacity: u64) -> usize {
    (ROOMY_BYTES / size_of::<T>().max(1)).min(capacity as usize)
}

fn count<T>(lanes: &Lined<T>) -> usize {
    lanes.iter().map(Buffer::len).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Under the locks only buffers grow: if memory runs out there, what they hold is still whole.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The shard of this thread.
#[cfg(not(loom))]
#[inline]
pub(crate) fn own_shard() -> usize {
    crate::sync::thread_number() % SHARDS
}
