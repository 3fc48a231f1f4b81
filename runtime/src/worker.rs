//! The workers: what each of them does next, and when the run is over.
//!
//! Lane by lane (see [`crate::lane`]), a worker first runs what is on its way (its own queue, the overflow, other workers'
//! queues), then pulls from the sources, and rests when there is neither (see [`crate::rest`]). It never waits for another
//! worker.
//!
//! **Two modes.** While items are cheap, handing them to another core costs more than it saves. So a run starts with one
//! worker that takes all tickets (see [`crate::credit`]) and runs the whole pipeline as one loop, source to sink. When it
//! has worked long enough to pay for waking the others, and an item costs enough to be worth a hand-over, the run turns
//! parallel; when items become cheap again, it turns back. A run with one worker always has the pipeline to itself.
//!
//! **The end.** The run is over when every source has ended and every ticket is free: then no batch exists anywhere.

use std::{
    cell::UnsafeCell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crossbeam_deque::{Steal, Worker as Queue};

use crate::{
    batch::Due,
    carrier::{Carrier, Task},
    counts::Counts,
    drive::{Load, Watch, panic_message},
    error::{InitError, RunError},
    fork,
    graph::{Graph, States},
    lane::{AGE_NS, Lane, Lanes, Turns},
    machine::Victims,
    rest::{Rest, WAKE_NS},
    shared::Shared,
    source::{Pulled, SourceCtl},
    urgent::{Interrupt, Urgent},
    worker_stats::WorkerStats,
};

/// Most tasks in a worker's own queue; more go to the overflow. crossbeam's deque starts with room for 64 and allocates
/// when it grows.
const OWN_TASKS: usize = 60;

/// One worker of a run.
pub struct Worker<'r> {
    pub(crate) shared: &'r Shared,
    id: usize,
    queue: Queue<Task>,
    counts: &'r Counts,
    /// A ticket taken for the pull that is about to happen.
    ticket: Option<u32>,
    /// The source that is asked first next time.
    turn: usize,
    /// The lane that is being served.
    lane: Lane,
    turns: Turns,
    /// When to look for lanes that have waited too long.
    look_for_aged: u64,
    pub(crate) rest: Rest,
    now: u64,
    urgent: Option<&'r dyn Urgent>,
    nested: bool,
    /// Has this worker the whole pipeline to itself?
    alone: bool,
    /// Whom it steals from.
    victims: Victims,
}

impl<'r> Worker<'r> {
    /// `urgent` serves urgent lanes in the middle of a batch.
    pub(crate) fn new(
        shared: &'r Shared,
        id: usize,
        queue: Queue<Task>,
        urgent: &'r dyn Urgent,
    ) -> Self {
        let mut worker = Self::nested(shared, id, queue);
        worker.nested = false;
        // Where all lanes are alike nothing has to be looked up for.
        worker.urgent = (shared.lanes.used() != Lanes::NORMAL).then_some(urgent);
        worker
    }

    /// A worker without a pipeline, which nobody interrupts.
    #[cfg(feature = "measure")]
    pub(crate) fn bare(shared: &'r Shared, id: usize, queue: Queue<Task>) -> Self {
        let mut worker = Self::nested(shared, id, queue);
        worker.nested = false;
        worker
    }

    /// For work in the middle of other work of worker `id`. Nobody steals from its queue, and it leaves nothing there.
    pub(crate) fn nested(shared: &'r Shared, id: usize, queue: Queue<Task>) -> Self {
        let now = shared.now();
        Self {
            shared,
            id,
            queue,
            counts: &shared.counts[id],
            ticket: None,
            turn: id,
            lane: Lane::NORMAL,
            turns: Turns::default(),
            look_for_aged: AGE_NS,
            rest: Rest::new(now),
            now,
            urgent: None,
            nested: true,
            alone: false,
            victims: shared.seating.seat(id).victims.clone(),
        }
    }

