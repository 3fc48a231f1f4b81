//! What happens at a full input, and between pinned threads: who sends waits, gets the item back, or an item is dropped and counted.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{sync::Arc, time::Duration};

use pipewright::{CallError, Concern, Health, Ledger, Priority, SendError, pipeline};
use pipewright_tests::Gate;

/// A pipeline whose sink waits at a gate with the first item, while the input of four fills up.
macro_rules! held {
    ($name:ident, $policy:ident) => {
        #[pipeline(env = Env)]
        mod $name {
            use super::*;

            #[sink(from = input, queue = 4, overflow = $policy, order = any)]
            pub fn last(n: u64, seen: &mut Vec<u64>, env: &Env) {
                if n == 0 {
                    env.pass();
                }
                seen.push(n);
            }
        }
    };
}

type Env = Arc<Gate>;

held!(rejecting, reject);
held!(newest, drop_newest);
held!(oldest, drop_oldest);
held!(lowest, shed_lowest);

/// Sends `0`, which waits at the gate, then lets `send` push and opens the gate. What the sink took then, and the ledger.
macro_rules! behind_the_gate {
    ($name:ident, $send:expr) => {{
        let gate = Env::default();
        let run = $name::pipeline()
            .workers(1)
            .start(Arc::clone(&gate))
            .unwrap();
        run.send(0).unwrap();
        gate.reached();
        $send(&run);
        gate.open();
        let mut report = run.drain().unwrap();
        let seen = report.take_state::<$name::last>().unwrap();
        (seen, report.ledger())
    }};
}

#[track_caller]
fn lost(ledger: Ledger, received: u64, overflow: u64) {
    assert!(ledger.is_balanced(), "{ledger}");
    let found = (ledger.received, ledger.dropped, ledger.dropped_by.overflow);
    assert_eq!(found, (received, overflow, overflow), "{ledger}");
    assert_eq!(ledger.delivered, received - overflow, "{ledger}");
}

fn sorted(mut seen: Vec<u64>) -> Vec<u64> {
    seen.sort_unstable();
    seen
}

#[test]
fn a_full_input_that_rejects_gives_every_item_back_at_once() {
    let (seen, ledger) = behind_the_gate!(rejecting, |run: &pipewright::Running<_>| {
        assert_eq!(run.send_all(1..9), Err(SendError::Full(5)));
        assert_eq!(run.send(6), Err(SendError::Full(6)));
        let late = run.input().send_timeout(7, Duration::from_secs(3600));
        assert_eq!(late, Err(SendError::Full(7)));
        let mut batch = vec![8, 9];
        let error = run.send_batch(&mut batch).unwrap_err();
        assert!(error.full && error.left == 2, "{error}");
        assert_eq!(batch, [8, 9]);
    });
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    lost(ledger, 5, 0);
}

#[test]
fn a_full_input_drops_the_newest_items_and_counts_them() {
    let (seen, ledger) = behind_the_gate!(newest, |run: &pipewright::Running<_>| {
        assert_eq!(run.send_all(1..7), Ok(6));
        assert_eq!(run.try_send(7), Ok(()));
        let mut batch = vec![8, 9];
        run.send_batch(&mut batch).unwrap();
        assert!(batch.is_empty());
        // Whatever its lane is.
        run.send_at(Priority::Critical, 10).unwrap();
    });
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    lost(ledger, 11, 6);
}

#[test]
fn a_full_input_drops_the_oldest_items_of_the_lane() {
    let (seen, ledger) = behind_the_gate!(oldest, |run: &pipewright::Running<_>| {
        run.send_all(1..7).unwrap();
        let mut batch = vec![7, 8];
        run.send_batch(&mut batch).unwrap();
        assert!(batch.is_empty());
    });
    assert_eq!(seen, [0, 5, 6, 7, 8]);
    lost(ledger, 9, 4);

    // Where nothing waits in its lane, of a lower one; and never a more urgent one.
    let (seen, ledger) = behind_the_gate!(oldest, |run: &pipewright::Running<_>| {
        run.send_all(1..4).unwrap();
        run.send_at(Priority::Low, 4).unwrap();
        run.send_at(Priority::High, 5).unwrap();
        run.send_at(Priority::High, 6).unwrap();
        run.send_at(Priority::Low, 7).unwrap();
    });
    // Lanes have their turns.
    assert_eq!(sorted(seen), [0, 1, 2, 3, 6]);
    lost(ledger, 8, 3);
}

