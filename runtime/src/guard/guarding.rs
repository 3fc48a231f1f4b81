//! The loop of a guarded stage, and how it stops in the middle of a batch and goes on later.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    marker::PhantomData,
};

use super::{Admission, Guard};
use crate::{
    aside::Parked,
    breaker::{Refused, Rows, State},
    carrier::Carrier,
    classify::{Classify, ErrorClass},
    drive::{ALL, HANDED, Next, Progress, Segment, Watch, pump},
    error::RunError,
};

/// What a batch that was put aside has with it.
pub(crate) struct Paused {
    /// The carriers of its outputs.
    outs: Box<dyn Any + Send>,
    /// Since when it waits for the breaker, in nanoseconds of the run.
    since: Option<u64>,
    /// Items that wait.
    items: u64,
}

/// What a guarded stage's loop knows about the batch that it runs.
pub struct Guarding<'r, T> {
    w: Watch<'r>,
    stage: u16,
    guard: &'r Guard,
    /// What it had with it, if it was put aside before.
    outs: Cell<Option<Box<dyn Any + Send>>>,
    /// Do its items lie like a stack?
    begun: Cell<bool>,
    since: Cell<Option<u64>>,
    /// The news of the guard when it was asked last.
    news: Cell<u64>,
    /// Items of this slice that were taken.
    taken: Cell<u32>,
    /// Failures in this slice, and how they lie.
    failures: Cell<Failures>,
    /// Why the items of this slice are turned away, if they are.
    refusal: Cell<Option<Refused>>,
    /// What the error said that ends the run.
    fatal: RefCell<Option<String>>,
    items: PhantomData<fn(T)>,
}

/// A batch cannot go on before a time.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    due: u64,
    /// Does a drain end it?
    collapses: bool,
}

impl Pause {
    /// By a breaker.
    fn held(due: u64) -> Self {
        Self {
            due,
            collapses: false,
        }
    }
}

