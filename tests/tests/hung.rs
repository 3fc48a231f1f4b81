//! Calls that hang: other workers stand in for those that wait for them, and nothing is lost or done twice.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "what stages use is as public as the functions that pipelines are made of"
)]

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use pipewright::{Blueprint, Emit, Flow, Health, Merge, RunError, Running, pipeline};
use pipewright_tests::{Seen, committed::Numbers, eventually, guarded::guard};

/// Items from here on hang until they are let go.
const HANGS: u64 = 1_000_000;

/// What sinks have seen, and which items hang.
#[derive(Clone, Debug)]
pub struct Env {
    seen: Seen<u64>,
    gate: Arc<(Mutex<Hanging>, Condvar)>,
    /// May no further state be made?
    closed: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Hanging {
    /// How many do.
    now: u64,
    /// They may go.
    open: bool,
}

impl Env {
    fn new() -> Self {
        Self {
            seen: Seen::new(),
            gate: Arc::default(),
            closed: Arc::default(),
            committed: Arc::default(),
        }
    }

    pub fn call(&self, n: u64) {
        if n < HANGS {
            return;
        }
        let (hanging, changed) = &*self.gate;
        let mut hanging = hanging.lock().unwrap();
        hanging.now += 1;
        hanging = changed
            .wait_while(hanging, |hanging| !hanging.open)
            .unwrap();
        hanging.now -= 1;
    }

    fn hanging(&self) -> u64 {
        self.gate.0.lock().unwrap().now
    }

    fn open(&self) {
        self.gate.0.lock().unwrap().open = true;
        self.gate.1.notify_all();
    }

    /// Opens when it is dropped, so that a test that fails ends.
    fn opens(&self) -> impl Drop + use<> {
        struct Opens(Env);
        impl Drop for Opens {
            fn drop(&mut self) {
                self.0.open();
            }
        }
        Opens(self.clone())
    }

    fn shut(&self) {
        self.gate.0.lock().unwrap().open = false;
    }

    /// Sends an item that hangs, and waits until it does.
    fn hang<P: Blueprint<Input = u64>>(&self, run: &Running<P>, n: u64) {
        let before = self.hanging();
        run.send(HANGS + n).unwrap();
        eventually(|| self.hanging() == before + 1);
    }

    /// What sinks have seen, sorted.
    fn sorted(&self) -> Vec<u64> {
        let mut seen = self.seen.take();
        seen.sort_unstable();
        seen
    }
}

#[pipeline(env = Env)]
mod pushed {
    use super::*;

    #[stage(from = input, timeout = "50ms", on_error = stop)]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.call(n);
        Ok(n)
    }

