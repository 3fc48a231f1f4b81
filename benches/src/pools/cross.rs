//! Blocks that one thread takes and another one gives back, through a ring.

use std::{hint, thread};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{
    Body, LIVE, POOL, Pooled, Way, sum,
    ways::{read, write},
};

/// Each block goes through the ring alone.
///
/// # Panics
///
/// If a mark is lost.
pub fn one_by_one<W: Way>(way: &W, blocks: u64) {
    let (mut sender, mut receiver) = RingBuffer::new(POOL / 4);
    let total: u64 = thread::scope(|scope| {
        scope.spawn(move || (0..blocks).for_each(|mark| push(&mut sender, way.take(mark))));
        (0..blocks).map(|_| way.give(pop(&mut receiver))).sum()
    });
    assert_eq!(total, sum(blocks));
}

/// [`LIVE`] blocks go through the ring together, in a vector that comes back.
///
/// # Panics
///
/// If a mark is lost.
pub fn in_batches<W: Way>(way: &W, blocks: u64) {
    let batches = blocks / LIVE as u64;
    let (mut sender, mut receiver) = RingBuffer::new(16);
    let (mut recycler, mut recycled) = RingBuffer::new(16);
    for _ in 0..16 {
        push(&mut recycler, Vec::with_capacity(LIVE));
    }
    let total: u64 = thread::scope(|scope| {
        scope.spawn(move || {
            for batch in 0..batches {
                let first = batch * LIVE as u64;
                let mut vector = pop(&mut recycled);
                vector.extend((first..first + LIVE as u64).map(|mark| way.take(mark)));
                push(&mut sender, vector);
            }
        });
        let mut total = 0;
        for _ in 0..batches {
            let mut vector = pop(&mut receiver);
            total += vector.drain(..).map(|block| way.give(block)).sum::<u64>();
            // The ring may be full of vectors when the sender has ended.
            drop(recycler.push(vector));
        }
        total
    });
    assert_eq!(total, sum(batches * LIVE as u64));
}

/// Batches of the pool go through the ring.
///
/// # Panics
///
/// If a mark is lost.
pub fn in_pool_batches(way: &Pooled, blocks: u64) {
    let (mut sender, mut receiver) = RingBuffer::new(16);
    let total: u64 = thread::scope(|scope| {
        scope.spawn(move || {
            let mut next = 0;
            while next < blocks {
                let batch = way.pool.batch(way.class);
                let mut batch = batch.expect("fewer are on their way than there are");
                for block in batch.iter_mut() {
                    write(block, next);
                    next += 1;
                }
                push(&mut sender, batch);
            }
        });
        let (mut total, mut seen) = (0, 0);
        while seen < blocks {
            let batch = pop(&mut receiver);
            seen += batch.len() as u64;
            total += batch.iter().map(read).sum::<u64>();
        }
        assert_eq!(seen, blocks, "batches are whole");
        total
    });
    assert_eq!(total, sum(blocks));
}

/// Each block comes back through a second ring: no allocator, but a pair of threads that know each other.
///
/// # Panics
///
/// If a mark is lost.
pub fn recycled<const R: usize>(blocks: u64) {
    let (mut sender, mut receiver) = RingBuffer::new(POOL / 4);
    let (mut recycler, mut recycled) = RingBuffer::new(POOL / 4);
    for _ in 0..POOL / 4 {
        push(&mut recycler, Box::new(Body::<R>::new(0)));
    }
    let total: u64 = thread::scope(|scope| {
        scope.spawn(move || {
            for mark in 0..blocks {
                let mut block = pop(&mut recycled);
                block.mark = mark;
                push(&mut sender, block);
            }
        });
        let read = |_| {
            let block = pop(&mut receiver);
            let mark = block.mark;
            push(&mut recycler, block);
            mark
        };
        (0..blocks).map(read).sum()
    });
    assert_eq!(total, sum(blocks));
}

#[inline(always)]
fn push<T>(ring: &mut Producer<T>, mut item: T) {
    let mut tries = 0;
    while let Err(rtrb::PushError::Full(again)) = ring.push(item) {
        item = again;
        wait(&mut tries);
    }
}

#[inline(always)]
fn pop<T>(ring: &mut Consumer<T>) -> T {
    let mut tries = 0;
    loop {
        match ring.pop() {
            Ok(item) => return item,
            Err(_) => wait(&mut tries),
        }
    }
}

/// Spins, and lets others run where the other thread has no core.
#[cold]
fn wait(tries: &mut u32) {
    *tries += 1;
    if *tries < 1000 {
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}
