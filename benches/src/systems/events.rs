//! The event daemon beside what it replaces, by the number of services: all three get the same lines, and have the same results.

use std::{cell::RefCell, sync::Arc, time::Instant};

use bytes::Bytes;
use pipewright_pipelines::events::{
    baseline::{self, System},
    generate::Generator,
    run::Settings,
    sequential::Results,
    service,
    types::{Origin, Raw},
};

use crate::{
    measure::{Case, rounds},
    table::Table,
};

const SEED: u64 = 1;
const WORKERS: u32 = 2;

/// The systems, by name.
const SYSTEMS: [(&str, Start); 3] = [
    ("pipeline", |settings| {
        baseline::pipeline(settings).expect("it starts")
    }),
    ("coordinator", |settings| {
        baseline::coordinator(&settings, WORKERS as usize).expect("it starts")
    }),
    ("router", |settings| {
        baseline::router(&settings).expect("it starts")
    }),
];

type Start = fn(Settings) -> Box<dyn System>;

/// Beyond so many services there are fewer lines, so that a round takes no longer.
const MANY: usize = 100;

/// What it takes to route so many lines to so many services, from the first line until every service has its events and the system has
/// ended, which takes some milliseconds by itself.
///
/// # Panics
///
/// If a system does not start, or has other results than the others.
pub fn services(times: usize, events: usize, services: usize) -> Table {
    let events = events * MANY / services.max(MANY);
    let lines: Vec<Bytes> = Generator::new(SEED, events as u64, 0).collect();
    by(times, &lines, services)
}

fn by(times: usize, lines: &[Bytes], services: usize) -> Table {
    let expect = RefCell::new(None::<Results>);
    let started: Vec<_> = SYSTEMS.iter().map(|_| RefCell::new(None)).collect();
    let mut cases: Vec<_> = SYSTEMS
        .iter()
        .zip(&started)
        .map(|((name, start), started)| {
            let prepare = move || *started.borrow_mut() = Some(start(settings(services)));
            let expect = &expect;
            let op = move |_| {
                let system = started.take().expect("it was started");
                let found = route(system, lines);
                let mut expect = expect.borrow_mut();
                let expect = expect.get_or_insert_with(|| found.clone());
                assert_eq!(found, *expect, "{services} services, the {name}");
            };
            Case::new(*name, 1, prepare, op)
        })
        .collect();
    let title = format!("Event daemon, {} lines to {services} services", lines.len());
    Table::of_calls(&title, &rounds(times, &mut cases))
}

fn route(system: Box<dyn System>, lines: &[Bytes]) -> Results {
    let source: Arc<str> = "benchmark".into();
    for (number, line) in (1..).zip(lines) {
        let origin = Origin {
            source: Arc::clone(&source),
            line: number,
            received: Instant::now(),
        };
        let text = Ok(line.clone());
        assert!(system.send(Raw { origin, text }), "it takes everything");
    }
    system.end().0
}

fn settings(services: usize) -> Settings {
    Settings::fed(service::examples(services), Some(WORKERS))
}
