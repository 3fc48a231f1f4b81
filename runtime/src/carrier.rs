//! Carriers: batches on their way from one segment to the next, and the pools that their buffers come from.
//!
//! A carrier owns its items, shares the ticket of the pull that they came from, and returns itself: when it is dropped,
//! whatever it still holds is dropped and counted, its ticket is released and its buffer goes back to the pool of its
//! link. So no path, not even an unwinding one, can leak a credit or a buffer.
//!
//! A buffer knows its pool for good, also while it lies there, so that taking it and giving it back count no references. The
//! link that owns the pool breaks this circle: when it is dropped it closes the pool, which frees the buffers that are there
//! and takes no more.
//!
//! A [`Task`] is a carrier whose item type is not known: one pointer, for the run queues. It remembers its type and is
//! opened again with a check, so a wrong link is an error and never a wrong cast.

mod ring;

use std::{
    any::TypeId,
    fmt,
    mem::ManuallyDrop,
    ptr::NonNull,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    deadlines,
    diagnose::{Crossing, Gone},
    drive::Watch,
    guard::Kit,
    load::Load,
    scarcity::Spares,
    shared::Shared,
    spare::Spare,
};

pub(crate) use self::ring::CarrierRing;

/// Memory that a new buffer reserves: enough for a quantum of most items, so that few buffers ever grow.
const RESERVED_BYTES: usize = 32 << 10;
/// Most buffers that a pool has from the beginning; with more carriers on their way it makes them when they are needed.
const MADE_AHEAD: usize = 128;

/// Most buffers that a pool keeps; more are freed when they come back.
const MOST_KEPT: usize = 1 << 14;

/// What a run queue may know about a carrier.
#[repr(C)]
struct Header {
    item: TypeId,
    free: unsafe fn(NonNull<Header>),
    link: u16,
    part: u16,
    ticket: u32,
    number: u64,
    /// Have all pieces of its ticket come together in it, or in what it was made from?
    whole: bool,
    /// The memory node of the worker that used it first, to which it returns.
    node: u16,
    /// The flight that its items are in, counted from 1; 0 for none (see [`crate::flights`]).
    flight: u32,
}

/// A carrier's buffer with its header first, so that a pointer to the one is a pointer to the other.
#[repr(C)]
pub(crate) struct Node<T> {
    header: Header,
    items: Vec<T>,
    /// Position of each item in the source's batch; used on tagged links only.
    tags: Vec<u32>,
    /// What of it the budget of the run knows, in bytes.
    counted: usize,
    /// What its batch has with it at a guarded stage, once that was needed.
    kit: Option<Box<Kit<T>>>,
    /// Where to return to.
    home: Arc<Pool<T>>,
}

impl<T> Node<T> {
    /// Bytes that it takes.
    fn bytes(&self) -> usize {
        let kit = self.kit.as_ref().map_or(0, |kit| kit.bytes());
        self.items.capacity() * size_of::<T>() + self.tags.capacity() * size_of::<u32>() + kit
    }

    /// Lets the budget know of what was added to it while it was on its way.
    #[inline]
    fn count(&mut self) {
        let bytes = self.bytes();
        if bytes != self.counted {
            self.count_again(bytes);
        }
    }

    #[cold]
    #[inline(never)]
    fn count_again(&mut self, bytes: usize) {
        let shared = &self.home.shared;
        // It may be smaller, if it was given for another one.
        match bytes.checked_sub(self.counted) {
            Some(more) => shared.budget.add(more),
            None => shared.freed(self.counted - bytes),
        }
        self.counted = bytes;
    }
}

impl<T> Drop for Node<T> {
    fn drop(&mut self) {
        self.home.shared.freed(self.counted);
    }
}

// SAFETY: a home makes all nodes of its items, and a home is made with a `Crossing<T>`, which exists for `T: Send` only.
unsafe impl<T> Send for Node<T> {}

/// A link's pool of buffers, which is closed when this is dropped. The link belongs to the graph of a run, so it is there as
/// long as a worker is.
pub(crate) struct Home<T>(Arc<Pool<T>>);

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        // Release: who sees it closed sees that its link is gone.
        self.0.closed.store(true, Ordering::Release);
        self.0.empty();
    }
}

