//! pipewright's ring between two threads, one each way.

use std::hint::spin_loop;

use pipewright::spsc::{self, Consumer};

use super::round_trips;
use crate::harness::{Contender, threads::on_two_cores};

/// Items that a ring holds.
const CAPACITY: usize = 1024;

/// Spins until there is a number; `None` once the other side is gone and nothing is left.
fn popped(consumer: &mut Consumer<u64>) -> Option<u64> {
    loop {
        let last = consumer.is_closed();
        match consumer.pop() {
            Some(number) => return Some(number),
            None if last => return None,
            None => spin_loop(),
        }
    }
}

/// Measures `count` round trips.
pub(super) fn contenders(count: u64) -> Vec<Contender> {
    vec![Contender::ours(
        "pipewright rings, there and back",
        move || {
            let (mut ping, mut pinged) = spsc::ring(CAPACITY);
            let (mut pong, mut ponged) = spsc::ring(CAPACITY);
            let here = move || {
                let result = round_trips(count, |number| {
                    ping.push(number).expect("one number is on its way");
                    popped(&mut ponged).unwrap_or_default()
                });
                drop(ping);
                result
            };
            let there = move || {
                while let Some(number) = popped(&mut pinged) {
                    pong.push(number).expect("one number is on its way");
                }
            };
            on_two_cores(here, there).0
        },
    )]
}
