//! What the pipeline replaces, to compare it with: an event coordinator and a request router, as such programs are written by
//! hand.
//!
//! **The coordinator**: one channel in, a few threads that take from it, a dispatcher behind a mutex that knows who has
//! subscribed to what, and a channel with a thread for each service. **The router**: one channel in, one thread, and for each
//! kind a list of handlers that it calls one after the other.
//!
//! Both do with a line what the stages do, by calling the same functions, keep the same queues (a full one makes its sender
//! wait, so that nothing is lost), and count in the same way what services got; what differs is who hands what to whom.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::{
    env::Env,
    flow::events_live,
    outlet::{Counts, Seen},
    run::{Failure, Settings, Started},
    sequential::{Results, Steps, prepare},
    service::{Filter, Service},
    target::Target,
    types::{Event, Kind, Raw},
};

/// Lines that wait for a system, and what a service takes at once.
const INPUT: usize = 16 << 10;
const BATCH: usize = 64;

/// Something that routes events to services.
pub trait System: Send {
    /// Takes a line.
    ///
    /// # Errors
    ///
    /// Gives the line back if there is no room for it.
    fn try_send(&self, line: Raw) -> Result<(), Box<Raw>>;

    /// Takes a line as soon as there is room for it; whether it was taken.
    fn send(&self, line: Raw) -> bool;

    /// Finishes what it has taken; what became of it, and what each service saw.
    fn end(self: Box<Self>) -> (Results, Vec<Counts>);
}

/// The pipeline of this package.
///
/// # Errors
///
/// If it cannot start.
pub fn pipeline(settings: Settings) -> Result<Box<dyn System>, Failure> {
    Ok(Box::new(settings.start_live()?))
}

impl System for Started<events_live::Pipeline> {
    fn try_send(&self, line: Raw) -> Result<(), Box<Raw>> {
        let sent = self.run().try_send(line);
        sent.map_err(|refused| Box::new(refused.into_inner()))
    }

    fn send(&self, line: Raw) -> bool {
        self.run().send(line).is_ok()
    }

    fn end(self: Box<Self>) -> (Results, Vec<Counts>) {
        let summary = Started::end(*self, pipewright::Running::drain).summary;
        let seen: Vec<_> = summary
            .services
            .into_iter()
            .map(|ended| ended.counts)
            .collect();
        let results = Results {
            services: services(&seen),
            counts: summary.counts,
            lines: summary.lines,
            blank: summary.blank,
            repeated: summary.repeated,
            unrouted: summary.unrouted,
            rejects: summary.rejects,
        };
        (results, seen)
    }
}

fn services(seen: &[Counts]) -> Vec<(u64, u64)> {
    let seen = seen.iter();
    seen.map(|counts| (counts.delivered, counts.digest))
        .collect()
}

/// The event coordinator, with so many threads that take lines.
///
/// # Errors
///
/// If the system does not let it start its threads.
pub fn coordinator(settings: &Settings, threads: usize) -> io::Result<Box<dyn System>> {
    let mut consumers = Vec::new();
    let mut subscribers = Vec::new();
    for service in &settings.services {
        let (to, from) = sync_channel(settings.queue as usize);
        let target = service.sink.open()?;
        consumers.push(start(&service.name, move || consume(&from, target))?);
        subscribers.push((service.filter.clone(), to));
    }
    let shared = Arc::new(Shared {
        env: settings.env(Vec::new()),
        dispatcher: Mutex::new(Dispatcher {
            steps: Steps::new(settings),
            subscribers,
        }),
    });
    let (to, from) = sync_channel(INPUT);
    let from = Arc::new(Mutex::new(from));
    let mut coordinators = Vec::new();
    for _ in 0..threads {
        let (shared, from) = (Arc::clone(&shared), Arc::clone(&from));
        coordinators.push(start("coordinator", move || coordinate(&shared, &from))?);
    }
    Ok(Box::new(Coordinator {
        to,
        coordinators,
        shared,
        consumers,
    }))
}

struct Coordinator {
    to: SyncSender<Raw>,
    coordinators: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    consumers: Vec<JoinHandle<Counts>>,
}

struct Shared {
    env: Env,
    dispatcher: Mutex<Dispatcher>,
}

/// Who has subscribed to what, and what was seen before.
struct Dispatcher {
    steps: Steps,
    subscribers: Vec<(Filter, SyncSender<Arc<Event>>)>,
}

impl Dispatcher {
    fn dispatch(&mut self, event: Event) {
        let Some(event) = self.steps.keep(event) else {
            return;
        };
        let mut wanted = false;
        for (filter, to) in &self.subscribers {
            if filter.wants_kind(event.kind) && filter.wants(&event) {
                wanted = true;
                // A service that has panicked takes nothing more.
                drop(to.send(Arc::clone(&event)));
            }
        }
        self.steps.results.unrouted += u64::from(!wanted);
    }
}

