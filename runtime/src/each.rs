//! The inner loops of a segment: over what one call has sent, when it may send many.
//!
//! They go on behind an output that panics, as the item loop does behind an item (see [`crate::drive`]); each has its own
//! `catch_unwind`, outside its loop, so a stage that sends many pays for it once a call.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::{
    ahead::Ahead,
    batch::Collector,
    calls::{Answers, Call, Calls},
    counts::Counts,
    drive::{Next, Segment, Stopped, Tally as _, Watch, caught},
    emit::Emit,
    late,
};

/// Sends each of the many outputs of one item on, going on behind outputs that panic. `stage` is the one that makes
/// them; if it panics while it does, the rest of that item is lost and counted as panicked.
#[inline(always)]
pub fn each<I: IntoIterator, C: Segment>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    items: I,
    step: impl Fn(&mut C, I::Item, &mut C::Tally),
) {
    // What an iterator would still have made was never an item.
    each_or(w, cx, tally, stage, items.into_iter(), step, |_| 0);
}

/// As [`each`], for the items of a batch with which `stage` has panicked, and which leave as errors.
pub fn each_letter<I: IntoIterator, C: Segment>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    items: I,
    step: impl Fn(&mut C, I::Item, &mut C::Tally),
) {
    // All but one of them are counted as lost until they leave (see [`at_once`]).
    w.counts.panicked(stage, 1);
    let step = |cx: &mut C, item, tally: &mut C::Tally| {
        w.counts.unpanicked(stage);
        step(cx, item, tally);
    };
    each(w, cx, tally, stage, items, step);
}

/// The loop of the `each` functions; `left` counts the items that are there when the run stops.
fn each_or<I: Iterator, C: Segment>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    mut items: I,
    step: impl Fn(&mut C, I::Item, &mut C::Tally),
    left: impl FnOnce(&I) -> usize,
) {
    let mut making = false;
    loop {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            loop {
                making = true;
                tally.set_at(stage);
                let Some(item) = items.next() else { break };
                making = false;
                step(cx, item, tally);
            }
        }));
        let Err(payload) = attempt else { return };
        w.counts.set_at(tally.at());
        tally.recount(w.counts);
        match caught(w, cx, payload) {
            Next::Stop => {
                w.shared.drop_inside(stage, left(&items) as u64);
                // The item was taken back; the loops outside must not do it again.
                tally.set_at(stage);
                resume_unwind(Box::new(Stopped));
            }
            Next::GoOn if making => return,
            Next::GoOn => {}
        }
    }
}

/// Hands an item to one of several readers of the same output, so that the others get theirs even if it panics there.
/// `others` are the readers that have not been called yet; if the run stops, their copies are dropped.
#[inline(always)]
pub fn apart<C: Segment>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    others: &[u16],
    step: impl FnOnce(&mut C, &mut C::Tally),
) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| step(cx, tally))) else {
        return;
    };
    w.counts.set_at(tally.at());
    tally.recount(w.counts);
    if caught(w, cx, payload) == Next::Stop {
        for &other in others {
            w.shared.drop_inside(other, 1);
        }
        resume_unwind(Box::new(Stopped));
    }
}

/// As [`each`], for what a stage sent through its `Emit`.
#[inline(always)]
pub fn each_emitted<C: Segment, T>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    emit: impl Fn(&mut C) -> &mut Emit<T>,
    step: impl Fn(&mut C, T, &mut C::Tally),
) {
    let mut buffer = emit(cx).take();
    each_or(w, cx, tally, stage, buffer.drain(..), step, |left| {
        left.len()
    });
    emit(cx).give(buffer);
}

/// As [`each`], for what a batch stage left in its batch. `batch` was taken from the collector and goes back to it.
#[inline(always)]
pub fn each_left<C: Segment, T>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    mut batch: crate::Batch<T>,
    collector: impl Fn(&mut C) -> &mut Collector<T>,
    step: impl Fn(&mut C, T, &mut C::Tally),
) {
    each_or(w, cx, tally, stage, batch.drain(), step, |left| left.len());
    collector(cx).give(batch);
}

/// As [`each_left`], for a stage that changes its batch in place, whose items bring their calls.
#[inline(always)]
pub fn each_called<C: Segment, T, P: Answers>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    (mut batch, mut calls): (crate::Batch<T>, Calls<P>),
    collectors: impl Fn(&mut C) -> (&mut Collector<T>, &mut Calls<P>),
    step: impl Fn(&mut C, T, Call<P>, &mut C::Tally),
) {
    let items = batch.drain().zip(calls.drain());
    let step = |cx: &mut C, (item, call), tally: &mut C::Tally| step(cx, item, call, tally);
    each_or(w, cx, tally, stage, items, step, |left| left.len());
    let (of_items, of_calls) = collectors(cx);
    of_items.give(batch);
    of_calls.give(calls);
}

/// As [`each`], for the items that wait in front of a stage with `prefetch`, each with its position in the source's batch.
#[inline(always)]
pub fn each_ahead<C: Segment, T>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    ahead: impl Fn(&mut C) -> &mut Ahead<T>,
    step: impl Fn(&mut C, (u32, T), &mut C::Tally),
) {
    let mut waiting = ahead(cx).take();
    each_or(w, cx, tally, stage, waiting.drain(..), step, |left| {
        left.len()
    });
    ahead(cx).give(waiting);
}

/// As [`each`], for the verdicts of a batch stage.
#[inline(always)]
pub fn each_verdict<C: Segment, R>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    verdicts: Vec<R>,
    step: impl Fn(&mut C, R, &mut C::Tally),
) {
    each_or(w, cx, tally, stage, verdicts.into_iter(), step, |left| {
        left.len()
    });
}

/// As [`each_left`], for items and the verdicts on them.
#[inline(always)]
pub fn each_judged<C: Segment, T, R>(
    w: Watch<'_>,
    cx: &mut C,
    tally: &mut C::Tally,
    stage: u16,
    (mut batch, verdicts): (crate::Batch<T>, Vec<R>),
    collector: impl Fn(&mut C) -> &mut Collector<T>,
    step: impl Fn(&mut C, T, R, &mut C::Tally),
) {
    let items = batch.drain().zip(verdicts);
    let step = |cx: &mut C, (item, verdict), tally: &mut C::Tally| step(cx, item, verdict, tally);
    each_or(w, cx, tally, stage, items, step, |left| left.len());
    collector(cx).give(batch);
}

/// The verdicts of a batch stage, one for each of its `items`.
///
/// # Panics
///
/// If there are more or fewer: nobody could say which items they are about. The batch is lost as by any other panic of its stage.
#[inline]
pub fn one_for_each<R>(items: usize, verdicts: Vec<R>) -> Vec<R> {
    let given = verdicts.len();
    assert!(
        given == items,
        "it returned {given} verdicts on {items} items; a batch stage returns one for each, in their order"
    );
    verdicts
}

/// A call that is given `items` items at once, of which the first came at `since`: if it panics, all of them are counted, not one.
#[inline(always)]
pub fn at_once<R>(
    w: Watch<'_>,
    stage: u16,
    items: usize,
    since: u64,
    call: impl FnOnce() -> R,
) -> R {
    struct Count<'a>(&'a Counts, u16, u64);
    impl Drop for Count<'_> {
        #[cold]
        fn drop(&mut self) {
            self.0.panicked(self.1, self.2);
        }
    }
    // `caught` counts one; this adds the others.
    let count = Count(w.counts, stage, items.saturating_sub(1) as u64);
    let result = call();
    std::mem::forget(count);
    late::look(w, stage, items, since);
    result
}
