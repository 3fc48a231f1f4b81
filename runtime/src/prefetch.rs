//! Prefetching iterators: the memory that an item leads to is asked for some items before the item's turn.
//!
//! A walk over handles or indices that lead to scattered memory waits for each miss where one item needs the one before, or
//! where the work on an item fills the processor's window. [`PrefetchExt::prefetching`] takes items out of an iterator
//! some time ahead, asks for the memory of each with an instruction that never waits, and hands the items on in order:
//!
//! ```
//! use pipewright::prefetch::PrefetchExt as _;
//!
//! let table: Vec<u64> = (0..1000).collect();
//! let wanted = [7, 900, 31, 500];
//! let sum: u64 = wanted.iter().prefetching(|at| &table[**at]).map(|at| table[*at]).sum();
//! assert_eq!(sum, 1438);
//! ```
//!
//! The closure returns a reference, so what is asked for is memory that the program may read; the compiler checks its
//! lifetime as of any reference. It is never read here. The first [`LINES`] cache lines of the value are asked for.
//!
//! How far ahead is not for the user to name: 31 items lie between asking and using ([`DISTANCE`]). On the machines
//! measured a distance of 8 to 32 is as good as the best within 3 %, with little work for each item and with much; nearer is
//! too late, and the processor has no more than 10 to 16 misses on their way at a time anyhow.
//! `cargo run --release -p pipewright-benches --bin prefetch` measures it.
//!
//! On x86-64 and AArch64 it is one instruction for each line; elsewhere nothing is asked for and the items come as they are.

mod ring;

use std::{fmt, iter::FusedIterator, ops::Deref};

use self::ring::Ring;

/// Items between asking for memory and using it.
pub const DISTANCE: usize = 31;

/// Most cache lines that are asked for at the beginning of a value; the processor follows a walk through more by itself.
pub const LINES: usize = 2;

/// Bytes of a cache line, or less: asking for the same line twice costs little, missing one costs a wait.
const LINE_BYTES: usize = 64;

/// Asks for the memory of `value`, without waiting and without reading it.
///
/// ```
/// let records = vec![[0u8; 64]; 4];
/// pipewright::prefetch::prefetch(&records[3]);
/// ```
#[inline(always)]
pub fn prefetch<T: ?Sized>(value: &T) {
    let size = size_of_val(value);
    if size == 0 {
        return;
    }
    let first = std::ptr::from_ref(value).cast::<u8>();
    ask(first);
    if LINES > 1 && size > LINE_BYTES {
        ask(first.wrapping_add(LINE_BYTES));
    }
}

/// Asks for the line at an address, whatever is there.
#[inline(always)]
pub(crate) fn ask_at(address: usize) {
    ask(std::ptr::without_provenance(address));
}

/// One line, by its address.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ask(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: it is a hint. The processor does nothing with an address that it may not read, so any address will do; SSE,
    // which the instruction belongs to, is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
}

/// One line, by its address.
#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline(always)]
fn ask(line: *const u8) {
    // SAFETY: it is a hint. The processor does nothing with an address that it may not read, so any address will do; it
    // changes no register, no flag and no memory.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(nostack, preserves_flags, readonly));
    }
}

/// Other processors are not asked.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", not(miri)))))]
#[inline(always)]
fn ask(_: *const u8) {}

/// An item that leads to memory elsewhere: `&T`, `Box<T>`, `Arc<T>`, `Vec<T>`, and what else is [`Deref`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` leads to no memory elsewhere",
    label = "not a handle",
    note = "a handle is a reference, a `Box`, an `Arc` or another type that is `Deref`; for an index or a key, give a function that finds what it stands for: `|item| &table[item.at]`"
)]
pub trait Handle {
    /// What it leads to.
    type Target: ?Sized;
    /// Where that is.
    fn target(&self) -> &Self::Target;
}

impl<H: Deref> Handle for H {
    type Target = H::Target;

    #[inline(always)]
    fn target(&self) -> &H::Target {
        self
    }
}

/// What finds the memory that an item leads to.
pub trait Find<Item> {
    /// Asks for it.
    fn ask(&mut self, item: &Item);
}

/// Finds memory by a closure; see [`PrefetchExt::prefetching`].
#[derive(Clone, Copy, Debug)]
pub struct By<F>(F);

impl<'t, Item, T: ?Sized + 't, F: FnMut(&Item) -> &'t T> Find<Item> for By<F> {
    #[inline(always)]
    fn ask(&mut self, item: &Item) {
        prefetch((self.0)(item));
    }
}

/// Finds memory behind handles; see [`PrefetchExt::prefetching_targets`].
#[derive(Clone, Copy, Debug)]
pub struct Targets;

