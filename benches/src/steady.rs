//! Allocations in steady state, on every kind of source and link.
//!
//! A counter of allocations is read when the sink has taken the warm-up's last item and again when it has taken the last
//! item of the steady state; what lies between is steady state.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use pipewright::{Blueprint, Builder, Running};

use crate::{
    heavy::{Env, Probe, keyed, ordered},
    links::{CALL, broadcast, called, direct, futures, polled, pushed, routed},
};

/// How many items are warm-up, and how many are counted.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    /// Before it counts.
    pub warm: u64,
    /// While it counts.
    pub steady: u64,
}

struct Reader {
    allocations: fn() -> usize,
    items: Items,
    marks: Arc<[AtomicUsize; 2]>,
}

impl Probe for Reader {
    fn at(&self, n: u64) {
        let mark = match n {
            n if n == self.items.warm => &self.marks[0],
            n if n == self.items.warm + self.items.steady => &self.marks[1],
            _ => return,
        };
        mark.store((self.allocations)(), Ordering::Relaxed);
    }
}

/// A kind of source or link, and what runs it with so many workers.
pub type Case = (&'static str, fn(Env, usize));

/// Runs one pipeline over the items of its environment.
macro_rules! run {
    ($pipeline:ident) => {
        |env, workers| {
            let run = begin($pipeline::pipeline(), workers, env);
            let _ = run.wait().expect("nothing fails");
        }
    };
}

/// An `async fn`.
pub const FUTURES: Case = ("futures, in order", run!(futures));

/// All kinds.
pub const CASES: [Case; 9] = [
    ("ordered, from an iterator", run!(ordered)),
    ("keyed, from a range", run!(keyed)),
    ("serial, then direct", run!(direct)),
    ("broadcast and join", run!(broadcast)),
    ("route and join", run!(routed)),
    ("polled, by `Emit`", run!(polled)),
    ("pushed, prefetch, batches", push),
    ("called by two, keyed, serial", call),
    FUTURES,
];

/// Two workers hand batches over from the beginning, so that all that is made when a run turns parallel is there before it
/// counts.
fn begin<P: Blueprint<Env = Env>>(pipeline: Builder<P>, workers: usize, env: Env) -> Running<P> {
    let pipeline = pipeline.workers(workers);
    let pipeline = if workers > 1 {
        pipeline.in_parallel()
    } else {
        pipeline
    };
    pipeline.start(env).expect("the pipeline starts")
}

fn push(env: Env, workers: usize) {
    let items = env.items;
    let run = begin(pushed::pipeline(), workers, env);
    for n in 0..items {
        run.send(n).expect("the input is open");
    }
    let _ = run.drain().expect("nothing fails");
}

/// Threads that call.
const CALLERS: u64 = 2;

fn call(env: Env, workers: usize) {
    let calls = env.items / CALL;
    let run = begin(called::pipeline(), workers, env);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                for n in 0..calls / CALLERS {
                    run.call(n).expect("it is answered");
                }
            });
        }
    });
    let _ = run.drain().expect("nothing fails");
}

/// Allocations, as `allocations` counts them, in the steady state of one case.
pub fn allocations(case: Case, workers: usize, items: Items, allocations: fn() -> usize) -> usize {
    let marks = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let probe = Reader {
        allocations,
        items,
        marks: Arc::clone(&marks),
    };
    // A margin behind the second mark keeps the end of the run out of it.
    let env = Env {
        items: items.warm + items.steady + items.warm,
        probe: Box::new(probe),
    };
    (case.1)(env, workers);
    marks[1].load(Ordering::Relaxed) - marks[0].load(Ordering::Relaxed)
}
