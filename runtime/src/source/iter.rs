//! A source that is an iterator.

use std::fmt;

use super::{Place, Pulled};
use crate::{
    carrier::{Carrier, Home},
    diagnose::Crossing,
    drive::{LIMITED, Next, Progress, Segment, pump},
    graph::Site,
    look_up::Pace,
    rest::WAKE_NS,
    token::Token,
    worker::Worker,
};

/// An iterator that workers take items from, one worker at a time.
pub struct IterSource<I: Iterator>
where
    I::Item: 'static,
{
    items: Token<Option<I>>,
    home: Home<I::Item>,
    place: Place,
}

impl<I: Iterator> IterSource<I>
where
    I::Item: 'static,
{
    /// The source number `source`, whose stage is `stage`.
    pub fn new<In>(
        site: &Site<'_, In>,
        source: usize,
        stage: u16,
        items: I,
        crossing: Crossing<I::Item>,
    ) -> Self {
        let link = site.shared.source_link(source);
        let home = Home::new(
            site.shared,
            link,
            site.shared.credits.total() as usize,
            crossing,
        );
        Self {
            items: Token::new(Some(items)),
            home,
            place: Place { source, stage },
        }
    }

    /// Takes a quantum of items and hands them to `run` in a carrier.
    pub fn pull<'w>(
        &self,
        w: &mut Worker<'w>,
        run: impl FnOnce(Carrier<I::Item>, &mut Worker<'w>),
    ) -> Pulled {
        let fill =
            |w: &Worker<'_>, items: &mut Option<I>, carrier: &mut Carrier<I::Item>, limit| {
                self.fill(w, items, carrier, limit);
            };
        self.place
            .pull(w, &self.items, &self.home, fill, |_, _| {}, run)
    }

    /// Runs a quantum of items through the whole pipeline, or fewer if they turn out to be slow and others may take the rest.
    pub fn solo<C: Segment>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        step: impl Fn(&mut C, I::Item, &mut C::Tally),
    ) -> Pulled {
        self.solo_by(w, |place, w, items, limit, progress| {
            let (shared, begun, mut pace) = (w.shared, w.now(), Pace::new(w.now()));
            let shares = shared.settings.workers > 1;
            let late = begun + shared.quantum() + 2 * WAKE_NS;
            loop {
                let most = if shares {
                    progress.items + pace.items
                } else {
                    limit
                };
                let most = most.min(limit);
                let next =
                    pump::<LIMITED, I, C>(w.watch(), items, most, place.stage, cx, &step, progress);
                if next == Next::Stop || progress.ended || progress.items >= limit {
                    return;
                }
                let now = shared.now();
                if now > late {
                    return;
                }
                pace.passed(now);
            }
        })
    }

    /// Lets `run` run a quantum of items, at most so many.
    pub(crate) fn solo_by<'w>(
        &mut self,
        w: &mut Worker<'w>,
        run: impl FnOnce(&Place, &mut Worker<'w>, &mut Option<I>, u64, &mut Progress),
    ) -> Pulled {
        let begun = w.now();
        let ctl = self.place.ctl(w);
        if w.shared.is_closing() {
            ctl.end();
            return Pulled::Done;
        }
        let mut progress = Progress::default();
        let limit = ctl.limit(false);
        run(&self.place, w, self.items.get_mut(), limit, &mut progress);
        ctl.learn_of(w, progress.items, begun);
        if progress.ended {
            ctl.end();
            return Pulled::Done;
        }
        Pulled::More
    }

    fn fill(
        &self,
        w: &Worker<'_>,
        items: &mut Option<I>,
        carrier: &mut Carrier<I::Item>,
        limit: u64,
    ) {
        let ctl = self.place.ctl(w);
        let Some(iter) = items.as_mut().filter(|_| !w.shared.is_closing()) else {
            return ctl.end();
        };
        let buffer = carrier.items();
        let filled = self
            .place
            .guarded(w, || buffer.extend(iter.take(limit as usize)));
        if filled.is_none() || (buffer.len() as u64) < limit {
            ctl.end();
        }
    }
}

impl<I: Iterator> fmt::Debug for IterSource<I>
where
    I::Item: 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IterSource")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
