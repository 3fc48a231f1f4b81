//! The pipeline by itself, on one thread and with many that call.

use std::{sync::Arc, thread, time::Duration};

use pipewright::Priority;
use pipewright_tests::eventually;

use super::{
    env::{Config, Env},
    flow::gateway,
    request::{Incoming, Request},
    types::{By, Code},
};

/// A test that waits for so long hangs.
const HANG: Duration = Duration::from_secs(60);

fn request(subject: &str, action: &str) -> Incoming {
    Incoming::from(Request {
        id: None,
        tenant: "acme".to_owned(),
        subject: subject.to_owned(),
        action: action.to_owned(),
        resource: "doc:1".to_owned(),
        context: serde_json::Map::new(),
    })
}

fn env() -> Env {
    Config::default()
        .env()
        .expect("the built-in policies are right")
}

#[test]
fn in_a_dry_run_requests_are_answered_one_by_one() {
    let env = env();
    let mut run = gateway::pipeline().dry_run(env);
    let mut ask = |subject, action| run.call(request(subject, action)).expect("it is answered");
    let answer = ask("ann", "write");
    assert_eq!(
        (answer.allow, answer.by, answer.code),
        (true, By::Engine, Code::Decided)
    );
    let answer = ask("ann", "write");
    assert_eq!((answer.allow, answer.by), (true, By::Cache));
    let answer = ask("", "write");
    assert_eq!((answer.allow, answer.code), (false, Code::Invalid));
}

#[test]
fn of_many_that_call_each_gets_its_own_answer_and_all_are_accounted_for() {
    let env = env();
    for workers in [1, 2, 4] {
        let run = gateway::pipeline()
            .workers(workers)
            .start(env.clone())
            .expect("it starts");
        thread::scope(|scope| {
            for thread in 0..4_u32 {
                let caller = run.caller().at(match thread {
                    0 => Priority::Critical,
                    1 => Priority::High,
                    2 => Priority::Normal,
                    _ => Priority::Low,
                });
                scope.spawn(move || {
                    for n in 0..200_u64 {
                        let subject = ["ann", "bob", "eve", ""][(n % 4) as usize];
                        let incoming = request(subject, "write").at(u64::from(thread) * 1_000 + n);
                        let line = incoming.line;
                        let answer = match caller.call_within(incoming, HANG) {
                            Ok(answer) => answer,
                            Err(error) => panic!("{error:?}"),
                        };
                        assert_eq!(answer.line, line);
                        let expect = match subject {
                            "ann" => (true, Code::Decided),
                            "" => (false, Code::Invalid),
                            _ => (false, Code::Decided),
                        };
                        let is_limited = answer.code == Code::RateLimited;
                        assert!(
                            is_limited || (answer.allow, answer.code) == expect,
                            "{answer:?}"
                        );
                    }
                });
            }
        });
        let report = run.drain_within(HANG).expect("the ledger balances");
        let ledger = report.ledger();
        assert!(ledger.is_balanced(), "{report}");
        assert_eq!(
            (ledger.received, ledger.delivered, ledger.dropped),
            (800, 800, 0),
            "{report}"
        );
    }
    assert_eq!(env.tally().answers, 2_400);
}

#[test]
fn an_engine_of_a_worker_follows_the_policies() {
    let env = env();
    let first = env.policies.current();
    let files = super::policy::Files {
        policies: vec![(
            "all.rego".to_owned(),
            "package gateway\ndecision := {\"allow\": true, \"reason\": \"all\"}\n".to_owned(),
        )],
        data: None,
    };
    let run = gateway::pipeline()
        .workers(2)
        .start(env.clone())
        .expect("it starts");
    let caller = run.caller();
    let ask = || {
        let answer = caller.call_within(request("eve", "write"), HANG);
        answer.expect("it is answered")
    };
    assert_eq!((ask().allow, ask().policy), (false, 1));
    let next = super::policy::PolicySet::compile(&files, Some(&first)).expect("it is right");
    env.policies.replace(next);
    let answer = ask();
    assert_eq!(
        (answer.allow, answer.by, answer.policy),
        (true, By::Engine, 2)
    );
    assert_eq!(&*answer.reason, "all");
    // Who answers gives the old ones back after that.
    eventually(|| Arc::strong_count(&first) == 1);
    let _ = run.drain_within(HANG).expect("the ledger balances");
}
