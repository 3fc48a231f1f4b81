//! Batch stages that judge their items one by one, guards around them, and the time that a batch may take.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::time::Duration;

use pipewright::{Batch, DeadLetter, breaker::State, pipeline};
use pipewright_tests::{
    WORKERS,
    dependency::{Dependency as Env, Failure},
    guarded::guard_of,
};

/// The items of each run.
const ITEMS: u64 = 10_000;

/// One item in ten is bad.
fn is_bad(n: u64) -> bool {
    n % 10 == 3
}

/// A stage that takes what it converts out of its batch, one that judges items that go on as they are, and a sink.
#[pipeline(env = Env)]
mod judged {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, batch = 16)]
    pub(crate) fn convert(numbers: &mut Batch<u64>) -> Vec<Result<String, u64>> {
        let judge = |n: u64| if is_bad(n) { Err(n) } else { Ok(n.to_string()) };
        numbers.drain().map(judge).collect()
    }

    #[stage(from = convert)]
    fn shorter(text: String) -> Option<u64> {
        text.parse().ok()
    }

    #[stage(from = shorter, batch = 32)]
    pub(crate) fn look(numbers: &[u64]) -> Vec<Result<(), String>> {
        let judge = |n: &u64| {
            if n % 10 == 4 {
                Err(n.to_string())
            } else {
                Ok(())
            }
        };
        numbers.iter().map(judge).collect()
    }

    #[sink(from = look, batch = 64)]
    pub(crate) fn store(numbers: &mut [u64], env: &Env) -> Vec<Result<(), u64>> {
        let store = |n: &mut u64| match *n % 10 {
            5 => Err(*n),
            _ => {
                env.publish(*n);
                Ok(())
            }
        };
        numbers.iter_mut().map(store).collect()
    }

    #[sink(from = [convert::Err, store::Err], order = any)]
    fn bad(n: u64, env: &Env) {
        env.spool(n);
    }

    #[sink(from = look::Err)]
    fn worse(text: String, env: &Env) {
        env.spool(text.parse().unwrap());
    }
}

#[test]
fn one_bad_item_does_not_fail_its_batch() {
    for workers in WORKERS {
        let env = Env::well();
        let pipeline = judged::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        let published = env.published();
        assert!(published.is_sorted(), "{report}");
        assert!(published.iter().all(|n| !matches!(n % 10, 3..=5)));
        assert_eq!(published.len() as u64, ITEMS / 10 * 7, "{report}");
        let mut all = [published, env.spooled()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
        let failed = |name| report.metrics().get(name).unwrap().failed;
        assert_eq!(["convert", "look", "store"].map(failed), [ITEMS / 10; 3]);
        assert!(report.ledger().is_balanced(), "{report}");
    }
}

#[test]
fn a_dry_run_hears_the_same_verdicts() {
    let env = Env::well();
    let mut run = judged::pipeline().dry_run(env.clone());
    run.feed::<judged::convert>(0..20);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(
        env.published(),
        [0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 16, 17, 18, 19]
    );
    let mut spooled = env.spooled();
    spooled.sort_unstable();
    assert_eq!(spooled, [3, 4, 5, 13, 14, 15]);
    assert!(report.ledger().is_balanced(), "{report}");
}

/// Letters have the items that failed, whether the stage takes them out of its batch or not.
#[pipeline(env = Env)]
mod letters {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub(crate) fn take(numbers: &mut Batch<u64>) -> Vec<Result<u64, String>> {
        let judge = |n: u64| {
            if is_bad(n) {
                Err(format!("bad {n}"))
            } else {
                Ok(n)
            }
        };
        numbers.drain().map(judge).collect()
    }

    #[stage(from = take)]
    pub(crate) fn borrow(numbers: &[u64]) -> Vec<Result<u64, String>> {
        let judge = |n: &u64| {
            if n % 10 == 4 {
                Err(format!("bad {n}"))
            } else {
                Ok(*n)
            }
        };
        numbers.iter().map(judge).collect()
    }

    #[sink(from = borrow)]
    fn publish(n: u64, env: &Env) {
        env.publish(n);
    }

    #[sink(from = [take::Err, borrow::Err], order = any)]
    fn keep(letter: DeadLetter<String, u64>, env: &Env) {
        assert_eq!(letter.error, format!("bad {}", letter.item));
        env.spool(letter.item);
    }
}

#[test]
fn letters_have_the_items_that_failed() {
    for workers in WORKERS {
        let env = Env::well();
        let pipeline = letters::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        assert_eq!(env.spooled().len() as u64, 2 * ITEMS / 10, "{report}");
        assert_eq!(report.ledger().panicked, 0, "{report}");
        let mut all = [env.published(), env.spooled()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ITEMS));
    }
    let env = Env::well();
    let mut run = letters::pipeline().dry_run(env.clone());
    run.feed::<letters::take>(0..10);
    let report = run.drain().expect("nothing stops it");
    assert_eq!((env.spooled().len(), report.ledger().panicked), (2, 0));
}

