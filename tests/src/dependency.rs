//! What guarded stages of tests call: something that fails as it is told, and remembers what sinks have seen.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use pipewright::{Classify, ErrorClass, breaker::Refused};

/// Something that stages call; the environment of their pipelines.
#[derive(Clone, Debug)]
pub struct Dependency(Arc<World>);

#[derive(Debug)]
struct World {
    calls: AtomicU64,
    fails: Fails,
    recovered: AtomicBool,
    tries: Mutex<HashMap<u64, u64>>,
    published: Mutex<Vec<u64>>,
    rejected: Mutex<Vec<u64>>,
    spooled: Mutex<Vec<u64>>,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
enum Fails {
    /// So many of them, from this one on.
    Calls { from: u64, times: u64 },
    /// Those with multiples of a number, so many times each.
    Items {
        of: u64,
        times: u64,
        class: ErrorClass,
    },
}

/// A call that failed, or was not made.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Of this item, with an error that says this.
    Of(u64, ErrorClass),
    /// The breaker refused it.
    Refused(Refused),
}

/// The state of stages that count.
#[derive(Debug, Default)]
pub struct Count(pub u64);

impl Dependency {
    /// One that does not fail.
    pub fn well() -> Self {
        Self::failing(0, 0)
    }

    /// `times` calls fail, from call number `from` on, as if it were down.
    pub fn failing(from: u64, times: u64) -> Self {
        Self::new(Fails::Calls { from, times })
    }

    /// All calls fail from this one on, until it recovers.
    pub fn down_from(from: u64) -> Self {
        Self::failing(from, u64::MAX)
    }

    /// Calls with multiples of `of` fail, `times` times each, with this class.
    pub fn failing_for(of: u64, times: u64, class: ErrorClass) -> Self {
        Self::new(Fails::Items { of, times, class })
    }

    fn new(fails: Fails) -> Self {
        Self(Arc::new(World {
            calls: AtomicU64::new(0),
            fails,
            recovered: AtomicBool::new(false),
            tries: Mutex::default(),
            published: Mutex::default(),
            rejected: Mutex::default(),
            spooled: Mutex::default(),
        }))
    }

    /// Calls it.
    ///
    /// # Errors
    ///
    /// If that is what it was told.
    pub fn call(&self, n: u64) -> Result<u64, Failure> {
        let call = self.0.calls.fetch_add(1, Ordering::Relaxed);
        let failed = match self.0.fails {
            _ if self.0.recovered.load(Ordering::Relaxed) => None,
            Fails::Calls { from, times } => (from..from.saturating_add(times))
                .contains(&call)
                .then_some(ErrorClass::Dependency),
            Fails::Items { of, times, class } => {
                let mut tries = lock(&self.0.tries);
                let tries = tries.entry(n).or_default();
                *tries += 1;
                (n.is_multiple_of(of) && *tries <= times).then_some(class)
            }
        };
        failed.map_or(Ok(n), |class| Err(Failure::Of(n, class)))
    }

    /// No call fails any more.
    pub fn recover(&self) {
        self.0.recovered.store(true, Ordering::Relaxed);
    }

    /// Calls until now are forgotten.
    pub fn forget_calls(&self) {
        self.0.calls.store(0, Ordering::Relaxed);
    }

    /// A sink takes what passed.
    pub fn publish(&self, n: u64) {
        lock(&self.0.published).push(n);
    }

    /// A sink takes what failed; refusals have no number.
    pub fn reject(&self, failure: &Failure) {
        if let Failure::Of(n, _) = failure {
            lock(&self.0.rejected).push(*n);
        }
    }

    /// A sink takes what went another way.
    pub fn spool(&self, n: u64) {
        lock(&self.0.spooled).push(n);
    }

    /// Calls with an item, where it fails by item.
    pub fn tries_of(&self, n: u64) -> u64 {
        lock(&self.0.tries).get(&n).copied().unwrap_or_default()
    }

    /// What passed, in its order.
    pub fn published(&self) -> Vec<u64> {
        lock(&self.0.published).clone()
    }

    /// What failed, in its order.
    pub fn rejected(&self) -> Vec<u64> {
        lock(&self.0.rejected).clone()
    }

    /// What went another way, in its order.
    pub fn spooled(&self) -> Vec<u64> {
        lock(&self.0.spooled).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(n, class) => write!(f, "{n} failed: {class:?}"),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl Classify for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Of(_, class) => *class,
            Self::Refused(_) => ErrorClass::Dependency,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
