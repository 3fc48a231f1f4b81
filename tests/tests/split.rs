//! A batch that turns out to be slow is divided: workers without work get a part of it, order is kept, and nothing is lost.
//!
//! What shows that a part moved: a source notes for each item which thread pulled it, and a stage sees an item on another
//! thread, where no worker could have pulled it and nothing was handed over at a gate. A slow item is slow only until that was
//! seen, so a test takes as long as it must and ends in any case.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use pipewright::pipeline;
use pipewright_tests::Seen;

/// Items of the long batch, after some that make its worker believe that items are quick.
const LONG: u64 = 240;
const QUICK: u64 = 17;
const ITEMS: u64 = QUICK + LONG;

/// An item, and the thread that pulled it.
#[derive(Clone, Copy, Debug)]
pub struct Pulled {
    n: u64,
    by: ThreadId,
}

impl Pulled {
    fn new(n: u64) -> Self {
        let by = thread::current().id();
        Self { n, by }
    }

    fn moved(self) -> bool {
        self.by != thread::current().id()
    }
}

/// What the sinks saw, and how many items moved.
#[derive(Clone, Debug)]
pub struct Env {
    seen: Seen<u64>,
    moved: Arc<AtomicU64>,
}

impl Env {
    fn new() -> Self {
        Self {
            seen: Seen::new(),
            moved: Arc::default(),
        }
    }

    /// Takes its time, until an item was seen on another thread than the one that pulled it.
    fn run(&self, item: Pulled) {
        if item.moved() {
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
        if item.n >= QUICK && self.moved() == 0 {
            take_long();
        }
    }

    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

/// Much longer than a wake-up of another worker.
fn take_long() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_micros(300) {
        std::hint::spin_loop();
    }
}

#[pipeline(env = Env)]
mod any_order {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = Pulled> {
        (0..ITEMS).map(Pulled::new)
    }

    #[stage(from = numbers)]
    pub fn slow(item: Pulled, env: &Env) -> u64 {
        env.run(item);
        item.n
    }

    #[sink(from = slow, order = any)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[pipeline(env = Env)]
mod in_order {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = Pulled> {
        (0..ITEMS).map(Pulled::new)
    }

    #[stage(from = numbers)]
    pub fn slow(item: Pulled, env: &Env) -> u64 {
        env.run(item);
        item.n
    }

    #[sink(from = slow)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[pipeline(env = Env)]
mod forked {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = Pulled> {
        (0..ITEMS).map(Pulled::new)
    }

    #[stage(from = numbers)]
    pub fn slow(item: Pulled, env: &Env) -> Option<u64> {
        env.run(item);
        item.n.is_multiple_of(3).then_some(item.n)
    }

    /// Brings pieces together on one way, before they meet those of the other.
    #[stage(from = numbers)]
    pub fn counted(item: Pulled, count: &mut u64) -> u64 {
        *count += 1;
        item.n
    }

    #[sink(from = [slow, counted])]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[pipeline(env = Env)]
mod cut {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn slow(n: u64) -> u64 {
        if n >= QUICK {
            take_long();
        }
        n
    }

