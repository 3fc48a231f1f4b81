//! Guarded stages: those with `breaker`, `rate`, `retry`, `timeout` or `workers`.
//!
//! A guarded stage is a segment of its own, so that the time of a batch is the stage's own, and a batch can wait as a whole.
//! Its items are called in slices of at most [`SLICE`]. Before each slice it is asked whether calls may be made, and after
//! it what came of them is recorded: once a slice, whatever the items are.
//!
//! **A batch that may not go on** on a worker of the pool is put aside (see [`crate::aside`]) with the outputs that it has made so far, and goes on
//! where it stopped. So nothing overtakes anything: what it has made leaves with what it makes later, behind an ordered gate
//! further on others wait for its number, and behind a gate of its own it keeps the right to pass, while no worker waits.
//! Its items lie in its carrier like a stack, the first on top: what is left is there at any time, whatever panics. A pinned
//! thread, which has nothing else to do, waits with its batch in its hands (see [`crate::pin`]); all that follows is the same there.
//!
//! **What becomes of items while the breaker is open** says `on_open`. Items that are turned away go through the loop of their stage
//! as others do, so that order, acknowledgements and counts are as ever; where the call would be, generated code asks for the
//! refusal, and makes an error of it, hands the item on by another door, or calls another function. Held, they wait until it admits a slice; half open that is
//! as many as there are probes. Who is refused while others try goes on when what came of that is known: each result half open,
//! and each change of state, is *news*, which are counted. Whoever settles a slice counts first and then releases what waits;
//! whoever puts a batch aside remembers the count from before it asked, and compares it afterwards. Both lock what waits in
//! between, so one sees the other; who waits with its batch compares while it goes to sleep (see [`crate::held`]). Who is refused because the breaker has just closed, and admits more and more, asks again
//! after a while.
//!
//! Items that are *given back* to their source (`on_open = nack`) are dropped, and come again when the source goes back (see [`crate::acks`]).
//! While the breaker tries, or lets in more and more, they wait: what comes back would be all that is behind them.
//!
//! When the run is drained, items wait for at most [`HELD_AT_END_NS`], or for four fifths of the time that the drain has; then they
//! are called whatever the breaker says, and leave by what their calls give. So a drain ends, and each item has an error of its
//! own stage.
//!
//! **A worker that may not come in**, because as many as may are in the stage already, leaves its batch waiting until one of those has
//! done a slice (see `bulkhead.rs`), also when the run is drained.
//!
//! **What is beyond the rate** waits until there is room for half of a slice, or a burst; a batch goes on with as many as there is room for.
//! When the run is drained, nothing waits for that any more.
//!
//! **What failed and is tried again** (see `retry.rs`) counts as not received until it is. Where any worker runs the batches, the loop goes
//! on with the items behind it, and those that failed are a round of their own after a pause, which news do not end; what the batch has made is put
//! in the order of its items when all of them are done. Where the stage has one state, one for each key, or sees its items in
//! order, the batch waits with the failed item on top. A drain ends the pause, and then an item is tried once more. Of a stage
//! that takes many, those of a batch that failed are called together again, and nothing behind that batch before; what it
//! made of the others is put in order with them (see `many.rs`).
//!
//! **What an error says** tells its class (see [`crate::Classify`]). Classes that are not in `counts` are no failures, nor is ever an
//! error that is about the item. A fatal one ends the run after its slice.

mod bulkhead;
mod guarding;
mod hangs;
mod kit;
mod many;
mod metrics;
mod retry;
mod rules;
mod slice;
mod timeout;
mod watch;

use std::time::Duration;

use pipewright_spec::info::RateInfo;