/// The buffers of one link, and what a returning carrier must reach.
pub(crate) struct Pool<T> {
    /// Spare buffers, by the memory node that their pages are on: those of the worker that touched them first.
    free: Box<[Spare<Node<T>>]>,
    /// Are buffers that come back freed?
    closed: AtomicBool,
    shared: Arc<Shared>,
    link: u16,
    /// Items that a new buffer has room for.
    room: usize,
    /// How to see that the caller of an item has left.
    gone: Option<Gone<T>>,
}

impl<T: 'static> Home<T> {
    pub(crate) fn new(shared: &Arc<Shared>, link: u16, buffers: usize, items: Crossing<T>) -> Self {
        let nodes = shared.seating.nodes();
        let spare = |_| Spare::new(buffers.clamp(1, MOST_KEPT));
        let pool = Arc::new(Pool {
            free: (0..nodes).map(spare).collect(),
            closed: AtomicBool::new(false),
            shared: Arc::clone(shared),
            link,
            room: Self::room(shared),
            gone: items.gone(),
        });
        let parts = shared.settings.parts_of(shared.info, link);
        shared.budget.needs(pool.room * size_of::<T>() * parts);
        // One worker has the pipeline to itself and carries nothing. Where memory is limited, nothing is made that may not be
        // needed.
        let carries = shared.is_parallel() || shared.settings.workers > 1;
        if carries && !shared.budget.is_limited() {
            for i in 0..buffers.min(MADE_AHEAD) {
                // There is room: no more are made than a list holds. Only their headers are touched here; the pages for
                // items come from the node whose worker fills them first.
                let node = i % nodes;
                drop(pool.free[node].give(pool.make(node as u16)));
            }
        }
        let spares: Weak<dyn Spares> = Arc::downgrade(&pool) as Weak<dyn Spares>;
        shared.add_spares(spares);
        Self(pool)
    }

    /// An empty carrier for a worker on memory node `at`, which takes over one reference to `ticket` from the caller.
    pub(crate) fn carrier(&self, at: u16, ticket: u32, part: u16) -> Carrier<T> {
        self.0.carrier(at, ticket, part)
    }

    /// Where its carriers' buffers are from.
    pub(crate) fn pool(&self) -> &Arc<Pool<T>> {
        &self.0
    }

    /// An empty carrier for the outputs of `load`, whose parts are counted from `base` here.
    pub(crate) fn carrier_of(&self, w: Watch<'_>, load: &impl Load, base: u16) -> Carrier<T> {
        w.shared.credits.share(load.ticket());
        let mut carrier = self.carrier(w.node, load.ticket(), base + load.part());
        carrier.set_whole(load.is_whole());
        carrier
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    pub(crate) fn link(&self) -> u16 {
        self.0.link
    }

    /// The buffer of a new carrier, for whoever gives it for that of a carrier.
    pub(crate) fn buffer(&self) -> Vec<T> {
        Vec::with_capacity(self.0.room)
    }

    /// Items that a new buffer has room for: of the memory that there may be, no more than the share of a pull.
    fn room(shared: &Shared) -> usize {
        Self::RESERVED.min(shared.budget.items_in(RESERVED_BYTES, size_of::<T>()))
    }

    /// Enough for a quantum of most items.
    const RESERVED: usize = {
        let size = if size_of::<T>() == 0 {
            1
        } else {
            size_of::<T>()
        };
        let fit = RESERVED_BYTES / size;
        if fit < 4 {
            4
        } else if fit > 4096 {
            4096
        } else {
            fit
        }
    };

    /// Spare buffers of each node, for tests.
    #[cfg(test)]
    pub(crate) fn spare(&self) -> Vec<usize> {
        self.0.free.iter().map(Spare::len).collect()
    }
}

