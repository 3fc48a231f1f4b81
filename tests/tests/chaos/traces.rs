//! The deterministic mode: a dry run does the same for the same seed, and a run with threads ends with the same items.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use pipewright::{Batch, Classify, DeadLetter, DryRun, ErrorClass, pipeline};
use pipewright_tests::{
    faults,
    oracle::{CHAOS, Case, Random, strikes},
    turns,
};

/// Items of a run.
const ITEMS: u64 = 300;

/// What is seen of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    Asked(u64),
    Delivered(u64),
    Filtered(u64),
    /// With whether the error was about the item.
    Letter(u64, bool),
    Panicked(u64),
}

pub struct Env {
    seed: u64,
    looked: Box<[AtomicU8]>,
    tried: Box<[AtomicU8]>,
    trace: Mutex<Vec<Seen>>,
}

impl Env {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            looked: (0..ITEMS).map(|_| AtomicU8::new(0)).collect(),
            tried: (0..ITEMS).map(|_| AtomicU8::new(0)).collect(),
            trace: Mutex::default(),
        })
    }

    fn see(&self, seen: Seen) {
        self.trace.lock().unwrap().push(seen);
    }

    fn trace(&self) -> Vec<Seen> {
        std::mem::take(&mut self.trace.lock().unwrap())
    }
}

#[derive(Clone, Copy, Debug)]
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

#[pipeline(env = Arc<Env>)]
mod traced {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers, batch = 8, linger = "50us")]
    pub fn pack(_: &mut Batch<u64>) {}

    #[stage(from = pack)]
    pub fn enter(n: u64, env: &Arc<Env>) -> Option<u64> {
        if strikes(env.seed, 1, n, 41) {
            env.see(Seen::Panicked(n));
            std::panic::panic_any(CHAOS);
        }
        if strikes(env.seed, 2, n, 13) {
            env.see(Seen::Filtered(n));
            return None;
        }
        Some(n)
    }

    /// Futures that wait for some turns, of which some fail once.
    #[stage(from = enter, in_flight = 16, retry(max = 3, backoff = "20us"))]
    pub async fn look_up(n: u64, env: &Arc<Env>) -> Result<u64, Fault> {
        turns(n % 3).await;
        let is_first = env.looked[n as usize].fetch_add(1, Relaxed) == 0;
        match is_first && strikes(env.seed, 5, n, 19) {
            true => Err(Fault(ErrorClass::Timeout)),
            false => Ok(n),
        }
    }

    /// Fails for some items always, and for others once.
    #[stage(from = look_up, rate = "2M/s", retry(max = 3, backoff = "20us"), breaker(
        window = 10, min_items = 10, failure_pct = 30, open = "10ms", open_max = "10ms", probes = 2, ramp = "0s"
    ))]
    pub fn ask(n: u64, env: &Arc<Env>) -> Result<u64, Fault> {
        use ErrorClass::{Dependency, Item, Overload};
        env.see(Seen::Asked(n));
        let tries = env.tried[n as usize].fetch_add(1, Relaxed);
        if strikes(env.seed, 3, n, 31) {
            return Err(Fault(Item));
        }
        match tries == 0 && strikes(env.seed, 4, n, 7) {
            true => Err(Fault(if n.is_multiple_of(2) {
                Dependency
            } else {
                Overload
            })),
            false => Ok(n),
        }
    }

    #[stage(from = ask, key = |n: &u64| n % 7)]
    pub fn keyed(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = keyed, in_flight = 8)]
    pub async fn tell(n: u64) -> u64 {
        turns(n % 4).await;
        n
    }

    #[sink(from = tell)]
    pub fn last(n: u64, env: &Arc<Env>) {
        env.see(Seen::Delivered(n));
    }

    #[sink(from = [look_up::Err, ask::Err])]
    pub fn letters(letter: DeadLetter<Fault, u64>, env: &Arc<Env>) {
        env.see(Seen::Letter(letter.item, letter.class == ErrorClass::Item));
    }
}

