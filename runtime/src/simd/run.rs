//! The loop of a segment that is compiled for several vector levels.
//!
//! It takes blocks of 64 items where it can: the segment begins with maps and filters that say `simd`, their items are
//! small and can be copied, the level is one where blocks pay, and the source has 64 items at hand. A block goes through
//! these stages together; what they keep waits in a [`Sieve`] until there is a block of it, and goes on item by item
//! through the rest of the loop, in order. At the end of a load nothing waits. Everything else goes item by item through
//! the loop of [`crate::drive`], compiled for the level.
//!
//! **Panics.** Nothing of a block is counted before all of it is through. If a map or filter panics, the block is forgotten
//! and its items, which were kept, go one by one through the whole loop, where the one that panics is isolated as any other
//! is: for the others, the stages are called again. If a stage behind the block panics, the items that wait are still in the
//! sieve, and the loop goes on with them. So position and counts are exact, and only stages that said `simd` see an item
//! twice.

use std::{
    marker::PhantomData,
    mem::{MaybeUninit, needs_drop},
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    block::{Again, Block, Places, Sieve, Waiting},
    lanes::{BLOCK, Lanes},
    level::{Body, Levels, dispatch},
};
use crate::{
    batch::Due,
    counts::Counts,
    drive::{HANDED, Next, Progress, Segment, Tally, Watch, caught, flush},
    load::Load,
};

/// Most bytes that the items of a block's stages take, one of each stage together.
const SMALL: usize = 64;

/// A loop that is compiled for vector levels, as items of its head number `ENTRY` enter it. Generated.
pub trait Vector<const ENTRY: usize>: Segment {
    /// What enters.
    type In: 'static;
    /// What comes out of the stages that take blocks.
    type Mid: 'static;
    /// What goes in and out of each of these stages.
    type Items;
    /// The levels.
    const LEVELS: Levels;
    /// Does it begin with stages that take blocks?
    const BLOCKS: bool;
    /// The last of these stages.
    const LAST: u16;
    /// Runs one item through the whole loop.
    fn item(&mut self, x: Self::In, t: &mut Self::Tally);
    /// Runs a block through the stages that take blocks. Counts only when nothing can panic any more.
    fn sift<L: Lanes>(
        &self,
        x: Block<Self::In>,
        out: &mut Sieve<'_, Self::Mid>,
        t: &mut Self::Tally,
    );
    /// Runs an item that came out of them through the rest of the loop.
    fn rest(&mut self, x: Self::Mid, t: &mut Self::Tally);
}

/// Whether items can be copied. Generated code asks [`MayCopy`] for it.
pub trait Copies<T> {
    /// Can they?
    const COPIES: bool;
    /// The first block of `items`, if there are as many.
    fn first(items: &[T]) -> Option<[T; BLOCK]>;
    /// A copy of a block, if it can be copied.
    fn again(block: &[T; BLOCK]) -> Option<[T; BLOCK]>;
}

/// Items can be copied.
#[derive(Clone, Copy, Debug)]
pub struct Copied;

impl<T: Copy> Copies<T> for Copied {
    const COPIES: bool = true;

    #[inline(always)]
    fn first(items: &[T]) -> Option<[T; BLOCK]> {
        items.first_chunk().copied()
    }

    #[inline(always)]
    fn again(block: &[T; BLOCK]) -> Option<[T; BLOCK]> {
        Some(*block)
    }
}

/// Items cannot be copied.
#[derive(Clone, Copy, Debug)]
pub struct CopiedNot;

impl<T> Copies<T> for CopiedNot {
    const COPIES: bool = false;

    #[inline(always)]
    fn first(_: &[T]) -> Option<[T; BLOCK]> {
        None
    }

    #[inline(always)]
    fn again(_: &[T; BLOCK]) -> Option<[T; BLOCK]> {
        None
    }
}

/// Says of a type whether it can be copied: `(&MayCopy::<T>::new()).copies()` finds the method below where it can, and
/// that of [`CopiesNot`] where it cannot.
#[derive(Debug)]
pub struct MayCopy<T>(PhantomData<T>);

