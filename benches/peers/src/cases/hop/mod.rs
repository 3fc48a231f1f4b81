//! `hop`: numbers from a thread on core 0 to a thread on core 1, 1024 at most between them.

mod ours;

use std::{hint::spin_loop, sync::mpsc};

use crossbeam_queue::ArrayQueue;
use disruptor::{BusySpin, Polling, Producer};
use pipewright_peers_raw::ring;

use crate::harness::{
    Contender, Scale,
    threads::{Backoff, on_two_cores},
};

/// Items that may be on their way.
const CAPACITY: usize = 1024;
/// Items of a batch.
const BATCH: usize = 64;

/// How many numbers cross, and what they add up to.
#[derive(Clone, Copy)]
struct Size {
    scale: Scale,
    items: u64,
}

impl Size {
    /// `run` sends the numbers below `items` over and gives the sum of what arrived.
    fn work(
        self,
        mut run: impl FnMut(u64) -> u64 + 'static,
    ) -> impl FnMut() -> Result<Vec<f64>, String> + 'static {
        let sum = self.items * (self.items - 1) / 2;
        move || self.scale.rate(self.items, &sum, || run(self.items))
    }
}

/// Sends with `send` on core 0, adds up what `receive` gives on core 1 until it gives nothing more.
fn channel<S: Send + 'static, R: Send + 'static, E: std::fmt::Debug + 'static>(
    name: &'static str,
    size: Size,
    ends: fn() -> (S, R),
    send: fn(&S, u64) -> Result<(), E>,
    receive: fn(&mut R) -> Option<u64>,
) -> Contender {
    let across = move |items| {
        let (sender, mut receiver) = ends();
        let produce = move || {
            (0..items).for_each(|item| send(&sender, item).expect("the other side is there"));
            // Its end is the end of the other side's receiving.
            drop(sender);
        };
        let consume = move || {
            let mut sum = 0;
            while let Some(item) = receive(&mut receiver) {
                sum += item;
            }
            sum
        };
        on_two_cores(produce, consume).1
    };
    Contender::peer(name, size.work(across))
}

fn raw_ring(items: u64) -> u64 {
    let (mut producer, mut consumer) = ring::ring(CAPACITY, 512);
    let produce = move || {
        (0..items).for_each(|item| producer.push(item));
        producer.publish();
    };
    let consume = move || (0..items).map(|_| consumer.pop()).sum();
    on_two_cores(produce, consume).1
}

fn rtrb_items(items: u64) -> u64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(CAPACITY);
    let produce = move || {
        for mut item in 0..items {
            while let Err(rtrb::PushError::Full(back)) = producer.push(item) {
                item = back;
                spin_loop();
            }
        }
    };
    let consume = move || {
        let pop = |_| loop {
            match consumer.pop() {
                Ok(item) => break item,
                Err(_) => spin_loop(),
            }
        };
        (0..items).map(pop).sum()
    };
    on_two_cores(produce, consume).1
}

fn rtrb_chunks(items: u64) -> u64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let produce = move || {
        let mut left = 0..items;
        while !left.is_empty() {
            let want = BATCH.min((left.end - left.start) as usize);
            match producer.write_chunk_uninit(producer.slots().max(want)) {
                Ok(chunk) => drop(chunk.fill_from_iter(&mut left)),
                Err(_) => spin_loop(),
            }
        }
    };
    let consume = move || {
        let (mut sum, mut left) = (0, items);
        while left > 0 {
            let want = (BATCH as u64).min(left) as usize;
            match consumer.read_chunk(consumer.slots().max(want)) {
                Ok(chunk) => {
                    left -= chunk.len() as u64;
                    let (first, second) = chunk.as_slices();
                    sum += first.iter().sum::<u64>() + second.iter().sum::<u64>();
                    chunk.commit_all();
                }
                Err(_) => spin_loop(),
            }
        }
        sum
    };
    on_two_cores(produce, consume).1
}

fn disruptor(items: u64, batch: u64) -> u64 {
    let builder = disruptor::build_single_producer(CAPACITY, || 0, BusySpin);
    let (mut poller, builder) = builder.new_event_poller();
    let mut producer = builder.build();
    let produce = move || {
        if batch == 1 {
            (0..items).for_each(|item| producer.publish(|event| *event = item));
            return;
        }
        for start in (0..items).step_by(batch as usize) {
            let numbers = start..items.min(start + batch);
            let count = (numbers.end - numbers.start) as usize;
            producer.batch_publish(count, |events| {
                events.zip(numbers).for_each(|(event, item)| *event = item);
            });
        }
    };
    let consume = move || {
        let mut sum = 0;
        loop {
            match poller.poll() {
                Ok(mut events) => sum += (&mut events).sum::<u64>(),
                Err(Polling::NoEvents) => spin_loop(),
                Err(Polling::Shutdown) => return sum,
            }
        }
    };
    on_two_cores(produce, consume).1
}

