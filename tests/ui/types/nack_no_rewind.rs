//! A stage gives items back to a source that cannot go back.

use std::convert::Infallible;

use pipewright::{Acknowledge, Commit, pipeline};

pub struct Numbers(u64);

pub struct Keeper;

impl Acknowledge for Numbers {
    type Position = u64;
    type Committer = Keeper;
    type Error = Infallible;

    fn committer(&mut self) -> Result<Keeper, Infallible> {
        Ok(Keeper)
    }

    fn position(&self) -> u64 {
        self.0
    }
}

impl Commit<u64> for Keeper {
    type Error = Infallible;

    fn commit(&mut self, _: u64) -> Result<(), Infallible> {
        Ok(())
    }
}

fn begin() -> Numbers {
    Numbers(0)
}

#[pipeline]
mod broken {
    use super::{Numbers, begin};
    use pipewright::{Classify, Emit, Flow};

    pub enum Failure {}

    impl Classify for Failure {}

    #[source(state = begin, acks)]
    fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        out.send(from.0);
        Flow::Done
    }

    #[sink(from = numbers, on_error = drop, breaker(on_open = nack))]
    fn ask(n: u64) -> Result<(), Failure> {
        let _ = n;
        Ok(())
    }

    impl std::fmt::Display for Failure {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match *self {}
        }
    }
}

fn main() {}
