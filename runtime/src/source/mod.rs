//! Sources: where items come from, and how much of them a worker takes at a time.
//!
//! One worker at a time pulls from a source (see [`crate::token`]); it draws the sequence numbers of its batch under the
//! token, so the numbers are in source order. How many items it takes is measured: as many as one quantum of work.

mod ingress;
mod iter;
mod pieces;
mod poll;
mod rules;
mod shed;
mod split;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use pipewright_spec::info::TopologyInfo;

pub(crate) use self::{
    ingress::Ingress,
    rules::{Rules, ShedRule},
    shed::ShedSettings,
};
pub use self::{
    ingress::IngressSource,
    iter::IterSource,
    pieces::Pieces,
    poll::PollSource,
    split::{ArcPieces, IntoSplittable, Morsel, SplitSource, Splittable},
};
use crate::{
    acks::Acks,
    budget::Resized,
    carrier::{Carrier, Home},
    credit::Spent,
    drive::{ALL, HANDED, Progress, Segment, panic_message, pump},
    dropped::Losses,
    error::RunError,
    lane::Lane,
    settings::{PULL, Settings},
    shared::Shared,
    sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, spin_loop},
    token::Token,
    worker::Worker,
};

/// An item that costs more than this is worth handing to another core, in picoseconds.
const WORTH_SHARING_PS: u64 = 25_000;
/// One that costs less than this is not, in picoseconds.
const CHEAP_PS: u64 = 8_000;
/// Items of the first pull, when nothing is known about their cost: an item may be a whole file.
const FIRST_PULL: u64 = 1;
/// Most memory that the items of one carried pull take, unless one item takes more.
const PULL_BYTES: usize = 256 << 10;
/// How much more one pull may take than the one before.
const GROWTH: u64 = 16;

/// What came of asking a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Items came; there may be more.
    More,
    /// Nothing at the moment.
    Idle,
    /// The source has ended.
    Done,
    /// Another worker is pulling.
    Busy,
}

/// What workers know about a source without its type.
#[derive(Debug)]
pub(crate) struct SourceCtl {
    done: AtomicBool,
    busy: AtomicBool,
    /// When it may be asked again, in nanoseconds of the run; 0: now.
    retry_at: AtomicU64,
    /// Cost of an item, from pulling to the end of its way, in picoseconds; 0: not known.
    cost: AtomicU64,
    /// The longest time that one worker works on the items of a pull at once, for each item, in picoseconds; 0: not known.
    longest: AtomicU64,
    /// Items of the next pull.
    next: AtomicU64,
    /// Most items of a pull, where `batch` says so; else 0.
    batch: AtomicU32,
    /// Batches that it has given.
    batches: AtomicU64,
    /// The lane of what it gives; an input has items of every lane.
    lane: AtomicU8,
    kind: Kind,
    /// Can pieces be cut off and worked on without handing items over at all?
    free: AtomicBool,
    /// Do threads of its own pull from it, and no worker?
    pinned: bool,
    /// Its acknowledgements, if it has any; set when it is opened.
    acks: OnceLock<Arc<dyn Acks>>,
}

/// What matters about a source's kind.
pub(crate) enum Kind {
    /// Items are pulled.
    Pulled,
    /// Items are pushed.
    Input(Arc<dyn Waiting>),
}

/// An input, as far as workers need to know it.
pub(crate) trait Waiting: Send + Sync {
    /// Is there something in this lane, or has it ended and must be asked once more?
    fn is_ready(&self, lane: Lane) -> bool;
    /// Takes no more items.
    fn close(&self);
    /// What was dropped before it was pulled.
    fn losses(&self) -> &Losses;
    /// The bytes that it takes, full, and would take if it held so many items.
    fn resized(&self, queue: u32) -> Resized;
    /// Goes by these numbers from now on.
    fn retune(&self, queue: u32, shed: Option<ShedSettings>);
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pulled => "Pulled",
            Self::Input(_) => "Input",
        })
    }
}

impl SourceCtl {
    pub(crate) fn new(kind: Kind, batch: Option<u32>, lane: Lane) -> Self {
        Self {
            done: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            retry_at: AtomicU64::new(0),
            cost: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            next: AtomicU64::new(FIRST_PULL),
            batch: AtomicU32::new(batch.unwrap_or(0)),
            batches: AtomicU64::new(0),
            acks: OnceLock::new(),
            lane: AtomicU8::new(lane.index() as u8),
            kind,
            free: AtomicBool::new(false),
            pinned: false,
        }
    }

    /// The lane of what it gives.
    pub(crate) fn lane(&self) -> Lane {
        // Relaxed: it stands for itself.
        Lane::from_index(self.lane.load(Ordering::Relaxed).into())
    }

