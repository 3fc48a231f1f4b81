//! What a dry run promises: the same stages, batches, keys, errors, panics and ledger, without threads or a real clock.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails where it should"
)]

mod pipelines;

use std::time::Duration;

use pipelines::{
    strict::{self, Fragile},
    trades::{self, Side},
};
use pipewright::{DryRun, Failed, Ledger, Report, RunError};

fn dry<'s>() -> DryRun<'s, trades::Pipeline> {
    trades::pipeline().dry_run(trades::Env::default())
}

/// Drains a run that must go well, and checks its ledger.
fn drained(run: DryRun<'_, trades::Pipeline>) -> Report<trades::Pipeline> {
    let report = run.drain().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.ledger().in_flight, 0);
    report
}

/// Drains a run that must fail, and checks its ledger.
fn failed<P: pipewright::Blueprint>(run: DryRun<'_, P>) -> (RunError, Report<P>) {
    let Failed { error, report, .. } = *run.drain().unwrap_err();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.ledger().in_flight, 0, "{report}");
    (error, report)
}

#[test]
fn a_stage_is_fed_and_what_another_sent_is_taken() {
    let mut run = dry();
    run.feed::<trades::split>([1, 1, 2002]);
    run.advance("50us");
    assert_eq!(run.take::<trades::dedup>(), [1, 2002, 2]);
    assert_eq!(run.metrics().stage::<trades::dedup>().filtered, 1);
    assert!(run.take::<trades::dedup>().is_empty());
    assert_eq!(run.metrics().get("verify").unwrap().received, 0);
    let ledger = drained(run).ledger();
    assert_eq!((ledger.received, ledger.created), (3, 1));
    assert_eq!((ledger.delivered, ledger.filtered), (3, 1));
}

#[test]
fn nothing_moves_before_it_is_told_to() {
    let mut run = dry();
    run.feed::<trades::split>([1, 2]);
    run.advance("1s");
    assert_eq!(run.metrics().get("split").unwrap().received, 0);
    assert_eq!(run.metrics().get("split").unwrap().in_flight, 2);
    assert_eq!(run.elapsed(), Duration::from_secs(1));
}

#[test]
fn a_partial_batch_waits_for_its_linger() {
    let mut run = dry();
    run.feed::<trades::verify>([1, 2]);
    assert!(run.take::<trades::verify>().is_empty());
    assert_eq!(run.metrics().get("verify").unwrap().in_flight, 2);
    run.advance("49us");
    assert!(run.take::<trades::verify>().is_empty());
    run.advance(Duration::from_micros(1));
    assert_eq!(run.take::<trades::verify>(), [1, 2]);
    drop(drained(run));
}

#[test]
fn a_full_batch_does_not_wait() {
    let mut run = dry();
    run.feed::<trades::verify>([1, 2, 3, 4]);
    assert_eq!(run.take::<trades::verify>(), [1, 2, 3]);
    run.feed::<trades::verify>([7, 8]);
    assert_eq!(run.take::<trades::verify>(), [4, 8]);
    assert_eq!(run.metrics().get("verify").unwrap().filtered, 1);
}

#[test]
fn linger_counts_from_when_an_item_was_fed_and_not_from_when_it_moved() {
    // The second item comes when the batch of the first is due; the two are not in one batch, whoever looks when.
    let mut run = dry();
    run.feed::<trades::verify>([1]);
    run.advance("50us");
    run.feed::<trades::verify>([2]);
    run.advance("49us");
    assert_eq!(run.take::<trades::verify>(), [1]);
    run.advance("1us");
    assert_eq!(run.take::<trades::verify>(), [2]);
}

#[test]
fn draining_calls_batch_stages_with_what_they_hold() {
    let mut run = dry();
    run.feed::<trades::verify>([1, 3]);
    let report = drained(run);
    assert_eq!(report.metrics().stage::<trades::verify>().sent, 2);
    assert_eq!(report.metrics().stage::<trades::publish>().sent, 2);
}

#[test]
fn a_stage_that_routes_can_be_taken_whole_or_read_by_its_variants() {
    let mut run = dry();
    run.feed::<trades::classify>([1, 2]);
    assert_eq!(
        run.take::<trades::classify>(),
        [Side::Sell(1), Side::Buy(2)]
    );
    run.feed::<trades::classify>([3, 4, 6]);
    run.run();
    assert_eq!(*run.env().published.lock().unwrap(), [4, 6, 3, 4, 10]);
    let report = drained(run);
    let classify = report.metrics().stage::<trades::classify>();
    assert_eq!(classify.routed, [("Buy", 2), ("Sell", 1)]);
    assert_eq!(report.metrics().get("tape").unwrap().received, 2);
}

