//! What the pieces of the runtime cost, each by itself: functions that do `n` operations on the real piece and tell the time.
//!
//! They exist with the feature `measure`, for the repository's benchmarks. Two threads, where there are two, are bound to a
//! core each, begin together and never sleep. What is not to be measured lies outside the time.

#![allow(
    clippy::missing_panics_doc,
    reason = "they panic only where a piece breaks its promise, which is what a measurement should do"
)]

mod batches;
mod keys;
mod rings;

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_queue::ArrayQueue;

pub use self::{
    batches::{Hops, Scatter, deque, hops, scatter, steal, steal_nothing},
    keys::{KeyHash, divide_keys, hash_keys},
    rings::{ring_bursts, ring_trips},
};
use pipewright_spec::options::Overflow;

use crate::{
    credit::Credits,
    deadlines::Deadlines,
    diagnose::crosses_threads,
    idle::Idle,
    lane::Lane,
    ring::Ring,
    source::{Ingress, Rules},
    token::Token,
};

/// Batches of the gate's measurements.
const BATCHES: usize = 256;
/// Items that a sender sends before a worker takes them.
const SENT: u64 = 64;

/// One thread takes and gives back a source's token `n` times.
pub fn token(n: u64) -> Duration {
    let token = Token::new(0u64);
    timed(|| {
        for _ in 0..n {
            black_box(token.grab(|taken| *taken += 1));
        }
    })
}

/// Two threads that want nothing else take and give back one token, `n` times each.
pub fn token_of_two(n: u64) -> Duration {
    let token = Token::new(0u64);
    let side = || {
        let mut left = n;
        while left > 0 {
            match token.grab(|taken| *taken += 1) {
                Some(()) => left -= 1,
                None => crate::sync::spin_loop(),
            }
        }
    };
    together(side, side).0
}

/// One thread takes and releases a ticket `n` times.
pub fn ticket(n: u64) -> Duration {
    let credits = Credits::new(8, 1);
    timed(|| {
        for _ in 0..n {
            let ticket = credits.take(0, Lane::NORMAL).expect("all others are free");
            black_box(credits.release(ticket));
        }
    })
}

/// One thread passes a gate with `n` batches, one after the other.
pub fn gate(n: u64) -> Duration {
    let ring = Ring::new(8);
    let mut batch = Some(Box::new(0u64));
    timed(|| {
        for number in 0..n {
            let boxed = batch.take().expect("it came back");
            let mut hold = ring.arrive(number, boxed).expect("nobody else serves");
            batch = hold.take();
            assert!(!ring.advance(&mut hold), "nobody else comes");
        }
    })
}

/// Two threads bring `n` batches each to one gate, and serve what is ready whenever they hold it.
pub fn gate_of_two(n: u64) -> Duration {
    let ring = Ring::new(2 * BATCHES);
    let arrivals = AtomicU64::new(0);
    // Batches that are left for the other thread change sides; this evens them out, many at a time.
    let spare = ArrayQueue::new(2 * BATCHES);
    let side = || {
        let mut own: Vec<Box<u64>> = (0..BATCHES as u64).map(Box::new).collect();
        own.reserve(BATCHES);
        let mut left = n;
        while left > 0 {
            let Some(batch) = own.pop() else {
                own.extend(std::iter::from_fn(|| spare.pop()).take(BATCHES / 4));
                continue;
            };
            left -= 1;
            // AcqRel: as in a link.
            let number = arrivals.fetch_add(1, Ordering::AcqRel);
            let mut hold = ring.arrive(number, batch);
            while let Some(held) = &mut hold {
                own.extend(held.take());
                if !ring.advance(held) {
                    break;
                }
            }
            if own.len() > BATCHES + BATCHES / 2 {
                for batch in own.drain(BATCHES..) {
                    drop(spare.push(batch));
                }
            }
        }
        // The other one may still need them.
        for batch in own {
            drop(spare.push(batch));
        }
    };
    together(side, side).0
}

