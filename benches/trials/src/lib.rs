//! The pipelines that `cargo xtask bench` measures. A trial is one run of one of them in a process of its own; what is asked and
//! answered is [`pipewright_bench::protocol`].

#![forbid(unsafe_code)]

mod closed;
mod events;
mod open;
mod process;
mod ranges;
mod timeline;
mod traces;
mod watched;

use std::process::ExitCode;

use pipewright_bench::protocol::{Answer, Listing, PROTOCOL, Request, Scenario};

/// What counts allocations: how many there were, how many bytes they took, and how many bytes are live.
pub type Allocations = fn() -> Counted;

/// What an allocator has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Allocations and reallocations.
    pub allocations: u64,
    /// Bytes that were allocated.
    pub bytes: u64,
    /// Bytes that are allocated now.
    pub live: i64,
}

/// A trial, or why it cannot be made.
type Trial = Result<Answer, String>;

/// A scenario and what runs it.
struct Entry {
    id: &'static str,
    about: &'static str,
    open_loop: bool,
    metrics: &'static [&'static str],
    run: fn(&Request, Option<Allocations>) -> Trial,
}

const RATES: &[&str] = &["throughput", "cpu_per_item", "peak_rss"];
const LATENCIES: &[&str] = &[
    "throughput",
    "cpu_per_item",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "latency_p999",
    "latency_max",
    "loss",
    "peak_rss",
];

const ENTRIES: &[Entry] = &[
    Entry {
        id: "throughput/fused",
        about: "numbers through a map, a filter and a fold in one loop, as fast as they go",
        open_loop: false,
        metrics: RATES,
        run: |request, _| ranges::fused(request),
    },
    Entry {
        id: "throughput/keyed",
        about: "numbers by one of a thousand keys, a state for each, as fast as they go",
        open_loop: false,
        metrics: RATES,
        run: |request, _| ranges::keyed(request),
    },
    Entry {
        id: "throughput/events",
        about: "events of six kinds, pushed as fast as they are taken: parse, enrich, price, apply by service, deliver",
        open_loop: false,
        metrics: RATES,
        run: |request, _| closed::saturated(request),
    },
    Entry {
        id: "latency/events",
        about: "the same events at their own times, 20,000 a second by Poisson; latency from the intended time",
        open_loop: true,
        metrics: LATENCIES,
        run: |request, _| open::run(request),
    },
    Entry {
        id: "latency/one-by-one",
        about: "the same events, each sent when the one before it is done: how a closed loop sees them",
        open_loop: false,
        metrics: LATENCIES,
        run: |request, _| closed::one_by_one(request),
    },
];

/// Needs the allocator that counts.
const WATCHED: Entry = Entry {
    id: "memory/events",
    about: "what each stage of the events allocates and how long it works, and the live bytes over time",
    open_loop: false,
    metrics: &["allocs_per_item"],
    run: |request, allocations| {
        let allocations = allocations.ok_or("only `trial-memory` counts allocations")?;
        watched::run(request, allocations)
    },
};

/// Answers one request, which is the command line of the process.
pub fn main(allocations: Option<Allocations>) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = match args.as_slice() {
        ["list"] => serde_json::to_string(&listing(allocations)).map_err(|error| error.to_string()),
        ["run", request] => answer(request, allocations),
        ["count", case, items] => count(case, items),
        _ => Err(
            "`trial list`, `trial run REQUEST` with a request in JSON, or `trial count CASE ITEMS`"
                .to_owned(),
        ),
    };
    match said {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn answer(request: &str, allocations: Option<Allocations>) -> Result<String, String> {
    let request: Request = serde_json::from_str(request)
        .map_err(|error| format!("the request is none of `{PROTOCOL}`: {error}"))?;
    let mut answer = trial(&request, allocations)?;
    answer.protocol = PROTOCOL.to_owned();
    answer.scenario.clone_from(&request.scenario);
    serde_json::to_string(&answer).map_err(|error| error.to_string())
}

/// Takes so many items through a pipeline, with one worker, for whoever counts instructions.
fn count(case: &str, items: &str) -> Result<String, String> {
    let items = items
        .parse()
        .map_err(|error| format!("`{items}` is no number of items: {error}"))?;
    let counted = ranges::COUNTED.iter().find(|(name, _)| *name == case);
    let (_, run) = counted.ok_or_else(|| format!("no case is called `{case}`"))?;
    run(items).map(|()| items.to_string())
}

/// Does one trial.
///
/// # Errors
///
/// If there is no such scenario, or it cannot do what is asked.
pub fn trial(request: &Request, allocations: Option<Allocations>) -> Trial {
    let entry = entries(allocations).find(|entry| entry.id == request.scenario);
    let entry = entry.ok_or_else(|| format!("no scenario is called `{}`", request.scenario))?;
    if request.load.is_some() && !entry.open_loop {
        return Err(format!("`{}` takes no load: its loop is closed", entry.id));
    }
    if request.measure_ms == 0 {
        return Err("`measure_ms` is above 0".to_owned());
    }
    (entry.run)(request, allocations)
}

/// With the allocator that counts, only what needs it: it would make the others slower.
fn entries(allocations: Option<Allocations>) -> impl Iterator<Item = &'static Entry> {
    let watched = std::slice::from_ref(&WATCHED);
    match allocations {
        Some(_) => watched.iter(),
        None => ENTRIES.iter(),
    }
}

/// What this binary measures.
pub fn listing(allocations: Option<Allocations>) -> Listing {
    let scenario = |entry: &Entry| Scenario {
        id: entry.id.to_owned(),
        about: entry.about.to_owned(),
        open_loop: entry.open_loop,
        metrics: entry
            .metrics
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    };
    Listing {
        protocol: PROTOCOL.to_owned(),
        scenarios: entries(allocations).map(scenario).collect(),
    }
}
