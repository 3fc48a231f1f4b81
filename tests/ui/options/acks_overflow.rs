//! What a source is told to be done is not dropped by a full queue.

use pipewright::{Acknowledge, Commit, Emit, Flow, pipeline};

pub struct Log(u64);

pub struct Kept;

impl Acknowledge for Log {
    type Position = u64;
    type Committer = Kept;
    type Error = String;

    fn committer(&mut self) -> Result<Kept, String> {
        Ok(Kept)
    }

    fn position(&self) -> u64 {
        self.0
    }
}

impl Commit<u64> for Kept {
    type Error = String;

    fn commit(&mut self, _: u64) -> Result<(), String> {
        Ok(())
    }
}

#[pipeline]
mod orders {
    use super::*;

    fn begin() -> Log {
        Log(0)
    }

    #[source(state = begin, acks)]
    pub fn read(log: &mut Log, out: &mut Emit<u64>) -> Flow {
        out.send(log.0);
        log.0 += 1;
        Flow::More
    }

    #[sink(from = [read, input], order = any, overflow = drop_newest)]
    pub fn store(n: u64) {
        let _ = n;
    }
}

fn main() {}
