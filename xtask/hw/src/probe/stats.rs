//! What is computed from samples. Pure, so that tests have recorded ones.

use serde::{Deserialize, Serialize};

/// The percentiles of samples.
///
/// A percentile is only told where two samples lie beyond it: of fewer it would be the maximum under another name. How far to
/// trust it, `n` says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// How many samples there are.
    pub n: usize,
    /// The least.
    pub min: f64,
    /// Half of them are less.
    pub p50: f64,
    /// 1 % are more. Nothing below 200 samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// 0.1 % are more. Nothing below 2,000 samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999: Option<f64>,
    /// The most.
    pub max: f64,
    /// The median of how far they are from the median, as it is: not scaled to a standard deviation.
    pub mad: f64,
}

/// Samples that have to lie beyond a percentile.
const BEYOND: f64 = 2.0;

impl Summary {
    /// Of these samples, or nothing if there are none. O(n log n).
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut samples: Vec<f64> = samples
            .into_iter()
            .filter(|sample| sample.is_finite())
            .collect();
        samples.sort_by(f64::total_cmp);
        let (min, max) = (*samples.first()?, *samples.last()?);
        let p50 = quantile(&samples, 0.5)?;
        let mut apart: Vec<f64> = samples.iter().map(|sample| (sample - p50).abs()).collect();
        apart.sort_by(f64::total_cmp);
        let told = |q: f64| {
            if samples.len() as f64 * (1.0 - q) >= BEYOND - 1e-6 {
                quantile(&samples, q)
            } else {
                None
            }
        };
        Some(Summary {
            n: samples.len(),
            min,
            p50,
            p99: told(0.99),
            p999: told(0.999),
            max,
            mad: quantile(&apart, 0.5)?,
        })
    }

    /// Without the first tenth of the samples, in which caches and frequencies settle.
    pub fn of_settled(samples: &[f64]) -> Option<Summary> {
        Summary::of(samples[samples.len() / 10..].iter().copied())
    }

    /// The same with each number multiplied.
    #[must_use]
    pub fn scaled(self, by: f64) -> Summary {
        let Summary {
            n,
            min,
            p50,
            p99,
            p999,
            max,
            mad,
        } = self;
        Summary {
            n,
            min: min * by,
            p50: p50 * by,
            p99: p99.map(|x| x * by),
            p999: p999.map(|x| x * by),
            max: max * by,
            mad: mad * by,
        }
    }
}

/// The quantile of sorted samples, between two of them in proportion (Hyndman and Fan's type 7).
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64))
}

/// The smallest difference that this many pairs show in four of five cases, at 5 % error, for samples that deviate by `s`:
/// `2.8 s / sqrt(pairs)`.
pub fn detectable(s: f64, pairs: u32) -> f64 {
    2.8 * s / f64::from(pairs).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_between_samples_and_only_told_where_there_are_enough() {
        let summary = Summary::of((1..=101).map(f64::from)).expect("there are samples");
        assert_eq!(
            (summary.min, summary.p50, summary.max, summary.mad),
            (1.0, 51.0, 101.0, 25.0)
        );
        assert_eq!((summary.p99, summary.p999), (None, None));
        let summary = Summary::of((0..=1000).map(f64::from)).expect("there are samples");
        assert_eq!((summary.p99, summary.p999), (Some(990.0), None));
        let summary = Summary::of((0..=10_000).map(f64::from)).expect("there are samples");
        assert_eq!((summary.p99, summary.p999), (Some(9_900.0), Some(9_990.0)));
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([f64::NAN]), None);
        assert_eq!(Summary::of_settled(&[]), None);
    }

    #[test]
    fn the_first_tenth_is_left_out() {
        let mut samples = vec![1000.0; 10];
        samples.resize(100, 1.0);
        assert_eq!(Summary::of_settled(&samples).expect("samples").max, 1.0);
    }

    #[test]
    fn the_smallest_difference_shrinks_with_the_root_of_the_pairs() {
        assert!((detectable(0.03, 10) - 0.026_56).abs() < 1e-4);
        assert!((detectable(0.03, 40) * 2.0 - detectable(0.03, 10)).abs() < 1e-9);
    }
}
