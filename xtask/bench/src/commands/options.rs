//! What several commands understand.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use pipewright_spec::units;

use super::{
    build::{Package, Subject},
    promote,
    saving::Keeper,
};
use crate::{
    error::Error,
    guards::Guards,
    history::{LONG_MS, SHORT_MS},
    process::Watched,
    protocol::{Request, Scenario},
    session::{Plan, Rules, Side},
    targets::Targets,
};

/// What several commands understand.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Only scenarios that have one of these in their name
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// Short trials of few scenarios, with bands twice as wide: about a minute (the default)
    #[arg(long)]
    pub(crate) quick: bool,
    /// All scenarios, long trials, up to 40 blocks: 15 to 25 minutes
    #[arg(long, conflicts_with = "quick")]
    pub(crate) full: bool,
    /// How long each trial counts, such as `5s`: p99 is there from 10,000 items on [default: 600ms; with --full 5s, where two are compared 1s]
    #[arg(long, value_name = "TIME", value_parser = during)]
    pub(crate) during: Option<Duration>,
    /// What is drawn comes from this number
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
    /// How many workers the pipelines have [default: the scenario's own number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Targets, bands and guards [default: benches/targets.ron]
    #[arg(long, value_name = "FILE")]
    pub(crate) targets: Option<PathBuf>,
    #[command(flatten)]
    guarded: Guarded,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Whether disturbed trials count.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Guarded {
    /// Also count trials that the machine disturbed; the result says so
    #[arg(long)]
    no_guards: bool,
}

impl Guarded {
    pub(crate) fn watched(self, guards: Guards) -> Watched {
        Watched::new((!self.no_guards).then_some(guards))
    }

    /// A result, in its mode.
    pub(crate) fn keeper(
        self,
        output: &Output,
        mode: &str,
        subjects: &[(Side, &Subject)],
    ) -> Keeper {
        let mut keeper = Keeper::new(output, mode, subjects);
        if self.no_guards {
            let limit = format!("{} were counted", promote::UNGUARDED);
            keeper.saved.limits.push(limit);
        }
        keeper
    }
}

/// What is printed, and where it is saved.
#[derive(Debug, Default, Args)]
pub(crate) struct Output {
    /// Where the result is saved [default: target/pipewright/bench/<time>]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Add the result to the history of this class of machines [default: .pipewright]
    #[arg(
        long,
        value_name = "FOLDER",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub(crate) save: Option<PathBuf>,
    /// Print the saved JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the verdict only
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Which trials are made.
#[derive(Debug, Default, Args)]
pub(crate) struct Source {
    /// A binary of trials [default: that of the repository, which is built]
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// Trials of a package of the workspace, which are built, such as `my-pipeline/trial`
    #[arg(long, value_name = "PACKAGE/BIN", conflicts_with = "bin")]
    trials: Option<String>,
}

impl Source {
    /// What is measured. `usual`: the repository's own binary, if nothing was said.
    pub(crate) fn subject(&self, usual: &str) -> Result<Subject, Error> {
        match &self.bin {
            Some(path) => Subject::named(path),
            None => Subject::built(&self.package(usual)?),
        }
    }

    /// Is it the repository's own binary?
    fn is_own(&self) -> bool {
        self.bin.is_none() && self.trials.is_none()
    }

    /// What is built.
    pub(crate) fn package(&self, usual: &str) -> Result<Package, Error> {
        match &self.trials {
            Some(text) => Package::parse(text),
            None => Ok(Package::own(usual)),
        }
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) warmup_ms: u64,
    /// A trial of a comparison, which has many.
    pub(crate) measure_ms: u64,
    /// A trial of a run.
    pub(crate) run_ms: u64,
    /// Blocks of a comparison.
    pub(crate) blocks: [usize; 2],
    /// Trials of a run.
    pub(crate) trials: usize,
    /// Of the comparison of one scenario, at most: no block begins after it, unless there are too few.
    pub(crate) budget: Duration,
    /// Of all of them together, in equal shares.
    pub(crate) whole: Duration,
    pub(crate) widen: f64,
    /// The scenarios, if no pattern is given; all of them if there are none.
    scenarios: &'static [&'static str],
}

