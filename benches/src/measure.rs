//! Rounds: contenders take turns, and what each took in each round is kept.

use std::{
    convert::Infallible,
    fmt,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use pipewright_bench::stats::{Interval, hodges_lehmann, interval};

/// The longest call that is told apart, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;
/// How often intervals hold what they are for.
const CONFIDENCE: f64 = 0.95;

/// Something that is measured.
pub struct Case<'a> {
    /// What it is called in the table.
    pub name: String,
    /// Runs it; with a histogram, call by call. Returns the nanoseconds of one call, on average.
    run: Box<Run<'a>>,
}

type Run<'a> = dyn FnMut(Option<&mut Histogram<u64>>) -> f64 + 'a;

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> Case<'a> {
    /// Calls `op` so often, with its number. `prepare` comes before, and is not measured.
    pub fn new(
        name: impl Into<String>,
        calls: usize,
        mut prepare: impl FnMut() + 'a,
        mut op: impl FnMut(usize) + 'a,
    ) -> Self {
        let run = move |histogram: Option<&mut Histogram<u64>>| {
            prepare();
            let begun = Instant::now();
            match histogram {
                None => (0..calls).for_each(&mut op),
                Some(histogram) => (0..calls).for_each(|n| timed(histogram, || op(n))),
            }
            per_call(begun.elapsed(), calls)
        };
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }

    /// Calls `op` on several threads, so often on each, with the thread's number and the call's. Of each thread's own values `own`
    /// makes one.
    pub fn threads<O>(
        name: impl Into<String>,
        threads: usize,
        calls: usize,
        own: impl Fn(usize) -> O + Sync + 'a,
        op: impl Fn(&mut O, usize) + Sync + 'a,
    ) -> Self {
        let run = move |histogram: Option<&mut Histogram<u64>>| {
            let each = histogram.is_some();
            let (elapsed, found) = together(threads, calls, each, &own, &op);
            if let Some(histogram) = histogram {
                // All have the same bounds.
                found
                    .iter()
                    .for_each(|other| histogram.add(other).expect("the same bounds"));
            }
            per_call(elapsed, threads * calls)
        };
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// Threads that begin at the same time; how long all of them took, from the first that ran to the last, and what each timed.
fn together<O>(
    threads: usize,
    calls: usize,
    each: bool,
    own: &(impl Fn(usize) -> O + Sync),
    op: &(impl Fn(&mut O, usize) + Sync),
) -> (Duration, Vec<Histogram<u64>>) {
    let barrier = Barrier::new(threads);
    let one = |thread: usize| {
        let (mut own, mut histogram) = (own(thread), histogram());
        barrier.wait();
        let begun = Instant::now();
        match each {
            false => (0..calls).for_each(|n| op(&mut own, n)),
            true => (0..calls).for_each(|n| timed(&mut histogram, || op(&mut own, n))),
        }
        ((begun, Instant::now()), histogram)
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn({
                    let one = &one;
                    move || one(n)
                })
            })
            .collect();
        let all = all
            .into_iter()
            .map(|thread| thread.join().expect("no case panics"));
        let (times, histograms): (Vec<_>, Vec<_>) = all.unzip();
        let first = times.iter().map(|(begun, _)| *begun).min();
        let last = times.iter().map(|(_, ended)| *ended).max();
        let elapsed = first.zip(last).map(|(first, last)| last - first);
        (elapsed.unwrap_or_default(), histograms)
    })
}

fn timed(histogram: &mut Histogram<u64>, op: impl FnOnce()) {
    let begun = Instant::now();
    op();
    histogram.saturating_record(begun.elapsed().as_nanos() as u64);
}

fn per_call(elapsed: Duration, calls: usize) -> f64 {
    elapsed.as_nanos() as f64 / calls.max(1) as f64
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order")
}

/// What was measured of a case.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// What a call took on average, in nanoseconds, in each round.
    pub ns: Vec<f64>,
    /// What single calls took, in nanoseconds, over all rounds.
    pub calls: Histogram<u64>,
}

/// A value with its interval; without one where there were too few rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// From here to there it is, in 95 of 100 such measurements.
    pub interval: Option<(f64, f64)>,
}

