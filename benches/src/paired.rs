//! Paired runs: contenders take turns in one process, and each round's times are compared with that round's baseline.
//!
//! A machine that is slow for a minute is slow for all of them, so ratios are steadier than times. What is printed is the
//! median of the rounds' ratios, with the smallest and the largest.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// One way to do the work.
pub struct Contender<'a> {
    name: &'a str,
    /// The least ratio to the baseline's speed that is wanted, if one is.
    bar: Option<f64>,
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` does the work once and checks its result.
    pub fn new(name: &'a str, run: impl FnMut() + 'a) -> Self {
        Self {
            name,
            bar: None,
            run: Box::new(run),
        }
    }

    /// The least ratio to the baseline's speed that is wanted.
    pub fn bar(mut self, ratio: f64) -> Self {
        self.bar = Some(ratio);
        self
    }
}

impl fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What came out for one contender.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Median, least and greatest time.
    pub times: [Duration; 3],
    /// Median, least and greatest speed against the baseline of the same round.
    pub ratios: [f64; 3],
    /// The least ratio that is wanted, if one is.
    pub bar: Option<f64>,
    /// The time of each round, in the order of the rounds.
    pub rounds: Vec<Duration>,
}

impl Outcome {
    /// Does the median reach the bar?
    pub fn is_met(&self) -> bool {
        self.bar.is_none_or(|bar| self.ratios[0] >= bar)
    }
}

/// Runs the baseline and the contenders `rounds` times, taking turns, after one round that is not counted.
pub fn compare(
    rounds: usize,
    baseline: Contender<'_>,
    contenders: Vec<Contender<'_>>,
) -> Vec<Outcome> {
    let mut all = vec![baseline];
    all.extend(contenders);
    let mut times = vec![Vec::new(); all.len()];
    for round in 0..=rounds {
        // Every other round goes backwards, so that none always follows the same one.
        let order: Vec<usize> = if round % 2 == 0 {
            (0..all.len()).collect()
        } else {
            (0..all.len()).rev().collect()
        };
        for i in order {
            let begun = Instant::now();
            (all[i].run)();
            if round > 0 {
                times[i].push(begun.elapsed());
            }
        }
    }
    let baseline = times[0].clone();
    all.iter()
        .zip(times)
        .map(|(contender, times)| outcome(contender, &times, &baseline))
        .collect()
}

fn outcome(contender: &Contender<'_>, times: &[Duration], baseline: &[Duration]) -> Outcome {
    let mut ratios: Vec<f64> = times
        .iter()
        .zip(baseline)
        .map(|(time, base)| base.as_secs_f64() / time.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let rounds = times.to_vec();
    let mut times = times.to_vec();
    times.sort();
    let middle = times.len() / 2;
    Outcome {
        name: contender.name.to_owned(),
        times: [times[middle], times[0], times[times.len() - 1]],
        ratios: [ratios[middle], ratios[0], ratios[ratios.len() - 1]],
        bar: contender.bar,
        rounds,
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = self.ratios;
        let ms = self.times[0].as_secs_f64() * 1e3;
        write!(
            f,
            "{:<34} {ms:>9.2} ms   {median:>5.3}x [{least:.3} - {most:.3}]",
            self.name
        )?;
        match self.bar {
            Some(bar) if self.is_met() => write!(f, "   bar {bar:.2}x met"),
            Some(bar) => write!(f, "   bar {bar:.2}x MISSED"),
            None => Ok(()),
        }
    }
}
