//! The Universal Scalability Law (Gunther, "Guerrilla Capacity Planning", 2007): `X(n) = l n / (1 + s (n - 1) + k n (n - 1))`, with
//! the speed of one worker `l`, the share `s` that cannot run side by side, and the price `k` of each pair that has to agree.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{interval, median};

/// A fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Usl {
    /// Items a second of one worker.
    pub one: f64,
    /// Contention.
    pub contention: f64,
    /// Coherency.
    pub coherency: f64,
}

/// A fit of what was measured in rounds, and how sure it is.
///
/// Each round measures every number of workers, so each has a fit of its own, and their terms have signed-rank intervals: there is
/// nothing to draw, as a bootstrap would. They are exact where the terms of the rounds lie symmetrically around the true one. No
/// term is below 0, so where one is cut there they do not, and the interval is not exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fitted {
    /// The fit of the medians.
    pub law: Usl,
    /// Where contention lies, with 95 %; none for fewer than six rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contention: Option<[f64; 2]>,
    /// Where coherency lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coherency: Option<[f64; 2]>,
    /// The largest distance of a median from the law, as a share of the law.
    pub off: f64,
    /// The most workers that were measured.
    pub most: f64,
}

/// Fewer numbers of workers than this say too little of three unknowns.
pub const FEWEST: usize = 6;
/// How sure the intervals of its terms are.
const CONFIDENCE: f64 = 0.95;
/// What lies further beyond the measured numbers of workers than this many times is not told: the law is a guess there.
const BEYOND: f64 = 2.0;

impl Usl {
    /// What it says for so many workers.
    pub fn at(self, workers: f64) -> f64 {
        let pairs = workers * (workers - 1.0);
        self.one * workers / (1.0 + self.contention * (workers - 1.0) + self.coherency * pairs)
    }

    /// With how many workers it is fastest; `None` if it never becomes slower.
    pub fn best(self) -> Option<f64> {
        (self.coherency > 0.0).then(|| {
            ((1.0 - self.contention).max(0.0) / self.coherency)
                .sqrt()
                .max(1.0)
        })
    }

    /// Of workers and items a second. `None` for fewer than [`FEWEST`] different numbers of workers, or speeds that are not above 0.
    ///
    /// `n / X(n)` is linear in `1/l`, `s/l` and `k/l`, so each subset of them has a least-squares solution; the best one of those
    /// without negative terms is the fit. Errors count in relation to the speed.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let mut workers: Vec<f64> = points.iter().map(|(n, _)| *n).collect();
        workers.sort_by(f64::total_cmp);
        workers.dedup();
        if workers.len() < FEWEST || points.iter().any(|(n, x)| *n < 1.0 || *x <= 0.0) {
            return None;
        }
        // Divided by n / X, so that the right side is 1 and errors are relative.
        let row = |(n, x): &(f64, f64)| [1.0, n - 1.0, n * (n - 1.0)].map(|term| term * x / n);
        let rows: Vec<[f64; 3]> = points.iter().map(row).collect();
        let subsets = [
            [true, true, true],
            [true, true, false],
            [true, false, true],
            [true, false, false],
        ];
        let fits = subsets.into_iter().filter_map(|used| solve(&rows, used));
        let good = fits.filter(|terms| terms.iter().all(|term| *term >= 0.0) && terms[0] > 0.0);
        let error = |terms: &[f64; 3]| -> f64 {
            rows.iter().map(|row| (dot(row, terms) - 1.0).powi(2)).sum()
        };
        let [one, contention, coherency] = good.min_by(|a, b| error(a).total_cmp(&error(b)))?;
        Some(Self {
            one: 1.0 / one,
            contention: contention / one,
            coherency: coherency / one,
        })
    }
}

fn dot(row: &[f64; 3], terms: &[f64; 3]) -> f64 {
    row.iter().zip(terms).map(|(a, b)| a * b).sum()
}

