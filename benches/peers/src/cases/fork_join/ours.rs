//! pipewright: a stage that forks, in a pipeline that runs.

use std::sync::mpsc;

use pipewright::{join, pipeline};

use super::work;
use crate::harness::{Contender, Scale};

#[pipeline(env = mpsc::Sender<u64>)]
pub mod fork_join {
    use super::*;

    #[stage(from = input)]
    pub fn compute(n: u64) -> u64 {
        fib(n)
    }

    #[sink(from = compute)]
    pub fn answer(fib: u64, env: &mpsc::Sender<u64>) {
        env.send(fib).expect("the answer is waited for");
    }

    fn fib(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = join(|| fib(n - 1), || fib(n - 2));
        a + b
    }
}

/// The caller waits, and two workers work. A run for each sample, so that its workers are in no other row.
pub(super) fn contender(scale: Scale, n: u64) -> Contender {
    Contender::ours("pipewright, fork and join", move || {
        let (answer, answers) = mpsc::channel();
        let run = fork_join::pipeline().workers(2).start(answer);
        let run = run.expect("the pipeline starts");
        let fib = move |n| {
            run.send(n).expect("it takes items");
            answers.recv().expect("it answers")
        };
        work(scale, n, fib)()
    })
}
