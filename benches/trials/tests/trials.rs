//! What is measured does what it says, in very short trials.

#![forbid(unsafe_code)]

use pipewright_bench::{
    load::{Arrivals, Level, Load, Phase, Shares},
    protocol::{Answer, Request},
};
use pipewright_trials::trials;

fn answer(request: &Request) -> Answer {
    let answer = trials(None).trial(request);
    answer.unwrap_or_else(|why| panic!("{}: {why}", request.scenario))
}

fn short(scenario: &str) -> Request {
    Request::new(scenario, 7, [1, 20])
}

#[test]
fn every_scenario_has_the_metrics_that_it_lists() {
    // Quantiles need more items than come here.
    let needs_more = |name: &&String| !name.starts_with("latency_p");
    for scenario in trials(None).listing().scenarios {
        let found = answer(&short(&scenario.id));
        for name in scenario.metrics.iter().filter(needs_more) {
            let is_there = found.metrics.contains_key(name);
            assert!(
                is_there,
                "{} has no {name}: {:?}",
                scenario.id, found.metrics
            );
        }
        assert!(!found.timeline.is_empty() || scenario.id == "latency/one-by-one");
    }
}

#[test]
fn implementations_of_one_interface_have_the_same_results() {
    let shares = Shares::try_from([1, 1, 1, 1, 1, 1]).expect("it is a mix");
    let mut digests = Vec::new();
    for (level, mix) in [
        (Level::Light, None),
        (Level::Medium, None),
        (Level::Medium, Some(shares)),
    ] {
        let digest = |name: &str, workers: usize| {
            let request = Request {
                items: Some(300),
                level: Some(level),
                mix,
                workers: Some(workers),
                ..short(&format!("throughput/{name}"))
            };
            answer(&request).digest.expect("it tells its results")
        };
        let expect = digest("events", 1);
        for (name, workers) in [("events", 2), ("events-by-hand", 1), ("events-by-hand", 3)] {
            assert_eq!(
                digest(name, workers),
                expect,
                "{name} on {workers}, {level:?}"
            );
        }
        digests.push(expect);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 3, "levels and mixes are different work");
}

#[test]
fn every_phase_drives_what_comes() {
    let (rate, during_ms) = (10_000.0, 200);
    // Items that are planned for the first, the middle and the last tenth of the time.
    let check = |phase: Phase, expect: [f64; 3]| {
        let load = Load {
            arrivals: Arrivals::Constant,
            phases: vec![phase.clone()],
        };
        let request = Request {
            measure_ms: during_ms,
            load: Some(load),
            part_ms: Some(during_ms / 10),
            ..short("latency/events")
        };
        let found = answer(&request);
        let offered: Vec<f64> = found
            .timeline
            .iter()
            .map(|part| part.offered as f64)
            .collect();
        let seen = [offered[0], offered[5], offered[9]];
        for (seen, expect) in seen.iter().zip(expect) {
            assert!(
                (seen - expect).abs() <= 0.1 * expect + 3.0,
                "{phase:?}: {offered:?}"
            );
        }
        assert_eq!(
            found.generator.map(|generator| generator.offered),
            Some(offered.iter().sum::<f64>() as u64)
        );
    };
    check(Phase::Steady { rate, during_ms }, [200.0, 200.0, 200.0]);
    check(
        Phase::Ramp {
            from: 0.0,
            to: 2.0 * rate,
            during_ms,
        },
        [20.0, 220.0, 380.0],
    );
    check(
        Phase::Spike {
            base: rate,
            times: 3.0,
            during_ms,
        },
        [200.0, 600.0, 200.0],
    );
    check(
        Phase::Sine {
            mean: rate,
            amplitude: 0.5,
            period_ms: during_ms,
            during_ms,
        },
        [231.0, 169.0, 169.0],
    );
    check(
        Phase::Burst {
            base: 0.5 * rate,
            peak: 3.0 * rate,
            on_ms: 20,
            off_ms: 20,
            during_ms,
        },
        [100.0, 600.0, 600.0],
    );
}

#[test]
fn a_stage_that_stands_still_is_seen_by_everything_that_came_meanwhile() {
    use pipewright_bench::protocol::Plant;
    let stalled = |scenario: &str| {
        let request = Request {
            plant: Some(Plant::Stall(100)),
            measure_ms: 300,
            ..short(scenario)
        };
        answer(&request).latencies
    };
    let slow = |latencies: &[(u64, u64)]| {
        let above = latencies.iter().filter(|(ns, _)| *ns >= 50_000_000);
        above.map(|(_, count)| count).sum::<u64>()
    };
    // Half of 100 ms of 20,000 a second wait for longer than 50 ms; a busy machine adds to them and takes none away.
    let open = slow(&stalled("latency/events"));
    assert!(open >= 700, "{open}");
    let closed = stalled("latency/one-by-one");
    let longest = closed.last().map_or(0, |(ns, _)| *ns);
    assert!(longest >= 99_000_000, "{longest}");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let check = |request: Request, expect: &str| {
        let why = trials(None)
            .trial(&request)
            .expect_err("it cannot be asked");
        assert!(why.contains(expect), "{why}");
    };
    check(
        short("latency/nothing"),
        "no scenario is called `latency/nothing`",
    );
    let load = Some(Load::steady(1e3, 10));
    check(
        Request {
            load,
            ..short("throughput/events")
        },
        "takes no load",
    );
    check(
        Request {
            items: Some(1),
            ..short("latency/events")
        },
        "a number of items",
    );
    check(
        Request {
            measure_ms: 0,
            ..short("throughput/fused")
        },
        "`measure_ms`",
    );
}
