//! What to do about what a report shows: rules, each with its evidence.
//!
//! A rule fires on numbers of the saved result and nothing else, and names them. None fires on a metric that is inconclusive or
//! refused, but for those that say so.

use pipewright_draw::{Colour, Page};

use super::rules;
use crate::results::{Saved, SavedScenario};

/// What to do, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Advice {
    pub(super) text: String,
    pub(super) evidence: Vec<String>,
}

/// A rule looks at a scenario.
type Rule = fn(&SavedScenario) -> Option<Advice>;

const RULES: &[Rule] = &[
    rules::regressed,
    rules::missed,
    rules::disturbed,
    rules::inconclusive,
    rules::infeasible,
    rules::overload,
    rules::bottleneck,
    rules::idle_waits,
    rules::tail,
    rules::kept_outside,
    rules::allocations,
    rules::growth,
];

/// The section, if any rule fires.
pub(super) fn advice(page: &mut Page, saved: &Saved) {
    let all = all(saved);
    if all.is_empty() {
        return;
    }
    page.section("What to do");
    for advice in all {
        page.banner(Colour::Plain, &advice.text);
        page.list(&advice.evidence);
    }
}

/// What the rules say of all scenarios.
pub(super) fn all(saved: &Saved) -> Vec<Advice> {
    let scenarios = saved.scenarios.iter();
    scenarios
        .flat_map(|one| RULES.iter().filter_map(move |rule| rule(one)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        details::{Moment, Stage},
        results::{SavedMetric, Values},
        session::Side,
    };

    fn scenario() -> SavedScenario {
        SavedScenario {
            id: "x".to_owned(),
            seed: 1,
            ..SavedScenario::default()
        }
    }

    fn stage(name: &str, wait_ns: f64, work_ns: f64, utilisation: f64) -> Stage {
        Stage {
            name: name.to_owned(),
            items: 100,
            wait_ns,
            work_ns,
            utilisation: Some(utilisation),
            ..Stage::default()
        }
    }

    fn moments(of: impl Fn(u64) -> (f64, u64, u64)) -> Vec<Moment> {
        let moment = |at| {
            let (offered, queued, refused) = of(at);
            Moment {
                offered,
                queued,
                refused,
                ..Moment::default()
            }
        };
        (0..20).map(moment).collect()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut SavedScenario), expect: &[(&str, &str)]) {
        let mut one = scenario();
        change(&mut one);
        let found: Vec<Advice> = RULES.iter().filter_map(|rule| rule(&one)).collect();
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, (text, evidence)) in found.iter().zip(expect) {
            assert!(found.text.contains(text), "{found:?}");
            assert!(found.evidence.join("\n").contains(evidence), "{found:?}");
        }
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        check(|_| {}, &[]);
    }

    #[test]
    fn the_bottleneck_is_named_with_what_it_would_bring() {
        check(
            |one| {
                let stages = vec![
                    stage("parse", 0.0, 200.0, 0.18),
                    stage("price", 0.0, 800.0, 0.72),
                ];
                one.details.stages.insert(Side::A, stages);
            },
            &[(
                "`price`: in half the time there, a worker would do 1.67 times",
                "800 ns of the 1 us",
            )],
        );
    }

    #[test]
    fn overload_is_seen_by_refusals_by_the_queue_and_by_busy_workers() {
        let with = |of: fn(u64) -> (f64, u64, u64)| {
            move |one: &mut SavedScenario| {
                one.details.timeline.insert(Side::A, moments(of));
            }
        };
        check(
            with(|at| (1e3, 10 + at % 3, 5)),
            &[("more than it can do", "100 items found the input full")],
        );
        check(
            with(|at| (1e3, 10 + 50 * at, 0)),
            &[("more than it can do", "grows by 50 items")],
        );
        // The queue follows the load, and goes back.
        check(with(|at| (1e3 * (1.0 + at as f64), 10 + 50 * at, 0)), &[]);
        check(with(|at| (1e3, 10 + at % 3, 0)), &[]);
        let busy = |of: fn(u64) -> (f64, u64, u64)| {
            move |one: &mut SavedScenario| {
                one.details.timeline.insert(Side::A, moments(of));
                let stages = vec![stage("parse", 0.0, 200.0, 1.04)];
                one.details.stages.insert(Side::A, stages);
            }
        };
        let all = "keep the workers busy for 100 %";
        check(busy(|_| (1e3, 0, 0)), &[("bench capacity` finds", all)]);
        // A closed loop gives it all that it can do.
        check(busy(|_| (0.0, 0, 0)), &[("bench scale` tells", all)]);
    }

    #[test]
    fn what_is_worse_and_what_is_missed_come_first() {
        check(
            |one| {
                *one = super::super::golden::saved().scenarios[0].clone();
                one.details = crate::details::Details::default();
                one.findings = crate::findings::Findings::default();
            },
            &[
                (
                    "it is worse than its base",
                    "throughput: -10.0 % [-12.0 %, -8.0 %], and 3.0 % does not matter",
                ),
                ("a target is missed", "throughput >= 1.00 M/s: 900.0 k/s"),
            ],
        );
    }

    #[test]
    fn waits_without_load_are_no_queue() {
        check(
            |one| {
                let stages = vec![
                    stage("parse", 9e4, 500.0, 0.01),
                    stage("price", 0.0, 500.0, 0.01),
                ];
                one.details.stages.insert(Side::A, stages);
            },
            &[("although the workers have time", "before `parse`, 90 us")],
        );
    }

    #[test]
    fn memory_that_grows_and_stages_that_allocate_are_told() {
        check(
            |one| {
                let live = (0..40).map(|at| 1000 + 64 * at).collect();
                one.details.live_bytes.insert(Side::A, live);
                let stages = vec![Stage {
                    name: "price".to_owned(),
                    allocations: Some(2.0),
                    ..Stage::default()
                }];
                one.details.stages.insert(Side::A, stages);
            },
            &[
                ("from a pool", "`price` allocates 2 times"),
                ("stays behind", "64 B from note to note"),
            ],
        );
    }

    #[test]
    fn disturbed_trials_come_before_what_was_measured() {
        check(
            |one| {
                one.disturbed.insert("steal".to_owned(), 9);
                one.refused = Some("steal".to_owned());
                let metric = crate::metrics::find("latency_p99").expect("it is a metric");
                let values = Values::of(vec![1.0; 4]).expect("there are values");
                let sides = [(Side::A, values)].into();
                one.metrics.push(SavedMetric::of(metric, true, sides));
            },
            &[(
                "what disturbs this machine",
                "9 trials did not count because of `steal`, 4 did",
            )],
        );
    }
}