#[test]
fn a_merge_sees_items_in_the_order_of_the_source() {
    let mut seen = Vec::new();
    let mut run = dry();
    run.stub::<trades::publish>(|n| seen.push(n));
    run.stub_with::<trades::price>(|n, out| out.send(n));
    run.feed::<trades::classify>(1..=6);
    let report = drained(run);
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(report.metrics().get("publish").unwrap().sent, 6);
}

#[test]
fn a_batch_leaves_when_the_item_came_that_filled_it() {
    let mut run = dry();
    run.feed::<trades::verify>([1, 3]);
    run.feed::<trades::classify>([9]);
    run.feed::<trades::verify>([5]);
    let sides = run.take::<trades::classify>();
    assert_eq!(sides, [9, 1, 3, 5].map(Side::Sell));
}

#[test]
fn items_and_errors_of_one_stage_are_taken_separately() {
    let mut run = dry();
    run.feed::<trades::price>([2, 10, 4]);
    assert_eq!(run.take::<trades::price>(), [2, 16]);
    assert_eq!(run.take_err::<trades::price>(), ["no 10"]);
    run.feed::<trades::price>([20]);
    let mut report = drained(run);
    assert_eq!(report.metrics().get("reject").unwrap().sent, 1);
    assert_eq!(report.metrics().get("alert").unwrap().sent, 1);
    assert_eq!(report.take_state::<trades::price>().unwrap().total, 36);
}

#[test]
fn a_source_is_stood_in_for() {
    let mut run = dry();
    run.feed_from::<trades::ingest>([1, 2, 3]);
    let report = drained(run);
    let metrics = report.metrics();
    assert_eq!(metrics.stage::<trades::ingest>().sent, 3);
    assert_eq!(metrics.stage::<trades::count>().sent, 3);
    assert_eq!(metrics.stage::<trades::split>().received, 3);
    assert_eq!(report.ledger().received, 3);
}

#[test]
fn a_stub_that_only_looks_filters_what_a_stage_would_send() {
    let mut seen = Vec::new();
    let mut run = dry();
    run.stub::<trades::dedup>(|n| seen.push(n));
    run.feed::<trades::split>([5, 5]);
    let report = drained(run);
    assert_eq!(seen, [5, 5]);
    assert_eq!(report.metrics().get("dedup").unwrap().filtered, 2);
}

#[test]
fn a_stub_can_fail_items_of_a_batch_stage_it_stands_for_one_by_one() {
    let mut run = dry();
    run.feed::<trades::verify>([1, 2]);
    run.run();
    // What already waits for its batch goes to the stub as well.
    run.stub_with::<trades::verify>(|n, out| {
        out.send(n);
        out.send(n * 3);
    });
    assert_eq!(run.take::<trades::verify>(), [1, 3, 2, 6]);
    run.stub_with::<trades::price>(|n, out| out.fail(format!("stubbed {n}")));
    run.feed::<trades::price>([2]);
    assert_eq!(run.take_err::<trades::price>(), ["stubbed 2"]);
}

#[test]
fn a_panic_loses_its_item_and_what_its_call_had_emitted() {
    let mut run = dry();
    run.feed::<trades::split>([1, 13, 2]);
    assert_eq!(run.take::<trades::split>(), [1, 2]);
    let report = drained(run);
    assert_eq!(report.metrics().stage::<trades::split>().panicked, 1);
    assert_eq!(report.panics()[0].message, "thirteen");
    assert_eq!(report.panics()[0].stage, "split");
}

#[test]
fn a_panic_with_reset_makes_the_state_of_its_key_anew_and_no_other() {
    let mut run = dry();
    run.feed::<trades::dedup>([1, 2, 31, 1, 2]);
    // The keys are last digits: 31 resets the state that knows 1, and not the one that knows 2.
    assert_eq!(run.take::<trades::dedup>(), [1, 2, 1]);
}

#[test]
fn a_panic_of_a_batch_loses_the_batch() {
    let mut run = dry();
    run.feed::<trades::verify>([1, 666, 3, 4, 5, 6]);
    assert_eq!(run.take::<trades::verify>(), [4, 5, 6]);
    assert_eq!(drained(run).ledger().panicked, 3);
}

#[test]
fn a_panic_of_a_serial_stage_stops_the_run_and_the_rest_is_counted_as_dropped() {
    let mut run = dry();
    run.feed::<trades::classify>([2, 88, 4]);
    run.run();
    run.feed::<trades::classify>([6]);
    let (error, report) = failed(run);
    assert_eq!(error.to_string(), "`price` panicked: eighty-eight");
    assert_eq!(report.metrics().get("price").unwrap().dropped, 1);
    assert_eq!(report.metrics().get("classify").unwrap().dropped, 1);
    assert_eq!(report.ledger().panicked, 1);
}

