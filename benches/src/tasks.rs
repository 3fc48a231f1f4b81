//! Tasks: small pieces of work that other threads send, and the pipelines that do them.

use std::{
    hint::black_box,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use pipewright::{Input, Merge, Priority, Running, pipeline};

/// Rounds of a dependent multiplication, a nanosecond or two each. The shift keeps the compiler from making one step of several,
/// which it does with a product and a sum alone.
#[inline]
pub fn work(rounds: u64) -> u64 {
    let mut x = black_box(rounds);
    for _ in 0..rounds {
        x = (x ^ (x >> 29)).wrapping_mul(6364136223846793005);
    }
    x
}

/// A sum that workers keep for themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(pub u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

/// Counts what is done, so that a sender can wait for it.
#[derive(Clone, Debug, Default)]
pub struct Done(Arc<AtomicU64>);

impl Done {
    /// So many more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Release);
    }

    /// Waits until so many are done, and begins again at zero.
    pub fn wait(&self, n: u64) {
        while self.0.load(Ordering::Acquire) < n {
            std::hint::spin_loop();
        }
        self.0.fetch_sub(n, Ordering::Relaxed);
    }
}

/// Sent tasks; an item is its rounds of [`work`].
#[pipeline(env = Done)]
pub mod sent {
    use super::*;

    /// Does the work of a batch and says so.
    #[sink(from = input, order = any, queue = "64Ki", batch = 256)]
    pub fn perform(tasks: &mut pipewright::Batch<u64>, env: &Done) {
        for rounds in tasks.iter() {
            black_box(work(*rounds));
        }
        env.add(tasks.len() as u64);
    }
}

/// Tasks with a payload of `N` bytes.
macro_rules! payloads {
    ($($name:ident $bytes:literal)*) => {$(
        /// Payloads of one size, summed up by reading every word.
        #[pipeline(env = Done)]
        pub mod $name {
            use super::*;

            /// Reads a payload.
            #[allow(clippy::boxed_local, reason = "a payload is boxed where it is sent")]
            #[sink(from = input, order = any, queue = 1024)]
            pub fn read(payload: Box<[u64; $bytes / 8]>, env: &Done) {
                black_box(payload.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
                env.add(1);
            }
        }
    )*};
}
payloads!(bytes_64 64 bytes_256 256 bytes_1024 1024 bytes_4096 4096 bytes_16384 16384);

/// Tasks that a source of the pipeline makes: `(count, rounds)` of even or uneven work.
#[pipeline(env = Load)]
pub mod made {
    use super::*;

    /// The rounds of each task.
    #[source]
    pub fn tasks(env: &Load) -> impl Iterator<Item = u64> + use<> {
        let Load {
            count,
            rounds,
            uneven,
        } = *env;
        (0..count).map(move |n| {
            if uneven && n % 64 == 0 {
                rounds * 64
            } else {
                rounds
            }
        })
    }

    /// Does the work.
    #[sink(from = tasks, order = any, per_worker)]
    pub fn perform(rounds: u64, sum: &mut Sum) {
        sum.0 = sum.0.wrapping_add(work(rounds) | 1);
    }
}

/// How many tasks of how much work.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Tasks.
    pub count: u64,
    /// Rounds of [`work`] of each.
    pub rounds: u64,
    /// Has one task in 64 as much work as the 63 others together?
    pub uneven: bool,
}

/// A started pipeline of sent tasks, and its counter.
#[derive(Debug)]
pub struct Pool {
    run: Running<sent::Pipeline>,
    done: Done,
}

impl Pool {
    /// With so many workers.
    ///
    /// # Panics
    ///
    /// If the threads cannot be started.
    pub fn new(workers: usize) -> Self {
        let done = Done::default();
        let run = sent::pipeline()
            .workers(workers)
            .start(done.clone())
            .expect("the workers can be started");
        Self { run, done }
    }

    /// Sends `count` tasks one by one and waits until they are done.
    ///
    /// # Panics
    ///
    /// If the pipeline has ended.
    pub fn perform(&self, priority: Priority, count: u64, rounds: u64) {
        for _ in 0..count {
            self.run
                .send_at(priority, rounds)
                .expect("the pipeline runs");
        }
        self.done.wait(count);
    }

