//! A comparison of two binaries: blocks of four trials, until the intervals are short enough.
//!
//! A block is A B B A or B A A B, drawn anew each time, and its difference is that of the means of its sides: whatever changes
//! evenly over a block cancels. A disturbed trial is made again at its place, so that the order stays.
//! It ends by precision or by time, never by which side is ahead: whoever stops when there is a difference finds too many.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    guards::Reason,
    metrics,
    process::Trial,
    random::Random,
    verdict::{Differences, Judged, judge},
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Side {
    /// The base.
    A,
    /// What is compared with it.
    B,
}

/// How long it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) fewest: usize,
    pub(crate) most: usize,
    /// No block begins after it.
    pub(crate) budget: Duration,
    /// Of the orders of the blocks and of what the trials draw.
    pub(crate) seed: u64,
    /// How many disturbed trials are made again, for each trial of `fewest` blocks. They are of all blocks together: disturbances
    /// come in flocks, and a limit for each block would refuse whoever meets one of them.
    pub(crate) repeats: usize,
}

/// Bands and gates that differ from those of the metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) band: BTreeMap<String, f64>,
    pub(crate) gate: Option<Vec<String>>,
    /// All bands times this.
    pub(crate) widen: f64,
}

/// Four trials, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) trials: Vec<(Side, Trial)>,
}

/// What was measured of a scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) blocks: Vec<Block>,
    /// How many trials were disturbed, by the reason.
    pub(crate) disturbed: BTreeMap<Reason, usize>,
    /// Why it was given up.
    pub(crate) refused: Option<String>,
    pub(crate) judged: Vec<(Differences, Judged)>,
}

/// What one step of a session brought.
pub(crate) struct Step<'a> {
    pub(crate) session: &'a Session,
    /// Is this the last one?
    pub(crate) last: bool,
}

