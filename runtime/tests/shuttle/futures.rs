//! Async stages: futures are woken by another thread while workers poll, park and stop.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};

use pipewright::{TimedOut, pipeline};
use shuttle::{
    sync::{Mutex, mpsc},
    thread,
};

use crate::harness::{Seen, any, check, ended, pause, start, uneven};

const ITEMS: u64 = 24;

/// What stages call: another thread wakes who waits.
#[derive(Clone)]
pub struct Env {
    /// `None` where nobody wakes anybody any more.
    bell: Arc<Mutex<Option<mpsc::Sender<Waker>>>>,
    seen: Seen<u64>,
    late: Seen<u64>,
}

impl Env {
    /// With the thread that wakes.
    fn new() -> (Self, thread::JoinHandle<()>) {
        let (bell, rung) = mpsc::channel::<Waker>();
        let waker = thread::spawn(move || {
            while let Ok(waker) = rung.recv() {
                uneven(3);
                waker.wake();
            }
        });
        let env = Self {
            bell: Arc::new(Mutex::new(Some(bell))),
            seen: Seen::new(),
            late: Seen::new(),
        };
        (env, waker)
    }

    /// Waits so many times until the other thread wakes it.
    async fn wait(&self, times: u64) {
        let mut left = times;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            if let Some(bell) = &*self.bell.lock().unwrap() {
                let _ = bell.send(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Nobody is woken any more; the thread ends.
    fn end(&self, waker: thread::JoinHandle<()>) {
        *self.bell.lock().unwrap() = None;
        waker.join().unwrap();
    }
}

#[pipeline(env = Env, quantum = "1us")]
mod ordered {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, in_flight = 3)]
    pub async fn wait(n: u64, env: &Env) -> u64 {
        uneven(n);
        env.wait(n % 3).await;
        n
    }

    #[sink(from = wait)]
    pub fn see(n: u64, env: &Env) {
        env.seen.see(n);
    }
}

#[test]
fn every_future_that_is_woken_ends_and_results_are_in_order() {
    check(|| {
        let (env, waker) = Env::new();
        let report = ended(start(ordered::pipeline(), env.clone()).wait());
        assert_eq!(report.ledger().dropped, 0, "{report}");
        let seen = env.seen.take();
        assert!(seen.iter().copied().eq(0..ITEMS), "{seen:?}");
        env.end(waker);
    });
}

#[test]
fn more_and_fewer_futures_may_be_under_way() {
    check(|| {
        let (env, waker) = Env::new();
        let run = start(ordered::pipeline(), env.clone());
        for _ in 0..3 {
            let most = 1 + any(3);
            let text = format!("(stages: {{ \"wait\": (in_flight: {most}) }})");
            run.retune("by the schedule", &text).unwrap();
            pause(100);
        }
        let report = ended(run.wait());
        let seen = env.seen.take();
        assert!(seen.iter().copied().eq(0..ITEMS), "{seen:?} {report}");
        env.end(waker);
    });
}

#[test]
fn a_run_that_stops_drops_its_futures() {
    check(|| {
        let (env, waker) = Env::new();
        let run = start(ordered::pipeline(), env.clone());
        uneven(5);
        let report = ended(run.stop());
        assert!(report.ledger().is_balanced(), "{report}");
        env.end(waker);
    });
}

#[test]
fn a_drain_waits_for_its_futures() {
    check(|| {
        let (env, waker) = Env::new();
        let run = start(ordered::pipeline(), env.clone());
        let report = ended(run.drain());
        assert_eq!(report.ledger().dropped, 0, "{report}");
        env.end(waker);
    });
}

#[derive(Debug)]
pub struct Late;

impl From<TimedOut> for Late {
    fn from(_: TimedOut) -> Self {
        Self
    }
}

#[pipeline(env = Env, quantum = "1us")]
mod limited {
    use super::*;

    #[source(batch = 4)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, in_flight = 3, order = any, timeout = "30us")]
    pub async fn wait(n: u64, env: &Env) -> Result<u64, Late> {
        env.wait(n % 3).await;
        Ok(n)
    }

    #[sink(from = wait)]
    pub async fn see(n: u64, env: &Env) {
        env.wait(1).await;
        env.seen.see(n);
    }

    #[sink(from = wait::Err)]
    pub fn complain(_: Late, env: &Env) {
        env.late.see(0);
    }
}

#[test]
fn a_future_ends_or_is_cancelled_and_its_item_leaves_once() {
    check(|| {
        let (env, waker) = Env::new();
        let report = ended(start(limited::pipeline(), env.clone()).wait());
        assert_eq!(report.ledger().dropped, 0, "{report}");
        let mut seen = env.seen.take();
        let late = env.late.take().len();
        assert_eq!(seen.len() + late, ITEMS as usize, "{report}");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() + late, ITEMS as usize, "one came twice");
        env.end(waker);
    });
}
