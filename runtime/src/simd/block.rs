//! Blocks: 64 items that go through maps and filters together, in loops that LLVM vectorises.
//!
//! What a filter keeps is packed, without a branch that depends on the item. Items in blocks have no drop glue (see
//! [`Vector::Items`](super::Vector)), so a block that a panic cuts short is just forgotten.

use std::{any::TypeId, fmt, mem::MaybeUninit};

use super::lanes::{BLOCK, Lanes, ROOM, pick};

/// At most 64 items that are moved through maps and filters together.
pub struct Block<T> {
    /// The first `len` are there.
    items: [MaybeUninit<T>; ROOM],
    /// At most [`BLOCK`].
    len: usize,
}

/// What waits behind the maps and filters until it is a block again.
pub struct Sieve<'a, T> {
    /// Those from `at` to `len` are there. They are not in here: LLVM keeps a struct in registers only if nothing in it is
    /// indexed.
    items: &'a mut Places<T>,
    at: usize,
    /// Less than [`FULL`] between two blocks, so that what one block gives has room.
    len: usize,
}

/// Room for what waits, and for what one more block gives.
pub(super) type Places<T> = [MaybeUninit<T>; FULL + ROOM];

/// So many items that wait go on together.
pub(super) const FULL: usize = BLOCK;

/// What waited when a panic interrupted the loop.
pub(super) struct Waiting<T> {
    /// Those from `at` to `len` are there.
    items: Places<T>,
    at: usize,
    len: usize,
}

impl<T: 'static> Block<T> {
    /// A full block.
    #[inline(always)]
    pub(super) fn full(from: [T; BLOCK]) -> Self {
        let mut block = Block::none();
        for (place, item) in block.items.iter_mut().zip(from) {
            place.write(item);
        }
        block.len = BLOCK;
        block
    }

    #[inline(always)]
    const fn none() -> Self {
        Self {
            items: [const { MaybeUninit::uninit() }; ROOM],
            len: 0,
        }
    }

    /// The places where an item is.
    #[inline(always)]
    fn there(&self) -> &[MaybeUninit<T>] {
        // SAFETY: `len` is at most `BLOCK`. A check could panic, for which LLVM would keep more of the loop than it needs.
        unsafe { self.items.get_unchecked(..self.len) }
    }

    /// How many items there are.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "only generated code asks")]
    pub fn len(&self) -> u64 {
        self.len as u64
    }

    /// Calls `map` with every item.
    #[inline(always)]
    pub fn map<U: 'static>(self, map: impl Fn(T) -> U) -> Block<U> {
        let mut out = Block::none();
        for (item, place) in self.there().iter().zip(&mut out.items) {
            // SAFETY: the first `len` are there, and each is moved out once.
            place.write(map(unsafe { item.assume_init_read() }));
        }
        out.len = self.len;
        out
    }

    /// Calls `map` with every item, and keeps of the results those that `keep` says.
    #[inline(always)]
    pub fn sift<L: Lanes, U: 'static>(
        self,
        map: impl Fn(T) -> U,
        keep: impl Fn(&U) -> bool,
    ) -> Block<U> {
        let mut out = Block::none();
        // SAFETY: there are `ROOM` places.
        out.len = unsafe { self.through::<L, U>(map, keep, out.items.as_mut_ptr().cast()) };
        out
    }

    /// As [`Self::sift`], for the last filter of a loop.
    #[inline(always)]
    pub fn sift_into<L: Lanes, U: 'static>(
        self,
        map: impl Fn(T) -> U,
        keep: impl Fn(&U) -> bool,
        out: &mut Sieve<'_, U>,
    ) {
        // SAFETY: `len` is less than `FULL` between two blocks, which leaves `ROOM` places.
        let to = unsafe { out.items.as_mut_ptr().add(out.len) };
        // SAFETY: as above.
        out.len += unsafe { self.through::<L, U>(map, keep, to.cast()) };
    }

    /// Hands on what came out of the last map of a loop without filters.
    #[inline(always)]
    pub fn into_sieve(self, out: &mut Sieve<'_, T>) {
        // SAFETY: `len` is less than `FULL` between two blocks; as above.
        let places = unsafe { out.items.get_unchecked_mut(out.len..) };
        for (place, item) in places.iter_mut().zip(self.there()) {
            // SAFETY: the first `len` are there, and each is moved out once.
            place.write(unsafe { item.assume_init_read() });
        }
        out.len += self.len;
    }

    /// The loop over the block, and the packing of what is kept; returns how many those are.
    ///
    /// # Safety
    ///
    /// `to` has room for `ROOM` items.
    #[inline(always)]
    unsafe fn through<L: Lanes, U: 'static>(
        self,
        map: impl Fn(T) -> U,
        keep: impl Fn(&U) -> bool,
        to: *mut U,
    ) -> usize {
        let mut mapped = [const { MaybeUninit::<U>::uninit() }; BLOCK];
        // Flags are as wide as the items where the mask is made from vectors of them; only one of the branches is compiled.
        let mask = if L::WIDE && size_of::<U>() == 8 {
            let mut flags = [0u64; BLOCK];
            self.flag(
                map,
                |item| u64::from(keep(item)).wrapping_neg(),
                &mut mapped,
                &mut flags,
            );
            L::mask64(&flags)
        } else if L::WIDE && size_of::<U>() == 4 {
            let mut flags = [0u32; BLOCK];
            self.flag(
                map,
                |item| u32::from(keep(item)).wrapping_neg(),
                &mut mapped,
                &mut flags,
            );
            L::mask32(&flags)
        } else {
            let mut flags = [0u8; BLOCK];
            self.flag(map, |item| u8::from(keep(item)), &mut mapped, &mut flags);
            L::mask8(&flags)
        };
        let packs = L::PACKS && self.len == BLOCK && is_number::<U>();
        if packs && size_of::<U>() == 8 {
            // SAFETY: every place of a full block was written, and the type is a number of 8 bytes.
            let mapped = unsafe { &*mapped.as_ptr().cast() };
            // SAFETY: the caller's.
            unsafe { L::pack64(mapped, mask, to.cast()) };
        } else if packs && size_of::<U>() == 4 {
            // SAFETY: as above, of 4 bytes.
            let mapped = unsafe { &*mapped.as_ptr().cast() };
            // SAFETY: the caller's.
            unsafe { L::pack32(mapped, mask, to.cast()) };
        } else {
            // SAFETY: a bit is set only where an item was written, and `to` has room for a block.
            unsafe { pick(mapped.as_ptr().cast(), mask, to) };
        }
        mask.count_ones() as usize
    }

    /// Writes what `map` gives and what `flag` says of it.
    #[inline(always)]
    fn flag<U, F>(
        &self,
        map: impl Fn(T) -> U,
        flag: impl Fn(&U) -> F,
        mapped: &mut [MaybeUninit<U>; BLOCK],
        flags: &mut [F; BLOCK],
    ) {
        for ((item, place), to) in self.there().iter().zip(mapped).zip(flags) {
            // SAFETY: the first `len` are there, and `through` moves each out once.
            let item = map(unsafe { item.assume_init_read() });
            *to = flag(&item);
            place.write(item);
        }
    }
}

