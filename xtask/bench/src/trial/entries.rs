//! What a binary of trials can measure, and its command line.

use std::{collections::BTreeMap, io::Write, process::ExitCode};

use super::{Allocations, Subject, Trial, closed, counted, counted::Batch, open, watched};
use crate::{
    built,
    protocol::{Listing, PROTOCOL, Request, Scenario},
};

/// A scenario and what runs it.
struct Entry {
    scenario: Scenario,
    /// Is it for this allocator?
    listed: bool,
    run: Box<dyn Fn(&Request) -> Trial>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.scenario.fmt(f)
    }
}

/// What a binary can measure.
///
/// With an allocator that counts it lists the scenarios that need it and no others, because counting makes those slower.
#[derive(Debug)]
pub struct Trials {
    allocations: Option<Allocations>,
    entries: Vec<Entry>,
    build: BTreeMap<String, String>,
}

/// What is said of something that is measured.
#[derive(Clone, Copy, Debug)]
pub struct About {
    about: &'static str,
    interface: Option<&'static str>,
    rate: f64,
    allocates: bool,
    levels: bool,
}

/// Items a second, if nothing else is asked.
const RATE: f64 = 20_000.0;

impl About {
    /// What it does, in a line.
    pub const fn of(about: &'static str) -> Self {
        Self {
            about,
            interface: None,
            rate: RATE,
            allocates: false,
            levels: false,
        }
    }

    /// Its items are of the [`Level`] and the mix that are asked for; without this, nobody may ask for one.
    ///
    /// [`Level`]: crate::load::Level
    pub const fn levels(self) -> Self {
        Self {
            levels: true,
            ..self
        }
    }

    /// It may allocate for its items: how often is told, and is no failure.
    pub const fn allocates(self) -> Self {
        Self {
            allocates: true,
            ..self
        }
    }

    /// It takes the same items and has the same results as everything else of this interface, and can be compared with it.
    pub const fn implements(self, interface: &'static str) -> Self {
        Self {
            interface: Some(interface),
            ..self
        }
    }

    /// How many items a second come where they come at their own times, if nothing else is asked; 20,000 if this is not called.
    pub const fn at(self, rate: f64) -> Self {
        Self { rate, ..self }
    }
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

impl Trials {
    /// None yet. `allocations`: what counts them, if anything does.
    pub fn new(allocations: Option<Allocations>) -> Self {
        Self {
            allocations,
            entries: Vec::new(),
            build: built::here(),
        }
    }

    /// How the binary was built, in what only itself knows: its `allocator`, its `features`. Results of binaries that say
    /// different things of one of them are not compared.
    #[must_use]
    pub fn built_with(mut self, name: &str, value: &str) -> Self {
        self.build.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Something that takes items: `throughput/` and `latency/` with its name, or `memory/` and `drain/`. Every item has to come out.
    #[must_use]
    pub fn subject<S: Subject + 'static>(mut self, name: &str, about: About) -> Self {
        self.add("throughput", name, about, |request| match request.items {
            Some(items) => counted::sent::<S>(request, items),
            None => closed::saturated::<S>(request),
        });
        self = self.open_loop::<S>(name, about);
        if let Some(allocations) = self.allocations {
            self.add("memory", name, about, move |request| {
                watched::stages::<S>(request, allocations)
            });
            self.add("drain", name, about, move |request| {
                watched::drained::<S>(request, allocations)
            });
        }
        self
    }

    /// Something that may drop items, or lose them: `latency/` with its name.
    #[must_use]
    pub fn open_loop<S: Subject + 'static>(mut self, name: &str, about: About) -> Self {
        let rate = about.rate;
        self.add("latency", name, about, move |request| {
            open::run::<S>(request, rate)
        });
        self
    }

