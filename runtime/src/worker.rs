//! The workers: what each of them does next, and when the run is over.
//!
//! Lane by lane (see [`crate::lane`]), a worker first runs what is on its way (its own queue, the overflow, other workers'
//! queues), then pulls from the sources, and rests when there is neither (see [`crate::rest`]). It never waits for another
//! worker.
//!
//! **Two modes.** While items are cheap, handing them to another core costs more than it saves. So a run starts with one
//! worker that has the whole pipeline to itself (see [`crate::alone`]). When sharing pays the run turns parallel; when items
//! become cheap again, it turns back. A run with one worker always has the pipeline to itself.
//!
//! **The end.** The run is over when every source has ended and every ticket is free: then no batch exists anywhere.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crossbeam_deque::{Steal, Stealer, Worker as Queue};

use crate::{
    alone::alone,
    aside::Parked,
    carrier::{Carrier, Task},
    counts::Counts,
    drive::{Watch, panic_message},
    failpoint::{Place, reach},
    fork::{self, Reserve},
    graph::{Graph, States},
    lane::{AGE_NS, Lane, Lanes, Turns},
    machine::{Present, Victims},
    reserve::Own,
    rest::Rest,
    shared::Shared,
    shelf::Shelf,
    source::{Pulled, SourceCtl},
    survive::Lives,
    sync::thread,
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
    pub(crate) lane: Lane,
    turns: Turns,
    /// When to look for lanes that have waited too long.
    look_for_aged: u64,
    pub(crate) rest: Rest,
    now: u64,
    urgent: Option<&'r dyn Urgent>,
    /// The workers that it starts when there is something for them.
    reserve: Option<&'r dyn Reserve>,
    nested: bool,
    /// Has this worker the whole pipeline to itself?
    pub(crate) alone: bool,
    /// Has it something that others may wait for? See [`crate::survive`].
    pub(crate) holds: bool,
    pub(crate) lives: Lives,
    /// Whom it steals from.
    victims: Victims,
}

impl<'r> Worker<'r> {
    /// A worker of the pool. `urgent` serves urgent lanes in the middle of a batch; without, nobody interrupts it.
    pub(crate) fn new(
        shared: &'r Shared,
        id: usize,
        queue: Queue<Task>,
        urgent: Option<&'r dyn Urgent>,
    ) -> Self {
        let mut worker = Self::nested(shared, id, queue);
        worker.nested = false;
        worker.urgent = urgent;
        worker
    }