impl<T> MayCopy<T> {
    /// Of this type.
    #[allow(clippy::new_without_default, reason = "only generated code makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Of a type that can be copied.
pub trait CopiesYes {
    /// It can.
    fn copies(&self) -> Copied;
}

impl<T: Copy> CopiesYes for MayCopy<T> {
    fn copies(&self) -> Copied {
        Copied
    }
}

/// Of any type.
pub trait CopiesNot {
    /// It cannot.
    fn copies(&self) -> CopiedNot;
}

impl<T> CopiesNot for &MayCopy<T> {
    fn copies(&self) -> CopiedNot {
        CopiedNot
    }
}

/// Items on their way into a loop, one by one or in blocks.
pub trait Feed: Iterator {
    /// The next block, if it is at hand.
    fn block<K: Copies<Self::Item>>(&mut self) -> Option<[Self::Item; BLOCK]>;
}

/// As [`drive`](crate::drive::drive), at the best vector level.
pub fn drive_vector<const ENTRY: usize, L, C, K>(w: Watch<'_>, mut load: L, cx: &mut C, _: K)
where
    L: Load<Item = C::In>,
    C: Vector<ENTRY>,
    K: Copies<C::In>,
{
    if w.shared.is_stopping() {
        return;
    }
    let link = load.link();
    through::<ENTRY, _, _, K>(w, load.feed(), link, cx);
    flush(w, cx, Due::All);
}

/// As [`drive_tagged`](crate::drive::drive_tagged), at the best vector level.
pub fn drive_tagged_vector<const ENTRY: usize, L, C, K>(w: Watch<'_>, mut load: L, cx: &mut C, _: K)
where
    L: Load,
    C: Vector<ENTRY, In = (u32, L::Item)>,
    K: Copies<C::In>,
{
    if w.shared.is_stopping() {
        return;
    }
    let link = load.link();
    through::<ENTRY, _, _, K>(w, OneByOne(load.open_tagged()), link, cx);
    flush(w, cx, Due::All);
}

/// Drives a whole feed; what is left when the pipeline stops is counted as dropped.
pub(crate) fn through<const ENTRY: usize, F, C, K>(
    w: Watch<'_>,
    feed: F,
    link: u16,
    cx: &mut C,
) -> u64
where
    F: Feed<Item = C::In>,
    C: Vector<ENTRY>,
    K: Copies<C::In>,
{
    let (mut feed, mut progress) = (Some(feed), Progress::default());
    let run = Limits {
        limit: u64::MAX,
        source: HANDED,
        link,
    };
    pump::<ENTRY, F, C, K>(w, &mut feed, run, cx, &mut progress);
    if w.shared.is_stopping() {
        w.shared
            .dropped(link, feed.into_iter().flatten().count() as u64);
    }
    progress.items
}

/// A feed that has its items one by one.
pub(crate) struct OneByOne<I>(pub(crate) I);

impl<I: Iterator> Iterator for OneByOne<I> {
    type Item = I::Item;

    #[inline(always)]
    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<I: Iterator> Feed for OneByOne<I> {
    #[inline(always)]
    fn block<K: Copies<I::Item>>(&mut self) -> Option<[I::Item; BLOCK]> {
        None
    }
}

/// What a call of [`pump`] may take, and from where.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Most items.
    pub(super) limit: u64,
    /// The stage that panics if taking an item does.
    pub(super) source: u16,
    /// The link, or the source, that the items came by.
    pub(super) link: u16,
}

/// What a loop that panicked leaves to the next one.
struct Home<F, T, U> {
    feed: Option<F>,
    /// The items of a block that go through the loop one by one.
    again: Again<T>,
    /// What came out of the maps and filters, and waits.
    waiting: Waiting<U>,
    /// The panic was in a block. It is not counted: its item is going to panic again.
    replays: bool,
}

/// As [`crate::drive::pump`], at the best vector level.
pub(super) fn pump<const ENTRY: usize, F, C, K>(
    w: Watch<'_>,
    feed: &mut Option<F>,
    run: Limits,
    cx: &mut C,
    progress: &mut Progress,
) where
    F: Feed<Item = C::In>,
    C: Vector<ENTRY>,
    K: Copies<C::In>,
{
    let mut home = Home {
        feed: feed.take(),
        again: Again::none(),
        waiting: Waiting::nothing(),
        replays: false,
    };
    loop {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let burst = Burst::<'_, ENTRY, F, C, K> {
                counts: w.counts,
                home: &mut home,
                run,
                progress,
                copies: PhantomData,
            };
            dispatch(w.shared.settings.available, C::LEVELS, burst, cx);
        }));
        let Err(payload) = attempt else { break };
        let again = std::mem::take(&mut home.replays);
        if !again && caught(w, cx, payload) == Next::Stop {
            break;
        }
    }
    abandon::<ENTRY, C>(w, run.link, home.again.left(), home.waiting.len());
    *feed = home.feed;
}

