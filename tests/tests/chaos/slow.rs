//! A stage that becomes a hundred times as slow, again and again: one that is called, and one whose futures are cancelled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use pipewright::{
    Classify, DeadLetter, Emit, ErrorClass, Flow, TimedOut, breaker::State, pipeline,
};
use pipewright_tests::{
    faults,
    oracle::{Case, InOrder, is_full},
};

/// A call takes so long when all is well, and a hundred times as long when it is not.
const FAST: Duration = Duration::from_millis(1);
/// The items of a ticket of the source.
const BATCH: u64 = 8;
/// After so many slow calls the breaker must be about to open; each of the two workers may have a ticket in its hands then.
const ENOUGH: u64 = 10 + 2 * BATCH;
/// Changes of state from the last slow call until it is closed: probes that are slow open it once more, then others pass. A machine
/// that puts them aside for long may do so again.
const RECOVERS: u64 = 4 + 6;

/// What the stage calls.
#[derive(Debug, Default)]
pub struct Remote {
    is_slow: AtomicBool,
    /// Slow calls of this episode that have returned.
    slow: AtomicU64,
    over: AtomicBool,
    given: AtomicU64,
    taken: AtomicU64,
    /// The most items that were ever between source and sink.
    most: AtomicU64,
}

#[pipeline(env = Arc<Remote>, pool(workers = 2))]
mod asked {
    use super::*;

    #[source(batch = 8)]
    pub fn numbers(next: &mut u64, out: &mut Emit<u64>, env: &Arc<Remote>) -> Flow {
        if env.over.load(Relaxed) {
            return Flow::Done;
        }
        out.send(*next);
        *next += 1;
        let given = env.given.fetch_add(1, Relaxed) + 1;
        let between = given.saturating_sub(env.taken.load(Relaxed));
        env.most.fetch_max(between, Relaxed);
        Flow::More
    }

    #[stage(from = numbers, on_error = stop, breaker(
        window = 10, min_items = 10, slow = "50ms", slow_pct = 50, probes = 4,
        open = "100ms", open_max = "100ms", half_open_max = "1s", ramp = "0s"
    ))]
    pub fn ask(n: u64, env: &Arc<Remote>) -> Result<u64, String> {
        let is_slow = env.is_slow.load(Relaxed);
        // The time that the answer takes.
        thread::sleep(if is_slow { FAST * 100 } else { FAST });
        env.slow.fetch_add(is_slow.into(), Relaxed);
        Ok(n)
    }

    #[sink(from = ask)]
    pub fn last(n: u64, seen: &mut InOrder, env: &Arc<Remote>) {
        seen.see(n);
        env.taken.fetch_add(1, Relaxed);
    }
}

/// Waits for a state, looking every millisecond; how long it took since `begun`.
fn until(begun: Instant, mut is_there: impl FnMut() -> bool) -> Duration {
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
        thread::park_timeout(Duration::from_millis(1));
    }
    begun.elapsed()
}

#[test]
fn c3_a_stage_that_becomes_slow_opens_its_breaker_and_recovers() {
    let case = Case::begin("C3");
    let episodes = faults(20);
    let episode = Duration::from_millis(if is_full() { 5_000 } else { 1_000 });
    let env = Arc::new(Remote::default());
    let run = asked::pipeline()
        .in_parallel()
        .start(Arc::clone(&env))
        .unwrap();
    let (mut opens, mut closes) = (Duration::ZERO, Duration::ZERO);
    let (mut enough, mut recovers) = (0, 0);
    for _ in 0..episodes {
        let breaker = run.breaker::<asked::ask>().unwrap();
        let told = || breaker.metrics();
        let taken = env.taken.load(Relaxed);
        until(Instant::now(), || env.taken.load(Relaxed) > taken + 100);
        until(Instant::now(), || breaker.state() == State::Closed);
        env.slow.store(0, Relaxed);
        let (begun, probes) = (Instant::now(), told().probes);
        env.is_slow.store(true, Relaxed);
        opens = opens.max(until(begun, || breaker.state() != State::Closed));
        let slow = env.slow.load(Relaxed);
        // Who looks late may see probes that were slow, too.
        enough = enough.max(slow.saturating_sub(told().probes - probes));
        until(begun, || begun.elapsed() >= episode);
        let (ended, changes) = (Instant::now(), told().changes);
        env.is_slow.store(false, Relaxed);
        closes = closes.max(until(ended, || breaker.state() == State::Closed));
        recovers = recovers.max(told().changes - changes);
    }
    env.over.store(true, Relaxed);
    let mut report = run.wait().unwrap();
    let seen = report.take_state::<asked::last>().unwrap();
    let most = env.most.load(Relaxed);
    println!(
        "C3: {} items, {episodes} times slow, open after at most {enough} slow calls ({opens:?}), closed after {recovers} changes \
         ({closes:?}) since the last, at most {most} items on their way, 0 lost",
        seen.items
    );
    assert!(
        enough <= ENOUGH,
        "{enough} calls were slow before it opened"
    );
    assert!(recovers <= RECOVERS, "{recovers} changes until it closed");
    // At most 8 tickets of 8 items each.
    assert!(most <= 8 * BATCH, "{most} items were on their way");
    let ledger = report.ledger();
    assert!(
        ledger.is_balanced() && ledger.delivered == ledger.received,
        "{report}"
    );
    assert_eq!(
        (seen.items, seen.sum, seen.disordered),
        (ledger.received, (0..ledger.received).sum(), 0)
    );
    case.end();
}

