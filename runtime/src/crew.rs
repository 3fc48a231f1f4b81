//! The threads of a run: started together or not at all, joined when they end. Workers that a run may not need are held in
//! reserve (see [`crate::reserve`]).

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
};

use crossbeam_deque::Worker as Queue;
use pipewright_spec::info::{Enforce, StateKind};

use crate::{
    acks,
    answers::{Answers, spawn_scoped},
    beside::Beside,
    budget::Misfit,
    carrier::Task,
    diagnose::Common,
    drive::panic_message,
    error::{InitError, StartError},
    fork::Reserve,
    graph::{Blueprint, Graph, Site, States},
    machine::Crowd,
    pin,
    quarantine::Starts,
    reserve::Own,
    shared::Shared,
    shelf::Shelf,
    source::Ingress,
    sync::{AtomicBool, Condvar, Mutex, thread},
    urgent::Interrupt,
    worker::{Worker, work},
};

/// Whose thread is the first of a run?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// It was started for the run.
    Started,
    /// The caller's, which is never bound to a cpu.
    Lent,
}

impl First {
    fn sit(self, shared: &Shared, id: usize) -> Result<(), StartError> {
        if self == Self::Started {
            return shared.seating.sit(id, &shared.warnings);
        }
        shared.seating.stay(id);
        Ok(())
    }
}

/// The run's first thread: opens the pipeline, is worker 0, and ends when all workers have. Sources and states may
/// borrow the environment.
pub(crate) fn run<P: Blueprint>(
    this: First,
    env: &Common<P::Env>,
    shared: &Arc<Shared>,
    input: &Arc<Ingress<P::Queued>>,
    told: &Answers,
) -> States {
    // Declared first, so that it is dropped last: what is left in the input is dropped when the pipeline is.
    let _over = Over(input);
    let states = States::default();
    let site = Site {
        shared,
        input: Some(input),
    };
    let opened = guarded(|| P::open(env, &site));
    let opened = match shared.budget.misfit() {
        Some(misfit) => {
            let refusal = format!("{misfit}; {}", Misfit::HELP);
            opened.and(Err(StartError::Number(refusal)))
        }
        None => opened,
    };
    let graph = match opened {
        Ok(graph) => graph,
        Err(error) => {
            shared.finish();
            told.tell(Err(error));
            return states;
        }
    };
    let shelf = Shelf::new(graph);
    run_workers(this, &shelf, shared, &states, told);
    shelf.into_inner().finish(&states);
    states
}

/// The end of a run, in whatever way it comes: nobody sends any more, and callers whose requests still wait are answered.
struct Over<'r, T: 'static>(&'r Ingress<T>);

impl<T> Drop for Over<'_, T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn guarded<T>(make: impl FnOnce() -> Result<T, InitError>) -> Result<T, StartError> {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(made) => made.map_err(StartError::State),
        Err(payload) => Err(StartError::Panicked(panic_message(payload))),
    }
}