#[test]
fn a_full_input_sheds_the_lowest_lane_first() {
    let (seen, ledger) = behind_the_gate!(lowest, |run: &pipewright::Running<_>| {
        run.send_at(Priority::Low, 1).unwrap();
        run.send_at(Priority::Low, 2).unwrap();
        run.send(3).unwrap();
        run.send_at(Priority::High, 4).unwrap();
        // Displaces 1, 2, 3, and then itself would be the next.
        run.send(5).unwrap();
        run.send_at(Priority::Critical, 6).unwrap();
        let mut batch = vec![7];
        run.send_batch_at(Priority::Critical, &mut batch).unwrap();
        run.send_at(Priority::Low, 8).unwrap();
    });
    assert_eq!(sorted(seen), [0, 4, 5, 6, 7]);
    lost(ledger, 9, 4);
}

#[test]
fn a_run_that_drops_items_is_degraded_and_its_report_says_why() {
    let gate = Env::default();
    let run = newest::pipeline()
        .workers(1)
        .start(Arc::clone(&gate))
        .unwrap();
    assert_eq!(run.health(), Health::Healthy);
    run.send(0).unwrap();
    gate.reached();
    run.send_all(1..8).unwrap();
    let Health::Degraded(concerns) = run.health() else {
        panic!("{:?}", run.health());
    };
    let [
        Concern::Lost {
            stage: "last",
            dropped,
        },
    ] = concerns.as_slice()
    else {
        panic!("{concerns:?}");
    };
    assert_eq!((dropped.overflow, dropped.total()), (3, 3));
    assert_eq!(
        run.health().to_string(),
        "degraded: before `last` items are dropped: 3 by a full queue"
    );
    assert_eq!(run.metrics().stage::<newest::last>().dropped_by.overflow, 3);
    gate.open();
    let report = run.drain().unwrap().to_string();
    assert!(
        report.contains("`last`: dropped: 3 by a full queue"),
        "{report}"
    );
    assert!(report.contains("balanced: 8 received"), "{report}");
}

macro_rules! asked {
    ($name:ident, $policy:ident) => {
        #[pipeline(env = Env, reply = answer)]
        mod $name {
            use super::*;

            #[stage(from = input, queue = 2, overflow = $policy)]
            pub fn answer(n: u64, env: &Env) -> u64 {
                if n == 0 {
                    env.pass();
                }
                n + 1
            }
        }
    };
}

asked!(asked_oldest, drop_oldest);
asked!(asked_newest, drop_newest);
asked!(asked_rejecting, reject);

#[test]
fn a_call_whose_request_is_dropped_or_refused_is_overloaded() {
    macro_rules! check {
        ($name:ident, $first:expr, $third:expr) => {{
            let gate = Env::default();
            let run = $name::pipeline()
                .workers(1)
                .start(Arc::clone(&gate))
                .unwrap();
            run.send(0).unwrap();
            gate.reached();
            std::thread::scope(|scope| {
                let first = scope.spawn(|| run.call(1));
                pipewright_tests::eventually(|| run.input().len() == 1);
                let second = scope.spawn(|| run.call(2));
                pipewright_tests::eventually(|| run.input().len() == 2);
                let third = scope.spawn(|| run.call(3));
                // One of them is answered while nothing can be worked on.
                pipewright_tests::eventually(|| first.is_finished() || third.is_finished());
                gate.open();
                assert_eq!(first.join().unwrap(), $first);
                assert_eq!(second.join().unwrap(), Ok(3));
                assert_eq!(third.join().unwrap(), $third);
            });
            run.drain().unwrap().ledger()
        }};
    }
    let dropped = check!(asked_oldest, Err(CallError::Overloaded(None)), Ok(4));
    lost(dropped, 4, 1);
    // Whoever has the request still gets it back, and nothing is lost.
    for ledger in [
        check!(asked_newest, Ok(2), Err(CallError::Overloaded(Some(3)))),
        check!(asked_rejecting, Ok(2), Err(CallError::Overloaded(Some(3)))),
    ] {
        lost(ledger, 3, 0);
    }
}

