//! The five verdicts on a metric, from the differences of blocks.
//!
//! A metric has a band: the largest change that does not matter. It is *regressed* where the whole interval is worse than the
//! band, *improved* where it is better, *equivalent* where it lies inside, and otherwise *inconclusive*. What gates is one
//! family: with Holm's correction over it, a comparison calls anything of unchanged code regressed or improved in at most 5 %
//! of cases. Equivalence needs no correction, because all of the family have to be.
//!
//! *Refused* is what no number of blocks would settle: trials that the machine disturbed, a drift between two trials of the
//! same code, or noise that hides twice the band.

use serde::{Deserialize, Serialize};

use crate::{
    metrics::Metric,
    stats::{Interval, hodges_lehmann, holm, interval, minimal_detectable_effect, p_above},
};

/// How sure a verdict is.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// How often any verdict of a family is false.
const ALPHA: f64 = 1.0 - CONFIDENCE;

/// What is said of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Verdict {
    Regressed,
    Improved,
    Equivalent,
    /// About so many blocks more would settle it.
    Inconclusive {
        missing: usize,
    },
    /// No number of blocks would.
    Refused {
        why: String,
    },
}

impl Verdict {
    /// In one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Equivalent => "equivalent",
            Self::Inconclusive { .. } => "inconclusive",
            Self::Refused { .. } => "refused",
        }
    }
}

/// The differences of a metric, one for each block.
#[derive(Clone, Debug)]
pub(crate) struct Differences {
    pub(crate) metric: &'static Metric,
    /// How much worse B was than A.
    pub(crate) worse: Vec<f64>,
    /// How much worse the second trial of one side was than its first.
    pub(crate) drift: Vec<f64>,
    /// The largest change that does not matter.
    pub(crate) band: f64,
    /// Does it decide?
    pub(crate) gate: bool,
}

/// What is known of a metric, in the direction of `worse`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) estimate: f64,
    pub(crate) interval: Option<Interval>,
    /// The smallest change that such a comparison finds in 80 % of cases.
    pub(crate) mde: Option<f64>,
    /// How likely a difference as far from the band is without a change that matters; corrected, where it gates.
    pub(crate) p: f64,
    pub(crate) verdict: Verdict,
    /// Worse for sure, but not known to matter.
    pub(crate) suspect: bool,
}

/// Judges all metrics of one scenario. `last` says that no more blocks will come.
pub(crate) fn judge(all: &[Differences], last: bool) -> Vec<Judged> {
    // Two-sided: either direction would be told.
    let raw: Vec<f64> = all.iter().map(|one| (2.0 * beyond(one)).min(1.0)).collect();
    let gating: Vec<usize> = (0..all.len()).filter(|at| all[*at].gate).collect();
    let corrected = holm(&gating.iter().map(|at| raw[*at]).collect::<Vec<f64>>());
    let mut p = raw;
    for (at, adjusted) in gating.iter().zip(corrected) {
        p[*at] = adjusted;
    }
    let alpha = ALPHA / gating.len().max(1) as f64;
    let judge = |(one, p): (&Differences, f64)| {
        judge_one(one, p, if one.gate { alpha } else { ALPHA }, last)
    };
    all.iter().zip(p).map(judge).collect()
}

/// One-sided: of the nearer of "worse than the band" and "better than the band".
fn beyond(one: &Differences) -> f64 {
    let bound = one.metric.bound(one.band);
    let better: Vec<f64> = one.worse.iter().map(|worse| -worse).collect();
    p_above(&one.worse, bound).min(p_above(&better, bound))
}

