//! The item loop of a segment, and what happens when an item panics in it.
//!
//! The loop's position and its counts live in a guard on the stack, so that the compiler keeps them in registers; the
//! guard writes them back when it is dropped, also while unwinding. One `catch_unwind` lies outside the whole loop. When
//! an item panics, the guard has told where (the stage) and the loop goes on behind that item, or stops, as the stage's
//! `on_panic` says. So isolation costs nothing per item.

use std::{
    any::Any,
    fmt,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::{
    batch::Due,
    counts::Counts,
    error::{InitError, Panicked, RunError},
    lane::Lane,
    lent::Lent,
    load::{Load, Rest},
    look_up::LookUp,
    shared::Shared,
    urgent::Urgent,
    worker_stats::WorkerStats,
};

/// The counts of one run of a segment's loop. Generated, one per segment: a field for every place where the number of
/// items can change.
pub trait Tally: Default {
    /// The stage that is being called.
    fn at(&self) -> u16;
    /// Notes the stage that is being called.
    fn set_at(&mut self, stage: u16);
    /// So many more items at the head of the segment.
    fn seen(&mut self, items: u64);
    /// Adds everything to the worker's counters.
    fn settle(&self, counts: &Counts);
    /// Takes back what [`Self::settle`] counts of the item that panicked at [`Self::at`]: stages that pass every item on
    /// share one count, which has the item behind the stage at which it was lost.
    fn recount(&self, counts: &Counts);
}

/// A segment's loop body: the states and outputs that it uses. Generated.
pub trait Segment {
    /// Its counts.
    type Tally: Tally;
    /// Makes the state of `stage` anew, after a panic.
    fn reset(&mut self, stage: u16) -> Result<(), InitError>;
    /// Calls the batch stages whose partial batches are due.
    fn flush(&mut self, tally: &mut Self::Tally, due: Due);
    /// Lets the item with which `stage` has panicked leave by its `Err`; false if it is lost.
    fn panicked(&mut self, stage: u16, panicked: Panicked, tally: &mut Self::Tally) -> bool {
        let _ = (stage, panicked, tally);
        false
    }
}

/// A worker's view of the run that generated code hands from call to call.
#[derive(Clone, Copy)]
pub struct Watch<'r> {
    pub(crate) shared: &'r Shared,
    pub(crate) counts: &'r Counts,
    /// Time of the run at the last boundary, in nanoseconds.
    pub(crate) now: u64,
    /// The worker's memory node, by the count of its run.
    pub(crate) node: u16,
    /// The lane that is being served.
    pub(crate) lane: Lane,
    /// The worker's number among the workers and pinned threads.
    pub(crate) id: usize,
    /// What serves a more urgent lane in the middle of a batch, where that is possible.
    pub(crate) urgent: Option<&'r dyn Urgent>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl<'r> Watch<'r> {
    /// Time of the run at the last boundary, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn stats(&self) -> &'r WorkerStats {
        &self.shared.stats[self.id]
    }
}

/// Runs every item of `load` through `step`, then calls the segment's batch stages with what they still hold.
#[inline(always)]
pub fn drive<L: Load, C: Segment>(
    w: Watch<'_>,
    mut load: L,
    cx: &mut C,
    step: impl Fn(&mut C, L::Item, &mut C::Tally),
) {
    if w.shared.is_stopping() {
        return;
    }
    let (link, divisible) = (load.link(), load.is_divisible(w));
    through(w, load.open(), link, divisible, cx, step);
    flush(w, cx, Due::All);
}

/// As [`drive`], with each item's position in the source's batch.
#[inline(always)]
pub fn drive_tagged<L: Load, C: Segment>(
    w: Watch<'_>,
    mut load: L,
    cx: &mut C,
    step: impl Fn(&mut C, (u32, L::Item), &mut C::Tally),
) {
    if w.shared.is_stopping() {
        return;
    }
    let (link, divisible) = (load.link(), load.is_divisible(w));
    through(w, load.open_tagged(), link, divisible, cx, step);
    flush(w, cx, Due::All);
}

/// Calls the batch stages whose partial batches are due.
pub fn flush<C: Segment>(w: Watch<'_>, cx: &mut C, due: Due) {
    loop {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let mut guard = Guard::<(), C::Tally>::new(None, 0, HANDED, w.counts);
            cx.flush(&mut guard.tally, due);
            finish(guard);
        }));
        // After a panic the batch that caused it is gone; what is left is flushed by another attempt.
        let Err(payload) = attempt else { return };
        if caught(w, cx, payload) == Next::Stop {
            return;
        }
    }
}

