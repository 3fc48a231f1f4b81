//! The stages called one after the other, without the runtime: what every run is compared with.

use std::{collections::HashMap, sync::Arc};

use pipewright::{Emit, Flow};

use super::{
    dedup::{Seen, dedup, shard_of},
    enrich::enrich,
    env::Env,
    feed::Reader,
    normalise::normalise,
    outlet::digest,
    parse::parse,
    reject::Reject,
    route::Routes,
    run::Settings,
    tally::{Counts, Rejects},
    types::{Event, Raw},
};

/// What must not depend on who does the work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    /// How many events each service got, and the sum of their digests.
    pub services: Vec<(u64, u64)>,
    /// Events by what they are.
    pub counts: Counts,
    /// Lines that came.
    pub lines: u64,
    /// Blank ones.
    pub blank: u64,
    /// Repetitions.
    pub repeated: u64,
    /// Events that nobody wants.
    pub unrouted: u64,
    /// What was rejected.
    pub rejects: Rejects,
}

impl Results {
    /// How many events each service got.
    pub fn delivered(&self) -> impl Iterator<Item = u64> {
        self.services.iter().map(|(delivered, _)| *delivered)
    }
}

/// The way from a line to an event.
#[derive(Debug)]
pub struct Steps {
    env: Env,
    seen: HashMap<u64, Seen>,
    /// What has come of it so far, without what services got.
    pub results: Results,
}

impl Steps {
    /// As a run with these settings would.
    pub fn new(settings: &Settings) -> Self {
        Self {
            env: settings.env(Vec::new()),
            seen: HashMap::new(),
            results: Results::default(),
        }
    }

    /// Who gets what.
    pub fn routes(&self) -> &Routes {
        &self.env.routes
    }

    /// The event of a line; nothing if it was left out or rejected.
    pub fn event(&mut self, raw: Raw) -> Option<Arc<Event>> {
        self.results.lines += u64::from(raw.is_line());
        match self.read(raw) {
            Ok(event) => event,
            Err(reject) => {
                self.env.tally.reject(&reject);
                None
            }
        }
    }

    fn read(&mut self, raw: Raw) -> Result<Option<Arc<Event>>, Reject> {
        match prepare(raw, &self.env)? {
            Some(event) => Ok(self.keep(event)),
            None => {
                self.results.blank += 1;
                Ok(None)
            }
        }
    }

    /// Leaves out what repeats another event, and counts the others.
    pub fn keep(&mut self, event: Event) -> Option<Arc<Event>> {
        let seen = self.seen.entry(shard_of(&event)).or_default();
        let Some(event) = dedup(event, &self.env, seen) else {
            self.results.repeated += 1;
            return None;
        };
        let event = enrich(event);
        let counts = &mut self.results.counts;
        counts.add(event.kind, event.format, event.severity);
        Some(event)
    }

    /// What has come of it.
    pub fn finish(mut self) -> Results {
        self.results.rejects = self.env.tally.seen();
        self.results
    }
}

/// The steps that need no state.
///
/// # Errors
///
/// If the line is no event.
pub fn prepare(raw: Raw, env: &Env) -> Result<Option<Event>, Reject> {
    match parse(raw)? {
        Some(record) => normalise(record, env).map(Some),
        None => Ok(None),
    }
}

/// Runs everything, in order, with services that count.
pub fn run(settings: &Settings) -> Results {
    let mut steps = Steps::new(settings);
    let mut services = vec![(0, 0_u64); settings.services.len()];
    let mut reader = Reader::new(&settings.feed);
    let mut goes_on = true;
    while goes_on {
        let mut lines = Emit::new();
        goes_on = reader.poll(&mut lines) == Flow::More;
        for raw in lines.into_vec() {
            let Some(event) = steps.event(raw) else {
                continue;
            };
            let mut wanted = false;
            for service in steps.routes().of(&event) {
                wanted = true;
                let (delivered, sum) = &mut services[service as usize];
                *delivered += 1;
                *sum = sum.wrapping_add(digest(&event));
            }
            steps.results.unrouted += u64::from(!wanted);
        }
    }
    Results {
        services,
        ..steps.finish()
    }
}