    /// Sends `count` tasks in batches of 64 and waits until they are done.
    ///
    /// # Panics
    ///
    /// If the pipeline has ended.
    pub fn perform_batches(&self, count: u64, rounds: u64) {
        let mut batch = Vec::with_capacity(64);
        for begin in (0..count).step_by(64) {
            batch.extend((begin..count.min(begin + 64)).map(|_| rounds));
            self.run.send_batch(&mut batch).expect("the pipeline runs");
        }
        self.done.wait(count);
    }

    /// Waits for `count` tasks that were sent otherwise.
    pub fn wait(&self, count: u64) {
        self.done.wait(count);
    }

    /// A handle to send with.
    pub fn input(&self) -> Input<u64> {
        self.run.input()
    }

    /// `threads` threads send `count` tasks each, one by one; returns when all are done.
    ///
    /// # Panics
    ///
    /// If the pipeline has ended.
    pub fn perform_from(&self, threads: u64, count: u64, rounds: u64) {
        thread::scope(|scope| {
            for _ in 0..threads {
                let input = self.input();
                scope.spawn(move || {
                    for _ in 0..count {
                        input.send(rounds).expect("the pipeline runs");
                    }
                });
            }
        });
        self.done.wait(threads * count);
    }
}

/// A known number of tasks, and when the last of them was done.
#[derive(Clone, Debug)]
pub struct Finish {
    epoch: Instant,
    left: Arc<AtomicU64>,
    /// Nanoseconds after the epoch; 0: not yet.
    at: Arc<AtomicU64>,
    waiter: Thread,
}

impl Finish {
    /// The calling thread will wait.
    fn new() -> Self {
        Self {
            epoch: Instant::now(),
            left: Arc::default(),
            at: Arc::default(),
            waiter: thread::current(),
        }
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// So many are done.
    pub fn done(&self, n: u64) {
        if self.left.fetch_sub(n, Ordering::AcqRel) == n {
            self.at.store(self.now(), Ordering::Release);
            self.waiter.unpark();
        }
    }

    /// Sleeps until all are done, so that it takes no core from those who do them, and says when that was.
    fn wait(&self) -> u64 {
        loop {
            match self.at.swap(0, Ordering::Acquire) {
                0 => thread::park(),
                at => return at,
            }
        }
    }
}

/// Sent tasks of which nothing is wanted but that they are done.
#[pipeline(env = Finish)]
pub mod finished {
    use super::*;

    /// Does the work of a batch and says so.
    #[sink(from = input, order = any, queue = "64Ki", batch = 256)]
    pub fn perform(tasks: &mut pipewright::Batch<u64>, env: &Finish) {
        for rounds in tasks.iter() {
            black_box(work(*rounds));
        }
        env.done(tasks.len() as u64);
    }
}

/// Threads that stay send `each` empty tasks to two workers in batches of `batch`, one by one if that is 1; the times from
/// when the first of them begins until all tasks are done.
///
/// # Panics
///
/// If the pipeline cannot be started.
pub fn send_together(threads: u64, each: u64, batch: u64, rounds: u64) -> Vec<Duration> {
    let finish = Finish::new();
    let pipeline = finished::pipeline().workers(2);
    let run = pipeline.start(finish.clone()).expect("the workers start");
    let barrier = Barrier::new(threads as usize + 1);
    let first = AtomicU64::new(u64::MAX);
    let (barrier, first, finish) = (&barrier, &first, &finish);
    thread::scope(|scope| {
        for _ in 0..threads {
            let input = run.input();
            scope.spawn(move || {
                for _ in 0..rounds {
                    barrier.wait();
                    first.fetch_min(finish.now(), Ordering::Relaxed);
                    send_each(&input, each, batch);
                }
            });
        }
        let round = |_| {
            first.store(u64::MAX, Ordering::Relaxed);
            finish.left.store(threads * each, Ordering::Release);
            barrier.wait();
            let ended = finish.wait();
            Duration::from_nanos(ended.saturating_sub(first.load(Ordering::Relaxed)))
        };
        (0..rounds).map(round).collect()
    })
}

fn send_each(input: &Input<u64>, each: u64, batch: u64) {
    if batch == 1 {
        return (0..each).for_each(|_| input.send(0).expect("the pipeline runs"));
    }
    let mut tasks = Vec::with_capacity(batch as usize);
    for begin in (0..each).step_by(batch as usize) {
        tasks.extend((begin..each.min(begin + batch)).map(|_| 0));
        input.send_batch(&mut tasks).expect("the pipeline runs");
    }
}
