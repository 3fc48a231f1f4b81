//! Numbers of guards that change while a run goes on.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{Blueprint, Running, pipeline};
use pipewright_tests::{
    dependency::{Dependency as Env, Failure},
    eventually,
    guarded::{break_with_five, guard},
};

/// A pipeline whose stage has these guards.
macro_rules! guarded {
    ($name:ident, $($keys:tt)*) => {
        #[pipeline(env = Env)]
        pub mod $name {
            use super::*;

            #[stage(from = input, $($keys)*)]
            pub fn guarded(n: u64, env: &Env) -> Result<u64, Failure> {
                env.call(n)
            }

            #[sink(from = guarded)]
            pub fn publish(n: u64, env: &Env) {
                env.publish(n);
            }

            #[sink(from = guarded::Err)]
            pub fn reject(failure: Failure, env: &Env) {
                env.reject(&failure);
            }
        }
    };
}

guarded!(
    broken,
    breaker(
        consecutive = 5,
        open = "10min",
        open_max = "10min",
        ramp = "0s",
        probes = 3
    )
);
guarded!(limited, rate = "1/min");
guarded!(
    retried,
    retry(
        max = 5,
        backoff = "60min",
        max_backoff = "60min",
        jitter_pct = 0
    )
);
guarded!(timed, timeout = "60min", breaker(slow = "1s"));
guarded!(
    refusing,
    breaker(
        consecutive = 5,
        open = "10min",
        open_max = "10min",
        hold = "60min"
    )
);

/// Says so of the guarded stage; the changes, as they are told.
#[track_caller]
fn retune<P: Blueprint>(run: &Running<P>, numbers: &str) -> Vec<String> {
    let text = format!(r#"( stages: {{ "guarded": ({numbers}) }} )"#);
    let changes = run.retune("operator", &text).unwrap();
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_a_breaker_holds_goes_on_when_it_is_told_to_open_for_less() {
    let env = Env::failing(0, 5);
    // Calls fail by their number. With one worker those are the first five items, one behind the other; of two, one could
    // call with a later item, and tell of its success between the others' failures.
    let run = broken::pipeline().workers(1).start(env.clone()).unwrap();
    break_with_five(&run);
    let changes = retune(&run, r#"breaker: (open: "10ms", probes: 1)"#);
    assert_eq!(
        changes,
        [
            "guarded.breaker.open 10min -> 10ms",
            "guarded.breaker.probes 3 -> 1"
        ]
    );
    eventually(|| env.published().len() == 15);
    assert_eq!(guard(&run).breaker.probes, 1);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(env.rejected(), [0, 1, 2, 3, 4], "{report}");
    assert!(
        report
            .to_string()
            .contains("guarded.breaker.open 10min -> 10ms")
    );
}

#[test]
fn what_a_rate_and_a_pause_hold_back_goes_on_when_they_change() {
    let env = Env::well();
    let run = limited::pipeline().workers(2).start(env.clone()).unwrap();
    for n in 0..100 {
        run.send(n).unwrap();
    }
    eventually(|| guard(&run).waiting > 0);
    assert!(env.published().len() <= 1);
    let changes = retune(&run, r#"rate: "1M/s""#);
    assert_eq!(changes, ["guarded.rate 1 in 1min -> 1000000 in 1s"]);
    eventually(|| env.published().len() == 100);
    let report = run.drain().expect("nothing stops it");
    assert!(report.ledger().is_balanced(), "{report}");

    let env = Env::failing(0, 1);
    let run = retried::pipeline().workers(2).start(env.clone()).unwrap();
    run.send(7).unwrap();
    eventually(|| guard(&run).waiting > 0);
    let changes = retune(&run, r#"retry: (max: 2, backoff: "1ms")"#);
    assert_eq!(
        changes,
        [
            "guarded.retry.max 5 -> 2",
            "guarded.retry.backoff 60min -> 1ms"
        ]
    );
    eventually(|| env.published() == [7]);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.ledger().failed, 0, "{report}");
}

#[test]
fn items_that_wait_leave_when_they_may_wait_for_less() {
    let run = refusing::pipeline()
        .workers(2)
        .start(Env::failing(0, u64::MAX))
        .unwrap();
    break_with_five(&run);
    retune(&run, r#"breaker: (hold: "1ms", counts: [timeout])"#);
    eventually(|| guard(&run).refused > 0);
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.ledger().failed, 20, "{report}");
}

#[test]
fn a_call_takes_too_long_by_the_timeout_of_the_moment() {
    let run = timed::pipeline().workers(1).start(Env::well()).unwrap();
    run.send(1).unwrap();
    eventually(|| run.metrics().get("publish").unwrap().sent == 1);
    assert_eq!(guard(&run).timed_out, 0);
    retune(&run, r#"timeout: "1ns", breaker: (slow: "2s")"#);
    run.send(2).unwrap();
    eventually(|| guard(&run).timed_out > 0);
    let report = run.drain().expect("nothing stops it");
    assert!(report.ledger().is_balanced(), "{report}");
}

#[test]
fn a_dry_run_goes_by_the_new_numbers_of_its_guards() {
    let env = Env::failing(0, 5);
    let mut run = broken::pipeline().dry_run(env.clone());
    run.feed::<broken::guarded>(0..10);
    run.run();
    run.advance("1min");
    let text = r#"( stages: { "guarded": (breaker: (open: "70s", open_jitter_pct: 0)) } )"#;
    run.retune("operator", text).unwrap();
    run.advance("9999ms");
    run.run();
    assert!(env.published().is_empty());
    run.advance("1ms");
    run.run();
    assert_eq!(env.published(), [5, 6, 7, 8, 9]);
    let report = run.drain().expect("nothing stops it");
    assert!(report.ledger().is_balanced(), "{report}");
}

#[test]
fn guards_change_wholly_or_not_at_all() {
    let run = timed::pipeline()
        .workers(1)
        .tuning(
            "t.tuning.ron",
            r#"( stages: { "guarded": (breaker: (open: "3s")) } )"#,
        )
        .unwrap()
        .start(Env::well())
        .unwrap();
    for (numbers, says) in [
        // It fits what was compiled, but not what was tuned since.
        (
            r#"timeout: "1s", breaker: (slow: "2s")"#,
            "`breaker` of `guarded`: `open` of a breaker is 3s; write ",
        ),
        (
            r#"timeout: "1s", breaker: (slow: "2s", open: "3s")"#,
            "`slow` of the breaker of `guarded`",
        ),
        (
            r#"timeout: "1s", breaker: (slow: adaptive)"#,
            "whether the calls of a stage are timed, and by what, is fixed when a run starts",
        ),
        (r#"rate: "1/s""#, "`guarded` was compiled without `rate`"),
    ] {
        let text = format!(r#"( stages: {{ "guarded": ({numbers}) }} )"#);
        let wrong = run.retune("operator", &text).expect_err(numbers);
        assert!(wrong.to_string().contains(says), "{wrong}");
    }
    assert!(run.retunings().iter().all(|one| one.outcome.is_err()));
    // As they are, all of them.
    assert!(
        retune(
            &run,
            r#"timeout: "60min", breaker: (slow: "1s", open: "3s")"#
        )
        .is_empty()
    );
    let report = run.drain().expect("nothing stops it");
    assert_eq!(report.retunings().len(), 5);
}
