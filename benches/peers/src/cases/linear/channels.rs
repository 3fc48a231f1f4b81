//! A thread or task for each group of stages, and channels between them.

use std::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use disruptor::{BusySpin, Polling, Producer};

use super::{Record, Size, folded, kept, mixed, recorded};
use crate::harness::{
    Contender,
    threads::{joined, on_two_cores},
};

/// Items or batches that wait in a channel.
const CAPACITY: usize = 1024;

/// Three threads: source and mix; filter and record; fold.
fn crossbeam_items(items: u64) -> u64 {
    let (to_filter, mixes) = crossbeam_channel::bounded(CAPACITY);
    let (to_fold, records) = crossbeam_channel::bounded::<Record>(CAPACITY);
    thread::scope(|scope| {
        scope.spawn(move || (0..items).map(mixed).try_for_each(|y| to_filter.send(y)));
        scope.spawn(move || {
            let records = mixes.into_iter().filter(kept).map(recorded);
            records
                .into_iter()
                .try_for_each(|record| to_fold.send(record))
        });
        let fold = scope.spawn(move || records.iter().fold(0, |sum, record| folded(sum, &record)));
        joined(fold)
    })
}

/// The same with batches, whose vectors go on as they are.
fn crossbeam_batches(items: u64) -> u64 {
    const BATCH: u64 = 256;
    let (to_filter, mixes) = crossbeam_channel::bounded::<Vec<u64>>(CAPACITY / 16);
    let (to_fold, batches) = crossbeam_channel::bounded::<Vec<Record>>(CAPACITY / 16);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut starts = (0..items).step_by(BATCH as usize);
            starts.try_for_each(|start| {
                let batch = start..items.min(start + BATCH);
                to_filter.send(batch.map(mixed).collect())
            })
        });
        scope.spawn(move || {
            mixes.iter().try_for_each(|batch| {
                to_fold.send(batch.into_iter().filter(kept).map(recorded).collect())
            })
        });
        let fold = scope.spawn(move || {
            batches
                .iter()
                .flatten()
                .fold(0, |sum, record| folded(sum, &record))
        });
        joined(fold)
    })
}

fn std_items(items: u64) -> u64 {
    let (to_filter, mixes) = mpsc::sync_channel(CAPACITY);
    let (to_fold, records) = mpsc::sync_channel::<Record>(CAPACITY);
    thread::scope(|scope| {
        scope.spawn(move || (0..items).map(mixed).try_for_each(|y| to_filter.send(y)));
        scope.spawn(move || {
            let mut records = mixes.into_iter().filter(kept).map(recorded);
            records.try_for_each(|record| to_fold.send(record))
        });
        let fold = scope.spawn(move || records.iter().fold(0, |sum, record| folded(sum, &record)));
        joined(fold)
    })
}

/// A task for each of the three, on a runtime of two threads that is kept.
fn tokio_tasks(runtime: &tokio::runtime::Runtime, items: u64) -> u64 {
    let (to_filter, mut mixes) = tokio::sync::mpsc::channel(CAPACITY);
    let (to_fold, mut records) = tokio::sync::mpsc::channel::<Record>(CAPACITY);
    runtime.spawn(async move {
        for y in (0..items).map(mixed) {
            if to_filter.send(y).await.is_err() {
                return;
            }
        }
    });
    runtime.spawn(async move {
        while let Some(y) = mixes.recv().await {
            if kept(&y) && to_fold.send(recorded(y)).await.is_err() {
                return;
            }
        }
    });
    let fold = runtime.spawn(async move {
        let mut sum = 0;
        while let Some(record) = records.recv().await {
            sum = folded(sum, &record);
        }
        sum
    });
    runtime.block_on(fold).expect("the task ends")
}

/// Events of a batch that is published at once.
const EVENTS: usize = 256;

/// Publishes numbers that the iterator gives, in batches; the last one may be smaller.
fn publish_all(producer: &mut impl Producer<u64>, numbers: impl Iterator<Item = u64>) {
    let mut batch = Vec::with_capacity(EVENTS);
    for number in numbers {
        batch.push(number);
        if batch.len() == EVENTS {
            publish(producer, &mut batch);
        }
    }
    publish(producer, &mut batch);
}

fn publish(producer: &mut impl Producer<u64>, batch: &mut Vec<u64>) {
    producer.batch_publish(batch.len(), |events| {
        events
            .zip(batch.iter())
            .for_each(|(event, number)| *event = *number);
    });
    batch.clear();
}

/// Source and mix on the caller's thread; filter and fold on threads of two disruptors, one behind the other.
fn disruptor_three_threads(items: u64) -> u64 {
    let total = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&total);
    let fold = move |sum: &mut u64, y: &u64, _: i64, last: bool| {
        *sum = folded(*sum, &recorded(*y));
        if last {
            shown.store(*sum, Relaxed);
        }
    };
    let to_fold = disruptor::build_single_producer(CAPACITY, || 0, BusySpin)
        .handle_events_and_state_with(fold, || 0)
        .build();
    let filter = |(to_fold, batch): &mut (_, Vec<u64>), y: &u64, _: i64, last: bool| {
        if kept(y) {
            batch.push(*y);
        }
        if batch.len() == EVENTS || (last && !batch.is_empty()) {
            publish(to_fold, batch);
        }
    };
    let mut to_filter = disruptor::build_single_producer(CAPACITY, || 0, BusySpin)
        .handle_events_and_state_with(filter, move || (to_fold, Vec::with_capacity(EVENTS)))
        .build();
    publish_all(&mut to_filter, (0..items).map(mixed));
    // Ends and joins both threads, the first one first.
    drop(to_filter);
    total.load(Relaxed)
}

/// Source, mix and filter on one core; a poller that makes records and folds on the other.
fn disruptor_two_threads(items: u64) -> u64 {
    let builder = disruptor::build_single_producer(CAPACITY, || 0, BusySpin);
    let (mut poller, builder) = builder.new_event_poller();
    let mut producer = builder.build();
    let produce = move || publish_all(&mut producer, (0..items).map(mixed).filter(kept));
    let consume = move || {
        let mut sum = 0;
        loop {
            match poller.poll() {
                Ok(mut events) => {
                    for y in &mut events {
                        sum = folded(sum, &recorded(*y));
                    }
                }
                Err(Polling::NoEvents) => spin_loop(),
                Err(Polling::Shutdown) => return sum,
            }
        }
    };
    on_two_cores(produce, consume).1
}

pub(super) fn contenders(full: Size, medium: Size, small: Size) -> Vec<Contender> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    let runtime = runtime.expect("tokio starts");
    vec![
        Contender::peer(
            "crossbeam thread/stage, Vec of 256",
            full.work(crossbeam_batches),
        ),
        Contender::peer(
            "crossbeam thread/stage, items",
            medium.work(crossbeam_items),
        ),
        Contender::peer("std mpsc thread/stage, items", medium.work(std_items)),
        Contender::peer(
            "tokio task/stage, items",
            medium.work(move |n| tokio_tasks(&runtime, n)),
        ),
        Contender::peer(
            "disruptor 2 threads, batch 256 + poll",
            full.work(disruptor_two_threads),
        ),
        Contender::peer(
            "disruptor 3 threads, batch 256",
            small.work(disruptor_three_threads),
        ),
    ]
}
