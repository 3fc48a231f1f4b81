//! What a worker carries into a segment's loop: a carrier, or a piece of a source; and how it leaves a part of that to others
//! while the loop runs (see [`crate::tail`]).

use std::sync::Arc;

use crate::{
    carrier::{Carrier, Opened, Pool},
    drive::Watch,
    simd::Feed,
    tail::{self, Division},
};

/// Items that a worker carries into a segment: a carrier, or a morsel of a source.
pub trait Load {
    /// The items.
    type Item;
    /// The items, in order.
    fn open(&mut self) -> impl Rest<Item = Self::Item>;
    /// The items, in order, for a loop over blocks.
    fn feed(&mut self) -> impl Feed<Item = Self::Item>;
    /// The items with their position in the source's batch.
    fn open_tagged(&mut self) -> impl Rest<Item = (u32, Self::Item)>;
    /// The ticket that the outputs share.
    fn ticket(&self) -> u32;
    /// Which of the parts of its ticket it is, at the link that it came by.
    fn part(&self) -> u16;
    /// Have all pieces of its ticket come together in it?
    fn is_whole(&self) -> bool;
    /// The link that it came by.
    #[doc(hidden)]
    fn link(&self) -> u16;
    /// May a part of it be left to other workers while it runs?
    #[doc(hidden)]
    fn is_divisible(&self, w: Watch<'_>) -> bool;
}

/// Items of a load that are still to come.
pub trait Rest: Iterator {
    /// Leaves some of them, from the last one on, to other workers, if that is possible now.
    fn leave(&mut self, w: Watch<'_>);
}

/// Items of which none can be left to others.
pub(crate) struct Undivided<I>(pub(crate) I);

impl<I: Iterator> Iterator for Undivided<I> {
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

impl<I: Iterator> Rest for Undivided<I> {
    fn leave(&mut self, _: Watch<'_>) {}
}

/// What is drained from a carrier, where from, and how items go into another carrier.
struct Drained<'c, I, T: 'static, P> {
    items: I,
    push: P,
    home: &'c Arc<Pool<T>>,
    ticket: u32,
    part: u16,
    /// The place behind the last item, in the batch of the ticket's root.
    end: u32,
}

impl<I: Iterator, T, P> Iterator for Drained<'_, I, T, P> {
    type Item = I::Item;

    #[inline(always)]
    fn next(&mut self) -> Option<I::Item> {
        self.items.next()
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I, T, P> Rest for Drained<'_, I, T, P>
where
    I: DoubleEndedIterator + ExactSizeIterator,
    P: Fn(&mut Carrier<T>, I::Item),
{
    /// Leaves the back half.
    fn leave(&mut self, w: Watch<'_>) {
        let many = self.items.len() / 2;
        let place = self.end - many as u32;
        let begun = tail::begin(w, self.home, self.ticket, self.part, place);
        let Some(mut tail) = begun else { return };
        for item in self.items.by_ref().rev().take(many) {
            (self.push)(&mut tail, item);
        }
        let (tags, items) = tail.parts();
        tags.reverse();
        items.reverse();
        self.end = place;
        tail::leave(w, tail);
    }
}

impl<T: 'static> Load for Carrier<T> {
    type Item = T;

    fn open(&mut self) -> impl Rest<Item = T> {
        self.skip_expired();
        let (ticket, part) = (self.ticket(), self.part());
        let Opened { home, items, .. } = self.opened();
        let end = end(home, ticket, items);
        Drained {
            items: items.drain(..),
            push: Carrier::push,
            home,
            ticket,
            part,
            end,
        }
    }

    fn feed(&mut self) -> impl Feed<Item = T> {
        self.skip_expired();
        self.items().drain(..)
    }

    fn open_tagged(&mut self) -> impl Rest<Item = (u32, T)> {
        self.skip_expired();
        let (ticket, part) = (self.ticket(), self.part());
        let Opened { home, tags, items } = self.opened();
        // Untagged carriers come from sources: their items are tagged by position here.
        if tags.is_empty() {
            tags.extend(0..items.len() as u32);
        }
        let end = end(home, ticket, items);
        Drained {
            items: tags.drain(..).zip(items.drain(..)),
            push: |tail: &mut Carrier<T>, (tag, item)| tail.push_tagged(tag, item),
            home,
            ticket,
            part,
            end,
        }
    }

    fn ticket(&self) -> u32 {
        Carrier::ticket(self)
    }

    fn part(&self) -> u16 {
        Carrier::part(self)
    }

    fn is_whole(&self) -> bool {
        Carrier::is_whole(self)
    }

    fn link(&self) -> u16 {
        Carrier::link(self)
    }

    fn is_divisible(&self, w: Watch<'_>) -> bool {
        w.shared.division(Carrier::link(self)) != Division::Never
    }
}

/// The place behind the last of a carrier's items, in the batch of its ticket's root.
fn end<T: 'static>(home: &Arc<Pool<T>>, ticket: u32, items: &[T]) -> u32 {
    home.shared().credits.place(ticket) + items.len() as u32
}
