//! Everything at once, by seed: panics, errors, tries again, breakers, rates, dead letters, calls, acknowledgements, changes of
//! numbers, and an end at any time.

mod acknowledged;
mod called;
mod pushed;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pipewright::{Classify, ErrorClass};
use pipewright_tests::{
    faults,
    oracle::{CHAOS, Case, Ends, Random, strikes},
};

/// Whom is called is down for the last 12 of so many calls.
const DOWN: u64 = 150;

/// What happens to the items of a run.
#[derive(Debug)]
pub struct World {
    seed: u64,
    ends: Ends,
    tried: Box<[AtomicU8]>,
    calls: AtomicU64,
    disordered: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(ErrorClass);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Classify for Fault {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

impl World {
    fn new(seed: u64, items: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            ends: Ends::new(items),
            tried: (0..items).map(|_| AtomicU8::new(0)).collect(),
            calls: AtomicU64::new(0),
            disordered: AtomicU64::new(0),
        })
    }

    /// A stage panics with one item in 97.
    fn may_panic(&self, stage: u64, n: u64) {
        if strikes(self.seed, stage, n, 97) {
            self.ends.end(n);
            std::panic::panic_any(CHAOS);
        }
    }

    /// Filters one item in 53.
    fn filtered(&self, n: u64) -> Option<u64> {
        if strikes(self.seed, 2, n, 53) {
            self.ends.end(n);
            return None;
        }
        Some(n)
    }

    /// A call that fails for some items always, for others once or twice, and for any while whom is called is down.
    fn ask(&self, n: u64) -> Result<u64, Fault> {
        use ErrorClass::{Dependency, Item, Overload, Timeout};
        let tries = self.tried[n as usize].fetch_add(1, Relaxed);
        if strikes(self.seed, 4, n, 61) {
            return Err(Fault(Item));
        }
        let down = self.calls.fetch_add(1, Relaxed) % DOWN >= DOWN - 12;
        let classes = [Dependency, Overload, Timeout];
        let class = classes[(n % 3) as usize];
        match down || strikes(self.seed, 5, n, 17) && u64::from(tries) <= n % 2 {
            true => Err(Fault(class)),
            false => Ok(n),
        }
    }
}

/// What happened in all runs.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    runs: u64,
    items: u64,
    delivered: u64,
    panicked: u64,
    failed: u64,
    retried: u64,
    opened: u64,
    dropped: u64,
    retuned: u64,
    calls: u64,
    commits: u64,
    twice: u64,
}

/// Waits a little, by the seed: in steps that others' signals may cut short.
fn pause(random: &mut Random, most_us: u64) {
    std::thread::park_timeout(Duration::from_micros(random.below(most_us)));
}

#[test]
fn c20_everything_at_once_by_seed_loses_nothing() {
    let case = Case::begin("C20");
    let (mut random, seeds) = (case.random(), faults(200));
    let mut sum = Sum::default();
    for _ in 0..seeds {
        let seed = random.any();
        // What fails names the seed of its round.
        println!("C20: round {seed}");
        pushed::round(seed, &mut sum);
        called::round(seed, &mut sum);
        acknowledged::round(seed, &mut sum);
    }
    println!("C20: {seeds} seeds, 0 lost, {sum:?}");
    let happened = [
        sum.panicked,
        sum.failed,
        sum.retried,
        sum.opened,
        sum.dropped,
        sum.retuned,
    ];
    assert!(happened.iter().all(|times| *times > 0), "{sum:?}");
    case.end();
}
