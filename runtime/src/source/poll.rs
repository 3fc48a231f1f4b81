//! A source that is asked again and again: `fn(&mut S, &mut Emit<T>) -> Flow`.

use std::{fmt, sync::Arc};

use super::{Place, Pulled, SourceCtl};
use crate::{
    ack_ring::Standing,
    acks::{Acked, Acknowledged},
    carrier::{Carrier, Home},
    diagnose::Crossing,
    drive::Segment,
    emit::{Emit, Flow},
    error::{InitError, RunError},
    graph::Site,
    sync::{Ordering, fence},
    token::Token,
    worker::Worker,
};

/// A function with a state that workers call, one worker at a time.
pub struct PollSource<S, T: 'static, F> {
    inner: Token<Inner<S, T>>,
    poll: F,
    home: Home<T>,
    place: Place,
    acked: Option<Acked<S>>,
}

struct Inner<S, T> {
    state: S,
    emit: Emit<T>,
    /// Has it ended, and waits for what it gave to be done, because it may have to go back?
    ended: bool,
}

// SAFETY: a source is made with a `Crossing<T>`, which exists for `T: Send` only.
unsafe impl<S: Send, T> Send for Inner<S, T> {}

impl<S, T, F> PollSource<S, T, F>
where
    T: 'static,
    F: Fn(&mut S, &mut Emit<T>) -> Flow,
{
    /// The source number `source`, whose stage is `stage`.
    pub fn new<In>(
        site: &Site<'_, In>,
        source: usize,
        stage: u16,
        (state, poll): (S, F),
        crossing: Crossing<T>,
    ) -> Self {
        let link = site.shared.source_link(source);
        let home = Home::new(
            site.shared,
            link,
            site.shared.credits.total() as usize,
            crossing,
        );
        let inner = Token::new(Inner {
            state,
            emit: Emit::new(),
            ended: false,
        });
        Self {
            inner,
            poll,
            home,
            place: Place { source, stage },
            acked: None,
        }
    }

    /// As [`Self::new`], with a state that is told up to where everything is done.
    ///
    /// # Errors
    ///
    /// If the state has nobody who keeps that.
    pub fn with_acks<In>(
        site: &Site<'_, In>,
        source: usize,
        stage: u16,
        (mut state, poll): (S, F),
        acknowledged: Acknowledged<S>,
        crossing: Crossing<T>,
    ) -> Result<Self, InitError> {
        let shared = site.shared;
        let acked = acknowledged(&mut state)
            .map_err(|error| InitError::new(shared.stage_name(stage), error))?;
        shared.sources[source].set_acks(Arc::clone(&acked.acks));
        let mut this = Self::new(site, source, stage, (state, poll), crossing);
        this.acked = Some(acked);
        Ok(this)
    }

    /// Takes a quantum of items and hands them to `run` in a carrier.
    pub fn pull<'w>(
        &self,
        w: &mut Worker<'w>,
        run: impl FnOnce(Carrier<T>, &mut Worker<'w>),
    ) -> Pulled {
        let fill = |w: &Worker<'_>, inner: &mut Inner<S, T>, carrier: &mut Carrier<T>, limit| {
            ask(
                w,
                &self.place,
                &self.poll,
                self.acked.as_ref(),
                inner,
                limit,
            );
            std::mem::swap(carrier.items(), inner.emit.items());
        };
        let drawn = |inner: &Inner<S, T>, batch| {
            if let Some(acked) = &self.acked {
                (acked.note)(&inner.state, batch);
            }
        };
        self.place
            .pull(w, &self.inner, &self.home, fill, drawn, run)
    }

    /// Runs a quantum of items through the whole pipeline.
    pub fn solo<C: Segment>(
        &mut self,
        w: &mut Worker<'_>,
        cx: &mut C,
        step: impl Fn(&mut C, T, &mut C::Tally),
    ) -> Pulled {
        self.solo_by(w, |place, w, items, begun| {
            place.all(w, items, begun, cx, step)
        })
    }

    /// Asks for a quantum of items and lets `run` run them. It is also told when the pull began.
    pub(crate) fn solo_by<'w>(
        &mut self,
        w: &mut Worker<'w>,
        run: impl FnOnce(&Place, &mut Worker<'w>, std::vec::Drain<'_, T>, u64) -> Pulled,
    ) -> Pulled {
        let begun = w.now();
        let ctl = self.place.ctl(w);
        let limit = ctl.limit(false);
        let (acked, place) = (self.acked.as_ref(), &self.place);
        let inner = self.inner.get_mut();
        ask(w, place, &self.poll, acked, inner, limit);
        if let Some(acked) = acked.filter(|_| !inner.emit.is_empty()) {
            (acked.note)(&inner.state, ctl.next_batch());
        }
        run(place, w, inner.emit.items().drain(..), begun)
    }
}