    /// What it gives from now on is of this lane.
    pub(crate) fn set_lane(&self, lane: Lane) {
        self.lane.store(lane.index() as u8, Ordering::Relaxed);
    }

    /// The most items of a pull from now on, where it is said.
    pub(crate) fn set_batch(&self, batch: Option<u32>) {
        self.batch.store(batch.unwrap_or(0), Ordering::Relaxed);
    }

    /// The bytes that it takes, full, if it is the input, and would take with these numbers.
    pub(crate) fn resized(&self, settings: &Settings, info: &TopologyInfo) -> Resized {
        match &self.kind {
            Kind::Input(input) => input.resized(settings.input_queue(info)),
            Kind::Pulled => Resized::default(),
        }
    }

    /// Goes by the numbers of those that read the input, if it is one.
    pub(crate) fn retune_input(&self, settings: &Settings, info: &TopologyInfo) {
        if let Kind::Input(input) = &self.kind {
            input.retune(settings.input_queue(info), settings.input_shed());
        }
    }

    /// Whether threads of its own pull from it.
    pub(crate) fn pinned(self, pinned: bool) -> Self {
        Self { pinned, ..self }
    }

    /// Pieces of it can be worked on side by side.
    pub(crate) fn set_free(&self) {
        self.free.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.done.store(true, Ordering::Release);
    }

    /// Takes no more items in. A source ends at the next pull; an input when it is empty.
    pub(crate) fn close(&self) {
        if let Kind::Input(input) = &self.kind {
            input.close();
        }
        self.retry_at.store(0, Ordering::Relaxed);
    }

    /// May a worker of the pool ask it for items of any lane?
    pub(crate) fn is_ready(&self, now: u64) -> bool {
        !self.pinned && self.may_be_pulled(now)
    }

    /// May a worker of the pool ask it for items of this lane?
    pub(crate) fn is_ready_in(&self, lane: Lane, now: u64) -> bool {
        !self.pinned && self.has_in(lane, now)
    }

    /// May those pull from it who do?
    pub(crate) fn may_be_pulled(&self, now: u64) -> bool {
        Lane::ALL.into_iter().any(|lane| self.has_in(lane, now))
    }

    fn has_in(&self, lane: Lane, now: u64) -> bool {
        if self.is_done() || self.busy.load(Ordering::Relaxed) {
            return false;
        }
        match &self.kind {
            Kind::Input(input) => input.is_ready(lane),
            Kind::Pulled => lane == self.lane() && self.retry_at.load(Ordering::Relaxed) <= now,
        }
    }

    /// When the pool asks a source again that had nothing, in nanoseconds of the run; `None` if it is not waiting for that.
    pub(crate) fn retry_time(&self) -> Option<u64> {
        self.rest_time().filter(|_| !self.pinned)
    }

    /// When a source that had nothing is asked again, in nanoseconds of the run; `None` if it is not waiting for that.
    pub(crate) fn rest_time(&self) -> Option<u64> {
        let at = self.retry_at.load(Ordering::Relaxed);
        (!self.is_done() && at != 0).then_some(at)
    }

    pub(crate) fn retry_at(&self, at: u64) {
        self.retry_at.store(at, Ordering::Relaxed);
    }

    /// Can pieces of it be worked on side by side, without handing items over?
    pub(crate) fn is_free(&self) -> bool {
        self.free.load(Ordering::Relaxed)
    }

    /// Would a second worker pay?
    pub(crate) fn is_worth_sharing(&self) -> bool {
        let cost = self.cost.load(Ordering::Relaxed);
        !self.is_done() && (self.is_free() || cost >= WORTH_SHARING_PS)
    }

    /// Would one worker be faster?
    pub(crate) fn is_cheap(&self) -> bool {
        let cost = self.cost.load(Ordering::Relaxed);
        !self.is_free() && cost != 0 && cost < CHEAP_PS
    }

    /// May an item take long enough that a loop over a piece of it should look up? Not if items are known to cost next to
    /// nothing.
    pub(crate) fn may_be_slow(&self) -> bool {
        let cost = self.cost.load(Ordering::Relaxed);
        cost == 0 || cost >= CHEAP_PS
    }

    /// What was dropped before it was pulled.
    pub(crate) fn losses(&self) -> Option<&Losses> {
        match &self.kind {
            Kind::Input(input) => Some(input.losses()),
            Kind::Pulled => None,
        }
    }

    /// Its acknowledgements.
    pub(crate) fn acks(&self) -> Option<&Arc<dyn Acks>> {
        self.acks.get()
    }

