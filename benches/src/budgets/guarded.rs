//! Guards: what an item pays for those of its stage while nothing fails, over the same stage without any.

use std::hint::black_box;

use pipewright::{Classify, ErrorClass, TimedOut, pipeline};
use thiserror::Error;

use super::{
    Plan, Reading,
    fused::{over, run},
};
use crate::{
    paired::{Contender, compare},
    tasks::Sum,
};

/// A number that is not taken.
#[derive(Clone, Copy, Debug, Error)]
#[error("it is not taken")]
pub struct NotTaken;

impl Classify for NotTaken {
    fn class(&self) -> ErrorClass {
        ErrorClass::Dependency
    }
}

impl From<TimedOut> for NotTaken {
    fn from(_: TimedOut) -> Self {
        Self
    }
}

/// A call that never fails, which the compiler cannot know.
#[inline(always)]
fn taken(n: u64) -> Result<u64, NotTaken> {
    match n {
        u64::MAX => Err(NotTaken),
        _ => Ok(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7),
    }
}

/// The stage without guards.
#[pipeline(env = u64)]
pub mod bare {
    use super::*;

    /// The numbers.
    #[source(batch = 512)]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// The call.
    #[stage(from = numbers, on_error = drop)]
    pub fn call(n: u64) -> Result<u64, NotTaken> {
        taken(n)
    }

    /// Adds it up.
    #[sink(from = call, order = any, per_worker)]
    pub fn add(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(n);
    }
}

/// With a breaker that counts failures.
#[pipeline(env = u64)]
pub mod broken {
    use super::*;

    /// The numbers.
    #[source(batch = 512)]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// The call.
    #[stage(from = numbers, on_error = drop, breaker(failure_pct = 50))]
    pub fn call(n: u64) -> Result<u64, NotTaken> {
        taken(n)
    }

    /// Adds it up.
    #[sink(from = call, order = any, per_worker)]
    pub fn add(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(n);
    }
}

/// With all guards.
#[pipeline(env = u64)]
pub mod guarded {
    use super::*;

    /// The numbers.
    #[source(batch = 512)]
    pub fn numbers(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    /// The call.
    #[stage(
        from = numbers,
        on_error = drop,
        breaker(failure_pct = 50, slow = "1s"),
        retry(max = 2),
        rate = "1000M/s",
        timeout = "10s",
        workers = 1
    )]
    pub fn call(n: u64) -> Result<u64, NotTaken> {
        taken(n)
    }

    /// Adds it up.
    #[sink(from = call, order = any, per_worker)]
    pub fn add(n: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(n);
    }
}

pub(super) fn closed(plan: &Plan) -> Vec<Reading> {
    let n = black_box(plan.n(5_000_000));
    let sum = (0..n).fold(0u64, |sum, n| {
        sum.wrapping_add(taken(n).expect("it is small"))
    });
    let outcomes = compare(
        plan.rounds,
        Contender::new("bare", || {
            let mut report = run(bare::pipeline().workers(1), n);
            assert_eq!(report.take_state::<bare::add>(), Some(Sum(sum)));
        }),
        vec![
            Contender::new("breaker", || {
                let mut report = run(broken::pipeline().workers(1), n);
                assert_eq!(report.take_state::<broken::add>(), Some(Sum(sum)));
            }),
            Contender::new("all guards", || {
                let mut report = run(guarded::pipeline().workers(1), n);
                assert_eq!(report.take_state::<guarded::add>(), Some(Sum(sum)));
            }),
        ],
    );
    vec![
        Reading::new("guards.breaker", over(&outcomes, 1, n)),
        Reading::new("guards.all", over(&outcomes, 2, n)),
    ]
}
