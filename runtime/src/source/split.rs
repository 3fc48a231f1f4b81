//! Sources that can be cut into pieces, so that workers run them side by side without handing items over.

use std::{
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{Place, Pulled, busy, pieces::Pieces};
use crate::{
    carrier::{Carrier, Home},
    diagnose::crosses_threads,
    drive::{HANDED, Segment, Watch, panic_message},
    graph::Site,
    load::{Load, Rest},
    shared::Shared,
    simd::{Feed, PieceFeed},
    tail::{self, Division},
    token::Token,
    worker::Worker,
};

/// Something that pieces can be cut from: ranges, slices, vectors, or your own.
///
/// ```
/// use pipewright::Splittable;
///
/// let mut numbers = 0..10u64;
/// let first: Vec<u64> = numbers.cut(4).unwrap().collect();
/// assert_eq!(first, [0, 1, 2, 3]);
/// ```
#[diagnostic::on_unimplemented(
    message = "a source returns `Flow` (with `Emit`), `impl Iterator<Item = T>`, or something that can be cut, which `{Self}` cannot",
    label = "not a source",
    note = "ranges, `Vec<T>`, `Arc<[T]>` and `&'static [T]` can be cut; implement `Splittable` for your own type"
)]
pub trait Splittable: Send {
    /// The items.
    type Item: Send + 'static;
    /// A piece.
    type Piece: Iterator<Item = Self::Item>;
    /// Cuts the next at most `items` items off (at least one); `None` when nothing is left.
    fn cut(&mut self, items: usize) -> Option<Self::Piece>;
    /// The next `N` items of a piece at once, where a loop over blocks is faster for it: a stage with `simd = ..` asks. `None`,
    /// which is the default, if they are not at hand at once; then `piece` has not changed.
    #[inline(always)]
    fn block<const N: usize>(piece: &mut Self::Piece) -> Option<[Self::Item; N]> {
        let _ = piece;
        None
    }
}

macro_rules! ranges {
    ($($int:ty)*) => {$(
        impl Splittable for Range<$int> {
            type Item = $int;
            type Piece = Range<$int>;

            fn cut(&mut self, items: usize) -> Option<Self::Piece> {
                if self.start >= self.end {
                    return None;
                }
                let left = self.end.abs_diff(self.start);
                let take = <$int>::try_from(items).map_or(left as $int, |items| items.max(1));
                let end = if take as u128 >= left as u128 { self.end } else { self.start + take };
                let piece = self.start..end;
                self.start = end;
                Some(piece)
            }

            #[inline(always)]
            fn block<const N: usize>(piece: &mut Self::Piece) -> Option<[Self::Item; N]> {
                // Every offset into a piece of so many items fits the type.
                if piece.start >= piece.end || (piece.end.abs_diff(piece.start) as u128) < N as u128 {
                    return None;
                }
                let start = piece.start;
                piece.start = start.wrapping_add(N as $int);
                Some(std::array::from_fn(|at| start.wrapping_add(at as $int)))
            }
        }
    )*};
}
ranges!(u8 u16 u32 u64 usize i32 i64);

impl<T: Clone + Send + Sync + 'static> Splittable for &'static [T] {
    type Item = T;
    type Piece = std::iter::Cloned<std::slice::Iter<'static, T>>;

    fn cut(&mut self, items: usize) -> Option<Self::Piece> {
        if self.is_empty() {
            return None;
        }
        let (piece, rest) = self.split_at(items.clamp(1, self.len()));
        *self = rest;
        Some(piece.iter().cloned())
    }
}

/// What a source function may return to be cut: anything [`Splittable`], or a vector.
#[diagnostic::on_unimplemented(
    message = "a source returns `Flow` (with `Emit`), `impl Iterator<Item = T>`, or something that can be cut, which `{Self}` cannot",
    label = "not a source",
    note = "ranges, `Vec<T>`, `Arc<[T]>` and `&'static [T]` can be cut; implement `Splittable` for your own type"
)]
pub trait IntoSplittable {
    /// What is cut.
    type Whole: Splittable;
    /// The whole.
    fn into_splittable(self) -> Self::Whole;
}