    /// It has acknowledgements.
    pub(crate) fn set_acks(&self, acks: Arc<dyn Acks>) {
        // A source is opened once.
        let _ = self.acks.set(acks);
    }

    /// The number of the batch that it gives now. Called by whoever has the source to itself.
    pub(crate) fn next_batch(&self) -> u64 {
        // Relaxed, and no exchange: nobody else writes it, and the token orders those who do.
        let batch = self.batches.load(Ordering::Relaxed);
        self.batches.store(batch + 1, Ordering::Relaxed);
        batch
    }

    /// How many items to take for one quantum of work.
    pub(crate) fn limit(&self, carried: bool) -> u64 {
        let next = self.next.load(Ordering::Relaxed);
        match self.batch.load(Ordering::Relaxed) {
            0 if carried => next.min(PULL.into()),
            0 => next,
            batch => next.min(batch.into()),
        }
    }

    /// How many items are about so much work; 1 where that is not known yet.
    pub(crate) fn items_in(&self, ns: u64) -> u64 {
        match self.cost.load(Ordering::Relaxed) {
            0 => 1,
            cost => (ns.saturating_mul(1000) / cost).max(1),
        }
    }

    /// Learns from a pull that one worker has just worked on by itself.
    pub(crate) fn learn_of(&self, w: &mut Worker<'_>, items: u64, begun: u64) {
        self.learn(Spent::at_once(items, w.tick() - begun), w.shared.quantum());
    }

    /// Learns from a pull. The next one takes as many items as no worker works on for longer than a quantum at once.
    pub(crate) fn learn(&self, spent: Spent, quantum: u64) {
        let Spent { items, ns, longest } = spent;
        if items == 0 {
            return;
        }
        averaged(&self.cost, ns, items);
        let longest = averaged(&self.longest, longest, items);
        let wanted = (quantum.saturating_mul(1000) / longest).max(1);
        let most = self.next.load(Ordering::Relaxed).saturating_mul(GROWTH);
        self.next.store(wanted.min(most), Ordering::Relaxed);
    }
}

/// Takes what one of so many items took into a moving average in picoseconds, which forgets half of the past with every third
/// pull.
fn averaged(average: &AtomicU64, ns: u64, items: u64) -> u64 {
    let seen = (ns.saturating_mul(1000) / items).max(1);
    let before = average.load(Ordering::Relaxed);
    let now = if before == 0 {
        seen
    } else {
        (before * 3 + seen) / 4
    };
    average.store(now.max(1), Ordering::Relaxed);
    now.max(1)
}

/// What every kind of source needs besides its items.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its number among the sources.
    pub(crate) source: usize,
    /// Its stage; `u16::MAX` for the input.
    pub(crate) stage: u16,
}