fn judge_one(one: &Differences, p: f64, alpha: f64, last: bool) -> Judged {
    let estimate = hodges_lehmann(&one.worse).unwrap_or(0.0);
    let found = interval(&one.worse, CONFIDENCE);
    let mde = minimal_detectable_effect(&one.worse, alpha);
    let bound = one.metric.bound(one.band);
    let verdict = match found {
        None => Verdict::Inconclusive {
            missing: FEWEST.saturating_sub(one.worse.len()).max(1),
        },
        Some(_) if drifts(one, bound) => Verdict::Refused {
            why: "two trials of the same code differ by more than the band".to_owned(),
        },
        Some(_) if p <= ALPHA && estimate > bound => Verdict::Regressed,
        Some(_) if p <= ALPHA && estimate < -bound => Verdict::Improved,
        Some(found) if -bound <= found.low && found.high <= bound => Verdict::Equivalent,
        Some(found) => open(one, found, estimate, mde, last),
    };
    Judged {
        estimate,
        interval: found,
        mde,
        p,
        suspect: found.is_some_and(|found| found.low > 0.0) && verdict != Verdict::Regressed,
        verdict,
    }
}

/// The fewest blocks that an interval of 95 % takes.
pub(crate) const FEWEST: usize = 6;

fn drifts(one: &Differences, bound: f64) -> bool {
    interval(&one.drift, CONFIDENCE).is_some_and(|drift| drift.low > bound || drift.high < -bound)
        && one.band > 0.0
}

