//! Every form of an `async fn`.

use pipewright::{Classify, DeadLetter, TimedOut, breaker::Refused, pipeline};

#[derive(Clone, Debug)]
pub struct Failure;

impl Classify for Failure {}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it failed")
    }
}

impl From<TimedOut> for Failure {
    fn from(_: TimedOut) -> Self {
        Self
    }
}

impl From<Refused> for Failure {
    fn from(_: Refused) -> Self {
        Self
    }
}

pub enum Sorted {
    Even(u64),
    Odd(u64),
}

#[derive(Debug, Default)]
pub struct Env;

#[pipeline(env = Env, reply = answer)]
mod all {
    use super::{DeadLetter, Env, Failure, Sorted};

    #[stage(from = input)]
    pub async fn plain(n: u64) -> u64 {
        n
    }

    #[stage(from = plain, order = any)]
    pub async fn some(n: u64, env: &Env) -> Option<u64> {
        let _ = env;
        Some(n)
    }

    #[stage(from = some, timeout = "1s", breaker(on_open = dead_letter), rate = "1000k/s")]
    pub async fn answer(n: u64, env: &Env) -> Result<Option<u64>, Failure> {
        let _ = env;
        std::future::ready(Ok(Some(n))).await
    }

    #[stage(from = answer)]
    pub async fn sort(n: u64) -> Sorted {
        if n.is_multiple_of(2) { Sorted::Even(n) } else { Sorted::Odd(n) }
    }

    #[sink(from = sort::Even, retry(max = 2), on_error = drop, in_flight = 3)]
    pub async fn even(n: u64, env: &Env) -> Result<(), Failure> {
        let _ = (n, env);
        Ok(())
    }

    #[sink(from = sort::Odd)]
    pub async fn odd(_: u64) {}

    #[sink(from = answer::Err)]
    pub async fn complain(letter: DeadLetter<Failure, u64>) {
        drop(letter);
    }

    #[sink(from = [plain, answer])]
    pub async fn copies(_: u64) {}
}

fn main() {
    let run = all::pipeline().start(Env).unwrap();
    assert_eq!(run.call(4).unwrap(), 4);
    run.send(5).unwrap();
    let report = run.drain().unwrap();
    assert_eq!(report.metrics().stage::<all::copies>().received, 4);
}
