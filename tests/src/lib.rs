//! Helpers of the tests of pipewright's promises.

#![forbid(unsafe_code)]

pub mod blocks;
pub mod committed;
pub mod dependency;
mod gate;
pub mod guarded;
pub mod oracle;
pub mod shapes;

pub use gate::Gate;

use std::{
    future::poll_fn,
    hint::black_box,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

/// Work that costs about a microsecond in a debug build and some hundred nanoseconds in a release build, so that a run
/// with several workers turns parallel. Returns its argument.
pub fn work<T>(item: T) -> T {
    let mut x = black_box(1u64);
    for _ in 0..100 {
        x = x
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
    }
    black_box(x);
    item
}

/// A future that is not ready so many times, and wakes itself each time.
pub async fn turns(times: u64) {
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// As much of a test's faults as is put into it: a tenth, or all of them where `PIPEWRIGHT_FULL` is set, as `cargo xtask chaos`
/// does.
pub fn faults(all: u64) -> u64 {
    match std::env::var_os("PIPEWRIGHT_FULL") {
        Some(_) => all,
        None => all / 10,
    }
}

/// No test waits for longer, however busy the machine is.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Waits until something holds.
///
/// # Panics
///
/// If it does not within a minute.
#[track_caller]
pub fn eventually(holds: impl FnMut() -> bool) {
    wait_for("it", holds);
}

/// As [`eventually`], for `what`.
///
/// # Panics
///
/// With what it was, if it does not come within a minute.
#[track_caller]
pub fn wait_for(what: &str, mut has_come: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !has_come() {
        assert!(begun.elapsed() < MINUTE, "{what} never came");
        thread::yield_now();
    }
}

/// What comes of work on a thread of its own, which is left behind if that takes longer than a minute.
///
/// # Panics
///
/// With `what` was waited for, if that takes longer or panics.
#[track_caller]
#[allow(
    clippy::disallowed_methods,
    reason = "a scope would wait for the thread without a bound"
)]
pub fn within_a_minute<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || drop(done.send(work())));
    match result.recv_timeout(MINUTE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("waited a minute for {what}"),
        Err(RecvTimeoutError::Disconnected) => panic!("{what}: its thread panicked"),
    }
}

/// Work that differs from item to item, so that batches overtake each other where nothing keeps their order.
pub fn uneven(n: u64) -> u64 {
    for _ in 0..(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) {
        work(());
    }
    n
}

/// What a pipeline's sinks have seen; an environment for tests.
#[derive(Debug, Default)]
pub struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Seen<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// A sink saw this.
    pub fn see(&self, item: T) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(item);
    }

    /// How much it is.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Is it nothing?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, in order.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Worker counts that every promise is tested with.
pub const WORKERS: [usize; 3] = [1, 2, 4];
