//! Items of an acknowledged source are followed on their way, and not through pinned threads.

use std::convert::Infallible;

use pipewright::{Acknowledge, Commit, Emit, Flow, pipeline};

#[derive(Default)]
pub struct Numbers(u8);

impl Acknowledge for Numbers {
    type Position = u8;
    type Committer = Keeper;
    type Error = Infallible;

    fn committer(&mut self) -> Result<Keeper, Infallible> {
        Ok(Keeper)
    }

    fn position(&self) -> u8 {
        self.0
    }
}

pub struct Keeper;

impl Commit<u8> for Keeper {
    type Error = Infallible;

    fn commit(&mut self, _: u8) -> Result<(), Infallible> {
        Ok(())
    }
}

#[pipeline]
mod shop {
    use super::*;

    #[source(acks)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u8>) -> Flow {
        out.send(from.0);
        from.0 += 1;
        Flow::Done
    }

    #[sink(from = numbers, cores = "1")]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
