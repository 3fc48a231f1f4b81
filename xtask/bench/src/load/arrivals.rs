//! When each item comes.
//!
//! Arrivals are made at a rate of one in a second, and moved to where the phases have brought as many: whatever the phases
//! are, constant arrivals come at equal shares of them and Poisson arrivals stay Poisson.

use serde::{Deserialize, Serialize};

use super::{Phase, phase::Piece};
use crate::random::Random;

/// How items follow each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// At distances that are drawn and know nothing of each other.
    #[default]
    Poisson,
    /// In groups of so many that come together; the groups by Poisson.
    Bursty(u32),
    /// At these times from the beginning, in nanoseconds and in order, as they were recorded; phases say nothing then.
    Trace(Vec<u64>),
}

/// The most items of a plan: it lies in memory.
const MOST: usize = 50_000_000;

/// When the items of a load come, in nanoseconds from its beginning, in order.
///
/// # Errors
///
/// Where the numbers of a phase have no meaning, a trace is not in order, or there would be more than 50 million items.
pub fn plan(arrivals: &Arrivals, phases: &[Phase], seed: u64) -> Result<Vec<u64>, String> {
    let group = match arrivals {
        Arrivals::Trace(times) if !times.is_sorted() => {
            return Err("the times of a trace are in order, from the first to the last".to_owned());
        }
        Arrivals::Trace(times) => return Ok(times.clone()),
        Arrivals::Bursty(0) => return Err("a burst has at least one item".to_owned()),
        Arrivals::Bursty(group) => *group,
        Arrivals::Constant | Arrivals::Poisson => 1,
    };
    phases.iter().try_for_each(Phase::check)?;
    let pieces: Vec<Piece> = phases.iter().flat_map(Phase::pieces).collect();
    let mut random = Random(seed);
    let mut share = 0.0;
    let mut times = Vec::new();
    let mut clock = Clock::new(&pieces);
    loop {
        share += match arrivals {
            Arrivals::Constant => 1.0,
            _ => -f64::from(group) * (1.0 - random.unit()).ln(),
        };
        let Some(at) = clock.at(share) else {
            return Ok(times);
        };
        let at = (at * 1e9) as u64;
        times.extend(std::iter::repeat_n(at, group as usize));
        if times.len() > MOST {
            return Err(format!(
                "the load has more than {MOST} items; give it less time"
            ));
        }
    }
}

/// When so many items have come.
struct Clock<'a> {
    left: &'a [Piece],
    /// Items and seconds before what is left.
    items: f64,
    seconds: f64,
}

impl<'a> Clock<'a> {
    fn new(pieces: &'a [Piece]) -> Self {
        Self {
            left: pieces,
            items: 0.0,
            seconds: 0.0,
        }
    }

    /// The time in seconds; `None` after the end. Asked in order.
    fn at(&mut self, share: f64) -> Option<f64> {
        loop {
            let (piece, rest) = self.left.split_first()?;
            let brings = piece.during * f64::midpoint(piece.from, piece.to);
            if share <= self.items + brings && brings > 0.0 {
                return Some(self.seconds + piece.after(share - self.items));
            }
            self.items += brings;
            self.seconds += piece.during;
            self.left = rest;
        }
    }
}

impl Piece {
    /// When it has brought so many items: `from t + (to - from) t^2 / 2d = items`, solved without a difference of large numbers.
    fn after(&self, items: f64) -> f64 {
        let bend = (self.to - self.from) / self.during;
        let root = (self.from * self.from + 2.0 * bend * items).max(0.0).sqrt();
        (2.0 * items / (self.from + root)).min(self.during)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(rate: f64) -> [Phase; 1] {
        [Phase::Steady {
            rate,
            during_ms: 10_000,
        }]
    }

    fn gaps(times: &[u64]) -> Vec<f64> {
        times
            .windows(2)
            .map(|two| (two[1] - two[0]) as f64)
            .collect()
    }

    /// The squared coefficient of variation of the gaps: 0 for equal ones, 1 for Poisson, more for bursts.
    fn unevenness(times: &[u64]) -> f64 {
        let gaps = gaps(times);
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64 / mean / mean
    }

    #[test]
    fn arrivals_are_as_uneven_as_they_should_be() {
        let check = |arrivals: Arrivals, least: f64, most: f64| {
            let times = plan(&arrivals, &steady(5000.0), 7).expect("it is a plan");
            assert!(
                (times.len() as f64 - 50_000.0).abs() < 3000.0,
                "{arrivals:?}: {}",
                times.len()
            );
            assert!(times.is_sorted());
            let found = unevenness(&times);
            assert!((least..=most).contains(&found), "{arrivals:?}: {found}");
        };
        check(Arrivals::Constant, 0.0, 0.001);
        check(Arrivals::Poisson, 0.95, 1.05);
        check(Arrivals::Bursty(10), 15.0, 25.0);
    }

    #[test]
    fn one_seed_gives_one_plan() {
        let of = |seed| plan(&Arrivals::Poisson, &steady(100.0), seed).expect("it is a plan");
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    #[test]
    fn a_ramp_has_more_at_its_end() {
        let ramp = Phase::Ramp {
            from: 0.0,
            to: 200.0,
            during_ms: 10_000,
        };
        let times = plan(&Arrivals::Constant, &[ramp], 0).expect("it is a plan");
        let before = times.iter().filter(|at| **at < 5_000_000_000).count();
        assert!(
            (before as i64 - 250).abs() <= 1 && (times.len() as i64 - 1000).abs() <= 1,
            "{before}"
        );
    }

    #[test]
    fn a_trace_is_played_as_it_is() {
        let trace = |times: &[u64]| plan(&Arrivals::Trace(times.to_vec()), &[], 0);
        assert_eq!(trace(&[1, 5, 5, 9]), Ok(vec![1, 5, 5, 9]));
        assert!(trace(&[5, 1]).is_err());
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        let wrong = |arrivals: Arrivals, rate: f64| plan(&arrivals, &steady(rate), 0).unwrap_err();
        wrong(Arrivals::Bursty(0), 1.0);
        wrong(Arrivals::Poisson, f64::INFINITY);
        assert!(wrong(Arrivals::Constant, 1e9).contains("less time"));
    }
}
