//! A5. From waking a thread until it runs, one way.
//!
//! Two threads wake each other in turn and sleep between: half a round. By a futex, by std's park and by an eventfd; between
//! cpus that are as near and as far as there are, and on one cpu. After a millisecond of sleep it takes longer, because cpus
//! sleep deeper: there the waker's stamp is compared with the counter on arrival, which A2 says how far to trust.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use pipewright::machine::Machine;
use rustix::{
    event::{EventfdFlags, eventfd},
    thread::futex,
    time::Timespec,
};

use super::{Context, Why};
use crate::probe::{
    clock::Ticks,
    result::{Measurement, Unit},
    seat,
};

const IDLE: Duration = Duration::from_millis(1);

/// Samples of one way of waking between two cpus.
type Way = fn(&Ticks, (u32, u32), Duration) -> Result<Vec<f64>, Why>;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let pairs = kinds(&context.machine, &context.cpus);
    let ways: [(&str, Way); 4] = [
        ("futex", futexes),
        ("park", parks),
        ("eventfd", events),
        ("park, after 1 ms of sleep", rested),
    ];
    // What is rested takes a millisecond for a sample, so it gets half of the time.
    let parts = [1u32, 1, 1, 3];
    let part = about / (6 * pairs.len().max(1) as u32);
    for ((way, run), parts) in ways.iter().zip(parts) {
        for (kind, cpus) in &pairs {
            out.row(
                format!("{way}, {kind}"),
                Unit::Nanoseconds,
                run(&context.ticks, *cpus, part * parts)?,
            );
        }
    }
    Ok(())
}

/// A pair of cpus of each kind that there is: how near they are, as the kernel tells it.
fn kinds(machine: &Machine, cpus: &[u32]) -> Vec<(&'static str, (u32, u32))> {
    let Some(first) = cpus.first().and_then(|cpu| machine.cpu(*cpu)) else {
        return Vec::new();
    };
    let mut kinds = vec![("one cpu", (first.id, first.id))];
    for other in cpus[1..].iter().filter_map(|cpu| machine.cpu(*cpu)) {
        let kind = match () {
            () if other.core == first.core => "one core",
            () if other.l3 == first.l3 => "one cache",
            () if other.node == first.node => "one memory node",
            () => "two memory nodes",
        };
        if kinds.iter().all(|(known, _)| *known != kind) {
            kinds.push((kind, (first.id, other.id)));
        }
    }
    kinds
}

const OVER: u32 = u32::MAX;

/// A word on which one thread sleeps until it changes.
struct Bell(AtomicU32);

impl Bell {
    fn ring(&self, value: u32) {
        // Released with what was written before; the kernel's lock of the futex orders it before the wake.
        self.0.store(value, Ordering::Release);
        // Fails only for addresses that are none.
        let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
    }

    /// The value after the one that was seen, or nothing if the other thread is gone.
    fn wait(&self, seen: u32) -> Option<u32> {
        let second = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        for _ in 0..10 {
            let now = self.0.load(Ordering::Acquire);
            if now != seen {
                return Some(now);
            }
            // It returns when it is woken, when the value changed before, by a signal, and in time: each time it is looked again.
            let _ = futex::wait(&self.0, futex::Flags::PRIVATE, seen, Some(&second));
        }
        Some(self.0.load(Ordering::Acquire)).filter(|now| *now != seen)
    }
}

fn gone() -> Why {
    "the other thread did not answer".to_owned()
}

fn futexes(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<Vec<f64>, Why> {
    let (there, back) = (Bell(AtomicU32::new(0)), Bell(AtomicU32::new(0)));
    let ask = || {
        let mut round = 0;
        let samples = rounds(ticks, about, || {
            round += 1;
            there.ring(round);
            back.wait(round - 1)
        });
        there.ring(OVER);
        samples
    };
    let answer = || {
        let mut seen = 0;
        while let Some(value) = there.wait(seen).filter(|value| *value != OVER) {
            back.ring(value);
            seen = value;
        }
    };
    seat::pair(cpus, ask, answer)?.0.ok_or_else(gone)
}

/// Halves of rounds, until the time is over.
fn rounds<T>(
    ticks: &Ticks,
    about: Duration,
    mut round: impl FnMut() -> Option<T>,
) -> Option<Vec<f64>> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < 20 || began.elapsed() < about {
        let from = ticks.now();
        round()?;
        samples.push(ticks.since(from) / 2.0);
    }
    samples.drain(..samples.len() / 10);
    Some(samples)
}

