//! What comes, as it is typed or written in a file.

mod written;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::options::rate;
use crate::{
    error::Error,
    load::{Arrivals, Level, Load, Phase, Shares},
    protocol::{Request, Scenario},
};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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

/// What comes.
#[derive(Debug, Default, Args)]
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
    /// How the rate changes, in open loops; of several, such as `steady,burst`, each is measured
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    phase: Vec<PhaseArg>,
    /// How much there is to do: `light`, `medium`, `heavy`, `stress` (events, services, bytes of each event); of several each is measured
    #[arg(long, value_name = "LEVEL", value_delimiter = ',')]
    level: Vec<String>,
    /// Which share each of the six kinds of events has, such as `30/25/20/10/10/5`
    #[arg(long, value_name = "A/B/C/D/E/F")]
    mix: Option<String>,
    /// All of this from a RON file; arrivals, phases, level and mix
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "arrivals", "trace", "phase", "level", "mix"])]
    load: Option<PathBuf>,
}

/// What items there are, where the command itself says when they come.
#[derive(Debug, Default, Args)]
pub(crate) struct ItemArgs {
    /// How much there is to do: `light`, `medium`, `heavy`, `stress` (events, services, bytes of each event)
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// Which share each of the six kinds of events has, such as `30/25/20/10/10/5`
    #[arg(long, value_name = "A/B/C/D/E/F")]
    mix: Option<String>,
}

impl ItemArgs {
    /// What was asked.
    pub(crate) fn asked(&self) -> Result<Asked, Error> {
        Ok(Asked {
            level: self.level.as_deref().map(level).transpose()?,
            mix: self.mix.as_deref().map(mix).transpose()?,
            ..Asked::default()
        })
    }
}

/// What was asked of the load.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// What tells it from others that were asked with it, such as `heavy, burst`; empty if there are none.
    pub(crate) name: String,
    /// What comes when; only for open loops.
    pub(crate) load: Option<Load>,
    pub(crate) level: Option<Level>,
    pub(crate) mix: Option<Shares>,
}

/// Items a second, if nothing else is said.
const RATE: f64 = 20_000.0;

impl LoadArgs {
    /// What was asked: each level in each phase. `during_ms`: how long phases are that are typed.
    pub(crate) fn asked(&self, during_ms: u64) -> Result<Vec<Asked>, Error> {
        if let Some(path) = &self.load {
            return Ok(vec![written::file(path)?]);
        }
        let mix = self.mix.as_deref().map(mix).transpose()?;
        let mut all = Vec::new();
        for level in each(&self.level) {
            for phase in each(&self.phase) {
                all.push(Asked {
                    name: self.name(level, phase),
                    load: self.typed(phase.copied(), during_ms)?,
                    level: level.map(|name| self::level(name)).transpose()?,
                    mix,
                });
            }
        }
        Ok(all)
    }

    fn name(&self, level: Option<&String>, phase: Option<&PhaseArg>) -> String {
        let level = level.filter(|_| self.level.len() > 1).cloned();
        let phase = phase.filter(|_| self.phase.len() > 1);
        let phase = phase.and_then(PhaseArg::to_possible_value);
        let phase = phase.map(|phase| phase.get_name().to_owned());
        let names: Vec<String> = level.into_iter().chain(phase).collect();
        names.join(", ")
    }

    /// What comes when, if anything was said of that.
    fn typed(&self, phase: Option<PhaseArg>, during_ms: u64) -> Result<Option<Load>, Error> {
        if self.rate.is_none() && self.arrivals.is_none() && self.trace.is_none() && phase.is_none()
        {
            return Ok(None);
        }
        let rate = match &self.rate {
            None => RATE,
            Some(text) => rate("--rate", text)?,
        };
        let arrivals = match (&self.trace, self.arrivals) {
            (Some(path), _) => Arrivals::Trace(trace(path)?),
            (_, Some(ArrivalsArg::Constant)) => Arrivals::Constant,
            (_, Some(ArrivalsArg::Bursty)) => Arrivals::Bursty(10),
            (_, Some(ArrivalsArg::Poisson) | None) => Arrivals::Poisson,
        };
        let phase = phase.unwrap_or(PhaseArg::Steady);
        Ok(Some(Load {
            arrivals,
            phases: vec![typed_phase(phase, rate, during_ms)],
        }))
    }
}

/// Each of them, or once none.
fn each<T>(all: &[T]) -> impl Iterator<Item = Option<&T>> {
    let none = all.is_empty().then_some(None);
    all.iter().map(Some).chain(none)
}

