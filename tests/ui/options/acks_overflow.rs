//! What is acknowledged is not dropped.

use pipewright::{Acknowledge, Commit, Emit, Flow, pipeline};

#[derive(Default)]
pub struct Position;

impl Acknowledge for Position {
    type Position = u64;
    type Committer = Self;
    type Error = String;

    fn committer(&mut self) -> Result<Self, String> {
        Ok(Self)
    }

    fn position(&self) -> u64 {
        0
    }
}

impl Commit<u64> for Position {
    type Error = String;

    fn commit(&mut self, _: u64) -> Result<(), String> {
        Ok(())
    }
}

#[pipeline]
mod shop {
    use super::*;

    #[source(acks)]
    pub fn numbers(_: &mut Position, _: &mut Emit<u8>) -> Flow {
        Flow::Done
    }

    #[sink(from = [numbers, input], overflow = shed_lowest)]
    pub fn print(n: u8) {
        println!("{n}");
    }
}

fn main() {
    let _ = shop::pipeline();
}
