//! Pools and executors that a service would use; started once, with as many workers as the case has.

use std::{sync::Arc, thread};

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::{Desk, Task};
use crate::harness::Contender;

/// A request on its way through a channel.
type Ticket = (Arc<Desk>, usize);

/// Threads that take requests from a channel, and end with it.
struct Pool {
    sender: Option<Sender<Ticket>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Pool {
    fn new(workers: usize, work: fn(&Receiver<Ticket>)) -> Self {
        let (sender, receiver) = crossbeam_channel::unbounded::<Ticket>();
        let start = |_| {
            let receiver = receiver.clone();
            let thread = thread::Builder::new().spawn(move || work(&receiver));
            thread.expect("a thread starts")
        };
        Self {
            threads: (0..workers).map(start).collect(),
            sender: Some(sender),
        }
    }

    fn submit(&self, ticket: Ticket) {
        let sender = self
            .sender
            .as_ref()
            .expect("it is there until the pool is dropped");
        sender.send(ticket).expect("the workers are there");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.sender = None;
        self.threads
            .drain(..)
            .for_each(|thread| thread.join().expect("the worker ends"));
    }
}

fn blocking(receiver: &Receiver<Ticket>) {
    receiver
        .iter()
        .for_each(|(desk, number)| desk.serve(number));
}

fn spinning(receiver: &Receiver<Ticket>) {
    loop {
        match receiver.try_recv() {
            Ok((desk, number)) => desk.serve(number),
            Err(TryRecvError::Empty) => std::hint::spin_loop(),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

/// A spinning worker has a core for itself only while it is asked: it ends with each run.
fn spinning_pool(task: &Task) -> Contender {
    let task = task.clone();
    Contender::peer("crossbeam-channel pool, spinning worker", move || {
        let pool = Pool::new(task.load.workers, spinning);
        task.run(|desk, number| pool.submit((Arc::clone(desk), number)))
    })
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    let workers = task.load.workers;
    let row = |name, mut submit: Box<dyn FnMut(Ticket) + Send>| {
        let task = task.clone();
        Contender::peer(name, move || {
            task.run(|desk, number| submit((Arc::clone(desk), number)))
        })
    };
    let pool = Pool::new(workers, blocking);
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(workers).build();
    let rayon = rayon.expect("rayon starts its threads");
    let threads = threadpool::ThreadPool::new(workers);
    let runtime = |blocking| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(workers)
            .max_blocking_threads(blocking);
        builder.build().expect("tokio starts")
    };
    let (tasks, closures) = (runtime(1), runtime(workers));
    let mut all = vec![
        row(
            "crossbeam-channel pool, blocking",
            Box::new(move |ticket| pool.submit(ticket)),
        ),
        row(
            "rayon spawn",
            Box::new(move |(desk, number)| rayon.spawn(move || desk.serve(number))),
        ),
        row(
            "threadpool crate",
            Box::new(move |(desk, number)| threads.execute(move || desk.serve(number))),
        ),
        row(
            "tokio spawn",
            Box::new(move |(desk, number)| drop(tasks.spawn(async move { desk.serve(number) }))),
        ),
        row(
            "tokio spawn_blocking",
            Box::new(move |(desk, number)| {
                drop(closures.spawn_blocking(move || desk.serve(number)));
            }),
        ),
    ];
    // With as many workers as cores there is none left to spin on.
    if workers == 1 {
        all.push(spinning_pool(task));
    }
    all
}