impl<S: Splittable> IntoSplittable for S {
    type Whole = S;

    fn into_splittable(self) -> S {
        self
    }
}

impl<T: Send + 'static> IntoSplittable for Vec<T> {
    type Whole = Pieces<T>;

    fn into_splittable(self) -> Pieces<T> {
        Pieces::new(self)
    }
}

impl<T: Clone + Send + Sync + 'static> IntoSplittable for Arc<[T]> {
    type Whole = ArcPieces<T>;

    fn into_splittable(self) -> ArcPieces<T> {
        let range = 0..self.len();
        ArcPieces { items: self, range }
    }
}

/// A piece of a shared slice; it yields clones.
#[derive(Clone, Debug)]
pub struct ArcPieces<T> {
    items: Arc<[T]>,
    range: Range<usize>,
}

impl<T: Clone + Send + Sync + 'static> Splittable for ArcPieces<T> {
    type Item = T;
    type Piece = ArcPieces<T>;

    fn cut(&mut self, items: usize) -> Option<ArcPieces<T>> {
        let range = self.range.cut(items)?;
        Some(ArcPieces {
            items: Arc::clone(&self.items),
            range,
        })
    }
}

impl<T: Clone> Iterator for ArcPieces<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.range.next().map(|i| self.items[i].clone())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

/// A splittable source: workers cut morsels from it under its token and run them side by side.
pub struct SplitSource<S: Splittable> {
    whole: Token<S>,
    /// Buffers for what is left of a morsel to other workers.
    home: Home<S::Item>,
    place: Place,
}

impl<S: Splittable> SplitSource<S> {
    /// The source number `source`, whose stage is `stage`.
    pub fn new<In>(
        site: &Site<'_, In>,
        source: usize,
        stage: u16,
        whole: impl IntoSplittable<Whole = S>,
    ) -> Self {
        // Without links a morsel never leaves its worker.
        if site.shared.info.links.is_empty() {
            site.shared.sources[source].set_free();
        }
        let link = site.shared.source_link(source);
        Self {
            whole: Token::new(whole.into_splittable()),
            home: Home::new(site.shared, link, 1, crosses_threads()),
            place: Place { source, stage },
        }
    }

    /// Cuts a quantum of items off and hands them to `run`.
    pub fn pull<'w>(
        &self,
        w: &mut Worker<'w>,
        run: impl FnOnce(Morsel<'_, S>, &mut Worker<'w>),
    ) -> Pulled {
        let Some(ticket) = w.take_ticket() else {
            return Pulled::Idle;
        };
        let place = &self.place;
        let ctl = place.ctl(w);
        let link = w.shared.source_link(place.source);
        let ticket = Held {
            shared: w.shared,
            ticket,
            link,
        };
        // Where a morsel's items are handed on, they fill carriers.
        let limit = ctl.limit(!ctl.is_free());
        let cut = self.whole.grab(|whole| {
            let piece = place.cut(w, whole, limit);
            if piece.is_some() {
                place.draw(w, ticket.ticket);
            }
            piece
        });
        let Some(piece) = cut else {
            return busy();
        };
        let Some(piece) = piece else {
            return place.nothing(w);
        };
        w.pass_on(ctl);
        let piece = Some(piece);
        let home = &self.home;
        let number = ticket.ticket;
        place.charging(w, number, limit, |w| {
            run(
                Morsel {
                    piece,
                    ticket,
                    home,
                },
                w,
            )
        })
    }

    /// Runs a quantum of items through the whole pipeline.
    pub fn solo<C: Segment>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        step: impl Fn(&mut C, S::Item, &mut C::Tally),
    ) -> Pulled {
        self.solo_by(w, |place, w, piece, begun| {
            place.all(w, piece, begun, cx, step)
        })
    }

    /// Cuts a quantum of items off and lets `run` run them. It is also told when the pull began.
    pub(crate) fn solo_by<'w>(
        &mut self,
        w: &mut Worker<'w>,
        run: impl FnOnce(&Place, &mut Worker<'w>, S::Piece, u64) -> Pulled,
    ) -> Pulled {
        let begun = w.now();
        let ctl = self.place.ctl(w);
        let Some(piece) = self.place.cut(w, self.whole.get_mut(), ctl.limit(false)) else {
            return self.place.nothing(w);
        };
        run(&self.place, w, piece, begun)
    }
}