use self::{
    bulkhead::{Bulkhead, Permit},
    hangs::Slices,
    metrics::Tallies,
    retry::Retry,
    rules::{BreakerSettings, Classes, OnOpen},
    timeout::Timeout,
};
pub use self::{
    guarding::{Guarding, Pause},
    metrics::GuardMetrics,
    slice::{
        drive_guarded, drive_guarded_ahead, drive_guarded_batch, drive_guarded_tagged,
        drive_guarded_tagged_ahead, drive_guarded_tagged_batch, drive_guarded_tagged_vector,
        drive_guarded_vector,
    },
};
pub(crate) use self::{kit::Kit, rules::GuardSettings, slice::Failures, watch::chore};
use crate::{
    breaker::{Breaker, Refused, State, Ticket},
    classify::ErrorClass,
    looks::Looks,
    rate::RateLimiter,
    settings::{Settings, StageSettings},
    sync::{Arc, AtomicU32, AtomicU64, Ordering},
};

/// Most items between two questions to the breaker.
pub(crate) const SLICE: usize = 64;
/// When to ask a breaker again that admits a part of the calls: 5 ms.
const ASK_AGAIN_NS: u64 = 5_000_000;
/// The longest between two questions to a breaker: 100 ms. Somebody may have changed it by hand.
const ASK_AT_LEAST_NS: u64 = 100_000_000;

/// When a run is drained, items wait for a breaker for so long: 30 s.
pub(crate) const HELD_AT_END_NS: u64 = 30_000_000_000;

/// The guards of a run.
#[derive(Debug)]
pub(crate) struct Guards {
    /// By stage.
    all: Box<[Option<Guard>]>,
    looks: Arc<Looks>,
}

impl Guards {
    /// Of a run with so many pinned threads.
    pub(crate) fn new(settings: &Settings, pinned: usize) -> Self {
        let every = match watch::is_wanted(settings) {
            true => watch::EVERY.as_nanos() as u64,
            false => 0,
        };
        let looks = Arc::new(Looks::new(every, 0));
        let stages = settings.stages.iter().enumerate();
        let guard = |(at, stage): (usize, &StageSettings)| {
            let guard = stage.guard.as_ref()?;
            // Futures are cancelled, so nobody looks for calls that hang.
            let callers = match stage.is_async {
                true => 0,
                false => settings.seats() + pinned,
            };
            Some(Guard::new(guard, at as u64, callers, &looks))
        };
        Self {
            all: stages.map(guard).collect(),
            looks: Arc::clone(&looks),
        }
    }

    pub(crate) fn of(&self, stage: usize) -> Option<&Guard> {
        self.all.get(stage)?.as_ref()
    }