impl<T: 'static> Pool<T> {
    /// As [`Home::carrier`], for who works on a carrier from here.
    pub(crate) fn carrier(self: &Arc<Self>, at: u16, ticket: u32, part: u16) -> Carrier<T> {
        let mut node = self.free[usize::from(at)]
            .take()
            .unwrap_or_else(|| self.make(at));
        node.header.ticket = ticket;
        self.shared.credits.set_at(ticket, self.link);
        node.header.part = part;
        node.header.number = 0;
        node.header.whole = false;
        node.header.flight = 0;
        Carrier(ManuallyDrop::new(node))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn link(&self) -> u16 {
        self.link
    }

    /// How to see that the caller of an item has left.
    pub(crate) fn gone(&self) -> Option<Gone<T>> {
        self.gone
    }

    #[cold]
    #[inline(never)]
    fn make(self: &Arc<Self>, node: u16) -> Box<Node<T>> {
        let header = Header {
            item: TypeId::of::<T>(),
            free: free::<T>,
            link: self.link,
            part: 0,
            ticket: 0,
            number: 0,
            whole: false,
            node,
            flight: 0,
        };
        // Where links are tagged, or futures end in any order, whoever takes a buffer may need its tags; without, nobody does.
        let info = self.shared.info;
        let tagged = info.links.iter().any(|link| link.tagged)
            || info.stages.iter().any(|stage| stage.is_async);
        let room = self.room;
        let mut node = Box::new(Node {
            header,
            items: Vec::with_capacity(room),
            tags: Vec::with_capacity(if tagged { room } else { 0 }),
            counted: 0,
            kit: None,
            home: Arc::clone(self),
        });
        node.count();
        node
    }
}

impl<T> Pool<T> {
    fn empty(&self) {
        for list in &self.free {
            while list.take().is_some() {}
        }
    }
}

impl<T: 'static> Spares for Pool<T> {
    fn free_all(&self) {
        self.empty();
    }
}

/// A batch of `T` on its way; see the top of the file.
pub struct Carrier<T: 'static>(ManuallyDrop<Box<Node<T>>>);

impl<T: 'static> Carrier<T> {
    /// Adds an item.
    #[inline(always)]
    pub fn push(&mut self, item: T) {
        self.0.items.push(item);
    }

    /// Adds an item with its position in the source's batch.
    #[inline(always)]
    pub fn push_tagged(&mut self, tag: u32, item: T) {
        self.0.tags.push(tag);
        self.0.items.push(item);
    }

    /// Items in it.
    pub fn len(&self) -> usize {
        self.0.items.len()
    }

    /// Has it no items?
    pub fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    pub(crate) fn items(&mut self) -> &mut Vec<T> {
        &mut self.0.items
    }

    pub(crate) fn parts(&mut self) -> (&mut Vec<u32>, &mut Vec<T>) {
        let node = &mut **self.0;
        (&mut node.tags, &mut node.items)
    }

    /// Drops what is of no use any more (see [`crate::deadlines`]), before a loop over it begins.
    #[inline(always)]
    pub(crate) fn skip_expired(&mut self) {
        if self.0.home.shared.deadlines.any() {
            deadlines::skip(self);
        }
    }

    /// What a loop over it needs.
    pub(crate) fn opened(&mut self) -> Opened<'_, T> {
        let node = &mut **self.0;
        Opened {
            home: &node.home,
            tags: &mut node.tags,
            items: &mut node.items,
        }
    }

    pub(crate) fn link(&self) -> u16 {
        self.0.header.link
    }

    pub(crate) fn ticket(&self) -> u32 {
        self.0.header.ticket
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.0.header.whole
    }

    pub(crate) fn set_whole(&mut self, whole: bool) {
        self.0.header.whole = whole;
    }

    pub(crate) fn part(&self) -> u16 {
        self.0.header.part
    }

    pub(crate) fn set_part(&mut self, part: u16) {
        self.0.header.part = part;
    }

    /// What its batch has with it at a guarded stage.
    pub(crate) fn kit(&mut self) -> &mut Option<Box<Kit<T>>> {
        &mut self.0.kit
    }

    /// Was it put aside, and does it not go on yet?
    pub(crate) fn is_paused(&self) -> bool {
        self.0.kit.as_ref().is_some_and(|kit| kit.is_paused()) || self.flight().is_some()
    }

    /// The flight that its items are in, if futures of them are under way.
    pub(crate) fn flight(&self) -> Option<usize> {
        (self.0.header.flight as usize).checked_sub(1)
    }

    pub(crate) fn set_flight(&mut self, flight: usize) {
        self.0.header.flight = flight as u32 + 1;
    }

    /// Goes on with another ticket, of which it takes over a reference, and gives back that of its own.
    pub(crate) fn exchange_ticket(&mut self, ticket: u32) {
        let old = std::mem::replace(&mut self.0.header.ticket, ticket);
        self.0.home.shared.release(old);
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.header.number
    }

    pub(crate) fn set_number(&mut self, number: u64) {
        self.0.header.number = number;
    }

    /// The box itself, for a slot of a ring.
    pub(crate) fn into_box(self) -> Box<Node<T>> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped or used again, so the box is moved out once.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }

    pub(crate) fn from_box(node: Box<Node<T>>) -> Self {
        Self(ManuallyDrop::new(node))
    }

    /// Forgets the type, for a run queue.
    pub(crate) fn into_task(self) -> Task {
        let raw = Box::into_raw(self.into_box());
        // SAFETY: a box is never null. Node is `repr(C)` with the header first.
        Task(unsafe { NonNull::new_unchecked(raw.cast()) })
    }
}