/// More than a ring of eight holds at once.
const TICKS: u64 = 100_000;

#[pipeline(env = Env)]
mod ticks {
    use super::*;

    #[source(cores = "0")]
    pub fn ticks() -> impl Iterator<Item = u64> {
        0..TICKS
    }

    #[sink(from = ticks, cores = "1", queue = 8, overflow = drop_newest)]
    pub fn last(n: u64, seen: &mut Vec<u64>, env: &Env) {
        if n == 0 {
            env.pass();
        }
        seen.push(n);
    }
}

#[test]
fn a_pinned_thread_does_not_wait_for_a_ring_that_drops_the_newest() {
    let gate = Env::default();
    let run = ticks::pipeline().start(Arc::clone(&gate)).unwrap();
    gate.reached();
    // The source goes on to its end, though nothing is taken.
    pipewright_tests::eventually(|| run.metrics().stage::<ticks::ticks>().sent == TICKS);
    gate.open();
    let mut report = run.wait().unwrap();
    let seen = report.take_state::<ticks::last>().unwrap();
    assert!(seen.is_sorted() && seen.len() <= 17, "{seen:?}");
    lost(report.ledger(), TICKS, TICKS - seen.len() as u64);
}

#[test]
fn a_dry_run_overflows_at_the_items_that_are_fed_at_once() {
    let run = |overflow: u64, seen: &[u64], ledger: Ledger, state: Option<Vec<u64>>| {
        lost(ledger, seen.len() as u64 + overflow, overflow);
        assert_eq!(state.as_deref(), Some(seen));
    };
    macro_rules! fed {
        ($name:ident, $back:expr, $overflow:expr, $seen:expr) => {{
            let gate = Env::default();
            gate.open();
            let mut dry = $name::pipeline().dry_run(gate);
            let back: &[u64] = &$back;
            assert_eq!(dry.feed_input(0..6), back);
            dry.run();
            assert!(dry.feed_input([6]).is_empty());
            let mut report = dry.drain().unwrap();
            let state = report.take_state::<$name::last>();
            run($overflow, &$seen, report.ledger(), state);
        }};
    }
    fed!(rejecting, [4, 5], 0, [0, 1, 2, 3, 6]);
    fed!(newest, [], 2, [0, 1, 2, 3, 6]);
    fed!(oldest, [], 2, [2, 3, 4, 5, 6]);
    fed!(lowest, [], 2, [2, 3, 4, 5, 6]);
}

#[pipeline(reply = answer)]
mod shed_by_key {
    #[stage(from = input, key = |n| n % 3, shed())]
    pub fn answer(n: u64, _seen: &mut u64) -> u64 {
        n
    }
}

#[test]
fn what_sheds_answers_as_long_as_nothing_waits() {
    let tuning = r#"(stages: { "answer": (shed: (target: "1s", interval: "1s")) })"#;
    let pipeline = shed_by_key::pipeline().workers(1);
    let run = pipeline
        .tuning("by hand", tuning)
        .unwrap()
        .start(())
        .unwrap();
    for n in 0..100 {
        assert_eq!(run.call(n), Ok(n));
    }
    let report = run.drain().unwrap();
    lost(report.ledger(), 100, 0);
    assert_eq!(report.ledger().dropped_by.shed, 0);
}
