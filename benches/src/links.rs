//! A pipeline for each kind of source and link that [`crate::heavy`] has not.

use std::{ops::Range, task::Poll};

use pipewright::{Emit, Flow, pipeline};

use crate::heavy::{Env, work};

/// A serial stage in front of a parallel one: what the gate lets out goes over a direct link.
#[pipeline(env = Env)]
pub mod direct {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.items
    }

    /// Sees all of them.
    #[stage(from = numbers)]
    pub fn serial(n: u64, last: &mut u64) -> u64 {
        *last = n;
        n
    }

    /// The work.
    #[stage(from = serial)]
    pub fn heavy(n: u64) -> u64 {
        work(n)
    }

    /// Counts, in order.
    #[sink(from = heavy)]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// Futures, of which some wait for others to be polled, in order.
#[pipeline(env = Env)]
pub mod futures {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.items
    }

    /// The work, a part of which is done when the future is polled again.
    #[stage(from = numbers)]
    pub async fn heavy(n: u64) -> u64 {
        if n.is_multiple_of(3) {
            turn().await;
        }
        work(n)
    }

    /// Counts, in order.
    #[sink(from = heavy)]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// Is pending once, and wakes itself.
async fn turn() {
    let mut turned = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut turned, true) {
            return Poll::Ready(());
        }
        // As whoever keeps a waker does.
        let waker = context.waker().clone();
        waker.wake();
        Poll::Pending
    })
    .await;
}

/// Two readers of one output, which meet again in order.
#[pipeline(env = Env)]
pub mod broadcast {
    use super::*;

    /// The numbers.
    #[source]
    pub fn numbers(env: &Env) -> impl Iterator<Item = u64> {
        0..env.items
    }

    /// Sees all of them.
    #[stage(from = numbers)]
    pub fn serial(n: u64, last: &mut u64) -> u64 {
        *last = n;
        n
    }

    /// The work.
    #[stage(from = numbers)]
    pub fn heavy(n: u64) -> u64 {
        work(n)
    }

    /// Counts both, in order.
    #[sink(from = [serial, heavy])]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// Two ways by variant, one of them through a gate, which meet again in order.
#[pipeline(env = Env)]
pub mod routed {
    use super::*;

    /// Where a number goes.
    #[derive(Debug)]
    pub enum Way {
        /// By the gate.
        Serial(u64),
        /// By the work.
        Heavy(u64),
    }

    /// The numbers.
    #[source]
    pub fn numbers(env: &Env) -> Range<u64> {
        0..env.items
    }

    /// One in four goes by the gate.
    #[stage(from = numbers)]
    pub fn choose(n: u64) -> Way {
        match n % 4 {
            0 => Way::Serial(n),
            _ => Way::Heavy(n),
        }
    }

    /// Sees its own.
    #[stage(from = choose::Serial)]
    pub fn serial(n: u64, last: &mut u64) -> u64 {
        *last = n;
        n
    }

    /// The work.
    #[stage(from = choose::Heavy)]
    pub fn heavy(n: u64) -> u64 {
        work(n)
    }

    /// Counts both, in order.
    #[sink(from = [serial, heavy])]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// A source that is polled, and a stage that sends through its buffer.
#[pipeline(env = Env)]
pub mod polled {
    use super::*;

    /// Where the source is.
    #[derive(Debug)]
    pub struct At(Range<u64>);

    fn begin(env: &Env) -> At {
        At(0..env.items)
    }

    /// The numbers, a few at a time.
    #[source(state = begin)]
    pub fn numbers(at: &mut At, out: &mut Emit<u64>) -> Flow {
        let before = at.0.start;
        out.extend(at.0.by_ref().take(100));
        if at.0.start > before {
            Flow::More
        } else {
            Flow::Done
        }
    }

    /// The work.
    #[stage(from = numbers)]
    pub fn heavy(n: u64, out: &mut Emit<u64>) {
        out.send(work(n));
    }

    /// Counts, in order.
    #[sink(from = heavy)]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// Numbers that are pushed, with batches and memory asked for ahead on their way.
#[pipeline(env = Env)]
pub mod pushed {
    use super::*;

    /// The work.
    #[stage(from = input, prefetch = |n: &u64| n)]
    pub fn heavy(n: u64) -> u64 {
        work(n)
    }

    /// In batches.
    #[stage(from = heavy, batch = 64)]
    pub fn batched(batch: &mut [u64]) {
        batch.sort_unstable();
    }

    /// Counts, in order.
    #[sink(from = batched)]
    pub fn count(_: u64, env: &Env, count: &mut u64) {
        *count += 1;
        env.probe.at(*count);
    }
}

/// Items that a call stands for where items are counted: it takes as long as many of them.
pub const CALL: u64 = 50;

/// Requests that are called: with a key, and in order behind it.
#[pipeline(env = Env, reply = count)]
pub mod called {
    use super::*;

    /// The work.
    #[stage(from = input)]
    pub fn heavy(n: u64) -> u64 {
        work(n)
    }

    /// Passes an item on, seeing the one before it.
    #[stage(from = heavy, key = |n: &u64| n % 64)]
    pub fn keyed(n: u64, last: &mut u64) -> u64 {
        *last = n;
        n
    }

    /// Counts, and answers with the number of items so far.
    #[stage(from = keyed)]
    pub fn count(_: u64, env: &Env, count: &mut u64) -> u64 {
        *count += CALL;
        env.probe.at(*count);
        *count
    }
}

/// One stage that answers at once.
#[pipeline(reply = next)]
pub mod answering {
    /// The number after this one.
    #[stage(from = input)]
    pub fn next(n: u64) -> u64 {
        n + 1
    }
}
