//! What a fork costs that nobody takes: `fib` with a fork at every call, in a pool of one worker, against plain calls.

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pipewright::{join, pipeline};

use super::{Plan, Reading, nanoseconds};

/// Times of forks and of calls.
#[derive(Clone, Debug, Default)]
pub struct Times(Arc<Mutex<Vec<[Duration; 2]>>>);

/// A stage that does the same with forks and with calls.
#[pipeline(env = Times)]
pub mod forking {
    use super::*;

    /// Does both, one after the other, and notes how long each took.
    #[sink(from = input, order = any)]
    pub fn compare(n: u64, env: &Times) {
        let both = [timed(|| forked(n)), timed(|| called(n))];
        env.0.lock().expect("adding does not panic").push(both);
    }
}

fn timed(fib: impl FnOnce() -> u64) -> Duration {
    let begun = Instant::now();
    black_box(fib());
    begun.elapsed()
}

#[inline(never)]
fn forked(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = join(|| forked(n - 1), || forked(n - 2));
    a + b
}

#[inline(never)]
fn called(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    called(n - 1) + called(n - 2)
}

pub(super) fn untaken(plan: &Plan) -> Vec<Reading> {
    let times = Times::default();
    let run = forking::pipeline().workers(1).start(times.clone());
    let run = run.expect("the worker starts");
    let n = if plan.quick { 27 } else { 32 };
    for _ in 0..plan.rounds {
        run.send(black_box(n)).expect("the pipeline runs");
    }
    let _ = run.drain().expect("nothing fails");
    let times = times.0.lock().expect("adding does not panic");
    let ratio = |[forks, calls]: &[Duration; 2]| nanoseconds(*forks) / nanoseconds(*calls);
    vec![Reading::new("fork", times.iter().map(ratio).collect())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_and_calls_give_the_same() {
        for (n, fib) in [(0, 0), (1, 1), (2, 1), (10, 55), (20, 6765)] {
            assert_eq!((forked(n), called(n)), (fib, fib), "fib({n})");
        }
    }
}