impl<'r, T: 'static> Guarding<'r, T> {
    /// For a batch that comes to `stage`, or goes on there.
    ///
    /// # Panics
    ///
    /// If the stage has no guard: an error in generated code.
    pub fn new(w: Watch<'r>, stage: u16, load: &mut Carrier<T>) -> Self {
        let guard = w
            .shared
            .guards
            .of(stage.into())
            .expect("a guarded stage has a guard in each run");
        let paused = load.paused().take();
        if let Some(paused) = &paused {
            guard.resumed(paused.items);
        }
        let (begun, since) = (
            paused.is_some(),
            paused.as_ref().and_then(|paused| paused.since),
        );
        Self {
            w,
            stage,
            guard,
            outs: Cell::new(paused.map(|paused| paused.outs)),
            begun: Cell::new(begun),
            since: Cell::new(since),
            news: Cell::new(0),
            taken: Cell::new(0),
            failures: Cell::new(Failures::default()),
            refusal: Cell::new(None),
            fatal: RefCell::new(None),
            items: PhantomData,
        }
    }

    /// The carriers of its outputs: those that it was put aside with, or new ones.
    pub fn outs<O: 'static>(&self, new: impl FnOnce() -> O) -> O {
        let kept = self.outs.take().and_then(|outs| outs.downcast::<O>().ok());
        kept.map_or_else(new, |outs| *outs)
    }

    /// An item failed.
    pub fn failed<E: Classify>(&self, error: &E) {
        if self.refusal.get().is_some() {
            return;
        }
        let class = error.class();
        if self.guard.is_failure(class) {
            self.failures
                .set(self.failures.get().with(self.taken.get()));
        }
        if class == ErrorClass::Fatal {
            self.fatal
                .borrow_mut()
                .get_or_insert_with(|| error.to_string());
        }
    }

    /// Why the item is not to be called, if it is not.
    #[inline]
    pub fn refusal(&self) -> Option<Refused> {
        self.refusal.get()
    }

    /// The batch as it waits. `outs` are the carriers of its outputs.
    pub fn park<O: Send + 'static>(&self, wait: Pause, mut load: Carrier<T>, outs: O) -> Parked {
        let items = load.len() as u64;
        self.guard.waits(items);
        *load.paused() = Some(Box::new(Paused {
            outs: Box::new(outs),
            since: self.since.get(),
            items,
        }));
        Parked {
            due: wait.due,
            stage: self.stage,
            collapses: wait.collapses,
            news: self.news.get(),
            items,
            task: load.into_task(),
        }
    }

    /// Turns the items into a stack, unless they are one. `tagged`: they need their positions.
    fn begin(&self, load: &mut Carrier<T>, tagged: bool) {
        if self.begun.replace(true) {
            return;
        }
        let (tags, items) = load.parts();
        if tagged && tags.is_empty() {
            tags.extend(0..items.len() as u32);
        }
        tags.reverse();
        items.reverse();
    }

    /// Lets `run` call the items slice by slice; it says whether the run goes on. `Some` if they have to wait.
    fn work(
        &self,
        load: &mut Carrier<T>,
        mut run: impl FnMut(&mut Carrier<T>, usize) -> Next,
    ) -> Option<Pause> {
        let shared = self.w.shared;
        while !load.is_empty() && !shared.is_stopping() {
            // Who is admitted need not know what time it is.
            self.news.set(self.guard.news());
            let asked = if self.since.get().is_some() {
                shared.now()
            } else {
                self.w.now
            };
            match self.guard.admit(load.len(), asked, self.since.get(), shared.is_closing()) {
                Admission::Call(ticket, items) => {
                    let generation = self.generation();
                    let probes = self.is_half_open();
                    let panicked = self.panicked();
                    self.taken.set(0);
                    self.failures.set(Failures::default());
                    let before = load.len();
                    let next = run(load, items);
                    let made = (before - load.len()) as u32;
                    let panicked = if self.guard.counts_panics() {
                        self.panicked() - panicked
                    } else {
                        0
                    };
                    if let Some(ticket) = ticket {
                        let failures = self.failures.get();
                        ticket.settle_batch(
                            made,
                            failures.count + panicked as u32,
                            failures.rows(made),
                        );
                    }
                    if probes || self.generation() != generation {
                        self.guard.tell_news();
                        shared.release_aside(self.stage);
                    }
                    if self.since.get().is_some() && self.is_closed() {
                        self.since.set(None);
                    }
                    if next == Next::Stop {
                        return None;
                    }
                    if let Some(error) = self.fatal.borrow_mut().take() {
                        let stage = shared.stage_name(self.stage);
                        shared.fail(RunError::Failed { stage, error });
                        return None;
                    }
                }
                Admission::Later(wait) => {
                    let due = shared.now().saturating_add(wait);
                    return Some(Pause { due, collapses: true });
                }
                Admission::Wait(due) if self.since.get().is_some() => return Some(Pause::held(due)),
                Admission::Wait(due) => {
                    // It waits from now on, and it was asked with the time of the last boundary.
                    let now = shared.now();
                    self.since.set(Some(now));
                    return Some(Pause::held(due + (now - asked)));
                }
                Admission::Refuse(refused) => self.refuse(load, refused, &mut run),
                Admission::Drop => self.drop_all(load),
            }
        }
        None
    }

    fn refuse(
        &self,
        load: &mut Carrier<T>,
        refused: Refused,
        run: &mut impl FnMut(&mut Carrier<T>, usize) -> Next,
    ) {
        let items = load.len();
        self.guard.refuses(items as u64);
        self.refusal.set(Some(refused));
        // If it ends the run, the loop around this one sees that.
        let _ = run(load, items);
        self.refusal.set(None);
    }

    fn drop_all(&self, load: &mut Carrier<T>) {
        let items = load.len();
        self.guard.drops(items as u64);
        self.w.shared.dropped(load.link(), items as u64);
        let (tags, items) = load.parts();
        tags.clear();
        items.clear();
    }

    /// Changes of the breaker's state until now.
    fn generation(&self) -> u64 {
        self.guard
            .breaker()
            .map_or(0, |breaker| breaker.generation())
    }

    fn is_closed(&self) -> bool {
        self.guard
            .breaker()
            .is_none_or(|breaker| breaker.state() == State::Closed)
    }

    fn is_half_open(&self) -> bool {
        self.guard
            .breaker()
            .is_some_and(|breaker| breaker.state() == State::HalfOpen)
    }

    /// Items that panicked in this worker's calls.
    fn panicked(&self) -> u64 {
        self.w.counts.read(self.stage.into()).panicked
    }
}