    #[sink(from = slow)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

/// A quantum so long that what comes after the quick items is one batch.
const TUNING: &str = r#"(quantum: "50ms")"#;

/// Runs a pipeline that is parallel from the beginning; it must leave something to others, and `$moved` must be true of its
/// environment. Gives what its sink saw.
macro_rules! run {
    ($module:ident, $moved:expr) => {{
        // Two workers that happen to pull even shares end together, and nothing is divided; and a worker takes back what it
        // has left, where the system gives the other no cpu. Then they run again.
        let mut tries = 0..50;
        loop {
            let env = Env::new();
            let builder = $module::pipeline()
                .tuning("long.tuning.ron", TUNING)
                .unwrap();
            let run = builder.workers(2).in_parallel().start(env.clone()).unwrap();
            let report = run.wait().unwrap();
            let workers = report.metrics();
            let left: u64 = workers.workers().iter().map(|worker| worker.left).sum();
            let moved: fn(&Env) -> bool = $moved;
            if left > 0 && moved(&env) {
                break env.seen.take();
            }
            assert!(tries.next().is_some(), "{:?}", report.metrics());
        }
    }};
}

/// The threads that ran slow items.
type Threads = Arc<Mutex<HashSet<ThreadId>>>;

#[pipeline(env = Threads)]
mod alone_first {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, order = any)]
    pub fn slow(n: u64, threads: &Threads) {
        let ran_by_two = || {
            let mut threads = threads.lock().unwrap();
            threads.insert(thread::current().id());
            threads.len() == 2
        };
        if n >= QUICK && !ran_by_two() {
            take_long();
        }
    }
}

#[test]
fn a_worker_that_is_alone_does_not_keep_slow_items_to_itself() {
    // The system may give the other one no cpu for as long as all of them take.
    let is_shared = || {
        let threads = Threads::default();
        let builder = alone_first::pipeline().tuning("long.tuning.ron", r#"(quantum: "10ms")"#);
        let run = builder.unwrap().workers(2).start(threads.clone()).unwrap();
        assert!(run.wait().unwrap().ledger().is_balanced());
        threads.lock().unwrap().len() == 2
    };
    assert!((0..50).any(|_| is_shared()));
}

#[test]
fn a_slow_batch_is_shared_with_a_worker_that_has_nothing_to_do() {
    let mut seen = run!(any_order, |env| env.moved() > 0);
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..ITEMS));
}

#[test]
fn a_sink_sees_source_order_though_a_batch_was_divided() {
    let seen = run!(in_order, |env| env.moved() > 0);
    assert!(seen.into_iter().eq(0..ITEMS));
}

#[test]
fn ways_that_meet_again_keep_order_though_a_batch_was_divided() {
    let both = (0..ITEMS).flat_map(|n| {
        let twice = n.is_multiple_of(3);
        std::iter::repeat_n(n, 1 + usize::from(twice))
    });
    let seen = run!(forked, |env| env.moved() > 0);
    assert!(seen.into_iter().eq(both));
}

#[test]
fn what_is_left_of_a_piece_of_a_range_is_shared_too() {
    let seen = run!(cut, |_| true);
    assert!(seen.into_iter().eq(0..ITEMS));
}

#[pipeline(env = Env)]
mod pushed {
    use super::*;

    #[stage(from = input)]
    pub fn slow(n: u64) -> u64 {
        take_long();
        n
    }

    #[sink(from = slow)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn a_batch_of_pushed_items_is_divided_in_order() {
    let env = Env::new();
    let run = pushed::pipeline()
        .workers(2)
        .in_parallel()
        .always_divide()
        .start(env.clone())
        .unwrap();
    run.send_batch(&mut (0..ITEMS).collect()).unwrap();
    let report = run.drain().unwrap();
    assert!(env.seen.take().into_iter().eq(0..ITEMS), "{report}");
}

#[pipeline(env = Env)]
mod faulty {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn slow(n: u64) -> u64 {
        take_long();
        assert!(n % 7 != 3, "chosen: {n}");
        n
    }

    #[sink(from = slow)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn panics_in_pieces_lose_one_item_each() {
    let env = Env::new();
    let builder = faulty::pipeline().workers(2).in_parallel().always_divide();
    let report = builder.start(env.clone()).unwrap().wait().unwrap();
    assert!(
        env.seen
            .take()
            .into_iter()
            .eq((0..ITEMS).filter(|n| n % 7 != 3))
    );
    assert_eq!(
        report.ledger().panicked,
        (0..ITEMS).filter(|n| n % 7 == 3).count() as u64
    );
}

#[pipeline(env = Env)]
mod endless {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..
    }

    #[stage(from = numbers)]
    pub fn slow(n: u64) -> u64 {
        take_long();
        n
    }

    #[sink(from = slow)]
    pub fn last(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn pieces_of_a_run_that_is_stopped_are_counted_as_dropped() {
    let dropped = || {
        let env = Env::new();
        let builder = endless::pipeline()
            .tuning("long.tuning.ron", TUNING)
            .unwrap();
        let builder = builder.workers(2).in_parallel().always_divide();
        let run = builder.start(env.clone()).unwrap();
        while env.seen.len() < 20 {
            thread::yield_now();
        }
        let report = run.stop().unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        assert!(env.seen.take().is_sorted());
        report.ledger().dropped
    };
    // It may stop between two batches, with nothing to drop.
    assert!((0..50).any(|_| dropped() > 0));
}
