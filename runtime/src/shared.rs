//! What all workers of one run share that does not depend on the pipeline's types.

mod losses;
mod waiting;

use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError, Weak},
    time::Duration,
};

use crossbeam_deque::{Stealer, Worker as Queue};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use pipewright_spec::{info::TopologyInfo, options::OnPanic};

use crate::{
    aside::Aside,
    budget::Budget,
    carrier::{Carrier, Task},
    counts::Counts,
    credit::{Credits, NO_BATCH},
    deadlines::Deadlines,
    drive::AfterPanic,
    dropped::Losses,
    ending::Bell,
    error::{Panicked, RunError},
    flights::Flights,
    fork::Forks,
    guard::{Guards, HELD_AT_END_NS},
    idle::Idle,
    lane_queues::LaneQueues,
    late::Late,
    live::Live,
    machine::{Placement, Room, Seating, room_for},
    pin::{self, Pins},
    pressure::{Gauge, MemoryWatch, Pressure},
    reactor::Reactor,
    scarcity::Spares,
    seats::Seats,
    settings::Settings,
    source::SourceCtl,
    sync::{AtomicBool, AtomicU64, Instant, Mutex, MutexGuard, Ordering, fence},
    tail::{self, Division},
    warnings::Warnings,
    worker_stats::WorkerStats,
};

/// Most panic messages that a report keeps.
const PANICS_KEPT: usize = 8;

/// The state of one run.
pub(crate) struct Shared {
    pub(crate) info: &'static TopologyInfo,
    pub(crate) settings: Settings,
    /// Where the workers sit.
    pub(crate) seating: Seating,
    /// What it does otherwise than asked.
    pub(crate) warnings: Warnings,
    /// How memory is watched, if it is.
    pub(crate) memory: Option<(MemoryWatch, Gauge)>,
    /// Is there a source with `acks`?
    pub(crate) has_acks: bool,
    /// How scarce memory is.
    pub(crate) pressure: Pressure,
    /// What the buffers between stages take.
    pub(crate) budget: Budget,
    /// What lies ready to be used again.
    pub(crate) spares: Mutex<Vec<Weak<dyn Spares>>>,
    pub(crate) credits: Credits,
    pub(crate) idle: Arc<Idle>,
    /// What stages have forked.
    pub(crate) forks: Forks,
    /// Until when items are of use.
    pub(crate) deadlines: Arc<Deadlines>,
    /// Answers whose callers had gone.
    pub(crate) late_answers: Arc<AtomicU64>,
    /// The segments with threads of their own.
    pub(crate) pins: Pins,
    /// One set of counters per worker, then one per pinned thread.
    pub(crate) counts: Box<[Counts]>,
    /// What each worker did with its time.
    pub(crate) stats: Box<[CachePadded<WorkerStats>]>,
    pub(crate) sources: Box<[SourceCtl]>,
    /// Rung at the end.
    pub(crate) bell: Arc<Bell>,
    /// The numbers that can change.
    pub(crate) live: Live,
    /// Batches that took too long.
    pub(crate) late: Late,
    /// What guards the stages that have guards.
    pub(crate) guards: Guards,
    /// Who is at work, and who stands in for workers whose calls hang.
    pub(crate) seats: Seats<Queue<Task>>,
    /// What they have put aside.
    pub(crate) aside: Aside,
    /// The batches whose futures are under way.
    pub(crate) flights: Flights,
    /// What futures find their timers and sockets in.
    pub(crate) reactor: Reactor,
    pub(crate) stealers: OnceLock<Box<[Stealer<Task>]>>,
    /// Tasks that no run queue had room for.
    pub(crate) injector: ArrayQueue<Task>,
    /// Tasks of the lanes but `normal`, whose tasks are in the workers' own queues.
    pub(crate) lanes: LaneQueues,
    /// Do several workers pull at once? Otherwise one of them has the whole pipeline while it works.
    parallel: AtomicBool,
    /// When a sleeping worker will look after the sources that had nothing, in nanoseconds of the run.
    clock: AtomicU64,
    /// No more items are taken in.
    closing: AtomicBool,
    /// When nothing waits for a breaker any more, in nanoseconds of the run: once it is drained.
    last_call: AtomicU64,
    /// What is on its way is dropped.
    stopping: AtomicBool,
    /// Nothing is left to do.
    finished: AtomicBool,
    /// Items that were dropped, by link; then by source.
    dropped: Box<[Losses]>,
    /// Items that a stage had made when the run stopped, by stage.
    dropped_inside: Box<[AtomicU64]>,
    /// Whether batches may be divided, by link; then by source.
    divisions: Box<[Division]>,
    /// The next sequence number of each ordered gate, by link.
    numbers: Box<[AtomicU64]>,
    outcome: Mutex<Outcome>,
    epoch: Instant,
}

