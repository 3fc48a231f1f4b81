//! What several commands understand.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{Args, ValueEnum};
use pipewright_spec::units;

use crate::{
    error::Error,
    load::{Arrivals, Level, Load, Phase},
    process::Watched,
    protocol::{Request, Scenario},
    session::{Plan, Rules},
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
    /// All scenarios, up to 40 blocks: 15 to 25 minutes
    #[arg(long, conflicts_with = "quick")]
    pub(crate) full: bool,
    /// What is drawn comes from this number
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
    /// How many workers the pipelines have [default: the scenario's own number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Targets, bands and guards [default: benches/targets.ron]
    #[arg(long, value_name = "FILE")]
    pub(crate) targets: Option<PathBuf>,
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
    /// Also count trials that the machine disturbed; the result says so
    #[arg(long)]
    pub(crate) no_guards: bool,
    /// Print the saved JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the verdict only
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) warmup_ms: u64,
    pub(crate) measure_ms: u64,
    /// Blocks of a comparison.
    pub(crate) blocks: [usize; 2],
    /// Trials of a run.
    pub(crate) trials: usize,
    /// Of one scenario.
    pub(crate) budget: Duration,
    pub(crate) widen: f64,
    /// The scenarios, if no pattern is given; all of them if there are none.
    scenarios: &'static [&'static str],
}

const QUICK: Mode = Mode {
    name: "quick",
    warmup_ms: 100,
    measure_ms: 600,
    blocks: [7, 8],
    trials: 8,
    budget: Duration::from_secs(30),
    widen: 2.0,
    scenarios: &["throughput/fused", "throughput/events", "latency/events"],
};

const FULL: Mode = Mode {
    name: "full",
    warmup_ms: 300,
    measure_ms: 1000,
    blocks: [12, 40],
    trials: 20,
    budget: Duration::from_secs(240),
    widen: 1.0,
    scenarios: &[],
};

impl Common {
    pub(crate) fn mode(&self) -> Mode {
        if self.full { FULL } else { QUICK }
    }

    pub(crate) fn targets(&self) -> Result<Targets, Error> {
        match &self.targets {
            Some(path) => Targets::read(path, true),
            None => Targets::read(&super::build::root().join("benches/targets.ron"), false),
        }
    }

    pub(crate) fn watched(&self, targets: &Targets) -> Watched {
        Watched::new((!self.no_guards).then(|| targets.guards.clone()))
    }

    pub(crate) fn rules(&self, targets: &Targets) -> Rules {
        Rules {
            band: targets.band.clone(),
            gate: targets.gate.clone(),
            widen: self.mode().widen,
        }
    }

    pub(crate) fn plan(&self, targets: &Targets) -> Plan {
        let mode = self.mode();
        Plan {
            fewest: mode.blocks[0],
            most: mode.blocks[1],
            budget: mode.budget,
            seed: self.seed,
            repeats: targets.guards.repeats,
        }
    }

    /// What is asked of a trial, but for its seed.
    pub(crate) fn request(&self, scenario: &str) -> Request {
        let mode = self.mode();
        Request {
            scenario: scenario.to_owned(),
            seed: self.seed,
            warmup_ms: mode.warmup_ms,
            measure_ms: mode.measure_ms,
            workers: self.workers.map(|workers| workers as usize),
            load: None,
            plant: None,
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
    let ids: Vec<String> = all
        .iter()
        .map(|scenario| format!("`{}`", scenario.id))
        .collect();
    Err(Error::Usage(format!(
        "no scenario has `{}` in its name; there are {}",
        patterns.join("` or `"),
        ids.join(", ")
    )))
}

/// How items follow each other, as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ArrivalsArg {
    /// At equal distances
    Constant,
    /// At distances that are drawn
    Poisson,
    /// Ten together
    Bursty,
}

/// How the rate changes, as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PhaseArg {
    /// The same rate
    Steady,
    /// Half of it, and three times as much for a fifth of the time
    Burst,
    /// From nothing to twice the rate
    Ramp,
    /// Ten times as much in the middle third
    Spike,
    /// Up and down by half of it
    Sine,
    /// All of these, one after the other
    Mixed,
}