/// Drives a whole iterator; what is left when the pipeline stops is counted as dropped.
fn through<I: Rest, C: Segment>(
    w: Watch<'_>,
    items: I,
    link: u16,
    divisible: bool,
    cx: &mut C,
    step: impl Fn(&mut C, I::Item, &mut C::Tally),
) {
    let mut items = Some(items);
    let mut progress = Progress::default();
    match LookUp::new(w, divisible) {
        // A loop that looks up has to count to the next look.
        Some(look_up) => looking_up(w, look_up, &mut items, cx, &step, &mut progress),
        None => {
            pump::<ALL, I, C>(w, &mut items, u64::MAX, HANDED, cx, &step, &mut progress);
        }
    }
    if w.shared.is_stopping() {
        w.shared
            .dropped(link, items.into_iter().flatten().count() as u64);
    }
}

fn looking_up<I: Rest, C: Segment>(
    w: Watch<'_>,
    mut look_up: LookUp,
    items: &mut Option<I>,
    cx: &mut C,
    step: &impl Fn(&mut C, I::Item, &mut C::Tally),
    progress: &mut Progress,
) {
    loop {
        let limit = progress.items + look_up.pace.items;
        let next = pump::<LIMITED, I, C>(w, items, limit, HANDED, cx, step, progress);
        match items {
            Some(rest) if next == Next::GoOn && !progress.ended => look_up.look(w, rest),
            _ => return,
        }
    }
}

/// Marks items that were handed over and do not come from a source's `next`.
pub(crate) const HANDED: u16 = u16::MAX;

/// A loop that has no limit: it compares once an item, where its iterator ends.
pub(crate) const ALL: bool = false;
/// A loop that ends at a limit too.
pub(crate) const LIMITED: bool = true;

/// How far a loop came.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Items taken.
    pub(crate) items: u64,
    /// Did the iterator end?
    pub(crate) ended: bool,
}

/// Runs items through `step` until there are none, or `limit` are done in all, going on behind items that panic. `source` is
/// the stage that panics if taking an item does. `HOW` is [`ALL`], with `u64::MAX` as the limit, or [`LIMITED`].
pub(crate) fn pump<const HOW: bool, I: Iterator, C: Segment>(
    w: Watch<'_>,
    items: &mut Option<I>,
    limit: u64,
    source: u16,
    cx: &mut C,
    step: &impl Fn(&mut C, I::Item, &mut C::Tally),
    progress: &mut Progress,
) -> Next {
    while progress.items < limit && !progress.ended {
        let left = match HOW {
            LIMITED => limit - progress.items,
            ALL => limit,
        };
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            burst::<HOW, I, C>(w.counts, items, left, source, cx, step, progress);
        }));
        if let Err(payload) = attempt
            && caught(w, cx, payload) == Next::Stop
        {
            return Next::Stop;
        }
    }
    Next::GoOn
}

/// The loop itself. Out of line, so that its registers are its own.
#[inline(never)]
fn burst<const HOW: bool, I: Iterator, C: Segment>(
    counts: &Counts,
    items: &mut Option<I>,
    limit: u64,
    source: u16,
    cx: &mut C,
    step: &impl Fn(&mut C, I::Item, &mut C::Tally),
    progress: &mut Progress,
) {
    // A constant needs no register in a loop that has none to spare; what is taken is a difference of two counts.
    let limit = if HOW == LIMITED { limit } else { u64::MAX };
    let Some(taken) = items.take() else {
        return;
    };
    let mut guard =
        Guard::<I, C::Tally>::new(Some((taken, items, progress)), limit, source, counts);
    let Guard {
        items: Some(items),
        tally,
        left,
        ended,
        ..
    } = &mut guard
    else {
        return;
    };
    let mut cx = Lent::new(cx);
    // The one count of the loop goes down and is looked at where it changes: one instruction for both.
    loop {
        tally.set_at(source);
        let Some(item) = items.next() else {
            *ended = true;
            break;
        };
        step(&mut cx, item, tally);
        *left -= 1;
        if HOW == LIMITED && *left == 0 {
            break;
        }
    }
    // No stage is being called any more, so that the loop need not keep which one was.
    tally.set_at(HANDED);
    drop(cx);
    finish(guard);
}

/// The end of a loop that did not panic: writes position and counts back.
#[inline(always)]
fn finish<I, T: Tally>(guard: Guard<'_, I, T>) {
    // Everything it owns is moved out, and its drop is for unwinding only: so nothing after the loop reads the stage, and
    // the loop need not keep it.
    ManuallyDrop::new(guard).settle();
}

/// Position and counts of a running loop. [`finish`] writes them back at the end of the loop; dropping it does while
/// unwinding, and tells where. Only the drop reads the stage, so the loop itself need not keep it.
struct Guard<'a, I, T: Tally> {
    items: Option<I>,
    home: Option<(&'a mut Option<I>, &'a mut Progress)>,
    tally: T,
    limit: u64,
    /// Items until the limit.
    left: u64,
    ended: bool,
    /// What is being called while an item is taken.
    source: u16,
    counts: &'a Counts,
}