    /// What generated code hands from call to call.
    pub fn watch(&self) -> Watch<'r> {
        Watch {
            shared: self.shared,
            counts: self.counts,
            now: self.now,
            node: self.node(),
            lane: self.lane,
            urgent: if self.alone { None } else { self.urgent },
        }
    }

    /// Its memory node, by the count of its run.
    pub(crate) fn node(&self) -> u16 {
        self.shared.seating.seat(self.id).node
    }

    /// Leaves a batch in the worker's own queue: it runs it next, unless another worker steals it.
    pub fn post<T: 'static>(&mut self, carrier: Carrier<T>) {
        let shared = self.shared;
        let lane = shared.lanes.at(carrier.link(), shared.credits.lane(carrier.ticket()));
        let task = match shared.lanes.push(lane, carrier.into_task()) {
            Ok(()) => return shared.idle.wake_one(),
            Err(task) => task,
        };
        if self.id >= shared.settings.workers {
            return self.leave_to_pool(task);
        }
        let waiting = if self.nested { OWN_TASKS } else { self.queue.len() };
        if waiting < OWN_TASKS {
            self.queue.push(task);
        } else if let Err(task) = self.shared.injector.push(task) {
            // The overflow has room for every carrier there can be; if it had not, growing is better than losing.
            self.queue.push(task);
        }
        // Nobody is woken for the one task that this worker runs next.
        if waiting > 0 {
            self.shared.idle.wake_one();
        }
    }

    /// A pinned thread's task is for the workers of the pool.
    fn leave_to_pool(&self, task: Task) {
        // The queue has room for every carrier there can be. If it had not, a task that comes back is dropped, and the
        // ledger shows it.
        drop(self.shared.injector.push(task));
        self.shared.idle.wake_one();
    }

    /// Its number among the workers and pinned threads.
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Pulls with a ticket that was just taken.
    pub(crate) fn pull_with(
        &mut self,
        ticket: u32,
        pull: impl FnOnce(&mut Self) -> Pulled,
    ) -> Pulled {
        self.ticket = Some(ticket);
        let _ticket = self.shared.keep(ticket);
        let pulled = pull(self);
        if let Some(unused) = self.ticket.take() {
            self.shared.release(unused);
        }
        pulled
    }

    pub(crate) fn take_ticket(&mut self) -> Option<u32> {
        self.ticket.take()
    }

    /// Reads the clock and returns the time of the run in nanoseconds. Every piece of work and every rest ends with this, so
    /// that its end is the beginning of the next.
    pub(crate) fn tick(&mut self) -> u64 {
        self.now = self.shared.now();
        self.now
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn lane(&self) -> Lane {
        self.lane
    }

    pub(crate) fn stats(&self) -> &'r WorkerStats {
        &self.shared.stats[self.id]
    }

    /// This worker has taken something from a source, and is about to work on it: another one may go on there, or with what
    /// this one was looking for.
    pub(crate) fn pass_on(&mut self, source: &SourceCtl) {
        let searched = std::mem::take(&mut self.rest.searched);
        if source.is_ready(self.now) || (searched && self.sees_work()) {
            self.shared.idle.wake_one();
        }
    }

    /// The next task of the lane that is being served.
    pub(crate) fn next_task(&mut self) -> Option<Task> {
        if self.lane != Lane::NORMAL {
            return self.shared.lanes.pop(self.lane);
        }
        self.queue.pop().or_else(|| self.shared.injector.pop()).or_else(|| self.steal())
    }

    /// A task of another worker, the nearest first.
    pub(crate) fn steal(&mut self) -> Option<Task> {
        let stealers = self.shared.stealers.get()?;
        let stolen = self.victims.find(|victim| {
            loop {
                match stealers[victim].steal() {
                    Steal::Success(task) => return Some(task),
                    Steal::Empty => return None,
                    // Another thief got in between; it made progress, so this ends.
                    Steal::Retry => {}
                }
            }
        });
        match stolen {
            Some(_) => self.stats().stolen.add(1),
            None => self.stats().failed_scans.add(1),
        }
        stolen
    }

    /// Works on what another worker's stage has forked; false if there is nothing.
    fn help(&mut self) -> bool {
        let shared = self.shared;
        let begun = self.now;
        if !shared.forks.has_offers() || !fork::help(&shared.forks, &mut self.victims, &mut self.rest.pace) {
            return false;
        }
        self.stats().helped.add(1);
        let now = self.tick();
        self.rest.helped(begun, now);
        true
    }

    /// Is there a task that this worker could take?
    pub(crate) fn sees_tasks(&self) -> bool {
        let shared = self.shared;
        let others = || shared.stealers.get().is_some_and(|all| all.iter().any(|queue| !queue.is_empty()));
        !self.queue.is_empty() || !shared.injector.is_empty() || !shared.lanes.is_empty() || others()
    }

    /// The lane at which this look begins.
    fn first_lane(&mut self) -> Lane {
        if self.now >= self.look_for_aged {
            self.look_for_aged = self.now + AGE_NS / 4;
            if let Some(lane) = self.aged() {
                return lane;
            }
        }
        self.turns.next()
    }
}

