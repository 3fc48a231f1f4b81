//! Services that do not keep up.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pipewright::{Blueprint, Ledger};
use pipewright_tests::{MINUTE, wait_for};

use super::{end, generated, settings};
use crate::events::{
    feed::Input,
    mark, outlet,
    positions::Positions,
    run::{Settings, Started},
    service::{self, Overflow, Service, Sink},
    target::{Missed, Target},
    types::Event,
};

/// A service that takes nothing until it is told to.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    taken: AtomicU64,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().expect("nobody panics") = true;
        self.opened.notify_all();
    }
}

#[derive(Debug)]
struct Closed(Arc<Gate>);

/// Eight services, of which the first, which wants everything, stands still until the gate is opened.
fn one_stands_still(overflow: Overflow) -> (Vec<Service>, Arc<Gate>) {
    let gate = Arc::<Gate>::default();
    let mut services = service::examples(8);
    let closed = Arc::clone(&gate);
    services[0].sink = Sink::Own(Arc::new(move || Box::new(Closed(Arc::clone(&closed)))));
    services[0].overflow = Some(overflow);
    (services, gate)
}

/// Longer than a test waits for all that happens meanwhile. So it ends also if it fails before it opens the gate.
const CLOSED: Duration = Duration::from_secs(300);

/// Waits until the services have been given, or refused, so many events altogether.
fn wait_until_given<P: Blueprint>(started: &Started<P>, all: u64) {
    let given = || {
        let metrics = started.run().metrics();
        let deliver = metrics.get("deliver").expect("a stage");
        deliver.sent + deliver.failed
    };
    wait_for(&format!("{all} events for all services"), || given() >= all);
}

impl Target for Closed {
    fn take(&mut self, events: &[Arc<Event>]) -> Vec<Result<(), Missed>> {
        let open = self.0.open.lock().expect("nobody panics");
        let waited = self
            .0
            .opened
            .wait_timeout_while(open, CLOSED, |open| !*open);
        assert!(
            !waited.expect("nobody panics").1.timed_out(),
            "nobody opened the gate"
        );
        self.0
            .taken
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        vec![Ok(()); events.len()]
    }
}

const EVENTS: u64 = 5_000;
const QUEUE: u32 = 64;
/// Out of the queue is a batch that the service has, and less than another one: what was taken with its last events.
const OUT: u64 = 2 * 64;

/// Runs with a service that stands still until every other one has all of its events; what became of that one's.
fn beside_one_that_stands_still(overflow: Overflow) -> (Ledger, u64, u64) {
    let (mut services, gate) = one_stands_still(overflow);
    services[0].queue = Some(QUEUE);
    let alone = super::sequential::run(&settings(generated(2, EVENTS), services.clone()));
    let settings = Settings {
        overflow: Overflow::Block,
        ..settings(generated(2, EVENTS), services)
    };
    let started = settings
        .start_live()
        .unwrap_or_else(|failure| panic!("{failure}"));
    // By counts and not by time: it would never come if the one that stands still stalled the others.
    for (outlet, expect) in started.outlets.iter().zip(alone.delivered()).skip(1) {
        wait_for(
            &format!("{expect} events of service `{}`", outlet.name),
            || outlet.seen.so_far().delivered >= expect,
        );
    }
    // It is given all of its own before it goes on: what came later would find room.
    wait_until_given(&started, alone.delivered().sum());
    assert_eq!(
        gate.taken.load(Ordering::Relaxed),
        0,
        "it has stood still all the time"
    );
    gate.open();
    let outcome = end(started);
    for (service, expect) in outcome
        .summary
        .services
        .iter()
        .zip(alone.delivered())
        .skip(1)
    {
        assert_eq!(service.counts.delivered, expect, "{}", service.name);
        assert_eq!(service.ledger.dropped, 0, "{}", service.name);
    }
    let rejected = outcome.summary.rejects.by_reason.get("service_full");
    let still = outcome
        .summary
        .services
        .into_iter()
        .next()
        .expect("the first");
    assert_eq!(still.counts.delivered, gate.taken.load(Ordering::Relaxed));
    (
        still.ledger,
        outcome.summary.counts.kinds.iter().sum(),
        rejected.copied().unwrap_or(0),
    )
}

