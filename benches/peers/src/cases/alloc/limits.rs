//! What the machine needs: a stack that the thread has for itself, and rings between two cores.

use std::hint::spin_loop;

use rtrb::{PushError, RingBuffer};

use super::{Between, CAPACITY, LIVE, Task};
use crate::harness::{Contender, threads::on_two_cores};

/// Free blocks in a vector.
fn local_stack<const WORDS: usize>(stack: &mut Vec<Box<[u64; WORDS]>>, count: u64) -> u64 {
    let mut live = Vec::with_capacity(LIVE);
    let mut sum = 0;
    for start in (0..count).step_by(LIVE) {
        for word in start..count.min(start + LIVE as u64) {
            let mut block = stack.pop().unwrap_or_else(|| Box::new([0; WORDS]));
            block[0] = word;
            live.push(block);
        }
        for block in live.drain(..) {
            sum += block[0];
            stack.push(block);
        }
    }
    sum
}

/// Blocks go over in one ring and come back in another.
fn recycled<const WORDS: usize>(count: u64) -> u64 {
    let (mut give, mut take) = RingBuffer::<Box<[u64; WORDS]>>::new(CAPACITY);
    let (mut back, mut again) = RingBuffer::<Box<[u64; WORDS]>>::new(2 * CAPACITY);
    let produce = move || {
        for word in 0..count {
            let mut block = again.pop().unwrap_or_else(|_| Box::new([0; WORDS]));
            block[0] = word;
            while let Err(PushError::Full(full)) = give.push(block) {
                block = full;
                spin_loop();
            }
        }
        // Blocks still come back; they are freed when both sides have ended.
        again
    };
    let consume = move || {
        let mut sum = 0;
        for _ in 0..count {
            let block = loop {
                match take.pop() {
                    Ok(block) => break block,
                    Err(_) => spin_loop(),
                }
            };
            sum += block[0];
            // There are never more blocks than the ring back has room for, but freeing one would be right too.
            drop(back.push(block));
        }
        sum
    };
    on_two_cores(produce, consume).1
}

/// The numbers alone.
fn ring_alone(count: u64) -> u64 {
    let (mut give, mut take) = RingBuffer::new(CAPACITY);
    let produce = move || {
        for mut word in 0..count {
            while let Err(PushError::Full(full)) = give.push(word) {
                word = full;
                spin_loop();
            }
        }
    };
    let consume = move || {
        let word = |_| loop {
            match take.pop() {
                Ok(word) => break word,
                Err(_) => spin_loop(),
            }
        };
        (0..count).map(word).sum()
    };
    on_two_cores(produce, consume).1
}

pub(super) fn contenders<const WORDS: usize>(task: Task) -> Vec<Contender> {
    match task.between {
        Between::SameThread => {
            let mut stack = Vec::with_capacity(LIVE);
            let run = move |count| local_stack::<WORDS>(&mut stack, count);
            vec![Contender::limit("thread-local stack", task.work(run))]
        }
        Between::TwoCores => vec![
            Contender::limit(
                "recycle ring (SPSC both ways)",
                task.work(recycled::<WORDS>),
            ),
            Contender::limit("ring alone, no block", task.work(ring_alone)),
        ],
    }
}