/// Least squares by the normal equations, where unused terms are 0: Gauss and Jordan on three unknowns.
fn solve(rows: &[[f64; 3]], used: [bool; 3]) -> Option<[f64; 3]> {
    let mut system = [[0.0; 4]; 3];
    for (at, line) in system.iter_mut().enumerate() {
        for (other, cell) in line.iter_mut().take(3).enumerate() {
            *cell = match used[at] && used[other] {
                true => rows.iter().map(|row| row[at] * row[other]).sum(),
                false => f64::from(u8::from(at == other)),
            };
        }
        line[3] = if used[at] {
            rows.iter().map(|row| row[at]).sum()
        } else {
            0.0
        };
    }
    for at in 0..3 {
        let pivot = (at..3).max_by(|a, b| system[*a][at].abs().total_cmp(&system[*b][at].abs()))?;
        system.swap(at, pivot);
        let head = system[at];
        if head[at].abs() < 1e-300 {
            return None;
        }
        let others = system
            .iter_mut()
            .enumerate()
            .filter(|(other, _)| *other != at);
        for (_, line) in others {
            let times = line[at] / head[at];
            for (cell, from) in line.iter_mut().zip(head) {
                *cell -= times * from;
            }
        }
    }
    Some([0, 1, 2].map(|at| system[at][3] / system[at][at]))
}

impl Fitted {
    /// Of numbers of workers, and the items a second of each of them in each round. `None` as of [`Usl::fit`].
    pub fn of(workers: &[f64], rounds: &[Vec<f64>]) -> Option<Self> {
        let of = |speed: &dyn Fn(&[f64]) -> Option<f64>| {
            let speeds = rounds.iter().map(|speeds| speed(speeds));
            let points = workers.iter().zip(speeds);
            let points: Option<Vec<_>> = points.map(|(n, speed)| Some((*n, speed?))).collect();
            points
        };
        let medians = of(&median)?;
        let law = Usl::fit(&medians)?;
        let whole = rounds.iter().map(Vec::len).min()?;
        let fits: Vec<Usl> = (0..whole)
            .filter_map(|round| Usl::fit(&of(&|speeds| speeds.get(round).copied())?))
            .collect();
        let between = |term: fn(&Usl) -> f64| {
            let terms: Vec<f64> = fits.iter().map(term).collect();
            interval(&terms, CONFIDENCE).map(|found| [found.low, found.high])
        };
        let distances = medians
            .iter()
            .map(|(n, speed)| (speed / law.at(*n) - 1.0).abs());
        Some(Self {
            law,
            contention: between(|law| law.contention),
            coherency: between(|law| law.coherency),
            off: distances.fold(0.0, f64::max),
            most: workers.iter().copied().fold(0.0, f64::max),
        })
    }
}

