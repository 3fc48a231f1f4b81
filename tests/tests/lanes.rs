//! Who is served first: more urgent items overtake others, and nobody starves.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use pipewright::{Priority, pipeline};
use pipewright_tests::{Seen, WORKERS, work};

/// Holds the first item in the sink until the test has filled the input.
pub struct Valve {
    open: Mutex<mpsc::Receiver<()>>,
    reached: Arc<AtomicBool>,
    seen: Seen<(Priority, u64)>,
}

impl Valve {
    fn new() -> (Self, mpsc::Sender<()>, Seen<(Priority, u64)>) {
        let (sender, open) = mpsc::channel();
        let seen = Seen::new();
        let valve = Self {
            open: Mutex::new(open),
            reached: Arc::default(),
            seen: seen.clone(),
        };
        (valve, sender, seen)
    }
}

// With a quantum this short every look takes one item.
#[pipeline(env = Valve, quantum = "1us")]
mod pushed {
    use super::*;

    #[sink(from = input, queue = "16Ki")]
    pub fn last(item: (Priority, u64), env: &Valve) {
        if !env.reached.swap(true, Ordering::Relaxed) {
            // If the test has failed it has dropped the sender, and the run may end.
            let _ = env.open.lock().unwrap().recv();
        }
        for _ in 0..20 {
            work(());
        }
        env.seen.see(item);
    }
}

/// Sends so many items of each lane while the worker is held up, and returns the order in which they were taken, and how many may have
/// had their turn for their age alone: one of each lane but the first in 10 ms.
fn order_of(sent: &[(Priority, u64)]) -> (Vec<(Priority, u64)>, usize) {
    let begun = Instant::now();
    let (valve, open, seen) = Valve::new();
    let reached = Arc::clone(&valve.reached);
    let run = pushed::pipeline().workers(1).start(valve).unwrap();
    run.send((Priority::Normal, u64::MAX)).unwrap();
    while !reached.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    for &(priority, count) in sent {
        // Half of them one by one, and half of them together.
        let half = count / 2;
        for n in 0..half {
            run.send_at(priority, (priority, n)).unwrap();
        }
        let mut rest: Vec<_> = (half..count).map(|n| (priority, n)).collect();
        run.input().send_batch_at(priority, &mut rest).unwrap();
        assert!(rest.is_empty());
    }
    open.send(()).unwrap();
    let report = run.drain().unwrap();
    let total: u64 = sent.iter().map(|(_, count)| count).sum();
    assert_eq!(report.ledger().delivered, total + 1, "{report}");
    (seen.take(), 3 * (begun.elapsed().as_millis() / 10) as usize)
}

#[test]
fn urgent_items_overtake_those_that_wait() {
    use Priority::{Critical, High, Low, Normal};
    let (order, aged) = order_of(&[(Low, 100), (Normal, 100), (High, 10), (Critical, 10)]);
    let last = |of: Priority| {
        order
            .iter()
            .rposition(|(priority, _)| *priority == of)
            .unwrap()
    };
    let first = |of: Priority| {
        order[1..]
            .iter()
            .position(|(priority, _)| *priority == of)
            .unwrap()
    };
    // Other lanes have one look in eight.
    assert!(last(Critical) <= 14 + aged, "{order:?}");
    assert!(last(High) <= 28 + aged, "{order:?}");
    assert!(
        last(Normal) > last(High) && last(Low) > last(Normal),
        "{order:?}"
    );
    assert!(first(Critical) <= 2 + aged, "{order:?}");
    // Within a lane the sender's order stays.
    for of in [Critical, High, Normal, Low] {
        let mine = order[1..].iter().filter(|(priority, _)| *priority == of);
        assert!(mine.map(|(_, n)| *n).is_sorted(), "{of}: {order:?}");
    }
}

