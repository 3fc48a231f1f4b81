//! The statistics of verdicts: exact where they can be, robust against single bad blocks, and without random numbers.

mod binomial;
mod changes;
mod family;
mod power;
mod rank;
mod trend;
mod usl;

pub use binomial::{binomial_at_least, binomial_interval};
pub use changes::{ChangePoint, FEWEST as FEWEST_POINTS, change_points};
pub use family::{benjamini_hochberg, holm};
pub use power::{minimal_detectable_effect, standard_deviation};
pub use rank::{Interval, hodges_lehmann, interval, p_above};
pub use trend::{Trend, mann_kendall, theil_sen};
pub use usl::{FEWEST as FEWEST_WORKERS, Fitted, Usl};

/// The middle value, or the mean of the two in the middle; `None` if there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = sorted.len().checked_sub(1)? / 2;
    Some(f64::midpoint(sorted[below], sorted[sorted.len() / 2]))
}

/// The median of the distances from the median; `None` if there are no values.
pub fn median_deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&distances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let check = |values: &[f64], expect| assert_eq!(median(values), expect, "{values:?}");
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 8.0], Some(3.0));
    }

    #[test]
    fn one_value_far_away_does_not_move_the_deviation() {
        assert_eq!(median_deviation(&[1.0, 2.0, 3.0, 4.0, 1e9]), Some(1.0));
        assert_eq!(median_deviation(&[]), None);
    }
}
