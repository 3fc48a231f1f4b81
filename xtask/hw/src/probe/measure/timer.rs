//! A1. What reading a clock costs, and how fine it is.
//!
//! Calls in batches of 1,000, timed by the counter: nanoseconds a call. The step is the smallest difference that is not zero
//! between two readings that follow each other. A clock that the kernel answers in the process (vDSO) takes 15 to 50 ns; a
//! real call takes more than 200. The counter with fences (`rdtscp`, `lfence`) is not measured: no safe function reads it.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use super::{Context, Why, cost};
use crate::probe::{
    clock::Ticks,
    result::{Measurement, Rating, Unit},
    seat,
    stats::Summary,
};

/// Nanoseconds of a call of std's clock above which it is not as it should be, and above which the kernel is called.
const FAST: f64 = 50.0;
const CALLED: f64 = 200.0;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let ticks = &context.ticks;
    let each = about / 5;
    let samples = seat::on(context.first()?, || {
        let clock = |id: ClockId| {
            let read = move || {
                let time = clock_gettime(id);
                time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
            };
            (cost(ticks, 1_000, each, read), step(read))
        };
        let zero = Instant::now();
        let std = move || zero.elapsed().as_nanos() as f64;
        [
            (
                "Instant::now",
                (cost(ticks, 1_000, each, Instant::now), step(std)),
            ),
            ("CLOCK_MONOTONIC", clock(ClockId::Monotonic)),
            ("CLOCK_MONOTONIC_RAW", clock(ClockId::MonotonicRaw)),
            ("CLOCK_MONOTONIC_COARSE", clock(ClockId::MonotonicCoarse)),
            (
                "the counter",
                (
                    cost(ticks, 1_000, each, || ticks.now()),
                    counter_step(ticks),
                ),
            ),
        ]
    })?;
    for (name, (costs, step)) in samples {
        out.summary(name, Unit::Nanoseconds, Summary::of_settled(&costs));
        out.row(format!("{name}, step"), Unit::Nanoseconds, step);
    }
    let std = out.of("Instant::now").ok_or("no call was measured")?;
    out.rating = match std.min {
        ns if ns <= FAST => Rating::Pass,
        ns if ns <= CALLED => Rating::Warn,
        _ => Rating::Fail,
    };
    if out.rating == Rating::Fail {
        out.note(
            "reading the clock is a call into the kernel here: the vDSO is not used, see check C09",
        );
    }
    out.note(format!(
        "the counter runs at {}",
        Unit::Hertz.write(ticks.hertz())
    ));
    Ok(())
}

/// The smallest step between two readings, in nanoseconds; a coarse clock stands still for milliseconds.
fn step(read: impl Fn() -> f64) -> Option<f64> {
    const READINGS: u32 = 400_000;
    let zero = read();
    let mut before = 0.0;
    let mut least: Option<f64> = None;
    for _ in 0..READINGS {
        let now = black_box(read()) - zero;
        if now > before {
            least = Some(least.map_or(now - before, |least| least.min(now - before)));
        }
        before = now;
    }
    least
}

fn counter_step(ticks: &Ticks) -> Option<f64> {
    let zero = ticks.now();
    step(|| ticks.since(zero))
}