#[pipeline]
pub mod too_few {
    #[stage(from = input)]
    pub fn judge(numbers: &[u64]) -> Vec<Result<(), String>> {
        vec![Ok(()); numbers.len() - 1]
    }

    #[sink(from = judge)]
    pub fn end(_: u64) {}

    #[sink(from = judge::Err)]
    pub fn bad(_: String) {}
}

#[test]
fn a_stage_that_does_not_judge_each_item_is_told_how_many_there_were() {
    let mut run = too_few::pipeline().dry_run(());
    run.feed::<too_few::judge>(0..4);
    let report = run.drain().expect("its panics are isolated");
    assert_eq!(report.ledger().panicked, 4, "{report}");
    let said = &report.panics()[0].message;
    assert!(said.contains("3 verdicts on 4 items"), "{said}");
}

/// A pipeline whose batch stage is guarded; `$keys` say how.
macro_rules! guarded {
    ($name:ident, $($keys:tt)*) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[source]
            fn numbers() -> impl Iterator<Item = u64> {
                0..ITEMS
            }

            #[stage(from = numbers, batch = 20, $($keys)*)]
            pub(crate) fn guarded(numbers: &mut Batch<u64>, env: &Env) -> Vec<Result<u64, Failure>> {
                assert!(numbers.len() <= 20);
                numbers.drain().map(|n| env.call(n)).collect()
            }

            #[sink(from = guarded)]
            fn publish(n: u64, env: &Env) {
                env.publish(n);
            }

            #[sink(from = guarded::Err)]
            fn reject(failure: Failure, env: &Env) {
                env.reject(&failure);
            }
        }
    };
}

guarded!(
    held,
    breaker(
        consecutive = 5,
        open = "10ms",
        open_max = "10ms",
        ramp = "0s",
        probes = 3
    )
);
guarded!(
    dead,
    breaker(
        consecutive = 5,
        open = "10ms",
        ramp = "0s",
        probes = 3,
        on_open = dead_letter
    )
);
guarded!(
    fallen_back,
    breaker(
        consecutive = 5,
        open = "10ms",
        ramp = "0s",
        probes = 3,
        fallback = cached
    )
);
guarded!(limited, rate = "200k/s");

fn cached(n: u64, env: &Env) -> u64 {
    env.spool(n);
    n
}

#[pipeline(env = Env)]
mod diverted_in_turn {
    use super::*;

    #[source]
    fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers, batch = 20, breaker(consecutive = 5, open = "10ms", open_max = "10ms", ramp = "0s", probes = 3, on_open = divert))]
    fn guarded(numbers: &mut [u64], _: &mut u64, env: &Env) -> Vec<Result<(), Failure>> {
        let call = |n: &mut u64| env.call(*n).map(|n| env.publish(n));
        numbers.iter_mut().map(call).collect()
    }

    #[sink(from = guarded::Diverted)]
    fn spool(n: u64, env: &Env) {
        env.spool(n);
    }

    #[sink(from = guarded::Err)]
    fn reject(failure: Failure, env: &Env) {
        env.reject(&failure);
    }
}

#[track_caller]
fn each_once(parts: &[Vec<u64>]) {
    let mut all = parts.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..ITEMS), "each item comes out once");
}

#[test]
fn batches_wait_in_front_of_a_stage_while_its_breaker_is_open() {
    for workers in WORKERS {
        let env = Env::failing(1_000, 200);
        let pipeline = held::pipeline().workers(workers);
        let report = pipeline.run(env.clone()).expect("nothing stops it");
        let seen = guard_of(&report);
        assert_eq!(seen.state, Some(State::Closed), "{report}");
        assert!(seen.held > 0 && seen.breaker.changes >= 3, "{report}");
        // What was called before a change of its state counts as late.
        let (failed, late) = (seen.breaker.failed, seen.breaker.late);
        assert!(failed <= 200 && failed + late >= 200, "{report}");
        assert!(env.published().is_sorted());
        each_once(&[env.published(), env.rejected()]);
    }
}

