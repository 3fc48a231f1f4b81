//! Loops: what a pipeline costs over the same loop by hand, in paired rounds.

use std::hint::black_box;

use pipewright::{Blueprint, Builder, Report, machine};

use super::{
    Plan, Reading, nanoseconds,
    pipelines::{
        broadcast, carried, carried_64, carried_64_by_hand, carried_by_hand, chain, chain_by_hand,
        compute, empty, ready, route, route_by_hand,
    },
};
use crate::{
    paired::{Contender, Outcome, compare},
    tasks::Sum,
};

/// Runs a pipeline to its end.
pub(super) fn run<P: Blueprint>(pipeline: Builder<P>, env: P::Env) -> Report<P> {
    let run = pipeline.start(env).expect("the pipeline starts");
    run.wait().expect("nothing fails")
}

/// What a contender's round takes more than the baseline's, for each of `n` items, in nanoseconds.
pub(super) fn over(outcomes: &[Outcome], contender: usize, n: u64) -> Vec<f64> {
    let pairs = outcomes[contender].rounds.iter().zip(&outcomes[0].rounds);
    pairs
        .map(|(time, base)| (nanoseconds(*time) - nanoseconds(*base)) / n as f64)
        .collect()
}

pub(super) fn chain(plan: &Plan) -> Vec<Reading> {
    let n = black_box(plan.n(20_000_000));
    let expected = chain_by_hand(0..n);
    let outcomes = compare(
        plan.rounds,
        Contender::new("loop by hand", || {
            assert_eq!(chain_by_hand(0..black_box(n)), expected)
        }),
        vec![Contender::new("pipeline", || {
            let mut report = run(chain::pipeline().workers(1), n);
            assert_eq!(report.take_state::<chain::add>(), Some(Sum(expected)));
        })],
    );
    let pairs = outcomes[1].rounds.iter().zip(&outcomes[0].rounds);
    let times = pairs.map(|(time, base)| nanoseconds(*time) / nanoseconds(*base));
    vec![Reading::new("B1", times.collect())]
}

pub(super) fn boundary(plan: &Plan) -> Vec<Reading> {
    let n = plan.n(2_000_000);
    let outcomes = compare(
        plan.rounds,
        Contender::new("no items", || {
            let _ = run(empty::pipeline().workers(1), 0);
        }),
        vec![
            Contender::new("alone", || {
                let mut report = run(empty::pipeline().workers(1), n);
                assert_eq!(report.take_state::<empty::last>(), Some(Sum(n - 1)));
            }),
            Contender::new("carried", || {
                let mut report = run(empty::pipeline().workers(1).in_parallel(), n);
                assert_eq!(report.take_state::<empty::last>(), Some(Sum(n - 1)));
            }),
        ],
    );
    vec![
        Reading::new("B2.alone", over(&outcomes, 1, n)),
        Reading::new("B2.carried", over(&outcomes, 2, n)),
    ]
}

pub(super) fn carried(plan: &Plan) -> Vec<Reading> {
    let n = black_box(plan.n(10_000_000));
    let (small, large) = (carried_by_hand(0..n), carried_64_by_hand(0..n));
    let of_8 = compare(
        plan.rounds,
        Contender::new("loop by hand", || {
            assert_eq!(carried_by_hand(0..black_box(n)), small)
        }),
        vec![Contender::new("carried", || {
            let mut report = run(carried::pipeline().workers(1).in_parallel(), n);
            assert_eq!(report.take_state::<carried::add>(), Some(Sum(small)));
        })],
    );
    let of_64 = compare(
        plan.rounds,
        Contender::new("loop by hand", || {
            assert_eq!(carried_64_by_hand(0..black_box(n)), large)
        }),
        vec![Contender::new("carried", || {
            let mut report = run(carried_64::pipeline().workers(1).in_parallel(), n);
            assert_eq!(report.take_state::<carried_64::add>(), Some(Sum(large)));
        })],
    );
    vec![
        Reading::new("B3.8", over(&of_8, 1, n)),
        Reading::new("B3.64", over(&of_64, 1, n)),
    ]
}

pub(super) fn ready(plan: &Plan) -> Reading {
    let n = black_box(plan.n(2_000_000));
    let sum = carried_by_hand(0..n);
    let outcomes = compare(
        plan.rounds,
        Contender::new("loop by hand", || {
            assert_eq!(carried_by_hand(0..black_box(n)), sum)
        }),
        vec![Contender::new("futures", || {
            let mut report = run(ready::pipeline().workers(1), n);
            assert_eq!(report.take_state::<ready::add>(), Some(Sum(sum)));
        })],
    );
    Reading::new("B17.ready", over(&outcomes, 1, n))
}

pub(super) fn arms(plan: &Plan) -> Vec<Reading> {
    let batches = plan.n(1_000_000);
    let broadcast = compare(
        plan.rounds,
        Contender::new("one reader", || {
            let _ = run(empty::pipeline().workers(1).in_parallel(), batches);
        }),
        vec![Contender::new("two readers", || {
            let mut report = run(broadcast::pipeline().workers(1).in_parallel(), batches);
            assert_eq!(report.take_state::<broadcast::seen>(), Some(batches - 1));
        })],
    );
    let n = black_box(plan.n(20_000_000));
    let [even, odd] = route_by_hand(0..n);
    let routed = compare(
        plan.rounds,
        Contender::new("loop by hand", || {
            assert_eq!(route_by_hand(0..black_box(n)), [even, odd])
        }),
        vec![Contender::new("two doors", || {
            let mut report = run(route::pipeline().workers(1), n);
            assert_eq!(report.take_state::<route::even>(), Some(Sum(even)));
            assert_eq!(report.take_state::<route::odd>(), Some(Sum(odd)));
        })],
    );
    vec![
        Reading::new("B16.broadcast", over(&broadcast, 1, batches)),
        Reading::new("B16.route", over(&routed, 1, n)),
    ]
}

pub(super) fn scaling(plan: &Plan) -> Vec<Reading> {
    let n = plan.n(5_000_000);
    let outcomes = compare(
        plan.rounds,
        Contender::new("1 worker", || {
            let _ = run(compute::pipeline().workers(1), n);
        }),
        vec![Contender::new("2 workers", || {
            let _ = run(compute::pipeline().workers(2), n);
        })],
    );
    let pairs = outcomes[1].rounds.iter().zip(&outcomes[0].rounds);
    let faster = pairs.map(|(two, one)| nanoseconds(*one) / nanoseconds(*two));
    let faster = Reading::new("B20.cores", faster.collect());
    let machine = machine::Machine::read();
    let usable: Vec<_> = machine.usable().collect();
    let cores = usable
        .iter()
        .filter(|cpu| cpu.core != usable[0].core)
        .count();
    match (cores, usable.len()) {
        (_, 1) => vec![
            Reading::unknown("B20.cores", "there is one cpu"),
            Reading::unknown("B20.threads", "there is one cpu"),
        ],
        (0, _) => vec![
            Reading::unknown("B20.cores", "there is one core"),
            Reading {
                key: "B20.threads",
                ..faster
            },
        ],
        _ => vec![
            faster,
            Reading::unknown("B20.threads", "each worker has a core"),
        ],
    }
}