/// A thread that others can unpark, and a number that says why.
#[derive(Default)]
struct Parked {
    thread: OnceLock<Thread>,
    value: AtomicU64,
}

impl Parked {
    fn enter(&self) {
        self.thread.get_or_init(thread::current);
    }

    fn wake(&self, value: u64) -> Option<()> {
        self.value.store(value, Ordering::Release);
        seat::spin(|| self.thread.get())?.unpark();
        Some(())
    }

    fn wait(&self, seen: u64) -> Option<u64> {
        for _ in 0..10 {
            let now = self.value.load(Ordering::Acquire);
            if now != seen {
                return Some(now);
            }
            thread::park_timeout(Duration::from_secs(1));
        }
        Some(self.value.load(Ordering::Acquire)).filter(|now| *now != seen)
    }
}

fn parks(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<Vec<f64>, Why> {
    let (there, back) = (Parked::default(), Parked::default());
    let ask = || {
        back.enter();
        let mut round = 0;
        let samples = rounds(ticks, about, || {
            round += 1;
            there.wake(round)?;
            back.wait(round - 1)
        });
        there.wake(u64::MAX)?;
        samples
    };
    let answer = || {
        there.enter();
        let mut seen = 0;
        while let Some(value) = there.wait(seen).filter(|value| *value != u64::MAX) {
            back.wake(value)?;
            seen = value;
        }
        Some(())
    };
    seat::pair(cpus, ask, answer)?.0.ok_or_else(gone)
}

fn rested(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<Vec<f64>, Why> {
    let there = Parked::default();
    let wake = || {
        let began = Instant::now();
        let mut count = 0;
        while count < 10 || began.elapsed() < about {
            thread::sleep(IDLE);
            there.wake(ticks.now())?;
            count += 1;
        }
        thread::sleep(IDLE);
        there.wake(u64::MAX)
    };
    let sleep = || {
        there.enter();
        let (mut seen, mut samples) = (0, Vec::new());
        while let Some(stamp) = there.wait(seen).filter(|stamp| *stamp != u64::MAX) {
            samples.push(ticks.since(stamp).max(0.0));
            seen = stamp;
        }
        samples
    };
    let (woke, samples) = seat::pair(cpus, wake, sleep)?;
    woke.ok_or_else(gone)?;
    Ok(samples)
}

fn events(ticks: &Ticks, cpus: (u32, u32), about: Duration) -> Result<Vec<f64>, Why> {
    const GO: u64 = 1;
    const STOP: u64 = 2;
    let new = || {
        eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| format!("there is no eventfd: {error}"))
    };
    let (there, back) = (new()?, new()?);
    let send = |to, what: u64| rustix::io::write(to, &what.to_ne_bytes()).ok();
    let receive = |from| {
        let mut bytes = [0; 8];
        rustix::io::read(from, &mut bytes[..]).ok()?;
        Some(u64::from_ne_bytes(bytes))
    };
    let ask = || {
        let samples = rounds(ticks, about, || {
            send(&there, GO)?;
            receive(&back)
        });
        send(&there, STOP)?;
        samples
    };
    let answer = || {
        // It answers whatever it reads, so that the other one does not wait for it in vain.
        while receive(&there) == Some(GO) {
            send(&back, GO)?;
        }
        send(&back, STOP).map(|_| ())
    };
    seat::pair(cpus, ask, answer)?.0.ok_or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_pair_for_each_distance() {
        let check = |topology: &str, expect: &[&str]| {
            let machine = Machine::simulate(topology).expect("a machine");
            let cpus: Vec<u32> = machine.usable().map(|cpu| cpu.id).collect();
            let kinds: Vec<&str> = kinds(&machine, &cpus)
                .iter()
                .map(|(kind, _)| *kind)
                .collect();
            assert_eq!(kinds, expect, "{topology}");
        };
        check("1x1", &["one cpu"]);
        check("1x2", &["one cpu", "one cache"]);
        check("2x2", &["one cpu", "one cache", "two memory nodes"]);
        check("1x2x2", &["one cpu", "one cache", "one core"]);
    }
}