    #[sink(from = guarded, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

fn delivered<P: Blueprint>(run: &Running<P>) -> u64 {
    run.metrics().get("publish").unwrap().sent
}

#[test]
fn others_go_on_while_calls_hang_and_what_hung_is_delivered_when_it_returns() {
    for workers in [1, 2] {
        let env = Env::new();
        let run = pushed::pipeline()
            .workers(workers)
            .start(env.clone())
            .unwrap();
        let _opens = env.opens();
        // All workers are in calls that hang.
        let hung = workers as u64;
        (0..hung).for_each(|n| env.hang(&run, n));
        run.send_all(0..1000).unwrap();
        eventually(|| delivered(&run) == 1000);
        // Whoever stands in for the first may have done them before the second hangs; and a call that the system puts aside for
        // so long hangs, too.
        eventually(|| guard(&run).hung >= hung);
        env.open();
        let report = run.drain().unwrap();
        let items = (0..1000).chain(HANGS..HANGS + hung);
        assert!(env.sorted().into_iter().eq(items), "{report}");
        assert_eq!(report.ledger().delivered, 1000 + hung, "{report}");
        assert!(report.to_string().contains("workers stood in"), "{report}");
    }
}

#[test]
fn health_and_warnings_tell_of_a_call_only_while_it_hangs() {
    let env = Env::new();
    let run = pushed::pipeline().workers(2).start(env.clone()).unwrap();
    let _opens = env.opens();
    env.hang(&run, 0);
    eventually(|| guard(&run).quarantined > 0);
    let (health, warnings) = (run.health().to_string(), run.warnings().join("\n"));
    for told in [health, warnings] {
        assert!(
            told.contains("`guarded` hang") && told.contains("stand"),
            "{told}"
        );
    }
    env.open();
    eventually(|| run.health() == Health::Healthy && guard(&run).quarantined == 0);
    let report = run.drain().unwrap();
    let told = report.warnings();
    assert!(!told.iter().any(|told| told.contains("hang")), "{report}");
}

#[test]
fn two_workers_stand_in_at_most_for_those_of_a_stage_and_again_when_they_have_returned() {
    let env = Env::new();
    let run = pushed::pipeline().workers(1).start(env.clone()).unwrap();
    let _opens = env.opens();
    for round in 1..=3 {
        // The worker, and both that stand in.
        (0..3).for_each(|n| env.hang(&run, n));
        // Who stands in may have come before it is counted.
        eventually(|| guard(&run).hung >= 3 * round && guard(&run).stood_in >= 2 * round);
        assert_eq!(guard(&run).quarantined, 2);
        eventually(|| guard(&run).overdue == 3);
        // Nobody is left for this one.
        run.send(7).unwrap();
        env.open();
        eventually(|| delivered(&run) == 4 * round && guard(&run).quarantined == 0);
        env.shut();
    }
    // Nobody was started for the second round: those who had returned were spare.
    assert_eq!(run.metrics().workers().len(), 3);
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 12, "{report}");
}

#[pipeline(env = Env)]
mod keyed {
    use super::*;

    /// Of a key, items come in their order.
    #[stage(from = input, key = |n| n % 100, timeout = "50ms", on_error = stop)]
    pub fn guarded(n: u64, last: &mut u64, env: &Env) -> Result<u64, String> {
        env.call(n);
        let (count, before) = (n % HANGS / 100, std::mem::replace(last, n % HANGS / 100));
        match count >= before {
            true => Ok(n),
            false => Err(format!("{count} after {before}")),
        }
    }

    #[sink(from = guarded, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn a_key_belongs_to_the_call_that_hangs_until_it_returns_and_others_go_on() {
    let env = Env::new();
    let run = keyed::pipeline().workers(2).start(env.clone()).unwrap();
    let _opens = env.opens();
    env.hang(&run, 0);
    eventually(|| guard(&run).quarantined > 0);
    run.send_all(1..1000).unwrap();
    // A partition has several keys, and a batch has parts for several partitions: those that are not for the one of key 0 arrive.
    eventually(|| delivered(&run) > 0);
    let mut items = env.seen.take();
    assert!(items.iter().all(|n| n % 100 != 0), "the key is not free");
    env.open();
    let report = run.drain().unwrap();
    items.extend(env.seen.take());
    items.sort_unstable();
    assert!(items.into_iter().eq((1..1000).chain([HANGS])), "{report}");
}

#[pipeline(env = Env)]
mod ordered {
    use super::*;

    #[stage(from = input, timeout = "50ms", on_error = stop)]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.call(n);
        Ok(n)
    }

    #[sink(from = guarded)]
    pub fn publish(n: u64, seen: &mut Vec<u64>) {
        seen.push(n);
    }
}

#[test]
fn what_keeps_order_waits_for_a_call_that_hangs() {
    let env = Env::new();
    let run = ordered::pipeline().workers(2).start(env.clone()).unwrap();
    let _opens = env.opens();
    run.send_all(0..10).unwrap();
    env.hang(&run, 0);
    run.send_all(10..1000).unwrap();
    eventually(|| guard(&run).quarantined > 0);
    env.open();
    let mut report = run.drain().unwrap();
    let seen = report.take_state::<ordered::publish>().unwrap();
    assert!(
        seen.into_iter().eq((0..10).chain([HANGS]).chain(10..1000)),
        "{report}"
    );
}

