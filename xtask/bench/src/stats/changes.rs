//! Where a series changes: E-divisive means with the changes of Hunter.
//!
//! E-divisive (Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data", 2014) splits a
//! series where the two sides differ most, as the energy distance says, and goes on in both parts. Hunter (Fleming et al.,
//! "Hunter: Using Change Point Detection to Hunt for Performance Regressions", 2023) asks Student's t-test whether a split is one,
//! where the original draws permutations: the same series always gives the same points. It looks at windows, because a long
//! series hides short changes; and it is generous first and strict last, because a split that is right may look weak while another
//! one is still missing.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Fewer values say nothing of a change.
pub const FEWEST: usize = 12;

/// A place from which on a series is another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The first value of what is new.
    pub at: usize,
    /// The mean from the change before it to it.
    pub before: f64,
    /// The mean from it to the next change.
    pub after: f64,
    /// How likely two parts of one series are to differ so much, if their place had not been chosen.
    pub p: f64,
}

impl ChangePoint {
    fn size(&self) -> f64 {
        (self.after - self.before).abs()
    }
}

/// Values that are looked at together.
const WINDOW: usize = 50;

/// How much weaker a split may be at first than at last.
const GENEROUS: f64 = 10.0;

/// The changes of a series whose means differ by at least `least`, with at most this chance. `None` for fewer than [`FEWEST`] values,
/// or if one is not a number.
///
/// Linear in the number of values.
pub fn change_points(values: &[f64], p: f64, least: f64) -> Option<Vec<ChangePoint>> {
    if values.len() < FEWEST || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut places = candidates(values, (p * GENEROUS).min(0.5));
    loop {
        let found = points(values, &places);
        // The weakest goes first: without it those beside it are judged anew.
        let weakest = found.iter().max_by(|a, b| a.p.total_cmp(&b.p));
        let smallest = found.iter().min_by(|a, b| a.size().total_cmp(&b.size()));
        let worst = weakest
            .filter(|point| point.p > p)
            .or(smallest.filter(|point| point.size() < least));
        let Some(at) = worst.map(|point| point.at) else {
            return Some(found);
        };
        places.retain(|place| *place != at);
    }
}

/// The splits of windows that overlap by half, in order.
fn candidates(values: &[f64], p: f64) -> Vec<usize> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < values.len() {
        let end = (start + WINDOW).min(values.len());
        let mut inside = Vec::new();
        divide(&values[start..end], start, p, &mut inside);
        let last = inside.iter().max().copied().unwrap_or(start);
        found.extend(inside);
        // What follows a change is looked at from that change on.
        start = last.max(start + WINDOW / 2);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Splits a part that begins at `offset` where it differs most, as long as the test says so.
fn divide(part: &[f64], offset: usize, p: f64, found: &mut Vec<usize>) {
    let Some(at) = split(part) else {
        return;
    };
    let (left, right) = part.split_at(at);
    if t_test(left, right) > p {
        return;
    }
    found.push(offset + at);
    divide(left, offset, p, found);
    divide(right, offset + at, p, found);
}

/// Where the energy distance of the two sides, weighted by their sizes, is the largest. Each has two values at least.
fn split(part: &[f64]) -> Option<usize> {
    let places = 2..(part.len().checked_sub(1)?);
    places
        .map(|at| (at, distance(&part[..at], &part[at..])))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(at, _)| at)
}

fn distance(left: &[f64], right: &[f64]) -> f64 {
    let between: f64 = left
        .iter()
        .flat_map(|one| right.iter().map(move |other| (one - other).abs()))
        .sum();
    let (n, m) = (left.len() as f64, right.len() as f64);
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let apart = 2.0 * between / (n * m) - within(left) / pairs(n) - within(right) / pairs(m);
    apart * n * m / (n + m)
}

fn within(side: &[f64]) -> f64 {
    let pairs = side.iter().enumerate();
    pairs
        .flat_map(|(at, one)| side[at + 1..].iter().map(move |other| (one - other).abs()))
        .sum()
}