/// Runs blocks until they suffice. `trial` makes one, `done` is told after every block.
pub(crate) fn run(
    plan: Plan,
    rules: &Rules,
    mut trial: impl FnMut(Side, u64) -> Result<Trial, Error>,
    mut done: impl FnMut(Step<'_>) -> Result<(), Error>,
) -> Result<Session, Error> {
    let begun = Instant::now();
    let mut random = Random(plan.seed);
    let mut session = Session::default();
    let mut repeats = plan.repeats * plan.fewest * TRIALS;
    loop {
        let order = order(&mut random);
        // Both sides of a block draw the same.
        let seed = random.next_u64() >> 11;
        let Some(block) = undisturbed(&mut session, &mut repeats, order, seed, &mut trial)? else {
            session.judge(rules, true);
            done(Step {
                session: &session,
                last: true,
            })?;
            return Ok(session);
        };
        session.blocks.push(block);
        session.judge(rules, false);
        let n = session.blocks.len();
        let last = n >= plan.most
            || n >= plan.fewest && (session.is_precise() || begun.elapsed() >= plan.budget);
        if last {
            session.judge(rules, true);
        }
        done(Step {
            session: &session,
            last,
        })?;
        if last {
            return Ok(session);
        }
    }
}

/// Trials of a block.
const TRIALS: usize = 4;

fn order(random: &mut Random) -> [Side; TRIALS] {
    match random.next_u64() >> 63 {
        0 => [Side::A, Side::B, Side::B, Side::A],
        _ => [Side::B, Side::A, Side::A, Side::B],
    }
}

/// A block without a disturbed trial; `None`, and why, if all repeats are used up.
fn undisturbed(
    session: &mut Session,
    repeats: &mut usize,
    order: [Side; TRIALS],
    seed: u64,
    trial: &mut impl FnMut(Side, u64) -> Result<Trial, Error>,
) -> Result<Option<Block>, Error> {
    let mut trials = Vec::new();
    while let Some(side) = order.get(trials.len()) {
        let one = trial(*side, seed)?;
        if one.reasons.is_empty() {
            trials.push((*side, one));
            continue;
        }
        for reason in one.reasons {
            *session.disturbed.entry(reason).or_default() += 1;
        }
        let Some(left) = repeats.checked_sub(1) else {
            session.refused = Some(session.too_disturbed());
            return Ok(None);
        };
        *repeats = left;
    }
    Ok(Some(Block { trials }))
}

impl Session {
    /// Why it is given up.
    fn too_disturbed(&self) -> String {
        let told: Vec<String> = self
            .disturbed
            .iter()
            .map(|(reason, times)| format!("{} {times} times: {}", reason.name(), reason.advice()))
            .collect();
        format!(
            "trials were disturbed too often, with {} blocks done ({})",
            self.blocks.len(),
            told.join("; ")
        )
    }

    /// The values of a metric on a side, in the order in which they were measured.
    pub(crate) fn values(&self, side: Side, name: &str) -> Vec<f64> {
        let trials = self.blocks.iter().flat_map(|block| &block.trials);
        trials
            .filter(|(of, _)| *of == side)
            .filter_map(|(_, trial)| trial.answer.metrics.get(name).copied())
            .collect()
    }

    /// The metrics that can be compared, in the order of the table.
    fn differences(&self, rules: &Rules) -> Vec<Differences> {
        let all = metrics::METRICS.iter();
        all.filter_map(|metric| {
            let blocks = self.blocks.iter().map(|block| block.difference(metric));
            let both: Vec<(f64, f64)> = blocks.collect::<Option<Vec<_>>>()?;
            let band =
                rules.band.get(metric.name).copied().unwrap_or(metric.band) * rules.widen.max(1.0);
            let gate = match &rules.gate {
                Some(names) => names.iter().any(|name| name == metric.name),
                None => metric.gate,
            };
            (!both.is_empty()).then(|| Differences {
                metric,
                worse: both.iter().map(|(worse, _)| *worse).collect(),
                drift: both.iter().map(|(_, drift)| *drift).collect(),
                band,
                gate,
            })
        })
        .collect()
    }

    fn judge(&mut self, rules: &Rules, last: bool) {
        let differences = self.differences(rules);
        let judged = judge(&differences, last);
        self.judged = differences.into_iter().zip(judged).collect();
    }

    /// Is every interval that gates at most as wide as its band? The sign of what was found plays no part.
    fn is_precise(&self) -> bool {
        let mut gating = self
            .judged
            .iter()
            .filter(|(differences, _)| differences.gate)
            .peekable();
        gating.peek().is_some()
            && gating.all(|(differences, judged)| {
                let bound = differences.metric.bound(differences.band);
                judged
                    .interval
                    .is_some_and(|found| found.half_width() <= bound / 2.0)
            })
    }
}

impl Block {
    /// How much worse B was than A, and how much worse the second trial of a side was than its first.
    fn difference(&self, metric: &metrics::Metric) -> Option<(f64, f64)> {
        let values = |side: Side| -> Option<[f64; 2]> {
            let of = self.trials.iter().filter(|(of, _)| *of == side);
            let values: Option<Vec<f64>> = of
                .map(|(_, trial)| trial.answer.metrics.get(metric.name).copied())
                .collect();
            values?.try_into().ok()
        };
        let ([a1, a2], [b1, b2]) = (values(Side::A)?, values(Side::B)?);
        let worse = f64::midpoint(metric.worse(a1, b1)?, metric.worse(a2, b2)?);
        Some((
            worse,
            f64::midpoint(metric.worse(a1, a2)?, metric.worse(b1, b2)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::Answer, verdict::Verdict};

    const PLAN: Plan = Plan {
        fewest: 8,
        most: 12,
        budget: Duration::from_secs(3600),
        seed: 1,
        repeats: 2,
    };

    fn answered(throughput: f64) -> Trial {
        Trial {
            answer: Answer {
                metrics: [("throughput".to_owned(), throughput)].into(),
                ..Answer::default()
            },
            ..Trial::default()
        }
    }

    fn rules() -> Rules {
        Rules::default()
    }

    /// A machine that becomes slower by 1 % with each trial, and a B that is so much slower than A.
    fn measured(slower: f64, plan: Plan) -> Session {
        let (mut speed, mut random) = (1000.0, Random(9));
        let trial = |side: Side, _| {
            speed *= 0.999;
            let factor = if side == Side::B { 1.0 - slower } else { 1.0 };
            Ok(answered(
                speed * factor * (1.0 + 0.01 * (random.unit() - 0.5)),
            ))
        };
        run(plan, &rules(), trial, |_| Ok(())).expect("nothing fails")
    }

    #[test]
    fn what_changes_evenly_cancels() {
        let check = |slower: f64, expect: &str| {
            let session = measured(slower, PLAN);
            let (_, judged) = &session.judged[0];
            assert_eq!(judged.verdict.word(), expect, "{judged:?}");
        };
        check(0.0, "equivalent");
        check(0.1, "regressed");
        check(-0.1, "improved");
    }

    #[test]
    fn it_ends_when_it_is_precise_and_not_when_there_is_a_difference() {
        assert_eq!(measured(0.0, PLAN).blocks.len(), 8);
        assert_eq!(measured(0.1, PLAN).blocks.len(), 8);
    }

    #[test]
    fn a_disturbed_trial_is_made_again_and_then_given_up() {
        let mut calls = 0;
        let mut told = 0;
        let session = run(
            PLAN,
            &rules(),
            |_, _| {
                calls += 1;
                let mut trial = answered(100.0);
                // The first block has one that is disturbed, the second one nothing else: all are allowed 64 repeats.
                if calls == 2 || calls > 6 {
                    trial.reasons.push(Reason::Steal);
                }
                Ok(trial)
            },
            |_| {
                told += 1;
                Ok(())
            },
        )
        .expect("nothing fails");
        assert_eq!((session.blocks.len(), calls, told), (1, 70, 2));
        assert_eq!(session.disturbed, BTreeMap::from([(Reason::Steal, 65)]));
        assert!(session.refused.expect("it was given up").contains("steal"));
    }

    #[test]
    fn what_was_finished_can_be_kept_after_every_block() {
        let mut kept = 0;
        let found = run(
            PLAN,
            &rules(),
            |_, _| Ok(answered(1.0)),
            |step| {
                kept = step.session.blocks.len();
                match kept {
                    3 => Err(Error::Interrupted),
                    _ => Ok(()),
                }
            },
        );
        assert!(matches!(found, Err(Error::Interrupted)));
        assert_eq!(kept, 3);
    }

    #[test]
    fn both_sides_of_a_block_draw_the_same_and_the_orders_are_mixed() {
        let mut seen = Vec::new();
        let trial = |side, seed| {
            seen.push((side, seed));
            Ok(answered(1.0))
        };
        run(PLAN, &rules(), trial, |_| Ok(())).expect("nothing fails");
        for block in seen.chunks(4) {
            assert!(
                block.iter().all(|(_, seed)| *seed == block[0].1),
                "{block:?}"
            );
            assert_eq!(block.iter().filter(|(side, _)| *side == Side::A).count(), 2);
            assert_eq!(block[0].0, block[3].0);
        }
        let first: Vec<Side> = seen.chunks(4).map(|block| block[0].0).collect();
        assert!(
            first.contains(&Side::A) && first.contains(&Side::B),
            "{first:?}"
        );
    }

    #[test]
    fn bands_and_gates_can_be_given() {
        let rules = Rules {
            band: [("throughput".to_owned(), 0.5)].into(),
            gate: Some(vec![]),
            widen: 1.0,
        };
        let trial = |side, _| Ok(answered(if side == Side::B { 90.0 } else { 100.0 }));
        let session = run(PLAN, &rules, trial, |_| Ok(())).expect("nothing fails");
        let (differences, judged) = &session.judged[0];
        assert_eq!(
            (differences.gate, &judged.verdict),
            (false, &Verdict::Equivalent)
        );
    }
}