/// The types that vectors are packed as; of other types of the same size some bytes may be padding, which is no value.
#[inline(always)]
fn is_number<T: 'static>() -> bool {
    let ty = TypeId::of::<T>();
    ty == TypeId::of::<u64>()
        || ty == TypeId::of::<i64>()
        || ty == TypeId::of::<f64>()
        || ty == TypeId::of::<usize>()
        || ty == TypeId::of::<isize>()
        || ty == TypeId::of::<u32>()
        || ty == TypeId::of::<i32>()
        || ty == TypeId::of::<f32>()
}

impl<T> Waiting<T> {
    pub(super) const fn nothing() -> Self {
        Self {
            items: [const { MaybeUninit::uninit() }; FULL + ROOM],
            at: 0,
            len: 0,
        }
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.len - self.at
    }
}

impl<'a, T> Sieve<'a, T> {
    #[inline(always)]
    pub(super) const fn new(items: &'a mut Places<T>) -> Self {
        Self {
            items,
            at: 0,
            len: 0,
        }
    }

    /// Moves what waits, if anything does.
    pub(super) fn leave(&mut self, to: &mut Waiting<T>) {
        if self.at < self.len {
            std::mem::swap(self.items, &mut to.items);
            (to.at, to.len) = (self.at, self.len);
        }
    }

