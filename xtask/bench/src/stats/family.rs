//! Several tests at once.

/// Adjusted p-values after Holm ("A Simple Sequentially Rejective Multiple Test Procedure", 1979): whoever calls all of those at
/// most 0.05 significant is wrong about any of them in at most 5 % of families, however they hang together.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, at) in ranked(p).into_iter().enumerate() {
        least = least.max((p.len() - rank) as f64 * p[at]).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

/// q-values after Benjamini and Hochberg ("Controlling the False Discovery Rate", 1995): of those at most 0.05, 5 % are expected
/// to be false.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut most: f64 = 1.0;
    for (rank, at) in ranked(p).into_iter().enumerate().rev() {
        most = most.min(p[at] * p.len() as f64 / (rank + 1) as f64);
        adjusted[at] = most;
    }
    adjusted
}

/// The places, by their value.
fn ranked(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|one, other| p[*one].total_cmp(&p[*other]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: Vec<f64>, expect: &[f64]) {
        assert_eq!(found.len(), expect.len());
        for (found, expect) in found.iter().zip(expect) {
            assert!((found - expect).abs() < 1e-9, "{found} instead of {expect}");
        }
    }

    /// What `p.adjust` of R gives.
    #[test]
    fn the_adjusted_values_are_those_of_r() {
        check(holm(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
        check(holm(&[0.5, 0.9]), &[1.0, 1.0]);
        check(
            benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]),
            &[0.02, 0.04, 0.04, 0.02],
        );
        check(benjamini_hochberg(&[0.5, 0.9]), &[0.9, 0.9]);
    }

    #[test]
    fn one_test_is_not_adjusted() {
        check(holm(&[0.04]), &[0.04]);
        check(benjamini_hochberg(&[0.04]), &[0.04]);
        check(holm(&[]), &[]);
    }
}