impl Asked {
    /// What a scenario is called in a result, where this is asked of it.
    pub(crate) fn called(&self, id: &str) -> String {
        match self.name.as_str() {
            "" => id.to_owned(),
            name => format!("{id} ({name})"),
        }
    }

    /// What items there are, whenever they come.
    pub(crate) fn items(&self) -> (Option<Level>, Option<Shares>) {
        (self.level, self.mix)
    }

    /// Whether the scenario knows what was asked of its items.
    pub(crate) fn fits(&self, scenario: &Scenario) -> Result<(), Error> {
        if scenario.levels || self.items() == (None, None) {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "`{}` has the same items always: it knows neither levels nor mixes",
            scenario.id
        )))
    }

    /// Those of the scenarios that can be given this: a load is for open loops.
    pub(crate) fn fitting(&self, scenarios: &[Scenario]) -> Result<Vec<Scenario>, Error> {
        let fits = |scenario: &&Scenario| self.load.is_none() || scenario.open_loop;
        let open: Vec<Scenario> = scenarios.iter().filter(fits).cloned().collect();
        open.iter().try_for_each(|scenario| self.fits(scenario))?;
        match open.is_empty() {
            false => Ok(open),
            true => Err(Error::Usage(
                "a load is for open loops, and no such scenario is meant".to_owned(),
            )),
        }
    }

    /// The request, with what was asked. What comes when says how long it counts.
    pub(crate) fn of(&self, request: Request) -> Request {
        let during = self.load.as_ref().map(Load::during_ms);
        Request {
            measure_ms: during.filter(|ms| *ms > 0).unwrap_or(request.measure_ms),
            load: self.load.clone().or(request.load),
            level: self.level,
            mix: self.mix,
            ..request
        }
    }
}

fn level(name: &str) -> Result<Level, Error> {
    let found = Level::ALL.iter().find(|level| level.name() == name);
    found.copied().ok_or_else(|| {
        Error::Usage(format!(
            "no level is called `{name}`; there are `light`, `medium`, `heavy` and `stress`"
        ))
    })
}

fn mix(text: &str) -> Result<Shares, Error> {
    let wrong = |why: &str| {
        Error::Usage(format!(
            "`--mix`: `{text}` is no mix: {why}; six whole numbers, such as `30/25/20/10/10/5`"
        ))
    };
    let numbers: Result<Vec<u16>, _> = text.split('/').map(str::parse).collect();
    let numbers = numbers.map_err(|error| wrong(&error.to_string()))?;
    let n = numbers.len();
    let shares: [u16; 6] = numbers
        .try_into()
        .map_err(|_| wrong(&format!("it has {n} numbers")))?;
    Shares::try_from(shares).map_err(|why| wrong(&why))
}

fn typed_phase(kind: PhaseArg, rate: f64, during_ms: u64) -> Phase {
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
    let text = text("trace", path)?;
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

fn text(what: &str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::Usage(format!(
            "cannot read the {what} `{}`: {error}",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_asked_in_each_phase() {
        let check = |levels: &[&str], phases: &[PhaseArg], expect: &[&str]| {
            let args = LoadArgs {
                level: levels.iter().map(|&level| level.to_owned()).collect(),
                phase: phases.to_vec(),
                ..LoadArgs::default()
            };
            let asked = args.asked(1_000).expect("loads");
            let called: Vec<String> = asked.iter().map(|one| one.called("x")).collect();
            assert_eq!(called, expect);
            assert!(
                asked
                    .iter()
                    .all(|one| one.load.is_none() == phases.is_empty())
            );
            assert!(
                asked
                    .iter()
                    .all(|one| one.level.is_none() == levels.is_empty())
            );
        };
        let (steady, burst) = (PhaseArg::Steady, PhaseArg::Burst);
        check(&[], &[], &["x"]);
        check(&["light"], &[burst], &["x"]);
        check(&["light", "heavy"], &[], &["x (light)", "x (heavy)"]);
        check(
            &["light", "heavy"],
            &[steady, burst],
            &[
                "x (light, steady)",
                "x (light, burst)",
                "x (heavy, steady)",
                "x (heavy, burst)",
            ],
        );
    }

    #[test]
    fn mixes_and_levels_are_typed() {
        assert_eq!(mix("30/25/20/10/10/5").expect("a mix"), Shares::default());
        let check = |text: &str, expect: &str| {
            let error = mix(text).expect_err("it is no mix").to_string();
            assert!(error.contains(expect), "{error}");
        };
        check("1/2", "it has 2 numbers");
        check("a/b/c/d/e/f", "invalid digit");
        check("0/0/0/0/0/0", "at least one kind");
        assert_eq!(level("heavy").expect("a level"), Level::Heavy);
        assert!(level("huge").is_err());
    }
}
