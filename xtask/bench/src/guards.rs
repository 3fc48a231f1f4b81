//! What makes a trial worthless: each is a reason with a name.

use serde::{Deserialize, Serialize};

use crate::{
    machine::Meanwhile,
    protocol::Answer,
    stats::{mann_kendall, median, theil_sen},
};

/// The limits; shares, where nothing else is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Guards {
    /// Time that the hypervisor gave to others.
    pub(crate) steal: f64,
    /// Time in which processes worked that are no trial.
    pub(crate) foreign_cpu: f64,
    /// How much longer or shorter a fixed piece of work took after the trial than before.
    pub(crate) canary_drift: f64,
    /// How late the generator was, of the 99th latency of 100.
    pub(crate) generator_late: f64,
    /// What the generator could not offer of what was planned.
    pub(crate) unoffered: f64,
    /// By how much Little's law is missed. Where what is queued comes from stops of the machine, arrivals see it with an error of one by
    /// the root of the items that came meanwhile: 5 to 10 % at 20,000 a second and a stop of 20 ms, although all counters are right.
    pub(crate) little: f64,
    /// How far the rate may go up or down in the last part of a trial.
    pub(crate) trend: f64,
    /// How often a disturbed trial is made again before the scenario is refused; in a comparison on the average of its trials.
    pub(crate) repeats: usize,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            steal: 0.01,
            foreign_cpu: 0.05,
            canary_drift: 0.05,
            generator_late: 0.1,
            unoffered: 0.01,
            little: 0.1,
            trend: 0.1,
            repeats: 2,
        }
    }
}

impl Guards {
    /// The first limit that is no share, if there is one.
    pub(crate) fn wrong(&self) -> Option<String> {
        let all = [
            ("steal", self.steal),
            ("foreign_cpu", self.foreign_cpu),
            ("canary_drift", self.canary_drift),
            ("generator_late", self.generator_late),
            ("unoffered", self.unoffered),
            ("little", self.little),
            ("trend", self.trend),
        ];
        let (name, limit) = all
            .into_iter()
            .find(|(_, limit)| !limit.is_finite() || *limit < 0.0)?;
        Some(format!(
            "`guards`: `{name}` is {limit}; give a share such as 0.05"
        ))
    }
}

/// Why a trial does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The hypervisor gave the processors to others.
    Steal,
    /// The control group used up its quota.
    Throttled,
    /// Other processes worked.
    ForeignCpu,
    /// A fixed piece of work took another time after the trial than before.
    CanaryDrift,
    /// The generator came too late to its items.
    GeneratorLate,
    /// The number of items, their rate and their latency do not fit together.
    LittlesLaw,
    /// The rate still went up or down when the trial ended.
    Unsteady,
}

impl Reason {
    /// As it is written in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steal => "steal",
            Self::Throttled => "throttled",
            Self::ForeignCpu => "foreign_cpu",
            Self::CanaryDrift => "canary_drift",
            Self::GeneratorLate => "generator_late",
            Self::LittlesLaw => "littles_law",
            Self::Unsteady => "unsteady",
        }
    }

    /// Does it say something of the machine, and not of the pipeline or of who offers items?
    pub(crate) fn is_of_machine(self) -> bool {
        match self {
            Self::Steal | Self::Throttled | Self::ForeignCpu | Self::CanaryDrift => true,
            Self::GeneratorLate | Self::LittlesLaw | Self::Unsteady => false,
        }
    }

    /// What a user should know of it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Steal => {
                "the hypervisor gave the processors to others; measure when the host is quiet"
            }
            Self::Throttled => "the quota of the control group was used up; raise it",
            Self::ForeignCpu => "other processes worked; stop them",
            Self::CanaryDrift => {
                "the machine became slower or faster; let it cool down, or fix its frequency"
            }
            Self::GeneratorLate => {
                "the generator cannot keep up: this says nothing of the pipeline; lower the rate, or give it a core"
            }
            Self::LittlesLaw => {
                "items, rate and latency do not fit together: something counts wrongly"
            }
            Self::Unsteady => "it never became steady; warm up for longer",
        }
    }
}

