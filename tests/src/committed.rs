//! The state of a source that is acknowledged: numbers, from where they were committed on.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use pipewright::{Acknowledge, Commit, Emit, Flow};

/// The numbers up to an end, and up to where they are committed.
#[derive(Debug)]
pub struct Numbers {
    next: u64,
    end: u64,
    committed: Arc<AtomicU64>,
}

/// Keeps up to where everything is done.
#[derive(Debug)]
pub struct Keeper(Arc<AtomicU64>);

impl Numbers {
    /// From what is committed until `end`, which is not among them.
    pub fn new(committed: &Arc<AtomicU64>, end: u64) -> Self {
        Self {
            next: committed.load(SeqCst),
            end,
            committed: Arc::clone(committed),
        }
    }

    /// Gives the next one, as a source that is polled does.
    pub fn give(&mut self, out: &mut Emit<u64>) -> Flow {
        if self.next == self.end {
            return Flow::Done;
        }
        out.send(self.next);
        self.next += 1;
        Flow::More
    }
}

impl Acknowledge for Numbers {
    type Position = u64;
    type Committer = Keeper;
    type Error = Infallible;

    fn committer(&mut self) -> Result<Keeper, Infallible> {
        Ok(Keeper(Arc::clone(&self.committed)))
    }

    fn position(&self) -> u64 {
        self.next
    }
}

impl Commit<u64> for Keeper {
    type Error = Infallible;

    fn commit(&mut self, position: u64) -> Result<(), Infallible> {
        self.0.store(position, SeqCst);
        Ok(())
    }
}
