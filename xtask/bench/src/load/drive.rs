//! The generator: it gives each item at its time, however busy the system is.

use std::{
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

/// So long before an item's time a generator sleeps no more and spins, where others want its processor. A processor of a virtual
/// machine may take longer than that to wake up.
pub const SPIN_SHARED: Duration = Duration::from_micros(80);
/// The same where nobody else wants it: where the machine has more processors than what is measured keeps busy.
pub const SPIN_ALONE: Duration = Duration::from_millis(1);

/// What a generator did.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Items that were taken.
    pub sent: u64,
    /// Items that were not.
    pub refused: u64,
    /// How much later than planned it came to each item, in nanoseconds.
    pub lateness: Histogram<u64>,
}

/// Calls `send` with each item's number and the time at which it should have come, when that time is there; `send` tells whether
/// the item was taken, and must not wait. It sleeps until `spin` before that time, [`SPIN_SHARED`] or [`SPIN_ALONE`], and spins then.
///
/// An item whose time has passed is given at once, with the time at which it should have come.
pub fn drive(
    begun: Instant,
    times: &[u64],
    spin: Duration,
    mut send: impl FnMut(usize, Instant) -> bool,
) -> Drive {
    let mut drive = Drive {
        sent: 0,
        refused: 0,
        lateness: histogram(),
    };
    for (n, at) in times.iter().enumerate() {
        let intended = begun + Duration::from_nanos(*at);
        let late = wait_until(intended, spin);
        drive.lateness.saturating_record(late.as_nanos() as u64);
        match send(n, intended) {
            true => drive.sent += 1,
            false => drive.refused += 1,
        }
    }
    drive
}

/// A histogram of times up to a minute, with two digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are in order")
}

/// Waits, spinning in the end; returns how late it is.
fn wait_until(time: Instant, spin: Duration) -> Duration {
    let mut now = Instant::now();
    if let Some(sleep) = time.saturating_duration_since(now).checked_sub(spin)
        && !sleep.is_zero()
    {
        thread::sleep(sleep);
        now = Instant::now();
    }
    while now < time {
        std::hint::spin_loop();
        now = Instant::now();
    }
    now - time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_given_once_with_the_time_it_was_planned_for() {
        let begun = Instant::now();
        let times = [0, 1_000, 1_000, 300_000];
        let mut seen = Vec::new();
        let drive = drive(begun, &times, SPIN_SHARED, |n, intended| {
            assert!(Instant::now() >= intended);
            seen.push((n, (intended - begun).as_nanos() as u64));
            n != 1
        });
        assert_eq!(seen, [(0, 0), (1, 1_000), (2, 1_000), (3, 300_000)]);
        assert_eq!((drive.sent, drive.refused, drive.lateness.len()), (3, 1, 4));
    }

    #[test]
    fn a_stall_of_the_system_does_not_move_the_plan() {
        // The plan lies in the past: nothing waits, and everything is as late as it is.
        let begun = Instant::now() - Duration::from_secs(10);
        let drive = drive(begun, &[0, 1_000_000], SPIN_SHARED, |_, _| true);
        assert!(
            drive.lateness.min() >= 9_000_000_000,
            "{}",
            drive.lateness.min()
        );
    }
}
