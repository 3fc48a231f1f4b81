//! What batches cost on their way: run queues, hops between threads, and the division by key.

use std::{
    hint::black_box,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_deque::Worker as Queue;
use pipewright_spec::info::{
    Enforce, Kind, LinkInfo, LinkKindInfo, StageInfo, StateKind, TopologyInfo,
};

use super::{timed, together_with, wait_for};
use crate::{
    carrier::{Carrier, Home, Task},
    diagnose::crosses_threads,
    graph::Site,
    lane::Lane,
    link::{Hashed, KeyedLink},
    load::Load,
    machine::Machine,
    reactor::Reactor,
    settings::Settings,
    shared::Shared,
    warnings::Warnings,
    worker::Worker,
};

/// Tasks that lie in a queue before another thread steals them all.
const STOLEN: usize = 64;

/// One keyed stage, which is never run: only the way to it is measured.
static TOPOLOGY: TopologyInfo = TopologyInfo {
    name: "measured",
    stages: &[StageInfo {
        name: "keyed",
        kind: Kind::Sink,
        file: file!(),
        line: line!(),
        state: StateKind::Keyed,
        ..StageInfo::EMPTY
    }],
    links: &[LinkInfo {
        to: 0,
        kind: LinkKindInfo::Keyed { ordered: false },
        parts: &[1],
        paths: 1,
        tagged: false,
    }],
    ..TopologyInfo::EMPTY
};

/// What the workers of a run share, for as many workers.
fn shared(workers: usize) -> Arc<Shared> {
    let machine = Machine::simulate(&format!("1x{workers}")).expect("a node with so many cores");
    let mut settings = Settings::of(&TOPOLOGY);
    settings.pool.workers = Some(workers);
    let placement = settings.place(&machine).expect("a core for each worker");
    settings.parallel = true;
    let (pins, warnings) = (
        crate::pin::Placement::default(),
        Warnings::new(Enforce::Warn),
    );
    let reactor = Reactor::new(&settings).expect("no stage is async");
    Shared::new(
        &TOPOLOGY,
        settings,
        (placement, pins),
        Box::default(),
        None,
        warnings,
        reactor,
    )
}

/// One empty batch goes into the run queue of its worker and comes out again, `n` times.
pub fn deque(n: u64) -> Duration {
    let stand = Stand::<u64>::new();
    let queue = Queue::new_fifo();
    let mut task = stand.carrier(&[]).into_task();
    timed(|| {
        for _ in 0..n {
            queue.push(task);
            task = queue.pop().expect("nobody else takes it");
        }
        drop(task);
    })
}

/// A worker steals `n` batches (rounded up to 64) from a worker on another core; the time of the stealing only.
pub fn steal(n: u64) -> Duration {
    let stand = Stand::<u64>::new();
    let rounds = n.div_ceil(STOLEN as u64);
    let queue = Queue::new_fifo();
    stand.set_stealers(&[&queue, &Queue::new_fifo()]);
    let tasks: Mutex<Vec<Task>> = Mutex::new(
        (0..STOLEN)
            .map(|_| stand.carrier(&[]).into_task())
            .collect(),
    );
    let (left, stolen) = (AtomicU64::new(0), AtomicU64::new(0));
    let (tasks, left, stolen) = (&tasks, &left, &stolen);
    let owner = move || {
        for round in 0..rounds {
            wait_for(stolen, round);
            let mut tasks = locked(tasks);
            tasks.drain(..).for_each(|task| queue.push(task));
            drop(tasks);
            left.store(round + 1, Ordering::Release);
        }
        // The queue goes with its owner, so it stays until the last task is stolen.
        wait_for(stolen, rounds);
    };
    let thief = || {
        let mut w = Worker::new(&stand.shared, 1, Queue::new_fifo(), None);
        let mut time = Duration::ZERO;
        for round in 0..rounds {
            wait_for(left, round + 1);
            let mut tasks = locked(tasks);
            time += timed(|| {
                for _ in 0..STOLEN {
                    tasks.extend(w.steal());
                }
            });
            assert_eq!(tasks.len(), STOLEN);
            drop(tasks);
            stolen.store(round + 1, Ordering::Release);
        }
        time
    };
    let time = together_with(owner, thief).2;
    time.mul_f64(n as f64 / (rounds * STOLEN as u64) as f64)
}

fn locked<T>(tasks: &Mutex<T>) -> MutexGuard<'_, T> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker looks `n` times for something to steal from one other worker that has nothing.
pub fn steal_nothing(n: u64) -> Duration {
    let stand = Stand::<u64>::new();
    stand.set_stealers(&[&Queue::new_fifo(), &Queue::new_fifo()]);
    let mut w = Worker::new(&stand.shared, 1, Queue::new_fifo(), None);
    timed(|| {
        for _ in 0..n {
            assert!(w.steal().is_none());
        }
    })
}

/// What [`hops`] measures.
#[derive(Clone, Copy, Debug)]
pub struct Hops {
    /// Time of all hops.
    pub hops: Duration,
    /// How many there were.
    pub count: u64,
    /// Time in which one side read what was in its batches.
    pub reading: Duration,
    /// How many batches that side read.
    pub read: u64,
}

/// A batch of `words` goes from one thread to another and one comes back, `n` times: taken from the pool, filled, left in
/// the run queue, stolen, read, and returned to the pool.
pub fn hops(n: u64, words: usize) -> Hops {
    let stand = Stand::<u64>::new();
    let queues = [Queue::new_fifo(), Queue::new_fifo()];
    stand.set_stealers(&[&queues[0], &queues[1]]);
    let [first, second] = queues;
    let payload: Vec<u64> = (0..words as u64).collect();
    let sum: u64 = payload.iter().sum();
    let receive = |w: &mut Worker<'_>| {
        let task = loop {
            match w.steal() {
                Some(task) => break task,
                None => crate::sync::spin_loop(),
            }
        };
        let mut carrier = task.open::<u64>();
        let mut reading = Duration::ZERO;
        if words > 0 {
            reading = timed(|| assert_eq!(carrier.items().iter().sum::<u64>(), sum));
            carrier.items().clear();
        }
        reading
    };
    let stand = &stand;
    let (payload, receive) = (&payload, &receive);
    let ping = move || {
        let mut w = Worker::new(&stand.shared, 0, Queue::new_fifo(), None);
        for _ in 0..n {
            first.push(stand.carrier(payload).into_task());
            receive(&mut w);
        }
    };
    let pong = move || {
        let mut w = Worker::new(&stand.shared, 1, Queue::new_fifo(), None);
        let mut reading = Duration::ZERO;
        for _ in 0..n {
            reading += receive(&mut w);
            second.push(stand.carrier(payload).into_task());
        }
        // The last one is still to be stolen from this queue.
        while !second.is_empty() {
            crate::sync::spin_loop();
        }
        reading
    };
    let (hops, (), reading) = together_with(ping, pong);
    Hops {
        hops,
        count: 2 * n,
        reading,
        read: n,
    }
}