/// Runs the cases so many rounds, after one that is not counted.
pub fn rounds(rounds: usize, cases: &mut [Case<'_>]) -> Vec<Measured> {
    let Ok(all) = judged(rounds, cases, || Ok::<_, Infallible>(true));
    all
}

/// Runs the cases so many rounds; after each of them `is_good` says whether it counts, and if it does not, it is made again.
///
/// # Errors
///
/// That of `is_good`, which ends it.
pub fn judged<E>(
    rounds: usize,
    cases: &mut [Case<'_>],
    mut is_good: impl FnMut() -> Result<bool, E>,
) -> Result<Vec<Measured>, E> {
    let mut all: Vec<_> = cases.iter().map(Measured::nothing).collect();
    for round in 0..=rounds {
        let found = loop {
            let found = one_round(round, cases);
            if is_good()? {
                break found;
            }
        };
        if round == 0 {
            continue;
        }
        for (all, (ns, calls)) in all.iter_mut().zip(found) {
            all.ns.push(ns);
            // All have the same bounds.
            all.calls.add(calls).expect("the same bounds");
        }
    }
    Ok(all)
}

/// What each case took on average, and what its single calls took.
fn one_round(round: usize, cases: &mut [Case<'_>]) -> Vec<(f64, Histogram<u64>)> {
    let mut found: Vec<_> = cases.iter().map(|_| (0.0, histogram())).collect();
    for at in 0..cases.len() {
        // Every other round goes backwards, so that none always follows the same one.
        let at = if round.is_multiple_of(2) {
            at
        } else {
            cases.len() - 1 - at
        };
        found[at].0 = (cases[at].run)(None);
        (cases[at].run)(Some(&mut found[at].1));
    }
    found
}

impl Measured {
    fn nothing(case: &Case<'_>) -> Self {
        Self {
            name: case.name.clone(),
            ns: Vec::new(),
            calls: histogram(),
        }
    }

    /// What a call takes on average, in nanoseconds.
    pub fn per_call(&self) -> Estimate {
        estimate(&self.ns)
    }

    /// So many hundredths of the calls took no longer, in nanoseconds.
    pub fn percentile(&self, of: f64) -> u64 {
        self.calls.value_at_percentile(of)
    }

    /// How many times faster it is than another, in the same rounds.
    pub fn against(&self, other: &Self) -> Estimate {
        let ratios: Vec<_> = other
            .ns
            .iter()
            .zip(&self.ns)
            .map(|(other, own)| other / own)
            .collect();
        estimate(&ratios)
    }
}

/// Of positive values, whose logarithms are taken to spread evenly.
pub fn estimate(values: &[f64]) -> Estimate {
    let logs: Vec<_> = values.iter().map(|value| value.ln()).collect();
    let found: Option<Interval> = interval(&logs, CONFIDENCE);
    Estimate {
        value: hodges_lehmann(&logs).map_or(f64::NAN, f64::exp),
        interval: found.map(|found| (found.low.exp(), found.high.exp())),
    }
}

impl Estimate {
    /// Whether the worse end is at least this; `None` without an interval.
    pub fn is_at_least(&self, bar: f64) -> Option<bool> {
        self.interval.map(|(low, _)| low >= bar)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_ratio_is_that_of_the_rounds_whatever_all_of_them_share() {
        let of = |factor: f64| Measured {
            name: String::new(),
            ns: [100.0, 900.0, 110.0, 300.0, 105.0, 100.0, 2_000.0, 130.0]
                .map(|ns| ns * factor)
                .to_vec(),
            calls: histogram(),
        };
        let ratio = of(1.0).against(&of(12.0));
        assert!((ratio.value - 12.0).abs() < 1e-9, "{ratio:?}");
        assert_eq!(
            (ratio.is_at_least(11.9), ratio.is_at_least(12.1)),
            (Some(true), Some(false))
        );
        assert_eq!(
            estimate(&[1.0, 2.0]).is_at_least(1.0),
            None,
            "two rounds tell nothing"
        );
    }

    #[test]
    fn each_call_is_made_and_timed() {
        let mut calls = 0;
        let mut prepared = 0;
        let mut cases = [Case::new("count", 10, || prepared += 1, |n| calls += n)];
        let found = rounds(3, &mut cases);
        drop(cases);
        assert_eq!((found[0].ns.len(), found[0].calls.len()), (3, 30));
        assert_eq!((calls, prepared), (8 * 45, 8));
        let threads = rounds(
            2,
            &mut [Case::threads("threads", 3, 5, |n| n, |own, n| *own += n)],
        );
        assert_eq!(threads[0].calls.len(), 30);
    }

    #[test]
    fn a_round_that_does_not_count_is_made_again() {
        let (calls, mut judged_so_far) = (Cell::new(0), 0);
        let mut cases = [Case::new(
            "count",
            10,
            || (),
            |_| calls.set(calls.get() + 1),
        )];
        let found = judged(3, &mut cases, || {
            judged_so_far += 1;
            // The one that is not counted, and two of the others, are bad the first time.
            Ok::<_, Infallible>(![1, 3, 5].contains(&judged_so_far))
        });
        let Ok(found) = found;
        assert_eq!((found[0].ns.len(), found[0].calls.len()), (3, 30));
        assert_eq!((judged_so_far, calls.get()), (7, 7 * 20));
        let ended = judged(3, &mut cases, || Err("broken"));
        assert_eq!(ended.map(|_| ()), Err("broken"));
    }
}
