//! A batch in the loop of a guarded stage, and how it stops in the middle and goes on later.

mod foresight;
mod tries;
mod waits;

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use pipewright_spec::info::LinkKindInfo;

pub use self::waits::Pause;
use self::{foresight::Foresight, tries::Tries};
use super::{
    ASK_AT_LEAST_NS, Admission, Guard, SLICE,
    bulkhead::Permit,
    hangs::Outer,
    kit::Kit,
    slice::{Failures, Laps},
};
use crate::{
    breaker::{Refused, State, Ticket},
    carrier::Carrier,
    classify::ErrorClass,
    drive::{Next, Watch},
    dropped::{Why, drop_for},
    error::RunError,
};

/// What is known of a batch that was put aside.
pub(crate) struct Paused {
    /// Items in front that are tried again together.
    first: usize,
    tries: Tries,
    /// Does it wait to try again?
    retries: bool,
    /// Since when it waits for the breaker, in nanoseconds of the run.
    since: Option<u64>,
    /// Items that wait.
    items: u64,
}

/// What a guarded stage's loop knows about the batch that it runs.
pub struct Guarding<'r, T> {
    pub(super) w: Watch<'r>,
    stage: u16,
    guard: &'r Guard,
    /// What the batch has with it, once it needs it.
    kit: RefCell<Option<Box<Kit<T>>>>,
    /// Do its items lie like a stack?
    begun: Cell<bool>,
    /// Do they have positions?
    tagged: Cell<bool>,
    /// Are its items called in their order, so that one that is tried again keeps the others waiting?
    in_turn: bool,
    tries: Cell<Tries>,
    /// Of the round that comes next.
    next_tries: Cell<u32>,
    since: Cell<Option<u64>>,
    /// The news of the guard when it was asked last.
    news: Cell<u64>,
    /// Has its thread waited with it, so that it is later than the worker's time?
    waited: Cell<bool>,
    /// The memory that its items lead to, where that is asked for ahead.
    foresight: Foresight<'r, T>,
    /// Items of this slice.
    sliced: Cell<u32>,
    /// Those that were not taken yet. They are counted down, in a word that the loop writes and does not read.
    pub(super) left: Cell<u32>,
    /// Verdicts on items of this slice, of a stage that takes many.
    judged: Cell<u32>,
    /// The most items that are called at once, of a stage that takes many.
    batch: Option<usize>,
    /// Items in front that are tried again together, of a stage that takes many, where what is behind them waits.
    first: Cell<usize>,
    /// Ends this slice.
    pub(super) stops: Cell<bool>,
    /// Failures in this slice, and how they lie.
    failures: Cell<Failures>,
    /// When the call that is being made began, in nanoseconds of the run; where calls may not take long.
    began: Cell<u64>,
    /// Why the items of this slice are turned away, if they are.
    refusal: Cell<Option<Refused>>,
    /// What the error said that ends the run.
    fatal: RefCell<Option<String>>,
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
        let link = &w.shared.info.links[usize::from(load.link())];
        let mut own = Self {
            w,
            stage,
            guard,
            kit: RefCell::new(load.kit().take()),
            begun: Cell::new(false),
            tagged: Cell::new(false),
            in_turn: link.kind != LinkKindInfo::Direct,
            tries: Cell::new(Tries::default()),
            next_tries: Cell::new(0),
            since: Cell::new(None),
            news: Cell::new(0),
            waited: Cell::new(false),
            foresight: Foresight::default(),
            sliced: Cell::new(0),
            left: Cell::new(0),
            judged: Cell::new(0),
            batch: w.shared.info.stages[usize::from(stage)]
                .is_batch
                .then(|| w.shared.live.fill(stage).get().0),
            first: Cell::new(0),
            stops: Cell::new(false),
            failures: Cell::new(Failures::default()),
            began: Cell::new(0),
            refusal: Cell::new(None),
            fatal: RefCell::new(None),
        };
        let kit = own.kit.get_mut().as_mut();
        if let Some(paused) = kit.and_then(|kit| kit.paused.take()) {
            own.go_on(&paused);
        }
        own
    }

    fn go_on(&self, paused: &Paused) {
        self.guard.resumed(paused.items);
        self.begun.set(true);
        self.first.set(paused.first);
        self.since.set(paused.since);
        self.tries.set(paused.tries);
        self.waits_no_more(paused.retries);
    }

    /// The carriers of its outputs: those that it was put aside with, or new ones.
    pub fn outs<O: 'static>(&self, new: impl FnOnce() -> O) -> O {
        let mut kit = self.kit.borrow_mut();
        let kept = kit.as_mut().and_then(|kit| kit.take_outs());
        kept.unwrap_or_else(new)
    }

    /// Why the item is not to be called, if it is not.
    #[inline]
    pub fn refusal(&self) -> Option<Refused> {
        self.refusal.get()
    }

    /// Puts what the batch has made for one link in the order of its items.
    pub fn in_order<U: 'static>(&self, out: &mut Carrier<U>) {
        let tagged = self.w.shared.info.links[usize::from(out.link())].tagged;
        if !out.parts().0.is_sorted() {
            let mut kit = out.kit().take().unwrap_or_default();
            let (tags, items) = out.parts();
            // What an item has made stays together, in its order.
            kit.put_in_order(tags, items);
            *out.kit() = Some(kit);
        }
        if !tagged {
            out.parts().0.clear();
        }
    }

    /// Turns the items into a stack, unless they are one. `tagged`: they need their positions.
    pub(super) fn begin(&self, load: &mut Carrier<T>, tagged: bool) {
        self.tagged.set(tagged);
        load.skip_expired();
        self.foresight.begin();
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
    pub(super) fn work(
        &self,
        load: &mut Carrier<T>,
        run: impl FnMut(&mut Carrier<T>, usize) -> Next,
    ) -> Option<Pause> {
        let pause = self.slices(load, run);
        if pause.is_none()
            && let Some(mut kit) = self.kit.take()
        {
            kit.leave();
            *load.kit() = Some(kit);
        }
        pause
    }

    fn slices(
        &self,
        load: &mut Carrier<T>,
        mut run: impl FnMut(&mut Carrier<T>, usize) -> Next,
    ) -> Option<Pause> {
        let shared = self.w.shared;
        loop {
            if shared.is_stopping() {
                // What is in the carrier is dropped with it, and counted.
                self.put_back(load);
                return None;
            }
            if self.stops.take() || load.is_empty() {
                return self.next_round(load);
            }
            self.news.set(self.guard.news_for(false));
            let last_call = shared.last_call();
            let closing = last_call.is_some();
            // Who is admitted need not know what time it is.
            let asked = match self.since.get().is_some() || self.waited.get() {
                true => shared.now(),
                false => self.w.now,
            };
            let wanted = match self.first.get() {
                _ if self.in_turn && !self.is_closed() => 1,
                0 => load.len(),
                first => first.min(load.len()),
            };
            let Ok(permit) = self.guard.enter() else {
                // Who leaves the stage tells, and in any case it looks again.
                let due = shared.now().saturating_add(ASK_AT_LEAST_NS);
                return Some(self.pause(due, closing).collapses());
            };
            let admission = self.guard.admit(
                wanted,
                self.batch.unwrap_or(SLICE),
                asked,
                self.since.get(),
                last_call,
            );
            // Whoever is not let through gives its permit back quietly: others who found none meanwhile would not be let through
            // either. Were they told, and this thread with them, all would ask in turns as long as somebody is in the stage.
            let permit = permit.filter(|_| matches!(admission, Admission::Call(..)));
            match admission {
                Admission::Call(ticket, items) => {
                    self.call(load, ticket, items, &mut run);
                    self.leave(permit);
                }
                Admission::Later(wait) => {
                    let due = shared.now().saturating_add(wait);
                    return Some(self.pause(due, closing).collapses());
                }
                Admission::Wait(due) if self.since.get().is_some() => {
                    return Some(self.pause(due, closing));
                }
                Admission::Wait(due) => {
                    // It waits from now on, and it was asked with the time of the last boundary.
                    let now = shared.now();
                    self.since.set(Some(now));
                    return Some(self.pause(due.saturating_add(now - asked), closing));
                }
                Admission::Refuse(refused) => self.refuse(load, refused, &mut run),
                Admission::Drop => self.drop_all(load),
                Admission::GiveBack => self.give_back(load),
            }
        }
    }

    /// Lets another worker in, which may have a batch that waits for that.
    fn leave(&self, permit: Option<Permit<'_>>) {
        if permit.is_some_and(Permit::leave) {
            self.guard.tell_news();
            self.w.shared.release_aside(self.stage);
        }
    }

    /// Calls a slice, and records what came of it.
    fn call(
        &self,
        load: &mut Carrier<T>,
        ticket: Option<Ticket<'_>>,
        items: usize,
        run: &mut impl FnMut(&mut Carrier<T>, usize) -> Next,
    ) {
        let (generation, probes) = (self.generation(), self.is_half_open());
        let (panicked, before) = (self.panicked(), load.len());
        if self.batch.is_some() && self.guard.retries() {
            let mut kit = self.kit.borrow_mut();
            let many = &mut kit.get_or_insert_default().many;
            many.begin(load.parts().0, items);
        }
        self.judged.set(0);
        self.failures.set(Failures::default());
        let outer = self.begins(items);
        // If it ends the run, the loop around this one sees that.
        let _ = run(load, items);
        self.ends(outer);
        let made = (before - load.len()) as u32;
        let panicked = match self.guard.counts_panics() {
            true => (self.panicked() - panicked) as u32,
            false => 0,
        };
        if let Some(ticket) = ticket {
            let failures = self.failures.get();
            ticket.settle_batch(made, failures.count + panicked, failures.rows(made));
        }
        self.count_tries(made);
        if probes || self.generation() != generation {
            self.guard.tell_news();
            self.w.shared.release_aside(self.stage);
        }
        if self.since.get().is_some() && self.is_closed() {
            self.since.set(None);
        }
        if let Some(error) = self.fatal.borrow_mut().take() {
            let stage = self.w.shared.stage_name(self.stage);
            self.w.shared.fail(RunError::Failed { stage, error });
        }
    }

    /// A slice of so many items begins.
    pub(super) fn slice(&self, items: usize) {
        self.sliced.set(items as u32);
        self.left.set(items as u32);
    }

    /// What sees how long calls take, where they may not take long; not where they are not made.
    pub(super) fn laps(&self) -> Option<&dyn Laps> {
        let timed = self.guard.timeout.is_some() && self.refusal.get().is_none();
        timed.then_some(self as &dyn Laps)
    }

    /// So many calls begin. Returns what [`Self::ends`] wants.
    fn begins(&self, calls: usize) -> Outer {
        if !self.guard.watches_calls() {
            return Outer::default();
        }
        self.began.set(self.w.shared.now());
        self.guard.begins(self.w.id, self.began.get(), calls)
    }

    fn ends(&self, outer: Outer) {
        self.lap();
        self.guard.ends(self.w.id, outer);
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
        let items = load.len() as u64;
        self.guard.drops(items);
        self.w.shared.lost(load.link(), Why::Breaker, items);
        let (tags, items) = load.parts();
        tags.clear();
        drop_for(Why::Breaker, items.drain(..));
    }

    fn give_back(&self, load: &mut Carrier<T>) {
        let items = load.len() as u64;
        self.guard.gives_back(items);
        let shared = self.w.shared;
        shared.give_back(load.link(), load.ticket(), items);
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
        self.guard.is_half_open()
    }

    /// Items that panicked in this worker's calls.
    fn panicked(&self) -> u64 {
        self.w.counts.read(self.stage.into()).panicked
    }
}

impl<T> Guarding<'_, T> {
    /// Items of this slice that were taken.
    fn taken(&self) -> u32 {
        self.sliced.get() - self.left.get()
    }
}

impl<T> Laps for Guarding<'_, T> {
    fn lap(&self) {
        let (Some(timeout), at) = (&self.guard.timeout, self.taken()) else {
            return;
        };
        if at == 0 {
            // The slice has just begun.
            return;
        }
        let now = self.w.shared.now();
        let failures = self.failures.get();
        let began = self.began.replace(now);
        // Of a call that was seen to hang it is known, whatever has happened to the process since.
        let awake = || match self.guard.was_seen_to_hang(self.w.id, began) {
            true => u64::MAX,
            false => self.guard.looks.awake_for(now),
        };
        let is_over = timeout.is_over(began, now, awake);
        if is_over && self.guard.is_failure(ErrorClass::Timeout) {
            self.failures.set(match self.batch {
                // One call, and its items share what came of it.
                Some(_) => (1..=at).fold(Failures::default(), Failures::with),
                None if failures.knows(at) => failures,
                None => failures.with(at),
            });
        }
        timeout.goes_on(self.w.id, now);
    }
}

impl<T> fmt::Debug for Guarding<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarding")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
