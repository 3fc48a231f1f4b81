//! Prints the speed of pinned stages and of the ring between them: `cargo run --release -p pipewright-benches --bin pinned`.
//!
//! Every contender uses two threads, on cores 0 and 1. Exits with 1 if a bar is missed.

#![forbid(unsafe_code)]

use std::{
    hint::{black_box, spin_loop},
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use core_affinity::CoreId;
use crossbeam_utils::CachePadded;
use pipewright::spsc;
use pipewright_benches::{
    linear::{Sum, by_hand, parts, run_pinned},
    paired::{Contender, Outcome, compare},
};

/// Speed of pinned stages and of the ring between them, in paired runs.
#[derive(Parser)]
struct Args {
    /// Rounds that are counted; each runs every contender once.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Millions of items of each run.
    #[arg(long, default_value_t = 20)]
    millions: u64,
    /// Thousands of round trips of each run.
    #[arg(long, default_value_t = 200)]
    thousands: usize,
}

/// Items that a ring holds.
const ROOM: usize = 1024;

fn main() -> ExitCode {
    let args = Args::parse();
    let items = black_box(args.millions * 1_000_000);
    let (rounds, trips) = (args.rounds, args.thousands * 1000);
    println!(
        "{} M items from core 0 to core 1, {rounds} rounds; median ratio [least - greatest]",
        args.millions
    );
    let mut met = show(&hops(rounds, items));
    println!(
        "linear pipeline, {} M items: source, mix and filter on core 0, record and fold on core 1",
        args.millions
    );
    met &= show(&pipelines(rounds, items));
    println!("round trip of one item, core 0 to core 1 and back, {trips} trips; p50 of the rounds");
    met &= latency(rounds, trips);
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn show(outcomes: &[Outcome]) -> bool {
    for outcome in outcomes {
        println!("  {outcome}");
    }
    outcomes.iter().all(Outcome::is_met)
}

/// Runs one closure on core 0 and one on core 1.
fn on_two<R: Send>(first: impl FnOnce() + Send, second: impl FnOnce() -> R + Send) -> R {
    let pin = |id| core_affinity::set_for_current(CoreId { id });
    thread::scope(|scope| {
        scope.spawn(move || {
            pin(0);
            first();
        });
        let second = scope.spawn(move || {
            pin(1);
            second()
        });
        second.join().expect("a contender does not panic")
    })
}

/// What is taken out of every ring is added up like this, so that no contender may leave items out.
fn add(sum: u64, n: u64) -> u64 {
    sum.wrapping_mul(3).wrapping_add(n)
}

fn hops(rounds: usize, items: u64) -> Vec<Outcome> {
    let expect = (0..items).fold(0, add);
    let check = move |sum| assert_eq!(sum, expect);
    compare(
        rounds,
        Contender::new("raw ring, index every 512", || check(raw(items))),
        vec![
            Contender::new("pipewright, slices of 64", || check(slices(items, 64))).bar(0.95),
            Contender::new("pipewright, slices of 512", || check(slices(items, 512))),
            Contender::new("pipewright, item by item", || check(one_by_one(items))).bar(0.45),
            Contender::new("rtrb, chunks", || check(rtrb_chunks(items))),
            Contender::new("rtrb, item by item", || check(rtrb_items(items))),
            Contender::new("crossbeam-channel, Vec of 64", || check(channel(items))),
        ],
    )
}

/// The ring that bounds what any ring can do: numbers, and an index that is published every 512.
fn raw(items: u64) -> u64 {
    const EVERY: u64 = 512;
    struct Raw {
        head: CachePadded<AtomicU64>,
        tail: CachePadded<AtomicU64>,
        slots: [AtomicU64; ROOM],
    }
    let ring = Raw {
        head: CachePadded::default(),
        tail: CachePadded::default(),
        slots: [const { AtomicU64::new(0) }; ROOM],
    };
    let slot = |p: u64| &ring.slots[p as usize % ROOM];
    on_two(
        || {
            for begin in (0..items).step_by(EVERY as usize) {
                let end = (begin + EVERY).min(items);
                while end - ring.head.load(Ordering::Acquire) > ROOM as u64 {
                    spin_loop();
                }
                for n in begin..end {
                    slot(n).store(n, Ordering::Relaxed);
                }
                ring.tail.store(end, Ordering::Release);
            }
        },
        || {
            let (mut sum, mut at) = (0, 0);
            while at < items {
                let tail = ring.tail.load(Ordering::Acquire);
                if tail == at {
                    spin_loop();
                }
                for n in at..tail {
                    sum = add(sum, slot(n).load(Ordering::Relaxed));
                }
                at = tail;
                ring.head.store(at, Ordering::Release);
            }
            sum
        },
    )
}

/// Takes everything from a ring.
fn drained(mut consumer: spsc::Consumer<u64>, items: u64) -> u64 {
    let mut sum = 0;
    while consumer.taken() < items {
        let drain = consumer.drain();
        if drain.len() == 0 {
            spin_loop();
        }
        sum = drain.fold(sum, add);
    }
    sum
}

fn slices(items: u64, slice: u64) -> u64 {
    let (mut producer, consumer) = spsc::ring(ROOM);
    let push = move || {
        let mut buffer = [0; 512];
        for begin in (0..items).step_by(slice as usize) {
            let end = (begin + slice).min(items);
            let buffer = &mut buffer[..(end - begin) as usize];
            for (place, n) in buffer.iter_mut().zip(begin..end) {
                *place = n;
            }
            let mut left = &buffer[..];
            while !left.is_empty() {
                let pushed = producer.push_slice(left);
                left = &left[pushed..];
                if pushed == 0 {
                    spin_loop();
                }
            }
        }
    };
    on_two(push, move || drained(consumer, items))
}

fn one_by_one(items: u64) -> u64 {
    let (mut producer, consumer) = spsc::ring(ROOM);
    let push = move || {
        for n in 0..items {
            while producer.push(n).is_err() {
                spin_loop();
            }
        }
    };
    on_two(push, move || drained(consumer, items))
}

fn rtrb_chunks(items: u64) -> u64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(ROOM);
    let push = move || {
        let mut next = 0;
        while next < items {
            let room = producer.slots().min((items - next) as usize);
            if room < 64.min((items - next) as usize) {
                spin_loop();
                continue;
            }
            let chunk = producer.write_chunk_uninit(room).expect("there is room");
            next += chunk.fill_from_iter(next..) as u64;
        }
    };
    on_two(push, move || {
        let (mut sum, mut taken) = (0, 0);
        while taken < items {
            let there = consumer.slots();
            if there == 0 {
                spin_loop();
                continue;
            }
            let chunk = consumer.read_chunk(there).expect("they are there");
            taken += there as u64;
            sum = chunk.into_iter().fold(sum, add);
        }
        sum
    })
}

fn rtrb_items(items: u64) -> u64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(ROOM);
    let push = move || {
        for n in 0..items {
            while producer.push(n).is_err() {
                spin_loop();
            }
        }
    };
    on_two(push, move || {
        let (mut sum, mut taken) = (0, 0);
        while taken < items {
            match consumer.pop() {
                Ok(n) => {
                    sum = add(sum, n);
                    taken += 1;
                }
                Err(_) => spin_loop(),
            }
        }
        sum
    })
}

