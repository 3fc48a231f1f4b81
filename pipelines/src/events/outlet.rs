//! The end of the way to a service: its queue, its thread, and what became of its events.
//!
//! Each service is a pipeline of its own with one stage, so that a service that is slow, or does not return, holds up its own
//! queue and nothing else; unless it says `block`, in which case everybody waits for it and nothing is lost.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use pipewright::{
    Blueprint, Builder, Health, InitError, Ledger, Monitor, RunError, Running, StartError, sink,
};

use super::{
    deliver::Inbox,
    flow,
    notices::{Notices, Topic},
    service::{Overflow, QUEUE_MOST, Service, Sink},
    target::{Missed, Target},
    types::Event,
};

/// What the stage of a service has.
#[derive(Debug)]
pub struct Desk {
    name: Arc<str>,
    sink: Sink,
    seen: Arc<Seen>,
    /// Where it is told that the service fails, and that it works again.
    notices: Option<Arc<Notices>>,
}

/// The end of a service, and how it works.
#[derive(Debug)]
pub struct Bench {
    target: Box<dyn Target>,
    /// Events that it could not take since it last took all of a batch.
    missed: u64,
}

/// What a service has seen.
#[derive(Debug)]
pub struct Seen(Mutex<Counts>);

/// What became of the events that a service took.
#[derive(Debug, Clone)]
pub struct Counts {
    /// How many got to where they should.
    pub delivered: u64,
    /// The sum of [`digest`] of those: equal for the same events in any order.
    pub digest: u64,
    /// How many did not, by what went wrong.
    pub missed: BTreeMap<&'static str, u64>,
    /// How long events took from where they were read to here, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            delivered: 0,
            digest: 0,
            missed: BTreeMap::new(),
            latency: latencies(),
        }
    }
}

/// From a microsecond to an hour, to two digits.
pub(super) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 2)
        .unwrap_or_else(|_| unreachable!("the bounds are in order"))
}