fn run_workers<G: Graph>(
    this: First,
    shelf: &Shelf<G>,
    shared: &Shared,
    states: &States,
    told: &Answers,
) {
    let _crowd = Crowd::join(shared.settings.workers);
    let queues = queues(shared);
    let go = Go(Mutex::new(None), Condvar::new());
    let over = AtomicBool::new(false);
    let ready = Answers::default();
    thread::scope(|scope| {
        let mut queues = queues.into_iter().enumerate();
        let first = queues.next();
        let mut others: Vec<_> = queues.collect();
        let reserve = Reserved {
            scope,
            shelf,
            shared,
            states,
            queues: RefCell::new(held_back(this, shared, &mut others)),
        };
        let mut crew = Crew {
            scope,
            shelf,
            shared,
            states,
            ready: &ready,
            go: &go,
            started: 0,
            pinned: Vec::new(),
        };
        let mut problem = crew.start(others).err();
        // They end when this is left, in whatever way.
        let beside = Beside::start(scope, shared, starts(scope, shelf, shared, states), &over)
            .map_err(|error| {
                problem.get_or_insert(StartError::Thread(error));
            });
        for _ in 0..crew.started {
            if let Some(Err(error)) = ready.hear() {
                problem.get_or_insert(error);
            }
        }
        let urgent = Interrupt::new(shelf, shared, 0);
        let mut own = first.map(|(id, queue)| {
            // Now that the others are started, which would inherit it.
            if let Err(error) = this.sit(shared, id) {
                problem.get_or_insert(error);
            }
            Worker::new(shared, id, queue, Some(&urgent)).with_reserve(&reserve)
        });
        let local = own.as_ref().map(|w| guarded(|| shelf.local(w))).transpose();
        let local = match (local, problem) {
            (Ok(local), None) => local,
            (Err(error), _) | (Ok(_), Some(error)) => {
                shared.finish();
                go.say(false);
                told.tell(Err(error));
                return;
            }
        };
        told.tell(Ok(()));
        go.say(true);
        // Where every stage is pinned, this thread only waits for the others, and watches memory until then.
        if let (Some(w), Some(local)) = (&mut own, local) {
            work(shelf, Own::made(local), w, &urgent, states);
        }
        for thread in crew.pinned {
            // What a pinned thread panics with it has told the run.
            let _ = thread.join();
        }
        drop(beside);
    });
    if shared.has_acks {
        // The last batches were done when their workers ended.
        acks::commit(shared);
    }
    shared.drop_late();
}

/// The queues of the workers, of which all know where to steal. Those of the other seats lie there.
fn queues(shared: &Shared) -> Vec<Queue<Task>> {
    let mut queues: Vec<Queue<Task>> = (0..shared.settings.seats())
        .map(|_| Queue::new_fifo())
        .collect();
    // Set once: a run has one set of workers.
    let _ = shared
        .stealers
        .set(queues.iter().map(Queue::stealer).collect());
    let workers = shared.settings.workers;
    for (id, queue) in (workers..).zip(queues.split_off(workers)) {
        shared.seats.furnish(id, queue);
    }
    queues
}

/// Starts the threads of workers that stand in for others.
fn starts<'scope, G: Graph>(
    scope: &'scope thread::Scope<'scope, '_>,
    shelf: &'scope Shelf<G>,
    shared: &'scope Shared,
    states: &'scope States,
) -> Starts<'scope> {
    Box::new(move |id, queue, instead| {
        let body = move || stand_in(shelf, shared, (id, instead), queue, states);
        let name = thread_name(shared.info.name, id);
        spawn_scoped(scope, name, Box::new(body)).map(drop)
    })
}

/// The threads of a run besides the first one, while they are started.
struct Crew<'scope, 'env, G> {
    scope: &'scope thread::Scope<'scope, 'env>,
    shelf: &'scope Shelf<G>,
    shared: &'scope Shared,
    states: &'scope States,
    ready: &'scope Answers,
    go: &'scope Go,
    started: usize,
    pinned: Vec<thread::ScopedJoinHandle<'scope, ()>>,
}

impl<'scope, G: Graph> Crew<'scope, '_, G> {
    /// Starts a worker for each of these queues, and the pinned threads.
    fn start(&mut self, queues: Vec<(usize, Queue<Task>)>) -> Result<(), StartError> {
        let (shelf, shared, states) = (self.shelf, self.shared, self.states);
        let (ready, go) = (self.ready, self.go);
        for (id, queue) in queues {
            let body = move || worker(shelf, shared, id, queue, states, ready, go);
            self.spawn(thread_name(shared.info.name, id), body)?;
        }
        for (pin, info) in shared.pins.places().iter().zip(shared.info.pinned) {
            let stage = shared.stage_name(info.stages[0]);
            for index in 0..pin.cores.len() {
                let id = pin.first() + index;
                let body = move || {
                    let w = Worker::nested(shared, id, Queue::new_fifo());
                    pin::live(shelf, w, states, ready, go);
                };
                let thread = self.spawn(thread_name(stage, index), body)?;
                self.pinned.push(thread);
            }
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        name: String,
        body: impl FnOnce() + Send + 'scope,
    ) -> Result<thread::ScopedJoinHandle<'scope, ()>, StartError> {
        let thread = spawn_scoped(self.scope, name, Box::new(body)).map_err(StartError::Thread)?;
        self.started += 1;
        Ok(thread)
    }
}