/// One thread fills a gate's ring, and the other, which holds the gate, takes all batches, until it has taken `n` (rounded up
/// to full rings). The time of the holder only.
pub fn gate_held(n: u64) -> Duration {
    let ring: Ring<u64> = Ring::new(2 * BATCHES);
    let rounds = n.div_ceil(BATCHES as u64);
    let full = AtomicU64::new(0);
    let empty = AtomicU64::new(0);
    let returned = ArrayQueue::new(BATCHES);
    for n in 0..BATCHES as u64 {
        drop(returned.push(Box::new(n)));
    }
    let fill = || {
        for round in 0..rounds {
            wait_for(&empty, round);
            // The first of a round, which the holder brings, becomes the hold.
            for i in 1..BATCHES as u64 {
                let batch = returned.pop().expect("the holder returned it");
                assert!(ring.arrive(round * BATCHES as u64 + i, batch).is_none());
            }
            full.store(round + 1, Ordering::Release);
        }
    };
    let hold = || {
        let mut taken = Vec::with_capacity(BATCHES);
        let mut time = Duration::ZERO;
        for round in 0..rounds {
            wait_for(&full, round + 1);
            let first = returned.pop().expect("one is left for the holder");
            time += timed(|| {
                let mut hold = ring
                    .arrive(round * BATCHES as u64, first)
                    .expect("nobody else serves");
                taken.extend(hold.take());
                while ring.advance(&mut hold) {
                    taken.extend(hold.take());
                }
            });
            assert_eq!(taken.len(), BATCHES);
            for batch in taken.drain(..) {
                drop(returned.push(batch));
            }
            empty.store(round + 1, Ordering::Release);
        }
        time
    };
    let (_, (), time) = together_with(fill, hold);
    time.mul_f64(n as f64 / (rounds * BATCHES as u64) as f64)
}

/// One thread sends `n` items one by one to an input; adds the time of each, in nanoseconds with the clock, to `each`.
pub fn sends(n: u64, each: &mut Vec<u64>) {
    let input = Ingress::new(4096, RULES, crosses_threads::<u64>());
    attach(&input);
    let mut taken = Vec::with_capacity(SENT as usize);
    for item in 0..n {
        let time = timed(|| input.send(Lane::NORMAL, item, None).expect("there is room"));
        each.push(time.as_nanos() as u64);
        if (item + 1).is_multiple_of(SENT) {
            taken.clear();
            input.take_all(Lane::NORMAL, &mut taken);
        }
    }
}

/// Time to send `n` items in batches of 64, and to take them, all that are there at once.
pub fn send_batches(n: u64) -> [Duration; 2] {
    const AT_ONCE: u64 = 16;
    let input = Ingress::new(64 * 1024, RULES, crosses_threads::<u64>());
    attach(&input);
    let mut batches: Vec<Vec<u64>> = (0..AT_ONCE)
        .map(|_| Vec::with_capacity(SENT as usize))
        .collect();
    let mut taken = Vec::with_capacity((AT_ONCE * SENT) as usize);
    let mut times = [Duration::ZERO; 2];
    for _ in 0..n.div_ceil(AT_ONCE * SENT) {
        batches.iter_mut().for_each(|batch| batch.extend(0..SENT));
        times[0] += timed(|| {
            for batch in &mut batches {
                input.send_batch(Lane::NORMAL, batch).expect("it is open");
            }
        });
        taken.clear();
        times[1] += timed(|| black_box(input.take_all(Lane::NORMAL, &mut taken)));
        assert_eq!(taken.len() as u64, AT_ONCE * SENT);
    }
    let done = n.div_ceil(AT_ONCE * SENT) * AT_ONCE * SENT;
    times.map(|time| time.mul_f64(n as f64 / done as f64))
}

/// One thread makes something known `n` times while nobody sleeps.
pub fn wake_nobody(n: u64) -> Duration {
    let idle = Idle::new(2);
    timed(|| (0..n).for_each(|_| idle.wake_one()))
}