impl Place {
    fn cut<S: Splittable>(&self, w: &Worker<'_>, whole: &mut S, items: u64) -> Option<S::Piece> {
        let piece = match w.shared.is_closing() {
            true => None,
            false => self.guarded(w, || whole.cut(items as usize)).flatten(),
        };
        if piece.is_none() {
            self.ctl(w).end();
        }
        piece
    }
}

/// A piece of a splittable source on its way, with its ticket.
pub struct Morsel<'r, S: Splittable> {
    /// Until it is opened.
    piece: Option<S::Piece>,
    ticket: Held<'r>,
    home: &'r Home<S::Item>,
}

/// One reference to a ticket.
struct Held<'r> {
    shared: &'r Shared,
    ticket: u32,
    link: u16,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.release(self.ticket);
    }
}

impl<S: Splittable> Load for Morsel<'_, S> {
    type Item = S::Item;

    fn open(&mut self) -> impl Rest<Item = S::Item> {
        let items = self.piece.take().expect("a load is opened once");
        let (home, ticket) = (self.home, self.ticket.ticket);
        Left {
            items,
            push: Carrier::push,
            home,
            ticket,
        }
    }

    fn feed(&mut self) -> impl Feed<Item = S::Item> {
        PieceFeed::<S>(self.piece.take().expect("a load is opened once"))
    }

    fn open_tagged(&mut self) -> impl Rest<Item = (u32, S::Item)> {
        let items = self.piece.take().expect("a load is opened once");
        let (home, ticket) = (self.home, self.ticket.ticket);
        Left {
            items: (0..=u32::MAX).zip(items),
            push: |tail: &mut Carrier<S::Item>, (tag, item)| tail.push_tagged(tag, item),
            home,
            ticket,
        }
    }

    fn ticket(&self) -> u32 {
        self.ticket.ticket
    }

    fn part(&self) -> u16 {
        0
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn link(&self) -> u16 {
        self.ticket.link
    }

    fn is_divisible(&self, w: Watch<'_>) -> bool {
        let source = usize::from(self.ticket.link) - w.shared.info.links.len();
        w.shared.division(self.ticket.link) != Division::Never
            && w.shared.sources[source].may_be_slow()
    }
}

/// What is left of a piece, and how its items go into a carrier.
struct Left<'m, I, T: 'static, P> {
    items: I,
    push: P,
    home: &'m Home<T>,
    ticket: u32,
}

impl<I: Iterator, T, P> Iterator for Left<'_, I, T, P> {
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

impl<I: Iterator, T, P: Fn(&mut Carrier<T>, I::Item)> Rest for Left<'_, I, T, P> {
    /// Leaves all of it: only a carrier has a back. Whoever takes that divides it.
    fn leave(&mut self, w: Watch<'_>) {
        // Its root has done one item at least, and only one piece comes from here.
        let Some(mut tail) = tail::begin(w, self.home.pool(), self.ticket, 0, 1) else {
            return;
        };
        let items = self.items.by_ref();
        let taken = catch_unwind(AssertUnwindSafe(|| {
            items.for_each(|item| (self.push)(&mut tail, item))
        }));
        if let Err(payload) = taken {
            w.shared.after_panic(HANDED, panic_message(payload));
        }
        tail::leave(w, tail);
    }
}

impl<S: Splittable> fmt::Debug for Morsel<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Morsel")
            .field("ticket", &self.ticket.ticket)
            .finish_non_exhaustive()
    }
}

impl<S: Splittable> fmt::Debug for SplitSource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitSource")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
