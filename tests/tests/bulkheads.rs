//! Bulkheads: `workers` bounds how many workers are in a stage at once; the others do something else.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use pipewright::pipeline;
use pipewright_tests::{Gate, eventually, uneven};

const ITEMS: u64 = 20_000;

/// Who is in the stage.
#[derive(Default)]
pub struct World {
    inside: AtomicU64,
    most: AtomicU64,
    gate: Gate,
}

impl World {
    fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        let now = self.inside.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        let done = f();
        self.inside.fetch_sub(1, SeqCst);
        done
    }
}

type Env = Arc<World>;

#[pipeline(env = Env)]
mod narrow {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers, workers = 2)]
    pub fn ask(n: u64, env: &Env) -> u64 {
        env.within(|| uneven(n))
    }

    #[sink(from = ask)]
    pub fn last(n: u64, next: &mut u64) {
        assert_eq!(n, *next, "order is kept");
        *next += 1;
    }
}

#[test]
fn no_more_workers_than_that_are_in_a_stage() {
    for (workers, tuned, most) in [(4, None, 2), (4, Some(1), 1), (3, Some(3), 3), (1, None, 1)] {
        let env = Env::default();
        let mut pipeline = narrow::pipeline().workers(workers);
        if let Some(tuned) = tuned {
            let text = format!(r#"(stages: {{ "ask": (workers: {tuned}) }})"#);
            pipeline = pipeline.tuning("by hand", &text).unwrap();
        }
        let mut report = pipeline.run(Arc::clone(&env)).unwrap();
        let seen = env.most.load(SeqCst);
        assert!(
            seen <= most,
            "{seen} workers of {workers}, {tuned:?}: {report}"
        );
        assert_eq!(report.take_state::<narrow::last>(), Some(ITEMS));
        assert!(report.ledger().is_balanced(), "{report}");
        let guard = report
            .metrics()
            .stage::<narrow::ask>()
            .guard
            .clone()
            .unwrap();
        assert_eq!((guard.inside, guard.waiting), (0, 0), "{guard:?}");
    }
}

#[pipeline(env = Env)]
mod beside {
    use super::*;

    #[sink(from = input, workers = 1, order = any)]
    pub fn slow(n: u64, env: &Env) {
        if n.is_multiple_of(2) {
            env.gate.pass();
        }
    }

    #[sink(from = input, order = any)]
    pub fn quick(n: u64, env: &Env) {
        let _ = n;
        env.inside.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_stage_that_hangs_keeps_as_many_workers_as_it_may_have() {
    let env = Env::default();
    let run = beside::pipeline()
        .workers(2)
        .start(Arc::clone(&env))
        .unwrap();
    for n in 0..4 {
        run.send(2 * n).unwrap();
    }
    env.gate.reached();
    // The other worker goes on with what is not for that stage, and does not enter it.
    eventually(|| env.inside.load(SeqCst) == 4);
    let guard = run.metrics().stage::<beside::slow>().guard.clone().unwrap();
    assert_eq!(guard.inside, 1, "{guard:?}");
    env.gate.open();
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 8, "{report}");
}

#[test]
fn a_panic_gives_the_permit_back() {
    #[pipeline]
    mod panics {
        #[sink(from = input, workers = 1)]
        pub fn last(n: u64) {
            assert!(!n.is_multiple_of(3), "chaos");
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    let run = panics::pipeline().workers(2).start(()).unwrap();
    run.send_all(0..300).unwrap();
    let report = run.drain().unwrap();
    let _ = std::panic::take_hook();
    let ledger = report.ledger();
    assert_eq!((ledger.delivered, ledger.panicked), (200, 100), "{report}");
}