#[test]
fn a_low_lane_gets_its_share_while_critical_items_never_end() {
    let (order, aged) = order_of(&[(Priority::Low, 2000), (Priority::Critical, 8000)]);
    let last = order
        .iter()
        .rposition(|(priority, _)| *priority == Priority::Critical)
        .unwrap();
    let low = order[..last]
        .iter()
        .filter(|(priority, _)| *priority == Priority::Low)
        .count();
    // One look in 128 is its own, and each look takes one item; the first looks may be spent while it waits.
    assert!(
        low >= 8000 / 128 - 1,
        "{low} low items before the last critical one"
    );
    // And little more than that.
    assert!(
        low < 1000 + aged,
        "{low} low items before the last critical one"
    );
}

/// Two sources that always have something.
#[pipeline(env = Seen<u64>, quantum = "1us")]
mod sources {
    use super::*;

    #[source(priority = low)]
    pub fn slow_lane() -> impl Iterator<Item = u64> {
        1_000_000..1_002_000
    }

    #[source(priority = critical)]
    pub fn fast_lane() -> impl Iterator<Item = u64> {
        0..2000
    }

    #[sink(from = [slow_lane, fast_lane], order = any)]
    pub fn last(n: u64, env: &Seen<u64>) {
        for _ in 0..20 {
            work(());
        }
        env.see(n);
    }
}

#[test]
fn an_urgent_source_is_asked_first_and_the_other_goes_on_too() {
    // With more workers one of them serves the low source while another has the urgent one.
    for workers in WORKERS {
        let seen = Seen::new();
        let run = sources::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap();
        let report = run.wait().unwrap();
        let order = seen.take();
        assert_eq!(order.len(), 4000, "{report}");
        let low = order[..1500].iter().filter(|n| **n >= 1_000_000).count();
        assert!(
            low >= 1,
            "no low item in the first 1,500, {workers} workers"
        );
        assert!(
            workers > 1 || low < 750,
            "{low} low items in the first 1,500"
        );
    }
}

/// The tasks of a link have the lane of the stages behind it.
#[pipeline(env = Seen<u64>)]
mod links {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..20_000
    }

    #[stage(from = numbers)]
    pub fn count(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        n
    }

    #[stage(from = count, priority = critical)]
    pub fn urgent(n: u64) -> u64 {
        work(n)
    }

    #[stage(from = count, priority = low)]
    pub fn patient(n: u64) -> u64 {
        work(n)
    }

    #[sink(from = urgent)]
    pub fn first(n: u64, env: &Seen<u64>) {
        env.see(2 * n);
    }

    #[sink(from = patient)]
    pub fn second(n: u64, env: &Seen<u64>) {
        env.see(2 * n + 1);
    }
}

#[test]
fn stages_of_different_lanes_see_all_items_in_order() {
    for workers in WORKERS {
        let seen = Seen::new();
        let run = links::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap();
        let _ = run.wait().unwrap();
        let items = seen.take();
        assert_eq!(items.len(), 40_000);
        for branch in 0..2 {
            let mine = items.iter().filter(|n| **n % 2 == branch);
            assert!(mine.is_sorted(), "branch {branch}, {workers} workers");
        }
    }
}

#[test]
fn a_worker_tells_how_it_spent_its_time() {
    for workers in WORKERS {
        let seen = Seen::new();
        let run = links::pipeline().workers(workers).start(seen).unwrap();
        let report = run.wait().unwrap();
        let told = report.metrics().workers().to_vec();
        assert_eq!(told.len(), workers);
        assert!(
            told.iter().map(|worker| worker.pulled).sum::<u64>() > 0,
            "{told:?}"
        );
        assert!(told.iter().any(|worker| !worker.busy.is_zero()), "{told:?}");
        for worker in &told {
            let on: std::time::Duration = worker.blocked_on.iter().map(|(_, time)| *time).sum();
            assert_eq!(on, worker.blocked, "{worker:?}");
            assert!(worker.stolen <= worker.executed, "{worker:?}");
        }
    }
}

#[test]
fn a_batch_that_was_not_taken_is_still_there() {
    let (valve, open, _) = Valve::new();
    open.send(()).unwrap();
    let run = pushed::pipeline().start(valve).unwrap();
    let input = run.input();
    let mut batch: Vec<_> = (0..1000).map(|n| (Priority::Normal, n)).collect();
    input.send_batch(&mut batch).unwrap();
    assert!(batch.is_empty());
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 1000);
    batch.push((Priority::Low, 7));
    assert_eq!(input.send_batch(&mut batch).unwrap_err().left, 1);
    assert_eq!(batch, [(Priority::Low, 7)]);
}

