//! Numbers that say who is served and what waits, changed while a run goes on.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{sync::Arc, thread};

use pipewright::{Blueprint, Priority, Running, SendError, machine::Machine, pipeline};
use pipewright_tests::{Gate, Seen, WORKERS, eventually, work};

/// Changes the numbers of a stage; the changes, as they are told.
#[track_caller]
fn retune<P: Blueprint>(run: &Running<P>, stage: &str, numbers: &str) -> Vec<String> {
    let text = format!("( stages: {{ \"{stage}\": ({numbers}) }} )");
    let changes = run.retune("operator", &text).unwrap();
    changes.iter().map(ToString::to_string).collect()
}

/// A gate, and nothing else.
type Env = Arc<Gate>;

#[pipeline(env = Env)]
mod narrow {
    use super::*;

    #[sink(from = input, workers = 1, order = any)]
    pub fn ask(_: u64, gate: &Env) {
        gate.pass();
    }
}

#[test]
fn more_workers_come_into_a_stage_when_they_may() {
    let gate = Env::default();
    let run = narrow::pipeline()
        .workers(3)
        .start(Arc::clone(&gate))
        .unwrap();
    let guard = || {
        run.metrics()
            .stage::<narrow::ask>()
            .guard
            .clone()
            .expect("it has a bulkhead")
    };
    run.send(0).unwrap();
    gate.reached();
    run.send(1).unwrap();
    eventually(|| guard().waiting == 1);
    assert_eq!(guard().inside, 1);
    assert_eq!(retune(&run, "ask", "workers: 2"), ["ask.workers 1 -> 2"]);
    eventually(|| guard().inside == 2);
    // The third one waits until the second of those has left.
    assert_eq!(retune(&run, "ask", "workers: 1"), ["ask.workers 2 -> 1"]);
    run.send(2).unwrap();
    eventually(|| guard().waiting == 1);
    assert_eq!(guard().inside, 2);
    gate.open();
    eventually(|| run.metrics().stage::<narrow::ask>().sent == 3);
    let report = run.drain().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
}

#[pipeline(pool(workers = 1))]
mod shedding {
    #[sink(from = input, shed(target = "60min", interval = "60min"))]
    pub fn last(_: u64) {}
}

#[test]
fn what_waits_is_shed_by_the_times_of_the_moment() {
    let run = shedding::pipeline().start(()).unwrap();
    let rounds = || {
        // Each round is a pull or more; twenty of them shed all that is not critical.
        for _ in 0..60 {
            for n in 0..10 {
                run.send_at(Priority::Low, n).unwrap();
            }
            eventually(|| run.input().is_empty());
        }
    };
    rounds();
    assert_eq!(
        retune(&run, "last", r#"shed: (target: "1ns", interval: "1ns")"#),
        [
            "last.shed.target 60min -> 1ns",
            "last.shed.interval 60min -> 1ns"
        ]
    );
    rounds();
    assert_eq!(
        retune(&run, "last", r#"shed: (target: "60min")"#),
        ["last.shed.target 1ns -> 60min"]
    );
    let ledger = run.drain().unwrap().ledger();
    assert!(ledger.is_balanced(), "{ledger}");
    assert!(ledger.delivered >= 600, "{ledger}");
    assert!(ledger.dropped_by.shed > 0, "{ledger}");
}

macro_rules! queued {
    ($name:ident, $($keys:tt)*) => {
        #[pipeline(env = Env, pool(workers = 1))]
        mod $name {
            use super::*;

            #[sink(from = input, $($keys)*)]
            pub fn last(n: u64, sum: &mut u64, gate: &Env) {
                if n == 0 {
                    gate.pass();
                }
                *sum += n;
            }
        }
    };
}

queued!(rejecting, queue = 4, overflow = reject);
queued!(blocking, queue = 1);

#[test]
fn a_queue_holds_what_it_may_hold_at_the_moment() {
    let gate = Env::default();
    let run = rejecting::pipeline().start(Arc::clone(&gate)).unwrap();
    run.send(0).unwrap();
    gate.reached();
    let before = run.metrics().buffers().bytes;
    assert_eq!(run.send_all(1..9), Err(SendError::Full(5)));
    assert_eq!(retune(&run, "last", "queue: 6"), ["last.queue 4 -> 6"]);
    assert_eq!(run.metrics().buffers().bytes, before + 16);
    assert_eq!(run.send_all(5..9), Err(SendError::Full(7)));
    retune(&run, "last", "queue: 2");
    assert_eq!(run.send(7), Err(SendError::Full(7)));
    assert_eq!((run.input().len(), run.input().capacity()), (6, 2));
    // Of what it has too much nothing is lost.
    gate.open();
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<rejecting::last>(), Some(21));
    assert!(report.ledger().is_balanced(), "{report}");
}

#[test]
fn who_waits_for_room_goes_on_when_there_is_more() {
    let gate = Env::default();
    let run = blocking::pipeline().start(Arc::clone(&gate)).unwrap();
    run.send(0).unwrap();
    gate.reached();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| run.send_all(1..=10).unwrap()))
            .collect();
        retune(&run, "last", "queue: 30");
        // The worker takes nothing meanwhile.
        senders
            .into_iter()
            .for_each(|sender| assert_eq!(sender.join().unwrap(), 10));
        retune(&run, "last", "queue: 1");
        let late = scope.spawn(|| run.send(1).unwrap());
        gate.open();
        late.join().unwrap();
    });
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<blocking::last>(), Some(3 * 55 + 1));
}