/// Asks for at most so many items, unless batches must be done before.
fn ask<S, T>(
    w: &Worker<'_>,
    place: &Place,
    poll: &impl Fn(&mut S, &mut Emit<T>) -> Flow,
    acked: Option<&Acked<S>>,
    inner: &mut Inner<S, T>,
    limit: u64,
) {
    let stays = acked.is_some_and(|acked| acked.back().is_some());
    if let Some(acked) = acked.filter(|_| stays)
        && !goes_on(w, place, acked, inner)
    {
        return;
    }
    match acked.map_or(limit, |acked| acked.allows(&inner.state, limit)) {
        0 => wait_for_acks(w, place),
        limit => collect(w, place, poll, inner, limit, stays),
    }
}

/// Nobody tells a source that waits for what it gave to be done: it looks again after 1 ms.
const SETTLING_NS: u64 = 1_000_000;

/// What a source does that may have to go back, before it is asked: false if it is not to be asked now.
fn goes_on<S, T>(w: &Worker<'_>, place: &Place, acked: &Acked<S>, inner: &mut Inner<S, T>) -> bool {
    let (ctl, shared) = (place.ctl(w), w.shared);
    if shared.is_closing() {
        ctl.end();
        return false;
    }
    match (acked.acks.standing(), inner.ended) {
        (Standing::Clear | Standing::Busy, false) => true,
        (Standing::Clear, true) => {
            ctl.end();
            false
        }
        (Standing::Busy, true) | (Standing::Returned { settled: false }, _) => {
            rest_until(w, ctl, shared.now().saturating_add(SETTLING_NS));
            false
        }
        (Standing::Returned { settled: true }, _) => match shared.guards.turn_back_for() {
            Some(wait) => {
                rest_until(w, ctl, shared.now().saturating_add(wait));
                false
            }
            None => go_back(w, place, acked, inner),
        },
    }
}

/// Goes back to where everything is done; false if that ends the run.
fn go_back<S, T>(w: &Worker<'_>, place: &Place, acked: &Acked<S>, inner: &mut Inner<S, T>) -> bool {
    inner.ended = false;
    let back = || acked.back().map_or(Ok(()), |back| back(&mut inner.state));
    match place.guarded(w, back) {
        Some(Ok(())) => true,
        failed => {
            if let Some(Err(error)) = failed {
                let (stage, error) = (w.shared.stage_name(place.stage), error.to_string());
                w.shared.fail(RunError::Failed { stage, error });
            }
            place.ctl(w).end();
            false
        }
    }
}

/// Asks until there is a quantum of items, or none for now. `stays`: a source that has ended is kept until all is done.
fn collect<S, T>(
    w: &Worker<'_>,
    place: &Place,
    poll: &impl Fn(&mut S, &mut Emit<T>) -> Flow,
    inner: &mut Inner<S, T>,
    limit: u64,
    stays: bool,
) {
    let ctl = place.ctl(w);
    while (inner.emit.len() as u64) < limit {
        if w.shared.is_closing() {
            return ctl.end();
        }
        match place.guarded(w, || poll(&mut inner.state, &mut inner.emit)) {
            Some(Flow::More) => {}
            Some(Flow::Idle) => return rest(w, place, ctl),
            Some(Flow::Done) if stays => {
                inner.ended = true;
                return rest(w, place, ctl);
            }
            Some(Flow::Done) | None => return ctl.end(),
        }
    }
    ctl.retry_at(0);
}

/// As [`rest`], for a source whose batches are not done; it ends if the run closes.
fn wait_for_acks(w: &Worker<'_>, place: &Place) {
    let ctl = place.ctl(w);
    match w.shared.is_closing() {
        true => ctl.end(),
        false => rest(w, place, ctl),
    }
}

/// Leaves the source alone for its `idle` time, unless the run closes.
fn rest(w: &Worker<'_>, place: &Place, ctl: &SourceCtl) {
    let idle = w.shared.live.idle(place.stage);
    rest_until(w, ctl, w.shared.now() + idle);
}

/// Leaves the source alone until that time of the run, unless the run closes.
fn rest_until(w: &Worker<'_>, ctl: &SourceCtl, time: u64) {
    ctl.retry_at(time);
    // Pairs with the fence in `Shared::close`: either this sees that it closes, or the closing undoes the rest.
    fence(Ordering::SeqCst);
    if w.shared.is_closing() {
        ctl.retry_at(0);
    }
}

impl<S, T, F> fmt::Debug for PollSource<S, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollSource")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
