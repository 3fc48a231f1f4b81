//! The Hodges-Lehmann estimate and its exact interval (Hodges and Lehmann, "Estimates of Location Based on Rank Tests", 1963).
//!
//! Of `n` differences there are `n(n+1)/2` Walsh averages, the means of all pairs, each value paired with itself too. Their
//! median is the estimate. If the differences are symmetric about their centre, the number of Walsh averages below it has the
//! distribution of Wilcoxon's signed-rank statistic, which is counted here exactly; so the k-th smallest and the k-th largest
//! average are an interval with a confidence that is known, for every `n`, without random numbers.

/// The estimate: the median of the Walsh averages. `None` without values.
pub fn hodges_lehmann(values: &[f64]) -> Option<f64> {
    super::median(&walsh(values))
}

/// An interval for the centre of symmetric differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How often such intervals hold the centre: at least what was asked for.
    pub confidence: f64,
}

impl Interval {
    /// Half of its width.
    pub fn half_width(self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// The shortest exact interval with at least this confidence, such as 0.95; `None` where so few values cannot reach it.
///
/// Six values are the fewest that reach 0.95.
pub fn interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let tail = (1.0 - confidence) / 2.0;
    let below = cumulative(values.len());
    // How many of the smallest sums of ranks are rarer than the tail.
    let k = below.iter().take_while(|share| **share <= tail).count();
    let averages = walsh(values);
    let last = averages.len().checked_sub(k)?;
    let low = *averages.get(k.checked_sub(1)?)?;
    Some(Interval {
        low,
        high: *averages.get(last)?,
        confidence: 1.0 - 2.0 * below[k - 1],
    })
}

/// How likely differences as far above `bound`, or farther, are if their centre is not above it: the exact one-sided signed-rank
/// test. What equals the bound speaks against.
///
/// It agrees with [`interval`]: the lower end is above the bound exactly if this is at most half of what the confidence leaves.
pub fn p_above(values: &[f64], bound: f64) -> f64 {
    let against = walsh(values).partition_point(|average| *average <= bound);
    cumulative(values.len())
        .get(against)
        .copied()
        .unwrap_or(1.0)
}

/// The Walsh averages in order.
fn walsh(values: &[f64]) -> Vec<f64> {
    let pairs = values.iter().enumerate();
    let mut averages: Vec<f64> = pairs
        .flat_map(|(at, one)| values[at..].iter().map(|other| f64::midpoint(*one, *other)))
        .collect();
    averages.sort_by(f64::total_cmp);
    averages
}

/// How likely a sum of signed ranks of `n` values is to be at most its index, without an effect.
fn cumulative(n: usize) -> Vec<f64> {
    let mut shares = vec![0.0; n * (n + 1) / 2 + 1];
    shares[0] = 1.0;
    for rank in 1..=n {
        // Each rank counts or does not, with the same chance.
        for sum in (0..shares.len()).rev() {
            let with = sum.checked_sub(rank).map_or(0.0, |rest| shares[rest]);
            shares[sum] = f64::midpoint(shares[sum], with);
        }
    }
    let mut total = 0.0;
    for share in &mut shares {
        total += *share;
        *share = total;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order statistics of the published tables of 95 % intervals, with their exact confidence in per cent (Hollander,
    /// Wolfe and Chicken, "Nonparametric Statistical Methods", table A.4).
    #[test]
    fn the_intervals_are_those_of_the_tables() {
        let check = |n: usize, k: usize, confidence: f64| {
            // Powers of three: no two Walsh averages are equal.
            let values: Vec<f64> = (0..n).map(|at| 3f64.powi(at as i32)).collect();
            let averages = walsh(&values);
            let found = interval(&values, 0.95).unwrap_or_else(|| panic!("{n} values suffice"));
            assert_eq!(found.low, averages[k - 1], "{n}");
            assert_eq!(found.high, averages[averages.len() - k], "{n}");
            assert!(
                (found.confidence * 100.0 - confidence).abs() < 0.06,
                "{n}: {found:?}"
            );
        };
        check(6, 1, 96.9);
        check(7, 3, 95.3);
        check(8, 4, 96.1);
        check(10, 9, 95.1);
        check(12, 14, 95.8);
        check(16, 30, 95.6);
        check(20, 53, 95.2);
        check(30, 138, 95.0);
    }

    #[test]
    fn too_few_values_have_no_interval() {
        for n in 0..6 {
            let values: Vec<f64> = (0..n).map(f64::from).collect();
            assert_eq!(interval(&values, 0.95), None, "{n}");
        }
    }

    /// Critical values of the one-sided test at 0.025 (Wilcoxon and Wilcox, 1964): the largest sum of ranks against that is still
    /// significant.
    #[test]
    fn the_chances_are_those_of_the_tables() {
        let check = |n: usize, critical: usize| {
            let below = cumulative(n);
            assert!(below[critical] <= 0.025, "{n}");
            assert!(below[critical + 1] > 0.025, "{n}");
        };
        let table = [
            (6, 0),
            (7, 2),
            (8, 3),
            (9, 5),
            (10, 8),
            (15, 25),
            (20, 52),
            (25, 89),
        ];
        for (n, critical) in table {
            check(n, critical);
        }
    }

    /// Darwin's differences between crossed and self-fertilised plants, in eighths of an inch: the sum of ranks against is 24 and
    /// the two-sided exact p is 0.0413, as in the literature.
    #[test]
    fn darwins_plants_differ_as_published() {
        let plants = [
            49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0,
            -48.0,
        ];
        let p = 2.0 * p_above(&plants, 0.0);
        assert!((p - 0.0413).abs() < 0.0001, "{p}");
        assert_eq!(hodges_lehmann(&plants), Some(25.0));
    }

    #[test]
    fn the_test_and_the_interval_agree() {
        let values = [0.3, 1.2, -0.4, 2.2, 0.9, 1.7, 0.1, 0.8, -0.2, 1.1];
        let found = interval(&values, 0.95).expect("ten values suffice");
        for step in -200..200 {
            let bound = f64::from(step) / 100.0;
            assert_eq!(
                found.low > bound,
                p_above(&values, bound) <= 0.025,
                "{bound}"
            );
        }
    }

    #[test]
    fn without_values_nothing_is_likely_to_differ() {
        assert_eq!(p_above(&[], 0.0), 1.0);
        assert_eq!(hodges_lehmann(&[]), None);
    }
}
