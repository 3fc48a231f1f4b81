//! A6. What a call into the kernel costs.
//!
//! Calls in batches of 100, the cheapest there are: `getppid` is the way in and out; `sched_yield` asks the scheduler; waking a futex on
//! which nobody sleeps is what an unneeded wake costs; `membarrier` interrupts the other cpus of this process. More than 500 ns
//! for the first is a sandbox, or mitigations.

use std::{sync::atomic::AtomicU32, time::Duration};

use rustix::{
    process::getppid,
    thread::{MembarrierCommand, futex, membarrier, sched_yield},
};

use super::{Context, Why, cost};
use crate::probe::{
    result::{Measurement, Rating, Unit},
    seat,
    stats::Summary,
};

const SLOW: f64 = 500.0;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let ticks = &context.ticks;
    let each = about / 4;
    let word = AtomicU32::new(0);
    let (rows, barrier) = seat::on(context.first()?, || {
        let rows = [
            ("getppid", cost(ticks, 100, each, getppid)),
            ("sched_yield", cost(ticks, 100, each, sched_yield)),
            (
                "futex wake, nobody sleeps",
                cost(ticks, 100, each, || {
                    futex::wake(&word, futex::Flags::PRIVATE, 1).ok()
                }),
            ),
        ];
        let registered = membarrier(MembarrierCommand::RegisterPrivateExpedited);
        let barrier = registered.map(|()| {
            cost(ticks, 100, each, || {
                membarrier(MembarrierCommand::PrivateExpedited).ok()
            })
        });
        (rows, barrier)
    })?;
    for (name, samples) in rows {
        out.summary(name, Unit::Nanoseconds, Summary::of_settled(&samples));
    }
    match barrier {
        Ok(samples) => {
            out.summary(
                "membarrier",
                Unit::Nanoseconds,
                Summary::of_settled(&samples),
            );
        }
        Err(error) => out.note(format!("`membarrier` is not to be had: {error}")),
    }
    let first = out.of("getppid").ok_or("no call was measured")?;
    out.rating = if first.min <= SLOW {
        Rating::Pass
    } else {
        Rating::Warn
    };
    if out.rating == Rating::Warn {
        out.note("calls into the kernel are slow here: a sandbox, or mitigations (check C10)");
    }
    Ok(())
}