/// The stage did not answer in time.
#[derive(Clone, Copy, Debug)]
pub struct Late;

impl From<TimedOut> for Late {
    fn from(_: TimedOut) -> Self {
        Self
    }
}

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("late")
    }
}

impl Classify for Late {
    fn class(&self) -> ErrorClass {
        ErrorClass::Timeout
    }
}

#[pipeline(env = Arc<Remote>, pool(workers = 2))]
mod awaited {
    use super::*;

    #[source(batch = 8)]
    pub fn numbers(next: &mut u64, out: &mut Emit<u64>, env: &Arc<Remote>) -> Flow {
        if env.over.load(Relaxed) {
            return Flow::Done;
        }
        out.send(*next);
        *next += 1;
        Flow::More
    }

    #[stage(from = numbers, in_flight = 32, timeout = "50ms", retry(max = 2, backoff = "5ms"), breaker(
        window = 10, min_items = 10, failure_pct = 50, probes = 4,
        open = "100ms", open_max = "100ms", half_open_max = "1s", ramp = "0s"
    ))]
    pub async fn ask(n: u64, env: &Arc<Remote>) -> Result<u64, Late> {
        let is_slow = env.is_slow.load(Relaxed);
        tokio::time::sleep(if is_slow { FAST * 100 } else { FAST }).await;
        Ok(n)
    }

    #[sink(from = ask)]
    pub fn last(n: u64, seen: &mut InOrder, env: &Arc<Remote>) {
        seen.see(n);
        env.taken.fetch_add(1, Relaxed);
    }

    #[sink(from = ask::Err)]
    pub fn letters(letter: DeadLetter<Late, u64>, seen: &mut InOrder) {
        seen.see(letter.item);
    }
}

#[test]
fn c3_futures_that_become_slow_are_cancelled_and_their_breaker_opens_and_recovers() {
    let case = Case::begin("C3, futures");
    let episodes = faults(20);
    let env = Arc::new(Remote::default());
    let run = awaited::pipeline().start(Arc::clone(&env)).unwrap();
    let state = || run.breaker::<awaited::ask>().unwrap().state();
    for _ in 0..episodes {
        let taken = env.taken.load(Relaxed);
        until(Instant::now(), || env.taken.load(Relaxed) > taken + 100);
        until(Instant::now(), || state() == State::Closed);
        env.is_slow.store(true, Relaxed);
        until(Instant::now(), || state() != State::Closed);
        env.is_slow.store(false, Relaxed);
        until(Instant::now(), || state() == State::Closed);
    }
    env.over.store(true, Relaxed);
    let mut report = run.wait().unwrap();
    let seen = report.take_state::<awaited::last>().unwrap();
    let late = report.take_state::<awaited::letters>().unwrap();
    let metrics = report.metrics().stage::<awaited::ask>();
    let flights = metrics.flights.as_ref().unwrap();
    println!(
        "C3, futures: {} items, {episodes} times slow, {} futures, {} cancelled, {} letters, 0 lost",
        seen.items + late.items,
        flights.begun,
        flights.cancelled,
        late.items,
    );
    assert!(flights.cancelled >= 5 * episodes && flights.in_flight == 0);
    let ledger = report.ledger();
    let received = ledger.received;
    assert!(ledger.is_balanced() && ledger.dropped == 0, "{report}");
    assert_eq!(
        (seen.items + late.items, seen.sum + late.sum),
        (received, (0..received).sum()),
        "{report}"
    );
    assert_eq!((seen.disordered, late.disordered), (0, 0), "{report}");
    case.end();
}