#[test]
fn items_of_the_input_go_to_each_of_its_readers() {
    let mut run = strict::pipeline().dry_run(());
    run.feed_input([Fragile(1), Fragile(2)]);
    assert_eq!(run.take::<strict::firm>(), [1, 2]);
    let report = run.drain().unwrap();
    assert_eq!(report.metrics().get("tap").unwrap().sent, 2);
    let ledger = report.ledger();
    assert_eq!(
        (ledger.received, ledger.created, ledger.delivered),
        (2, 2, 4)
    );
}

#[test]
fn errors_that_are_dropped_are_counted_and_can_be_taken() {
    let mut run = strict::pipeline().dry_run(());
    run.feed::<strict::lax>([Fragile(1), Fragile(200)]);
    assert_eq!(run.take::<strict::lax>(), [1]);
    assert_eq!(run.take_err::<strict::lax>(), ["200 is over 100"]);
    run.feed::<strict::lax>([Fragile(300)]);
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().failed, 2);
}

#[test]
fn an_error_that_stops_the_run_says_what_it_was() {
    let mut run = strict::pipeline().dry_run(());
    run.stub::<strict::store>(drop);
    run.feed::<strict::firm>([1, 60, 2]);
    let (error, report) = failed(run);
    assert_eq!(error.to_string(), "`firm` failed: 60 is over 50");
    assert_eq!(report.ledger().failed, 1);
    assert_eq!(report.ledger().dropped, 2);
}

#[test]
fn a_state_that_cannot_be_made_stops_the_run_when_an_item_needs_it() {
    let mut run = strict::pipeline().dry_run(());
    run.feed::<strict::store>([1, 2]);
    let (error, report) = failed(run);
    assert_eq!(
        error.to_string(),
        "the state of `store` could not be made: no room"
    );
    assert_eq!(report.ledger().dropped, 2);
    // A stub needs no state.
    let mut sum = 0;
    let mut run = strict::pipeline().dry_run(());
    run.stub::<strict::store>(|n| sum += n);
    run.feed::<strict::store>([1, 2]);
    assert!(run.drain().unwrap().ledger().is_balanced());
    assert_eq!(sum, 3);
}

#[test]
fn an_input_whose_copy_panics_stops_the_run() {
    let mut run = strict::pipeline().dry_run(());
    run.feed_input([Fragile(1), Fragile(99), Fragile(2)]);
    let (error, report) = failed(run);
    assert_eq!(error.to_string(), "`input` panicked: ninety-nine");
    assert_eq!(report.ledger().received, 3);
}

#[test]
fn what_a_run_does_does_not_depend_on_when_it_is_looked_at() {
    let check = |looks: bool| {
        let mut run = dry();
        run.stub::<trades::tape>(drop);
        for n in 0..50 {
            run.feed_from::<trades::ingest>([n, n % 20, n * 1000]);
            run.advance("11us");
            if looks {
                run.run();
            }
        }
        run.run();
        let published = std::mem::take(&mut *run.env().published.lock().unwrap());
        let mut report = drained(run);
        let state = report.take_state::<trades::price>().unwrap().total;
        (published, state, report.ledger())
    };
    let (once, often): ((Vec<u64>, u64, Ledger), _) = (check(false), check(true));
    assert_eq!(once, often);
}

#[test]
fn a_text_that_is_no_time_is_an_error_and_leaves_the_clock() {
    let mut run = dry();
    assert!(run.try_advance("50").is_err());
    assert_eq!(run.elapsed(), Duration::ZERO);
    assert!(run.try_advance("50us").is_ok());
    assert_eq!(run.elapsed(), Duration::from_micros(50));
}

/// Runs what must be refused, and checks what it says.
fn refused(call: impl FnOnce(&mut DryRun<'_, trades::Pipeline>), expect: &str) {
    let attempt = std::panic::AssertUnwindSafe(|| call(&mut dry()));
    let payload = std::panic::catch_unwind(attempt).unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), expect);
}

#[test]
fn asking_a_stage_for_what_it_cannot_do_is_refused() {
    refused(
        |run| run.feed::<trades::ingest>([()]),
        "`ingest` is a source and takes no items: use `feed_from`",
    );
    refused(
        |run| run.feed_from::<trades::split>([1]),
        "`split` is a stage and is called itself: use `feed`",
    );
    refused(
        |run| drop(run.take::<trades::publish>()),
        "`publish` is a sink and sends nothing: use `stub` to see its items",
    );
    refused(
        |run| run.stub::<trades::ingest>(drop),
        "`ingest` is a source and is not called: use `feed_from`",
    );
}