impl Shared {
    /// Have all sources ended, and is every ticket free?
    pub(crate) fn is_over(&self) -> bool {
        self.sources.iter().all(|source| source.is_done())
            && self.credits.free() == self.credits.total()
    }
}

/// A pipeline's graph that workers use together, or one of them alone.
pub(crate) struct Shelf<G>(UnsafeCell<G>);

impl<G: Graph> Shelf<G> {
    pub(crate) fn new(graph: G) -> Self {
        Self(UnsafeCell::new(graph))
    }

    pub(crate) fn into_inner(self) -> G {
        self.0.into_inner()
    }

    /// The graph, for a worker that holds a ticket or a task (which holds one), before the workers start, or where there are
    /// pinned threads, so that nobody is ever alone.
    pub(crate) fn get(&self) -> &G {
        // SAFETY: an exclusive reference exists only while one worker holds all tickets (`alone`). Callers hold one, so
        // there is none now, and none is made before they release it, which they do after their last use of the reference.
        // With pinned threads the run is parallel from the beginning and stays so: there never is one.
        unsafe { &*self.0.get() }
    }

    /// The graph for a worker that holds all tickets.
    #[allow(
        clippy::mut_from_ref,
        reason = "the tickets are the lock; see the safety comment"
    )]
    fn alone(&self) -> &mut G {
        // SAFETY: the caller has taken all tickets, so no other worker holds one and none has a reference from `get`;
        // the credits' Acquire and Release order their accesses before and after this one.
        unsafe { &mut *self.0.get() }
    }

    /// Makes a worker's own part. Called while no worker runs.
    pub(crate) fn local(&self, w: &Worker<'_>) -> Result<G::Local, InitError> {
        self.get().local(w)
    }
}

// SAFETY: workers share it by `&G` (`G: Sync`) or use it alone, one after the other (`G: Send`).
unsafe impl<G: Send + Sync> Sync for Shelf<G> {}

/// Runs one worker until the run is over, then leaves its states in `states`.
pub(crate) fn work<G: Graph>(
    shelf: &Shelf<G>,
    mut local: G::Local,
    w: &mut Worker<'_>,
    urgent: &Interrupt<'_, G>,
    states: &States,
) {
    let shared = w.shared;
    shared.idle.enlist(w.id, std::thread::current());
    let _seat = fork::sit(&shared.forks, w.id);
    // A panic outside the users' functions is a bug of pipewright; it must not leave the other workers waiting.
    let attempt = catch_unwind(AssertUnwindSafe(|| turn_until_over(shelf, &mut local, w)));
    if let Err(payload) = attempt {
        let message = panic_message(payload);
        shared.fail(RunError::Panicked {
            stage: shared.info.name,
            message,
        });
        shared.finish();
    }
    G::retire(local, states);
    urgent.retire(states);
}

fn turn_until_over<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) {
    let shared = w.shared;
    while !shared.is_finished() {
        if shared.is_stopping() {
            break;
        }
        let begun = w.now;
        if step(shelf, local, w) {
            w.rest.worked(begun, w.now);
            continue;
        }
        if w.help() {
            continue;
        }
        if shared.is_over() {
            shared.finish();
            break;
        }
        w.rest();
    }
    // What is left in the queues after a stop is dropped and counted there.
    for lane in Lane::ALL {
        w.lane = lane;
        while w.next_task().is_some() {}
    }
}

/// Does one piece of work, of the most urgent lane that has any; false if there is none.
fn step<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let first = w.first_lane();
    for lane in shared.lanes.used().from(first) {
        w.lane = lane;
        if let Some(task) = w.next_task() {
            run(shelf, local, w, task);
        } else if !pull(shelf, local, w) {
            continue;
        }
        shared.lanes.served(lane, w.now);
        return true;
    }
    false
}

