//! What the ring between two threads costs, by itself.

use std::time::Duration;

use super::{timed, together, together_with};
use crate::spsc::{self, Consumer};

/// Items that a ring holds.
const ROOM: usize = 1024;

/// One item goes from one thread to another and back, `n` times, by a ring each way; both look all the time. The time of the
/// first thread.
pub fn ring_trips(n: u64) -> Duration {
    let (mut there, mut coming) = spsc::ring(ROOM);
    let (mut back, mut returning) = spsc::ring(ROOM);
    let first = move || {
        timed(|| {
            for number in 0..n {
                there.push(number).expect("one is on its way");
                assert_eq!(popped(&mut returning), number);
            }
        })
    };
    let second = move || {
        for _ in 0..n {
            let number = popped(&mut coming);
            back.push(number).expect("one is on its way");
        }
    };
    together_with(first, second).1
}

/// One thread pushes `n` numbers, so many at once, and another one takes them; the time until the last was taken.
pub fn ring_bursts<const BURST: usize>(n: u64) -> Duration {
    let (mut producer, mut consumer) = spsc::ring(ROOM);
    let push = move || {
        let mut burst = [0; BURST];
        for begin in (0..n).step_by(BURST) {
            let numbers = begin..n.min(begin + BURST as u64);
            let many = numbers.clone().count();
            burst
                .iter_mut()
                .zip(numbers)
                .for_each(|(place, number)| *place = number);
            let mut pushed = 0;
            while pushed < many {
                pushed += producer.push_slice(&burst[pushed..many]);
            }
        }
    };
    let take = move || {
        let (mut sum, mut seen) = (0, 0);
        while seen < n {
            for number in consumer.drain() {
                sum += number;
                seen += 1;
            }
        }
        assert_eq!(sum, n * (n - 1) / 2);
    };
    together(push, take).0
}

/// Looks until there is an item.
fn popped(consumer: &mut Consumer<u64>) -> u64 {
    loop {
        match consumer.pop() {
            Some(number) => return number,
            None => crate::sync::spin_loop(),
        }
    }
}
