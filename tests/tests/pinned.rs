//! Stages with threads of their own give what the same stages give on the pool: items, order, states, and a ledger that
//! balances, whatever is before and behind them.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use pipewright::{Blueprint, Builder, Emit, Flow, Merge, Report, RunError, StartError, pipeline};
use pipewright_tests::{Seen, uneven};

const ITEMS: u64 = 20_000;

/// Every way to wait, for every stage that is named.
fn waits(stages: &[&str]) -> Vec<String> {
    let one = |wait: &str| {
        let stages: String = stages
            .iter()
            .map(|stage| format!("\"{stage}\": (wait: {wait}), "))
            .collect();
        format!("( stages: {{ {stages} }} )")
    };
    ["spin", "adaptive", "park"]
        .iter()
        .map(|wait| one(wait))
        .collect()
}

#[track_caller]
fn done<P: Blueprint>(builder: Builder<P>, env: P::Env) -> Report<P> {
    let report = builder.start(env).unwrap().wait().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.ledger().in_flight, 0);
    report
}

/// Pool, one pinned thread, another one, and the pool again.
#[pipeline(env = Seen<u64>)]
mod chain {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn before(n: u64) -> u64 {
        uneven(n)
    }

    #[stage(from = before, cores = "0")]
    pub fn even(n: &u64) -> bool {
        n.is_multiple_of(2)
    }

    #[stage(from = even, cores = "1")]
    pub fn counted(n: u64, count: &mut u64) -> (u64, u64) {
        *count += 1;
        (n, *count)
    }

    #[stage(from = counted)]
    pub fn after((n, count): (u64, u64)) -> u64 {
        assert_eq!(n, 2 * (count - 1));
        uneven(n)
    }

    #[sink(from = after)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn items_go_through_pinned_stages_and_back_in_order_however_they_wait() {
    for tuning in waits(&["even", "counted"]) {
        let seen = Seen::new();
        let builder = chain::pipeline().tuning("wait.ron", &tuning).unwrap();
        let mut report = done(builder, seen.clone());
        assert!(
            seen.take().into_iter().eq((0..ITEMS).step_by(2)),
            "{tuning}"
        );
        assert_eq!(report.take_state::<chain::counted>(), Some(ITEMS / 2));
        assert_eq!(report.metrics().stage::<chain::even>().filtered, ITEMS / 2);
    }
}

/// Nothing for the pool at all: a source, a ring, a stage and a sink in one loop, both with state.
#[pipeline(env = u64)]
mod pinned_only {
    #[source(cores = "0")]
    pub fn numbers(env: &u64) -> std::ops::Range<u64> {
        0..*env
    }

    #[stage(from = numbers, cores = "0")]
    pub fn square(n: u64) -> u64 {
        n.wrapping_mul(n)
    }

    #[stage(from = square, cores = "1", queue = 64)]
    pub fn check(n: u64, next: &mut u64) -> u64 {
        assert_eq!(n, next.wrapping_mul(*next));
        *next += 1;
        n
    }

    #[sink(from = check, cores = "1")]
    pub fn sum(n: u64, sum: &mut u64) {
        *sum = sum.wrapping_add(n);
    }
}

#[test]
fn a_pipeline_of_pinned_stages_needs_no_worker() {
    for tuning in waits(&["numbers", "check"]) {
        for items in [0, 1, 63, 64, 65, 1_000_003] {
            let builder = pinned_only::pipeline().tuning("wait.ron", &tuning).unwrap();
            let mut report = done(builder, items);
            let expect = (0..items).fold(0u64, |sum, n| sum.wrapping_add(n.wrapping_mul(n)));
            assert_eq!(report.take_state::<pinned_only::check>(), Some(items));
            assert_eq!(report.take_state::<pinned_only::sum>(), Some(expect));
            assert!(
                report
                    .to_string()
                    .contains("on 0 workers and 2 pinned threads")
            );
        }
    }
}

#[test]
fn a_dry_run_needs_no_threads_and_no_cores() {
    let mut dry = pinned_only::pipeline().dry_run(0);
    dry.feed_from::<pinned_only::numbers>(0..1000);
    dry.run();
    let mut report = dry.drain().unwrap();
    assert_eq!(report.take_state::<pinned_only::check>(), Some(1000));
}

/// Several threads for one stage, and for a source that can be cut; a merged state for each.
#[pipeline(env = Seen<u64>)]
mod several {
    use super::*;

    #[derive(Default)]
    pub struct Count(pub u64);

    impl Merge for Count {
        fn merge(&mut self, other: Self) {
            self.0 += other.0;
        }
    }

    #[source(cores = "0,1")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn pooled(n: u64) -> u64 {
        uneven(n)
    }

    #[stage(from = pooled, cores = "0-1", per_worker)]
    pub fn heavy(n: u64, count: &mut Count) -> u64 {
        count.0 += 1;
        uneven(n)
    }

    #[sink(from = heavy)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn several_threads_of_one_stage_keep_the_order_behind_it() {
    let seen = Seen::new();
    let mut report = done(several::pipeline(), seen.clone());
    assert!(seen.take().into_iter().eq(0..ITEMS));
    assert_eq!(
        report.take_state::<several::heavy>().map(|count| count.0),
        Some(ITEMS)
    );
    // Both segments name the same two cores, so one of them shares.
    assert!(!report.warnings().is_empty());
}

