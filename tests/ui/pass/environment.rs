//! `&E` in a source, a stage, the function that makes a state, and a sink.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use pipewright::pipeline;

pub struct Env {
    add: u64,
    sum: Arc<AtomicU64>,
}

#[pipeline(env = Env, pool(workers = 2), quantum = "20us")]
mod shapes {
    use super::*;

    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.add
    }

    #[stage(from = numbers)]
    pub fn add(n: u64, env: &Env) -> u64 {
        n + env.add
    }

    fn first(env: &Env) -> Result<u64, std::num::ParseIntError> {
        Ok(env.add + "1".parse::<u64>()?)
    }

    #[stage(from = add, state = first)]
    pub fn count(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n + *count
    }

    #[sink(from = count)]
    pub fn last(n: u64, env: &Env) {
        env.sum.fetch_add(n, Ordering::Relaxed);
    }
}

fn main() {
    let sum = Arc::new(AtomicU64::new(0));
    let env = Env {
        add: 3,
        sum: Arc::clone(&sum),
    };
    let report = shapes::pipeline().start(env).unwrap().wait().unwrap();
    assert!(report.ledger().is_balanced());
    assert_eq!(sum.load(Ordering::Relaxed), (3 + 5) + (4 + 6) + (5 + 7));
}
