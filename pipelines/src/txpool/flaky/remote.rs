//! Whom the stages call: it is bad for some transactions, fails for others once, hangs, panics, and is down for a while again and again.

use std::{
    collections::HashMap,
    fmt,
    future::{pending, poll_fn},
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use alloy_primitives::B256;
use pipewright::{Classify, ErrorClass, Panicked, TimedOut};

use crate::txpool::reject::Reject;

/// It is down for the last 20 of so many calls.
const DOWN: u64 = 300;
/// What panics say that are part of the test.
const CHAOS: &str = "chaos";

/// What the rounds, which are one after the other, share with stages that see nothing but the product's environment.
static REMOTE: Mutex<Option<Remote>> = Mutex::new(None);

/// Whom the stages call, where the source is, and what was given up.
#[derive(Debug, Default)]
pub(super) struct Remote {
    seed: u64,
    calls: u64,
    tried: HashMap<(Stage, B256), u32>,
    /// Hashes of the dead letters.
    pub(super) letters: Vec<B256>,
    /// Where the next run begins.
    pub(super) position: usize,
    pub(super) commits: u64,
    /// Of the letters, those with which a stage panicked.
    pub(super) panics: u64,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Enrich,
    Vet,
    Record,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Good,
    Fails(ErrorClass),
    Hangs,
    Panics,
}

impl Remote {
    pub(super) fn with<R>(of: impl FnOnce(&mut Self) -> R) -> R {
        let mut remote: MutexGuard<'_, Option<Self>> =
            REMOTE.lock().unwrap_or_else(PoisonError::into_inner);
        of(remote.get_or_insert_default())
    }

    /// Another round.
    pub(super) fn begin(seed: u64) {
        Self::with(|remote| {
            *remote = Self {
                seed,
                ..Self::default()
            };
        });
    }

    /// Bad for one transaction in 97, always, and fails for one in 17 at first, and for any while it is down.
    fn fate(&mut self, stage: Stage, hash: &B256) -> Fate {
        let tries = self.tried.entry((stage, *hash)).or_default();
        *tries += 1;
        let is_first = *tries == 1;
        let own = hash.as_slice().iter().take(8);
        let own = own.fold(self.seed ^ stage as u64, |own, byte| {
            own.wrapping_mul(257) ^ u64::from(*byte)
        });
        if own.is_multiple_of(97) {
            return Fate::Fails(ErrorClass::Item);
        }
        if stage == Stage::Vet && own.is_multiple_of(211) {
            return Fate::Panics;
        }
        if stage != Stage::Vet && is_first && own.is_multiple_of(101) {
            return Fate::Hangs;
        }
        self.calls += 1;
        let is_down = self.calls % DOWN >= DOWN - 20;
        match is_down || is_first && own.is_multiple_of(17) {
            true => Fate::Fails(ErrorClass::Dependency),
            false => Fate::Good,
        }
    }

    /// Calls it, and waits for the answer on this thread.
    pub(super) fn call(stage: Stage, hash: &B256) -> Result<(), Unavailable> {
        match Self::with(|remote| remote.fate(stage, hash)) {
            Fate::Good => Ok(()),
            Fate::Fails(class) => Err(Unavailable(class)),
            Fate::Hangs | Fate::Panics => std::panic::panic_any(CHAOS),
        }
    }

    /// Calls it, and waits for the answer as a future does: for some turns, or for ever.
    pub(super) async fn ask(stage: Stage, hash: &B256) -> Result<(), Unavailable> {
        let fate = Self::with(|remote| remote.fate(stage, hash));
        turns(hash[0] % 4).await;
        match fate {
            Fate::Good => Ok(()),
            Fate::Fails(class) => Err(Unavailable(class)),
            Fate::Hangs | Fate::Panics => pending().await,
        }
    }
}

/// Is not ready so many times, and wakes itself.
async fn turns(times: u8) {
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Panics that are part of the test are not printed.
pub(super) fn quiet() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(CHAOS) {
            hook(panic);
        }
    }));
}

/// Whom the stage calls gave no answer.
#[derive(Clone, Debug)]
pub struct Unavailable(ErrorClass);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer: {:?}", self.0)
    }
}

impl Classify for Unavailable {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

/// What a stage before refused is refused in a call.
impl From<Reject> for Unavailable {
    fn from(_: Reject) -> Self {
        Self(ErrorClass::Item)
    }
}

impl From<TimedOut> for Unavailable {
    fn from(_: TimedOut) -> Self {
        Self(ErrorClass::Timeout)
    }
}

impl From<Panicked> for Unavailable {
    fn from(panicked: Panicked) -> Self {
        assert_eq!(panicked.message, CHAOS);
        Remote::with(|remote| remote.panics += 1);
        Self(ErrorClass::Item)
    }
}