/// A carrier's contents, and where its buffer is from.
pub(crate) struct Opened<'c, T: 'static> {
    pub(crate) home: &'c Arc<Pool<T>>,
    pub(crate) tags: &'c mut Vec<u32>,
    pub(crate) items: &'c mut Vec<T>,
}

impl<T: 'static> Drop for Carrier<T> {
    fn drop(&mut self) {
        // SAFETY: `drop` runs once and nothing uses the carrier after it.
        let mut node = unsafe { ManuallyDrop::take(&mut self.0) };
        if !node.items.is_empty() {
            let Pool { shared, link, .. } = &*node.home;
            shared.dropped(*link, node.items.len() as u64);
            node.items.clear();
        }
        node.tags.clear();
        if let Some(kit) = &mut node.kit {
            let beside = kit.leave();
            if beside > 0 {
                node.home.shared.dropped(node.home.link, beside);
            }
        }
        let ticket = node.header.ticket;
        // Acquire: pairs with the Release of the link that is gone.
        if node.home.closed.load(Ordering::Acquire) {
            return node.home.shared.release(ticket);
        }
        node.count();
        // SAFETY: the link keeps the pool, and closes it when it goes with the graph. That is when nobody works on the graph
        // any more, and then whoever drops what is left sees it closed. So there is the link until the end of this function.
        let home = unsafe { &*Arc::as_ptr(&node.home) };
        if home.shared.budget.is_over() {
            drop(node);
        } else {
            // A full list means that more buffers were made than it was sized for; then this one is freed.
            drop(home.free[usize::from(node.header.node)].give(node));
        }
        home.shared.release(ticket);
    }
}

/// A carrier without its type.
pub struct Task(NonNull<Header>);

impl Task {
    /// The link it waits at.
    pub fn link(&self) -> u16 {
        // SAFETY: the pointer is to a live node's header until `open` or `drop`, which consume the task.
        unsafe { self.0.as_ref() }.link
    }

    pub(crate) fn ticket(&self) -> u32 {
        // SAFETY: as in `link`.
        unsafe { self.0.as_ref() }.ticket
    }

    /// The carrier again.
    ///
    /// # Panics
    ///
    /// If it carries another type: an error in generated code.
    pub fn open<T: 'static>(self) -> Carrier<T> {
        // SAFETY: as in `link`.
        let item = unsafe { self.0.as_ref() }.item;
        assert!(
            item == TypeId::of::<T>(),
            "a task was opened with another item type"
        );
        let this = ManuallyDrop::new(self);
        // SAFETY: the pointer came from `Box::into_raw` of a `Node<T>`: the type was just checked.
        Carrier::from_box(unsafe { Box::from_raw(this.0.as_ptr().cast()) })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: the task owns the node, which is alive until it is freed below.
        let free = unsafe { self.0.as_ref() }.free;
        // SAFETY: `free` was made for the node's type, and this is the node's only pointer.
        unsafe { free(self.0) }
    }
}

/// Drops the carrier behind a task.
///
/// # Safety
///
/// `raw` is the only pointer to a `Node<T>` from `Box::into_raw`.
unsafe fn free<T: 'static>(raw: NonNull<Header>) {
    // SAFETY: the caller's promise.
    drop(Carrier::<T>::from_box(unsafe {
        Box::from_raw(raw.as_ptr().cast())
    }));
}

// SAFETY: a task owns its node, and nodes are `Send`.
unsafe impl Send for Task {}

impl<T: 'static> fmt::Debug for Carrier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.0.header;
        f.debug_struct("Carrier")
            .field("link", &header.link)
            .field("len", &self.0.items.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("link", &self.link())
            .finish_non_exhaustive()
    }
}
