//! Transactions that come one at a time, as a network brings them: each is decided on and told at once. No block is there whose root
//! could be checked.

use std::fmt;

use pipewright::sink;

use super::{reject::Reject, types::Scored};

/// What the stages share: who is told what becomes of each transaction.
pub struct Live {
    decided: Box<dyn Fn(Result<Scored, Reject>) + Send + Sync>,
}

impl Live {
    /// `decided` is called once for each transaction, by the thread that has decided on it.
    pub fn new(decided: impl Fn(Result<Scored, Reject>) + Send + Sync + 'static) -> Self {
        Self {
            decided: Box::new(decided),
        }
    }

    /// Tells what became of a transaction.
    pub fn tell(&self, decision: Result<Scored, Reject>) {
        (self.decided)(decision);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

/// The sink of transactions that a node may keep.
#[sink]
pub fn keep(scored: Scored, env: &Live) {
    env.tell(Ok(scored));
}

/// The sink of all others.
#[sink]
pub fn refuse(reject: Reject, env: &Live) {
    env.tell(Err(reject));
}
