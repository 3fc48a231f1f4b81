//! A pipeline of events as something that is measured.

use pipewright::{Blueprint, Builder, Running};
use pipewright_bench::{
    protocol::{Request, Signs},
    trial::{Probe, Stage, Stamp, Subject},
};

use crate::{
    signs::signs,
    work::{Env, Event, Feed, STAGES},
};

/// Which pipeline.
pub(crate) trait Flow: 'static {
    /// Its type.
    type Pipeline: Blueprint<Env = Env, Input = Event>;

    /// The pipeline.
    fn pipeline() -> Builder<Self::Pipeline>;
}

/// A pipeline while it runs.
pub(crate) struct Piped<F: Flow> {
    run: Running<F::Pipeline>,
    feed: Feed,
}

impl<F: Flow> Subject for Piped<F> {
    type Item = Event;
    const STAGES: &'static [Stage] = STAGES;

    fn start(request: &Request, probe: Probe) -> Result<Self, String> {
        let env = Env::new(request, probe);
        let feed = Feed::new(request, &env);
        let pipeline = F::pipeline().workers(request.workers());
        let run = pipeline.start(env).map_err(|error| error.to_string())?;
        Ok(Self { run, feed })
    }

    fn item(&mut self, stamp: Stamp) -> Event {
        self.feed.next(stamp)
    }

    fn try_send(&mut self, event: Event) -> bool {
        self.run.try_send(event).is_ok()
    }

    fn send(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        let sent = self.run.send_batch(events);
        sent.map_err(|error| error.to_string())
    }

    fn signs(&self) -> Signs {
        signs(&self.run)
    }

    fn finish(self) -> Result<(), String> {
        let ended = self.run.drain();
        ended.map(|_| ()).map_err(|error| error.to_string())
    }
}
