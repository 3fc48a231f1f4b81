//! Tests of the ring on real threads, and of what it does with items that nobody takes.

use std::{sync::Arc as Counted, thread};

use super::*;

/// Pushes `items` one by one or in slices of `slice`, takes them in one of the three ways, and checks that they came in order.
fn check(capacity: usize, items: u64, slice: usize, take: fn(&mut Consumer<u64>, &mut Vec<u64>)) {
    let (mut producer, mut consumer) = ring::<u64>(capacity);
    thread::scope(|scope| {
        scope.spawn(move || {
            let all: Vec<u64> = (0..items).collect();
            let mut left = &all[..];
            while let Some(&next) = left.first() {
                let pushed = match slice {
                    0 => usize::from(producer.push(next).is_ok()),
                    slice => producer.push_slice(&left[..slice.min(left.len())]),
                };
                left = &left[pushed..];
                if pushed == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut taken = Vec::new();
        loop {
            let closed = consumer.is_closed();
            let before = taken.len();
            take(&mut consumer, &mut taken);
            if taken.len() == before {
                if closed && consumer.is_empty() {
                    break;
                }
                thread::yield_now();
            }
        }
        assert!(taken.iter().copied().eq(0..items));
    });
}

fn pop(consumer: &mut Consumer<u64>, taken: &mut Vec<u64>) {
    taken.extend(consumer.pop());
}

fn drain(consumer: &mut Consumer<u64>, taken: &mut Vec<u64>) {
    taken.extend(consumer.drain());
}

fn drain_some(consumer: &mut Consumer<u64>, taken: &mut Vec<u64>) {
    taken.extend(consumer.drain().take(3));
    // An iterator that is dropped before it is used loses nothing.
    drop(consumer.drain());
}

fn pop_slice(consumer: &mut Consumer<u64>, taken: &mut Vec<u64>) {
    let mut buffer = [0; 17];
    let count = consumer.pop_slice(&mut buffer);
    taken.extend(&buffer[..count]);
}

#[test]
fn items_come_once_and_in_order_whatever_the_sizes() {
    for take in [pop, drain, drain_some, pop_slice] {
        for (capacity, slice) in [(2, 0), (2, 3), (64, 0), (64, 50), (1024, 0), (1024, 200)] {
            // Each time a ring is full or empty costs a switch of threads where processors are busy.
            check(capacity, (400 * capacity as u64).min(20_000), slice, take);
        }
    }
}

#[test]
fn a_full_ring_gives_the_item_back() {
    let (mut producer, mut consumer) = ring::<u64>(4);
    for n in 0..4 {
        assert_eq!(producer.push(n), Ok(()));
    }
    assert_eq!(producer.push(4), Err(PushError::Full(4)));
    assert_eq!(producer.push_slice(&[4, 5]), 0);
    assert_eq!(consumer.pop(), Some(0));
    assert_eq!(consumer.drain().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        producer.push_slice(&[4, 5, 6, 7]),
        3,
        "one of four waits to be taken"
    );
    assert_eq!(consumer.drain().collect::<Vec<_>>(), [3]);
    assert_eq!(consumer.pop(), Some(4));
    drop(consumer);
    while producer.push(9).is_ok() {}
    assert_eq!(producer.push(9), Err(PushError::Closed(9)));
}

#[test]
fn what_nobody_takes_is_dropped_once() {
    let item = Counted::new(());
    for (pushed, taken) in [(0, 0), (1, 0), (1, 1), (5, 0), (5, 3), (8, 8)] {
        let (mut producer, mut consumer) = ring::<Counted<()>>(8);
        for _ in 0..pushed {
            assert!(producer.push(Counted::clone(&item)).is_ok());
        }
        producer.flush();
        for _ in 0..taken {
            assert!(consumer.pop().is_some());
        }
        drop(producer);
        drop(consumer);
        assert_eq!(
            Counted::strong_count(&item),
            1,
            "{pushed} pushed, {taken} taken"
        );
    }
}

#[test]
fn items_that_are_not_published_are_seen_after_a_while() {
    let (mut producer, mut consumer) = ring::<u64>(1024);
    for n in 0..PUBLISH {
        assert_eq!(producer.push(n), Ok(()));
    }
    let (mut taken, mut looks) = (Vec::new(), 0);
    while !consumer.is_empty() {
        looks += 1;
        taken.extend(consumer.drain());
    }
    assert!(looks <= PATIENCE + 3, "{looks}");
    assert!(taken.iter().copied().eq(0..PUBLISH));
}

#[test]
fn a_consumer_that_keeps_up_is_served_item_by_item() {
    let (mut to, mut there) = ring::<u64>(64);
    for n in 0..1000 {
        assert_eq!(to.push(n), Ok(()));
        assert_eq!(there.pop(), Some(n));
        assert_eq!(there.pop(), None);
    }
    // Also when some of them lie there for a while, and when they are too large for an express line.
    for n in 0..1000 {
        assert_eq!(to.push(n), Ok(()));
        if n % 3 == 0 {
            let mut taken = Vec::new();
            while !there.is_empty() {
                taken.extend(there.drain());
            }
            assert_eq!(taken.last(), Some(&n));
        }
    }
    let (mut to, mut there) = ring::<[u64; 32]>(64);
    for n in 0..1000 {
        assert_eq!(to.push([n; 32]), Ok(()));
        assert_eq!(there.pop(), Some([n; 32]));
        assert_eq!(there.pop(), None);
    }
}
