//! loom models of the ring: items that own memory go through it one by one and in slices, while it wraps, is full, starves,
//! and is dropped. loom reports a slot that both ends touch, an item that is leaked, and one that is dropped twice.

use loom::thread;

use super::*;
use crate::loom_models::check;

/// Takes until `items` have come, by `pop` and `drain` in turn.
fn take_all(mut consumer: Consumer<Box<u64>>, items: u64) {
    let mut next = 0;
    while next < items {
        let before = next;
        if let Some(item) = consumer.pop() {
            assert_eq!(*item, next);
            next += 1;
        }
        for item in consumer.drain() {
            assert_eq!(*item, next);
            next += 1;
        }
        if next == before {
            thread::yield_now();
        }
    }
}

fn push_all(producer: &mut Producer<Box<u64>>, items: u64) {
    for n in 0..items {
        let mut item = Box::new(n);
        while let Err(full) = producer.push(item) {
            item = full.into_inner();
            thread::yield_now();
        }
    }
}

#[test]
fn loom_ring_of_two_hands_items_over_once_and_in_order() {
    check(2, || {
        let (mut producer, consumer) = ring::<Box<u64>>(2);
        let taker = thread::spawn(move || take_all(consumer, 3));
        push_all(&mut producer, 3);
        drop(producer);
        taker.join().unwrap();
    });
}

#[test]
fn loom_ring_with_room_uses_its_express_lines_again() {
    check(2, || {
        let (mut producer, consumer) = ring::<Box<u64>>(8);
        let taker = thread::spawn(move || take_all(consumer, 4));
        push_all(&mut producer, 4);
        drop(producer);
        taker.join().unwrap();
    });
}

#[test]
fn loom_items_that_are_not_published_are_found() {
    check(3, || {
        let (mut producer, consumer) = ring::<Box<u64>>(4);
        let taker = thread::spawn(move || take_all(consumer, 3));
        push_all(&mut producer, 3);
        // It publishes nothing more before the other end is done.
        taker.join().unwrap();
        assert!(producer.is_closed());
    });
}

#[test]
fn loom_ring_that_is_dropped_drops_what_nobody_took() {
    check(3, || {
        let (mut producer, mut consumer) = ring::<Box<u64>>(4);
        let taker = thread::spawn(move || {
            let first = consumer.pop();
            assert!(first.is_none_or(|item| *item == 0));
            // An iterator that is dropped unused leaves everything where it is.
            drop(consumer.drain());
        });
        push_all(&mut producer, 3);
        drop(producer);
        taker.join().unwrap();
    });
}

#[test]
fn loom_slices_wrap() {
    check(3, || {
        let (mut producer, mut consumer) = ring::<u64>(2);
        let taker = thread::spawn(move || {
            let mut next = 0;
            while next < 4 {
                let before = next;
                for n in consumer.drain() {
                    assert_eq!(n, next);
                    next += 1;
                }
                if next == before {
                    thread::yield_now();
                }
            }
        });
        let all = [0, 1, 2, 3];
        let mut left = &all[..];
        while !left.is_empty() {
            let pushed = producer.push_slice(left);
            left = &left[pushed..];
            if pushed == 0 {
                thread::yield_now();
            }
        }
        taker.join().unwrap();
    });
}
