//! A2. By how much the counters of cpus differ.
//!
//! Two pinned threads send each other stamps of their counters over a line of memory each: what a stamp is old on arrival is the
//! way plus the difference of the counters, and the other way round minus it. The shortest ways are alike, so the difference is
//! `(least there - least back) / 2`, as in Cristian's algorithm and NTP. Against the first cpu, because differences add up.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;

use super::{Context, Why};
use crate::probe::{
    clock::Ticks,
    result::{Measurement, Rating, Unit},
    seat,
};

/// Differences that do not matter, and from which on stamps of two cpus say nothing, in nanoseconds.
const SMALL: f64 = 50.0;
const LARGE: f64 = 1_000.0;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    context.pairs()?;
    let first = context.first()?;
    let others = &context.cpus[1..];
    let each = about / others.len() as u32;
    let mut worst: f64 = 0.0;
    for cpu in others {
        let skew = between(&context.ticks, (first, *cpu), each)?;
        worst = worst.max(skew.abs());
        out.row(
            format!("cpu {cpu} against {first}"),
            Unit::Nanoseconds,
            [skew],
        );
    }
    out.rating = match worst {
        ns if ns <= SMALL => Rating::Pass,
        ns if ns <= LARGE => Rating::Info,
        _ => Rating::Warn,
    };
    if out.rating == Rating::Warn {
        out.note(
            "stamps of different cpus cannot be compared here: take `CLOCK_MONOTONIC` for them",
        );
    }
    Ok(())
}

/// How far the counter of the second cpu is ahead of that of the first, in nanoseconds.
fn between(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<f64, Why> {
    const OVER: u64 = u64::MAX;
    /// Rounds without which the shortest way may not be among them, when other threads want the cpus.
    const ENOUGH: u32 = 5_000;
    let there = CachePadded::new(AtomicU64::new(0));
    let back = CachePadded::new(AtomicU64::new(0));
    let ask = || {
        let (began, mut least, mut seen, mut rounds) = (Instant::now(), f64::INFINITY, 0, 0);
        while began.elapsed() < about || (rounds < ENOUGH && began.elapsed() < 10 * about) {
            rounds += 1;
            // Release and acquire, so that nothing of a round is read before it.
            there.store(ticks.now(), Ordering::Release);
            let stamp =
                seat::spin(|| Some(back.load(Ordering::Acquire)).filter(|stamp| *stamp != seen))?;
            least = least.min(ticks.between(stamp, ticks.now()));
            seen = stamp;
        }
        there.store(OVER, Ordering::Release);
        Some(least)
    };
    let answer = || {
        let (mut least, mut seen) = (f64::INFINITY, 0);
        loop {
            let stamp =
                seat::spin(|| Some(there.load(Ordering::Acquire)).filter(|stamp| *stamp != seen))?;
            if stamp == OVER {
                return Some(least);
            }
            let now = ticks.now();
            least = least.min(ticks.between(stamp, now));
            seen = stamp;
            back.store(ticks.now(), Ordering::Release);
        }
    };
    let (back, there) = seat::pair(cpus, ask, answer)?;
    let gone = || "the other thread did not answer".to_owned();
    Ok((there.ok_or_else(gone)? - back.ok_or_else(gone)?) / 2.0)
}