/// Counts what a run that stops leaves behind: items of a block that did not go through the loop again, and items that
/// came out of the maps and filters and wait.
fn abandon<const ENTRY: usize, C: Vector<ENTRY>>(
    w: Watch<'_>,
    link: u16,
    again: usize,
    waiting: usize,
) {
    w.shared.dropped(link, again as u64);
    let mut tally = C::Tally::default();
    tally.set_at(C::LAST);
    (0..waiting).for_each(|_| tally.recount(w.counts));
    w.shared.drop_inside(C::LAST, waiting as u64);
}

/// One run of the loop, until the items end, the limit is reached, or something panics.
struct Burst<'a, const ENTRY: usize, F: Feed<Item = C::In>, C: Vector<ENTRY>, K> {
    counts: &'a Counts,
    home: &'a mut Home<F, C::In, C::Mid>,
    run: Limits,
    progress: &'a mut Progress,
    copies: PhantomData<fn(&mut C, K)>,
}

impl<const ENTRY: usize, F, C, K> Body for Burst<'_, ENTRY, F, C, K>
where
    F: Feed<Item = C::In>,
    C: Vector<ENTRY>,
    K: Copies<C::In>,
{
    type Context = C;

    #[inline(always)]
    fn run<L: Lanes>(self, cx: &mut C) {
        let limit = self.run.limit - self.progress.items;
        // Beside the guard, not in it: see `Sieve`.
        let mut block = MaybeUninit::uninit();
        let mut places: Places<C::Mid> = [const { MaybeUninit::uninit() }; _];
        let mut guard = Guard::<'_, ENTRY, F, C> {
            feed: self.home.feed.take(),
            home: self.home,
            progress: self.progress,
            tally: C::Tally::default(),
            limit,
            left: limit,
            ended: false,
            phase: Phase::Item,
            block: &mut block,
            sieve: Sieve::new(&mut places),
            source: self.run.source,
            counts: self.counts,
        };
        if const { takes_blocks::<ENTRY, L, C, K>() } {
            guard.left_over(cx);
            guard.in_blocks::<L, K>(cx);
        }
        guard.one_by_one(cx);
        let (mut tally, taken) = guard.close();
        // Nothing of it is read any more: what follows may panic as far as LLVM knows, which must not keep the guard alive.
        std::mem::forget(guard);
        tally.seen(taken);
        tally.settle(self.counts);
    }
}

const fn takes_blocks<const ENTRY: usize, L: Lanes, C: Vector<ENTRY>, K: Copies<C::In>>() -> bool {
    let small = size_of::<C::Items>() <= SMALL && !needs_drop::<C::Items>();
    C::BLOCKS && L::BLOCKS && K::COPIES && small
}

/// What a panic would interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// One item, or taking it.
    Item,
    /// A block, which is in [`Guard::block`].
    Block,
    /// An item that came out of a block, or taking items for the next.
    Behind,
}

/// Position and counts of a running loop, as in [`crate::drive`]. It is never moved, so its parts can be registers, and
/// what only a panic would read is not kept at all where nothing can panic.
struct Guard<'a, const ENTRY: usize, F: Feed<Item = C::In>, C: Vector<ENTRY>> {
    feed: Option<F>,
    home: &'a mut Home<F, C::In, C::Mid>,
    progress: &'a mut Progress,
    tally: C::Tally,
    limit: u64,
    /// Items until the limit.
    left: u64,
    ended: bool,
    phase: Phase,
    /// There in [`Phase::Block`].
    block: &'a mut MaybeUninit<[C::In; BLOCK]>,
    sieve: Sieve<'a, C::Mid>,
    source: u16,
    counts: &'a Counts,
}