impl Place {
    pub(crate) fn ctl<'w>(&self, w: &Worker<'w>) -> &'w SourceCtl {
        &w.shared.sources[self.source]
    }

    /// Draws the ticket's number at every ordered gate that items of this source pass. Called under the token.
    /// Returns the number of the batch.
    pub(crate) fn draw(&self, w: &Worker<'_>, ticket: u32) -> u64 {
        let batch = self.ctl(w).next_batch();
        w.shared.credits.set_batch(ticket, batch);
        for &gate in w.shared.info.sources[self.source].gates {
            let number = w.shared.next_number(gate);
            w.shared.credits.number(ticket, usize::from(gate), number);
        }
        batch
    }

    /// Calls the user's source function; if it panics, the run ends.
    pub(crate) fn guarded<R>(&self, w: &Worker<'_>, call: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => Some(result),
            Err(payload) => {
                source_panicked(w.shared, self.stage, panic_message(payload));
                None
            }
        }
    }

    /// Fills a carrier under the source's token, with at most as many items as `fill` is told, lets `drawn` know its batch's
    /// number, and carries it on.
    pub(crate) fn pull<'w, S, T: 'static>(
        &self,
        w: &mut Worker<'w>,
        token: &Token<S>,
        home: &Home<T>,
        fill: impl FnOnce(&Worker<'w>, &mut S, &mut Carrier<T>, u64),
        drawn: impl FnOnce(&S, u64),
        run: impl FnOnce(Carrier<T>, &mut Worker<'w>),
    ) -> Pulled {
        let Some(ticket) = w.take_ticket() else {
            return Pulled::Idle;
        };
        let mut carrier = home.carrier(w.node(), ticket, 0);
        let ctl = self.ctl(w);
        let taken = token.grab(|source| {
            ctl.busy.store(true, Ordering::Relaxed);
            let most = w.shared.budget.items_in(PULL_BYTES, size_of::<T>());
            fill(w, source, &mut carrier, ctl.limit(true).min(most as u64));
            if !carrier.is_empty() {
                let batch = self.draw(w, carrier.ticket());
                drawn(source, batch);
            }
            ctl.busy.store(false, Ordering::Relaxed);
        });
        match taken {
            Some(()) => self.carry(w, carrier, run),
            None => busy(),
        }
    }

    /// After the token: tells a sleeper that the source is free again, and runs what was taken.
    fn carry<'w, T: 'static>(
        &self,
        w: &mut Worker<'w>,
        carrier: Carrier<T>,
        run: impl FnOnce(Carrier<T>, &mut Worker<'w>),
    ) -> Pulled {
        let ctl = self.ctl(w);
        let items = carrier.len() as u64;
        if items == 0 {
            return self.nothing(w);
        }
        w.pass_on(ctl);
        let ticket = carrier.ticket();
        self.charging(w, ticket, items, |w| run(carrier, w))
    }

    /// Runs what was pulled with a ticket that the worker keeps, and lets the source learn what its items cost when the last of
    /// them is done, whoever does it. A pinned source learns what they cost its thread.
    fn charging<'w>(
        &self,
        w: &mut Worker<'w>,
        ticket: u32,
        items: u64,
        run: impl FnOnce(&mut Worker<'w>),
    ) -> Pulled {
        let (ctl, begun, left) = (self.ctl(w), w.now(), w.stats().items_left.get());
        run(w);
        // What was divided off has a ticket of its own.
        let items = items.saturating_sub(w.stats().items_left.get() - left);
        if ctl.pinned {
            ctl.learn_of(w, items, begun);
        } else {
            w.shared.credits.pulled(ticket, items);
            w.charge_to(ticket);
        }
        Pulled::More
    }

    /// Runs all items of a pull through the whole pipeline and learns their cost. What is left when the run stops is
    /// counted as dropped.
    pub(crate) fn all<I: Iterator, C: Segment>(
        &self,
        w: &mut Worker<'_>,
        items: I,
        begun: u64,
        cx: &mut C,
        step: impl Fn(&mut C, I::Item, &mut C::Tally),
    ) -> Pulled {
        let mut progress = Progress::default();
        let mut items = Some(items);
        pump::<ALL, I, C>(
            w.watch(),
            &mut items,
            u64::MAX,
            HANDED,
            cx,
            &step,
            &mut progress,
        );
        if w.shared.is_stopping() {
            let left = items.into_iter().flatten().count();
            w.shared
                .dropped(w.shared.source_link(self.source), left as u64);
        }
        self.learned(w, progress.items, begun)
    }

    /// Learns the cost of a pull of `items` by a worker that has the pipeline to itself.
    pub(crate) fn learned(&self, w: &mut Worker<'_>, items: u64, begun: u64) -> Pulled {
        if items == 0 {
            return self.nothing(w);
        }
        self.ctl(w).learn_of(w, items, begun);
        Pulled::More
    }

    pub(crate) fn nothing(&self, w: &Worker<'_>) -> Pulled {
        if self.ctl(w).is_done() {
            Pulled::Done
        } else {
            Pulled::Idle
        }
    }
}

/// Another worker has the source's token, which it keeps for a moment; this one takes a breath before it looks again.
fn busy() -> Pulled {
    spin_loop();
    Pulled::Busy
}

fn source_panicked(shared: &Shared, stage: u16, message: String) {
    shared.fail(RunError::Panicked {
        stage: shared.stage_name(stage),
        message,
    });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// What a source has learned from pulls of 1000 items: is an item cheap, is it worth sharing, and the next pull.
    fn check(ns: u64, longest: u64, expect: (bool, bool, u64)) {
        let ctl = SourceCtl::new(Kind::Pulled, None, Lane::NORMAL);
        for _ in 0..10 {
            let items = 1000;
            ctl.learn(Spent { items, ns, longest }, 64_000);
        }
        let found = (ctl.is_cheap(), ctl.is_worth_sharing(), ctl.limit(false));
        assert_eq!(
            found, expect,
            "{ns} ns for 1000 items, at most {longest} at once"
        );
    }

    #[test]
    fn the_whole_cost_decides_about_sharing_and_the_longest_piece_about_the_next_pull() {
        check(5_000, 5_000, (true, false, 12_800));
        check(20_000, 20_000, (false, false, 3_200));
        check(50_000, 50_000, (false, true, 1_280));
        // The puller has divided its items and left most of the work to tasks.
        check(50_000, 4_000, (false, true, 16_000));
        check(64_000_000, 64_000_000, (false, true, 1));
    }
}