    /// Something in a closed loop, in which the next item comes when the one before it is done: `latency/` with this name.
    #[must_use]
    pub fn one_by_one<S: Subject + 'static>(mut self, name: &str, about: About) -> Self {
        self.add("latency", name, about, closed::one_by_one::<S>);
        if let Some(entry) = self.entries.last_mut() {
            entry.scenario.open_loop = false;
        }
        self
    }

    /// What makes its items itself: `batch` takes a lot of them to its end, and tells a digest of what came of them, if it knows one.
    /// `throughput/` with this name, or `memory/` and `drain/`.
    #[must_use]
    pub fn batch(mut self, name: &str, about: About, batch: Batch) -> Self {
        self.add("throughput", name, about, move |request| {
            match request.items {
                Some(items) => counted::made(request, items, batch),
                None => counted::repeated(request, batch),
            }
        });
        if let Some(allocations) = self.allocations {
            self.add("memory", name, about, move |request| {
                watched::batches(request, batch, allocations)
            });
            self.add("drain", name, about, move |request| {
                watched::drained_batches(request, batch, allocations)
            });
        }
        self
    }

    fn add(
        &mut self,
        kind: &str,
        name: &str,
        about: About,
        run: impl Fn(&Request) -> Trial + 'static,
    ) {
        let counts_memory = ["memory", "drain"].contains(&kind);
        let metrics = match kind {
            "throughput" => RATES,
            "latency" => LATENCIES,
            "memory" => &["allocs_per_item"],
            _ => &[],
        };
        let scenario = Scenario {
            id: format!("{kind}/{name}"),
            about: about.about.to_owned(),
            open_loop: kind == "latency",
            metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
            interface: about.interface.map(str::to_owned),
            counts: kind == "throughput",
            allocates: about.allocates,
            levels: about.levels,
        };
        self.entries.push(Entry {
            scenario,
            listed: counts_memory == self.allocations.is_some(),
            run: Box::new(run),
        });
    }

    /// What can be measured.
    pub fn listing(&self) -> Listing {
        let listed = self.entries.iter().filter(|entry| entry.listed);
        Listing {
            protocol: PROTOCOL.to_owned(),
            scenarios: listed.map(|entry| entry.scenario.clone()).collect(),
            build: self.build.clone(),
        }
    }

    /// Does one trial.
    ///
    /// # Errors
    ///
    /// If there is no such scenario, or it cannot do what is asked.
    pub fn trial(&self, request: &Request) -> Trial {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.scenario.id == request.scenario);
        let entry = entry.ok_or_else(|| format!("no scenario is called `{}`", request.scenario))?;
        let Scenario {
            id,
            open_loop,
            counts,
            ..
        } = &entry.scenario;
        if request.load.is_some() && !open_loop {
            return Err(format!("`{id}` takes no load: its loop is closed"));
        }
        if request.items.is_some() && !counts && !id.starts_with("drain/") {
            return Err(format!("`{id}` cannot be asked for a number of items"));
        }
        if request.measure_ms == 0 {
            return Err("`measure_ms` is above 0".to_owned());
        }
        let mut answer = (entry.run)(request)?;
        answer.protocol = PROTOCOL.to_owned();
        answer.scenario.clone_from(&request.scenario);
        Ok(answer)
    }

    /// Answers one request, which is the command line of the process; without one, it tells what can be measured.
    pub fn main(&self) -> ExitCode {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let json = |error: serde_json::Error| error.to_string();
        let said = match args.as_slice() {
            [] => Ok(self.about()),
            ["list"] => serde_json::to_string(&self.listing()).map_err(json),
            ["run", request] => self.answer(request),
            ["count", name, items] => self.count(name, items),
            _ => Err(
                "`trial list`, `trial run REQUEST` with a request in JSON, or `trial count NAME ITEMS`"
                    .to_owned(),
            ),
        };
        match said {
            Ok(line) => {
                // Who reads no more has what it wanted.
                let _ = writeln!(std::io::stdout(), "{line}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("error: {why}");
                ExitCode::from(2)
            }
        }
    }

    fn answer(&self, request: &str) -> Result<String, String> {
        let request: Request = serde_json::from_str(request)
            .map_err(|error| format!("the request is none of `{PROTOCOL}`: {error}"))?;
        serde_json::to_string(&self.trial(&request)?).map_err(|error| error.to_string())
    }

    /// Takes so many items through a thing, on one worker, for who counts instructions.
    fn count(&self, name: &str, items: &str) -> Result<String, String> {
        let items = items
            .parse()
            .map_err(|error| format!("`{items}` is no number of items: {error}"))?;
        let request = Request {
            items: Some(items),
            workers: Some(1),
            ..Request::new(&format!("throughput/{name}"), 1, [0, 1])
        };
        self.trial(&request).map(|_| items.to_string())
    }

    fn about(&self) -> String {
        let mut text = "trials; `cargo xtask bench run --bin FILE` measures them".to_owned();
        for entry in self.entries.iter().filter(|entry| entry.listed) {
            text.push_str(&format!(
                "\n  {:<24} {}",
                entry.scenario.id, entry.scenario.about
            ));
        }
        text
    }
}