const QUICK: Mode = Mode {
    name: "quick",
    warmup_ms: 100,
    measure_ms: 600,
    run_ms: SHORT_MS,
    blocks: [7, 8],
    trials: 8,
    budget: Duration::from_secs(30),
    whole: Duration::from_secs(80),
    widen: 2.0,
    scenarios: &["throughput/fused", "throughput/events", "latency/events"],
};

const FULL: Mode = Mode {
    name: "full",
    warmup_ms: 300,
    measure_ms: 1000,
    run_ms: LONG_MS,
    blocks: [12, 40],
    trials: 20,
    budget: Duration::from_secs(240),
    whole: Duration::from_secs(22 * 60),
    widen: 1.0,
    scenarios: &[],
};

impl Common {
    pub(crate) fn mode(&self) -> Mode {
        let mode = if self.full { FULL } else { QUICK };
        Mode {
            measure_ms: self.during.map_or(mode.measure_ms, millis),
            run_ms: self.during.map_or(mode.run_ms, millis),
            ..mode
        }
    }

    pub(crate) fn targets(&self) -> Result<Targets, Error> {
        Targets::read(&self.place(), self.targets.is_some())
    }

    /// Where the targets lie.
    fn place(&self) -> PathBuf {
        let usual = || super::build::root().join("benches/targets.ron");
        self.targets.clone().unwrap_or_else(usual)
    }

    /// Whether the targets are of scenarios that there are. Those of the repository say nothing of the binary of somebody else.
    pub(crate) fn check(
        &self,
        targets: &Targets,
        source: &Source,
        all: &[Scenario],
    ) -> Result<(), Error> {
        if self.targets.is_none() && !source.is_own() {
            return Ok(());
        }
        let checked = targets.check(all);
        checked.map_err(|why| Error::Usage(format!("`{}`: {why}", self.place().display())))
    }

    pub(crate) fn watched(&self, targets: &Targets) -> Watched {
        self.guarded.watched(targets.guards.clone())
    }

    pub(crate) fn rules(&self, targets: &Targets) -> Rules {
        Rules {
            band: targets.band.clone(),
            gate: targets.gate.clone(),
            widen: self.mode().widen,
        }
    }

    /// How one of so many scenarios is compared.
    pub(crate) fn plan(&self, targets: &Targets, scenarios: usize) -> Plan {
        let mode = self.mode();
        Plan {
            fewest: mode.blocks[0],
            most: mode.blocks[1],
            budget: mode.budget.min(mode.whole / scenarios.max(1) as u32),
            seed: self.seed,
            repeats: targets.guards.repeats,
        }
    }

    /// A result, in its mode.
    pub(crate) fn keeper(&self, mode: &str, subjects: &[(Side, &Subject)]) -> Keeper {
        self.guarded.keeper(&self.output, mode, subjects)
    }

    /// What is asked of a trial, but for its seed.
    pub(crate) fn request(&self, scenario: &str) -> Request {
        let mode = self.mode();
        Request {
            workers: self.workers.map(|workers| workers as usize),
            ..Request::new(scenario, self.seed, [mode.warmup_ms, mode.measure_ms])
        }
    }

    /// Those of the scenarios that are meant.
    pub(crate) fn choose(&self, all: &[Scenario]) -> Result<Vec<Scenario>, Error> {
        let usual = self.mode().scenarios;
        if !self.patterns.is_empty() {
            return matching(&self.patterns, all);
        }
        let is_usual =
            |scenario: &&Scenario| usual.is_empty() || usual.contains(&scenario.id.as_str());
        let found: Vec<Scenario> = all.iter().filter(is_usual).cloned().collect();
        // The binary of somebody else has other names.
        Ok(if found.is_empty() {
            all.to_vec()
        } else {
            found
        })
    }
}

