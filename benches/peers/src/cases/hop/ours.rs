//! pipewright's ring between two threads, which is also between pinned stages: slices of 64, and item by item.

use std::hint::spin_loop;

use pipewright::spsc::{self, Consumer};

use super::{BATCH, CAPACITY, Size};
use crate::harness::{Contender, threads::on_two_cores};

/// Adds up everything that a ring gives.
fn drained(mut consumer: Consumer<u64>, items: u64) -> u64 {
    let mut sum = 0;
    while consumer.taken() < items {
        let drain = consumer.drain();
        if drain.len() == 0 {
            spin_loop();
        }
        sum += drain.sum::<u64>();
    }
    sum
}

fn slices(items: u64) -> u64 {
    let (mut producer, consumer) = spsc::ring(CAPACITY);
    let push = move || {
        let mut slice = Vec::with_capacity(BATCH);
        let mut numbers = 0..items;
        while !numbers.is_empty() {
            slice.clear();
            slice.extend(numbers.by_ref().take(BATCH));
            let mut left = &slice[..];
            while !left.is_empty() {
                let pushed = producer.push_slice(left);
                left = &left[pushed..];
                if pushed == 0 {
                    spin_loop();
                }
            }
        }
    };
    on_two_cores(push, move || drained(consumer, items)).1
}

fn one_by_one(items: u64) -> u64 {
    let (mut producer, consumer) = spsc::ring(CAPACITY);
    let push = move || {
        for item in 0..items {
            while producer.push(item).is_err() {
                spin_loop();
            }
        }
    };
    on_two_cores(push, move || drained(consumer, items)).1
}

pub(super) fn contenders(size: Size) -> Vec<Contender> {
    vec![
        Contender::ours("pipewright ring, slices of 64", size.work(slices)),
        Contender::ours("pipewright ring, items", size.work(one_by_one)),
    ]
}
