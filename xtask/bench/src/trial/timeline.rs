//! What happened in parts of a trial's time.
//!
//! Who sends the items looks at the clock of the plan and at counters that are there anyway; only when a part ends does it ask the
//! system for resident memory and processor time. Workers keep a histogram for each part, which costs them what one for all would.

use std::time::{Duration, Instant};

use super::{Probe, latencies, process};
use crate::protocol::{Part, Request, Signs};

/// Parts of the time in open loops, if nothing else is asked.
const PARTS: u64 = 20;

/// The most parts: each has histograms.
const MOST: u64 = 4096;

/// A part of a closed loop's time, which ends now.
pub(super) fn closed(begun: Instant, done: u64) -> Part {
    Part {
        end_ms: begun.elapsed().as_secs_f64() * 1e3,
        done,
        resident: process::resident(),
        ..Part::default()
    }
}

/// What the pipeline tells when an item comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    /// How late the generator is.
    pub(super) late: Duration,
    /// Items in the pipeline.
    pub(super) queued: u64,
    /// Items that were done since the beginning.
    pub(super) done: u64,
}

/// The parts of an open loop's time, as far as it has come.
#[derive(Debug)]
pub(super) struct Timeline {
    /// When the warm-up ends, in nanoseconds of the plan.
    warm: u64,
    /// How long a part is, in nanoseconds.
    length: u64,
    /// How many there will be.
    count: u64,
    parts: Vec<Part>,
    /// When the part that is open began: the time, what was done, and the workers' processor time.
    before: Option<(Instant, u64, Duration)>,
    open: Part,
    late: Duration,
}

impl Timeline {
    /// Of a plan: the times of the items after the warm-up, in nanoseconds.
    pub(super) fn new(times: &[u64], request: &Request) -> Self {
        let warm = request.warmup_ms * 1_000_000;
        let last = times.last().copied().unwrap_or(warm).saturating_sub(warm);
        let length = match request.part_ms {
            None => last / PARTS + 1,
            Some(ms) => (ms * 1_000_000).max(last / MOST + 1),
        };
        Self {
            warm,
            length,
            count: last / length + 1,
            parts: Vec::new(),
            before: None,
            open: Part::default(),
            late: Duration::ZERO,
        }
    }

    /// An item comes that was planned for this time; the part of the time in which that is.
    pub(super) fn see(&mut self, planned: u64, now: Now, signs: impl Fn() -> Signs) -> u32 {
        if self.before.is_none() {
            self.before = Some((Instant::now(), now.done, process::others_cpu_time()));
        }
        let part = planned.saturating_sub(self.warm) / self.length;
        while (self.parts.len() as u64) < part {
            self.close(now.done, signs());
        }
        self.open.offered += 1;
        self.open.queued = self.open.queued.max(now.queued);
        self.late += now.late;
        part as u32
    }

    /// The item that was seen last found the input full.
    pub(super) fn refused(&mut self) {
        self.open.refused += 1;
    }

    /// The last item was sent.
    pub(super) fn end(&mut self, done: u64, signs: Signs) {
        while (self.parts.len() as u64) < self.count {
            self.close(done, signs);
        }
    }

    fn close(&mut self, done: u64, signs: Signs) {
        let now = (Instant::now(), done, process::others_cpu_time());
        let before = self.before.replace(now).unwrap_or(now);
        let took = (now.0 - before.0).as_secs_f64();
        let end = self.length * (self.parts.len() as u64 + 1);
        let late = std::mem::take(&mut self.late).as_nanos() as u64;
        self.parts.push(Part {
            end_ms: end as f64 / 1e6,
            done: done - before.1,
            resident: process::resident(),
            late_ns: late / self.open.offered.max(1),
            busy: match took > 0.0 {
                true => now.2.saturating_sub(before.2).as_secs_f64() / took,
                false => 0.0,
            },
            signs,
            ..std::mem::take(&mut self.open)
        });
    }

    /// The parts, with the latencies of what was to come in each.
    pub(super) fn told(self, probe: &Probe) -> Vec<Part> {
        let parts = self.parts.into_iter().enumerate();
        parts
            .map(|(at, part)| Part {
                latencies: latencies::counts(&probe.latencies().of(at)),
                ..part
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(times: &[u64], part_ms: Option<u64>) -> Vec<Part> {
        let request = Request {
            part_ms,
            ..Request::new("latency/x", 1, [1, 1])
        };
        let probe = Probe::new(&[], None, false);
        let mut timeline = Timeline::new(times, &request);
        for (n, at) in times.iter().enumerate() {
            let now = Now {
                queued: n as u64,
                done: 7 + n as u64,
                late: Duration::from_nanos(n as u64),
            };
            let part = timeline.see(*at, now, Signs::default);
            assert_eq!(u64::from(part), (at - 1_000_000) / timeline.length, "{at}");
            if n == 3 {
                timeline.refused();
            }
        }
        let signs = Signs {
            shed: 2,
            ..Signs::default()
        };
        timeline.end(6 + times.len() as u64, signs);
        timeline.told(&probe)
    }

    #[test]
    fn every_item_is_in_the_part_in_which_it_was_planned() {
        // Two a part, but none in the second half.
        let times: Vec<u64> = (0..20)
            .map(|n| 1_000_000 + 50 * n)
            .chain([1_001_999])
            .collect();
        let parts = seen(&times, None);
        let offered: Vec<u64> = parts.iter().map(|part| part.offered).collect();
        assert_eq!(offered, [&[2; 10][..], &[0; 9], &[1]].concat());
        assert_eq!(
            (parts[1].refused, parts[1].queued, parts[1].late_ns),
            (1, 3, 2)
        );
        let all: u64 = parts.iter().map(|part| part.done).sum();
        assert_eq!(all, times.len() as u64 - 1);
        assert!((parts[19].end_ms - 0.002).abs() < 1e-9);
        assert_eq!(parts[19].signs.shed, 2);
    }

    #[test]
    fn parts_can_have_a_length_that_is_asked_for() {
        let times: Vec<u64> = (0..10).map(|n| 1_000_000 * (n + 1)).collect();
        let offered = |part_ms| {
            let parts = seen(&times, Some(part_ms));
            parts.iter().map(|part| part.offered).collect::<Vec<u64>>()
        };
        assert_eq!(offered(3), [3, 3, 3, 1]);
        assert_eq!(offered(100), [10]);
    }
}
