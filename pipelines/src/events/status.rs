//! How a run is while it goes on, for who asks by HTTP.

use std::{collections::BTreeMap, sync::Arc};

use pipewright::{Blueprint, Health, Metrics, Monitor};
use serde_json::{Value, json};

use super::{
    outlet::{Outlet, SoFar, Watch},
    tally::{Rejects, Tally},
};

/// Tells whether a run still takes events, and how it is, as `GET /v1/status` answers.
pub type Tell = Arc<dyn Fn() -> (bool, Value) + Send + Sync>;

/// What tells how a run is.
pub(super) struct Status<P> {
    monitor: Monitor<P>,
    tally: Arc<Tally>,
    services: Vec<Watch>,
}

impl<P: Blueprint> Status<P> {
    pub(super) fn new(monitor: Monitor<P>, tally: Arc<Tally>, outlets: &[Outlet]) -> Self {
        Self {
            monitor,
            tally,
            services: outlets.iter().map(Outlet::watch).collect(),
        }
    }

    /// The counts until now, by the keys of the object at the end. What came later is read first, so that nothing seems to be
    /// delivered that did not come.
    pub(super) fn tell(&self) -> (bool, Value) {
        let (goes_on, health) = self.health();
        let services = self.services.iter();
        let services: Vec<_> = services.map(|one| (&*one.name, one.so_far())).collect();
        let sum = |of: fn(&SoFar) -> u64| services.iter().map(|(_, seen)| of(seen)).sum::<u64>();
        let rejects = self.tally.seen();
        let metrics = self.monitor.metrics();
        let lines = Lines::of(&metrics, &rejects);
        let received = |name| metrics.get(name).map_or(0, |stage| stage.received);
        let object = json!({
            "lines": lines.all,
            "blank": lines.blank,
            "repeated": lines.repeated,
            "events": received("count"),
            "rejected": rejects.by_reason,
            "unreadable_inputs": rejects.unreadable,
            "unrouted": received("unrouted"),
            "deliveries": lines.deliveries,
            "delivered": sum(|seen| seen.delivered),
            "dropped": sum(|seen| seen.dropped),
            "missed": sum(|seen| seen.missed.values().sum()),
            "services": services.iter().map(service).collect::<BTreeMap<_, _>>(),
            "health": health,
        });
        (goes_on, object)
    }

    /// Whether the run goes on, and what is not as it should be, in it and in the services.
    fn health(&self) -> (bool, String) {
        let run = self.monitor.health();
        let goes_on = !matches!(run, Health::Stopped(_));
        let services = self.services.iter().filter_map(|service| {
            let health = service.health();
            (!health.is_healthy()).then(|| format!("service `{}` is {health}", service.name))
        });
        let services: Vec<String> = services.collect();
        let health = match (run, services.is_empty()) {
            (run, true) => run.to_string(),
            (Health::Healthy, false) => format!("degraded: {}", services.join("; ")),
            (run, false) => format!("{run}; {}", services.join("; ")),
        };
        (goes_on, health)
    }
}

fn service<'n>((name, seen): &(&'n str, SoFar)) -> (&'n str, Value) {
    let object = json!({
        "delivered": seen.delivered,
        "dropped": seen.dropped,
        "missed": seen.missed,
        "digest": format!("{:016x}", seen.digest),
    });
    (name, object)
}

/// What became of lines on their way to services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) all: u64,
    pub(super) blank: u64,
    pub(super) repeated: u64,
    pub(super) deliveries: u64,
}

impl Lines {
    pub(super) fn of<P: Blueprint>(metrics: &Metrics<P>, rejects: &Rejects) -> Self {
        let stage = |name| metrics.get(name);
        let came = stage("parse").map_or(0, |parse| parse.received);
        Self {
            all: came.saturating_sub(rejects.unreadable),
            blank: stage("parse").map_or(0, |parse| parse.filtered),
            repeated: stage("dedup").map_or(0, |dedup| dedup.filtered),
            deliveries: stage("deliver").map_or(0, |deliver| deliver.received),
        }
    }
}