/// What comes, in open loops.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Items a time, such as `20k/s`, in open loops
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// How they follow each other, in open loops
    #[arg(long, value_name = "KIND", conflicts_with = "trace")]
    arrivals: Option<ArrivalsArg>,
    /// A file with the time of each item in nanoseconds, one in a line, in open loops
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "phase"])]
    trace: Option<PathBuf>,
    /// How the rate changes, in open loops
    #[arg(long, value_name = "KIND")]
    phase: Option<PhaseArg>,
    /// How large the events are and for how many services: `light`, `medium`, `heavy`, `stress`; in open loops
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
}

/// Items a second, if nothing else is said.
const RATE: f64 = 20_000.0;

impl LoadArgs {
    /// The load; `None` if nothing was said of it.
    pub(crate) fn load(&self, during_ms: u64) -> Result<Option<Load>, Error> {
        let Self {
            rate: None,
            arrivals: None,
            trace: None,
            phase: None,
            level: None,
        } = self
        else {
            return self.given(during_ms).map(Some);
        };
        Ok(None)
    }

    fn given(&self, during_ms: u64) -> Result<Load, Error> {
        let rate = match &self.rate {
            None => RATE,
            Some(text) => rate("--rate", text)?,
        };
        let level = match &self.level {
            None => Level::default(),
            Some(name) => *Level::ALL.iter().find(|level| level.name() == name).ok_or_else(|| {
                Error::Usage(format!("no level is called `{name}`; there are `light`, `medium`, `heavy` and `stress`"))
            })?,
        };
        let arrivals = match (&self.trace, self.arrivals) {
            (Some(path), _) => Arrivals::Trace(trace(path)?),
            (_, Some(ArrivalsArg::Constant)) => Arrivals::Constant,
            (_, Some(ArrivalsArg::Bursty)) => Arrivals::Bursty(10),
            (_, Some(ArrivalsArg::Poisson) | None) => Arrivals::Poisson,
        };
        Ok(Load {
            arrivals,
            phases: vec![phase(
                self.phase.unwrap_or(PhaseArg::Steady),
                rate,
                during_ms,
            )],
            level,
        })
    }
}

fn phase(kind: PhaseArg, rate: f64, during_ms: u64) -> Phase {
    match kind {
        PhaseArg::Steady => Phase::Steady { rate, during_ms },
        PhaseArg::Burst => Phase::Burst {
            base: rate / 2.0,
            peak: 3.0 * rate,
            on_ms: during_ms / 25,
            off_ms: during_ms * 4 / 25,
            during_ms,
        },
        PhaseArg::Ramp => Phase::Ramp {
            from: 0.0,
            to: 2.0 * rate,
            during_ms,
        },
        PhaseArg::Spike => Phase::Spike {
            base: rate,
            times: 10.0,
            during_ms,
        },
        PhaseArg::Sine => Phase::Sine {
            mean: rate,
            amplitude: 0.5,
            period_ms: during_ms / 2,
            during_ms,
        },
        PhaseArg::Mixed => Phase::Mixed { rate, during_ms },
    }
}

/// The times of a trace, one in a line.
fn trace(path: &Path) -> Result<Vec<u64>, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::Usage(format!(
            "cannot read the trace `{}`: {error}",
            path.display()
        ))
    })?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let number = |(at, line): (usize, &str)| {
        line.trim().parse().map_err(|_| {
            Error::Usage(format!(
                "`{}`, line {}: `{}` is no time in nanoseconds",
                path.display(),
                at + 1,
                line.trim()
            ))
        })
    };
    lines.map(number).collect()
}

/// Items a second, of a rate such as `10k/s`.
pub(crate) fn rate(name: &str, text: &str) -> Result<f64, Error> {
    units::Rate::parse(text)
        .map(|rate| rate.count as f64 * 1e9 / rate.per.ns() as f64)
        .map_err(|error| Error::Usage(format!("`{name}`: {error}")))
}

/// A time such as `30min`.
pub(crate) fn time(name: &str, text: &str) -> Result<Duration, Error> {
    units::Duration::parse(text)
        .map(|time| time.to_std())
        .map_err(|error| Error::Usage(format!("`{name}`: {error}")))
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
