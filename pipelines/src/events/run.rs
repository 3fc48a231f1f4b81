//! One run of the pipeline with its services, from what it is told to what came out.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use pipewright::{Blueprint, Builder, Report, Running, StartError};

use super::{
    deliver::{Inbox, pace, unrouted},
    drops::Drops,
    entrance::{Entrance, EntranceError, Entrances},
    env::Env,
    feed::{Feed, Input},
    flow, lines,
    notices::Notices,
    outlet::{self, Ended, Outlet, OutletError},
    positions::Positions,
    route::Routes,
    service::{self, Overflow, Service, Sink},
    status::{Lines, Status, Tell},
    summary::Summary,
    tally::{Counts, Tally, count},
};
use crate::{
    ending::{self, DRAIN, Ending},
    http,
    starting::{self, Refusal, Unstarted},
};

/// How to run.
#[derive(Debug)]
pub struct Settings {
    /// What is fetched.
    pub feed: Feed,
    /// What is sent to the pipeline; with any of it, or with files that are followed, it goes on until it is asked to end.
    pub entrances: Vec<Entrance>,
    /// How long a client may take for a line, from its first byte on, or for the head or the body of a request.
    pub client: Duration,
    /// Who gets what.
    pub services: Vec<Service>,
    /// What becomes of an event for a service that is full and does not say so itself.
    pub overflow: Overflow,
    /// How many events may wait for a service that does not say so itself.
    pub queue: u32,
    /// How long an event is not repeated; with nothing, everything is.
    pub window: Duration,
    /// The year of formats that do not write it.
    pub year: i16,
    /// How many threads work; as many as there are cores if not said. Those of the services are besides.
    pub workers: Option<u32>,
    /// A tuning file, which is read again when it changes.
    pub tuning: Option<PathBuf>,
}

