//! How often a difference is found where there is one, and where there is none.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::Trials;
use crate::{
    error::Error,
    guards::{Guards, Reason},
    protocol::{Plant, Request},
    session::{Plan, Rules, Side, run},
    stats::{binomial_at_least, median},
    verdict::{Differences, judge},
};

/// What a comparison said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Compared {
    /// By how many per cent the stage was slower in B.
    pub(super) percent: f64,
    /// Why it was given up.
    pub(super) refused: Option<String>,
    /// How much worse B was, as a share.
    pub(super) estimate: f64,
    /// The change that it claims to find; none where there are too few blocks for one.
    pub(super) mde: Option<f64>,
    /// The verdict without a band: is there any difference?
    pub(super) strict: String,
    /// The verdict with the band of the metric.
    pub(super) banded: String,
    /// How many trials were disturbed, by the reason.
    pub(super) disturbed: BTreeMap<Reason, usize>,
}

/// What is compared.
pub(super) const SCENARIO: &str = "throughput/events";
const METRIC: &str = "throughput";

/// Blocks of a comparison: as many as a full one has at least.
pub(super) const BLOCKS: usize = 12;
/// Milliseconds of a trial: warming up, and what counts. Many short trials see more of what a machine does than a few long ones.
const TRIAL_MS: [u64; 2] = [10, 40];
const SHORT_MS: [u64; 2] = [2, 10];

pub(super) fn trial_ms(short: bool) -> [u64; 2] {
    if short { SHORT_MS } else { TRIAL_MS }
}

/// Compares the pipeline with itself, whose stage `price` is so many per cent slower in B.
pub(super) fn compare(trials: &Trials, percent: f64, seed: u64) -> Result<Compared, Error> {
    let plan = Plan {
        fewest: BLOCKS,
        most: BLOCKS,
        budget: Duration::MAX,
        seed,
        repeats: Guards::default().repeats,
    };
    let rules = Rules {
        band: [(METRIC.to_owned(), 0.0)].into(),
        gate: Some(vec![METRIC.to_owned()]),
        widen: 1.0,
    };
    let [warmup_ms, measure_ms] = trial_ms(trials.short);
    let request = |side: Side, seed: u64| Request {
        plant: (side == Side::B && percent > 0.0).then_some(Plant::Slower(percent)),
        ..Request::new(SCENARIO, seed, [warmup_ms, measure_ms])
    };
    let trial = |side, seed| trials.watched.trial(&trials.trial, &request(side, seed));
    let session = run(plan, &rules, trial, |_| Ok(()))?;
    let found = session
        .judged
        .iter()
        .find(|(differences, _)| differences.metric.name == METRIC);
    let refused = Compared {
        percent,
        refused: session.refused.clone(),
        disturbed: session.disturbed.clone(),
        strict: "refused".to_owned(),
        banded: "refused".to_owned(),
        ..Compared::default()
    };
    let (Some((differences, judged)), None) = (found, &session.refused) else {
        return Ok(refused);
    };
    let banded = Differences {
        band: differences.metric.band,
        ..differences.clone()
    };
    let banded = judge(&[banded], true).remove(0);
    Ok(Compared {
        estimate: judged.estimate.exp_m1(),
        mde: judged.mde.map(f64::exp_m1),
        strict: judged.verdict.word().to_owned(),
        banded: banded.verdict.word().to_owned(),
        ..refused
    })
}

/// The most verdicts on unchanged code that may be false.
const FALSE: f64 = 0.05;
/// How many effects of so many times what is claimed have to be found.
const FOUND: f64 = 0.95;
const TIMES: f64 = 1.5;
/// Of fewer comparisons a rate of 95 % says nothing.
const ENOUGH: usize = 20;
/// A count that is as far from its rate by chance in fewer cases is not by chance.
const CHANCE: f64 = 0.01;

/// What came of many comparisons that are alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Rates {
    /// By how many per cent the stage was slower.
    pub(super) percent: f64,
    /// Comparisons, and how many of them were refused.
    pub(super) all: usize,
    pub(super) refused: usize,
    /// The middle of what was found and of what is claimed, as shares.
    pub(super) estimate: f64,
    pub(super) mde: f64,
    /// Verdicts of any difference: worse and better.
    pub(super) strict: [usize; 2],
    /// The same with the band.
    pub(super) banded: [usize; 2],
    /// Comparisons that claimed to find two thirds of the effect or less, and how many of them found it.
    pub(super) asked: [usize; 2],
}