/// What a delivered event adds to the sum of its service.
pub fn digest(event: &Event) -> u64 {
    let at = (event.at_ms as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sum = event.fingerprint ^ at ^ event.severity as u64;
    // So that two events never cancel out.
    (sum ^ (sum >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

impl Seen {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Counts a batch and what became of each of it.
    pub(super) fn add(&self, events: &[Arc<Event>], results: &[Result<(), Missed>]) {
        let now = Instant::now();
        let mut counts = self.counts();
        for (event, result) in events.iter().zip(results) {
            match result {
                Ok(()) => {
                    counts.delivered += 1;
                    counts.digest = counts.digest.wrapping_add(digest(event));
                    let took = now.saturating_duration_since(event.origin.received);
                    counts.latency.saturating_record(took.as_nanos() as u64);
                }
                Err(Missed(why)) => *counts.missed.entry(why).or_default() += 1,
            }
        }
    }

    /// What became of the events so far.
    pub fn so_far(&self) -> Counts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a batch to the service.
#[sink(state = open)]
pub fn store(events: &[Arc<Event>], desk: &Desk, bench: &mut Bench) -> Vec<Result<(), Missed>> {
    let results = bench.target.take(events);
    desk.seen.add(events, &results);
    if let Some(notices) = &desk.notices {
        bench.tell_change(&results, desk, notices);
    }
    results
}

fn open(desk: &Desk) -> io::Result<Bench> {
    Ok(Bench {
        target: desk.sink.open()?,
        missed: 0,
    })
}

impl Bench {
    /// Tells when the service begins to fail, and when that is over.
    fn tell_change(&mut self, results: &[Result<(), Missed>], desk: &Desk, notices: &Notices) {
        let mut missed = results.iter().filter_map(|result| result.as_ref().err());
        let Desk { name, sink, .. } = desk;
        let Some(Missed(why)) = missed.next() else {
            let before = std::mem::take(&mut self.missed);
            if before > 0 {
                notices.tell(Topic::Service, || {
                    format!("service `{name}` can {sink} again: it has missed {before} events")
                });
            }
            return;
        };
        if self.missed == 0 {
            notices.tell(Topic::Service, || {
                format!("service `{name}` cannot {sink}: {why}; it misses events until it can")
            });
        }
        self.missed += 1 + missed.count() as u64;
    }
}

/// A service that takes events.
pub struct Outlet {
    /// Its name.
    pub name: Arc<str>,
    /// What it has seen; read while it goes on.
    pub seen: Arc<Seen>,
    run: Box<dyn Run>,
}

/// The run of a service, whatever becomes of events when it is full.
trait Run: Send {
    /// A handle that looks at it.
    fn look(&self) -> Box<dyn Look>;

    /// Takes no more.
    fn close(&self);

    /// Finishes what it has taken, for at most so long.
    fn end(self: Box<Self>, within: Duration) -> (Ledger, Option<RunError>);
}

impl<P: Blueprint> Run for Running<P> {
    fn look(&self) -> Box<dyn Look> {
        Box::new(self.monitor())
    }

    fn close(&self) {
        Running::close(self);
    }

    fn end(self: Box<Self>, within: Duration) -> (Ledger, Option<RunError>) {
        match self.drain_within(within) {
            Ok(report) => (report.ledger(), None),
            Err(failed) => (failed.report.ledger(), Some(failed.error)),
        }
    }
}

/// What there is to see of the run of a service while it goes on.
trait Look: Send + Sync {
    fn health(&self) -> Health;

    /// Events that were dropped.
    fn dropped(&self) -> u64;

    /// Of these, those for which its queue had no room.
    fn overflowed(&self) -> u64;
}

impl<P: Blueprint> Look for Monitor<P> {
    fn health(&self) -> Health {
        Monitor::health(self)
    }

    fn dropped(&self) -> u64 {
        let metrics = self.metrics();
        metrics.stages().iter().map(|stage| stage.dropped).sum()
    }

    fn overflowed(&self) -> u64 {
        let metrics = self.metrics();
        let stages = metrics.stages().iter();
        stages.map(|stage| stage.dropped_by.overflow).sum()
    }
}

/// Looks at a service while it goes on.
pub(super) struct Watch {
    pub(super) name: Arc<str>,
    seen: Arc<Seen>,
    run: Box<dyn Look>,
}

/// What became of events for a service until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SoFar {
    pub(super) delivered: u64,
    pub(super) digest: u64,
    pub(super) missed: BTreeMap<&'static str, u64>,
    pub(super) dropped: u64,
}

impl Watch {
    pub(super) fn health(&self) -> Health {
        self.run.health()
    }

    /// Events for which its queue had no room.
    pub(super) fn overflowed(&self) -> u64 {
        self.run.overflowed()
    }

    /// Without the latencies, which would hold up the service while they are copied.
    pub(super) fn so_far(&self) -> SoFar {
        let dropped = self.run.dropped();
        let counts = self.seen.counts();
        SoFar {
            delivered: counts.delivered,
            digest: counts.digest,
            missed: counts.missed.clone(),
            dropped,
        }
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a service has done when it has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub name: Arc<str>,
    /// What became of what it took.
    pub counts: Counts,
    /// The account of its queue.
    pub ledger: Ledger,
    /// What went wrong with it, besides events.
    pub problem: Option<String>,
    /// It was not over in time.
    pub is_late: bool,
}

/// Why a service cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutletError {
    /// Its queue has a size that it cannot have.
    #[error("service `{0}`: a queue has room for 1 to {QUEUE_MOST} events, not for {1}")]
    Queue(Arc<str>, u32),
    /// What it writes cannot be opened.
    #[error("service `{0}`: {why}", why = source_of(.1))]
    Sink(Arc<str>, InitError),
    /// It cannot have a thread.
    #[error("service `{0}`: {1}")]
    Start(Arc<str>, StartError),
}

/// What opening it says, without the names of our own stages.
fn source_of(error: &InitError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// How many events may wait, as a tuning file says it.
pub(super) fn room(queue: u32) -> String {
    format!("(stages: {{\"store\": (queue: {queue})}})")
}

/// Begins a service, with what it does not say itself; with `notices` it tells there when it fails.
///
/// # Errors
///
/// If its sink cannot be opened, it cannot have a thread, or its queue has a size that it cannot have.
pub fn start(
    service: &Service,
    overflow: Overflow,
    queue: u32,
    notices: Option<&Arc<Notices>>,
) -> Result<(Outlet, Inbox), OutletError> {
    let overflow = service.overflow.unwrap_or(overflow);
    let queue = service.queue.unwrap_or(queue);
    let desk = Desk {
        name: service.name.as_str().into(),
        sink: service.sink.clone(),
        seen: Arc::new(Seen::new()),
        notices: notices.cloned(),
    };
    match overflow {
        Overflow::Block => begin(desk, queue, false, flow::block::pipeline()),
        Overflow::Reject => begin(desk, queue, false, flow::reject::pipeline()),
        Overflow::DropNewest => begin(desk, queue, false, flow::drop_newest::pipeline()),
        Overflow::DropOldest => begin(desk, queue, false, flow::drop_oldest::pipeline()),
        Overflow::ShedLowest => begin(desk, queue, true, flow::shed_lowest::pipeline()),
    }
}

fn begin<P>(
    desk: Desk,
    queue: u32,
    by_severity: bool,
    pipeline: Builder<P>,
) -> Result<(Outlet, Inbox), OutletError>
where
    P: Blueprint<Env = Desk, Input = Arc<Event>, Queued = Arc<Event>>,
{
    let (name, seen) = (Arc::clone(&desk.name), Arc::clone(&desk.seen));
    let run = pipeline
        .workers(1)
        .pin(false)
        .tuning("the queue of a service", &room(queue))
        .map_err(|_| OutletError::Queue(Arc::clone(&name), queue))?
        .start(desk)
        .map_err(|error| match error {
            StartError::State(error) => OutletError::Sink(Arc::clone(&name), error),
            error => OutletError::Start(Arc::clone(&name), error),
        })?;
    let input = run.input();
    let inbox = Inbox::new(
        Arc::clone(&name),
        by_severity,
        Box::new(move |priority, events| input.send_batch_at(priority, events)),
    );
    let run = Box::new(run);
    Ok((Outlet { name, seen, run }, inbox))
}

/// Ends services: they take no more, get what waits for them, all at the same time, and have so long for it together.
pub fn end(outlets: Vec<Outlet>, within: Duration) -> Vec<Ended> {
    let until = Instant::now() + within;
    // First of all, so that one that does not return takes no time from the others.
    outlets.iter().for_each(|outlet| outlet.run.close());
    let left = || until.saturating_duration_since(Instant::now());
    let each = outlets.into_iter();
    each.map(|outlet| outlet.end(left())).collect()
}

impl Outlet {
    /// A handle that looks at it, also when it has ended.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            name: Arc::clone(&self.name),
            seen: Arc::clone(&self.seen),
            run: self.run.look(),
        }
    }

    fn end(self, within: Duration) -> Ended {
        let (ledger, error) = self.run.end(within);
        Ended {
            counts: self.seen.so_far(),
            name: self.name,
            ledger,
            is_late: matches!(error, Some(RunError::Deadline { .. })),
            problem: error.map(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::notices::tests::waiting, *};

    #[test]
    fn a_service_that_fails_is_told_once_and_once_when_that_is_over() {
        let notices = Arc::<Notices>::default();
        let desk = Desk {
            name: "audit".into(),
            sink: Sink::File("all.ndjson".into()),
            seen: Arc::new(Seen::new()),
            notices: None,
        };
        let mut bench = Bench {
            target: Box::new(super::super::target::Count),
            missed: 0,
        };
        let (fine, full) = (Ok(()), Err(Missed("disk_full")));
        let mut check = |results: &[Result<(), Missed>], expect: &str| {
            bench.tell_change(results, &desk, &notices);
            assert_eq!(waiting(&notices), expect, "{results:?}");
        };
        check(&[fine; 3], "");
        let begins =
            "service `audit` cannot write all.ndjson: disk_full; it misses events until it can\n";
        check(&[fine, full, full], begins);
        check(&[full; 3], "");
        check(&[full, fine], "");
        let over = "service `audit` can write all.ndjson again: it has missed 6 events\n";
        check(&[fine], over);
        check(&[fine], "");
        check(&[full], begins);
    }
}
