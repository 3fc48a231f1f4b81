//! `memory` of a pipeline: the buffers between stages stay within it, whatever is between the stages, and nothing is lost.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{Blueprint, Buffers, Builder, Report, StartError, pipeline};
use pipewright_tests::work;

/// Items of 1 KiB, so that a few of them fill a buffer.
type Page = [u64; 128];

const PAGES: u64 = 4_000;
const LIMIT: usize = 128 << 10;

fn page(n: u64) -> Page {
    let mut page = [0; 128];
    page[0] = n;
    page
}

/// In parallel, with and without the limit: the reports, which say the same.
#[track_caller]
fn both<P: Blueprint<Env = ()>>(pipeline: impl Fn() -> Builder<P>) -> (Report<P>, Report<P>) {
    let run = |builder: Builder<P>| {
        builder
            .workers(2)
            .in_parallel()
            .start(())
            .unwrap()
            .wait()
            .unwrap()
    };
    let free = run(pipeline());
    let limited = run(pipeline().tuning("limit", r#"(memory: "128Ki")"#).unwrap());
    for report in [&free, &limited] {
        let ledger = report.ledger();
        assert!(ledger.is_balanced() && ledger.received == PAGES, "{ledger}");
    }
    assert_eq!(free.metrics().buffers().limit, None);
    let Buffers { most, limit, .. } = limited.metrics().buffers();
    assert_eq!(limit, Some(LIMIT));
    // Two workers may pull at once when there is room for one of them.
    assert!(most <= 2 * LIMIT, "{most} of {LIMIT}");
    assert!(limited.to_string().contains("limit 128 KiB"), "{limited}");
    assert!(
        free.metrics().buffers().most > 2 * LIMIT,
        "without a limit it would stay below it: {}",
        free.metrics().buffers()
    );
    (free, limited)
}

#[pipeline]
mod ordered {
    use super::*;

    #[source]
    pub fn pages() -> impl Iterator<Item = Page> {
        (0..PAGES).map(page)
    }

    #[stage(from = pages)]
    pub fn worked(page: Page) -> Page {
        work(page)
    }

    #[sink(from = worked)]
    pub fn sum(page: Page, last: &mut u64) {
        assert_eq!(page[0], *last, "out of order");
        *last += 1;
    }
}

#[test]
fn an_ordered_pipeline_stays_within_its_memory() {
    let (mut free, mut limited) = both(ordered::pipeline);
    assert_eq!(free.take_state::<ordered::sum>(), Some(PAGES));
    assert_eq!(limited.take_state::<ordered::sum>(), Some(PAGES));
}

#[pipeline]
mod keyed {
    use super::*;

    #[source]
    pub fn pages() -> impl Iterator<Item = Page> {
        (0..PAGES).map(page)
    }

    #[stage(from = pages, key = |page: &Page| page[0] % 100)]
    pub fn counted(mut page: Page, seen: &mut u64) -> Page {
        *seen += 1;
        page[1] = *seen;
        work(page)
    }

    #[stage(from = counted)]
    pub fn again(page: Page) -> impl Iterator<Item = Page> {
        [page, page].into_iter()
    }

    #[sink(from = again)]
    pub fn sum(page: Page, sum: &mut u64) {
        *sum += page[1];
    }
}

#[test]
fn a_keyed_pipeline_that_makes_items_stays_within_its_memory() {
    let (mut free, mut limited) = both(keyed::pipeline);
    let expect = free.take_state::<keyed::sum>();
    assert_eq!(expect, Some(2 * 100 * (1..=PAGES / 100).sum::<u64>()));
    assert_eq!(limited.take_state::<keyed::sum>(), expect);
}

#[pipeline]
mod pinned {
    use super::*;

    #[source(cores = "0", wait = park)]
    pub fn pages() -> impl Iterator<Item = Page> {
        (0..PAGES).map(page)
    }

    #[stage(from = pages)]
    pub fn worked(page: Page) -> Page {
        work(page)
    }

    #[sink(from = worked)]
    pub fn sum(page: Page, last: &mut u64) {
        assert_eq!(page[0], *last, "out of order");
        *last += 1;
    }
}

#[test]
fn a_pinned_source_waits_for_memory() {
    let (_, mut limited) = both(pinned::pipeline);
    assert_eq!(limited.take_state::<pinned::sum>(), Some(PAGES));
}

#[test]
fn however_little_there_is_one_batch_is_possible() {
    let tuned = ordered::pipeline()
        .tuning("tiny", r#"(memory: "1Ki")"#)
        .unwrap();
    let mut report = tuned
        .workers(2)
        .in_parallel()
        .start(())
        .unwrap()
        .wait()
        .unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.take_state::<ordered::sum>(), Some(PAGES));
}

#[pipeline(memory = "64Ki")]
mod pushed {
    use super::*;

    #[sink(from = input, queue = 128)]
    pub fn take(_page: Page) {}
}

#[test]
fn queues_that_do_not_fit_do_not_start() {
    let error = pushed::pipeline().start(()).unwrap_err();
    assert!(matches!(error, StartError::Number(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "`memory` is 64 KiB, and what waits in queues alone may take 128 KiB; write more than that, or a smaller `queue`"
    );
    let tuned = pushed::pipeline()
        .tuning("smaller", r#"(stages: {"take": (queue: 16)})"#)
        .unwrap();
    let run = tuned.start(()).unwrap();
    for n in 0..1000 {
        run.send(page(n)).unwrap();
    }
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 1000);
    assert_eq!(report.metrics().buffers().limit, Some(64 << 10));
}

#[test]
fn a_change_of_numbers_is_refused_for_what_a_run_does_not_start_with() {
    let tuned = pushed::pipeline()
        .tuning("smaller", r#"(stages: {"take": (queue: 32)})"#)
        .unwrap();
    let run = tuned.start(()).unwrap();
    let refused = |text: &str, expect: &str| {
        let before = run.metrics().buffers();
        let told = run.retune("operator", text).unwrap_err().to_string();
        assert!(told.contains("E_MEMORY") && told.contains(expect), "{told}");
        assert!(told.contains("or a smaller `queue`"), "{told}");
        // Nothing of it is done.
        let after = run.metrics().buffers();
        assert_eq!((run.input().capacity(), after.limit), (32, before.limit));
    };
    refused(
        r#"(quantum: "9us", stages: {"take": (queue: 65)})"#,
        "`memory` is 64 KiB, and what waits in queues alone may take 65 KiB",
    );
    refused(
        r#"(memory: "31Ki")"#,
        "`memory` is 31 KiB, and what waits in queues alone may take 32 KiB",
    );
    refused(
        r#"(memory: "63Ki", stages: {"take": (queue: 64)})"#,
        "`memory` is 63 KiB",
    );
    // Both together fit.
    run.retune(
        "operator",
        r#"(memory: "65Ki", stages: {"take": (queue: 65)})"#,
    )
    .unwrap();
    for n in 0..1000 {
        run.send(page(n)).unwrap();
    }
    let report = run.drain().unwrap();
    assert_eq!(report.ledger().delivered, 1000);
    assert_eq!(report.metrics().buffers().limit, Some(65 << 10));
}