    /// For work in the middle of other work of worker `id`, and for pinned threads. Nobody steals from its queue, and it leaves
    /// nothing there.
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
            reserve: None,
            nested: true,
            alone: false,
            holds: false,
            lives: Lives::default(),
            victims: shared.seating.seat(id).victims.clone(),
        }
    }

    /// This one starts the workers of the `reserve`.
    pub(crate) fn with_reserve(self, reserve: &'r dyn Reserve) -> Self {
        let reserve = Some(reserve);
        Self { reserve, ..self }
    }

    /// There is something for the workers that have no thread yet.
    pub(crate) fn call_reserve(&self) {
        if let Some(reserve) = self.reserve {
            reserve.start();
        }
    }

    /// What generated code hands from call to call.
    #[inline]
    pub fn watch(&self) -> Watch<'r> {
        Watch {
            shared: self.shared,
            counts: self.counts,
            now: self.now,
            node: self.node(),
            lane: self.lane,
            id: self.id,
            urgent: self.urgent.filter(|_| self.may_be_interrupted()),
        }
    }

    /// Is there, or will there be, something more urgent in the middle of a batch? Not where all lanes are alike.
    #[inline]
    fn may_be_interrupted(&self) -> bool {
        !self.alone && self.shared.lanes.used() != Lanes::NORMAL
    }

    /// Its memory node, by the count of its run.
    #[inline]
    pub(crate) fn node(&self) -> u16 {
        self.shared.seating.seat(self.id).node
    }

    /// Leaves a batch in the worker's own queue: it runs it next, unless another worker steals it.
    pub fn post<T: 'static>(&mut self, carrier: Carrier<T>) {
        let shared = self.shared;
        let lane = shared
            .lanes
            .at(carrier.link(), shared.credits.lane(carrier.ticket()));
        if self.nested || shared.lanes.has_queue(lane) {
            return shared.leave(carrier);
        }
        let task = carrier.into_task();
        let waiting = self.queue.len();
        if waiting < OWN_TASKS {
            self.queue.push(task);
        } else if let Err(task) = shared.injector.push(task) {
            // The overflow has room for every carrier there can be; if it had not, growing is better than losing.
            self.queue.push(task);
        }
        // Nobody is woken for the one task that this worker runs next.
        if waiting > 0 {
            shared.idle.wake_one();
        }
    }

    /// Leaves what is in its own queue to others, and lets one of them look for what it was about to look for.
    pub(crate) fn leave_all(&mut self) {
        self.stop_looking();
        self.rest.searched = false;
        while let Some(task) = self.queue.pop() {
            self.shared.leave_task(task);
        }
        self.shared.idle.wake_one();
    }

    /// Puts a batch aside until it is due.
    pub fn put_aside(&self, parked: Parked) {
        self.shared.put_aside(parked);
    }

    /// What this worker has done since the last boundary was work on batches of `ticket`, to which it has a reference.
    pub(crate) fn charge_to(&mut self, ticket: u32) {
        let begun = self.now;
        let ns = self.tick() - begun;
        self.shared.credits.charge(ticket, ns);
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
        self.stop_looking();
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
        self.queue
            .pop()
            .or_else(|| self.shared.injector.pop())
            .or_else(|| self.steal())
    }

    /// A task of another worker, the nearest first.
    pub(crate) fn steal(&mut self) -> Option<Task> {
        let stealers = self.shared.stealers.get()?;
        // Asked first, because stealing announces itself to the queue's memory, which costs several times as much.
        let stolen = self.victims.find(|victim| {
            (!stealers[victim].is_empty()).then(|| steal_from(&stealers[victim]))?
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
        if !shared.forks.has_offers() {
            return false;
        }
        self.stop_looking();
        if !fork::help(&shared.forks, &mut self.victims, &mut self.rest.pace) {
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
        let others = || {
            shared
                .stealers
                .get()
                .is_some_and(|all| all.iter().any(|queue| !queue.is_empty()))
        };
        !self.queue.is_empty()
            || !shared.injector.is_empty()
            || !shared.lanes.is_empty()
            || others()
    }

    /// The lane at which this look begins.
    pub(crate) fn first_lane(&mut self) -> Lane {
        if self.now >= self.look_for_aged {
            self.give_way();
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

/// Runs one worker until the run is over, then leaves its states in `states`.
pub(crate) fn work<G: Graph>(
    shelf: &Shelf<G>,
    mut own: Own<G>,
    w: &mut Worker<'_>,
    urgent: &Interrupt<'_, G>,
    states: &States,
) {
    let _present = Present::join();
    let shared = w.shared;
    let now = w.tick();
    w.stats().begin(now);
    shared.idle.enlist(w.id, thread::current());
    if let Some(own) = shared.stealers.get().and_then(|all| all.get(w.id)) {
        // The first time that a thread steals, crossbeam allocates what it needs for that. Its own queue is empty.
        if let Steal::Success(task) = own.steal() {
            w.queue.push(task);
        }
    }
    let _seat = fork::sit(&shared.forks, w.id, w.reserve);
    // A panic outside the users' functions is a bug of pipewright; it must not leave the other workers waiting.
    while let Err(payload) = catch_unwind(AssertUnwindSafe(|| turn_until_over(shelf, &mut own, w)))
    {
        if !w.survives(payload) {
            // It may be the last one, and then nobody else looks at what is left.
            drop(catch_unwind(AssertUnwindSafe(|| drop_left(w))).map_err(panic_message));
            break;
        }
    }
    if let Some(local) = own.into_inner() {
        G::retire(local, states);
    }
    urgent.retire(states);
}

/// Out of line, so that a look in vain saves no registers.
#[inline(never)]
fn steal_from(stealer: &Stealer<Task>) -> Option<Task> {
    loop {
        match stealer.steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            // Another thief got in between; it made progress, so this ends.
            Steal::Retry => {}
        }
    }
}

fn turn_until_over<G: Graph>(shelf: &Shelf<G>, own: &mut Own<G>, w: &mut Worker<'_>) {
    let shared = w.shared;
    while !shared.is_finished() {
        if shared.is_stopping() {
            break;
        }
        reach(Place::Between);
        let begun = w.now;
        if step(shelf, own, w) {
            w.rest.worked(begun, w.now);
            continue;
        }
        if w.holding(Worker::help) {
            continue;
        }
        if shared.is_over() {
            shared.finish();
            break;
        }
        w.rest();
    }
    w.stop_looking();
    // A panic of what is dropped ends the run.
    w.holds = true;
    drop_left(w);
}

/// What is left in the queues after a stop is dropped and counted there, and so is what waits.
fn drop_left(w: &mut Worker<'_>) {
    w.shared.drop_aside();
    for lane in Lane::ALL {
        w.lane = lane;
        while w.next_task().is_some() {}
    }
}

/// Does one piece of work, of the most urgent lane that has any; false if there is none.
fn step<G: Graph>(shelf: &Shelf<G>, own: &mut Own<G>, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    if shared.aside.is_due(w.now) {
        w.holding(|w| shared.bring_back(w.now));
    }
    let first = w.first_lane();
    let done = shared
        .lanes
        .used()
        .from(first)
        .find(|lane| serve(shelf, own, w, *lane, pull));
    if let Some(lane) = done {
        shared.lanes.served(lane, w.now);
    }
    done.is_some()
}

/// As [`step`], in the middle of a batch of `lane`: with more urgent work only.
pub(crate) fn step_above<G: Graph>(
    shelf: &Shelf<G>,
    own: &mut Own<G>,
    w: &mut Worker<'_>,
    lane: Lane,
) -> bool {
    let mut above = Lane::ALL
        .into_iter()
        .filter(|above| *above < lane.min(Lane::NORMAL));
    above.any(|above| {
        serve(shelf, own, w, above, |shelf, own, w| {
            let open = w.shared.is_parallel() && w.shared.may_pull();
            open && pull_one(shelf, own, w)
        })
    })
}

/// Does one piece of work of a lane: what is on its way, or else what `pull` takes in. False if there is none.
fn serve<'w, G: Graph>(
    shelf: &Shelf<G>,
    own: &mut Own<G>,
    w: &mut Worker<'w>,
    lane: Lane,
    pull: impl FnOnce(&Shelf<G>, &mut Own<G>, &mut Worker<'w>) -> bool,
) -> bool {
    w.lane = lane;
    let task = w.next_task();
    w.holding(|w| match task {
        Some(task) => {
            reach(Place::Holding);
            run(shelf, own, w, task);
            true
        }
        None => pull(shelf, own, w),
    })
}

fn run<G: Graph>(shelf: &Shelf<G>, own: &mut Own<G>, w: &mut Worker<'_>, task: Task) {
    w.stats().executed.add(1);
    w.stop_looking();
    if std::mem::take(&mut w.rest.searched) && w.sees_work() {
        w.shared.idle.wake_one();
    }
    let ticket = w.shared.keep(task.ticket());
    let graph = shelf.get();
    // Without, the run has failed, and the task drops what it carries.
    if let Some(local) = own.get(graph, w) {
        graph.task(task, local, w);
    }
    w.charge_to(ticket.ticket());
}

/// Pulls from a source of the lane that is being served; false if there was nothing to pull.
fn pull<G: Graph>(shelf: &Shelf<G>, own: &mut Own<G>, w: &mut Worker<'_>) -> bool {
    if !w.shared.may_pull_now() {
        return false;
    }
    if w.shared.is_parallel() {
        w.stop_looking();
        pull_one(shelf, own, w)
    } else {
        alone(shelf, own, w)
    }
}

fn pull_one<G: Graph>(shelf: &Shelf<G>, own: &mut Own<G>, w: &mut Worker<'_>) -> bool {
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
        let pulled = w.pull_with(ticket, |w| {
            let graph = shelf.get();
            match own.get(graph, w) {
                Some(local) => graph.pull(source, local, w),
                None => Pulled::Idle,
            }
        });
        match pulled {
            Pulled::More => {
                w.stats().pulled.add(1);
                w.turn = source + 1;
                let may_turn =
                    shared.pins.is_empty() && !shared.settings.parallel && shared.guards.is_empty();
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

impl fmt::Debug for Worker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