/// The scenarios with one of the patterns in their name.
pub(crate) fn matching(patterns: &[String], all: &[Scenario]) -> Result<Vec<Scenario>, Error> {
    let meant = |scenario: &&Scenario| {
        patterns
            .iter()
            .any(|pattern| scenario.id.contains(pattern.as_str()))
    };
    let found: Vec<Scenario> = all.iter().filter(meant).cloned().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    Err(Error::Usage(format!(
        "no scenario has `{}` in its name; there are {}",
        patterns.join("` or `"),
        names(all)
    )))
}

/// The scenario of this name.
pub(crate) fn named<'a>(id: &str, all: &'a [Scenario]) -> Result<&'a Scenario, Error> {
    let found = all.iter().find(|scenario| scenario.id == id);
    found.ok_or_else(|| {
        Error::Usage(format!(
            "no scenario is called `{id}`; there are {}",
            names(all)
        ))
    })
}

/// The scenario of this name, which has an open loop.
pub(crate) fn open_loop<'a>(id: &str, all: &'a [Scenario]) -> Result<&'a Scenario, Error> {
    let scenario = named(id, all)?;
    if scenario.open_loop {
        return Ok(scenario);
    }
    let others: Vec<Scenario> = all.iter().filter(|one| one.open_loop).cloned().collect();
    let help = match others.is_empty() {
        true => "this binary has none".to_owned(),
        false => format!("those that have one are {}", names(&others)),
    };
    Err(Error::Usage(format!(
        "`{id}` is no scenario with an open loop; {help}"
    )))
}

fn names(all: &[Scenario]) -> String {
    let ids: Vec<String> = all.iter().map(|one| format!("`{}`", one.id)).collect();
    ids.join(", ")
}

/// How long a trial counts.
fn during(text: &str) -> Result<Duration, String> {
    let time = units::Duration::parse(text).map_err(|error| error.to_string())?;
    match time.to_std() {
        time if (SHORTEST..=LONGEST).contains(&time) => Ok(time),
        _ => Err("a trial counts for 10ms to 1h".to_owned()),
    }
}

/// Trials that count for less measure nothing, and nobody waits for those that count for more.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// Items a second, of a rate such as `10k/s`.
pub(crate) fn rate(name: &str, text: &str) -> Result<f64, Error> {
    units::Rate::parse(text)
        .map(|rate| rate.count as f64 * 1e9 / rate.per.ns() as f64)
        .map_err(|error| Error::Usage(format!("`{name}`: {error}; {}", error.help())))
}

/// How long trials count, in milliseconds.
pub(crate) fn during_ms(text: &str, least: Duration) -> Result<u64, Error> {
    let during = time("--during", text)?;
    if during < least {
        return Err(Error::Usage(format!(
            "`--during`: `{text}` is too short; give at least {}ms",
            least.as_millis()
        )));
    }
    Ok(millis(during))
}

/// A time such as `30min`.
pub(crate) fn time(name: &str, text: &str) -> Result<Duration, Error> {
    units::Duration::parse(text)
        .map(|time| time.to_std())
        .map_err(|error| Error::Usage(format!("`{name}`: {error}; {}", error.help())))
}

/// Whether somebody pressed Ctrl-C.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first Ctrl-C is noted, and a second one ends the process.
    pub(crate) fn watch() -> Result<Self, Error> {
        let flag = Arc::new(AtomicBool::new(false));
        let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
        for signal in signals {
            // The order matters: the first one sets the flag that arms the other.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .map_err(|error| Error::Tool(format!("cannot watch for Ctrl-C: {error}")))?;
        }
        Ok(Self(flag))
    }

    /// An error if there was one; also in the place of what it did to a trial.
    pub(crate) fn check<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => done,
        }
    }
}