#[derive(Default)]
struct Outcome {
    error: Option<RunError>,
    panics: Vec<PanicNote>,
}

/// A panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PanicNote {
    /// The stage that panicked.
    pub stage: &'static str,
    /// What the panic said.
    pub message: String,
}

impl Shared {
    pub(crate) fn new(
        info: &'static TopologyInfo,
        settings: Settings,
        (placement, pinned): (Placement, pin::Placement),
        sources: Box<[SourceCtl]>,
        watch: Option<MemoryWatch>,
        warnings: Warnings,
        reactor: Reactor,
    ) -> Arc<Self> {
        let seats = settings.seats();
        let pins = Pins::new(info, &pinned, seats);
        // Besides the carriers at links, tails of what sources gave wait in run queues.
        let bound = settings.most_carriers(info) + settings.credits as usize;
        let seating = Seating::new(placement.with_seats(seats));
        let watched = watch.is_some();
        let memory = watch.and_then(|watch| watch.gauge().map(|gauge| (watch, gauge)));
        if watched && memory.is_none() {
            warnings.add("there is no memory limit and no pressure information (PSI), so memory is not watched");
        }
        let idle = Arc::new(Idle::new(seats));
        let epoch = Instant::now();
        Arc::new(Self {
            info,
            credits: Credits::new(settings.credits, info.links.len()),
            budget: Budget::new(settings.memory, settings.credits),
            forks: Forks::new(seats, Arc::clone(&idle), epoch),
            idle,
            deadlines: Arc::new(Deadlines::new(epoch)),
            late_answers: Arc::default(),
            counts: (0..seats + pins.threads())
                .map(|_| Counts::new(info))
                .collect(),
            stats: (0..seats + pins.threads())
                .map(|_| CachePadded::new(WorkerStats::new(info)))
                .collect(),
            stealers: OnceLock::new(),
            injector: ArrayQueue::new(bound),
            lanes: LaneQueues::new(&settings, info, bound),
            // Nobody has a pipeline with pinned threads to itself, nor one whose batches may have to wait.
            parallel: AtomicBool::new(
                settings.parallel || !pins.is_empty() || settings.has_waits(),
            ),
            guards: Guards::new(&settings, pins.threads()),
            seats: Seats::new(settings.workers, seats),
            aside: Aside::new(),
            flights: Flights::new(info, &settings),
            reactor,
            pins,
            clock: AtomicU64::new(u64::MAX),
            closing: AtomicBool::new(false),
            last_call: AtomicU64::new(u64::MAX),
            stopping: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            dropped: (0..info.links.len() + sources.len())
                .map(|_| Losses::default())
                .collect(),
            dropped_inside: info.stages.iter().map(|_| AtomicU64::new(0)).collect(),
            divisions: tail::divisions(info, &settings),
            numbers: info.links.iter().map(|_| AtomicU64::new(0)).collect(),
            has_acks: info.sources.iter().any(|source| source.acks),
            sources,
            bell: Arc::default(),
            live: Live::new(&settings),
            late: Late::new(info.stages.len()),
            outcome: Mutex::new(Outcome::default()),
            epoch,
            settings,
            seating,
            warnings,
            memory,
            pressure: Pressure::default(),
            spares: Mutex::new(Vec::new()),
        })
    }

    /// What is left for a worker that looks for work.
    pub(crate) fn room(&self) -> Room {
        let workers = self.settings.workers;
        room_for(workers, self.pins.threads(), self.seating.cpus())
    }

