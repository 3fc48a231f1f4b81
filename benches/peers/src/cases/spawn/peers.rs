//! Executors and thread pools with two workers, started once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use async_executor::Executor;
use crossbeam_deque::{Injector, Steal, Stealer, Worker};
use futures::future::pending;
use rayon::prelude::*;

use super::{Tasks, numbers, ran, sum_of, task};
use crate::harness::{Contender, threads::Backoff};

/// A task of the executor that is made of crossbeam's deques, as many write it.
type Job = Box<dyn FnOnce() + Send>;

fn job(number: u64) -> Job {
    Box::new(move || task(number))
}

/// One of two workers: its own jobs, then those of the other and of the injector, until all have run.
fn run_jobs(
    own: &Worker<Job>,
    other: &Stealer<Job>,
    injector: &Injector<Job>,
    done: impl Fn() -> bool,
) {
    let mut backoff = Backoff::new();
    loop {
        let found = own.pop().or_else(|| {
            let steal = injector
                .steal_batch_and_pop(own)
                .or_else(|| other.steal_batch_and_pop(own));
            match steal {
                Steal::Success(job) => Some(job),
                Steal::Empty | Steal::Retry => None,
            }
        });
        if let Some(job) = found {
            job();
            backoff = Backoff::new();
        } else if done() {
            return;
        } else {
            backoff.wait();
        }
    }
}

/// Jobs are pushed by a worker into its own deque.
fn deque_from_a_worker(count: u64) {
    let (one, two) = (Worker::new_lifo(), Worker::new_lifo());
    let (first, second) = (one.stealer(), two.stealer());
    let (injector, end) = (Injector::new(), ran() + sum_of(count));
    let done = move || ran() >= end;
    let (injector, first) = (&injector, &first);
    thread::scope(|scope| {
        scope.spawn(move || run_jobs(&two, first, injector, done));
        numbers(count).for_each(|number| one.push(job(number)));
        run_jobs(&one, &second, injector, done);
    });
}

/// Jobs are pushed into the injector by a thread that is no worker.
fn deque_from_outside(count: u64) {
    let (one, two) = (Worker::new_lifo(), Worker::new_lifo());
    let (first, second) = (one.stealer(), two.stealer());
    let (injector, end) = (Injector::new(), ran() + sum_of(count));
    let done = move || ran() >= end;
    let (injector, first, second) = (&injector, &first, &second);
    thread::scope(|scope| {
        scope.spawn(move || run_jobs(&one, second, injector, done));
        scope.spawn(move || run_jobs(&two, first, injector, done));
        numbers(count).for_each(|number| injector.push(job(number)));
    });
}

/// smol's executor on two threads that are kept; they end when the contender is dropped.
struct Smol {
    executor: Arc<Executor<'static>>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Smol {
    fn new() -> Self {
        let executor = Arc::new(Executor::new());
        let stop = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let (executor, stop) = (Arc::clone(&executor), Arc::clone(&stop));
            let run = move || {
                let until = std::future::poll_fn(|_| match stop.load(Relaxed) {
                    true => std::task::Poll::Ready(()),
                    false => std::task::Poll::Pending,
                });
                let never = executor.run(pending::<()>());
                futures::executor::block_on(futures::future::select(
                    Box::pin(until),
                    Box::pin(never),
                ));
            };
            thread::Builder::new().spawn(run).expect("a thread starts")
        };
        let threads = (0..2).map(start).collect();
        Self {
            executor,
            stop,
            threads,
        }
    }

    fn run(&self, count: u64) {
        let tasks = numbers(count).map(|number| self.executor.spawn(async move { task(number) }));
        let tasks: Vec<_> = tasks.collect();
        futures::executor::block_on(async {
            for task in tasks {
                task.await;
            }
        });
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // A task for each thread wakes it, so that it looks at `stop`.
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            self.executor.spawn(async {}).detach();
            thread::yield_now();
        }
        self.threads
            .drain(..)
            .for_each(|thread| thread.join().expect("the thread ends"));
    }
}

fn rayon_peers(tasks: Tasks) -> Vec<Contender> {
    let pool = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        pool.expect("rayon starts its threads")
    };
    let [adaptive, single, scoped, outside] = [(); 4].map(|()| pool());
    vec![
        Contender::peer(
            "rayon par_iter (adaptive: few jobs, not tasks)",
            tasks.work(move |count| {
                adaptive.install(|| numbers(count).into_par_iter().for_each(task));
            }),
        ),
        Contender::peer(
            "rayon par_iter max_len 1",
            tasks.work(move |count| {
                single.install(|| {
                    (0..count as usize)
                        .into_par_iter()
                        .with_max_len(1)
                        .for_each(|at| task(at as u64 + 1))
                });
            }),
        ),
        Contender::peer(
            "rayon scope.spawn (in pool)",
            tasks.work(move |count| {
                scoped.scope(|scope| {
                    numbers(count).for_each(|number| scope.spawn(move |_| task(number)))
                });
            }),
        ),
        Contender::peer(
            "rayon pool.spawn (from outside)",
            tasks.counted(move |count| {
                numbers(count).for_each(|number| outside.spawn(move || task(number)));
            }),
        ),
    ]
}

fn async_peers(tasks: Tasks) -> Vec<Contender> {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build();
        runtime.expect("tokio starts")
    };
    let [awaited, outside] = [(); 2].map(|()| runtime());
    let smol = Smol::new();
    vec![
        Contender::peer(
            "tokio::spawn, handles awaited",
            tasks.work(move |count| {
                let all = async move {
                    let handles: Vec<_> = numbers(count)
                        .map(|number| tokio::spawn(async move { task(number) }))
                        .collect();
                    for handle in handles {
                        handle.await.expect("the task ends");
                    }
                };
                awaited.block_on(async { tokio::spawn(all).await.expect("the task ends") });
            }),
        ),
        Contender::peer(
            "tokio::spawn from outside, counted",
            tasks.counted(move |count| {
                numbers(count).for_each(|number| drop(outside.spawn(async move { task(number) })));
            }),
        ),
        Contender::peer(
            "async-executor (smol), tasks awaited",
            tasks.work(move |count| smol.run(count)),
        ),
    ]
}

/// forte's pool has to live for ever.
static FORTE: forte::ThreadPool = forte::ThreadPool::new();

/// The caller is one of two workers.
fn forte_peer(tasks: Tasks) -> Contender {
    let mut work = tasks.work(|count| {
        FORTE.scope(|scope| {
            numbers(count).for_each(|number| scope.spawn(move |_| task(number)));
        });
    });
    Contender::peer("forte scope.spawn", move || {
        FORTE.resize_to(1);
        work()
    })
}

pub(super) fn contenders(tasks: Tasks) -> Vec<Contender> {
    let pool = threadpool::ThreadPool::new(2);
    let mut all = vec![
        forte_peer(tasks),
        Contender::peer(
            "crossbeam-deque mini executor, from a worker",
            tasks.work(deque_from_a_worker),
        ),
        Contender::peer(
            "crossbeam-deque mini executor, injector",
            tasks.work(deque_from_outside),
        ),
        Contender::peer(
            "threadpool crate",
            tasks.work(move |count| {
                numbers(count).for_each(|number| pool.execute(move || task(number)));
                pool.join();
            }),
        ),
    ];
    all.extend(rayon_peers(tasks));
    all.extend(async_peers(tasks));
    all
}
