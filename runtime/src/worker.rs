//! The workers: what each of them does next, and when the run is over.
//!
//! A worker first runs what is on its way (its own queue, the overflow, other workers' queues), then pulls from the
//! sources, and parks when there is neither. It never waits for another worker.
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
    time::Duration,
};

use crossbeam_deque::{Steal, Worker as Queue};

use crate::{
    batch::Due,
    carrier::{Carrier, Task},
    counts::Counts,
    drive::{Watch, panic_message},
    error::{InitError, RunError},
    graph::{Graph, States},
    shared::Shared,
    source::Pulled,
};

/// Most tasks in a worker's own queue; more go to the overflow. crossbeam's deque starts with room for 64 and allocates
/// when it grows.
const OWN_TASKS: usize = 60;
/// The work after which the other workers are worth waking: about what a wake-up takes on a virtual machine.
const WAKE_NS: u64 = 50_000;
/// Looks around before a worker parks while others work.
const SPINS: u32 = 200;

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
    now: u64,
}

impl<'r> Worker<'r> {
    pub(crate) fn new(shared: &'r Shared, id: usize, queue: Queue<Task>) -> Self {
        Self {
            shared,
            id,
            queue,
            counts: &shared.counts[id],
            ticket: None,
            turn: id,
            now: shared.now(),
        }
    }

    /// What generated code hands from call to call.
    pub fn watch(&self) -> Watch<'r> {
        Watch {
            shared: self.shared,
            counts: self.counts,
            now: self.now,
        }
    }

    /// Leaves a batch in the worker's own queue: it runs it next, unless another worker steals it.
    pub fn post<T: 'static>(&mut self, carrier: Carrier<T>) {
        let task = carrier.into_task();
        if self.id >= self.shared.settings.workers {
            return self.leave_to_pool(task);
        }
        let waiting = self.queue.len();
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

    /// Reads the clock and returns the time of the run in nanoseconds.
    pub(crate) fn tick(&mut self) -> u64 {
        self.now = self.shared.now();
        self.now
    }

    fn next_task(&mut self) -> Option<Task> {
        if let Some(task) = self.queue.pop() {
            return Some(task);
        }
        if let Some(task) = self.shared.injector.pop() {
            return Some(task);
        }
        let stealers = self.shared.stealers.get()?;
        let others = (1..stealers.len()).map(|i| &stealers[(self.id + i) % stealers.len()]);
        for other in others {
            loop {
                match other.steal() {
                    Steal::Success(task) => return Some(task),
                    Steal::Empty => break,
                    // Another thief got in between; it made progress, so this ends.
                    Steal::Retry => {}
                }
            }
        }
        None
    }

    /// Is there anything to do that this worker could see from outside?
    fn sees_work(&self) -> bool {
        let shared = self.shared;
        if shared.is_finished()
            || shared.is_stopping()
            || !shared.injector.is_empty()
            || !self.queue.is_empty()
        {
            return true;
        }
        if shared
            .stealers
            .get()
            .is_some_and(|all| all.iter().any(|queue| !queue.is_empty()))
        {
            return true;
        }
        let free = shared.credits.free();
        let enough = if shared.is_parallel() {
            free > 0
        } else {
            free == shared.credits.total()
        };
        let now = shared.now();
        enough && (shared.sources.iter().any(|source| source.is_ready(now)) || shared.is_over())
    }

    fn idle(&mut self) {
        if self.shared.is_parallel() {
            for _ in 0..SPINS {
                if self.sees_work() {
                    return;
                }
                crate::spin();
            }
        }
        // One sleeper is enough to ask a source again in time; it wakes the others when there is work for them.
        let retry = self.shared.sources.iter().filter_map(|source| source.retry_time()).min();
        let mine = retry.filter(|at| self.shared.take_clock(*at));
        let timeout = mine.map(|at| Duration::from_nanos(at.saturating_sub(self.shared.now()).max(1)));
        self.shared.idle.park(self.id, timeout, || self.sees_work());
        if let Some(at) = mine {
            self.shared.give_clock_back(at);
        }
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
    states: &States,
) {
    let shared = w.shared;
    shared.idle.enlist(w.id, std::thread::current());
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
}

fn turn_until_over<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) {
    let shared = w.shared;
    while !shared.is_finished() {
        if shared.is_stopping() {
            break;
        }
        if let Some(task) = w.next_task() {
            w.tick();
            let _ticket = shared.keep(task.ticket());
            shelf.get().task(task, local, w);
            continue;
        }
        if pull(shelf, local, w) {
            continue;
        }
        if shared.is_over() {
            shared.finish();
            break;
        }
        w.idle();
    }
    // What is left in the queues after a stop is dropped and counted there.
    while w.next_task().is_some() {}
}

/// Pulls from a source; false if there was nothing to pull.
fn pull<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    if w.shared.is_parallel() {
        pull_one(shelf, local, w)
    } else {
        alone(shelf, local, w)
    }
}

fn pull_one<G: Graph>(shelf: &Shelf<G>, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let sources = shared.sources.len();
    let now = w.tick();
    for i in 0..sources {
        let source = (w.turn + i) % sources;
        if !shared.sources[source].is_ready(now) {
            continue;
        }
        let Some(ticket) = shared.credits.take(source as u32) else {
            return false;
        };
        let pulled = w.pull_with(ticket, |w| shelf.get().pull(source, local, w));
        match pulled {
            Pulled::More => {
                w.turn = source + 1;
                if shared.pins.is_empty() && shared.sources.iter().all(|source| source.is_cheap()) {
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
    let begun = w.tick();
    if !shared.sources.iter().any(|source| source.is_ready(begun)) || !shared.credits.take_all() {
        return false;
    }
    let graph = shelf.alone();
    loop {
        let more = round(graph, local, w);
        let now = w.tick();
        graph.flush(local, w, if more { Due::At(now) } else { Due::All });
        if !more || shared.is_stopping() {
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
    shared.credits.open();
    if shared.is_parallel() {
        shared.idle.wake_all();
    }
    true
}

/// Asks each source once; false if none had anything.
fn round<G: Graph>(graph: &mut G, local: &mut G::Local, w: &mut Worker<'_>) -> bool {
    let shared = w.shared;
    let mut more = false;
    for source in 0..shared.sources.len() {
        if shared.is_stopping() {
            return false;
        }
        if shared.sources[source].is_ready(w.now) {
            more |= graph.solo(source, local, w) == Pulled::More;
        }
    }
    more
}

impl fmt::Debug for Worker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