#[test]
fn items_of_a_batch_leave_as_errors_or_fall_back_or_are_diverted_one_by_one() {
    let env = Env::failing(1_000, 200);
    let report = dead::pipeline().workers(2).run(env.clone()).unwrap();
    let (refused, failed) = (guard_of(&report).refused, env.rejected().len() as u64);
    assert!(refused > 0, "{report}");
    assert_eq!(report.ledger().failed, refused + failed, "{report}");
    assert_eq!(env.published().len() as u64 + refused + failed, ITEMS);

    let env = Env::failing(1_000, 200);
    let report = fallen_back::pipeline().workers(2).run(env.clone()).unwrap();
    assert!(guard_of(&report).fell_back > 0, "{report}");
    assert_eq!(guard_of(&report).fell_back, env.spooled().len() as u64);
    each_once(&[env.published(), env.rejected()]);

    let env = Env::failing(1_000, 200);
    let report = diverted_in_turn::pipeline()
        .workers(2)
        .run(env.clone())
        .unwrap();
    assert!(guard_of(&report).diverted > 0, "{report}");
    assert!(env.published().is_sorted() && env.spooled().is_sorted());
    each_once(&[env.published(), env.rejected(), env.spooled()]);
}

#[test]
fn batches_keep_to_a_rate_and_a_dry_run_guards_them_item_by_item() {
    let env = Env::well();
    let report = limited::pipeline().workers(2).run(env.clone()).unwrap();
    each_once(&[env.published()]);
    assert!(guard_of(&report).held > 0, "{report}");
    // As many as come in 10 ms may come at once.
    assert!(report.elapsed() >= Duration::from_millis(39), "{report}");

    let env = Env::failing(0, 5);
    let mut run = held::pipeline().dry_run(env.clone());
    run.feed::<held::guarded>(0..10);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(env.rejected(), [0, 1, 2, 3, 4]);
    assert_eq!(env.published(), [5, 6, 7, 8, 9], "{report}");
}

/// The time that batches may take.
#[pipeline]
pub mod slow {
    #[stage(from = input, batch = 4, linger = "5ms", budget = "2ms")]
    pub fn gather(numbers: &mut pipewright::Batch<u64>) {
        if numbers.contains(&13) {
            let begun = std::time::Instant::now();
            while begun.elapsed().as_millis() < 3 {}
        }
    }

    #[sink(from = gather)]
    pub fn end(_: u64) {}
}

#[test]
fn batches_over_their_budget_are_counted_and_told() {
    let run = slow::pipeline().workers(2).start(()).unwrap();
    run.send(13).unwrap();
    pipewright_tests::eventually(|| !run.late_batches().is_empty());
    let told = &run.late_batches()[0];
    assert_eq!((told.stage, told.items, told.late), ("gather", 1, 1));
    assert!(told.took >= Duration::from_millis(3) && told.budget == Duration::from_millis(2));
    // From now on there is time.
    let text = r#"( stages: { "gather": (budget: "1min") } )"#;
    let changes = run.retune("operator", text).unwrap();
    assert_eq!(changes[0].to_string(), "gather.budget 2ms -> 1min");
    run.send(13).unwrap();
    let report = run.drain().expect("nothing stops it");
    let seen = report.metrics().stage::<slow::gather>();
    assert_eq!((seen.sent, seen.late_batches), (2, 1), "{report}");
    assert_eq!(report.late_batches().len(), 1);
    assert!(
        report
            .to_string()
            .contains("`gather`: batches over budget: 1, the longest took "),
        "{report}"
    );
}

#[test]
fn in_a_dry_run_a_batch_takes_as_long_as_it_lingers() {
    let mut run = slow::pipeline().dry_run(());
    run.feed::<slow::gather>(0..5);
    run.advance("10ms");
    let report = run.drain().expect("nothing stops it");
    let seen = report.metrics().stage::<slow::gather>();
    assert_eq!(
        (seen.late_batches, seen.longest_batch),
        (1, Duration::from_millis(5))
    );
}
