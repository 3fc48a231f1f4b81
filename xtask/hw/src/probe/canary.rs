//! A fixed piece of work that shows whether the machine is as it was: the canary.
//!
//! A round is the same work each time, about 50 ms of it: that of `bench`, which one thread does, and with two cpus a word that goes back
//! and forth between them, and two threads that wake each other. Whoever compares measurements runs it before and after each of
//! them: if it changed, the machine did.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use pipewright_bench::canary::Work;
use rustix::{thread::futex, time::Timespec};

use super::seat;

const TRIPS: u32 = 20_000;
const WAKES: u32 = 400;

/// The work, and where it is done.
#[derive(Clone, Debug)]
pub struct Canary {
    cpu: u32,
    other: Option<u32>,
    work: Work,
}

impl Canary {
    /// On the first of these cpus, and on the second one if there is one.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn on(cpus: &[u32]) -> Result<Canary, String> {
        let cpu = *cpus.first().ok_or("there is no cpu")?;
        Ok(Canary {
            cpu,
            other: cpus.get(1).copied(),
            work: Work::default(),
        })
    }

    /// How long a round took.
    ///
    /// # Errors
    ///
    /// If a thread cannot be pinned any more.
    pub fn run(&self) -> Result<Duration, String> {
        let alone = || self.work.round(1.0);
        let Some(other) = self.other else {
            return seat::on(self.cpu, alone);
        };
        let word = CachePadded::new(AtomicU32::new(0));
        let bells = [AtomicU32::new(0), AtomicU32::new(0)];
        let first = || {
            let took = alone();
            let began = Instant::now();
            trips(&word, 0)?;
            wakes(&bells[0], &bells[1], true)?;
            Some(took + began.elapsed())
        };
        let second = || {
            trips(&word, 1)?;
            wakes(&bells[1], &bells[0], false)
        };
        let (took, _) = seat::pair((self.cpu, other), first, second)?;
        took.ok_or_else(|| "the other thread did not answer".to_owned())
    }
}

/// Changes the word each time that it is this side's turn.
fn trips(word: &AtomicU32, side: u32) -> Option<()> {
    for trip in 0..TRIPS {
        let (mine, next) = (2 * trip + side, 2 * trip + side + 1);
        // Relaxed: nothing but the word itself is handed over.
        seat::spin(|| {
            word.compare_exchange_weak(mine, next, Ordering::Relaxed, Ordering::Relaxed)
                .ok()
        })?;
    }
    Some(())
}

fn wakes(own: &AtomicU32, other: &AtomicU32, begins: bool) -> Option<()> {
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let ring = |round: u32| {
        other.store(round, Ordering::Release);
        // Fails only for addresses that are none.
        let _ = futex::wake(other, futex::Flags::PRIVATE, 1);
    };
    let wait = |round: u32| {
        for _ in 0..10 {
            if own.load(Ordering::Acquire) >= round {
                return Some(());
            }
            // Whatever it returns for, it is looked again.
            let _ = futex::wait(own, futex::Flags::PRIVATE, round - 1, Some(&second));
        }
        None
    };
    for round in 1..=WAKES {
        if begins {
            ring(round);
            wait(round)?;
        } else {
            wait(round)?;
            ring(round);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_finish_the_work_that_they_do_together() {
        let word = AtomicU32::new(0);
        let bells = [AtomicU32::new(0), AtomicU32::new(0)];
        let sides = std::thread::scope(|scope| {
            let one =
                scope.spawn(|| trips(&word, 0).and_then(|()| wakes(&bells[0], &bells[1], true)));
            let other = trips(&word, 1).and_then(|()| wakes(&bells[1], &bells[0], false));
            (one.join().expect("no panic"), other)
        });
        assert_eq!(sides, (Some(()), Some(())));
        assert_eq!(word.into_inner(), 2 * TRIPS);
    }

    #[test]
    fn without_a_cpu_there_is_no_canary() {
        assert_eq!(
            Canary::on(&[]).map(|_| ()),
            Err("there is no cpu".to_owned())
        );
    }
}