/// Routes, a broadcast, errors and a merge around pinned stages.
#[pipeline(env = Seen<u64>)]
mod parted {
    use super::*;

    pub enum Routed {
        Small(u64),
        Large(u64),
    }

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "0")]
    pub fn classify(n: u64) -> Routed {
        if n % 3 == 0 {
            Routed::Small(n)
        } else {
            Routed::Large(n)
        }
    }

    #[stage(from = classify::Small, cores = "1")]
    pub fn small(n: u64) -> Result<u64, u64> {
        if n % 2 == 0 { Ok(n) } else { Err(n) }
    }

    #[stage(from = classify::Large)]
    pub fn large(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = [small, small::Err, large], cores = "0")]
    pub fn all(n: u64, env: &Seen<u64>) {
        env.see(n);
    }

    #[sink(from = small, cores = "1")]
    pub fn also(n: u64, count: &mut u64) {
        assert_eq!(n % 6, 0);
        *count += 1;
    }
}

#[test]
fn what_was_parted_between_pool_and_pinned_stages_is_joined_in_order() {
    let seen = Seen::new();
    let mut report = done(parted::pipeline(), seen.clone());
    assert!(seen.take().into_iter().eq(0..ITEMS));
    assert_eq!(report.take_state::<parted::also>(), Some(ITEMS.div_ceil(6)));
}

