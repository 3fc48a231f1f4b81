//! What the stages call, what the sinks have seen, and what must be true of every run.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use pipewright::{
    Blueprint, Builder, Classify, GuardMetrics, Merge, NoInput, Panicked,
    breaker::{Refused, State},
    machine::Machine,
};
use pipewright_tests::guarded::guard_of;

/// The items of each run.
pub const ITEMS: u64 = 2_000;
/// What panics of these tests say.
pub const CHAOS: &str = "chaos";

/// What stages call; it fails for a while, and panics for some items.
#[derive(Clone, Debug)]
pub struct Env(Arc<World>);

#[derive(Debug)]
struct World {
    calls: AtomicU64,
    faults: Faults,
    table: Vec<u64>,
    published: Mutex<Vec<u64>>,
    rejected: Mutex<Vec<u64>>,
    refused: AtomicU64,
    spooled: Mutex<Vec<u64>>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Calls from this one on fail.
    pub from: u64,
    /// So many of them.
    pub times: u64,
    /// Multiples of this number panic; none if it is 0.
    pub panics: u64,
}

/// Why an item left by `Err`.
#[derive(Clone, Debug)]
pub enum Failure {
    Of(u64),
    Refused(Refused),
    Panicked(String),
}

impl Env {
    pub fn new(faults: Faults) -> Self {
        Self(Arc::new(World {
            calls: AtomicU64::new(0),
            faults,
            table: (0..ITEMS).collect(),
            published: Mutex::default(),
            rejected: Mutex::default(),
            refused: AtomicU64::new(0),
            spooled: Mutex::default(),
        }))
    }

    /// Calls from number `from` on fail, so many of them.
    pub fn failing(from: u64, times: u64) -> Self {
        Self::new(Faults {
            from,
            times,
            panics: 0,
        })
    }

    pub fn call(&self, n: u64) -> Result<u64, Failure> {
        let Faults {
            from,
            times,
            panics,
        } = self.0.faults;
        assert!(panics == 0 || !n.is_multiple_of(panics), "{CHAOS}");
        let call = self.0.calls.fetch_add(1, Relaxed);
        match (from..from.saturating_add(times)).contains(&call) {
            true => Err(Failure::Of(n)),
            false => Ok(n),
        }
    }

    /// The memory that an item leads to.
    pub fn place(&self, n: &u64) -> &u64 {
        &self.0.table[*n as usize]
    }

    pub fn calls(&self) -> u64 {
        self.0.calls.load(Relaxed)
    }

    pub fn publish(&self, n: u64) {
        lock(&self.0.published).push(n);
    }

    /// An item that failed, was refused or panicked; `item` is the item where it is kept.
    pub fn reject(&self, failure: &Failure, item: Option<u64>) {
        match (failure, item) {
            (Failure::Refused(refused), None) => {
                assert_ne!(refused.state, State::Closed);
                self.0.refused.fetch_add(1, Relaxed);
            }
            (_, Some(n)) => lock(&self.0.rejected).push(n),
            (Failure::Of(n), None) => lock(&self.0.rejected).push(*n),
            (Failure::Panicked(said), None) => panic!("{said}: a panic has no number"),
        }
    }

    pub fn spool(&self, n: u64) {
        lock(&self.0.spooled).push(n);
    }

    pub fn published(&self) -> Vec<u64> {
        lock(&self.0.published).clone()
    }

    pub fn rejected(&self) -> Vec<u64> {
        lock(&self.0.rejected).clone()
    }

    pub fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    pub fn spooled(&self) -> Vec<u64> {
        lock(&self.0.spooled).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the place of a stage whose breaker is open.
pub fn cached(n: u64, env: &Env) -> u64 {
    env.spool(n);
    n
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Classify for Failure {}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Panicked> for Failure {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked(panicked.message)
    }
}

/// How many items a thread has seen.
#[derive(Debug, Default)]
pub struct Count(pub u64);

impl Merge for Count {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// Panics that are part of a test print nothing.
pub fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some(CHAOS) {
                hook(panic);
            }
        }));
    });
}

/// A run on a machine that has enough cores for every pipeline here.
pub fn placed<P: Blueprint>(builder: Builder<P>) -> Builder<P> {
    let machine = Machine::simulate("1x8").unwrap();
    builder.machine(machine).workers(2)
}

/// How items leave a pipeline, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// That of the source.
    Source,
    /// That of each key, which is the number modulo 100.
    Keys,
}

/// Runs a pipeline to its end and checks that every item has one end. What guards the stage is given to `also`, with the report
/// as text.
#[track_caller]
pub fn check<P>(
    pipeline: Builder<P>,
    faults: Faults,
    order: Order,
    also: impl Fn(&GuardMetrics, &Env, &str),
) where
    P: Blueprint<Env = Env, Input = NoInput>,
{
    quiet();
    let env = Env::new(faults);
    let run = placed(pipeline).start(env.clone()).unwrap();
    let report = run.wait().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.ledger().in_flight, 0, "{report}");
    let seen = guard_of(&report);
    assert_eq!(seen.waiting, 0, "{report}");
    let published = env.published();
    match order {
        Order::Source => assert!(published.is_sorted(), "{report}"),
        Order::Keys => {
            for key in 0..100 {
                let of_key = published.iter().filter(|n| *n % 100 == key);
                assert!(of_key.is_sorted(), "{key}: {report}");
            }
        }
    }
    let fell_back = seen.fell_back;
    let mut all = [published, env.rejected()].concat();
    if fell_back == 0 {
        all.extend(env.spooled());
    }
    let lost = report.ledger().dropped + env.refused();
    assert_eq!(all.len() as u64 + lost, ITEMS, "{report}");
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b), "twice: {report}");
    assert_eq!(report.ledger().dropped, seen.dropped, "{report}");
    assert_eq!(env.refused(), seen.refused, "{report}");
    also(&seen, &env, &report.to_string());
}

/// The key of an item, where items have keys.
pub fn key_of(n: &u64) -> u64 {
    n % 100
}
