//! The search for a rate, on pipelines whose capacity is known.

use super::*;
use crate::protocol::Generator;

#[test]
fn the_limit_is_bracketed_to_three_per_cent() {
    let check = |capacity: f64| {
        let mut tried = 0;
        let found = search(1000.0, |rate| {
            tried += 1;
            Ok(if rate <= capacity {
                Said::Sustainable
            } else {
                Said::Not("full".to_owned())
            })
        });
        let Limit::Between(low, high, why) = found.expect("nothing fails") else {
            panic!("{capacity} was not bracketed");
        };
        assert!(
            low <= capacity && capacity < high && high / low <= CLOSE,
            "{low} {high}"
        );
        assert_eq!(why, "full");
        assert!(tried < 25, "{tried}");
    };
    for capacity in [1000.0, 1500.0, 77_777.0, 2_000_000.0] {
        check(capacity);
    }
}

#[test]
fn below_and_above_are_told_apart_from_the_limit() {
    let below = search(1000.0, |_| Ok(Said::Not("slow".to_owned()))).expect("nothing fails");
    assert_eq!(below, Limit::Below(1000.0, "slow".to_owned()));
    let late = |rate: f64| {
        Ok(if rate < 5000.0 {
            Said::Sustainable
        } else {
            Said::GeneratorLate
        })
    };
    let above = search(1000.0, late).expect("nothing fails");
    assert!(
        matches!(above, Limit::Above(rate) if rate > 4800.0 && rate < 5000.0),
        "{above:?}"
    );
    let above = search(1000.0, |_| Ok(Said::Sustainable)).expect("nothing fails");
    assert!(
        matches!(above, Limit::Above(rate) if rate >= MOST),
        "{above:?}"
    );
}

#[test]
fn a_bracket_of_twice_as_much_takes_as_many_rates_as_progress_is_told_of() {
    let mut tried = 0;
    let found = search(1000.0, |rate| {
        tried += 1;
        Ok(if rate < 1999.0 {
            Said::Sustainable
        } else {
            Said::Not("full".to_owned())
        })
    });
    assert!(matches!(found, Ok(Limit::Between(..))), "{found:?}");
    assert_eq!(tried, 2 + HALVINGS);
}

#[test]
fn a_search_that_the_machine_disturbs_is_refused() {
    let at = |from: f64| {
        search(1000.0, |rate| {
            Ok(match rate >= from {
                true => Said::Disturbed("steal".to_owned()),
                false => Said::Sustainable,
            })
        })
    };
    let refused = Limit::Refused("steal".to_owned());
    assert_eq!(at(0.0).expect("nothing fails"), refused);
    assert_eq!(at(5000.0).expect("nothing fails"), refused);
}

#[test]
fn the_knee_has_most_for_its_latency() {
    let point = |rate: f64, p50_ns: f64, said: &str| Point {
        rate,
        achieved: rate,
        p50_ns: Some(p50_ns),
        p99_ns: None,
        said: said.to_owned(),
    };
    let points = [
        point(1e3, 1e4, "sustainable"),
        point(2e3, 1.1e4, "sustainable"),
        point(4e3, 9e4, "sustainable"),
        point(8e3, 1e2, "p99 is 20.00 ms"),
    ];
    assert_eq!(knee(&points), Some(2e3));
    assert_eq!(knee(&[]), None);
}

#[test]
fn two_of_three_decide() {
    let not = || Said::Not("x".to_owned());
    let check = |said: [Said; 3], expect: Said| {
        let found = majority(|seed| Ok(said[seed as usize - 1].clone()));
        assert_eq!(found.expect("nothing fails"), expect);
    };
    check(
        [Said::Sustainable, Said::Sustainable, not()],
        Said::Sustainable,
    );
    check([not(), Said::Sustainable, not()], not());
    let disturbed = || Said::Disturbed("steal".to_owned());
    check([not(), disturbed(), not()], disturbed());
    check(
        [Said::Sustainable, not(), Said::Sustainable],
        Said::Sustainable,
    );
}

#[test]
fn each_criterion_can_break_a_rate() {
    let answer = |refused: u64, drain_ns: u64, p99: Option<f64>| Answer {
        metrics: p99
            .map(|p99| ("latency_p99".to_owned(), p99))
            .into_iter()
            .collect(),
        generator: Some(Generator {
            offered: 1000,
            refused,
            drain_ns,
            ..Generator::default()
        }),
        ..Answer::default()
    };
    let check = |answer: Answer, late: bool, expect: &str| {
        let slo = Slo::typed(&["p99=1ms".to_owned()]).expect("an objective");
        let said = judge(&answer, late, &slo);
        assert!(word(&said).contains(expect), "{said:?}");
    };
    check(answer(0, 0, Some(5e5)), false, "sustainable");
    check(answer(3, 0, Some(5e5)), false, "3 of 1000 items");
    check(
        answer(0, 2 * DRAIN_NS, Some(5e5)),
        false,
        "more than a second",
    );
    check(answer(0, 0, Some(5e6)), false, "p99 is 5.00 ms");
    check(answer(0, 0, Some(5e6)), true, "generator");
    check(answer(0, 0, None), false, "too few items");
    check(Answer::default(), false, "no open loop");
}