fn channel(items: u64) -> u64 {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<u64>>(ROOM / 64);
    let push = move || {
        for begin in (0..items).step_by(64) {
            let batch = (begin..(begin + 64).min(items)).collect();
            sender.send(batch).expect("the other end takes all");
        }
    };
    on_two(push, move || receiver.iter().flatten().fold(0, add))
}

fn pipelines(rounds: usize, items: u64) -> Vec<Outcome> {
    let expect = by_hand(0..items);
    let check = move |sum: Sum| assert_eq!(sum, expect);
    compare(
        rounds,
        Contender::new("rtrb chunks by hand", || check(rtrb_pipeline(items))),
        vec![
            Contender::new("pipewright, two pinned stages", || check(run_pinned(items))).bar(0.95),
            Contender::new("crossbeam-channel, Vec of 256", || {
                check(channel_pipeline(items))
            }),
        ],
    )
}

fn rtrb_pipeline(items: u64) -> Sum {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(ROOM);
    let first = move || {
        let mut kept = (0..items).map(parts::mix).filter(parts::keep).peekable();
        while kept.peek().is_some() {
            let room = producer.slots();
            if room == 0 {
                spin_loop();
                continue;
            }
            let chunk = producer
                .write_chunk_uninit(room.min(256))
                .expect("there is room");
            chunk.fill_from_iter(&mut kept);
        }
    };
    on_two(first, move || {
        let mut sum = Sum::default();
        loop {
            // Asked before the ring: what was pushed before the other end went away is taken.
            let ended = consumer.is_abandoned();
            let there = consumer.slots();
            if there == 0 {
                if ended {
                    return sum;
                }
                spin_loop();
                continue;
            }
            let chunk = consumer.read_chunk(there).expect("they are there");
            for n in chunk {
                parts::fold(parts::record(n), &mut sum);
            }
        }
    })
}