impl fmt::Display for Fitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, most, off, .. } = self;
        let term = |name: &str, value: f64, between: Option<[f64; 2]>, digits: usize| match between
        {
            Some([low, high]) => {
                let hint = if low > 0.0 {
                    ""
                } else {
                    ", not to be told from 0"
                };
                format!("{name} {value:.digits$} [{low:.digits$} - {high:.digits$}]{hint}")
            }
            None => format!("{name} {value:.digits$}"),
        };
        write!(
            f,
            "{}; {}; ",
            term("contention", law.contention, self.contention, 4),
            term("coherency", law.coherency, self.coherency, 6)
        )?;
        match law
            .best()
            .filter(|_| self.coherency.is_none_or(|[low, _]| low > 0.0))
        {
            Some(best) if best > most * BEYOND => write!(
                f,
                "fastest with more than {:.0} workers, of which at most {most:.0} were measured",
                most * BEYOND
            )?,
            Some(best) => write!(f, "fastest with about {best:.0} workers")?,
            None => f.write_str("no number of workers is known to be too large")?,
        }
        write!(f, "; what was measured is at most {:.1} % off", off * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_is_found_in_its_own_points() {
        let check = |one: f64, contention: f64, coherency: f64| {
            let law = Usl {
                one,
                contention,
                coherency,
            };
            let points: Vec<(f64, f64)> = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
                .map(|n| (n, law.at(n)))
                .into();
            let found = Usl::fit(&points).expect("there are six");
            assert!((found.one / one - 1.0).abs() < 1e-6, "{found:?}");
            assert!((found.contention - contention).abs() < 1e-6, "{found:?}");
            assert!((found.coherency - coherency).abs() < 1e-6, "{found:?}");
        };
        check(1000.0, 0.05, 0.002);
        check(1000.0, 0.0, 0.0);
        check(3.5, 0.2, 0.0);
        check(2e6, 0.0, 0.01);
    }

    #[test]
    fn it_is_fastest_where_one_more_costs_what_it_brings() {
        let law = Usl {
            one: 1.0,
            contention: 0.1,
            coherency: 0.009,
        };
        assert!((law.best().expect("it becomes slower") - 10.0).abs() < 1e-9);
        let linear = Usl {
            one: 1.0,
            contention: 0.0,
            coherency: 0.0,
        };
        assert_eq!(linear.best(), None);
    }

    /// Rounds of a law, each of them a little off.
    fn rounds(law: Usl, workers: &[f64]) -> Vec<Vec<f64>> {
        let off = [0.99, 1.01, 1.0, 0.985, 1.015, 1.005, 0.995];
        let speed = |n: f64, round: usize| law.at(n) * off[(round + 3 * n as usize) % off.len()];
        let each = workers
            .iter()
            .map(|n| (0..off.len()).map(|round| speed(*n, round)).collect());
        each.collect()
    }

    #[test]
    fn terms_lie_in_their_intervals_and_zero_is_told() {
        let workers = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0];
        let check = |contention: f64, coherency: f64, told: &[&str]| {
            let law = Usl {
                one: 1e6,
                contention,
                coherency,
            };
            let found = Fitted::of(&workers, &rounds(law, &workers)).expect("there are eight");
            let holds = |between: Option<[f64; 2]>, value: f64| {
                let [low, high] = between.expect("there are seven rounds");
                low <= value + 1e-3 && value - 1e-3 <= high
            };
            assert!(holds(found.contention, contention), "{found:?}");
            assert!(holds(found.coherency, coherency), "{found:?}");
            assert!(found.off < 0.03, "{found:?}");
            let text = found.to_string();
            for told in told {
                assert!(text.contains(told), "{text}");
            }
        };
        check(0.1, 0.01, &["fastest with about 9 workers", "at most"]);
        check(
            0.2,
            0.0,
            &[
                "not to be told from 0",
                "no number of workers is known to be too large",
            ],
        );
        check(0.05, 0.0006, &["fastest with more than 32 workers"]);
    }

    #[test]
    fn few_rounds_have_no_intervals() {
        let workers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let one: Vec<Vec<f64>> = workers.iter().map(|n| vec![*n * 10.0; 3]).collect();
        let found = Fitted::of(&workers, &one).expect("there are six");
        assert_eq!((found.contention, found.coherency), (None, None));
        assert_eq!(Fitted::of(&workers[..2], &one[..2]), None);
        assert_eq!(Fitted::of(&workers, &vec![Vec::new(); 6]), None);
    }

    #[test]
    fn few_points_are_not_fitted() {
        assert_eq!(Usl::fit(&[(1.0, 1.0), (2.0, 1.9)]), None);
        assert_eq!(Usl::fit(&[(1.0, 0.0); 8]), None);
    }

    #[test]
    fn faster_than_linear_has_no_negative_terms() {
        let points: Vec<(f64, f64)> = (1..=8)
            .map(f64::from)
            .map(|n| (n, n * (1.0 + 0.02 * n)))
            .collect();
        let found = Usl::fit(&points).expect("there are eight");
        assert!(
            found.contention >= 0.0 && found.coherency >= 0.0,
            "{found:?}"
        );
    }
}
