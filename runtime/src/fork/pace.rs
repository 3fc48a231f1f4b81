//! How often a worker that has nothing to do asks others for forked jobs.
//!
//! A job that is offered costs its owner about a tenth of a microsecond, whoever runs it then; a worker that is woken for it
//! costs some more. So one worker asks once in a beat at most, which bounds what it costs the others (Acar et al.,
//! "Heartbeat Scheduling: Provable Efficiency for Nested Parallelism", PLDI 2018). And while it finds nothing, or only jobs
//! that are over at once, it asks less and less often, so that a stage that forks tiny jobs does not keep a pool awake.

use std::time::Duration;

/// Least time between two questions of a worker, in nanoseconds.
pub(super) const BEAT_NS: u64 = 10_000;
/// Longest time that a worker does not ask, in nanoseconds.
const MOST_NS: u64 = 3_200_000;
/// A job that takes less time than this was not worth handing over, in nanoseconds.
const WORTH_NS: u64 = 2_000;

/// When one worker may ask again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Not before.
    next: u64,
    /// The last pause because of questions in vain; 0 after a good one.
    pause: u64,
}

impl Pace {
    /// May it ask at `now`? If so, that counts as asking.
    pub(super) fn may_ask(&mut self, now: u64) -> bool {
        let may = now >= self.next;
        if may {
            self.next = now + BEAT_NS;
        }
        may
    }

    /// It got a job, which took from `begun` to `now`.
    pub(super) fn took(&mut self, begun: u64, now: u64) {
        if now.saturating_sub(begun) >= WORTH_NS {
            self.pause = 0;
        } else {
            self.in_vain(now);
        }
    }

    /// It was woken, and there was nothing.
    pub(crate) fn in_vain(&mut self, now: u64) {
        self.pause = (self.pause * 2).clamp(BEAT_NS, MOST_NS);
        self.next = now + self.pause;
    }

    /// How long it does not even ask in its sleep; `None` if it does.
    pub(crate) fn pause(&self, now: u64) -> Option<Duration> {
        let paused = self.pause > 0 && now < self.next;
        paused.then(|| Duration::from_nanos(self.next - now))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_worker_asks_once_in_a_beat() {
        let mut pace = Pace::default();
        assert!(pace.may_ask(0));
        assert!(!pace.may_ask(BEAT_NS - 1));
        assert!(pace.may_ask(BEAT_NS));
        assert_eq!(pace.pause(BEAT_NS), None, "it may ask in its sleep");
    }

    #[test]
    fn who_asks_in_vain_asks_half_as_often_until_a_job_is_worth_it() {
        let mut pace = Pace::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            pace.took(5_000, 5_000 + WORTH_NS - 1);
            pauses.push(
                pace.pause(5_000 + WORTH_NS - 1)
                    .map(|pause| pause.as_nanos() as u64),
            );
        }
        assert_eq!(pauses[..3], [Some(10_000), Some(20_000), Some(40_000)]);
        assert_eq!(pauses[11], Some(MOST_NS));
        pace.took(5_000, 5_000 + WORTH_NS);
        assert_eq!(pace.pause(5_000 + WORTH_NS), None);
    }
}