impl<const ENTRY: usize, F: Feed<Item = C::In>, C: Vector<ENTRY>> Guard<'_, ENTRY, F, C> {
    /// After a panic: first what waits, which is ahead of everything else, then the items of the block.
    #[inline(always)]
    fn left_over(&mut self, cx: &mut C) {
        self.phase = Phase::Behind;
        for item in self.home.waiting.by_ref() {
            cx.rest(item, &mut self.tally);
        }
        self.phase = Phase::Item;
        for item in self.home.again.by_ref() {
            self.tally.set_at(self.source);
            cx.item(item, &mut self.tally);
            self.left -= 1;
        }
    }

    /// Takes blocks as long as there are any. What waits when it returns has gone on.
    #[inline(always)]
    fn in_blocks<L: Lanes, K: Copies<C::In>>(&mut self, cx: &mut C) {
        let Some(feed) = &mut self.feed else { return };
        self.phase = Phase::Behind;
        while self.left >= BLOCK as u64 {
            self.tally.set_at(self.source);
            let Some(items) = next_block::<F, K>(feed, &mut self.home.again) else {
                break;
            };
            let Some(copy) = K::again(&items) else { break };
            self.block.write(copy);
            self.phase = Phase::Block;
            cx.sift::<L>(Block::full(items), &mut self.sieve, &mut self.tally);
            self.left -= BLOCK as u64;
            self.phase = Phase::Behind;
            if let Some(full) = self.sieve.full_block() {
                for place in &full {
                    // SAFETY: all places are taken, in order.
                    let item = unsafe { self.sieve.move_out(place) };
                    cx.rest(item, &mut self.tally);
                }
                self.sieve.close();
            }
        }
        for item in self.sieve.by_ref() {
            cx.rest(item, &mut self.tally);
        }
        self.phase = Phase::Item;
        // Of a block that the feed promised and had not.
        for item in self.home.again.by_ref() {
            self.tally.set_at(self.source);
            cx.item(item, &mut self.tally);
            self.left -= 1;
        }
    }

    /// Takes single items.
    #[inline(always)]
    fn one_by_one(&mut self, cx: &mut C) {
        let Some(feed) = &mut self.feed else { return };
        if self.left == 0 {
            return;
        }
        // As in `drive`: the one count goes down and is looked at where it changes.
        loop {
            self.tally.set_at(self.source);
            let Some(item) = feed.next() else {
                self.ended = true;
                break;
            };
            cx.item(item, &mut self.tally);
            self.left -= 1;
            if self.left == 0 {
                break;
            }
        }
    }

    /// Writes the position back, and gives the counts and the number of items that were taken.
    #[inline(always)]
    fn close(&mut self) -> (C::Tally, u64) {
        let taken = self.limit - self.left;
        self.progress.items += taken;
        self.progress.ended |= self.ended;
        self.home.feed = self.feed.take();
        (std::mem::take(&mut self.tally), taken)
    }

    /// While unwinding.
    #[cold]
    #[inline(never)]
    fn interrupted(&mut self) {
        let at = self.tally.at();
        match self.phase {
            // The item that panicked was taken, though the loop has not counted it yet.
            Phase::Item if at != self.source => self.left -= 1,
            Phase::Block => {
                // SAFETY: the block is there in this phase. Its items can be copied, or `K::again` had given none, so it
                // is no matter that they went into the maps as well.
                self.home.again = Again::all(unsafe { self.block.assume_init_read() });
                self.home.replays = true;
            }
            _ => {}
        }
        self.sieve.leave(&mut self.home.waiting);
        self.counts.set_at(at);
        if self.phase != Phase::Block {
            self.tally.recount(self.counts);
        }
        let (mut tally, taken) = self.close();
        tally.seen(taken);
        tally.settle(self.counts);
    }
}

impl<const ENTRY: usize, F: Feed<Item = C::In>, C: Vector<ENTRY>> Drop for Guard<'_, ENTRY, F, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.interrupted();
    }
}

/// The next block: from the feed at once, or item by item if it promises as many.
#[inline(always)]
fn next_block<F: Feed, K: Copies<F::Item>>(
    feed: &mut F,
    again: &mut Again<F::Item>,
) -> Option<[F::Item; BLOCK]> {
    if let Some(block) = feed.block::<K>() {
        return Some(block);
    }
    if feed.size_hint().0 < BLOCK {
        return None;
    }
    for _ in 0..BLOCK {
        again.push(feed.next()?);
    }
    again.take_block()
}