fn coordinate(shared: &Shared, from: &Mutex<Receiver<Raw>>) {
    loop {
        let next = lock(from).recv();
        let Ok(line) = next else { return };
        let is_line = line.is_line();
        let prepared = prepare(line, &shared.env);
        let mut dispatcher = lock(&shared.dispatcher);
        dispatcher.steps.results.lines += u64::from(is_line);
        match prepared {
            Ok(Some(event)) => dispatcher.dispatch(event),
            Ok(None) => dispatcher.steps.results.blank += 1,
            Err(reject) => shared.env.tally.reject(&reject),
        }
    }
}

/// The thread of a service.
fn consume(from: &Receiver<Arc<Event>>, mut target: Box<dyn Target>) -> Counts {
    let seen = Seen::new();
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(event) = from.recv() {
        batch.push(event);
        while batch.len() < BATCH
            && let Ok(event) = from.try_recv()
        {
            batch.push(event);
        }
        seen.add(&batch, &target.take(&batch));
        batch.clear();
    }
    seen.so_far()
}

impl System for Coordinator {
    fn try_send(&self, line: Raw) -> Result<(), Box<Raw>> {
        self.to.try_send(line).map_err(refused)
    }

    fn send(&self, line: Raw) -> bool {
        self.to.send(line).is_ok()
    }

    fn end(self: Box<Self>) -> (Results, Vec<Counts>) {
        drop(self.to);
        self.coordinators.into_iter().for_each(join);
        let mut dispatcher = lock(&self.shared.dispatcher);
        // The threads of the services end when nobody can send to them any more.
        dispatcher.subscribers.clear();
        let seen: Vec<_> = self.consumers.into_iter().map(join).collect();
        let results = Results {
            services: services(&seen),
            rejects: self.shared.env.tally.seen(),
            ..dispatcher.steps.results.clone()
        };
        (results, seen)
    }
}

/// The request router.
///
/// # Errors
///
/// If the system does not let it start its thread.
pub fn router(settings: &Settings) -> io::Result<Box<dyn System>> {
    let mut router = Routing {
        steps: Steps::new(settings),
        handlers: HashMap::new(),
        desks: Vec::new(),
    };
    for (at, service) in settings.services.iter().enumerate() {
        router.desks.push((Seen::new(), service.sink.open()?));
        router.register(at, service);
    }
    let (to, from) = sync_channel(INPUT);
    let thread = start("router", move || router.run(&from))?;
    Ok(Box::new(Router { to, thread }))
}

struct Router {
    to: SyncSender<Raw>,
    thread: JoinHandle<(Results, Vec<Counts>)>,
}

struct Routing {
    steps: Steps,
    /// What is called for a kind.
    handlers: HashMap<Kind, Vec<Handler>>,
    /// What the services have.
    desks: Vec<(Seen, Box<dyn Target>)>,
}

struct Handler {
    service: usize,
    filter: Filter,
}

impl Routing {
    fn register(&mut self, service: usize, wants: &Service) {
        for kind in Kind::ALL {
            if wants.filter.wants_kind(kind) {
                self.handlers.entry(kind).or_default().push(Handler {
                    service,
                    filter: wants.filter.clone(),
                });
            }
        }
    }

    fn run(mut self, from: &Receiver<Raw>) -> (Results, Vec<Counts>) {
        while let Ok(line) = from.recv() {
            if let Some(event) = self.steps.event(line) {
                self.route(event);
            }
        }
        let seen: Vec<_> = self.desks.iter().map(|(seen, _)| seen.so_far()).collect();
        let results = Results {
            services: services(&seen),
            ..self.steps.finish()
        };
        (results, seen)
    }

    fn route(&mut self, event: Arc<Event>) {
        let mut wanted = false;
        let event = [event];
        for handler in self.handlers.entry(event[0].kind).or_default() {
            if handler.filter.wants(&event[0]) {
                wanted = true;
                let (seen, target) = &mut self.desks[handler.service];
                seen.add(&event, &target.take(&event));
            }
        }
        self.steps.results.unrouted += u64::from(!wanted);
    }
}

impl System for Router {
    fn try_send(&self, line: Raw) -> Result<(), Box<Raw>> {
        self.to.try_send(line).map_err(refused)
    }

    fn send(&self, line: Raw) -> bool {
        self.to.send(line).is_ok()
    }

    fn end(self: Box<Self>) -> (Results, Vec<Counts>) {
        drop(self.to);
        join(self.thread)
    }
}

fn start<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn join<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn refused(error: TrySendError<Raw>) -> Box<Raw> {
    match error {
        TrySendError::Full(line) | TrySendError::Disconnected(line) => Box::new(line),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