impl<Item: Handle> Find<Item> for Targets {
    #[inline(always)]
    fn ask(&mut self, item: &Item) {
        prefetch(item.target());
    }
}

/// Prefetching for every iterator.
pub trait PrefetchExt: Iterator {
    /// Yields the same items in the same order, each [`DISTANCE`] items after the memory that `find` leads to was asked for.
    ///
    /// The items are taken from the iterator that much ahead. `find` is called once for each item, before it is yielded;
    /// if it panics, the item is still yielded.
    ///
    /// Without an allocation: the items on their way lie in the iterator.
    fn prefetching<'t, T, F>(self, find: F) -> Prefetching<Self, By<F>>
    where
        Self: Sized,
        T: ?Sized + 't,
        F: FnMut(&Self::Item) -> &'t T,
    {
        Prefetching::new(self, By(find))
    }

    /// As [`Self::prefetching`] for items that are handles: what they lead to is asked for.
    ///
    /// ```
    /// use pipewright::prefetch::PrefetchExt as _;
    ///
    /// let boxes: Vec<Box<u64>> = (0..100).map(Box::new).collect();
    /// assert_eq!(boxes.iter().map(|b| &**b).prefetching_targets().sum::<u64>(), 4950);
    /// ```
    fn prefetching_targets(self) -> Prefetching<Self, Targets>
    where
        Self: Sized,
        Self::Item: Handle,
    {
        Prefetching::new(self, Targets)
    }
}

impl<I: Iterator> PrefetchExt for I {}

/// The values of a slice at some positions, asked for ahead.
///
/// The positions are checked when their memory is asked for, [`DISTANCE`] items before their turn.
///
/// ```
/// let table = ["a", "b", "c"];
/// let found: Vec<&str> = pipewright::prefetch::gather(&table, [2, 0]).copied().collect();
/// assert_eq!(found, ["c", "a"]);
/// ```
///
/// # Panics
///
/// While it is iterated, at a position outside of the slice.
pub fn gather<T, P: IntoIterator<Item = usize>>(
    slice: &[T],
    positions: P,
) -> impl Iterator<Item = &T> + use<'_, T, P> {
    positions
        .into_iter()
        .map(|at| &slice[at])
        .prefetching_targets()
}

/// An iterator that asks for memory ahead; made by [`PrefetchExt`].
///
/// An item is in the ring before its memory is asked for, so a panic of what finds the memory loses none.
pub struct Prefetching<I: Iterator, A> {
    items: I,
    find: A,
    /// What was taken and not yet yielded.
    ring: Ring<I::Item>,
    /// Has `items` ended? Then it is not asked again.
    ended: bool,
}

impl<I: Iterator, A: Find<I::Item>> Prefetching<I, A> {
    fn new(items: I, find: A) -> Self {
        Self {
            items,
            find,
            ring: Ring::new(),
            ended: false,
        }
    }

    /// Takes items until [`DISTANCE`] are on their way.
    #[inline(always)]
    fn fill(&mut self) {
        while self.ring.len() < DISTANCE && !self.ended {
            self.take_one();
        }
    }

    #[cold]
    fn fill_first(&mut self) {
        self.fill();
    }

    /// Takes one more; for a ring that has room.
    #[inline(always)]
    fn take_one(&mut self) {
        match self.items.next() {
            Some(item) => self.find.ask(self.ring.push(item)),
            None => self.ended = true,
        }
    }
}

impl<I: Iterator, A: Find<I::Item>> Iterator for Prefetching<I, A> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        if self.ring.len() < DISTANCE && !self.ended {
            self.fill_first();
        }
        // From here on `DISTANCE` items are on their way, until the iterator ends; one more after a panic of `find`.
        if self.ring.len() == DISTANCE && !self.ended {
            self.take_one();
        }
        self.ring.pop()
    }

    /// The same loop with its state at hand, for callers that do not stop in between.
    ///
    /// `each` is called in one place, so that the compiler takes it into the loop however much it does. For as long as items
    /// come, an item takes the place of the oldest; nobody goes on behind a panic, so it need not be in the ring while its
    /// memory is found.
    #[inline]
    fn fold<B, F: FnMut(B, I::Item) -> B>(mut self, first: B, mut each: F) -> B {
        self.fill();
        let Self {
            mut items,
            mut find,
            mut ring,
            mut ended,
        } = self;
        let mut ring = ring.apart();
        let mut folded = first;
        let mut exchange = !ended && ring.len() == DISTANCE;
        loop {
            let oldest = if exchange {
                let Some(item) = items.next() else {
                    (exchange, ended) = (false, true);
                    continue;
                };
                find.ask(&item);
                // SAFETY: `DISTANCE` items were in it when `exchange` was set, and as many are since.
                unsafe { ring.exchange(item) }
            } else {
                let Some(oldest) = ring.pop() else {
                    return folded;
                };
                // Where there was one too many, there are `DISTANCE` now.
                exchange = !ended;
                oldest
            };
            folded = each(folded, oldest);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.ring.len();
        if self.ended {
            return (len, Some(len));
        }
        let (least, most) = self.items.size_hint();
        (
            least.saturating_add(len),
            most.and_then(|most| most.checked_add(len)),
        )
    }
}

