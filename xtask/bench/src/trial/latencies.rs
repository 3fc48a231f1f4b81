//! Latencies, and what is said of them.

use std::{
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use hdrhistogram::Histogram;

/// Where the latencies of items are noted by whichever thread they leave on.
///
/// Each thread has a part of its own as long as there are no more threads than parts, so its lock is free.
#[derive(Debug)]
pub(super) struct Latencies {
    parts: Box<[Mutex<Part>]>,
}

/// What threads have noted, by the part of the time in which an item was to come.
type Part = Vec<Histogram<u64>>;

/// More threads than this share parts.
const PARTS: usize = 16;

/// The longest that is told apart, in nanoseconds: a minute.
const MOST: u64 = 60_000_000_000;

/// Threads that have noted anything in this process.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's number among them.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
        }
    }

    /// An item that was to come in this part of the time took so long.
    pub(super) fn note(&self, part: u32, ns: u64) {
        let number = NUMBER.with(|number| match number.get() {
            Some(known) => known,
            None => {
                let new = THREADS.fetch_add(1, Relaxed);
                number.set(Some(new));
                new
            }
        });
        let own = &self.parts[number % PARTS];
        // Whoever panicked here left whole numbers behind.
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        while own.len() <= part as usize {
            own.push(histogram());
        }
        own[part as usize].saturating_record(ns);
    }

    /// Those of a part of the time.
    pub(super) fn of(&self, part: usize) -> Histogram<u64> {
        self.sum(|own| own.get(part..=part).unwrap_or_default())
    }

    /// All.
    pub(super) fn all(&self) -> Histogram<u64> {
        self.sum(|own| own)
    }

    fn sum(&self, of: impl Fn(&[Histogram<u64>]) -> &[Histogram<u64>]) -> Histogram<u64> {
        let mut sum = histogram();
        for own in &self.parts {
            let own = own.lock().unwrap_or_else(PoisonError::into_inner);
            for one in of(&own) {
                sum.add(one).expect("they have the same bounds");
            }
        }
        sum
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MOST, 2).expect("the bounds are in order")
}

/// The metrics that are quantiles.
const QUANTILES: [(&str, f64); 4] = [
    ("latency_p50", 0.5),
    ("latency_p95", 0.95),
    ("latency_p99", 0.99),
    ("latency_p999", 0.999),
];

/// How many values it takes until a quantile is told.
#[cfg(feature = "tool")]
pub(crate) fn needed(metric: &str) -> Option<f64> {
    let (_, share) = QUANTILES.iter().find(|(name, _)| *name == metric)?;
    Some((100.0 / (1.0 - share)).round())
}

/// The metrics of latencies. A quantile is there only where at least a hundred values lie beyond it.
pub(super) fn quantiles(latencies: &Histogram<u64>) -> Vec<(String, f64)> {
    let known = |share: f64| latencies.len() as f64 * (1.0 - share) >= 99.5;
    let mut found: Vec<(String, f64)> = QUANTILES
        .into_iter()
        .filter(|(_, share)| known(*share))
        .map(|(name, share)| (name.to_owned(), latencies.value_at_quantile(share) as f64))
        .collect();
    if !latencies.is_empty() {
        found.push(("latency_max".to_owned(), latencies.max() as f64));
    }
    found
}

/// How many there are of each length.
pub(super) fn counts(latencies: &Histogram<u64>) -> Vec<(u64, u64)> {
    let recorded = latencies.iter_recorded();
    recorded
        .map(|value| (value.value_iterated_to(), value.count_at_value()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_note_comes_together() {
        let latencies = Latencies::new();
        std::thread::scope(|scope| {
            for thread in 0..20_u64 {
                let latencies = &latencies;
                scope.spawn(move || {
                    for ns in 1..=10 {
                        latencies.note(thread as u32 % 3, ns * 1000);
                    }
                });
            }
        });
        assert_eq!(latencies.all().len(), 200);
        let parts: Vec<u64> = (0..4).map(|at| latencies.of(at).len()).collect();
        assert_eq!(parts, [70, 70, 60, 0]);
    }

    #[test]
    fn a_quantile_needs_a_hundred_values_beyond_it() {
        let check = |values: u64, expect: &[&str]| {
            let mut latencies = histogram();
            (1..=values).for_each(|ns| latencies.saturating_record(ns));
            let found = quantiles(&latencies);
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, expect, "{values}");
        };
        check(0, &[]);
        check(100, &["latency_max"]);
        check(2_000, &["latency_p50", "latency_p95", "latency_max"]);
        check(
            10_000,
            &["latency_p50", "latency_p95", "latency_p99", "latency_max"],
        );
    }
}