/// What came out.
#[derive(Debug)]
pub struct Outcome {
    /// The counts, by event and by service.
    pub summary: Summary,
    /// How the run ended; problems of services are among its problems, and one that is late makes it late.
    pub ending: Ending,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The pipeline cannot start.
    #[error(transparent)]
    Unstarted(#[from] Unstarted),
    /// A service cannot start.
    #[error(transparent)]
    Outlet(#[from] OutletError),
    /// What is listened to or watched cannot be.
    #[error(transparent)]
    Entrance(#[from] EntranceError),
}

impl Refusal for Failure {
    fn is_rendered(&self) -> bool {
        match self {
            Self::Unstarted(error) => error.is_rendered(),
            Self::Outlet(_) | Self::Entrance(_) => false,
        }
    }

    fn is_usage(&self) -> bool {
        match self {
            Self::Unstarted(error) => error.is_usage(),
            Self::Outlet(error) => {
                matches!(error, OutletError::Queue(..) | OutletError::Sink(..))
            }
            Self::Entrance(error) => error.is_usage(),
        }
    }
}

impl Settings {
    /// For lines that a program sends itself: nothing is fetched, listened to, lost or taken for a repetition, so that all systems
    /// have the same to do.
    pub fn fed(services: Vec<Service>, workers: Option<u32>) -> Self {
        Self {
            feed: Feed {
                inputs: Vec::new(),
                follow: false,
                positions: None,
                most: lines::MOST,
            },
            entrances: Vec::new(),
            client: http::CLIENT,
            services,
            overflow: Overflow::Block,
            queue: service::QUEUE,
            window: Duration::ZERO,
            year: 2026,
            workers,
            tuning: None,
        }
    }

    /// Whether it goes on until it is asked to end.
    pub fn is_live(&self) -> bool {
        self.feed.follow || !self.entrances.is_empty()
    }

    /// Runs to the end of the input, or until the process is asked to end; until then it tells on standard error what it rejects, and
    /// services that fail or drop events.
    ///
    /// # Errors
    ///
    /// If the run cannot start. What goes wrong later is in the outcome.
    pub fn run(self) -> Result<Outcome, Failure> {
        let signals = starting::signals()?;
        if self.is_live() {
            let notices = Arc::<Notices>::default();
            let started = self.start_telling(Some(&notices))?;
            started.tell_ready();
            let mut drops = Drops::new(&started.outlets);
            let look = move |notices: &Notices| drops.look(notices);
            let writing = notices.write_to(io::stderr(), look).map_err(unstarted)?;
            let outcome = started.end(|run| run.wait_for(&signals, DRAIN));
            drop(writing);
            return Ok(outcome);
        }
        let started = self.start(flow::events::pipeline(), None)?;
        Ok(started.end(|run| run.wait_for(&signals, DRAIN)))
    }

    /// Starts what goes on until it is told to end.
    ///
    /// # Errors
    ///
    /// If something cannot start; nothing is left running then.
    pub fn start_live(self) -> Result<Started<flow::events_live::Pipeline>, Failure> {
        self.start_telling(None)
    }

    /// As [`Self::start_live`]; what is rejected and what fails is told in `notices` as it comes.
    fn start_telling(
        mut self,
        notices: Option<&Arc<Notices>>,
    ) -> Result<Started<flow::events_live::Pipeline>, Failure> {
        let mut entrances = std::mem::take(&mut self.entrances);
        let inputs = std::mem::take(&mut self.feed.inputs).into_iter();
        let (stdin, inputs) = inputs.partition(|input| matches!(input, Input::Stdin));
        self.feed.inputs = inputs;
        entrances.extend(stdin.iter().map(|_: &Input| Entrance::Stdin));
        let (most, client) = (self.feed.most, self.client);
        let mut started = self.start(flow::events_live::pipeline(), notices)?;
        let written: Vec<PathBuf> = self.written().collect();
        let input = started.run.input();
        let status = started.status();
        let tell: Tell = Arc::new(move || status.tell());
        let opened = Entrances::open(&entrances, most, client, &written, &input, &tell)?;
        started.entrances = Some(opened);
        Ok(started)
    }

    /// The files that it writes itself.
    fn written(&self) -> impl Iterator<Item = PathBuf> {
        let sinks = self.services.iter().map(|service| &service.sink);
        let by_services = sinks.filter_map(|sink| match sink {
            Sink::File(path) => Some(path.clone()),
            Sink::Count | Sink::Own(_) => None,
        });
        let positions = self.feed.positions.iter();
        by_services.chain(positions.flat_map(|positions| positions.files()))
    }

    /// What the stages share.
    pub(super) fn env(&self, inboxes: Vec<Inbox>) -> Env {
        Env {
            feed: self.feed.clone(),
            year: self.year,
            window_ms: i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX),
            routes: Routes::new(&self.services),
            inboxes,
            tally: Arc::default(),
        }
    }

    fn start<P: Blueprint<Env = Env>>(
        &self,
        mut pipeline: Builder<P>,
        notices: Option<&Arc<Notices>>,
    ) -> Result<Started<P>, Failure> {
        // Before the user's own numbers, so that those count.
        if let Some(numbers) = pace(self.services.len()) {
            let tuned = pipeline.tuning("the number of services", &numbers);
            pipeline = tuned.map_err(Unstarted::from)?;
        }
        let workers = self.workers.map(|workers| workers as usize);
        let pipeline = starting::tuned(pipeline, self.tuning.as_deref(), workers)?;
        let (mut outlets, mut inboxes) = (Vec::new(), Vec::new());
        for service in &self.services {
            let (outlet, inbox) = outlet::start(service, self.overflow, self.queue, notices)?;
            outlets.push(outlet);
            inboxes.push(inbox);
        }
        let tally = Arc::new(Tally::new(notices.cloned()));
        let env = Env {
            tally: Arc::clone(&tally),
            ..self.env(inboxes)
        };
        let run = pipeline.start(env).map_err(Unstarted::from)?;
        Ok(Started {
            run,
            tally,
            outlets,
            entrances: None,
            positions: self.feed.positions.clone(),
        })
    }
}

/// A run that is going on.
#[derive(Debug)]
pub struct Started<P: Blueprint> {
    run: Running<P>,
    tally: Arc<Tally>,
    /// The services, by their numbers.
    pub outlets: Vec<Outlet>,
    /// What listens and watches.
    pub entrances: Option<Entrances>,
    positions: Option<Arc<Positions>>,
}

impl<P: Blueprint> Started<P> {
    /// The run.
    pub fn run(&self) -> &Running<P> {
        &self.run
    }

    /// What was rejected so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn status(&self) -> Status<P> {
        Status::new(self.run.monitor(), Arc::clone(&self.tally), &self.outlets)
    }

    /// Says where it listens, and that it has begun. Standard error that is closed leaves nobody to tell.
    fn tell_ready(&self) {
        let mut out = io::stderr().lock();
        for address in self.entrances.iter().flat_map(Entrances::addresses) {
            drop(writeln!(out, "listening at {address}"));
        }
        for path in self.entrances.iter().flat_map(Entrances::paths) {
            drop(writeln!(out, "listening at {}", path.display()));
        }
        drop(writeln!(out, "ready"));
    }

    /// Ends: first what comes in from outside, then the pipeline, as `how` says, then the services.
    pub fn end(self, how: impl FnOnce(Running<P>) -> ending::Ended<P>) -> Outcome {
        let ended = how(self.run);
        let was_orderly = ended.is_ok();
        // Who still sends is told that nothing more is taken.
        drop(self.entrances);
        let (mut ending, mut report) = Ending::of(ended);
        let services = outlet::end(self.outlets, DRAIN);
        let counts = report.take_state::<count>().unwrap_or_default();
        let unrouted = report.take_state::<unrouted>().unwrap_or_default();
        ending.is_late |= services.iter().any(|service| service.is_late);
        ending.problems.extend(problems(&services));
        // Now that all services have ended, everything has that ever will. What was dropped because there was no time, or because a
        // service failed, looks the same, so then what was saved last stands, and more comes again than has to.
        let was_orderly = was_orderly && services.iter().all(|service| service.problem.is_none());
        let positions = self.positions.filter(|_| was_orderly);
        let unsaved = positions.and_then(|kept| kept.finish().err());
        ending
            .problems
            .extend(unsaved.map(|error| error.to_string()));
        Outcome {
            summary: summary(&report, counts, unrouted, &self.tally, services),
            ending,
        }
    }
}

fn unstarted(no_thread: io::Error) -> Unstarted {
    StartError::Thread(no_thread).into()
}

fn summary<P: Blueprint>(
    report: &Report<P>,
    counts: Counts,
    unrouted: u64,
    tally: &Tally,
    services: Vec<Ended>,
) -> Summary {
    let rejects = tally.seen();
    let lines = Lines::of(report.metrics(), &rejects);
    Summary {
        lines: lines.all,
        blank: lines.blank,
        repeated: lines.repeated,
        counts,
        unrouted,
        deliveries: lines.deliveries,
        rejects,
        services,
    }
}

/// What went wrong behind the queues.
fn problems(services: &[Ended]) -> Vec<String> {
    let mut problems = Vec::new();
    for service in services {
        let name = &service.name;
        if service.ledger.panicked > 0 {
            let panics = service.ledger.panicked;
            problems.push(format!("service `{name}` panicked with {panics} events"));
        }
        let problem = service.problem.iter();
        problems.extend(problem.map(|problem| format!("service `{name}`: {problem}")));
    }
    problems
}

impl Outcome {
    /// Whether all that was named could be read, all services got what they should, and the run did its work.
    pub fn is_good(&self) -> bool {
        self.ending.problems.is_empty() && self.summary.is_good()
    }
}