impl<'a, I, T: Tally> Guard<'a, I, T> {
    #[inline(always)]
    fn new(
        taken: Option<(I, &'a mut Option<I>, &'a mut Progress)>,
        limit: u64,
        source: u16,
        counts: &'a Counts,
    ) -> Self {
        let (items, home) = match taken {
            Some((items, home, progress)) => (Some(items), Some((home, progress))),
            None => (None, None),
        };
        Self {
            items,
            home,
            tally: T::default(),
            limit,
            left: limit,
            ended: false,
            source,
            counts,
        }
    }

    #[inline(always)]
    fn settle(&mut self) {
        let taken = self.limit - self.left;
        self.tally.seen(taken);
        if let Some((items, progress)) = &mut self.home {
            **items = self.items.take();
            progress.items += taken;
            progress.ended |= self.ended;
        }
        self.tally.settle(self.counts);
    }
}

impl<I, T: Tally> Drop for Guard<'_, I, T> {
    #[cold]
    fn drop(&mut self) {
        // An item that panicked was taken, though the loop has not counted it yet.
        if self.home.is_some() && self.tally.at() != self.source {
            self.left -= 1;
        }
        self.settle();
        self.counts.set_at(self.tally.at());
        self.tally.recount(self.counts);
    }
}

/// Ends the run because `stage` failed and says `on_error = stop`.
#[cold]
pub fn stop_with(stage: u16, error: String) -> ! {
    resume_unwind(Box::new(Halt(Failure::Error { stage, error })))
}

/// Ends the run because the state of `stage` could not be made.
#[cold]
pub(crate) fn stop_for_state(error: InitError) -> ! {
    resume_unwind(Box::new(Halt(Failure::State(error))))
}

/// What unwinds to end the run. It is no panic: nothing is printed and no item is counted as panicked.
struct Halt(Failure);

enum Failure {
    Error { stage: u16, error: String },
    State(InitError),
}

/// What unwinds further when the run has been ended already.
pub(crate) struct Stopped;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Stop,
}

/// Decides what a panic means: counts it, and goes on, makes the state anew, or ends the run.
#[cold]
pub(crate) fn caught<C: Segment>(w: Watch<'_>, cx: &mut C, payload: Box<dyn Any + Send>) -> Next {
    let payload = match payload.downcast::<Halt>() {
        Ok(halt) => {
            w.shared.fail(halt.0.into_error(w.shared));
            return Next::Stop;
        }
        Err(payload) => payload,
    };
    if payload.is::<Stopped>() {
        return Next::Stop;
    }
    let stage = w.counts.at();
    let message = panic_message(payload);
    match w.shared.after_panic(stage, message) {
        AfterPanic::Letter(panicked) => leaves(w, cx, stage, panicked),
        other => {
            w.counts.panicked(stage, 1);
            match other {
                AfterPanic::Stop => Next::Stop,
                AfterPanic::Reset => reset(w, cx, stage),
                AfterPanic::GoOn | AfterPanic::Letter(_) => Next::GoOn,
            }
        }
    }
}

fn reset<C: Segment>(w: Watch<'_>, cx: &mut C, stage: u16) -> Next {
    match cx.reset(stage) {
        Ok(()) => Next::GoOn,
        Err(error) => {
            w.shared.fail(RunError::state(error));
            Next::Stop
        }
    }
}

/// The item with which `stage` has panicked leaves by its `Err`. Whoever takes it there may panic, too.
fn leaves<C: Segment>(w: Watch<'_>, cx: &mut C, stage: u16, panicked: Panicked) -> Next {
    if reset(w, cx, stage) == Next::Stop {
        w.counts.panicked(stage, 1);
        return Next::Stop;
    }
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = Guard::<(), C::Tally>::new(None, 0, HANDED, w.counts);
        let left = cx.panicked(stage, panicked, &mut guard.tally);
        finish(guard);
        left
    }));
    match attempt {
        Ok(left) => {
            if !left {
                w.counts.panicked(stage, 1);
            }
            Next::GoOn
        }
        Err(payload) => caught(w, cx, payload),
    }
}

/// What a stage's `on_panic` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AfterPanic {
    GoOn,
    Letter(Panicked),
    Reset,
    Stop,
}

impl Failure {
    fn into_error(self, shared: &Shared) -> RunError {
        match self {
            Failure::Error { stage, error } => RunError::Failed {
                stage: shared.stage_name(stage),
                error,
            },
            Failure::State(error) => RunError::state(error),
        }
    }
}

/// The text of a panic, where it has one.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "a panic without a message".to_owned(),
        },
    }
}