/// A pinned source that feeds two pinned sinks by rings and one in the pool by carriers.
#[pipeline(env = Seen<u64>)]
mod fanned {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, cores = "1")]
    pub fn first(n: u64, next: &mut u64) {
        assert_eq!(n, *next);
        *next += 1;
    }

    #[sink(from = numbers, cores = "1", order = any)]
    pub fn second(n: u64, sum: &mut u64) {
        *sum += n;
    }

    #[sink(from = numbers)]
    pub fn third(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn a_pinned_source_feeds_pinned_and_pooled_sinks() {
    let seen = Seen::new();
    let mut report = done(fanned::pipeline(), seen.clone());
    assert!(seen.take().into_iter().eq(0..ITEMS));
    assert_eq!(report.take_state::<fanned::first>(), Some(ITEMS));
    assert_eq!(
        report.take_state::<fanned::second>(),
        Some(ITEMS * (ITEMS - 1) / 2)
    );
}

/// Items that are pushed, to a pinned stage.
#[pipeline]
mod pushed {
    #[stage(from = input, cores = "0")]
    pub fn double(n: u64) -> u64 {
        2 * n
    }

    #[sink(from = double, cores = "1")]
    pub fn sum(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn pushed_items_reach_pinned_stages_and_are_drained() {
    let run = pushed::pipeline().start(()).unwrap();
    run.send_all(0..1000).unwrap();
    for n in 1000..2000 {
        run.send(n).unwrap();
    }
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<pushed::sum>(), Some(2000 * 1999));
    assert!(report.ledger().is_balanced());
}

/// A source without an end, a small ring, and a sink that waits for the test.
#[pipeline(env = Arc<Gate>)]
mod endless {
    use super::*;

    #[derive(Default)]
    pub struct Gate {
        pub open: AtomicBool,
        pub taken: AtomicU64,
    }

    #[source(cores = "0")]
    pub fn numbers(next: &mut u64, out: &mut Emit<u64>) -> Flow {
        *next += 1;
        out.send(*next);
        Flow::More
    }

    #[sink(from = numbers, cores = "1", queue = 16)]
    pub fn slow(_: u64, env: &Arc<Gate>) {
        env.taken.fetch_add(1, Ordering::SeqCst);
        while !env.open.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}

fn started_endless(tuning: &str) -> (pipewright::Running<endless::Pipeline>, Arc<endless::Gate>) {
    let gate = Arc::new(endless::Gate::default());
    let builder = endless::pipeline().tuning("wait.ron", tuning).unwrap();
    let run = builder.start(Arc::clone(&gate)).unwrap();
    while gate.taken.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    (run, gate)
}

#[test]
fn a_thread_that_waits_at_a_full_ring_sees_the_stop() {
    for tuning in waits(&["numbers", "slow"]) {
        let (run, gate) = started_endless(&tuning);
        std::thread::scope(|scope| {
            let stopped = scope.spawn(move || run.stop().unwrap());
            gate.open.store(true, Ordering::SeqCst);
            let report = stopped.join().unwrap();
            assert!(report.ledger().is_balanced(), "{report}");
        });
    }
}

#[test]
fn a_dropped_run_with_a_full_ring_ends() {
    let (run, gate) = started_endless("( stages: {} )");
    gate.open.store(true, Ordering::SeqCst);
    drop(run);
}

#[test]
fn a_drain_takes_what_is_in_the_rings() {
    for tuning in waits(&["numbers", "slow"]) {
        let (run, gate) = started_endless(&tuning);
        gate.open.store(true, Ordering::SeqCst);
        let report = run.drain().unwrap();
        let ledger = report.ledger();
        assert!(ledger.is_balanced(), "{report}");
        assert_eq!(ledger.dropped, 0);
        assert_eq!(ledger.delivered, gate.taken.load(Ordering::SeqCst));
    }
}

/// Panics and errors on pinned threads, with and without state.
#[pipeline]
mod faulty {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "0")]
    pub fn fragile(n: u64) -> Result<u64, String> {
        assert_ne!(n % 1000, 7, "fragile");
        if n % 1000 == 8 {
            Err(format!("{n}"))
        } else {
            Ok(n)
        }
    }

    #[stage(from = fragile, cores = "1", on_panic = reset)]
    pub fn stateful(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        assert_ne!(n % 1000, 9, "stateful");
        n
    }

    #[sink(from = stateful, cores = "1", on_panic = keep)]
    pub fn last(n: u64, count: &mut u64) {
        *count += 1;
        assert_ne!(n % 1000, 10, "last");
    }

    #[sink(from = fragile::Err)]
    pub fn errors(_: String, count: &mut u64) {
        *count += 1;
    }
}

#[test]
fn a_panic_on_a_pinned_thread_costs_its_item_and_no_other() {
    let mut report = done(faulty::pipeline(), ());
    let each = ITEMS / 1000;
    assert_eq!(report.ledger().panicked, 3 * each);
    assert_eq!(report.ledger().delivered, ITEMS - 3 * each);
    assert_eq!(report.take_state::<faulty::errors>(), Some(each));
    assert_eq!(report.take_state::<faulty::last>(), Some(ITEMS - 3 * each));
    // Made anew 20 times, at the last 9 of a thousand: 990 items came after it.
    assert_eq!(report.take_state::<faulty::stateful>(), Some(990));
}

#[test]
fn a_panic_that_stops_the_run_stops_every_thread() {
    let tuning = "( stages: { \"stateful\": (on_panic: stop) } )";
    let builder = faulty::pipeline().tuning("stop.ron", tuning).unwrap();
    let failed = builder.start(()).unwrap().wait().unwrap_err();
    assert!(matches!(
        failed.error,
        RunError::Panicked {
            stage: "stateful",
            ..
        }
    ));
    assert!(failed.report.ledger().is_balanced(), "{failed:?}");
}

/// A state that cannot be made, on a pinned thread.
#[pipeline(env = bool)]
mod unmade {
    #[source(cores = "0")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..10
    }

    pub fn made(env: &bool) -> Result<u64, String> {
        assert!(*env, "no state");
        Err("no luck".to_owned())
    }

    #[sink(from = numbers, cores = "1", state = made)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn a_state_of_a_pinned_stage_that_cannot_be_made_starts_nothing() {
    let error = unmade::pipeline().start(true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the state of `last` could not be made: no luck"
    );
    let error = unmade::pipeline().start(false).unwrap_err();
    assert!(matches!(error, StartError::Panicked(_)), "{error}");
}

#[test]
fn cores_that_cannot_be_used_are_named() {
    let tuning = "( stages: { \"check\": (cores: \"8000\"), \"sum\": (cores: \"8000\") } )";
    let builder = pinned_only::pipeline().tuning("cores.ron", tuning).unwrap();
    let error = builder.start(1).unwrap_err();
    assert!(matches!(error, StartError::Cores(_)));
    let text = error.to_string();
    let expect = "`check` is pinned to core 8000, which this process may not use; it may use core";
    assert!(text.starts_with(expect), "{text}");
}

#[test]
fn stages_of_one_loop_are_pinned_alike() {
    let tuning = "( stages: { \"sum\": (cores: \"0\") } )";
    let builder = pinned_only::pipeline().tuning("cores.ron", tuning).unwrap();
    let text = builder.start(1).unwrap_err().to_string();
    let expect = "`sum` runs in one loop with `check`, and a tuning file gives them different `cores`; give both the same";
    assert_eq!(text, expect);
}

#[test]
fn whether_a_stage_is_pinned_to_one_core_or_many_is_shape() {
    #[track_caller]
    fn check(tuning: &str, expect: &str) {
        let error = pinned_only::pipeline()
            .tuning("cores.ron", tuning)
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expect), "{text}");
    }
    check(
        "( stages: { \"check\": (cores: \"0-1\") } )",
        "`check` was compiled for one core",
    );
    let error = faulty::pipeline()
        .tuning(
            "cores.ron",
            "( stages: { \"errors\": (cores: \"0\", wait: spin) } )",
        )
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`errors` was compiled without `cores`"),
        "{text}"
    );
    assert!(text.contains("`wait` of `errors` needs `cores`"), "{text}");
}
