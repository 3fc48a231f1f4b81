//! Calls that never return, in a pipeline whose source is acknowledged.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use pipewright::{Emit, Flow, GuardMetrics, Health, RunError, Running, pipeline};
use pipewright_tests::{
    committed::Numbers,
    eventually, faults,
    oracle::{Case, Ends, is_full},
};

/// Items of one round; more than the stages come to while the front is not acknowledged.
const ITEMS: u64 = 3_000;
/// What makes a call slow below.
const SLOW: Duration = Duration::from_millis(50);
/// Others must get so far while calls hang.
const FURTHER: u64 = 500;

/// What one round of the case shares.
#[derive(Debug)]
pub struct World {
    /// These hang.
    hung: Vec<u64>,
    calls: Mutex<Calls>,
    changed: Condvar,
    committed: Arc<AtomicU64>,
    ends: Ends,
}

#[derive(Debug, Default)]
struct Calls {
    /// Since when calls hang.
    since: Vec<Instant>,
    /// They may return.
    over: bool,
}

impl World {
    fn call(&self, n: u64) {
        if !self.hung.contains(&n) {
            return;
        }
        let mut calls = self.calls.lock().unwrap();
        if !calls.over {
            calls.since.push(Instant::now());
        }
        drop(self.changed.wait_while(calls, |calls| !calls.over));
    }

    fn hanging(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().since.clone()
    }
}

/// Lets all calls return, also when a case fails.
struct Returns(Arc<World>);

impl Drop for Returns {
    fn drop(&mut self) {
        self.0.calls.lock().unwrap().over = true;
        self.0.changed.notify_all();
    }
}

/// From where it was committed on.
fn begin(world: &Arc<World>) -> Numbers {
    Numbers::new(&world.committed, ITEMS)
}

#[pipeline(env = Arc<World>, pool(workers = 2))]
mod asked {
    use super::*;

    #[source(state = begin, acks, batch = 1)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        from.give(out)
    }

    #[stage(from = numbers, on_error = stop, timeout = "100ms", breaker(
        min_items = 1000000, slow = "50ms", slow_pct = 100, failure_pct = 100
    ))]
    pub fn ask(n: u64, env: &Arc<World>) -> Result<u64, String> {
        env.call(n);
        Ok(n)
    }

    #[sink(from = ask, order = any)]
    pub fn last(n: u64, env: &Arc<World>) {
        env.ends.end(n);
    }
}

fn guard(run: &Running<asked::Pipeline>) -> GuardMetrics {
    run.metrics().stage::<asked::ask>().guard.clone().unwrap()
}

/// What a round has shown.
#[derive(Default)]
struct Shown {
    /// How long it took until the breaker counted each call as slow that hung.
    detected: Vec<Duration>,
    /// Items that others delivered while calls hung.
    others: u64,
    /// Items that were held by calls when the drain ended.
    held: u64,
    /// Items that came again in the second run.
    again: u64,
}

impl Shown {
    fn and(mut self, other: Self) -> Self {
        self.detected.extend(other.detected);
        Self {
            detected: self.detected,
            others: self.others + other.others,
            held: self.held + other.held,
            again: self.again + other.again,
        }
    }
}