    /// For how long some of them give back what comes, as far as is known, but for at most as long as a source waits before
    /// it asks again, in nanoseconds; `None` if none does.
    pub(crate) fn turn_back_for(&self) -> Option<u64> {
        let waits = self.all.iter().flatten().filter_map(Guard::turns_back_for);
        let longest = waits.max()?.as_nanos();
        Some(u64::try_from(longest).map_or(ASK_AT_LEAST_NS, |ns| ns.min(ASK_AT_LEAST_NS)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.iter().all(Option::is_none)
    }
}

/// What guards a stage.
#[derive(Debug)]
pub(crate) struct Guard {
    bulkhead: Option<Bulkhead>,
    timeout: Option<Timeout>,
    /// Where slow calls count and there is no `timeout`.
    slices: Option<Slices>,
    rate: Option<RateLimiter>,
    retry: Option<Retry>,
    fuse: Option<Fuse>,
    /// When the call of each worker began that was seen to hang last; 0 for none.
    hung: Box<[AtomicU64]>,
    /// Was the process stopped? In the time of the run.
    looks: Arc<Looks>,
    /// Times that something has changed for those that wait.
    news: AtomicU64,
    /// Times that its numbers have changed.
    retunings: AtomicU64,
    tallies: Tallies,
}

/// A breaker, and what follows when it is open.
#[derive(Debug)]
struct Fuse {
    breaker: Breaker,
    /// What follows, but for how long items wait.
    on_open: OnOpen,
    /// The longest that items wait, in nanoseconds; `u64::MAX` for no limit.
    hold: AtomicU64,
    /// The classes that are failures.
    counts: AtomicU32,
}

/// What may be done with items now.
pub(crate) enum Admission<'g> {
    /// Call so many of them, and record what came of it.
    Call(Option<Ticket<'g>>, usize),
    /// Wait for so many nanoseconds, for the sake of a rate.
    Later(u64),
    /// Wait for the breaker until that time of the run.
    Wait(u64),
    /// Turn all of them away: they fail, leave by another door, or go into another function.
    Refuse(Refused),
    /// Drop all of them.
    Drop,
    /// Give all of them back to their source.
    GiveBack,
}

/// What becomes of items that are turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnsAway {
    /// They are errors.
    Fails,
    /// They leave as they are, by a door of their own.
    Diverts,
    /// Another function takes them.
    FallsBack,
}

impl Guard {
    pub(crate) fn new(
        settings: &GuardSettings,
        seed: u64,
        workers: usize,
        looks: &Arc<Looks>,
    ) -> Self {
        let watched = looks.is_promised() && settings.goes_by_time();
        let fuse = settings.breaker.as_ref().map(|breaker| Fuse {
            breaker: Breaker::of(&match watched {
                true => breaker.numbers().watched_every(watch::EVERY),
                false => breaker.numbers(),
            }),
            on_open: breaker.on_open,
            hold: AtomicU64::new(breaker.hold()),
            counts: AtomicU32::new(breaker.counts.bits()),
        });
        let rate = settings.rate.map(|rate| {
            let limiter = RateLimiter::new(rate.items, Duration::from_nanos(rate.per_ns));
            limiter.clock(settings.clock.clone())
        });
        let retry = |retry| Retry::new(retry, &settings.clock, seed);
        let timeout = |most| Timeout::new(most, workers);
        Self {
            bulkhead: settings.workers.map(Bulkhead::new),
            timeout: settings.timeout.map(timeout),
            slices: settings.times_slices().then(|| Slices::new(workers)),
            rate,
            retry: settings.retry.map(retry),
            fuse,
            hung: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            looks: Arc::clone(looks),
            news: AtomicU64::new(0),
            retunings: AtomicU64::new(0),
            tallies: Tallies::default(),
        }
    }

    /// How long a call may take, in nanoseconds.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.timeout.as_ref().map(Timeout::limit)
    }

    /// A call was cancelled because it took too long.
    pub(crate) fn cancelled(&self) {
        if let Some(timeout) = &self.timeout {
            timeout.cancelled();
        }
    }

    /// Is its breaker trying?
    pub(crate) fn is_half_open(&self) -> bool {
        self.breaker()
            .is_some_and(|breaker| breaker.state() == State::HalfOpen)
    }

    /// Takes other numbers over, which were checked; what waits is to ask again.
    pub(crate) fn retune(&self, settings: &GuardSettings) {
        if let (Some(bulkhead), Some(most)) = (&self.bulkhead, settings.workers) {
            bulkhead.retune(most);
        }
        if let (Some(timeout), Some(most)) = (&self.timeout, settings.timeout) {
            timeout.retune(most);
        }
        if let (Some(rate), Some(RateInfo { items, per_ns })) = (&self.rate, settings.rate) {
            rate.retune(items, Duration::from_nanos(per_ns));
        }
        if let (Some(retry), Some(numbers)) = (&self.retry, settings.retry) {
            retry.retune(numbers);
        }
        if let (Some(fuse), Some(breaker)) = (&self.fuse, &settings.breaker) {
            fuse.retune(breaker);
        }
        // Release: who sees it goes by the other numbers.
        self.retunings.fetch_add(1, Ordering::Release);
        self.tell_news();
    }

    /// Times that something has changed for those that wait: for the sake of what the guard says, or to try again, which only other
    /// numbers bring forward.
    pub(crate) fn news_for(&self, retries: bool) -> u64 {
        let count = if retries { &self.retunings } else { &self.news };
        // Acquire: who knows of news sees what they are about.
        count.load(Ordering::Acquire)
    }

