//! How some events come through the stages: when each stage began with them, and when it was done.
//!
//! One of 31 events is traced, which reads the clock for each of its stages twice; the others are asked for their number and nothing
//! else. 31 is a prime, so that what is traced is never in step with the cycles of the mix. Only open loops have traces.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use pipewright_bench::protocol::Passage;

use crate::events::STAGES;

/// One of so many events is traced.
const EACH: usize = 31;

/// No more events are traced: what is known of them lies in memory.
const MOST: usize = 1 << 16;

/// What is known of the events that are traced. Times are nanoseconds since `begun`; 0 is not known yet.
#[derive(Debug)]
pub(crate) struct Traces {
    begun: Instant,
    traces: Vec<Trace>,
}

#[derive(Debug, Default)]
struct Trace {
    /// When it should have come, and when it was sent.
    came: [AtomicU64; 2],
    /// When each stage began, and when it was done.
    stages: [[AtomicU64; 2]; STAGES.len()],
}

impl Traces {
    /// For so many events after the warm-up.
    pub(crate) fn new(events: usize) -> Self {
        let count = events.div_ceil(EACH).min(MOST);
        Self {
            begun: Instant::now(),
            traces: (0..count).map(|_| Trace::default()).collect(),
        }
    }

    /// The n-th event after the warm-up is sent; its name, if it is traced.
    pub(crate) fn begin(&self, n: usize, intended: Instant) -> Option<NonZeroU32> {
        let trace = n
            .is_multiple_of(EACH)
            .then(|| self.traces.get(n / EACH))??;
        let intended = intended.saturating_duration_since(self.begun);
        trace.came[0].store(intended.as_nanos() as u64, Relaxed);
        self.stamp(&trace.came[1]);
        NonZeroU32::new((n / EACH) as u32 + 1)
    }

    /// Does a stage's work on an event, with a look at the clock before and behind it if it is traced.
    pub(crate) fn stage<R>(
        &self,
        stage: usize,
        name: Option<NonZeroU32>,
        work: impl FnOnce() -> R,
    ) -> R {
        let trace = name.and_then(|name| self.traces.get(name.get() as usize - 1));
        let Some(trace) = trace else {
            return work();
        };
        self.stamp(&trace.stages[stage][0]);
        let result = work();
        self.stamp(&trace.stages[stage][1]);
        result
    }

    fn stamp(&self, place: &AtomicU64) {
        place.store(self.begun.elapsed().as_nanos() as u64, Relaxed);
    }

    /// How the events that came through came through, at so many events a second. Nothing, if none was traced.
    pub(crate) fn passages(&self, rate: f64, workers: usize) -> Vec<Passage> {
        let mut passages: Vec<Passage> = Vec::new();
        for times in self.traces.iter().filter_map(Trace::whole) {
            passages.resize_with(STAGES.len(), Passage::default);
            let [intended, sent] = times.came;
            passages[0].blocked_ns += sent.saturating_sub(intended);
            let mut before = sent;
            for (passage, [from, to]) in passages.iter_mut().zip(times.stages) {
                passage.items += 1;
                passage.wait_ns += from.saturating_sub(before);
                passage.work_ns += to.saturating_sub(from);
                before = to;
            }
        }
        for (passage, name) in passages.iter_mut().zip(STAGES) {
            passage.stage = name.to_owned();
            let each = passage.work_ns as f64 / passage.items as f64 / 1e9;
            passage.utilisation = each * rate / workers as f64;
        }
        passages
    }
}

/// The times of an event.
struct Times {
    came: [u64; 2],
    stages: [[u64; 2]; STAGES.len()],
}

impl Trace {
    /// Its times, if it came through: what was refused has none.
    fn whole(&self) -> Option<Times> {
        let read = |pair: &[AtomicU64; 2]| [pair[0].load(Relaxed), pair[1].load(Relaxed)];
        let times = Times {
            came: read(&self.came),
            stages: std::array::from_fn(|stage| read(&self.stages[stage])),
        };
        times.stages.iter().all(|[_, to]| *to > 0).then_some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_what_came_through_is_summed_up() {
        let traces = Traces::new(2 * EACH);
        let set = |place: &AtomicU64, value: u64| place.store(value, Relaxed);
        for (n, late) in [(0, 0), (1, 100)] {
            let trace = &traces.traces[n];
            set(&trace.came[0], 1_000);
            set(&trace.came[1], 1_000 + late);
            for stage in 0..STAGES.len() as u64 {
                // Each begins 10 after the one before it and works for 90.
                set(&trace.stages[stage as usize][0], 1_010 + late + 100 * stage);
                set(&trace.stages[stage as usize][1], 1_100 + late + 100 * stage);
            }
        }
        let found = traces.passages(1e6, 2);
        assert_eq!(found.len(), STAGES.len());
        for (at, (passage, name)) in found.iter().zip(STAGES).enumerate() {
            let blocked = if at == 0 { 100 } else { 0 };
            assert_eq!(
                (passage.stage.as_str(), passage.items, passage.blocked_ns),
                (name, 2, blocked)
            );
            assert_eq!((passage.wait_ns, passage.work_ns), (20, 180));
            assert!((passage.utilisation - 0.045).abs() < 1e-12);
        }
    }

    #[test]
    fn what_did_not_come_through_is_left_out() {
        let traces = Traces::new(EACH);
        let name = traces.begin(0, Instant::now());
        assert_eq!(name, NonZeroU32::new(1));
        assert_eq!(traces.stage(0, name, || 7), 7);
        assert!(traces.passages(1.0, 1).is_empty());
        assert_eq!(traces.begin(1, Instant::now()), None, "not every event");
        assert_eq!(traces.begin(EACH, Instant::now()), None, "there is no room");
    }
}