    /// A copy of the first [`FULL`] items that wait, if there are as many, of a sieve from which nothing was taken: [`Self::move_out`] moves
    /// its items out, and [`Self::close`] comes after that. Nothing else refers to the copy, so LLVM may load several of its
    /// items at once, whatever is written to states meanwhile.
    #[inline(always)]
    pub(super) fn full_block(&self) -> Option<[MaybeUninit<T>; FULL]> {
        if self.len < FULL {
            return None;
        }
        let mut block = [const { MaybeUninit::uninit() }; FULL];
        // SAFETY: there are more places than that, and what is copied is not looked at.
        unsafe {
            block
                .as_mut_ptr()
                .copy_from_nonoverlapping(self.items.as_ptr(), FULL)
        };
        Some(block)
    }

    /// Moves the next item out, given its place in the copy.
    ///
    /// # Safety
    ///
    /// `place` is that of the next item, in what [`Self::full_block`] gave.
    #[inline(always)]
    pub(super) unsafe fn move_out(&mut self, place: &MaybeUninit<T>) -> T {
        self.at += 1;
        // SAFETY: the item is there, and from now on `at` says that it was taken.
        unsafe { place.assume_init_read() }
    }

    /// Moves what is left, less than a block, to the beginning, in one short run of vector copies.
    #[inline(always)]
    pub(super) fn close(&mut self) {
        let (front, back) = self.items.split_at_mut(FULL);
        // SAFETY: both parts are at least a block long, and what is copied is not looked at.
        unsafe {
            front
                .as_mut_ptr()
                .copy_from_nonoverlapping(back.as_ptr(), BLOCK)
        };
        self.len -= FULL;
        self.at = 0;
    }
}

/// Takes what waits out, one by one.
impl<T> Iterator for Sieve<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.at >= self.len {
            self.at = 0;
            self.len = 0;
            return None;
        }
        let at = self.at;
        self.at += 1;
        // SAFETY: `len` is at most the length of the array. A check could panic, for which the loop would keep everything.
        let place = unsafe { self.items.get_unchecked(at) };
        // SAFETY: those from `at` to `len` are there, and each is moved out once.
        Some(unsafe { place.assume_init_read() })
    }
}

impl<T> Iterator for Waiting<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let at = self.at;
        if at >= self.len {
            return None;
        }
        self.at += 1;
        // SAFETY: `len` is at most the length of the array; see [`Sieve::next`].
        let place = unsafe { self.items.get_unchecked(at) };
        // SAFETY: those from `at` to `len` are there, and each is moved out once.
        Some(unsafe { place.assume_init_read() })
    }
}

/// The items of a block on their way through the loop one by one: those that were taken before it was full, and those of
/// a block in which one panicked. They can be copied, so nothing has to be dropped.
pub(super) struct Again<T> {
    /// Those from `at` to `len` are there.
    items: [MaybeUninit<T>; BLOCK],
    at: usize,
    len: usize,
}

impl<T> Again<T> {
    #[inline(always)]
    pub(super) const fn none() -> Self {
        Self {
            items: [const { MaybeUninit::uninit() }; BLOCK],
            at: 0,
            len: 0,
        }
    }

    /// All items of a block.
    pub(super) fn all(block: [T; BLOCK]) -> Self {
        Self {
            items: block.map(MaybeUninit::new),
            at: 0,
            len: BLOCK,
        }
    }

    /// How many are left.
    pub(super) fn left(&self) -> usize {
        self.len - self.at
    }

    /// Adds one, if there is room.
    #[inline(always)]
    pub(super) fn push(&mut self, item: T) {
        if let Some(place) = self.items.get_mut(self.len) {
            place.write(item);
            self.len += 1;
        }
    }

    /// Takes out a full block.
    #[inline(always)]
    pub(super) fn take_block(&mut self) -> Option<[T; BLOCK]> {
        if self.at != 0 || self.len != BLOCK {
            return None;
        }
        self.len = 0;
        // SAFETY: all of them are there, and `len` says that they no longer are; an array of `MaybeUninit` has the layout
        // of the array.
        Some(unsafe { self.items.as_ptr().cast::<[T; BLOCK]>().read() })
    }
}

impl<T> Iterator for Again<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.at >= self.len {
            self.at = 0;
            self.len = 0;
            return None;
        }
        let at = self.at;
        self.at += 1;
        // SAFETY: `len` is at most the length of the array; see [`Sieve::next`].
        let place = unsafe { self.items.get_unchecked(at) };
        // SAFETY: those from `at` to `len` are there, and each is moved out once.
        Some(unsafe { place.assume_init_read() })
    }
}

impl<T> fmt::Debug for Block<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sieve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sieve")
            .field("waiting", &(self.len - self.at))
            .finish_non_exhaustive()
    }
}
