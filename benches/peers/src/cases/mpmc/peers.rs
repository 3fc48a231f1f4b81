//! Channels and queues that several threads use at both ends, and lanes of two threads each as the limit.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{
            AtomicUsize,
            Ordering::{Acquire, Release},
        },
    },
    thread,
};

use crossbeam_queue::ArrayQueue;

use super::{BATCH, CAPACITY, Size, part, run_all};
use crate::harness::{
    Contender,
    threads::{Backoff, joined},
};

/// A lane for each pair of a producer and a consumer: nothing is shared by more than two threads.
fn private_lanes(sides: usize, items: u64) -> u64 {
    thread::scope(|scope| {
        let lane = |side| {
            let (mut give, mut take) = rtrb::RingBuffer::<u64>::new(CAPACITY);
            let mut numbers = part(items, sides, side);
            let mut left = (numbers.end - numbers.start) as usize;
            scope.spawn(move || {
                let mut backoff = Backoff::new();
                while !numbers.is_empty() {
                    let want = BATCH.min((numbers.end - numbers.start) as usize);
                    match give.write_chunk_uninit(give.slots().max(want)) {
                        Ok(chunk) => {
                            chunk.fill_from_iter(&mut numbers);
                            backoff = Backoff::new();
                        }
                        Err(_) => backoff.wait(),
                    }
                }
            });
            scope.spawn(move || {
                let (mut sum, mut backoff) = (0, Backoff::new());
                while left > 0 {
                    match take.read_chunk(take.slots().max(BATCH.min(left))) {
                        Ok(chunk) => {
                            left -= chunk.len();
                            sum += chunk.into_iter().sum::<u64>();
                            backoff = Backoff::new();
                        }
                        Err(_) => backoff.wait(),
                    }
                }
                sum
            })
        };
        let lanes: Vec<_> = (0..sides).map(lane).collect();
        lanes.into_iter().map(joined).sum()
    })
}

/// A channel whose ends can be cloned.
fn channel<S: Clone + Send + 'static, R: Clone + Send + 'static, E: std::fmt::Debug + 'static>(
    name: &'static str,
    size: Size,
    ends: fn() -> (S, R),
    send: fn(&S, u64) -> Result<(), E>,
    receive: fn(&R) -> Option<u64>,
) -> Contender {
    let run = move |sides, items| {
        let (sender, receiver) = ends();
        let producer = move || {
            let sender = sender.clone();
            move |mut numbers: Range<u64>| {
                numbers
                    .try_for_each(|number| send(&sender, number))
                    .expect("it is there")
            }
        };
        let consumer = move || {
            let receiver = receiver.clone();
            move || std::iter::from_fn(|| receive(&receiver)).sum()
        };
        run_all(items, sides, producer, consumer)
    };
    Contender::peer(name, size.work(run))
}

fn crossbeam_batches(sides: usize, items: u64) -> u64 {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<u64>>(CAPACITY / BATCH);
    let producer = move || {
        let sender = sender.clone();
        move |mut numbers: Range<u64>| {
            while !numbers.is_empty() {
                let batch = numbers.by_ref().take(BATCH).collect();
                sender.send(batch).expect("it is there");
            }
        }
    };
    let consumer = move || {
        let receiver = receiver.clone();
        move || receiver.iter().flatten().sum()
    };
    run_all(items, sides, producer, consumer)
}

/// Both ends spin for a while and then let others run. Consumers end when all producers have and nothing is left.
fn array_queue(sides: usize, items: u64) -> u64 {
    let queue = Arc::new(ArrayQueue::new(CAPACITY));
    let producing = Arc::new(AtomicUsize::new(sides));
    let (to, done) = (Arc::clone(&queue), Arc::clone(&producing));
    let producer = move || {
        let (queue, producing) = (Arc::clone(&to), Arc::clone(&done));
        move |numbers: Range<u64>| {
            for mut number in numbers {
                let mut backoff = Backoff::new();
                while let Err(back) = queue.push(number) {
                    number = back;
                    backoff.wait();
                }
            }
            producing.fetch_sub(1, Release);
        }
    };
    let consumer = move || {
        let (queue, producing) = (Arc::clone(&queue), Arc::clone(&producing));
        move || {
            let (mut sum, mut backoff) = (0, Backoff::new());
            loop {
                // Looked at first: what was pushed before the last producer ended is seen.
                let last = producing.load(Acquire) == 0;
                match queue.pop() {
                    Some(number) => {
                        sum += number;
                        backoff = Backoff::new();
                    }
                    None if last => return sum,
                    None => backoff.wait(),
                }
            }
        }
    };
    run_all(items, sides, producer, consumer)
}

