//! A15. From starting a thread until it runs, until it is pinned, and until it was joined.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_setaffinity};

use super::{Context, Why};
use crate::probe::result::{Measurement, Unit};

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let ticks = &context.ticks;
    let last = context.cpus.last().copied().ok_or("there is no cpu")?;
    let began = Instant::now();
    let (mut ran, mut pinned, mut joined) = (Vec::new(), Vec::new(), Vec::new());
    while ran.len() < 20 || began.elapsed() < about {
        let from = ticks.now();
        let spawned = thread::Builder::new().spawn({
            let ticks = ticks.clone();
            move || {
                let running = ticks.now();
                let mut set = CpuSet::new();
                set.set(last as usize);
                let seated = sched_setaffinity(None, &set);
                (running, ticks.now(), seated)
            }
        });
        let thread = spawned.map_err(|error| format!("no thread can be started: {error}"))?;
        let (running, there, seated) = thread.join().map_err(|_| "a thread panicked")?;
        let end = ticks.now();
        seated.map_err(|error| format!("a thread cannot be pinned to cpu {last}: {error}"))?;
        ran.push(ticks.between(from, running));
        pinned.push(ticks.between(running, there));
        joined.push(ticks.between(from, end));
    }
    out.row("until it runs", Unit::Nanoseconds, ran);
    out.row("pinning it", Unit::Nanoseconds, pinned);
    out.row("started, pinned and joined", Unit::Nanoseconds, joined);
    Ok(())
}