/// Everything that was wrong with a trial.
pub(crate) fn reasons(
    limits: &Guards,
    meanwhile: Meanwhile,
    canary: f64,
    answer: &Answer,
) -> Vec<Reason> {
    let generator = answer.generator.as_ref();
    let p99 = answer
        .metrics
        .get("latency_p99")
        .copied()
        .unwrap_or(f64::INFINITY);
    let late = generator.is_some_and(|generator| {
        // Who is late by less than a clock and a wake-up take is not late.
        let late = generator.late_p99_ns as f64;
        late > (limits.generator_late * p99).max(JITTER_NS)
            || (generator.offered as f64) * limits.unoffered < unoffered(answer)
    });
    let little = generator.is_some_and(|generator| generator.little_residual > limits.little);
    let found = [
        (Reason::Steal, meanwhile.steal > limits.steal),
        (Reason::Throttled, meanwhile.throttled > 0),
        (
            Reason::ForeignCpu,
            meanwhile
                .foreign
                .is_some_and(|share| share > limits.foreign_cpu),
        ),
        (Reason::CanaryDrift, canary.abs() > limits.canary_drift),
        (Reason::GeneratorLate, late),
        (Reason::LittlesLaw, little),
        (
            Reason::Unsteady,
            drift(&answer.windows).abs() > limits.trend,
        ),
    ];
    found
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(reason, _)| reason)
        .collect()
}

/// What a sleeping generator is late by on a good machine.
const JITTER_NS: f64 = 20_000.0;

/// Items that were planned and neither taken nor refused.
fn unoffered(answer: &Answer) -> f64 {
    answer.generator.map_or(0.0, |generator| {
        generator
            .offered
            .saturating_sub(generator.sent + generator.refused) as f64
    })
}

/// How far the rate goes up or down over the last six tenths of a trial, as a share of it; 0 where that may be chance.
fn drift(windows: &[f64]) -> f64 {
    let last = &windows[windows.len() * 4 / 10..];
    if last.len() < 6 || mann_kendall(last).p >= 0.01 {
        return 0.0;
    }
    let points: Vec<(f64, f64)> = last
        .iter()
        .enumerate()
        .map(|(at, rate)| (at as f64, *rate))
        .collect();
    let over = theil_sen(&points).unwrap_or(0.0) * (last.len() - 1) as f64;
    over / median(last)
        .filter(|rate| *rate > 0.0)
        .unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Generator;

    fn quiet() -> Meanwhile {
        Meanwhile {
            steal: 0.0,
            foreign: Some(0.0),
            throttled: 0,
        }
    }

    fn check(meanwhile: Meanwhile, canary: f64, answer: Answer, expect: &[Reason]) {
        assert_eq!(
            reasons(&Guards::default(), meanwhile, canary, &answer),
            expect
        );
    }

    #[test]
    fn a_quiet_machine_has_no_reason() {
        check(quiet(), 0.02, Answer::default(), &[]);
    }

    #[test]
    fn each_disturbance_is_named() {
        let steal = Meanwhile {
            steal: 0.02,
            ..quiet()
        };
        check(steal, 0.0, Answer::default(), &[Reason::Steal]);
        let throttled = Meanwhile {
            throttled: 1,
            ..quiet()
        };
        check(throttled, 0.0, Answer::default(), &[Reason::Throttled]);
        let foreign = Meanwhile {
            foreign: Some(0.4),
            ..quiet()
        };
        check(
            foreign,
            -0.2,
            Answer::default(),
            &[Reason::ForeignCpu, Reason::CanaryDrift],
        );
    }

    #[test]
    fn a_generator_that_is_late_or_counts_wrongly_is_named() {
        let answer = |late_p99_ns, little_residual| Answer {
            metrics: [("latency_p99".to_owned(), 1_000_000.0)].into(),
            generator: Some(Generator {
                offered: 100,
                sent: 100,
                late_p99_ns,
                little_residual,
                ..Generator::default()
            }),
            ..Answer::default()
        };
        check(quiet(), 0.0, answer(90_000, 0.01), &[]);
        check(
            quiet(),
            0.0,
            answer(200_000, 0.01),
            &[Reason::GeneratorLate],
        );
        check(quiet(), 0.0, answer(0, 0.5), &[Reason::LittlesLaw]);
    }

    #[test]
    fn what_still_changes_at_the_end_is_unsteady() {
        let answer = |windows: &[f64]| Answer {
            windows: windows.to_vec(),
            ..Answer::default()
        };
        check(
            quiet(),
            0.0,
            answer(&[
                1.0, 50.0, 90.0, 99.0, 100.0, 101.0, 100.0, 99.0, 100.0, 101.0,
            ]),
            &[],
        );
        let falling: Vec<f64> = (0..10).map(|at| 100.0 - 5.0 * f64::from(at)).collect();
        check(quiet(), 0.0, answer(&falling), &[Reason::Unsteady]);
    }
}