fn points(values: &[f64], places: &[usize]) -> Vec<ChangePoint> {
    let from = |index: usize| index.checked_sub(1).map_or(0, |before| places[before]);
    let to = |index: usize| places.get(index + 1).copied().unwrap_or(values.len());
    let point = |(index, at): (usize, &usize)| {
        let (left, right) = (&values[from(index)..*at], &values[*at..to(index)]);
        ChangePoint {
            at: *at,
            before: mean(left),
            after: mean(right),
            p: t_test(left, right),
        }
    };
    places.iter().enumerate().map(point).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// How likely two samples of one normal distribution are to have means so far apart: Student's test, on both sides, with one
/// variance for both.
fn t_test(left: &[f64], right: &[f64]) -> f64 {
    let (n, m) = (left.len() as f64, right.len() as f64);
    let freedom = n + m - 2.0;
    if freedom < 1.0 || left.is_empty() || right.is_empty() {
        return 1.0;
    }
    let squares = |side: &[f64]| {
        let mean = mean(side);
        side.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    let apart = (mean(left) - mean(right)).abs();
    let spread = ((squares(left) + squares(right)) / freedom * (1.0 / n + 1.0 / m)).sqrt();
    if spread == 0.0 {
        // Without noise every difference is one.
        return if apart > 0.0 { 0.0 } else { 1.0 };
    }
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(distribution) => 2.0 * distribution.sf(apart / spread),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Noise that looks normal: the sum of twelve draws.
    fn noise(random: &mut Random) -> f64 {
        (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
    }

    /// Values around a mean for each of the steps, with this much noise.
    fn steps(means: &[(usize, f64)], spread: f64, seed: u64) -> Vec<f64> {
        let mut random = Random(seed);
        let values = means
            .iter()
            .flat_map(|(count, mean)| std::iter::repeat_n(*mean, *count));
        let values: Vec<f64> = values.collect();
        values
            .into_iter()
            .map(|mean| mean + spread * noise(&mut random))
            .collect()
    }

    fn places(values: &[f64]) -> Vec<usize> {
        let found = change_points(values, 0.001, 0.02).expect("there are enough");
        found.iter().map(|point| point.at).collect()
    }

    #[test]
    fn steps_are_found_where_they_are() {
        let check = |means: &[(usize, f64)], expect: &[usize]| {
            for seed in 0..20 {
                let values = steps(means, 0.005, seed);
                assert_eq!(places(&values), expect, "{means:?} with seed {seed}");
            }
        };
        check(&[(8, 1.0), (8, 1.1)], &[8]);
        check(&[(30, 1.0), (30, 0.9)], &[30]);
        check(&[(20, 1.0), (15, 1.1), (25, 1.0)], &[20, 35]);
        check(&[(60, 1.0), (60, 1.1), (80, 1.2)], &[60, 120]);
        // Too small to matter.
        check(&[(20, 1.0), (20, 1.01)], &[]);
    }

    #[test]
    fn a_change_says_how_large_and_how_sure_it_is() {
        let values = steps(&[(20, 100.0), (20, 90.0)], 0.5, 3);
        let [found] = change_points(&values, 0.001, 2.0).expect("there are enough")[..] else {
            panic!("there is one");
        };
        assert_eq!(found.at, 20);
        assert!((found.before - 100.0).abs() < 0.5, "{found:?}");
        assert!((found.after - 90.0).abs() < 0.5, "{found:?}");
        assert!(found.p < 1e-9, "{found:?}");
    }

    #[test]
    fn noise_alone_changes_in_few_series() {
        let changed = |seed: &u64| {
            let values = steps(&[(40, 1.0)], 0.02, *seed);
            !places(&values).is_empty()
        };
        let found = (0..500).filter(changed).count();
        assert!(found <= 25, "{found} of 500");
    }

    /// The flow of the Nile at Aswan, 1871 to 1970: since 1899 it is less (Cobb, "The Problem of the Nile: Conditional Solution to
    /// a Changepoint Problem", 1978).
    #[test]
    fn the_nile_changed_in_1899() {
        let nile = [
            1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020,
            960, 1180, 799, 958, 1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840,
            874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702, 1120,
            1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845,
            944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
            744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919,
            718, 714, 740,
        ];
        let values: Vec<f64> = nile.iter().copied().map(f64::from).collect();
        let found = change_points(&values, 0.001, 0.0).expect("there are a hundred");
        let [found] = found[..] else {
            panic!("there is one: {found:?}");
        };
        assert_eq!(1871 + found.at, 1899);
        // The means that are published with it.
        assert!((found.before - 1097.75).abs() < 0.01, "{found:?}");
        assert!((found.after - 849.97).abs() < 0.01, "{found:?}");
    }

    /// Student's own example ("The Probable Error of a Mean", 1908): hours of sleep that two drugs bring. As two samples, the
    /// literature has p = 0.0792.
    #[test]
    fn the_test_is_that_of_student() {
        let one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let p = t_test(&one, &other);
        assert!((p - 0.0792).abs() < 0.0001, "{p}");
    }

    #[test]
    fn few_values_say_nothing() {
        assert_eq!(change_points(&[1.0; 11], 0.001, 0.0), None);
        assert_eq!(change_points(&[1.0; 12], 0.001, 0.0), Some(vec![]));
        assert_eq!(change_points(&[f64::NAN; 12], 0.001, 0.0), None);
        let step: Vec<f64> = (0..12).map(|at| f64::from(u8::from(at >= 6))).collect();
        assert_eq!(places(&step), [6], "without noise");
    }
}