impl<I: ExactSizeIterator, A: Find<I::Item>> ExactSizeIterator for Prefetching<I, A> {}

// Once `items` has ended it is not asked again.
impl<I: Iterator, A: Find<I::Item>> FusedIterator for Prefetching<I, A> {}

impl<I: Iterator + fmt::Debug, A> fmt::Debug for Prefetching<I, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefetching")
            .field("items", &self.items)
            .field("ahead", &self.ring.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        rc::Rc,
    };

    use super::{ring::PLACES, *};

    fn check(items: usize) {
        let table: Vec<usize> = (0..items).map(|i| i * 7).collect();
        let positions = (0..items).rev();
        let expect: Vec<usize> = positions.clone().map(|at| table[at]).collect();
        let found: Vec<usize> = positions
            .clone()
            .prefetching(|at| &table[*at])
            .map(|at| table[at])
            .collect();
        assert_eq!(found, expect, "{items} items");
        let found = gather(&table, positions).fold(Vec::new(), |mut all, one| {
            all.push(*one);
            all
        });
        assert_eq!(found, expect, "{items} items gathered");
    }

    #[test]
    fn items_come_in_their_order_whatever_their_number() {
        for items in [0, 1, 2, DISTANCE - 1, DISTANCE, PLACES, PLACES + 1, 1000] {
            check(items);
        }
    }

    #[test]
    fn an_item_is_asked_for_before_its_turn() {
        let table = [0u8; 100];
        let mut asked = 0;
        let mut iter = (0..100).prefetching(|at: &usize| {
            asked += 1;
            &table[*at]
        });
        assert_eq!(iter.next(), Some(0));
        assert_eq!(iter.len(), 99);
        drop(iter);
        assert_eq!(asked, PLACES);
    }

    #[test]
    fn what_was_taken_ahead_is_dropped_with_the_iterator() {
        let one = Rc::new(1);
        let mut iter = vec![Rc::clone(&one); 50].into_iter().prefetching_targets();
        assert_eq!(iter.next().as_deref(), Some(&1));
        drop(iter);
        assert_eq!(Rc::strong_count(&one), 1);
    }

    #[test]
    fn an_ended_iterator_is_not_asked_again() {
        let mut calls = 0;
        let mut iter = std::iter::from_fn(|| {
            calls += 1;
            (calls == 1).then(|| Box::new(7))
        })
        .prefetching_targets();
        assert_eq!(iter.by_ref().map(|b| *b).collect::<Vec<_>>(), [7]);
        assert_eq!((iter.next(), iter.size_hint()), (None, (0, Some(0))));
        drop(iter);
        assert_eq!(calls, 2);
    }

    #[test]
    fn no_item_is_lost_when_finding_its_memory_panics() {
        let table = [0u8; 40];
        let mut iter = (0..60).prefetching(|at: &usize| &table[*at]);
        let mut found = Vec::new();
        while let Some(item) =
            catch_unwind(AssertUnwindSafe(|| iter.next())).unwrap_or(Some(usize::MAX))
        {
            found.push(item);
        }
        found.retain(|item| *item != usize::MAX);
        assert_eq!(found, (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn no_item_is_lost_or_dropped_twice_when_the_rest_is_folded_after_a_panic() {
        for panics_at in [0, 5, DISTANCE, 40, 59] {
            let items: Vec<Rc<usize>> = (0..60).map(Rc::new).collect();
            let mut left = items.clone().into_iter().prefetching(|item: &Rc<usize>| {
                assert_ne!(**item, panics_at);
                &0
            });
            let mut found = Vec::new();
            while let Ok(Some(item)) = catch_unwind(AssertUnwindSafe(|| left.next())) {
                found.push(item);
            }
            left.for_each(|item| found.push(item));
            assert_eq!(found, items, "a panic at {panics_at}");
            drop(found);
            assert!(items.iter().all(|item| Rc::strong_count(item) == 1));
        }
    }

    #[test]
    fn values_of_any_size_can_be_asked_for() {
        prefetch(&());
        prefetch::<[u64]>(&[]);
        prefetch("text");
        prefetch(&[0u8; 4096]);
        prefetch::<dyn fmt::Debug>(&[1, 2, 3]);
    }
}