impl Rates {
    pub(super) fn of(all: &[&Compared]) -> Self {
        let whole: Vec<&&Compared> = all.iter().filter(|one| one.refused.is_none()).collect();
        let middle = |of: &dyn Fn(&Compared) -> Option<f64>| {
            let values: Vec<f64> = whole.iter().filter_map(|one| of(one)).collect();
            median(&values).unwrap_or(f64::NAN)
        };
        let count = |of: fn(&Compared) -> &str| {
            ["regressed", "improved"].map(|word| whole.iter().filter(|one| of(one) == word).count())
        };
        let estimate = middle(&|one| Some(one.estimate));
        // Noise comes and goes: what counts is what a comparison claims of itself.
        let asked = whole
            .iter()
            .filter(|one| one.mde.is_some_and(|mde| estimate >= TIMES * mde));
        let found = asked.clone().filter(|one| one.strict == "regressed");
        Self {
            percent: all.first().map_or(0.0, |one| one.percent),
            all: all.len(),
            refused: all.len() - whole.len(),
            estimate,
            mde: middle(&|one| one.mde),
            strict: count(|one| &one.strict),
            banded: count(|one| &one.banded),
            asked: [asked.count(), found.count()],
        }
    }

    /// Comparisons that were not refused.
    pub(super) fn judged(&self) -> usize {
        self.all - self.refused
    }

    pub(super) fn share(&self, count: usize) -> f64 {
        count as f64 / self.judged().max(1) as f64
    }

    /// Is it as it should be? `wanted` comparisons have to be judged. Of a `short` selftest the rates say nothing.
    pub(super) fn is_good(&self, wanted: usize, short: bool) -> bool {
        if self.judged() < wanted {
            return false;
        }
        if short {
            return true;
        }
        match self.percent > 0.0 {
            // What users are told is not false too often; that there is any difference is said as often as the exact test says,
            // as far as chance can tell.
            false => {
                let [strict, banded] = [self.strict, self.banded].map(|both| both[0] + both[1]);
                self.share(banded) <= FALSE
                    && (strict == 0 || binomial_at_least(self.judged(), strict, FALSE) >= CHANCE)
            }
            true => self.asked[0] < ENOUGH || self.finds(),
        }
    }

    /// As [`Rates::is_good`], where so much was planted that it has to be found.
    pub(super) fn is_found(&self, wanted: usize, short: bool) -> bool {
        self.judged() >= wanted && (short || self.asked[0] >= ENOUGH && self.finds())
    }

    /// Do comparisons find what is so much larger than they claim?
    fn finds(&self) -> bool {
        self.asked[1] as f64 >= FOUND * self.asked[0] as f64
    }

    /// In a line.
    pub(super) fn said(&self) -> String {
        let head = format!(
            "{} comparisons, {} refused; it claims to find {:.1} %",
            self.all,
            self.refused,
            100.0 * self.mde
        );
        if self.percent == 0.0 {
            let share = |both: [usize; 2]| 100.0 * self.share(both[0] + both[1]);
            return format!(
                "{head}; false verdicts: {:.1} % of any difference, {:.1} % with the band",
                share(self.strict),
                share(self.banded)
            );
        }
        let asked = match self.asked {
            [0, _] => "none claimed to find two thirds of that".to_owned(),
            [asked, found] => format!(
                "of {asked} that claimed to find two thirds of that or less, {found} did: {:.1} %",
                100.0 * found as f64 / asked as f64
            ),
        };
        format!(
            "{head}; the stage is {:.1} % slower, and the pipeline {:.1} %; found in {:.1} %, with the band in {:.1} %; {asked}",
            self.percent,
            100.0 * self.estimate,
            100.0 * self.share(self.strict[0]),
            100.0 * self.share(self.banded[0]),
        )
    }
}