/// The time of each of `n` calls that wake a sleeping worker, in nanoseconds with the clock. The sleeper gets `pause` to
/// fall asleep.
pub fn wakes(n: u64, pause: Duration) -> Vec<u64> {
    let idle = Idle::new(1);
    let round = AtomicU64::new(0);
    let sleeper = || {
        idle.enlist(0, thread::current());
        for wanted in 1..=n {
            while round.load(Ordering::Acquire) < wanted {
                idle.park(0, None, || round.load(Ordering::Acquire) >= wanted);
            }
        }
    };
    let waker = || {
        let wake = |wanted| {
            thread::sleep(pause);
            round.store(wanted, Ordering::Release);
            timed(|| idle.wake_one()).as_nanos() as u64
        };
        (1..=n).map(wake).collect()
    };
    together_with(sleeper, waker).2
}

fn timed<R>(work: impl FnOnce() -> R) -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

fn wait_for(word: &AtomicU64, value: u64) {
    while word.load(Ordering::Acquire) < value {
        crate::sync::spin_loop();
    }
}

/// Two threads on a core each; the time from their common start until both are done.
fn together(first: impl FnOnce() + Send, second: impl FnOnce() + Send) -> (Duration, (), ()) {
    together_with(first, second)
}

fn together_with<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (Duration, A, B) {
    // Sleeping here would let the first one finish before the second one is awake.
    let here = AtomicU64::new(0);
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let sit = |n: usize| {
        // Where it cannot be bound it runs where the system puts it.
        let _ = cores
            .get(n)
            .is_some_and(|core| crate::machine::bind(core.id as u32));
        here.fetch_add(1, Ordering::AcqRel);
        while here.load(Ordering::Acquire) < 2 {
            thread::yield_now();
        }
        Instant::now()
    };
    let side = |n: usize| {
        let sit = &sit;
        move || sit(n)
    };
    thread::scope(|scope| {
        let (sit_first, sit_second) = (side(0), side(1));
        let first = scope.spawn(move || {
            let begun = sit_first();
            let made = first();
            (begun, Instant::now(), made)
        });
        let second = scope.spawn(move || {
            let begun = sit_second();
            let made = second();
            (begun, Instant::now(), made)
        });
        let (begun, ended, one) = first.join().expect("a measurement does not panic");
        let (also_begun, also_ended, other) = second.join().expect("a measurement does not panic");
        (ended.max(also_ended) - begun.min(also_begun), one, other)
    })
}

/// Who sends waits.
const RULES: Rules<u64> = Rules {
    overflow: Overflow::Block,
    shed: None,
};

/// Two workers sleep behind it.
fn attach(input: &Ingress<u64>) {
    let deadlines = Arc::new(Deadlines::new(Instant::now()));
    input.attach(&Arc::new(Idle::new(2)), &deadlines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_does_what_it_is_asked_to_do() {
        let took = [
            token(10),
            token_of_two(1000),
            ticket(10),
            gate(1000),
            gate_of_two(2000),
            gate_held(1000),
            wake_nobody(10),
            deque(10),
            steal(1000),
            steal_nothing(10),
            ring_trips(100),
            ring_bursts::<10>(1005),
        ];
        assert!(took.iter().all(|time| *time > Duration::ZERO), "{took:?}");
        let mut each = Vec::new();
        sends(1000, &mut each);
        assert_eq!(each.len(), 1000);
        assert_eq!(wakes(3, Duration::ZERO).len(), 3);
        assert!(
            send_batches(1_000)
                .iter()
                .all(|time| *time > Duration::ZERO)
        );
        assert!(hops(100, 2048).reading > Duration::ZERO);
        let scattered = scatter(&[1, 2, 3, 4], 2, 1);
        assert_eq!(scattered.items, 4);
        assert!(scattered.parts >= 2, "{scattered:?}");
    }
}