/// Sends an urgent item in the middle of a batch.
pub struct Sender {
    input: OnceLock<pipewright::Input<u64>>,
    seen: Seen<u64>,
}

#[pipeline(env = Arc<Sender>, quantum = "100ms")]
mod long_batches {
    use super::*;

    #[sink(from = input, queue = "64Ki", order = any)]
    pub fn last(n: u64, env: &Arc<Sender>) {
        work(n);
        env.seen.see(n);
        if n == 15_000 {
            let input = env.input.wait();
            input.send_at(Priority::Critical, u64::MAX).unwrap();
        }
    }
}

#[test]
fn a_batch_is_suspended_for_an_urgent_item() {
    let seen = Seen::new();
    let env = Arc::new(Sender {
        input: OnceLock::new(),
        seen: seen.clone(),
    });
    // One worker, in parallel work: of two, the other one might take the urgent item and not be given a cpu.
    let run = long_batches::pipeline()
        .workers(1)
        .in_parallel()
        .start(Arc::clone(&env))
        .unwrap();
    env.input.set(run.input()).unwrap();
    run.send_all(0..20_000).unwrap();
    while seen.len() < 20_001 {
        std::thread::yield_now();
    }
    let report = run.drain().unwrap();
    let items = seen.take();
    let sent = items.iter().position(|n| *n == 15_000).unwrap();
    let served = items.iter().position(|n| *n == u64::MAX).unwrap();
    // A batch has up to 4,096 items; a worker looks up from it every 16 us or 64 items, whichever is longer.
    assert!(served - sent < 1000, "{sent} {served}\n{report}");
    assert_eq!(report.ledger().delivered, 20_001);
}

/// Sends an urgent item for each urgent item, until all others are done.
pub struct Endless {
    input: OnceLock<pipewright::Input<u64>>,
    done: AtomicU64,
    urgent: AtomicU64,
    begun: Instant,
}

const PATIENT: u64 = 10_000;

#[pipeline(env = Arc<Endless>, quantum = "100ms")]
mod never_ends {
    use super::*;

    #[sink(from = input, queue = "64Ki", order = any)]
    pub fn last(n: u64, env: &Arc<Endless>) {
        work(n);
        let again = |items| {
            let input = env.input.wait();
            (0..items).for_each(|_| input.send_at(Priority::Critical, u64::MAX).unwrap());
        };
        match n {
            u64::MAX => {
                env.urgent.fetch_add(1, Ordering::Relaxed);
                // Ends all the same where nothing else ever gets its turn, far later than it can take.
                let late = env.begun.elapsed() > Duration::from_secs(60);
                again(u64::from(
                    !late && env.done.load(Ordering::Relaxed) < PATIENT,
                ));
            }
            _ => {
                env.done.fetch_add(1, Ordering::Relaxed);
                if n == 5_000 {
                    again(8);
                }
            }
        }
    }
}

#[test]
fn a_suspended_batch_gets_its_turn_while_urgent_items_never_end() {
    for workers in WORKERS {
        let env = Arc::new(Endless {
            input: OnceLock::new(),
            done: AtomicU64::new(0),
            urgent: AtomicU64::new(0),
            begun: Instant::now(),
        });
        let run = never_ends::pipeline()
            .workers(workers)
            .in_parallel()
            .start(Arc::clone(&env))
            .unwrap();
        env.input.set(run.input()).unwrap();
        run.send_all(0..PATIENT).unwrap();
        while env.done.load(Ordering::Relaxed) < PATIENT {
            assert!(
                env.begun.elapsed() < Duration::from_secs(60),
                "{workers} workers"
            );
            std::thread::yield_now();
        }
        let ledger = run.drain().unwrap().ledger();
        let urgent = env.urgent.load(Ordering::Relaxed);
        // Of the eight that begin, each is sent again when it is done; how often depends on how the machine divides its time.
        assert!(urgent > 8, "{urgent}");
        assert_eq!(ledger.delivered, PATIENT + urgent);
    }
}
