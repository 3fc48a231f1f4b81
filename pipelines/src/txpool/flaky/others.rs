//! Others, who ask for transactions of their own, or push them without looking whether there is room.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, Scope, ScopedJoinHandle},
    time::Duration,
};

use pipewright::{CallError, Caller, Input, Priority, Running, SendError};

use super::{TRANSACTIONS, flaky, raw};
use crate::txpool::{
    parse::parse,
    tests::generated,
    types::{Piece, RawTx},
};

/// Most calls, and most transactions that are pushed, in a run.
const CALLS: usize = 100;
const PUSHED: usize = 400;

/// Transactions that are in no block.
pub(super) struct Others(Arc<[RawTx]>);

impl Others {
    pub(super) fn new(seed: u64) -> Self {
        let texts = generated(seed, 2 * TRANSACTIONS);
        let pieces = (TRANSACTIONS..)
            .zip(&texts)
            .flat_map(|(at, text)| parse(raw(at, text)));
        let transactions = pieces.filter_map(|piece| match piece {
            Piece::Tx(tx) => Some(tx),
            _ => None,
        });
        Self(transactions.collect())
    }

    /// For a round: each comes once.
    pub(super) fn begin(&self) -> Coming {
        Coming {
            all: Arc::clone(&self.0),
            next: Arc::default(),
        }
    }
}

/// Those that have not come yet.
#[derive(Clone)]
pub(super) struct Coming {
    all: Arc<[RawTx]>,
    next: Arc<AtomicUsize>,
}

/// Of those, what was taken in.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) pushed: u64,
    /// Not taken in, because there was no room.
    pub(super) refused: u64,
}

impl Taken {
    pub(super) fn all(&self) -> u64 {
        self.calls + self.pushed
    }
}

/// The threads of a run.
pub(super) struct Threads<'scope>([ScopedJoinHandle<'scope, Taken>; 3]);

impl Threads<'_> {
    pub(super) fn join(self) -> Taken {
        let mut sum = Taken::default();
        for thread in self.0 {
            let Taken {
                calls,
                failed,
                pushed,
                refused,
            } = thread.join().expect("all are answered");
            sum.calls += calls;
            sum.failed += failed;
            sum.pushed += pushed;
            sum.refused += refused;
        }
        sum
    }
}

impl Coming {
    fn next(&self) -> Option<RawTx> {
        self.all.get(self.next.fetch_add(1, Relaxed)).cloned()
    }

    pub(super) fn come<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        run: &Running<flaky::Pipeline>,
    ) -> Threads<'scope> {
        let call = || {
            let (this, caller) = (self.clone(), run.caller());
            scope.spawn(move || this.call(&caller))
        };
        let calls = [call(), call()];
        let (this, input) = (self.clone(), run.input());
        let [first, second] = calls;
        Threads([first, second, scope.spawn(move || this.push(&input))])
    }

    /// Asks one after the other, until the run takes none.
    fn call(&self, caller: &Caller<flaky::Pipeline>) -> Taken {
        let mut taken = Taken::default();
        for _ in 0..CALLS {
            let Some(request) = self.next() else {
                break;
            };
            match caller.call(request) {
                Ok(_) => {}
                Err(CallError::Failed {
                    stage: "enrich", ..
                }) => taken.failed += 1,
                Err(CallError::Overloaded(Some(_))) => {
                    taken.refused += 1;
                    thread::park_timeout(Duration::from_micros(200));
                    continue;
                }
                Err(CallError::ShutDown(Some(_))) => break,
                Err(other) => panic!("{other:?}"),
            }
            taken.calls += 1;
        }
        taken
    }

    /// Pushes as fast as it can: some that may be late, and many of low priority.
    fn push(
        &self,
        input: &Input<RawTx, <flaky::Pipeline as pipewright::Blueprint>::Queued>,
    ) -> Taken {
        let mut taken = Taken::default();
        for n in 0..PUSHED {
            let Some(tx) = self.next() else {
                break;
            };
            let sent = match n % 8 {
                0 => input.send_within(tx, Duration::from_millis(2)),
                _ => input.send_at(Priority::Low, tx),
            };
            match sent {
                Ok(()) => taken.pushed += 1,
                Err(SendError::Full(_)) => taken.refused += 1,
                Err(SendError::Closed(_)) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        taken
    }
}
