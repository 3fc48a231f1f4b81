//! `cargo xtask hw probe`: what this machine does, measured.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pipewright_hw::{
    Files, identity, parse_list,
    probe::{self, Kind, LONG, Measurement, Outcome, Plan, Probe, SHORT, Watch, judge, page},
    saved::{self, Saved},
};

use super::{Ended, Problem, print};

#[derive(Debug, Args)]
pub(crate) struct ProbeFlags {
    /// Take a minute: more samples, larger memory
    #[arg(long)]
    long: bool,
    /// About how long all measurements take [default: 12, or 60 if long]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Only these cpus, such as `0-3,8` [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Only these measurements, such as `A3,A7`
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also draw it: a page in this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Measure nothing: show the result in this file, which `--json` printed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["long", "seconds", "cpus", "only"])]
    from: Option<PathBuf>,
    /// Print only the floor, and no progress
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn run(flags: &ProbeFlags) -> Ended {
    let saved = match &flags.from {
        Some(file) => Saved::read(file).map_err(|error| error.to_string())?,
        None => measure(flags)?,
    };
    let probe = saved.probe.clone().ok_or_else(|| {
        "this is no result of `hw probe`\nhelp: `cargo xtask hw probe --json` prints one".to_owned()
    })?;
    let probe: Probe = serde_json::from_value(probe)
        .map_err(|error| format!("this is no result of `hw probe`: {error}"))?;
    match (flags.json, flags.quiet) {
        (true, _) => print(&saved.to_string())?,
        (false, true) => print(&format!("floor {}\n", judge::floor_line(&probe)))?,
        (false, false) => print(&format!("{probe}\n"))?,
    }
    if let Some(file) = &flags.html {
        let page = page::page(&probe, &saved.machine, &saved.to_string())
            .map_err(|error| error.to_string())?;
        page.write(file).map_err(|error| {
            Problem::Unwritten(format!("cannot write `{}`: {error}", file.display()))
        })?;
    }
    Ok(0)
}

fn measure(flags: &ProbeFlags) -> Result<Saved, String> {
    let plan = plan(flags)?;
    let mut watch: Box<dyn Watch> = match flags.quiet {
        true => Box::new(probe::Unwatched),
        false => Box::new(Progress::new(&plan)),
    };
    let probe = probe::run(&plan, watch.as_mut()).map_err(|error| error.to_string())?;
    let mut saved = Saved::new(saved::Kind::Probe, identity(&Files::at(Path::new("/"))));
    saved.figures = judge::figures(&probe).collect();
    saved.floor = Some(judge::floor(&probe));
    saved.probe = Some(serde_json::to_value(&probe).map_err(|error| error.to_string())?);
    Ok(saved)
}

fn plan(flags: &ProbeFlags) -> Result<Plan, String> {
    let usual = if flags.long { LONG } else { SHORT };
    let mut plan = Plan::new(flags.seconds.map_or(usual, Duration::from_secs));
    if let Some(list) = &flags.cpus {
        let cpus = parse_list(list).filter(|cpus| !cpus.is_empty());
        plan =
            plan.cpus(cpus.ok_or_else(|| {
                format!("`{list}` is no list of cpus\nhelp: write it as `0-3,8`")
            })?);
    }
    let named = |id: &String| {
        Kind::named(id).ok_or_else(|| {
            let all = probe::ALL
                .map(|kind| format!("{} ({})", kind.id(), kind.title()))
                .join(", ");
            format!("there is no measurement `{id}`\nhelp: there are {all}")
        })
    };
    Ok(plan.only(flags.only.iter().map(named).collect::<Result<_, _>>()?))
}

/// A bar on a terminal, lines elsewhere. It is only drawn between measurements: a bar that moves meanwhile would be measured.
struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        let all: Duration = plan.steps().iter().map(|(_, about)| *about).sum();
        let bar = ProgressBar::new(all.as_millis() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
            bar.set_style(style);
        }
        Progress {
            bar,
            lines: !std::io::stderr().is_terminal(),
        }
    }
}

impl Watch for Progress {
    fn begins(&mut self, kind: Kind, about: Duration) {
        let left = Duration::from_millis(
            self.bar
                .length()
                .unwrap_or(0)
                .saturating_sub(self.bar.position()),
        );
        let left = format!("{:.0} s left", left.as_secs_f64());
        self.bar.set_message(format!(
            "{left}: {} {} ({:.1} s)",
            kind.id(),
            kind.title(),
            about.as_secs_f64()
        ));
        self.bar.tick();
        self.bar
            .set_position(self.bar.position() + about.as_millis() as u64);
    }

    fn ended(&mut self, measurement: &Measurement) {
        let Measurement {
            id,
            title,
            outcome,
            seconds,
            ..
        } = measurement;
        if self.lines {
            let word = if *outcome == Outcome::Measured {
                measurement.rating.word()
            } else {
                "SKIP"
            };
            eprintln!("{word} [{seconds:5.1} s] {id} {title}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