fn channel_pipeline(items: u64) -> Sum {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<u64>>(16);
    let first = move || {
        let mut batch = Vec::with_capacity(256);
        for n in (0..items).map(parts::mix).filter(parts::keep) {
            batch.push(n);
            if batch.len() == 256 {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(256));
                sender.send(full).expect("the other end takes all");
            }
        }
        sender.send(batch).expect("the other end takes all");
    };
    on_two(first, move || {
        let mut sum = Sum::default();
        for n in receiver.iter().flatten() {
            parts::fold(parts::record(n), &mut sum);
        }
        sum
    })
}

/// Median time of a round trip, by two functions that hand a number over there and back again.
fn median_trip(
    trips: usize,
    mut there: impl FnMut(u64) + Send,
    mut back: impl FnMut() -> u64 + Send,
    mut answer: impl FnMut() + Send,
) -> Duration {
    let ended = AtomicBool::new(false);
    on_two(
        || {
            while !ended.load(Ordering::Relaxed) {
                answer();
            }
        },
        || {
            let mut times: Vec<Duration> = (0..trips as u64)
                .map(|n| {
                    let begun = Instant::now();
                    there(n);
                    assert_eq!(back(), n);
                    begun.elapsed()
                })
                .collect();
            ended.store(true, Ordering::Relaxed);
            times.sort_unstable();
            times[times.len() / 2]
        },
    )
}

fn atomics(trips: usize) -> Duration {
    let (there, back) = (
        CachePadded::new(AtomicU64::new(0)),
        CachePadded::new(AtomicU64::new(0)),
    );
    let mut last = 0;
    median_trip(
        trips,
        |n| there.store(n + 1, Ordering::Release),
        {
            let (back, mut seen) = (&back, 0);
            move || {
                loop {
                    let found = back.load(Ordering::Acquire);
                    if found != seen {
                        seen = found;
                        return found - 1;
                    }
                    spin_loop();
                }
            }
        },
        || {
            let found = there.load(Ordering::Acquire);
            if found == last {
                return spin_loop();
            }
            last = found;
            back.store(found, Ordering::Release);
        },
    )
}

fn rings(trips: usize) -> Duration {
    let (mut there, mut at_other) = spsc::ring::<u64>(ROOM);
    let (mut from_other, mut back) = spsc::ring::<u64>(ROOM);
    median_trip(
        trips,
        move |n| there.push(n).expect("the ring has room"),
        move || {
            loop {
                match back.pop() {
                    Some(n) => return n,
                    None => spin_loop(),
                }
            }
        },
        move || match at_other.pop() {
            Some(n) => from_other.push(n).expect("the ring has room"),
            None => spin_loop(),
        },
    )
}

fn rtrbs(trips: usize) -> Duration {
    let (mut there, mut at_other) = rtrb::RingBuffer::<u64>::new(ROOM);
    let (mut from_other, mut back) = rtrb::RingBuffer::<u64>::new(ROOM);
    median_trip(
        trips,
        move |n| there.push(n).expect("the ring has room"),
        move || {
            loop {
                match back.pop() {
                    Ok(n) => return n,
                    Err(_) => spin_loop(),
                }
            }
        },
        move || match at_other.pop() {
            Ok(n) => from_other.push(n).expect("the ring has room"),
            Err(_) => spin_loop(),
        },
    )
}

/// Prints the medians of the rounds and their ratios; true if the ring's is within its bar.
fn latency(rounds: usize, trips: usize) -> bool {
    const BAR: f64 = 1.15;
    let mut all: [Vec<Duration>; 3] = Default::default();
    for round in 0..=rounds {
        let times = [atomics(trips), rings(trips), rtrbs(trips)];
        if round > 0 {
            all.iter_mut()
                .zip(times)
                .for_each(|(all, time)| all.push(time));
        }
    }
    let base = all[0].clone();
    let mut met = true;
    for (name, times) in ["two atomics", "pipewright", "rtrb"].into_iter().zip(&all) {
        let mut ratios: Vec<f64> = times
            .iter()
            .zip(&base)
            .map(|(time, base)| time.as_secs_f64() / base.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        let mut times = times.clone();
        times.sort_unstable();
        let middle = times.len() / 2;
        let [ratio, least, most] = [ratios[middle], ratios[0], ratios[ratios.len() - 1]];
        print!(
            "  {name:<34} {:>9} ns   {ratio:>5.3}x [{least:.3} - {most:.3}]",
            times[middle].as_nanos()
        );
        match (name, ratio <= BAR) {
            ("pipewright", true) => println!("   bar {BAR:.2}x met"),
            ("pipewright", false) => {
                met = false;
                println!("   bar {BAR:.2}x MISSED");
            }
            _ => println!(),
        }
    }
    met
}