/// One step of a dry run, as the seed says.
fn step(run: &mut DryRun<'_, traced::Pipeline>, next: &mut u64, random: &mut Random) {
    match random.below(4) {
        0 | 1 => {
            let end = (*next + random.below(24)).min(ITEMS);
            run.feed_from::<traced::numbers>(*next..end);
            *next = end;
        }
        2 => run.advance(Duration::from_nanos(random.below(3_000_000))),
        _ => {
            let text = format!(
                "(stages: {{ \"pack\": (batch: {}) }})",
                1 + random.below(16)
            );
            run.retune("by the seed", &text).unwrap();
        }
    }
    if random.below(3) == 0 {
        run.run();
    }
}

/// A hash of all that a dry run does, step by step, and what became of its items.
fn dry(seed: u64) -> (u64, Vec<Seen>) {
    let env = Env::new(seed);
    let mut run = traced::pipeline().dry_run(Arc::clone(&env));
    let (mut random, mut hash, mut next) = (Random::new(seed), DefaultHasher::new(), 0);
    let mut all = Vec::new();
    while next < ITEMS {
        step(&mut run, &mut next, &mut random);
        let seen = env.trace();
        (run.elapsed(), &seen, format!("{:?}", run.metrics())).hash(&mut hash);
        all.extend(seen);
    }
    let report = run.drain().unwrap();
    let ledger = report.ledger();
    assert!(
        ledger.is_balanced() && ledger.in_flight == 0 && ledger.dropped == 0,
        "{report}"
    );
    let seen = env.trace();
    (report.elapsed(), &seen, format!("{ledger}")).hash(&mut hash);
    all.extend(seen);
    all.retain(|seen| !matches!(seen, Seen::Asked(_)));
    (hash.finish(), all)
}

/// What became of the items of a run with threads.
fn threaded(seed: u64, workers: usize) -> Vec<Seen> {
    let env = Env::new(seed);
    let builder = traced::pipeline().workers(workers).in_parallel();
    let report = builder.start(Arc::clone(&env)).unwrap().wait().unwrap();
    assert!(
        report.ledger().is_balanced() && report.ledger().dropped == 0,
        "{report}"
    );
    let mut all = env.trace();
    all.retain(|seen| !matches!(seen, Seen::Asked(_)));
    all
}

fn by_key(all: &[Seen]) -> BTreeMap<u64, Vec<u64>> {
    let mut keys = BTreeMap::<u64, Vec<u64>>::new();
    for seen in all {
        if let Seen::Delivered(n) = seen {
            keys.entry(n % 7).or_default().push(*n);
        }
    }
    keys
}

#[test]
fn c21_a_dry_run_does_the_same_for_the_same_seed_and_threads_end_with_the_same_items() {
    let case = Case::begin("C21");
    let (mut random, seeds) = (case.random(), faults(1_000));
    let mut hashes = Vec::new();
    for _ in 0..seeds {
        let seed = random.any();
        let (hash, mut all) = dry(seed);
        assert_eq!(
            dry(seed).0,
            hash,
            "seed {seed} did another thing the second time"
        );
        hashes.push(hash);
        let mut others = threaded(seed, 2 + random.below(3) as usize);
        assert_eq!(by_key(&others), by_key(&all), "seed {seed}: order of keys");
        all.sort_unstable();
        others.sort_unstable();
        assert_eq!(others, all, "seed {seed}");
        assert_eq!(all.len() as u64, ITEMS, "each item has one end");
    }
    hashes.sort_unstable();
    hashes.dedup();
    println!(
        "C21: {seeds} seeds twice, {} different traces, as many runs with threads",
        hashes.len()
    );
    assert_eq!(
        hashes.len() as u64,
        seeds,
        "the traces do not see what differs"
    );
    case.end();
}