/// How many items a worker has seen.
#[derive(Debug)]
pub struct Count(u64);

impl Merge for Count {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Count {
    fn new(env: &Env) -> Result<Self, String> {
        match env.closed.load(SeqCst) {
            true => Err("no more of them".to_owned()),
            false => Ok(Self(0)),
        }
    }
}

#[pipeline(env = Env)]
mod counted {
    use super::*;

    #[stage(from = input, timeout = "50ms", on_error = stop, per_worker, state = Count::new)]
    pub fn guarded(n: u64, count: &mut Count, env: &Env) -> Result<u64, String> {
        env.call(n);
        count.0 += 1;
        Ok(n)
    }

    #[sink(from = guarded, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn who_stands_in_has_a_state_of_its_own_that_is_merged_with_the_others() {
    let env = Env::new();
    let run = counted::pipeline().workers(1).start(env.clone()).unwrap();
    let _opens = env.opens();
    env.hang(&run, 0);
    run.send_all(0..100).unwrap();
    eventually(|| delivered(&run) == 100);
    env.open();
    let mut report = run.drain().unwrap();
    let count = report.take_state::<counted::guarded>().unwrap();
    assert_eq!(count.0, 101, "{report}");
}

#[test]
fn a_run_goes_on_when_nobody_can_stand_in_and_says_why() {
    let env = Env::new();
    let run = counted::pipeline().workers(1).start(env.clone()).unwrap();
    let _opens = env.opens();
    env.closed.store(true, SeqCst);
    env.hang(&run, 0);
    run.send_all(0..100).unwrap();
    eventually(|| {
        run.warnings()
            .iter()
            .any(|told| told.contains("no more of them"))
    });
    assert_eq!(delivered(&run), 0);
    env.open();
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 101, "{report}");
    let why = "no other worker could stand in for one whose call hangs: ";
    assert!(
        report.warnings().iter().any(|told| told.starts_with(why)),
        "{report}"
    );
}

#[pipeline(env = Env)]
mod slow {
    use super::*;

    #[stage(from = input, breaker(slow = "5ms", slow_pct = 100, min_items = 1000, on_open = hold), on_error = stop)]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.call(n);
        Ok(n)
    }

    #[sink(from = guarded, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn a_stage_without_a_timeout_whose_breaker_knows_slow_calls_is_looked_after_too() {
    let env = Env::new();
    let run = slow::pipeline().workers(1).start(env.clone()).unwrap();
    let _opens = env.opens();
    env.hang(&run, 0);
    run.send_all(0..100).unwrap();
    eventually(|| delivered(&run) == 100);
    assert!(guard(&run).hung >= 1);
    env.open();
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 101, "{report}");
}

#[pipeline(env = Env)]
mod narrow {
    use super::*;

    #[stage(from = input, timeout = "50ms", workers = 1, on_error = stop)]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.call(n);
        Ok(n)
    }

    #[sink(from = guarded, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn a_call_that_hangs_keeps_its_permit() {
    let env = Env::new();
    let run = narrow::pipeline().workers(1).start(env.clone()).unwrap();
    let _opens = env.opens();
    env.hang(&run, 0);
    run.send_all(0..100).unwrap();
    // Who stands in comes as far as the stage.
    eventually(|| guard(&run).waiting > 0);
    assert_eq!((delivered(&run), guard(&run).inside), (0, 1));
    env.open();
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 101, "{report}");
}

#[pipeline(env = Env, pool(workers = 1))]
mod beside {
    use super::*;

