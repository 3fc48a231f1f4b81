//! How often a difference is found where there is one, and where there is none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Trials;
use crate::{
    error::Error,
    guards::Guards,
    process::Watched,
    protocol::{Plant, Request},
    session::{Plan, Rules, Side, run},
    stats::median,
    verdict::{Differences, judge},
};

/// What a comparison said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Compared {
    /// Why it was given up.
    refused: Option<String>,
    /// How much worse B was, as a share.
    estimate: f64,
    /// The change that it claims to find.
    mde: f64,
    /// The verdict without a band: is there any difference?
    strict: String,
    /// The verdict with the band of the metric.
    banded: String,
}

/// What is compared.
const SCENARIO: &str = "throughput/events";
const METRIC: &str = "throughput";

/// Blocks of a comparison: as many as a quick one may have.
const BLOCKS: usize = 8;

/// Compares the pipeline with itself, whose stage `price` is so many per cent slower in B.
pub(super) fn compare(trials: &Trials, percent: f64, seed: u64) -> Result<Compared, Error> {
    // What is short has too few ticks for the guards.
    let watched = Watched::new((!trials.short).then(Guards::default));
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
    let [warmup_ms, measure_ms] = if trials.short { [2, 10] } else { [20, 120] };
    let request = |side: Side, seed: u64| Request {
        scenario: SCENARIO.to_owned(),
        seed,
        warmup_ms,
        measure_ms,
        workers: None,
        load: None,
        plant: (side == Side::B && percent > 0.0).then_some(Plant::Slower(percent)),
    };
    let trial = |side, seed| watched.trial(&trials.trial, &request(side, seed));
    let session = run(plan, &rules, trial, |_| Ok(()))?;
    let found = session
        .judged
        .iter()
        .find(|(differences, _)| differences.metric.name == METRIC);
    let Some((differences, judged)) = found else {
        return Ok(Compared {
            refused: session.refused,
            estimate: 0.0,
            mde: 0.0,
            strict: "refused".to_owned(),
            banded: "refused".to_owned(),
        });
    };
    let banded = Differences {
        band: differences.metric.band,
        ..differences.clone()
    };
    let banded = judge(&[banded], true).remove(0);
    Ok(Compared {
        refused: session.refused,
        estimate: judged.estimate.exp_m1(),
        mde: judged.mde.unwrap_or(f64::INFINITY).exp_m1(),
        strict: judged.verdict.word().to_owned(),
        banded: banded.verdict.word().to_owned(),
    })
}

/// The most verdicts on unchanged code that may be false.
const FALSE: f64 = 0.05;
/// How many effects of 1.5 times what is claimed have to be found.
const FOUND: f64 = 0.95;

/// Whether it is as it should be, and what came out. Of a short selftest the rates say nothing.
pub(super) fn sum_up(percent: f64, all: &[&Compared], short: bool) -> (bool, String) {
    let whole: Vec<&&Compared> = all.iter().filter(|one| one.refused.is_none()).collect();
    let share = |is: &dyn Fn(&Compared) -> bool| {
        whole.iter().filter(|one| is(one)).count() as f64 / whole.len().max(1) as f64
    };
    let middle = |of: &dyn Fn(&Compared) -> f64| {
        let values: Vec<f64> = whole.iter().map(|one| of(one)).collect();
        median(&values).unwrap_or(f64::NAN)
    };
    let (estimate, mde) = (middle(&|one| one.estimate), middle(&|one| one.mde));
    let refused = all.len() - whole.len();
    let head = format!(
        "{} comparisons, {refused} refused; it claims to find {:.1} %",
        all.len(),
        100.0 * mde
    );
    let is = |word: &'static str, strict: bool| {
        move |one: &Compared| {
            if strict {
                one.strict == word
            } else {
                one.banded == word
            }
        }
    };
    if percent == 0.0 {
        let wrong = |strict| share(&is("regressed", strict)) + share(&is("improved", strict));
        let (strict, banded) = (wrong(true), wrong(false));
        return (
            !whole.is_empty() && (short || strict <= FALSE),
            format!(
                "{head}; false verdicts: {:.1} % of any difference, {:.1} % with the band",
                100.0 * strict,
                100.0 * banded
            ),
        );
    }
    let (found, banded) = (
        share(&is("regressed", true)),
        share(&is("regressed", false)),
    );
    let large = estimate >= 1.5 * mde;
    let good = !whole.is_empty() && (short || !large || found >= FOUND);
    (
        good,
        format!(
            "{head}; it is {:.1} % slower; found in {:.0} %, with the band in {:.0} %{}",
            100.0 * estimate,
            100.0 * found,
            100.0 * banded,
            if large {
                ""
            } else {
                "; less than 1.5 times the claim, so nothing is asked"
            }
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(strict: &str, estimate: f64) -> Compared {
        Compared {
            refused: None,
            estimate,
            mde: 0.02,
            strict: strict.to_owned(),
            banded: strict.to_owned(),
        }
    }

    #[test]
    fn the_rates_decide() {
        let check = |percent: f64, of_twenty: usize, estimate: f64, expect: bool| {
            let all: Vec<Compared> = (0..20)
                .map(|at| {
                    compared(
                        if at < of_twenty {
                            "regressed"
                        } else {
                            "inconclusive"
                        },
                        estimate,
                    )
                })
                .collect();
            let (good, said) = sum_up(percent, &all.iter().collect::<Vec<&Compared>>(), false);
            assert_eq!(good, expect, "{said}");
        };
        check(0.0, 1, 0.0, true);
        check(0.0, 2, 0.0, false);
        check(5.0, 19, 0.05, true);
        check(5.0, 18, 0.05, false);
        check(2.0, 3, 0.02, true);
    }

    #[test]
    fn nothing_but_refusals_is_no_success() {
        let refused = Compared {
            refused: Some("steal".to_owned()),
            ..compared("refused", 0.0)
        };
        assert!(!sum_up(0.0, &[&refused], false).0);
    }
}
