//! Counts of what happens or does not.

use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF};

/// How likely at least `k` of `n` are where each is with probability `p`. 1 where there is no such distribution.
pub fn binomial_at_least(n: usize, k: usize, p: f64) -> f64 {
    match (k.checked_sub(1), Binomial::new(p, n as u64)) {
        (Some(below), Ok(binomial)) => binomial.sf(below as u64),
        _ => 1.0,
    }
}

/// The exact interval for a share of which `k` of `n` were seen (Clopper and Pearson, "The Use of Confidence or Fiducial Limits
/// Illustrated in the Case of the Binomial", 1934). `None` where `k` is more than `n`, and of nothing.
pub fn binomial_interval(n: usize, k: usize, confidence: f64) -> Option<[f64; 2]> {
    let others = n.checked_sub(k).filter(|_| n > 0)?;
    let tail = (1.0 - confidence) / 2.0;
    let at = |a: usize, b: usize, q: f64| Some(Beta::new(a as f64, b as f64).ok()?.inverse_cdf(q));
    let low = if k == 0 {
        0.0
    } else {
        at(k, others + 1, tail)?
    };
    let high = if others == 0 {
        1.0
    } else {
        at(k + 1, others, 1.0 - tail)?
    };
    Some([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chances_are_those_of_coins() {
        let check = |n, k, p, expect: f64| {
            let found = binomial_at_least(n, k, p);
            assert!((found - expect).abs() < 1e-9, "{n} {k}: {found}");
        };
        check(2, 0, 0.5, 1.0);
        check(2, 1, 0.5, 0.75);
        check(2, 2, 0.5, 0.25);
        check(10, 1, 0.1, 1.0 - 0.9f64.powi(10));
        check(2, 3, 0.5, 0.0);
    }

    /// Ten of a hundred, and none and all of ten, as published tables have them.
    #[test]
    fn the_intervals_are_those_of_the_tables() {
        let check = |n, k, low: f64, high: f64| {
            let found = binomial_interval(n, k, 0.95).expect("there is one");
            let near = (found[0] - low).abs() < 5e-5 && (found[1] - high).abs() < 5e-5;
            assert!(near, "{k} of {n}: {found:?}");
        };
        check(100, 10, 0.0490, 0.1762);
        check(10, 0, 0.0, 0.3085);
        check(10, 10, 0.6915, 1.0);
        assert_eq!(binomial_interval(0, 0, 0.95), None);
        assert_eq!(binomial_interval(1, 2, 0.95), None);
    }
}