/// As [`step`], in the middle of a batch of `lane`: with more urgent work only.
pub(crate) fn step_above<G: Graph>(
    shelf: &Shelf<G>,
    local: &mut G::Local,
    w: &mut Worker<'_>,
    lane: Lane,
) -> bool {
    for above in Lane::ALL.into_iter().filter(|above| *above < lane.min(Lane::NORMAL)) {
        w.lane = above;
        if let Some(task) = w.next_task() {
            run(shelf, local, w, task);
            return true;
        }
        let open = w.shared.is_parallel() && !w.shared.is_paused();
        if open && pull_one(shelf, local, w) {
            return true;
        }
    }
    false
}

fn run<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>, task: Task) {
    w.stats().executed.add(1);
    if std::mem::take(&mut w.rest.searched) && w.sees_work() {
        w.shared.idle.wake_one();
    }
    let _ticket = w.shared.keep(task.ticket());
    shelf.get().task(task, local, w);
    w.tick();
}

/// Pulls from a source of the lane that is being served; false if there was nothing to pull.
fn pull<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    if w.shared.is_paused() {
        return false;
    }
    if w.shared.is_parallel() {
        pull_one(shelf, local, w)
    } else {
        alone(shelf, local, w)
    }
}

fn pull_one<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let sources = shared.sources.len();
    let now = w.now;
    for i in 0..sources {
        let source = (w.turn + i) % sources;
        if !shared.sources[source].is_ready_in(w.lane, now) {
            continue;
        }
        let Some(ticket) = shared.credits.take(source as u32, w.lane) else {
            return false;
        };
        let pulled = w.pull_with(ticket, |w| shelf.get().pull(source, local, w));
        match pulled {
            Pulled::More => {
                w.stats().pulled.add(1);
                w.turn = source + 1;
                let may_turn = shared.pins.is_empty() && !shared.settings.parallel;
                if may_turn && shared.sources.iter().all(|source| source.is_cheap()) {
                    shared.set_parallel(false);
                }
                return true;
            }
            Pulled::Done => return true,
            Pulled::Idle | Pulled::Busy => {}
        }
    }
    false
}

/// Runs the whole pipeline in one loop while nobody else has a ticket. False if that could not be, or nothing was there.
fn alone<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let begun = w.now;
    let ready = shared.sources.iter().any(|source| source.is_ready_in(w.lane, begun));
    if !ready || !shared.credits.take_all() {
        return false;
    }
    // Nobody is woken for what this worker looks at again before it gives the tickets back.
    w.rest.searched = false;
    let looks = shared.idle.start_search();
    let graph = shelf.alone();
    w.alone = true;
    loop {
        let more = round(graph, local, w);
        let now = w.now;
        let linger = more && shared.may_linger();
        graph.flush(local, w, if linger { Due::At(now) } else { Due::All });
        if !more || shared.is_stopping() || shared.is_paused() {
            break;
        }
        if shared.settings.workers > 1
            && now - begun > WAKE_NS
            && shared.sources.iter().any(|s| s.is_worth_sharing())
        {
            shared.set_parallel(true);
            graph.flush(local, w, Due::All);
            break;
        }
    }
    w.alone = false;
    shared.credits.open();
    if looks {
        shared.idle.stop_search();
    }
    if shared.is_parallel() {
        shared.idle.wake_all();
    }
    true
}

/// Asks the sources of the most urgent lane that has something; false if none had anything.
fn round<G: Graph>(graph: &mut G, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let first = w.first_lane();
    for lane in shared.lanes.used().from(first) {
        w.lane = lane;
        let mut more = false;
        for source in 0..shared.sources.len() {
            if shared.is_stopping() {
                return false;
            }
            if shared.sources[source].is_ready_in(lane, w.now) {
                more |= graph.solo(source, local, w) == Pulled::More;
            }
        }
        if more {
            w.stats().pulled.add(1);
            shared.lanes.served(lane, w.now);
            return true;
        }
    }
    false
}

impl fmt::Debug for Worker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
