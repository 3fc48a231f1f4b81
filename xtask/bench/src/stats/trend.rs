//! Whether a series goes up or down.

use statrs::distribution::{ContinuousCDF, Normal};

/// The slope of the Theil-Sen line: the median of the slopes through all pairs of points (Sen, "Estimates of the Regression
/// Coefficient Based on Kendall's Tau", 1968). `None` where no two points differ in `x`.
///
/// Quadratic in the number of points.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<f64> {
    let pairs = points.iter().enumerate();
    let slopes: Vec<f64> = pairs
        .flat_map(|(at, one)| points[at + 1..].iter().map(move |other| (one, other)))
        .filter(|(one, other)| one.0 != other.0)
        .map(|(one, other)| (other.1 - one.1) / (other.0 - one.0))
        .collect();
    super::median(&slopes)
}

/// What the test of Mann and Kendall says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Pairs that go up, less pairs that go down.
    pub s: i64,
    /// How likely a series without a trend is to give such an `s`, or one farther from 0, on either side.
    pub p: f64,
}

/// The test of Mann and Kendall for a monotonous trend (Kendall, "Rank Correlation Methods", 1975), with the correction for ties.
/// The normal approximation holds from about ten values on.
pub fn mann_kendall(values: &[f64]) -> Trend {
    let pairs = values.iter().enumerate();
    let s: i64 = pairs
        .flat_map(|(at, one)| {
            values[at + 1..]
                .iter()
                .map(move |other| other.total_cmp(one))
        })
        .map(|order| order as i64)
        .sum();
    let spread = variance(values).sqrt();
    if s == 0 || spread == 0.0 {
        return Trend { s, p: 1.0 };
    }
    // One pair nearer to 0: `s` has whole steps, the normal distribution has none.
    let z = (s.abs() - 1) as f64 / spread;
    Trend {
        s,
        p: 2.0 * Normal::standard().sf(z),
    }
}

fn variance(values: &[f64]) -> f64 {
    let term = |n: usize| (n * n.saturating_sub(1) * (2 * n + 5)) as f64;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted
        .chunk_by(|one, other| one == other)
        .map(|tie| term(tie.len()))
        .sum();
    (term(values.len()) - ties) / 18.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_ignores_points_far_away() {
        let mut points: Vec<(f64, f64)> = (0..20)
            .map(|x| (f64::from(x), f64::from(2 * x + 1)))
            .collect();
        points[7].1 = 1e9;
        points[13].1 = -1e9;
        assert_eq!(theil_sen(&points), Some(2.0));
        assert_eq!(theil_sen(&[(1.0, 2.0)]), None);
        assert_eq!(theil_sen(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }

    #[test]
    fn a_trend_is_as_unlikely_as_the_formula_says() {
        let check = |values: &[f64], s: i64, p: f64| {
            let found = mann_kendall(values);
            assert_eq!(found.s, s);
            assert!((found.p - p).abs() < 0.0005, "{found:?}");
        };
        // Ten in a row: S = 45, variance 125.
        check(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
            45,
            0.0001,
        );
        // With ties of two and of three, by hand: the variance is (798 - 18 - 66) / 18.
        check(&[23.0, 24.0, 29.0, 6.0, 29.0, 24.0, 29.0], 7, 0.3407);
        check(&[5.0; 12], 0, 1.0);
        check(&[], 0, 1.0);
    }
}