fn array_queue(items: u64) -> u64 {
    let queue = ArrayQueue::new(CAPACITY);
    let produce = || {
        for mut item in 0..items {
            let mut backoff = Backoff::new();
            while let Err(back) = queue.push(item) {
                item = back;
                backoff.wait();
            }
        }
    };
    let consume = || {
        let pop = |_| {
            let mut backoff = Backoff::new();
            loop {
                match queue.pop() {
                    Some(item) => break item,
                    None => backoff.wait(),
                }
            }
        };
        (0..items).map(pop).sum()
    };
    on_two_cores(produce, consume).1
}

fn crossbeam_batches(items: u64) -> u64 {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<u64>>(CAPACITY / BATCH);
    let produce = move || {
        let mut starts = (0..items).step_by(BATCH);
        starts.try_for_each(|start| sender.send((start..items.min(start + BATCH as u64)).collect()))
    };
    let consume = move || {
        receiver
            .iter()
            .map(|batch| batch.into_iter().sum::<u64>())
            .sum()
    };
    on_two_cores(produce, consume).1
}

fn kanal_drain(items: u64) -> u64 {
    let (sender, receiver) = kanal::bounded(CAPACITY);
    let produce = move || (0..items).try_for_each(|item| sender.send(item));
    let consume = move || {
        let mut sum = 0;
        let mut batch = Vec::with_capacity(CAPACITY);
        // As its documentation shows: drain what is there, and wait for one where nothing is.
        while let Ok(count) = receiver.drain_into(&mut batch) {
            if count == 0 {
                match receiver.recv() {
                    Ok(item) => batch.push(item),
                    Err(_) => break,
                }
            }
            sum += batch.drain(..).sum::<u64>();
        }
        sum
    };
    on_two_cores(produce, consume).1
}

fn tokio_two_runtimes(items: u64) -> u64 {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(CAPACITY);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("tokio starts")
    };
    let produce = move || {
        runtime().block_on(async move {
            for item in 0..items {
                if sender.send(item).await.is_err() {
                    return;
                }
            }
        });
    };
    let consume = move || {
        runtime().block_on(async move {
            let mut sum = 0;
            while let Some(item) = receiver.recv().await {
                sum += item;
            }
            sum
        })
    };
    on_two_cores(produce, consume).1
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let size = |full| Size {
        scale,
        items: scale.of(full, 5_000),
    };
    let (full, small) = (size(10_000_000), size(2_000_000));
    let mut all = ours::contenders(full);
    all.extend([
        Contender::limit("raw ring, index every 512", full.work(raw_ring)),
        Contender::peer(
            "disruptor batch 64 + poll",
            full.work(|n| disruptor(n, BATCH as u64)),
        ),
        Contender::peer("disruptor publish + poll", full.work(|n| disruptor(n, 1))),
        Contender::peer("rtrb chunks (>= 64)", full.work(rtrb_chunks)),
        Contender::peer("rtrb", full.work(rtrb_items)),
        Contender::peer("crossbeam-channel Vec of 64", full.work(crossbeam_batches)),
        Contender::peer("crossbeam ArrayQueue, spin+yield", full.work(array_queue)),
        Contender::peer("kanal drain_into", full.work(kanal_drain)),
        channel(
            "kanal",
            full,
            || kanal::bounded(CAPACITY),
            |s, item| s.send(item),
            |r| r.recv().ok(),
        ),
        channel(
            "crossbeam-channel",
            full,
            || crossbeam_channel::bounded(CAPACITY),
            |s, item| s.send(item),
            |r| r.recv().ok(),
        ),
        channel(
            "std sync_channel",
            full,
            || mpsc::sync_channel(CAPACITY),
            |s, item| s.send(item),
            |r| r.recv().ok(),
        ),
        channel(
            "flume",
            full,
            || flume::bounded(CAPACITY),
            |s, item| s.send(item),
            |r| r.recv().ok(),
        ),
        channel(
            "tokio mpsc (blocking_send/recv)",
            small,
            || tokio::sync::mpsc::channel(CAPACITY),
            |s, item| s.blocking_send(item),
            |r| r.blocking_recv(),
        ),
        Contender::peer(
            "tokio mpsc (two current_thread runtimes)",
            small.work(tokio_two_runtimes),
        ),
    ]);
    all
}