#[test]
fn nothing_is_lost_while_a_queue_becomes_larger_and_smaller() {
    let gate = Env::default();
    gate.open();
    let run = blocking::pipeline().start(Arc::clone(&gate)).unwrap();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| run.send_all(0..20_000).unwrap()))
            .collect();
        let mut sizes = [1, 4096, 3, 100].into_iter().cycle();
        while !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
            let size = sizes.next().unwrap_or(1);
            run.retune(
                "operator",
                &format!("(stages: {{ \"last\": (queue: {size}) }})"),
            )
            .unwrap();
        }
    });
    let mut report = run.drain().unwrap();
    let sum = (0..20_000u64).sum::<u64>();
    assert_eq!(report.take_state::<blocking::last>(), Some(3 * sum));
    assert!(report.ledger().is_balanced(), "{report}");
}

/// Two threads with a ring between them.
#[pipeline]
mod ringed {
    #[source(cores = "0")]
    pub fn numbers() -> std::ops::Range<u64> {
        0..200_000
    }

    #[stage(from = numbers, cores = "1", queue = 64)]
    pub fn same(n: u64) -> u64 {
        n
    }

    #[sink(from = same, cores = "1")]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

#[test]
fn what_was_made_when_the_run_started_says_so() {
    let machine = Machine::simulate("1x4").unwrap();
    let run = ringed::pipeline().machine(machine).start(()).unwrap();
    for (numbers, code, why) in [
        (
            "queue: 65",
            "E_FIXED",
            "`queue` is fixed when a run starts: the ring between two pinned threads is made then",
        ),
        (
            r#"cores: "2""#,
            "E_FIXED",
            "`cores` is fixed when a run starts: its threads are made then, and each has its part of the items",
        ),
        (
            "realtime: 3, wait: park",
            "E_FIXED",
            "`realtime` is fixed when a run starts: its threads take their priority then",
        ),
        (
            "wait: spin",
            "E_FIXED",
            "`wait` is fixed when a run starts: nobody wakes threads that spin",
        ),
        (
            r#"wait: park), "last": (wait: adaptive"#,
            "E_ONE_LOOP",
            "`last` runs in one loop with `same`, which says another `wait`",
        ),
    ] {
        let text = format!("( stages: {{ \"same\": ({numbers}) }} )");
        let error = run.retune("operator", &text).unwrap_err().to_string();
        for part in [code, why, "operator:1:"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
    let _ = run.wait().unwrap();
}

#[test]
fn nothing_is_lost_while_the_way_in_which_threads_wait_changes() {
    let machine = Machine::simulate("1x4").unwrap();
    let run = ringed::pipeline().machine(machine).start(()).unwrap();
    assert_eq!(
        retune(&run, "same", "wait: park"),
        ["same.wait its default -> park"]
    );
    let taken = || run.metrics().stage::<ringed::last>().sent;
    let mut ways = ["adaptive", "park"].into_iter().cycle();
    while taken() < 150_000 {
        let way = ways.next().unwrap_or("park");
        retune(&run, "same", &format!("wait: {way}"));
    }
    let mut report = run.wait().unwrap();
    let sum = (0..200_000).sum();
    assert_eq!(report.take_state::<ringed::last>(), Some(sum), "{report}");
}

/// What came to the sink, which waits at the gate with its first item.
type Order = Arc<(Gate, Seen<u64>)>;

/// Two sources that always have something, and look by look one of them is asked.
#[pipeline(env = Order, quantum = "1us")]
mod lanes {
    use super::*;

    #[source]
    pub fn one() -> impl Iterator<Item = u64> {
        0..2000
    }

    #[source]
    pub fn other() -> impl Iterator<Item = u64> {
        1_000_000..1_002_000
    }

    #[stage(from = [one, other])]
    pub fn count(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        work(n)
    }

    #[sink(from = count, order = any)]
    pub fn last(n: u64, env: &Order) {
        if env.1.is_empty() {
            env.0.pass();
        }
        for _ in 0..20 {
            work(());
        }
        env.1.see(n);
    }
}

#[test]
fn a_source_that_becomes_urgent_is_asked_first() {
    for workers in WORKERS {
        let env = Order::default();
        let run = lanes::pipeline()
            .workers(workers)
            .start(Arc::clone(&env))
            .unwrap();
        env.0.reached();
        let changes = retune(&run, "other", "priority: critical");
        assert_eq!(changes, ["other.priority its default -> critical"]);
        retune(&run, "last", "priority: low");
        env.0.open();
        let mut report = run.wait().unwrap();
        assert_eq!(report.take_state::<lanes::count>(), Some(4000));
        let order = env.1.take();
        assert_eq!(order.len(), 4000, "{report}");
        // With more workers one of them asks the other source meanwhile. In turns it would be half of them.
        let others = order[..1500].iter().filter(|n| **n < 1_000_000).count();
        assert!(
            workers > 1 || others < 600,
            "{others} in the first 1,500: {report}"
        );
    }
}

#[test]
fn nothing_is_lost_while_priorities_change_all_the_time() {
    for workers in WORKERS {
        let env = Order::default();
        env.0.open();
        let run = lanes::pipeline()
            .workers(workers)
            .in_parallel()
            .start(Arc::clone(&env))
            .unwrap();
        let words = ["critical", "high", "normal", "low"];
        let mut rounds = 0;
        while env.1.len() < 3_900 {
            let word = |of: usize| words[(rounds / of) % 4];
            let text = format!(
                r#"(stages: {{ "one": (priority: {}), "count": (priority: {}), "last": (priority: {}) }})"#,
                word(1),
                word(4),
                word(16)
            );
            run.retune("operator", &text).unwrap();
            rounds += 1;
        }
        let report = run.wait().unwrap();
        assert!(report.ledger().is_balanced(), "{report}");
        let mut all = env.1.take();
        all.sort_unstable();
        let sent = (0..2000).chain(1_000_000..1_002_000);
        assert!(all.into_iter().eq(sent), "{rounds} rounds: {report}");
    }
}