    /// Something has changed for those that wait.
    pub(crate) fn tell_news(&self) {
        // Release: passes on what came of the slice.
        self.news.fetch_add(1, Ordering::Release);
    }

    /// Lets a worker in; with a permit, where only so many may be in the stage. An error: there are too many.
    pub(crate) fn enter(&self) -> Result<Option<Permit<'_>>, ()> {
        match &self.bulkhead {
            Some(bulkhead) => bulkhead.enter().map(Some).ok_or(()),
            None => Ok(None),
        }
    }

    /// The calls of other workers that have run for too long are failures while they run.
    fn look(&self, now: u64) {
        let (Some(timeout), Some(fuse)) = (&self.timeout, &self.fuse) else {
            return;
        };
        let running = timeout.running(now, self.looks.awake_for(now));
        if running > 0 && fuse.counts().has(ErrorClass::Timeout) {
            fuse.breaker.hang(running);
        }
    }

    /// Somebody looks, who promised to.
    fn tick(&self, now: u64) {
        if let Some(breaker) = self.breaker() {
            breaker.look();
        }
        self.look(now);
    }

    /// So many items have to wait.
    pub(crate) fn waits(&self, items: u64) {
        self.tallies.waits.fetch_add(1, Ordering::Relaxed);
        self.tallies.held.fetch_add(items, Ordering::Relaxed);
    }

    /// So many items are turned away.
    pub(crate) fn refuses(&self, items: u64) {
        let tally = match self.turns_away() {
            TurnsAway::Diverts => &self.tallies.diverted,
            TurnsAway::FallsBack => &self.tallies.fell_back,
            TurnsAway::Fails => &self.tallies.refused,
        };
        tally.fetch_add(items, Ordering::Relaxed);
        self.count_refused(items);
    }

    /// What becomes of items that are turned away.
    pub(crate) fn turns_away(&self) -> TurnsAway {
        match self.fuse.as_ref().map(|fuse| fuse.on_open) {
            Some(OnOpen::Divert) => TurnsAway::Diverts,
            Some(OnOpen::Fallback) => TurnsAway::FallsBack,
            _ => TurnsAway::Fails,
        }
    }

    /// So many items are dropped.
    pub(crate) fn drops(&self, items: u64) {
        self.tallies.dropped.fetch_add(items, Ordering::Relaxed);
        self.count_refused(items);
    }

    /// So many items are given back to their source.
    pub(crate) fn gives_back(&self, items: u64) {
        self.tallies.returned.fetch_add(items, Ordering::Relaxed);
        self.count_refused(items);
    }

    /// For how long it gives back what comes; `None` if it does not.
    fn turns_back_for(&self) -> Option<Duration> {
        let fuse = self.fuse.as_ref()?;
        let wait = fuse.breaker.retry_after();
        (fuse.on_open == OnOpen::Nack && !wait.is_zero()).then_some(wait)
    }

    fn count_refused(&self, items: u64) {
        if let Some(breaker) = self.breaker() {
            breaker.refused(items);
        }
    }

    /// So many items that waited do so no more.
    pub(crate) fn resumed(&self, items: u64) {
        self.tallies.resumed.fetch_add(items, Ordering::Relaxed);
    }

    pub(crate) fn breaker(&self) -> Option<&Breaker> {
        self.fuse.as_ref().map(|fuse| &fuse.breaker)
    }

    /// What may be done with `items` items, of which at most `most` are called at once, at the time `now` that have waited since `since` for the breaker. `last_call`:
    /// the run is drained, and from that time on nothing waits for a breaker.
    pub(crate) fn admit(
        &self,
        items: usize,
        most: usize,
        now: u64,
        since: Option<u64>,
        last_call: Option<u64>,
    ) -> Admission<'_> {
        self.look(now);
        let mut items = items.min(most);
        // What the breaker refuses for certain takes nothing of the rate.
        let open = self
            .breaker()
            .is_some_and(|breaker| !breaker.retry_after().is_zero());
        if let Some(rate) = self.rate.as_ref().filter(|_| last_call.is_none() && !open) {
            // Half of a slice at least, so that nobody is woken for each item.
            match rate.take_between(items.div_ceil(2) as u64, items as u64) {
                Ok(taken) => items = taken as usize,
                Err(late) => return Admission::Later(late.retry_after.as_nanos() as u64),
            }
        }
        let Some(fuse) = &self.fuse else {
            return Admission::Call(None, items);
        };
        match fuse.breaker.ask(items as u32) {
            Ok(ticket) => {
                let items = ticket.items() as usize;
                Admission::Call(Some(ticket), items)
            }
            Err(_) if last_call.is_some_and(|at| now >= at) => Admission::Call(None, items),
            Err(refused) => fuse.refuse(refused, now, since.unwrap_or(now)),
        }
    }

    /// Is an item that has failed with an error of this class tried again, after so many tries again?
    pub(crate) fn tries_again(&self, class: ErrorClass, tries: u32) -> bool {
        let Some(retry) = self.retry.as_ref().filter(|retry| retry.fits(class, tries)) else {
            return false;
        };
        let paid = retry.pay();
        let tally = if paid {
            &self.tallies.retried
        } else {
            &self.tallies.over_budget
        };
        tally.fetch_add(1, Ordering::Relaxed);
        paid
    }

    /// Are items tried again that failed?
    pub(crate) fn retries(&self) -> bool {
        self.retry.is_some()
    }

    /// So many items were tried for the first time.
    pub(crate) fn first_tries(&self, items: u64) {
        if let Some(retry) = &self.retry {
            retry.earn(items);
        }
    }

    /// How long to wait before try number `tries` after the first one, counted from 1.
    pub(crate) fn pause(&self, tries: u32) -> u64 {
        self.retry.as_ref().map_or(0, |retry| retry.pause(tries))
    }

    /// Does an error of this class count as a failure?
    pub(crate) fn is_failure(&self, class: ErrorClass) -> bool {
        self.fuse
            .as_ref()
            .is_some_and(|fuse| fuse.counts().has(class))
    }

    /// Does a panic count as a failure?
    pub(crate) fn counts_panics(&self) -> bool {
        self.fuse
            .as_ref()
            .is_some_and(|fuse| fuse.counts().has_panics())
    }
}

