//! The same events as an engineer would take them without pipewright: a channel in front of worker threads, which parse, enrich and
//! price, and a channel to one more thread, which owns the states of all services.

use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use pipewright_bench::{
    protocol::Request,
    trial::{Probe, Stage, Stamp, Subject},
};

use crate::work::{Env, Event, Feed, STAGES, Service};

/// What the channel in front of the workers has room for, as much as the pipeline's input.
const ROOM: usize = 16 << 10;

/// Events that workers pass on together, so that neither side wakes up for each of them.
const TOGETHER: usize = 64;

/// The stages: the last two run on one thread.
const STAGES_BY_HAND: &[Stage] = &[
    STAGES[0],
    STAGES[1],
    STAGES[2],
    Stage::at_once("apply", 1),
    Stage::at_once("deliver", 1),
];

/// Threads and channels while they run.
pub(crate) struct ByHand {
    input: Sender<Event>,
    threads: Vec<JoinHandle<()>>,
    feed: Feed,
}

impl Subject for ByHand {
    type Item = Event;
    const STAGES: &'static [Stage] = STAGES_BY_HAND;

    fn start(request: &Request, probe: Probe) -> Result<Self, String> {
        let env = Env::new(request, probe);
        let feed = Feed::new(request, &env);
        let (input, events) = bounded(ROOM);
        let (priced, to_apply) = bounded(ROOM / TOGETHER);
        let mut threads = Vec::new();
        for _ in 0..request.workers() {
            let (env, events, priced) = (env.clone(), events.clone(), priced.clone());
            threads.push(spawn(move || price(&env, &events, &priced))?);
        }
        let services = request.level.unwrap_or_default().services() as usize;
        threads.push(spawn(move || apply(&env, services, &to_apply))?);
        Ok(Self {
            input,
            threads,
            feed,
        })
    }

    fn item(&mut self, stamp: Stamp) -> Event {
        self.feed.next(stamp)
    }

    fn try_send(&mut self, event: Event) -> bool {
        self.input.try_send(event).is_ok()
    }

    fn send(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        for event in events.drain(..) {
            let sent = self.input.send(event);
            sent.map_err(|_| "the threads have ended".to_owned())?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), String> {
        // Threads end when the channel in front of them is closed and empty.
        drop(self.input);
        let ended = self.threads.into_iter().map(JoinHandle::join);
        let ended: Result<Vec<()>, _> = ended.collect();
        ended
            .map(|_| ())
            .map_err(|_| "a thread panicked".to_owned())
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    let spawned = thread::Builder::new().spawn(work);
    spawned.map_err(|error| error.to_string())
}

/// A worker.
fn price(env: &Env, events: &Receiver<Event>, priced: &Sender<Vec<Event>>) {
    let mut done = Vec::with_capacity(TOGETHER);
    while let Ok(first) = events.recv() {
        // What waits comes along, up to a batch; nobody waits for one to be full.
        for mut event in std::iter::once(first).chain(events.try_iter().take(TOGETHER - 1)) {
            env.parse(&mut event);
            env.enrich(&mut event);
            env.price(&mut event);
            done.push(event);
        }
        let batch = std::mem::replace(&mut done, Vec::with_capacity(TOGETHER));
        if priced.send(batch).is_err() {
            return;
        }
    }
}

/// The thread that owns the states.
fn apply(env: &Env, services: usize, priced: &Receiver<Vec<Event>>) {
    let mut states = vec![Service::default(); services];
    for batch in priced {
        for mut event in batch {
            let service = event.service as usize;
            env.apply(&mut event, &mut states[service]);
            env.deliver(&mut event);
        }
    }
}
