//! The items that were taken ahead of their turn.

use std::{
    borrow::BorrowMut,
    marker::PhantomData,
    mem::{self, MaybeUninit},
};

use super::DISTANCE;

/// Places of the ring: those of the items ahead, and that of the item whose turn it is.
pub(super) const PLACES: usize = DISTANCE + 1;

type Places<T> = [MaybeUninit<T>; PLACES];

/// Up to [`PLACES`] items in their order, in places of its own or in borrowed ones.
///
/// *Invariant: the `len` places from `head` on hold an item.*
pub(super) struct Ring<T, P: BorrowMut<Places<T>> = Places<T>> {
    places: P,
    head: usize,
    len: usize,
    items: PhantomData<T>,
}

impl<T> Ring<T> {
    pub(super) fn new() -> Self {
        Self {
            places: [const { MaybeUninit::uninit() }; PLACES],
            head: 0,
            len: 0,
            items: PhantomData,
        }
    }

    /// The same ring with its state beside the places, so that the compiler can keep it in registers: it cannot while the two
    /// are in one value. This one is empty afterwards.
    pub(super) fn apart(&mut self) -> Ring<T, &mut Places<T>> {
        Ring {
            places: &mut self.places,
            head: self.head,
            len: mem::take(&mut self.len),
            items: PhantomData,
        }
    }
}

impl<T, P: BorrowMut<Places<T>>> Ring<T, P> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts an item behind the others.
    #[inline(always)]
    pub(super) fn push(&mut self, item: T) -> &T {
        assert!(self.len < PLACES, "the ring is full");
        self.len += 1;
        self.last().write(item)
    }

    /// Takes the oldest item out.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        // SAFETY: it is not empty.
        (self.len > 0).then(|| unsafe { self.pop_unchecked() })
    }

    /// Takes the oldest item out and puts another one in.
    ///
    /// # Safety
    ///
    /// The ring is not empty.
    #[inline(always)]
    pub(super) unsafe fn exchange(&mut self, item: T) -> T {
        // SAFETY: as the caller says.
        let oldest = unsafe { self.pop_unchecked() };
        self.len += 1;
        self.last().write(item);
        oldest
    }

    /// The place of the last item.
    #[inline(always)]
    fn last(&mut self) -> &mut MaybeUninit<T> {
        &mut self.places.borrow_mut()[(self.head + self.len - 1) % PLACES]
    }

    /// Takes the oldest item out.
    ///
    /// # Safety
    ///
    /// The ring is not empty.
    #[inline(always)]
    unsafe fn pop_unchecked(&mut self) -> T {
        let place = &self.places.borrow_mut()[self.head % PLACES];
        // SAFETY: there is an item at `head`, which the next lines forget there.
        let item = unsafe { place.assume_init_read() };
        self.head = (self.head + 1) % PLACES;
        self.len -= 1;
        item
    }
}

impl<T, P: BorrowMut<Places<T>>> Drop for Ring<T, P> {
    fn drop(&mut self) {
        // Asked, because the compiler does not see that the loop does nothing, and would keep the length for it.
        if mem::needs_drop::<T>() {
            while self.pop().is_some() {}
        }
    }
}
