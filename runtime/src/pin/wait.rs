//! How a pinned thread waits.

use std::{
    fmt,
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::Pin;
use crate::{shared::Shared, sync::spin_loop, worker::Worker};

/// How long `wait = adaptive` looks before it sleeps: about what a wake-up takes.
const SPIN: Duration = Duration::from_micros(20);
/// Looks between two questions whether the run is over, which touch what all threads share.
const PATIENCE: u32 = 64;

/// One pinned thread's way of waiting.
pub(crate) struct Waiter<'w> {
    shared: &'w Shared,
    pin: Option<&'w Pin>,
    index: usize,
    /// Looks in a row that found nothing.
    looks: u32,
    /// Looks before it sleeps, unless it sleeps at once.
    most: u32,
}

impl<'w> Waiter<'w> {
    /// For the pinned thread `w`.
    pub(crate) fn new(w: &Worker<'w>) -> Self {
        let shared = w.shared;
        let (place, index) = shared.pins.of(w.id()).unwrap_or_default();
        let pin = shared.pins.places().get(place);
        Self {
            shared,
            pin,
            index,
            looks: 0,
            most: match pin {
                Some(pin) if !pin.spins => pauses(SPIN),
                _ => 0,
            },
        }
    }

    /// May the thread go on? Not when the run is over, or stops.
    pub(crate) fn goes_on(&self) -> bool {
        !self.shared.is_stopping() && !self.shared.is_finished()
    }

    /// Something was there.
    pub(crate) fn found(&mut self) {
        self.looks = 0;
    }

    /// Has it looked long enough?
    fn sleeps(&self) -> bool {
        self.pin.is_some_and(|pin| {
            let most = if pin.parks() { 0 } else { self.most };
            !pin.spins && self.looks > most
        })
    }

    /// Nothing was there: looks around, or sleeps until something is `visible`, at most for `timeout`.
    pub(crate) fn rest(&mut self, timeout: Option<Duration>, visible: impl FnOnce() -> bool) {
        let shared = self.shared;
        self.looks = self.looks.wrapping_add(1);
        let sleeps = self.sleeps();
        if (sleeps || self.looks.is_multiple_of(PATIENCE)) && shared.is_over() {
            if !shared.is_finished() {
                shared.finish();
            }
            // What is waited for now is the ring in front, which closes in a moment.
            return spin_loop();
        }
        match self.pin.filter(|_| sleeps) {
            Some(pin) => {
                let visible = || {
                    let seen = shared.is_stopping() || shared.is_finished() || visible();
                    if seen {
                        // It cannot always be taken at once: after a stop, the ring in front closes a moment later.
                        spin_loop();
                    }
                    seen
                };
                pin.idle.park(self.index, timeout, visible);
            }
            None => spin_loop(),
        }
    }
}

/// How many times the hint to the processor fits into `time`: it takes 10 cycles on some processors and 140 on others.
fn pauses(time: Duration) -> u32 {
    static NS: OnceLock<f64> = OnceLock::new();
    const SAMPLE: u32 = 256;
    if cfg!(shuttle) {
        // A measured number would not be the same when a schedule is repeated.
        return 4;
    }
    let sample = || {
        let begun = Instant::now();
        (0..SAMPLE).for_each(|_| spin_loop());
        begun.elapsed().as_nanos() as f64 / f64::from(SAMPLE)
    };
    // The least of a few: a sample may be interrupted.
    let one = NS.get_or_init(|| (0..4).map(|_| sample()).fold(f64::MAX, f64::min).max(1.0));
    (time.as_nanos() as f64 / one) as u32
}

impl fmt::Debug for Waiter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}