/// By how many per cent the stage has to be slower for the pipeline to be slower by [`TIMES`] times what four of five comparisons of
/// unchanged code claim to find. What of a pipeline's time is the stage's is what a known slowdown shows. `None` where one of the two is
/// not known.
pub(super) fn of_the_claim(same: &[&Compared], known: &[&Compared]) -> Option<f64> {
    let mut claims: Vec<f64> = same.iter().filter_map(|one| one.mde).collect();
    claims.sort_by(f64::total_cmp);
    let claim = claims.get(claims.len() * 4 / 5)?;
    let known = Rates::of(known);
    let share = 100.0 * known.estimate / known.percent;
    // Noise can hide the share, and no stage is more than its pipeline.
    (0.1..1.5)
        .contains(&share)
        .then(|| 100.0 * TIMES * claim / share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(percent: f64, strict: &str, estimate: f64) -> Compared {
        Compared {
            percent,
            estimate,
            mde: Some(0.02),
            strict: strict.to_owned(),
            banded: strict.to_owned(),
            ..Compared::default()
        }
    }

    fn of(percent: f64, n: usize, found: usize, estimate: f64) -> Vec<Compared> {
        let one = |at| {
            let word = if at < found {
                "regressed"
            } else {
                "inconclusive"
            };
            compared(percent, word, estimate)
        };
        (0..n).map(one).collect()
    }

    fn rates(all: &[Compared]) -> Rates {
        Rates::of(&all.iter().collect::<Vec<&Compared>>())
    }

    #[test]
    fn the_rates_decide() {
        let check = |percent: f64, found: usize, estimate: f64, expect: bool| {
            let rates = rates(&of(percent, 20, found, estimate));
            assert_eq!(rates.is_good(20, false), expect, "{}", rates.said());
            assert!(!rates.is_good(21, false), "there are only twenty");
        };
        check(0.0, 1, 0.0, true);
        check(0.0, 2, 0.0, false);
        check(5.0, 19, 0.05, true);
        check(5.0, 18, 0.05, false);
        check(2.0, 3, 0.02, true);
    }

    #[test]
    fn what_was_planted_by_the_claim_has_to_be_found() {
        let check = |found: usize, estimate: f64, expect: bool| {
            let rates = rates(&of(4.0, 20, found, estimate));
            assert_eq!(rates.is_found(20, false), expect, "{}", rates.said());
        };
        check(19, 0.03, true);
        check(18, 0.03, false);
        // So little says nothing of the claim.
        check(20, 0.028, false);
    }

    #[test]
    fn a_comparison_is_asked_for_what_it_claims_itself() {
        // Twenty quiet ones find it, and ten that were noisy do not and claim so.
        let mut all = of(4.0, 20, 20, 0.04);
        all.extend(of(4.0, 10, 0, 0.04).into_iter().map(|one| Compared {
            mde: Some(0.1),
            ..one
        }));
        let rates = rates(&all);
        assert_eq!((rates.asked, rates.is_found(30, false)), ([20, 20], true));
    }

    #[test]
    fn any_difference_is_said_as_often_as_chance_allows() {
        let check = |strict: usize, expect: bool| {
            let mut all = of(0.0, 200, strict, 0.0);
            all.iter_mut()
                .for_each(|one| one.banded = "equivalent".to_owned());
            assert_eq!(rates(&all).is_good(200, false), expect, "{strict}");
        };
        check(0, true);
        check(12, true);
        check(17, true);
        // One of a hundred honest selftests has as many.
        check(19, false);
    }

    #[test]
    fn what_was_refused_does_not_count() {
        let refused = Compared {
            refused: Some("steal".to_owned()),
            ..compared(0.0, "refused", 0.0)
        };
        assert!(!Rates::of(&[&refused]).is_good(1, false));
        let mut all = of(0.0, 20, 1, 0.0);
        all.push(refused);
        let rates = rates(&all);
        assert_eq!(
            (rates.judged(), rates.refused, rates.is_good(20, false)),
            (20, 1, true)
        );
    }

    #[test]
    fn the_claim_becomes_a_slowdown_of_the_stage() {
        let (same, known) = (of(0.0, 20, 1, 0.0), of(10.0, 20, 20, 0.08));
        let check = |known: &[Compared], expect: Option<f64>| {
            let found = of_the_claim(
                &same.iter().collect::<Vec<_>>(),
                &known.iter().collect::<Vec<_>>(),
            );
            let near = match (found, expect) {
                (Some(found), Some(expect)) => (found - expect).abs() < 1e-9,
                (found, expect) => found == expect,
            };
            assert!(near, "{found:?} instead of {expect:?}");
        };
        // The stage is 80 % of the pipeline: 3 % of it are 3.75 % of the stage.
        check(&known, Some(3.75));
        check(&[], None);
        check(&of(10.0, 20, 0, -0.01), None);
    }
}
