//! What stages wait for: gates that the test opens, or that open after some polls, and what sinks have seen.

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
};

/// The environment.
#[derive(Clone, Debug, Default)]
pub struct Env(Arc<World>);

#[derive(Debug, Default)]
struct World {
    /// Who waits, by item.
    waiting: Mutex<HashMap<u64, Waker>>,
    /// Items that may go on.
    open: Mutex<HashMap<u64, u32>>,
    seen: Mutex<Vec<u64>>,
    errors: Mutex<Vec<String>>,
    /// Calls, by item.
    tries: Mutex<HashMap<u64, u64>>,
    /// Positions that were committed.
    commits: Arc<Mutex<Vec<u64>>>,
    begun: AtomicU64,
    dropped: AtomicU64,
}

impl Env {
    /// Waits until `n` is let through.
    pub async fn wait(&self, n: u64) {
        let _begun = self.begin();
        poll_fn(|context| {
            let mut open = self.0.open.lock().unwrap();
            match open.get_mut(&n).filter(|left| **left > 0) {
                Some(left) => {
                    *left -= 1;
                    Poll::Ready(())
                }
                None => {
                    let waker = context.waker().clone();
                    self.0.waiting.lock().unwrap().insert(n, waker);
                    Poll::Pending
                }
            }
        })
        .await;
    }

    /// Is pending so many times, and wakes itself.
    pub async fn turn(&self, times: u64) {
        pipewright_tests::turns(times).await;
    }

    /// Counts a call, and the end of its future.
    pub fn begin(&self) -> Begun<'_> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        Begun(&self.0.dropped)
    }

    /// Counts a call with `n`, and tells how many there were.
    pub fn tried(&self, n: u64) -> u64 {
        let mut tries = self.0.tries.lock().unwrap();
        let tries = tries.entry(n).or_default();
        *tries += 1;
        *tries
    }

    /// Positions that were committed.
    pub fn commits(&self) -> Arc<Mutex<Vec<u64>>> {
        Arc::clone(&self.0.commits)
    }

    /// Lets `n` through.
    pub fn let_through(&self, n: u64) {
        *self.0.open.lock().unwrap().entry(n).or_default() += 1;
        let waker = self.0.waiting.lock().unwrap().remove(&n);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Those that are not let through yet, in order.
    pub fn waiting(&self) -> Vec<u64> {
        let mut waiting: Vec<u64> = self.0.waiting.lock().unwrap().keys().copied().collect();
        waiting.sort_unstable();
        waiting
    }

    /// Calls that were begun.
    pub fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// Futures of them that are gone.
    pub fn gone(&self) -> u64 {
        self.0.dropped.load(Ordering::SeqCst)
    }

    pub fn see(&self, n: u64) {
        self.0.seen.lock().unwrap().push(n);
    }

    pub fn complain(&self, error: impl fmt::Display) {
        self.0.errors.lock().unwrap().push(error.to_string());
    }

    pub fn seen(&self) -> Vec<u64> {
        self.0.seen.lock().unwrap().clone()
    }

    pub fn errors(&self) -> Vec<String> {
        self.0.errors.lock().unwrap().clone()
    }
}

/// A future of a call is there.
pub struct Begun<'w>(&'w AtomicU64);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