fn worker<G: Graph>(
    shelf: &Shelf<G>,
    shared: &Shared,
    id: usize,
    queue: Queue<Task>,
    states: &States,
    ready: &Answers,
    go: &Go,
) {
    let seated = shared.seating.sit(id, &shared.warnings);
    let urgent = Interrupt::new(shelf, shared, id);
    let mut w = Worker::new(shared, id, queue, Some(&urgent));
    let local = seated.and_then(|()| guarded(|| shelf.local(&w)));
    let (local, answer) = match local {
        Ok(local) => (Some(local), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // The first thread waits for one answer of each worker.
    ready.tell(answer);
    if let (true, Some(local)) = (go.wait(), local) {
        work(shelf, Own::made(local), &mut w, &urgent, states);
    }
}

/// Of the other workers of a run, those whose threads start when there is something for them: all or none.
fn held_back<T>(first: First, shared: &Shared, others: &mut Vec<T>) -> Vec<T> {
    let mut stages = shared.info.stages.iter();
    let makes_states = stages.any(|stage| stage.state == StateKind::PerWorker);
    let may_wait = !shared.is_parallel()
        && shared.settings.enforce != Enforce::Deny
        && (first == First::Lent || !makes_states);
    match may_wait {
        true => std::mem::take(others),
        false => Vec::new(),
    }
}

/// The workers that wait.
struct Reserved<'scope, 'env, G> {
    scope: &'scope thread::Scope<'scope, 'env>,
    shelf: &'scope Shelf<G>,
    shared: &'scope Shared,
    states: &'scope States,
    queues: RefCell<Vec<(usize, Queue<Task>)>>,
}

impl<G: Graph> Reserve for Reserved<'_, '_, G> {
    fn start(&self) {
        let (shelf, shared, states) = (self.shelf, self.shared, self.states);
        let queues = self.queues.take();
        let mut missing = queues.len();
        for (id, queue) in queues {
            let body = move || late(shelf, shared, id, queue, states);
            let name = thread_name(shared.info.name, id);
            if let Err(error) = spawn_scoped(self.scope, name, Box::new(body)) {
                let workers = shared.settings.workers;
                return shared.warnings.add(format!(
                    "{missing} of {workers} workers have no thread, so the others do their work: {error}"
                ));
            }
            missing -= 1;
        }
    }
}

/// The life of a worker that was held in reserve.
fn late<G: Graph>(
    shelf: &Shelf<G>,
    shared: &Shared,
    id: usize,
    queue: Queue<Task>,
    states: &States,
) {
    // A pipeline that enforces its wishes holds nobody in reserve, so that this cannot fail.
    let _ = shared.seating.sit(id, &shared.warnings);
    let urgent = Interrupt::new(shelf, shared, id);
    let mut w = Worker::new(shared, id, queue, Some(&urgent));
    work(shelf, Own::later(), &mut w, &urgent, states);
}

/// The life of a worker that stands in for others, at first for the second of these.
fn stand_in<G: Graph>(
    shelf: &Shelf<G>,
    shared: &Shared,
    (id, instead): (usize, usize),
    queue: Queue<Task>,
    states: &States,
) {
    shared.seating.sit_in(instead);
    let urgent = Interrupt::new(shelf, shared, id);
    let mut w = Worker::new(shared, id, queue, Some(&urgent));
    match guarded(|| shelf.local(&w)) {
        Ok(local) => work(shelf, Own::made(local), &mut w, &urgent, states),
        // The run went on without it until now.
        Err(error) => shared.nobody_stands_in((id, instead), &error),
    }
}

pub(crate) fn thread_name(pipeline: &str, worker: usize) -> String {
    format!("{pipeline}-{worker}")
}

/// Lets the workers begin together, or not at all.
pub(crate) struct Go(Mutex<Option<bool>>, Condvar);

impl Go {
    fn say(&self, go: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(go);
        self.1.notify_all();
    }

    pub(crate) fn wait(&self) -> bool {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = self
            .1
            .wait_while(said, |said| said.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *said == Some(true)
    }
}
