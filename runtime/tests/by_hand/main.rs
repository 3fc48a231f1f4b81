//! A pipeline written by hand keeps its promises, with threads and in a dry run.

mod orders;

use std::sync::Arc;

use pipewright::Report;

fn env(last: u64) -> orders::Env {
    orders::Env {
        last,
        delivered: Arc::default(),
        rejected: Arc::default(),
    }
}

/// Runs `orders` and checks its outputs, their order, and the ledger.
fn check(workers: usize, last: u64) {
    let env = env(last);
    let (delivered, rejected) = (Arc::clone(&env.delivered), Arc::clone(&env.rejected));
    let report = orders::pipeline()
        .workers(workers)
        .start(env)
        .unwrap()
        .wait()
        .unwrap();
    check_run(
        last,
        &delivered.lock().unwrap(),
        &rejected.lock().unwrap(),
        report,
    );
}

fn check_run(
    last: u64,
    delivered: &[u64],
    rejected: &[String],
    mut report: Report<orders::Pipeline>,
) {
    println!("{report}");
    let parsed = || (0..last).filter(|n| n % 3 != 0 && *n != 13);
    let expected: Vec<u64> = parsed().filter(|n| n % 5 != 0).collect();
    assert_eq!(delivered, expected);
    let expected: Vec<String> = parsed()
        .filter(|n| n % 5 == 0)
        .map(|n| n.to_string())
        .collect();
    assert_eq!(rejected, expected);
    assert!(report.ledger().is_balanced());
    assert_eq!(report.metrics().get("price").unwrap().panicked, 1);
    let total = report.take_state::<orders::book>().unwrap().total;
    assert_eq!(total, delivered.iter().sum::<u64>());
}

#[test]
fn one_worker_keeps_order_and_accounts_for_every_item() {
    check(1, 100_000);
}

#[test]
fn several_workers_keep_order_and_account_for_every_item() {
    check(2, 3_000_000);
    check(4, 1_000_000);
}

#[test]
fn a_dry_run_does_what_a_run_with_threads_does() {
    let (mut dry, started) = (orders::pipeline().dry_run(env(1000)), env(1000));
    dry.feed_from::<orders::ingest>(0..1000);
    dry.run();
    let delivered = std::mem::take(&mut *dry.env().delivered.lock().unwrap());
    let rejected = std::mem::take(&mut *dry.env().rejected.lock().unwrap());
    let dry = dry.drain().unwrap();
    let run = orders::pipeline().start(started).unwrap().wait().unwrap();
    assert_eq!(dry.ledger(), run.ledger());
    assert_eq!(dry.metrics().stages(), run.metrics().stages());
    check_run(1000, &delivered, &rejected, dry);
}
