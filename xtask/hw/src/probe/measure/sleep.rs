//! A4. By how much a timed sleep takes too long.
//!
//! As `cyclictest` does: sleep until an absolute time, each 200 us and each millisecond, and see how late it is. With the timer
//! slack as it is (50 us for most processes: the kernel may wake that much later, to wake several at once) and with the least
//! slack there is. Under a real-time policy it is not measured: no safe function sets one.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

use rustix::{
    thread::{clock_nanosleep_absolute, current_timer_slack, set_current_timer_slack},
    time::{ClockId, Timespec, clock_gettime},
};

use super::{Context, Why};
use crate::probe::{
    result::{Measurement, Unit},
    seat,
};

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let each = about / 4;
    let (slack, rows) = seat::on(context.first()?, || {
        let slack = current_timer_slack().ok();
        let mut rows = vec![
            ("each 200 us", sleeps(200_000, each)),
            ("each 1 ms", sleeps(1_000_000, each)),
        ];
        // The slack is the thread's own, and the thread ends here.
        if set_current_timer_slack(NonZeroU64::new(1)).is_ok() {
            rows.push(("each 200 us, slack 1 ns", sleeps(200_000, each)));
            rows.push(("each 1 ms, slack 1 ns", sleeps(1_000_000, each)));
        }
        (slack, rows)
    })?;
    for (name, late) in rows {
        out.row(name, Unit::Nanoseconds, late?);
    }
    if let Some(slack) = slack {
        out.note(format!(
            "the timer slack is {}",
            Unit::Nanoseconds.write(slack as f64)
        ));
    }
    Ok(())
}

fn sleeps(period: i64, about: Duration) -> Result<Vec<f64>, Why> {
    const SECOND: i64 = 1_000_000_000;
    let began = Instant::now();
    let mut late = Vec::new();
    let mut target = clock_gettime(ClockId::Monotonic);
    while began.elapsed() < about || late.is_empty() {
        target.tv_nsec += period;
        if target.tv_nsec >= SECOND {
            target = Timespec {
                tv_sec: target.tv_sec + 1,
                tv_nsec: target.tv_nsec - SECOND,
            };
        }
        clock_nanosleep_absolute(ClockId::Monotonic, &target)
            .map_err(|error| format!("cannot sleep: {error}"))?;
        let now = clock_gettime(ClockId::Monotonic);
        let behind = (now.tv_sec - target.tv_sec) * SECOND + now.tv_nsec - target.tv_nsec;
        late.push(behind as f64);
        // After a sleep that took longer than a period the next target would be in the past.
        if behind >= period {
            target = now;
        }
    }
    Ok(late)
}