/// Runs the items of a guarded stage through `step`; `Some` if some of them have to wait.
pub fn drive_guarded<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, T, &mut C::Tally),
) -> Option<Pause> {
    guard.begin(load, false);
    guard.work(load, |load, left| {
        let (_, items) = load.parts();
        pump::<ALL, _, C>(
            guard.w,
            &mut Some(Slice { items, left }.inspect(|_| guard.taken.set(guard.taken.get() + 1))),
            u64::MAX,
            HANDED,
            cx,
            &step,
            &mut Progress::default(),
        )
    })
}

/// As [`drive_guarded`], with each item's position in the source's batch.
pub fn drive_guarded_tagged<T: 'static, C: Segment>(
    guard: &Guarding<'_, T>,
    load: &mut Carrier<T>,
    cx: &mut C,
    step: impl Fn(&mut C, (u32, T), &mut C::Tally),
) -> Option<Pause> {
    guard.begin(load, true);
    guard.work(load, |load, left| {
        let (tags, items) = load.parts();
        let tags = Slice { items: tags, left };
        pump::<ALL, _, C>(
            guard.w,
            &mut Some(
                tags.zip(Slice { items, left })
                    .inspect(|_| guard.taken.set(guard.taken.get() + 1)),
            ),
            u64::MAX,
            HANDED,
            cx,
            &step,
            &mut Progress::default(),
        )
    })
}

/// The failures of a slice. Items are counted from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) count: u32,
    /// The item that failed last.
    last: u32,
    /// Failures in a row, up to that one.
    row: u32,
    /// Those that began with the first item, and the most.
    first: u32,
    most: u32,
}

impl Failures {
    /// And item number `at`.
    pub(crate) fn with(self, at: u32) -> Self {
        let row = if at == self.last + 1 { self.row + 1 } else { 1 };
        Self {
            count: self.count + 1,
            last: at,
            row,
            first: if row == at { row } else { self.first },
            most: self.most.max(row),
        }
    }

    /// How they lie among `made` items.
    pub(crate) fn rows(self, made: u32) -> Rows {
        Rows {
            first: self.first,
            last: if self.last == made { self.row } else { 0 },
            most: self.most,
            all: self.first == made,
        }
    }
}

/// The first items of a stack; what is not taken stays there.
struct Slice<'c, T> {
    items: &'c mut Vec<T>,
    left: usize,
}

impl<T> Iterator for Slice<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        self.items.pop()
    }
}

impl<T> fmt::Debug for Guarding<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarding")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_found_at_the_beginning_at_the_end_and_in_between() {
        let check = |failed: &[u32], made: u32, expect: (u32, u32, u32, bool)| {
            let all = failed
                .iter()
                .fold(Failures::default(), |all, at| all.with(*at));
            let Rows {
                first,
                last,
                most,
                all,
            } = all.rows(made);
            assert_eq!((first, last, most, all), expect, "{failed:?} of {made}");
        };
        check(&[], 5, (0, 0, 0, false));
        check(&[1, 2, 3], 3, (3, 3, 3, true));
        check(&[1, 2, 4, 5, 6, 8], 9, (2, 0, 3, false));
        check(&[2, 3, 5], 5, (0, 1, 2, false));
        check(&[5], 5, (0, 1, 1, false));
    }
}
