//! Where vector loops get their items: pieces, carriers and iterators as feeds, and sources for a worker that is alone.

use std::vec;

use super::run::{Copies, Feed, Limits, OneByOne, Vector, pump, through};
use crate::{
    source::{IngressSource, IterSource, Place, PollSource, Pulled, SplitSource, Splittable},
    worker::Worker,
};

/// A piece of a source that can be cut.
pub(crate) struct PieceFeed<S: Splittable>(pub(crate) S::Piece);

impl<S: Splittable> Iterator for PieceFeed<S> {
    type Item = S::Item;

    #[inline(always)]
    fn next(&mut self) -> Option<S::Item> {
        self.0.next()
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<S: Splittable> Feed for PieceFeed<S> {
    #[inline(always)]
    fn block<K: Copies<S::Item>>(&mut self) -> Option<[S::Item; super::lanes::BLOCK]> {
        S::block(&mut self.0)
    }
}

/// What is drained from a vector.
impl<T> Feed for vec::Drain<'_, T> {
    #[inline(always)]
    fn block<K: Copies<T>>(&mut self) -> Option<[T; super::lanes::BLOCK]> {
        let block = K::first(self.as_slice())?;
        self.nth(block.len() - 1);
        Some(block)
    }
}

impl<S: Splittable> SplitSource<S> {
    /// As [`Self::solo`], at the best vector level.
    pub fn solo_vector<const ENTRY: usize, C, K>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        _: K,
    ) -> Pulled
    where
        C: Vector<ENTRY, In = S::Item>,
        K: Copies<S::Item>,
    {
        self.solo_by(w, |place, w, piece, begun| {
            all::<ENTRY, _, _, K>(place, w, PieceFeed::<S>(piece), begun, cx)
        })
    }
}

impl<S, T: Send + 'static, F> PollSource<S, T, F>
where
    F: Fn(&mut S, &mut crate::Emit<T>) -> crate::Flow,
{
    /// As [`Self::solo`], at the best vector level.
    pub fn solo_vector<const ENTRY: usize, C, K>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        _: K,
    ) -> Pulled
    where
        C: Vector<ENTRY, In = T>,
        K: Copies<T>,
    {
        self.solo_by(w, |place, w, items, begun| {
            all::<ENTRY, _, _, K>(place, w, items, begun, cx)
        })
    }
}

impl<T: Send + 'static> IngressSource<T> {
    /// As [`Self::solo`], at the best vector level.
    pub fn solo_vector<const ENTRY: usize, C, K>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        _: K,
    ) -> Pulled
    where
        C: Vector<ENTRY, In = T>,
        K: Copies<T>,
    {
        self.solo_by(w, |place, w, items, begun| {
            all::<ENTRY, _, _, K>(place, w, items, begun, cx)
        })
    }
}

impl<I: Iterator> IterSource<I>
where
    I::Item: Send + 'static,
{
    /// As [`Self::solo`], at the best vector level.
    pub fn solo_vector<const ENTRY: usize, C, K>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        _: K,
    ) -> Pulled
    where
        C: Vector<ENTRY, In = I::Item>,
        K: Copies<I::Item>,
    {
        self.solo_by(w, |place, w, items, limit, progress| {
            let source = place.stage;
            let link = w.shared.source_link(place.source);
            let run = Limits {
                limit,
                source,
                link,
            };
            let mut feed = items.take().map(OneByOne);
            pump::<ENTRY, _, _, K>(w.watch(), &mut feed, run, cx, progress);
            *items = feed.map(|feed| feed.0);
        })
    }
}

/// As [`Place::all`], at the best vector level.
fn all<const ENTRY: usize, F, C, K>(
    place: &Place,
    w: &mut Worker<'_>,
    feed: F,
    begun: u64,
    cx: &mut C,
) -> Pulled
where
    F: Feed<Item = C::In>,
    C: Vector<ENTRY>,
    K: Copies<C::In>,
{
    let link = w.shared.source_link(place.source);
    let items = through::<ENTRY, F, C, K>(w.watch(), feed, link, cx);
    place.learned(w, items, begun)
}