/// One run whose calls hang for some items until a drain gives them up, and one that goes on where it was committed.
fn round(hung: Vec<u64>) -> Shown {
    let calls = hung.len();
    let world = Arc::new(World {
        hung,
        calls: Mutex::default(),
        changed: Condvar::new(),
        committed: Arc::default(),
        ends: Ends::new(ITEMS),
    });
    let run = asked::pipeline().start(Arc::clone(&world)).unwrap();
    let returns = Returns(Arc::clone(&world));
    let mut shown = Shown::default();
    let mut seen = 0;
    eventually(|| {
        let hanging = world.hanging();
        let guard = guard(&run);
        // To the breaker, calls from before a time in which nobody looked are not slow; such a time may come on a busy machine.
        let overdue = guard.breaker.overdue.max(guard.overdue) as usize;
        let overdue = overdue.min(hanging.len());
        for since in hanging.iter().take(overdue).skip(seen) {
            shown.detected.push(since.elapsed());
        }
        seen = seen.max(overdue);
        seen == calls
    });
    eventually(|| guard(&run).quarantined >= calls.min(2) as u64);
    let before = world.ends.counts().0;
    let first = *world.hung.iter().min().unwrap();
    // What is behind the first one waits for it to be acknowledged, up to as many batches as there is room for.
    let further = FURTHER.min((first + 1_000).saturating_sub(before));
    eventually(|| world.ends.counts().0 >= before + further);
    eventually(|| matches!(run.health(), Health::Degraded(_)));
    let failed = run.drain_within(Duration::from_millis(10)).unwrap_err();
    shown.others = world.ends.counts().0;
    let ledger = failed.report.ledger();
    assert!(ledger.is_balanced(), "{failed:?}");
    assert_eq!(ledger.in_flight, calls as u64, "{failed:?}");
    assert_eq!(ledger.delivered, shown.others, "{failed:?}");
    assert_eq!(
        format!("{:?}", failed.exit_code()),
        format!("{:?}", std::process::ExitCode::from(4))
    );
    let RunError::Deadline { left, .. } = &failed.error else {
        panic!("{failed}");
    };
    let held: Vec<_> = left.iter().filter(|left| left.held > 0).collect();
    let held: Vec<_> = held.iter().map(|left| (left.stage, left.held)).collect();
    assert_eq!(held, [("ask", calls as u64)], "{failed}");
    shown.held = calls as u64;
    // Returned: nothing that hung was delivered, nor anything committed that comes from there on.
    let committed = world.committed.load(SeqCst);
    assert!(
        committed <= first,
        "{committed} is committed, and {first} hung"
    );
    assert!(world.hung.iter().all(|n| !world.ends.has_ended(*n)));
    assert!((0..committed).all(|n| world.ends.has_ended(n)));
    let (delivered, twice) = world.ends.counts();
    assert_eq!(twice, 0);
    // The calls return now, and what they give is given up: the source gives it again.
    drop(returns);
    drop(failed);
    second(&world, delivered, shown)
}

fn second(world: &Arc<World>, delivered: u64, shown: Shown) -> Shown {
    let committed = world.committed.load(SeqCst);
    let report = asked::pipeline().run(Arc::clone(world)).unwrap();
    let ledger = report.ledger();
    assert_eq!(ledger.delivered, ITEMS - committed, "{report}");
    assert_eq!(world.committed.load(SeqCst), ITEMS);
    // The threads of the first run have ended, too, and have delivered nothing more.
    eventually(|| Arc::strong_count(world) == 1);
    let (ended, twice) = world.ends.counts();
    assert_eq!(ended, ITEMS, "every item has come to an end");
    // Twice came what was done behind the first one that hung, and nothing else: that is what at least once means.
    assert_eq!(twice, delivered - committed);
    Shown {
        again: twice,
        ..shown
    }
}

#[test]
fn c4_calls_that_never_return_are_seen_others_go_on_and_a_drain_gives_their_items_back() {
    let case = Case::begin("C4");
    let mut random = case.random();
    let rounds = faults(40);
    let (mut calls, mut shown) = (0, Shown::default());
    for round in 0..rounds {
        // One to three: with three, both workers and one that stands in.
        let hung: Vec<u64> = (0..1 + round % 3)
            .map(|n| 100 * (n + 1) + random.below(100))
            .collect();
        calls += hung.len();
        shown = shown.and(self::round(hung));
    }
    let Shown {
        mut detected,
        others,
        held,
        again,
    } = shown;
    detected.sort_unstable();
    let (usual, longest) = (detected[calls / 2], detected[calls - 1]);
    println!(
        "C4: {} items, {rounds} runs, {calls} calls that hang, each seen after {usual:.1?}, or {longest:.1?} at most (slow: \
         {SLOW:?}), {others} items delivered meanwhile, {held} given back, 0 lost; {again} came again",
        rounds * ITEMS
    );
    assert_eq!(detected.len(), calls);
    // Nothing about time in the quick form, and of a whole programme what is usual: other work may be beside it.
    if is_full() {
        assert!(usual <= 2 * SLOW, "{usual:?}");
    }
    case.end();
}