/// Not decided: how many blocks are missing, or whether it is of no use to go on.
fn open(
    one: &Differences,
    found: Interval,
    estimate: f64,
    mde: Option<f64>,
    last: bool,
) -> Verdict {
    let bound = one.metric.bound(one.band);
    let hides = mde.filter(|mde| last && one.band > 0.0 && *mde > 2.0 * bound);
    if let Some(mde) = hides {
        let shown = |worse: f64| one.metric.shown(one.metric.change(worse).abs());
        return Verdict::Refused {
            why: format!(
                "too noisy: changes below {} are not found, and the band is {}",
                shown(mde).trim_start_matches('+'),
                shown(bound).trim_start_matches('+')
            ),
        };
    }
    // The interval shrinks with the root of the number of blocks; it has to fit between the estimate and the nearer end of
    // the band. On the end itself that never comes, so it is held at a quarter of the band.
    let room = (estimate.abs() - bound)
        .abs()
        .max(bound / 4.0)
        .max(found.half_width() / 8.0);
    let n = one.worse.len();
    let wanted = (n as f64 * (found.half_width() / room).powi(2)).ceil() as usize;
    Verdict::Inconclusive {
        missing: wanted.saturating_sub(n).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics::find, random::Random};

    fn differences(name: &str, worse: &[f64]) -> Differences {
        let metric = find(name).expect("it is a metric");
        Differences {
            metric,
            worse: worse.to_vec(),
            drift: vec![0.0; worse.len()],
            band: metric.band,
            gate: true,
        }
    }

    /// Around `centre`, by at most `spread`.
    fn around(centre: f64, spread: f64, n: usize) -> Vec<f64> {
        (0..n)
            .map(|at| centre + spread * ((at * 7 % n) as f64 / (n - 1) as f64 - 0.5))
            .collect()
    }

    #[test]
    fn the_interval_and_the_band_decide() {
        let check = |worse: &[f64], expect: &str| {
            let found = &judge(&[differences("throughput", worse)], false)[0];
            assert_eq!(found.verdict.word(), expect, "{found:?}");
        };
        check(&around(0.10, 0.02, 8), "regressed");
        check(&around(-0.10, 0.02, 8), "improved");
        check(&around(0.0, 0.02, 8), "equivalent");
        check(&around(0.03, 0.03, 8), "inconclusive");
        check(&around(0.2, 0.01, 5), "inconclusive");
        check(&[], "inconclusive");
    }

    #[test]
    fn worse_for_sure_but_within_the_band_is_suspect() {
        let found = &judge(&[differences("throughput", &around(0.01, 0.01, 8))], false)[0];
        assert_eq!((found.verdict.word(), found.suspect), ("equivalent", true));
    }

    #[test]
    fn blocks_are_missing_while_the_interval_is_too_wide() {
        let check = |worse: &[f64], least: usize, most: usize| {
            let found = &judge(&[differences("throughput", worse)], false)[0];
            let Verdict::Inconclusive { missing } = found.verdict else {
                panic!("{found:?}");
            };
            assert!((least..=most).contains(&missing), "{missing}");
        };
        check(&around(0.0, 0.1, 8), 2, 60);
        check(&around(0.2, 0.01, 4), 2, 2);
    }

    #[test]
    fn noise_that_hides_twice_the_band_is_refused_at_the_end() {
        let one = differences("throughput", &around(0.0, 0.5, 8));
        let word = |last| judge(std::slice::from_ref(&one), last)[0].verdict.word();
        assert_eq!((word(false), word(true)), ("inconclusive", "refused"));
    }

    #[test]
    fn a_drift_between_trials_of_the_same_code_is_refused() {
        let mut one = differences("throughput", &around(0.1, 0.02, 8));
        one.drift = around(0.08, 0.01, 8);
        assert_eq!(judge(&[one], false)[0].verdict.word(), "refused");
    }

    #[test]
    fn counts_are_exact() {
        let check = |worse: f64, expect: &str| {
            let found = &judge(&[differences("allocs_per_item", &[worse; 8])], true)[0];
            assert_eq!(found.verdict.word(), expect, "{found:?}");
        };
        check(0.0, "equivalent");
        check(1.0, "regressed");
        check(-1.0, "improved");
    }

    /// The seeded noise of a machine: normal, with a block in ten that is far off, and a drift.
    fn noisy(random: &mut Random, effect: f64, n: usize) -> Vec<f64> {
        let mut normal = || {
            let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
            let value = radius * (std::f64::consts::TAU * random.unit()).cos();
            if random.unit() < 0.1 {
                value * 4.0
            } else {
                value
            }
        };
        (0..n).map(|_| effect + 0.02 * normal()).collect()
    }

    #[test]
    fn unchanged_code_is_called_changed_in_at_most_five_of_a_hundred_families() {
        let mut random = Random(1);
        let families = 2000;
        let mut wrong = 0;
        for _ in 0..families {
            let family: Vec<Differences> = ["throughput", "latency_p99", "latency_p50"]
                .iter()
                .map(|name| Differences {
                    band: 0.0,
                    ..differences(name, &noisy(&mut random, 0.0, 10))
                })
                .collect();
            let found = judge(&family, false);
            let changed =
                |one: &Judged| matches!(one.verdict, Verdict::Regressed | Verdict::Improved);
            wrong += usize::from(found.iter().any(changed));
        }
        // 5 % and three standard errors of a share of 2,000.
        assert!(
            (wrong as f64) < (0.05 + 3.0 * 0.0049) * families as f64,
            "{wrong}"
        );
        assert!(wrong > 0, "a test that is never wrong finds nothing either");
    }

    #[test]
    fn intervals_hold_the_truth_in_ninety_five_of_a_hundred_cases() {
        let mut random = Random(2);
        for n in [6, 8, 12, 20] {
            let held = (0..1000)
                .filter(|_| {
                    let found =
                        interval(&noisy(&mut random, 0.04, n), CONFIDENCE).expect("enough blocks");
                    found.low <= 0.04 && 0.04 <= found.high
                })
                .count();
            assert!(held >= 930, "{n}: {held}");
        }
    }

    #[test]
    fn an_effect_of_one_and_a_half_times_the_minimum_is_found() {
        let mut random = Random(3);
        let found = (0..500)
            .filter(|_| {
                // The claim is made before, of unchanged code.
                let claim =
                    minimal_detectable_effect(&noisy(&mut random, 0.0, 12), ALPHA).expect("enough");
                let worse = noisy(&mut random, 1.5 * claim, 12);
                let one = Differences {
                    band: 0.0,
                    ..differences("throughput", &worse)
                };
                judge(&[one], false)[0].verdict == Verdict::Regressed
            })
            .count();
        assert!(found >= 440, "{found} of 500");
    }
}
