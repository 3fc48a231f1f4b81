//! How small an effect can be and still be found.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// How often an effect of the minimal detectable size is found.
const POWER: f64 = 0.8;

/// The standard deviation of a sample; 0 for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// The smallest true difference that a two-sided test at `alpha` finds in 80 % of comparisons as noisy as these differences:
/// `(t(1 - alpha/2) + t(0.8)) s / sqrt(n)`. `None` for fewer than two differences.
pub fn minimal_detectable_effect(differences: &[f64], alpha: f64) -> Option<f64> {
    let n = differences.len();
    let t = StudentsT::new(0.0, 1.0, n.checked_sub(1)? as f64).ok()?;
    let quantiles = t.inverse_cdf(1.0 - alpha / 2.0) + t.inverse_cdf(POWER);
    Some(quantiles * standard_deviation(differences) / (n as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let found = standard_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert!((found - 2.138).abs() < 0.001, "{found}");
        assert_eq!(standard_deviation(&[3.0]), 0.0);
    }

    /// 3 % from block to block: ten blocks find 3.0 %, twenty 2.0 %.
    #[test]
    fn more_blocks_find_less() {
        let check = |n: usize, expect: f64| {
            // Half of them are as far above as the others are below.
            let away = 0.03 * ((n - 1) as f64 / n as f64).sqrt();
            let values: Vec<f64> = (0..n)
                .map(|at| if at % 2 == 0 { away } else { -away })
                .collect();
            let found = minimal_detectable_effect(&values, 0.05).expect("there are differences");
            assert!((found - expect).abs() < 0.0005, "{n}: {found}");
        };
        check(10, 0.0298);
        check(20, 0.0198);
    }

    #[test]
    fn one_block_tells_nothing_of_noise() {
        assert_eq!(minimal_detectable_effect(&[0.1], 0.05), None);
        assert_eq!(minimal_detectable_effect(&[], 0.05), None);
    }
}
