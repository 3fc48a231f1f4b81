//! Medians with their spread.

use hdrhistogram::Histogram;
use serde::Serialize;

/// The middle of some values, and how far they reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (below, above) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        Self {
            median: f64::midpoint(sorted[below], sorted[above]),
            least: sorted[0],
            most: sorted[sorted.len() - 1],
        }
    }
}

/// A histogram of times in nanoseconds, up to a minute, with three digits.
pub(crate) fn times() -> Result<Histogram<u64>, String> {
    Histogram::new_with_max(60_000_000_000, 3).map_err(|error| error.to_string())
}

/// Four digits that matter.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.001 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_between_the_two() {
        let check = |values: &[f64], median, least, most| {
            assert_eq!(
                Spread::of(values),
                Spread {
                    median,
                    least,
                    most
                }
            );
        };
        check(&[3.0], 3.0, 3.0, 3.0);
        check(&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0);
        check(&[4.0, 1.0, 2.0, 8.0], 3.0, 1.0, 8.0);
    }

    #[test]
    fn numbers_show_the_digits_that_matter() {
        let check = |value, text| assert_eq!(shown(value), text);
        check(1932.4, "1932");
        check(24.04, "24.0");
        check(1.0846, "1.085");
        check(0.0, "0.000");
        check(0.000_052, "5.2e-5");
    }
}