/// What [`scatter`] measures.
#[derive(Clone, Copy, Debug)]
pub struct Scatter {
    /// Time to divide the items by partition and to leave the parts.
    pub dividing: Duration,
    /// Items that were divided.
    pub items: u64,
    /// Time to open the parts, pass the gates of their partitions, and return them.
    pub activating: Duration,
    /// Parts that there were.
    pub parts: u64,
}

/// Divides items, which are their keys, by partition of a keyed link, `batch` at a time, as a run of so many workers does.
pub fn scatter(keys: &[u64], batch: usize, workers: usize) -> Scatter {
    let stand = Stand::<u64>::of(shared(workers));
    let site: Site<'_, ()> = Site {
        shared: &stand.shared,
        input: None,
    };
    let link: KeyedLink<u64, _, u64> =
        KeyedLink::new(&site, 0, |key: &u64| *key, crosses_threads::<u64>());
    let mut w = Worker::new(&stand.shared, 0, Queue::new_fifo(), None);
    let mut tasks = Vec::new();
    let mut all = Scatter {
        dividing: Duration::ZERO,
        items: 0,
        activating: Duration::ZERO,
        parts: 0,
    };
    for keys in keys.chunks(batch) {
        let carrier = stand.carrier(keys);
        all.dividing += timed(|| link.enter(carrier, &mut w));
        all.items += keys.len() as u64;
        tasks.extend(std::iter::from_fn(|| w.next_task()));
        all.parts += tasks.len() as u64;
        let mut served = 0;
        all.activating += timed(|| {
            for task in tasks.drain(..) {
                link.serve(task.open::<Hashed<u64>>(), &mut w, |shard, mut part, _| {
                    black_box(shard);
                    served += part.open().size_hint().0;
                });
            }
        });
        assert_eq!(served, keys.len(), "every item is in one part");
    }
    all
}

/// A run without a pipeline: one ticket, which all batches share, and a pool of batches.
struct Stand<T: 'static> {
    shared: Arc<Shared>,
    home: Home<T>,
    ticket: u32,
}

impl<T: Copy + Send + 'static> Stand<T> {
    fn new() -> Self {
        Self::of(shared(2))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let home = Home::new(&shared, 0, STOLEN, crosses_threads::<T>());
        let ticket = shared.credits.take(0, Lane::NORMAL).expect("all are free");
        Self {
            shared,
            home,
            ticket,
        }
    }

    /// A batch of these items.
    fn carrier(&self, items: &[T]) -> Carrier<T> {
        self.shared.credits.share(self.ticket);
        let mut carrier = self.home.carrier(0, self.ticket, 0);
        carrier.items().extend_from_slice(items);
        carrier
    }

    fn set_stealers(&self, queues: &[&Queue<Task>]) {
        let stealers = queues.iter().map(|queue| queue.stealer()).collect();
        assert!(self.shared.stealers.set(stealers).is_ok(), "set once");
    }
}