/// A queue under a lock; its producers are counted in it.
struct Locked {
    state: Mutex<(VecDeque<u64>, usize)>,
    not_empty: Condvar,
    not_full: Condvar,
}

impl Locked {
    fn push(&self, number: u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .not_full
            .wait_while(state, |state| state.0.len() == CAPACITY);
        state
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .push_back(number);
        self.not_empty.notify_one();
    }

    fn pop(&self) -> Option<u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .not_empty
            .wait_while(state, |state| state.0.is_empty() && state.1 > 0);
        let number = state.unwrap_or_else(PoisonError::into_inner).0.pop_front();
        self.not_full.notify_one();
        number
    }

    fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 -= 1;
        self.not_empty.notify_all();
    }
}

fn locked(sides: usize, items: u64) -> u64 {
    let queue = Arc::new(Locked {
        state: Mutex::new((VecDeque::with_capacity(CAPACITY), sides)),
        not_empty: Condvar::new(),
        not_full: Condvar::new(),
    });
    let to = Arc::clone(&queue);
    let producer = move || {
        let queue = Arc::clone(&to);
        move |numbers: Range<u64>| {
            numbers.for_each(|number| queue.push(number));
            queue.end();
        }
    };
    let consumer = move || {
        let queue = Arc::clone(&queue);
        move || std::iter::from_fn(|| queue.pop()).sum()
    };
    run_all(items, sides, producer, consumer)
}

/// Tasks instead of threads, on a runtime of two threads.
fn kanal_tasks(runtime: &tokio::runtime::Runtime, sides: usize, items: u64) -> u64 {
    let (sender, receiver) = kanal::bounded_async(CAPACITY);
    let tasks: Vec<_> = (0..sides)
        .map(|side| {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            runtime.spawn(async move {
                for number in part(items, sides, side) {
                    sender.send(number).await.expect("it is there");
                }
            });
            runtime.spawn(async move {
                let mut sum = 0;
                while let Ok(number) = receiver.recv().await {
                    sum += number;
                }
                sum
            })
        })
        .collect();
    drop((sender, receiver));
    let sums = tasks
        .into_iter()
        .map(|task| runtime.block_on(task).expect("the task ends"));
    sums.sum()
}

pub(super) fn contenders(size: Size) -> Vec<Contender> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    let runtime = runtime.expect("tokio starts");
    vec![
        Contender::limit("k private rtrb lanes, chunks", size.work(private_lanes)),
        Contender::peer("crossbeam-channel Vec of 64", size.work(crossbeam_batches)),
        Contender::peer("crossbeam ArrayQueue, spin+yield", size.work(array_queue)),
        Contender::peer("std Mutex<VecDeque> + 2 Condvars", size.work(locked)),
        Contender::peer(
            "kanal async on tokio tasks",
            size.work(move |sides, items| kanal_tasks(&runtime, sides, items)),
        ),
        channel(
            "kanal",
            size,
            || kanal::bounded(CAPACITY),
            |s, n| s.send(n),
            |r| r.recv().ok(),
        ),
        channel(
            "crossbeam-channel",
            size,
            || crossbeam_channel::bounded(CAPACITY),
            |s, n| s.send(n),
            |r| r.recv().ok(),
        ),
        channel(
            "flume",
            size,
            || flume::bounded(CAPACITY),
            |s, n| s.send(n),
            |r| r.recv().ok(),
        ),
    ]
}
