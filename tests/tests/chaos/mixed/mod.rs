//! Everything at once, by seed: panics, errors, tries again, breakers, rates, timeouts, futures that wait or hang, dead letters, calls,
//! acknowledgements, items that are given back, changes of numbers of runs and of guards, and an end at any time.

mod acknowledged;
mod called;
mod pushed;

use std::{
    fmt,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pipewright::{Blueprint, Classify, ErrorClass, GuardMetrics, Panicked, Report, TimedOut};
use pipewright_tests::{
    faults,
    oracle::{CHAOS, Case, Ends, Random, strikes},
    turns,
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
    /// Futures that wait.
    waiting: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(ErrorClass);

impl From<TimedOut> for Fault {
    fn from(_: TimedOut) -> Self {
        Self(ErrorClass::Timeout)
    }
}

impl From<Panicked> for Fault {
    fn from(panicked: Panicked) -> Self {
        assert_eq!(panicked.message, CHAOS);
        Self(ErrorClass::Item)
    }
}

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
            waiting: AtomicU64::new(0),
        })
    }

    /// A stage panics with one item in 97.
    fn may_panic(&self, stage: u64, n: u64) {
        if strikes(self.seed, stage, n, 97) {
            self.ends.end(n);
            std::panic::panic_any(CHAOS);
        }
    }

    /// A stage panics with one item in 389, the first time.
    fn may_panic_once(&self, stage: u64, n: u64) {
        let is_first = || self.tried[n as usize].fetch_or(ONCE, Relaxed) & ONCE == 0;
        if strikes(self.seed, stage, n, 389) && is_first() {
            std::panic::panic_any(CHAOS);
        }
    }

    /// As a future waits: for a turn or some, one item in 23 for a timer, and one in 307 for ever, the first time.
    async fn waits(&self, n: u64) {
        let _waiting = Waiting::begin(&self.waiting);
        turns(n % 4).await;
        if strikes(self.seed, 7, n, 23) {
            tokio::time::sleep(Duration::from_micros(100 * (1 + n % 10))).await;
        }
        let is_first = || self.tried[n as usize].fetch_add(1, Relaxed) & !ONCE == 0;
        if strikes(self.seed, 8, n, 307) && is_first() {
            pending::<()>().await;
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
        let tries = self.tried[n as usize].fetch_add(1, Relaxed) & !ONCE;
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

/// In the count of an item's tries: it has panicked.
const ONCE: u8 = 0x80;

/// A future that waits.
struct Waiting<'w>(&'w AtomicU64);

impl<'w> Waiting<'w> {
    fn begin(count: &'w AtomicU64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Numbers of the guards of `ask` that fit, some of them; `tries`: with those of `retry`.
fn guards(random: &mut Random, tries: bool) -> String {
    let open = 10 + random.below(10);
    let mut all = vec![
        format!("timeout: \"{}ms\"", 5 + random.below(40)),
        format!("rate: \"{}k/s\"", 100 + random.below(900)),
        format!(
            "breaker: (min_items: {}, failure_pct: {}, open: \"{open}ms\", open_max: \"{}ms\", probes: {})",
            1 + random.below(20),
            10 + random.below(60),
            open + random.below(10),
            1 + random.below(8),
        ),
    ];
    if tries {
        let (max, backoff) = (1 + random.below(5), 1 + random.below(500));
        all.push(format!("retry: (max: {max}, backoff: \"{backoff}us\")"));
    }
    all.retain(|_| random.below(2) == 0);
    format!("\"ask\": ({})", all.join(", "))
}

fn guard<P: Blueprint>(report: &Report<P>, stage: &str) -> GuardMetrics {
    let stage = report.metrics().get(stage).unwrap();
    stage.guard.clone().unwrap()
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
    /// Futures that were begun, and those of them that took too long or were dropped.
    futures: u64,
    cancelled: u64,
    /// Runs that a panic ended.
    ended: u64,
    /// Items that were given back, and times that a source went back for that within a run.
    returned: u64,
    rewinds: u64,
}

impl Sum {
    fn add_futures<P: Blueprint>(&mut self, report: &Report<P>) {
        let stages = report.metrics().stages();
        for flights in stages.iter().filter_map(|stage| stage.flights.as_ref()) {
            assert_eq!(flights.in_flight, 0, "{report}");
            self.futures += flights.begun;
            self.cancelled += flights.cancelled;
        }
    }
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
        sum.cancelled,
        sum.ended,
        sum.returned,
        sum.rewinds,
    ];
    assert!(happened.iter().all(|times| *times > 0), "{sum:?}");
    case.end();
}
