//! In which order results leave, and how many futures are under way at once.

use pipewright::pipeline;
use pipewright_tests::eventually;

use crate::world::Env;

const ITEMS: u64 = 20_000;

#[pipeline(env = Env)]
mod turning {
    use super::{Env, ITEMS};

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub async fn turn(n: u64, env: &Env) -> u64 {
        env.turn(n % 4).await;
        n * 2
    }

    #[sink(from = turn)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn what_a_sink_sees_is_in_the_order_of_the_source_however_long_futures_take() {
    for workers in [1, 2, 4] {
        let env = Env::default();
        let run = turning::pipeline().workers(workers).start(env.clone());
        let report = run.unwrap().wait().unwrap();
        let expect: Vec<u64> = (0..ITEMS).map(|n| n * 2).collect();
        assert_eq!(env.seen(), expect, "{workers} workers");
        let turn = report.metrics().stage::<turning::turn>();
        assert_eq!((turn.received, turn.sent), (ITEMS, ITEMS));
        let flights = turn.flights.as_ref().unwrap();
        assert_eq!((flights.begun, flights.in_flight), (ITEMS, 0));
        assert_eq!(flights.polls, ITEMS + ITEMS / 4 * (1 + 2 + 3));
    }
}

#[pipeline(env = Env)]
mod waiting {
    use super::Env;

    #[stage(from = input, in_flight = 8, order = any)]
    pub async fn wait(n: u64, env: &Env) -> Option<u64> {
        env.wait(n).await;
        n.is_multiple_of(2).then_some(n)
    }

    #[sink(from = wait)]
    pub fn see(n: u64, env: &Env) {
        env.see(n);
    }
}

#[test]
fn with_any_order_what_has_ended_leaves_at_once_and_no_more_than_in_flight_are_under_way() {
    let env = Env::default();
    let run = waiting::pipeline().workers(2).start(env.clone()).unwrap();
    run.send_batch(&mut (0..20).collect()).unwrap();
    // Which ones, and in how many batches, is up to how soon each worker takes its own.
    eventually(|| env.waiting().len() == 8);
    assert_eq!(env.begun(), 8);
    let even = env.waiting().into_iter().filter(|n| n.is_multiple_of(2));
    let last: Vec<u64> = even.rev().take(2).collect();
    for n in &last {
        env.let_through(*n);
        eventually(|| env.seen().contains(n));
    }
    assert_eq!(env.seen(), last, "the others wait");
    eventually(|| env.begun() == 10);
    assert_eq!(env.begun(), 10);
    (0..20).for_each(|n| env.let_through(n));
    let report = run.drain().unwrap();
    let mut seen = env.seen();
    seen.sort_unstable();
    assert_eq!(seen, (0..20).filter(|n| n % 2 == 0).collect::<Vec<_>>());
    let wait = report.metrics().stage::<waiting::wait>();
    assert_eq!((wait.received, wait.sent, wait.filtered), (20, 10, 10));
    assert!(wait.flights.as_ref().unwrap().peak <= 8);
}
