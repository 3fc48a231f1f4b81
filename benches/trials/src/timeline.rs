//! What happened in equal parts of a trial's time.
//!
//! Who sends the events looks at the clock of the plan and at counters that are there anyway; only when a part ends does it ask the
//! system for the resident memory. Workers keep a histogram for each part, which costs them what one for all would.

use std::time::{Duration, Instant};

use pipewright_bench::protocol::Part;

use crate::{events, events::Delivered, process};

/// Parts of the time in open loops.
pub(crate) const PARTS: usize = 20;

/// A part of a closed loop's time, which ends now.
pub(crate) fn closed(begun: Instant, done: u64) -> Part {
    Part {
        end_ms: begun.elapsed().as_secs_f64() * 1e3,
        done,
        resident: process::resident(),
        ..Part::default()
    }
}

/// The parts of an open loop's time, as far as it has come.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// When the warm-up ends, in nanoseconds of the plan.
    warm: u64,
    /// How long a part is, in nanoseconds.
    length: u64,
    parts: Vec<Part>,
    /// What was done when the part that is open began.
    before: Option<u64>,
    open: Part,
}

impl Timeline {
    /// Of a plan: the times of the items after the warm-up, in nanoseconds.
    pub(crate) fn new(times: &[u64], warm: Duration) -> Self {
        let warm = warm.as_nanos() as u64;
        let last = times.last().copied().unwrap_or(warm);
        Self {
            warm,
            length: last.saturating_sub(warm) / PARTS as u64 + 1,
            parts: Vec::with_capacity(PARTS),
            before: None,
            open: Part::default(),
        }
    }

    /// An item comes that was planned for this time; the part of the time in which that is. `queued` items are in the pipeline,
    /// and `done` were done since the beginning.
    pub(crate) fn see(&mut self, planned: u64, queued: u64, done: u64) -> u8 {
        self.before.get_or_insert(done);
        let part = (planned.saturating_sub(self.warm) / self.length) as usize;
        while self.parts.len() < part {
            self.close(done);
        }
        self.open.offered += 1;
        self.open.queued = self.open.queued.max(queued);
        // There are fewer parts than a byte has values.
        part as u8
    }

    /// The item that was seen last found the input full.
    pub(crate) fn refused(&mut self) {
        self.open.refused += 1;
    }

    /// The last item was sent.
    pub(crate) fn end(&mut self, done: u64) {
        while self.parts.len() < PARTS {
            self.close(done);
        }
    }

    fn close(&mut self, done: u64) {
        let before = self.before.replace(done).unwrap_or(done);
        let end = self.length * (self.parts.len() as u64 + 1);
        self.parts.push(Part {
            end_ms: end as f64 / 1e6,
            // What was refused was counted as done.
            done: (done - before).saturating_sub(self.open.refused),
            resident: process::resident(),
            ..std::mem::take(&mut self.open)
        });
    }

    /// The parts, with the latencies of what was to come in each.
    pub(crate) fn with(self, delivered: &Delivered) -> Vec<Part> {
        let parts = self.parts.into_iter().zip(&delivered.parts);
        parts
            .map(|(part, latencies)| Part {
                latencies: events::counts(latencies),
                ..part
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_the_part_in_which_it_was_planned() {
        let warm = Duration::from_nanos(1000);
        // Two a part, but none in the second half.
        let times: Vec<u64> = (0..20).map(|n| 1000 + 50 * n).chain([2999]).collect();
        let mut timeline = Timeline::new(&times, warm);
        let mut done = 7;
        for (n, at) in times.iter().enumerate() {
            let part = timeline.see(*at, n as u64, done);
            assert_eq!(u64::from(part), (at - 1000) / 100, "{at}");
            if n == 3 {
                timeline.refused();
            }
            done += 1;
        }
        timeline.end(done);
        let parts = timeline.with(&Delivered::default());
        assert_eq!(parts.len(), PARTS);
        let offered: Vec<u64> = parts.iter().map(|part| part.offered).collect();
        assert_eq!(offered, [&[2; 10][..], &[0; 9], &[1]].concat());
        assert_eq!(parts[1].refused, 1);
        assert_eq!(parts[1].queued, 3);
        let all: u64 = parts.iter().map(|part| part.done).sum();
        assert_eq!(all, times.len() as u64 - 1, "all but the one refused");
        assert!((parts[19].end_ms - 0.002).abs() < 1e-9);
    }
}