    #[stage(from = input, timeout = "50ms", on_error = stop)]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.call(n % (2 * HANGS));
        Ok(n)
    }

    #[stage(from = input, timeout = "50ms", on_error = stop)]
    pub fn other(n: u64, env: &Env) -> Result<u64, String> {
        env.call(n.saturating_sub(HANGS));
        Ok(n)
    }

    #[sink(from = input, order = any)]
    pub fn show(n: u64, env: &Env) {
        env.seen.see(n);
    }

    #[sink(from = guarded, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }

    #[sink(from = other, order = any)]
    pub fn publish_other(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn what_else_its_batch_has_made_does_not_wait_for_a_call_that_hangs() {
    for (item, hung, further) in [
        (HANGS, "publish", "publish_other"),
        (HANGS * 2, "publish_other", "publish"),
    ] {
        let env = Env::new();
        let run = beside::pipeline().start(env.clone()).unwrap();
        let _opens = env.opens();
        run.send(item).unwrap();
        let sent = |stage| run.metrics().get(stage).unwrap().sent;
        eventually(|| sent("show") == 1 && sent(further) == 1);
        assert_eq!(sent(hung), 0);
        env.open();
        let report = run.drain().unwrap();
        assert_eq!(report.ledger().delivered, 3, "{report}");
        assert!(env.sorted().into_iter().eq([item; 3]), "{report}");
    }
}

const ITEMS: u64 = 2000;
/// The one that hangs.
const HUNG: u64 = 700;

fn begin(env: &Env) -> Numbers {
    Numbers::new(&env.committed, ITEMS)
}

#[pipeline(env = Env, pool(workers = 2))]
mod replayed {
    use super::*;

    #[source(state = begin, acks, batch = 1)]
    pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
        from.give(out)
    }

    #[stage(from = numbers, timeout = "50ms", on_error = stop)]
    pub fn guarded(n: u64, env: &Env) -> Result<u64, String> {
        env.call(if n == HUNG { HANGS } else { n });
        Ok(n)
    }

    #[sink(from = guarded, order = any)]
    pub fn publish(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn a_drain_ends_without_a_call_that_hangs_names_it_and_its_items_come_again() {
    let env = Env::new();
    let run = replayed::pipeline().start(env.clone()).unwrap();
    let _opens = env.opens();
    eventually(|| env.hanging() == 1);
    eventually(|| guard(&run).quarantined > 0);
    eventually(|| delivered(&run) > 0);
    let failed = run.drain_within(Duration::from_millis(1)).unwrap_err();
    let ledger = failed.report.ledger();
    assert!(ledger.is_balanced(), "{failed:?}");
    assert_eq!(ledger.in_flight, 1, "{failed:?}");
    let RunError::Deadline { left, .. } = &failed.error else {
        panic!("{failed}");
    };
    let held: Vec<_> = left.iter().filter(|left| left.held > 0).collect();
    let held: Vec<_> = held.iter().map(|left| (left.stage, left.held)).collect();
    assert_eq!(held, [("guarded", 1)], "{failed}");
    assert_eq!(
        format!("{:?}", failed.exit_code()),
        format!("{:?}", std::process::ExitCode::from(4))
    );
    let told = failed.report.warnings();
    assert!(
        told.iter()
            .any(|told| told.starts_with("a call of `guarded` hangs")),
        "{told:?}"
    );
    // Returned: whoever goes on where it was committed gives all of the batch again.
    let committed = env.committed.load(SeqCst);
    assert!(committed <= HUNG, "{committed}");
    let first = env.seen.take();
    assert!(!first.contains(&HUNG));
    env.open();
    eventually(|| env.hanging() == 0);
    let report = replayed::pipeline().run(env.clone()).unwrap();
    assert_eq!(env.committed.load(SeqCst), ITEMS, "{report}");
    let mut all = first;
    all.extend(env.seen.take());
    all.sort_unstable();
    all.dedup();
    assert!(all.into_iter().eq(0..ITEMS), "{report}");
    assert_eq!(report.ledger().received, ITEMS - committed, "{report}");
}
