//! Trials of the `events` pipeline and of what it replaces: the same lines, the same services, the same results.
//!
//! ```sh
//! cargo build --release -p pipewright-pipelines --bin events-trial
//! cargo xtask bench impl coordinator pipeline --bin target/release/events-trial --level heavy --phase burst
//! ```
//!
//! Lines have the size and go to as many services as the level says; the first service wants everything, and an event is done
//! when that one has it. Lines are made before the clock starts and used again and again, so nothing counts as a repetition
//! (the window is 0).

#![forbid(unsafe_code)]

mod stamps;

use std::{fmt, marker::PhantomData, process::ExitCode, sync::Arc};

use bytes::Bytes;
use pipewright_bench::{
    protocol::Request,
    trial::{About, Probe, Stamp, Subject, Trials},
};
use pipewright_pipelines::events::{
    baseline::{self, System},
    generate::Generator,
    outlet::digest,
    run::Settings,
    service::{self, Sink},
    target::{Missed, Target},
    types::{Event, Origin, Raw},
};

use stamps::Stamps;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The most memory that lines take; larger levels use them again.
const MOST: usize = 64 << 20;

fn main() -> ExitCode {
    let about = |about| {
        let about = About::of(about).implements("event-routing");
        about.levels().at(2_000.0)
    };
    Trials::new(None)
        .subject::<Trial<Pipeline>>("pipeline", about("the `events` pipeline"))
        .subject::<Trial<Coordinator>>(
            "coordinator",
            about("threads, a dispatcher behind a mutex, a channel and a thread for each service"),
        )
        .subject::<Trial<Router>>(
            "router",
            about("one thread that calls the handlers of a kind one after the other"),
        )
        .main()
}

/// How a system is started, on so many workers.
trait Start {
    fn start(settings: Settings, workers: usize) -> Result<Box<dyn System>, String>;
}

struct Pipeline;
struct Coordinator;
struct Router;

impl Start for Pipeline {
    fn start(mut settings: Settings, workers: usize) -> Result<Box<dyn System>, String> {
        settings.workers = u32::try_from(workers).ok();
        baseline::pipeline(settings).map_err(|failure| failure.to_string())
    }
}

impl Start for Coordinator {
    fn start(settings: Settings, workers: usize) -> Result<Box<dyn System>, String> {
        baseline::coordinator(&settings, workers).map_err(|error| error.to_string())
    }
}

impl Start for Router {
    fn start(settings: Settings, _: usize) -> Result<Box<dyn System>, String> {
        baseline::router(&settings).map_err(|error| error.to_string())
    }
}

/// A system with the lines that it is given.
struct Trial<S> {
    system: Box<dyn System>,
    lines: Vec<Bytes>,
    source: Arc<str>,
    stamps: Arc<Stamps>,
    next: u64,
    how: PhantomData<S>,
}

impl<S: Start> Subject for Trial<S> {
    type Item = Raw;

    fn start(request: &Request, probe: Probe) -> Result<Self, String> {
        let level = request.level.unwrap_or_default();
        let count = level.events().min(MOST / level.bytes());
        let shares = request.mix.unwrap_or_default().into();
        let lines = Generator::new(request.seed, count as u64, level.bytes()).mixed(shares);
        let stamps = Arc::<Stamps>::default();
        let mut services = service::examples(level.services() as usize);
        for (at, service) in services.iter_mut().enumerate() {
            let (probe, stamps) = (probe.clone(), Arc::clone(&stamps));
            service.sink = Sink::Own(Arc::new(move || {
                Box::new(Watched {
                    service: at as u64,
                    probe: probe.clone(),
                    stamps: Arc::clone(&stamps),
                })
            }));
        }
        let settings = Settings::fed(services, None);
        Ok(Self {
            system: S::start(settings, request.workers())?,
            lines: lines.collect(),
            source: "trial".into(),
            stamps,
            next: 0,
            how: PhantomData,
        })
    }

    fn processors(request: &Request) -> usize {
        // Each service has a thread.
        let services = request.level.unwrap_or_default().services() as usize;
        request.workers() + services
    }

    fn item(&mut self, stamp: Stamp) -> Raw {
        let line = self.next;
        self.next += 1;
        self.stamps.put(line, stamp);
        Raw {
            origin: Origin {
                source: Arc::clone(&self.source),
                line,
                received: stamp.intended(),
            },
            text: Ok(self.lines[line as usize % self.lines.len()].clone()),
        }
    }

    fn try_send(&mut self, line: Raw) -> bool {
        self.system.try_send(line).is_ok()
    }

    fn send(&mut self, lines: &mut Vec<Raw>) -> Result<(), String> {
        for line in lines.drain(..) {
            if !self.system.send(line) {
                return Err("it takes no more".to_owned());
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), String> {
        let (results, _) = self.system.end();
        match results.rejects.told.first() {
            None => Ok(()),
            Some(told) => Err(format!("a line was rejected: {told}")),
        }
    }
}

/// A service that tells what it gets.
struct Watched {
    service: u64,
    probe: Probe,
    stamps: Arc<Stamps>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Target for Watched {
    fn take(&mut self, events: &[Arc<Event>]) -> Vec<Result<(), Missed>> {
        for event in events {
            self.probe.result(digest(event) ^ self.service);
            if self.service == 0
                && let Some(stamp) = self.stamps.take(event.origin.line)
            {
                self.probe.done(&stamp);
            }
        }
        vec![Ok(()); events.len()]
    }
}
