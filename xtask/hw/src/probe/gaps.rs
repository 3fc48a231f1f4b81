//! Gaps in which a thread that never sleeps did not run: how many, how long, and whether they come at regular times.

/// Gaps on one cpu, as (when it began, how long it was), in nanoseconds, ascending by when.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    /// How long was looked.
    pub looked: f64,
    /// The gaps.
    pub gaps: Vec<(f64, f64)>,
}

impl Gaps {
    /// The part of the time that was taken away.
    pub fn stolen(&self) -> f64 {
        if self.looked > 0.0 {
            self.lengths().sum::<f64>() / self.looked
        } else {
            0.0
        }
    }

    /// Gaps in a second.
    pub fn per_second(&self) -> f64 {
        if self.looked > 0.0 {
            self.gaps.len() as f64 * 1e9 / self.looked
        } else {
            0.0
        }
    }

    /// How long each was.
    pub fn lengths(&self) -> impl Iterator<Item = f64> {
        self.gaps.iter().map(|(_, length)| *length)
    }

    /// For lengths from the shortest to the longest gap, how many in a second were at least as long: the complement of the
    /// cumulative distribution. At most as many points as asked for, evenly over the logarithm of the length, the ends always.
    pub fn at_least(&self, points: usize) -> Vec<(f64, f64)> {
        let mut lengths: Vec<f64> = self.lengths().collect();
        lengths.sort_by(f64::total_cmp);
        let (Some(first), Some(last)) = (lengths.first(), lengths.last()) else {
            return Vec::new();
        };
        let steps = points.max(2) - 1;
        let mut curve: Vec<(f64, f64)> = (0..=steps)
            .map(|step| {
                // The ends exactly, because a power rounds.
                let length = match step {
                    0 => *first,
                    step if step == steps => *last,
                    step => first * (last / first).powf(step as f64 / steps as f64),
                };
                let longer = lengths.len() - lengths.partition_point(|other| *other < length);
                (length, longer as f64 * 1e9 / self.looked)
            })
            .collect();
        curve.dedup();
        curve
    }

    /// How far apart gaps come, in nanoseconds, if they come regularly: the lag at which their times agree most with themselves
    /// (the autocorrelation of their counts in bins of 100 us), between 500 us and a tenth of the time looked. Ticks of the scheduler
    /// show as their period: 4 ms is 250 Hz.
    pub fn period(&self) -> Option<f64> {
        const BIN: f64 = 100_000.0;
        const LEAST_LAG: usize = 5;
        /// Below this, what agrees may be chance.
        const LEAST: f64 = 0.3;
        let bins = (self.looked / BIN) as usize;
        let lags = (bins / 10).min(2_000);
        let mut counts = vec![0.0; bins];
        for (when, _) in &self.gaps {
            if let Some(count) = counts.get_mut((when / BIN) as usize) {
                *count += 1.0;
            }
        }
        let mean = counts.iter().sum::<f64>() / bins.max(1) as f64;
        counts.iter_mut().for_each(|count| *count -= mean);
        let all: f64 = counts.iter().map(|count| count * count).sum();
        if all <= 0.0 {
            return None;
        }
        let agrees = |lag: usize| {
            let pairs = counts.iter().zip(&counts[lag..]);
            // Over as many bins as there are pairs, or long lags would look as if they agreed less.
            pairs.map(|(a, b)| a * b).sum::<f64>() / all * bins as f64 / (bins - lag) as f64
        };
        let found: Vec<(usize, f64)> = (LEAST_LAG..=lags).map(|lag| (lag, agrees(lag))).collect();
        let most = found
            .iter()
            .map(|(_, agrees)| *agrees)
            .fold(LEAST, f64::max);
        // Multiples of a period agree as well: the first that does nearly as well as the best is the period.
        let (lag, _) = found
            .into_iter()
            .find(|(_, agrees)| *agrees >= most * 0.8)?;
        Some(lag as f64 * BIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gaps every `every` ns for two seconds, and some that come at no regular time.
    fn ticking(every: f64) -> Gaps {
        let looked = 2e9;
        let mut gaps: Vec<(f64, f64)> = (1..)
            .map(|n| (f64::from(n) * every, 3_000.0))
            .take_while(|(when, _)| *when < looked)
            .collect();
        // A linear congruential generator's first numbers.
        let mut state = 7u64;
        for _ in 0..60 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            gaps.push(((state >> 33) as f64 % looked, 40_000.0));
        }
        gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
        Gaps { looked, gaps }
    }

    #[test]
    fn ticks_of_the_scheduler_are_found_among_other_gaps() {
        for (hertz, every) in [(250.0, 4e6), (1000.0, 1e6), (100.0, 10e6)] {
            let period = ticking(every).period();
            assert_eq!(period, Some(every), "{hertz} Hz");
        }
    }

    #[test]
    fn what_comes_at_no_regular_time_has_no_period() {
        let mut gaps = ticking(4e6);
        gaps.gaps.retain(|(_, length)| *length > 10_000.0);
        assert_eq!(gaps.period(), None);
        assert_eq!(Gaps::default().period(), None);
    }

    #[test]
    fn the_curve_counts_gaps_that_are_at_least_as_long() {
        let gaps = Gaps {
            looked: 1e9,
            gaps: vec![
                (0.0, 1_000.0),
                (1e6, 1_000.0),
                (2e6, 10_000.0),
                (3e6, 100_000.0),
            ],
        };
        assert_eq!(
            gaps.at_least(3),
            [(1_000.0, 4.0), (10_000.0, 2.0), (100_000.0, 1.0)]
        );
        assert!((gaps.stolen() - 112e-6).abs() < 1e-9);
        assert_eq!(gaps.per_second(), 4.0);
        assert!(Gaps::default().at_least(10).is_empty());
    }
}