impl Fuse {
    fn counts(&self) -> Classes {
        Classes::of_bits(self.counts.load(Ordering::Relaxed))
    }

    /// Takes other numbers over, which were checked.
    fn retune(&self, settings: &BreakerSettings) {
        // Of the same kind and in their ranges, which whoever retunes has seen to.
        let _ = self.breaker.retune(&settings.numbers());
        self.hold.store(settings.hold(), Ordering::Relaxed);
        self.counts.store(settings.counts.bits(), Ordering::Relaxed);
    }

    fn refuse(&self, refused: Refused, now: u64, since: u64) -> Admission<'static> {
        match self.on_open {
            OnOpen::Hold(_) => {}
            OnOpen::DeadLetter | OnOpen::Divert | OnOpen::Fallback => {
                return Admission::Refuse(refused);
            }
            OnOpen::Drop => return Admission::Drop,
            OnOpen::Nack => match refused.state {
                State::Open | State::ForcedOpen => return Admission::GiveBack,
                // What comes of the calls that it lets through is known before long.
                _ => {}
            },
        }
        // Relaxed: it stands for itself.
        let end = since.saturating_add(self.hold.load(Ordering::Relaxed));
        if now >= end {
            return Admission::Refuse(refused);
        }
        let known = u64::try_from(refused.retry_after.as_nanos()).unwrap_or(u64::MAX);
        let wait = match (known, refused.state) {
            (0, State::HalfOpen) => ASK_AT_LEAST_NS,
            (0, _) => ASK_AGAIN_NS,
            (known, _) => known.min(ASK_AT_LEAST_NS),
        };
        Admission::Wait(now.saturating_add(wait).min(end))
    }
}