#[test]
fn a_service_that_stands_still_never_stalls_the_others() {
    for overflow in [
        Overflow::DropNewest,
        Overflow::DropOldest,
        Overflow::ShedLowest,
    ] {
        let (ledger, wanted, rejected) = beside_one_that_stands_still(overflow);
        assert_eq!(rejected, 0);
        assert_eq!(
            ledger.delivered + ledger.dropped_by.overflow,
            wanted,
            "{overflow:?}"
        );
        let most = u64::from(QUEUE) + OUT;
        assert!(ledger.delivered <= most, "{overflow:?}: {ledger}");
        assert!(
            ledger.delivered >= u64::from(QUEUE),
            "{overflow:?}: {ledger}"
        );
    }
}

#[test]
fn a_service_that_rejects_when_it_is_full_has_its_events_counted_among_the_rejects() {
    let (ledger, wanted, rejected) = beside_one_that_stands_still(Overflow::Reject);
    assert_eq!(ledger.dropped, 0);
    assert_eq!(ledger.delivered + rejected, wanted);
    assert!(rejected >= wanted - u64::from(QUEUE) - OUT);
}

#[test]
fn nothing_is_lost_where_everybody_waits() {
    let mut services = service::examples(8);
    for service in &mut services {
        service.queue = Some(1);
    }
    let expect = super::sequential::run(&settings(generated(2, 1_000), services.clone()));
    let outcome = super::run(settings(generated(2, 1_000), services));
    assert_eq!(super::essence(&outcome), expect);
    assert_eq!(outcome.summary.dropped(), 0);
}

/// Ends within this time a run with a service that does not return; whether all others came to their ends meanwhile.
fn others_end_within(most: Duration) -> bool {
    let (services, gate) = one_stands_still(Overflow::DropNewest);
    let expect = super::sequential::run(&settings(generated(2, 1_000), services.clone()));
    let started = settings(generated(2, 1_000), services)
        .start_live()
        .unwrap_or_else(|failure| panic!("{failure}"));
    wait_until_given(&started, expect.delivered().sum());
    let ended = outlet::end(started.outlets, most);
    gate.open();
    assert!(ended[0].is_late);
    let mut others = ended.iter().zip(expect.delivered()).skip(1);
    others.all(|(service, expect)| !service.is_late && service.counts.delivered == expect)
}

#[test]
fn a_service_that_does_not_return_takes_no_time_from_the_end_of_the_others() {
    // It takes all of the time there is. How much the others need says the machine, and never would it be enough for them if they
    // only had what is left.
    let times = [1, 10, 100, 1_000, 10_000];
    assert!(
        times
            .map(Duration::from_millis)
            .into_iter()
            .any(others_end_within)
    );
}

#[derive(Debug)]
struct Broken;

impl Target for Broken {
    fn take(&mut self, _: &[Arc<Event>]) -> Vec<Result<(), Missed>> {
        panic!("on purpose");
    }
}

#[test]
fn what_waited_for_a_service_that_broke_comes_again_at_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log, kept] = ["log", "positions.json"].map(|name| folder.path().join(name));
    let lines = 20_000;
    let text = "{\"kind\":\"mcp\",\"message\":\"good\"}\n".repeat(lines);
    std::fs::write(&log, text).expect("writes");
    let mut services = service::examples(2);
    services[0].sink = Sink::Own(Arc::new(|| Box::new(Broken)));
    let mut settings = settings(vec![Input::File(log.clone())], services);
    settings.window = Duration::ZERO;
    settings.feed.follow = true;
    let positions = Positions::open(kept.clone()).expect("opens");
    settings.feed.positions = Some(Arc::new(positions));
    let started = settings.start_live().expect("it starts");
    let came = || {
        let metrics = started.run().metrics();
        metrics.get("parse").expect("a stage").received
    };
    wait_for("all lines of a log", || came() >= lines as u64);
    let outcome = started.end(|run| run.drain_within(MINUTE));
    assert!(!outcome.is_good());
    let marks = Positions::open(kept).expect("opens").of(&mark::key(&log));
    let line = marks.last().map_or(0, |mark| mark.place.line);
    assert!((line as usize) < lines, "{marks:?}");
}