    /// Nanoseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        self.elapsed().as_nanos() as u64
    }

    /// Time since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(crate) fn stage_name(&self, stage: u16) -> &'static str {
        self.info
            .stages
            .get(stage as usize)
            .map_or("input", |stage| stage.name)
    }

    /// The name of a source by its number, or `input`.
    pub(crate) fn source_name(&self, source: usize) -> &'static str {
        let stage = self
            .info
            .sources
            .get(source)
            .and_then(|source| source.stage);
        stage.map_or("input", |stage| self.stage_name(stage))
    }

    pub(crate) fn is_parallel(&self) -> bool {
        self.parallel.load(Ordering::Relaxed)
    }

    pub(crate) fn set_parallel(&self, parallel: bool) {
        self.parallel.store(parallel, Ordering::Relaxed);
    }

    /// A worker that goes to sleep offers to wake at `at` for the sources; false if another one wakes early enough.
    pub(crate) fn take_clock(&self, at: u64) -> bool {
        // Two that take it at once both wake, which costs a look and nothing else.
        let taken = at < self.clock.load(Ordering::Relaxed);
        if taken {
            self.clock.store(at, Ordering::Relaxed);
        }
        taken
    }

    /// Will no sleeping worker look after the sources?
    pub(crate) fn has_free_clock(&self) -> bool {
        self.clock.load(Ordering::Relaxed) == u64::MAX
    }

    /// The worker that took the clock is awake. It looks after the sources before it sleeps again.
    pub(crate) fn give_clock_back(&self, at: u64) {
        // If it fails, another one has taken the clock for an earlier time.
        let _ = self
            .clock
            .compare_exchange(at, u64::MAX, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// When nothing waits for a breaker any more, if the run is drained.
    pub(crate) fn last_call(&self) -> Option<u64> {
        self.is_closing()
            .then(|| self.last_call.load(Ordering::Relaxed))
    }

    /// As [`Self::close`], for a drain that has to be over after a time.
    pub(crate) fn close_within(&self, within: Duration) {
        let held = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX) / 5 * 4;
        self.last_call_in(held.min(HELD_AT_END_NS));
        self.close();
    }

    fn last_call_in(&self, ns: u64) {
        self.last_call
            .fetch_min(self.now().saturating_add(ns), Ordering::Relaxed);
    }

    /// Takes no more items; what is on its way goes on.
    pub(crate) fn close(&self) {
        self.last_call_in(HELD_AT_END_NS);
        self.closing.store(true, Ordering::Release);
        // Pairs with the fence in a poll source that rests.
        fence(Ordering::SeqCst);
        for source in &self.sources {
            source.close();
        }
        self.aside.release(|parked| parked.collapses);
        self.flights.ring_all(|task| self.leave_task(task));
        self.idle.wake_all();
        self.pins.wake_all();
    }

    /// Drops what is on its way.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.close();
        self.seats.wake_all();
    }

    /// Everything is done: all workers may leave.
    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.idle.wake_all();
        self.pins.wake_all();
        self.seats.wake_all();
    }

    /// Ends the run with an error; the first one counts.
    pub(crate) fn fail(&self, error: RunError) {
        self.outcome().error.get_or_insert(error);
        self.stop();
    }

    pub(crate) fn error(&self) -> Option<RunError> {
        self.outcome().error.clone()
    }

    pub(crate) fn panics(&self) -> Vec<PanicNote> {
        self.outcome().panics.clone()
    }

    /// Decides what follows a panic in `stage` and notes it.
    pub(crate) fn after_panic(&self, stage: u16, message: String) -> AfterPanic {
        let name = self.stage_name(stage);
        // What is lost is not acknowledged.
        let on_panic = match (self.live.on_panic(stage), self.has_acks) {
            (OnPanic::DeadLetter, _) => OnPanic::DeadLetter,
            (_, true) => OnPanic::Stop,
            (given, false) => given,
        };
        {
            let mut outcome = self.outcome();
            if outcome.panics.len() < PANICS_KEPT {
                outcome.panics.push(PanicNote {
                    stage: name,
                    message: message.clone(),
                });
            }
        }
        match on_panic {
            OnPanic::Isolate | OnPanic::Keep => AfterPanic::GoOn,
            OnPanic::DeadLetter => AfterPanic::Letter(Panicked {
                stage: name,
                message,
            }),
            OnPanic::Reset => AfterPanic::Reset,
            OnPanic::Stop => {
                self.fail(RunError::Panicked {
                    stage: name,
                    message,
                });
                AfterPanic::Stop
            }
        }
    }

    /// A batch with this ticket is done.
    pub(crate) fn release(&self, ticket: u32) {
        // When the ticket is free, another one takes it and it may have another root.
        let root = self.credits.root(ticket);
        let pulled = self
            .has_acks
            .then(|| (self.credits.source(root), self.credits.batch(root)));
        let free = self.released(ticket) && (root == ticket || self.released(root));
        if let (true, Some((source, batch))) = (free, pulled) {
            self.done(source as usize, batch);
        }
    }

    /// A batch of a source has no reference to its ticket any more: its items are done, unless the run has begun to stop, which drops
    /// items.
    fn done(&self, source: usize, batch: u64) {
        if batch != NO_BATCH
            && !self.is_stopping()
            && let Some(acks) = self.sources.get(source).and_then(SourceCtl::acks)
        {
            acks.done(batch);
        }
    }

    /// Everything that was pulled is done, unless the run has begun to stop. Called by a worker that is alone.
    pub(crate) fn all_done(&self) {
        if !self.is_stopping() {
            self.sources
                .iter()
                .filter_map(SourceCtl::acks)
                .for_each(|acks| acks.all_done());
        }
    }

    /// Gives back one reference to a ticket; true if it is free now. The last one lets the source learn what its items cost.
    fn released(&self, ticket: u32) -> bool {
        if let Some((source, spent)) = self.credits.spent(ticket) {
            self.sources[source].learn(spent, self.quantum());
        }
        let free = self.credits.release(ticket);
        let first = free == Some(1);
        // Outside parallel work someone waits for all tickets; within it for any, or, where buffers are short, for all.
        let all =
            free == Some(self.credits.total()) && (!self.is_parallel() || self.budget.is_over());
        if first || all {
            self.idle.wake_one();
            self.pins.wake_sources();
        }
        free.is_some()
    }

    /// May batches be divided that come by this link, or from the source that has this number here?
    pub(crate) fn division(&self, link: u16) -> Division {
        self.divisions
            .get(usize::from(link))
            .copied()
            .unwrap_or(Division::Never)
    }

    /// Leaves a batch to whichever worker is free first.
    pub(crate) fn leave<T: 'static>(&self, carrier: Carrier<T>) {
        self.leave_task(carrier.into_task());
    }

    pub(crate) fn leave_task(&self, task: Task) {
        let lane = self.lanes.at(task.link(), self.credits.lane(task.ticket()));
        if let Err(task) = self.lanes.push(lane, task) {
            // The queue has room for every carrier there can be. If it had not, a task that comes back is dropped, and
            // the ledger shows it.
            drop(self.injector.push(task));
        }
        self.idle.wake_one();
    }

    /// Keeps a ticket out while the worker still has references into the pipeline, however soon the batches that share it
    /// are done.
    pub(crate) fn keep(&self, ticket: u32) -> Kept<'_> {
        self.credits.share(ticket);
        self.kept(ticket)
    }

    /// The reference to a ticket that the caller has.
    pub(crate) fn kept(&self, ticket: u32) -> Kept<'_> {
        Kept {
            shared: self,
            ticket,
        }
    }

    /// Draws the next sequence number of an ordered gate. Called under the source's token.
    pub(crate) fn next_number(&self, gate: u16) -> u64 {
        // Relaxed: the number is all that is shared; each source draws in its own order.
        self.numbers[usize::from(gate)].fetch_add(1, Ordering::Relaxed)
    }

    /// The number by which `dropped` knows a source.
    pub(crate) fn source_link(&self, source: usize) -> u16 {
        (self.info.links.len() + source) as u16
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        // The lock is held for moments in which nothing can panic but an allocation.
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reference to a ticket.
pub(crate) struct Kept<'r> {
    shared: &'r Shared,
    ticket: u32,
}

impl Kept<'_> {
    pub(crate) fn ticket(&self) -> u32 {
        self.ticket
    }

    /// Another reference, for whoever takes it over.
    pub(crate) fn share(&self) {
        self.shared.credits.share(self.ticket);
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.shared.release(self.ticket);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("pipeline", &self.info.name)
            .field("credits", &self.credits)
            .field("closing", &self.is_closing())
            .field("stopping", &self.is_stopping())
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
