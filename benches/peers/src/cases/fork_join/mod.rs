//! `fork_join`: `fib(32)` with a fork at every call, on two workers.

mod ours;

use std::{
    hint::black_box,
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use crate::harness::{Contender, Sample, Scale, threads::joined};

/// Plain calls, as the compiler makes them.
#[inline(never)]
fn plain(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        plain(n - 1) + plain(n - 2)
    }
}

/// Calls that are cut into about a hundred parts, which two threads take from a counter.
fn on_two_threads(n: u64) -> u64 {
    const DEPTH: u64 = 10;
    let mut parts = vec![n];
    for _ in 0..DEPTH {
        let cut = |n: u64| if n < 2 { vec![n] } else { vec![n - 1, n - 2] };
        parts = parts.into_iter().flat_map(cut).collect();
    }
    let next = AtomicUsize::new(0);
    let run = || {
        let mut sum = 0;
        while let Some(n) = parts.get(next.fetch_add(1, Relaxed)) {
            sum += plain(*n);
        }
        sum
    };
    thread::scope(|scope| {
        let other = scope.spawn(run);
        run() + joined(other)
    })
}

fn rayon_fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| rayon_fib(n - 1), || rayon_fib(n - 2));
    a + b
}

fn chili_fib(scope: &mut chili::Scope<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = scope.join(
        |scope| chili_fib(scope, n - 1),
        |scope| chili_fib(scope, n - 2),
    );
    a + b
}

fn forte_fib(worker: &forte::Worker, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = worker.join(
        |worker| forte_fib(worker, n - 1),
        |worker| forte_fib(worker, n - 2),
    );
    a + b
}

/// forte's pool has to live for ever.
static FORTE: forte::ThreadPool = forte::ThreadPool::new();

/// The caller is one of two workers.
fn forte_peer(scale: Scale, n: u64) -> Contender {
    let mut work = work(scale, n, |n| {
        FORTE.with_worker(|worker| forte_fib(worker, n))
    });
    Contender::peer("forte", move || {
        FORTE.resize_to(1);
        work()
    })
}

/// The caller is one of two workers. A pool for each run, so that its heartbeat is in no other row.
fn chili_peer(scale: Scale, n: u64) -> Contender {
    Contender::peer("chili", move || {
        let pool = chili::ThreadPool::with_config(chili::Config {
            thread_count: NonZero::new(2),
            ..chili::Config::default()
        });
        work(scale, n, move |n| chili_fib(&mut pool.scope(), n))()
    })
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let n = scale.of(32, 18);
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let rayon = rayon.expect("rayon starts its threads");
    vec![
        Contender::limit("plain calls, 1 thread", work(scale, n, plain)),
        Contender::limit(
            "plain calls, 2 threads by hand",
            work(scale, n, on_two_threads),
        ),
        Contender::peer(
            "rayon::join",
            work(scale, n, move |n| rayon.install(|| rayon_fib(n))),
        ),
        chili_peer(scale, n),
        forte_peer(scale, n),
        ours::contender(scale, n),
    ]
}

/// Millions of forks a second: `fib(n)` makes `fib(n + 1) - 1` of them.
fn work(
    scale: Scale,
    n: u64,
    run: impl Fn(u64) -> u64 + 'static,
) -> impl FnMut() -> Result<Sample, String> + 'static {
    let (mut below, mut fib) = (0, 1);
    (1..n).for_each(|_| (below, fib) = (fib, below + fib));
    move || scale.rate(below + fib - 1, &fib, || run(black_box(n)))
}
