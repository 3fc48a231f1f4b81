//! `cargo xtask hw`: what a machine offers a pipeline. The package `pipewright-hw` does the work.

mod probe;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use pipewright_hw::{
    check::{self, Checkup, Profile, Selection, Status},
    declared::{Declaration, Declared, Demands},
    diff::{self, Diff},
    floor::Floor,
    host::{Facts, Host},
    identity,
    probe::Kind,
    saved::Saved,
    script, text,
    thresholds::Thresholds,
};
use pipewright_spec::units::{self, Rate};

use crate::{read, say};

/// What is found cannot be written.
const UNWRITTEN: u8 = 1;
/// A file or an argument is wrong.
const WRONG_INPUT: u8 = 2;
/// A check failed.
const FAILED: u8 = 20;
/// With `--strict`: a check warned, or could not tell.
const WARNED: u8 = 21;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the machine, and whether pipelines fit it
    Check(CheckFlags),
    /// Print two scripts that change what checks find wanting, and take it back; neither is run
    Script {
        #[command(flatten)]
        asked: Asked,
        /// Print only this one
        #[arg(long, value_enum)]
        only: Option<Which>,
    },
    /// Name what differs between two results that `--json` printed
    Diff {
        /// A result
        a: PathBuf,
        /// Another result
        b: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Exit with 21 if something differs
        #[arg(long)]
        strict: bool,
    },
    /// Measure what the machine does: clocks, jitter, wake-ups, memory, cpu to cpu
    Probe(probe::ProbeFlags),
    /// Tell what a check is for, what it reads, what to do, and what that costs
    Explain {
        /// Such as `C09`, or `A7` of the probe, or the letter of a group
        id: String,
    },
}

/// One of two scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    /// The one that changes the machine
    Tune,
    /// The one that writes back what the machine has now
    Untune,
}

#[derive(Debug, Args)]
pub(crate) struct CheckFlags {
    #[command(flatten)]
    asked: Asked,
    /// Only these checks, by id or by the letter of their group
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these checks out
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// What `hw probe --json` measured on this machine
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
    /// Seconds for which the machine is kept busy and watched; 0 does not [default: 1, or 5 where it is measured or served]
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
    /// Other numbers to compare with, in the form of `xtask/hw/table/thresholds.ron`
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show also what passed and what was skipped
    #[arg(long, short)]
    verbose: bool,
    /// Exit with 21 if a check warns or cannot tell
    #[arg(long)]
    strict: bool,
}

/// What the machine is asked for.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// What the machine is for
    #[arg(long, value_enum, default_value_t = Word::Dev)]
    profile: Word,
    /// Pipelines that are to run on it, in one process: Rust files with `#[pipeline]` modules, and topologies (`.ron`)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pipeline: Vec<PathBuf>,
    /// The time in which 99 of 100 items are to be done, such as `1ms`
    #[arg(long, value_name = "TIME", value_parser = time)]
    p99: Option<u64>,
    /// How many items come, such as `100k/s`
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,
    /// What an item takes on one worker, such as `2us`
    #[arg(long, value_name = "TIME", value_parser = time)]
    service: Option<u64>,
    /// Bytes of an item, such as `512` or `1Ki`
    #[arg(long, value_name = "BYTES", value_parser = count)]
    item: Option<u64>,
    /// Bytes that are to be locked in memory, such as `64Mi`
    #[arg(long, value_name = "BYTES", value_parser = count)]
    locked: Option<u64>,
    /// Huge pages of 2 MiB that are to be reserved
    #[arg(long, value_name = "N", value_parser = count)]
    huge_pages: Option<u64>,
    /// Look at the files of a machine below this folder: a recording, or those of a host
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
}

/// A profile, as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    /// Writing code
    Dev,
    /// Running tests
    Ci,
    /// Measuring
    Bench,
    /// Running for throughput
    Prod,
    /// Running for latency
    Realtime,
}

impl Word {
    fn profile(self) -> Profile {
        Profile::ALL[self as usize]
    }
}

fn time(text: &str) -> Result<u64, String> {
    let parsed = units::Duration::parse(text);
    parsed
        .map(units::Duration::ns)
        .map_err(|error| format!("{error}; {}", error.help()))
}

fn rate(text: &str) -> Result<Rate, String> {
    Rate::parse(text).map_err(|error| format!("{error}; {}", error.help()))
}

fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(plain) => Ok(plain),
        Err(_) => units::parse_count(text).map_err(|error| format!("{error}; {}", error.help())),
    }
}

/// What a command ends with: its exit code, or why it has none.
type Ended = Result<u8, Problem>;

/// Why a command ends early.
#[derive(Debug)]
enum Problem {
    /// Its input is wrong.
    Input(String),
    /// What it found cannot be written.
    Unwritten(String),
}

impl From<String> for Problem {
    fn from(why: String) -> Self {
        Self::Input(why)
    }
}

pub(crate) fn run(command: Command) -> ExitCode {
    let ended = match command {
        Command::Check(flags) => run_check(&flags),
        Command::Probe(flags) => probe::run(&flags),
        Command::Explain { id } => explain(&id),
        Command::Script { asked, only } => script(&asked, only),
        Command::Diff { a, b, json, strict } => run_diff((&a, &b), json, strict),
    };
    let (why, code) = match ended {
        Ok(code) => return ExitCode::from(code),
        Err(Problem::Input(why)) => (why, WRONG_INPUT),
        Err(Problem::Unwritten(why)) => (why, UNWRITTEN),
    };
    eprintln!("error: {why}");
    ExitCode::from(code)
}

fn run_check(flags: &CheckFlags) -> Ended {
    let mut selection = Selection {
        profile: flags.asked.profile.profile(),
        only: flags.only.clone(),
        skip: flags.skip.clone(),
        thresholds: Thresholds::default(),
    };
    if let Some(path) = &flags.thresholds {
        let source = read::source(path)?;
        let parsed = Thresholds::parse(&source.text);
        selection.thresholds = parsed.map_err(|error| format!("`{}`: {error}", path.display()))?;
    }
    if let Some(name) = selection.unknown() {
        return Err(no_check(name).into());
    }
    let declared = flags.asked.declared()?;
    let (mut host, is_here) = flags.asked.host()?;
    let machine = identity(host.files());
    let probe = flags.probe.as_deref();
    let floor = probe.map(|path| floor(path, &machine)).transpose()?;
    let usual = match selection.profile {
        Profile::Dev | Profile::Ci => 1,
        Profile::Bench | Profile::Prod | Profile::Realtime => 5,
    };
    let seconds = flags.seconds.unwrap_or(usual);
    if is_here && seconds > 0 {
        host.watch(Duration::from_secs(seconds.into()));
    }
    let checkup = check::check(&host, &declared, floor.as_ref(), &selection);
    let code = code(&checkup, flags.strict);
    match flags.json {
        true => print(&Saved::of(checkup, machine).to_string())?,
        false => print(&text::checkup(&checkup, flags.verbose))?,
    }
    Ok(code)
}

fn code(checkup: &Checkup, is_strict: bool) -> u8 {
    let doubtful = checkup.count(Status::Warn) + checkup.count(Status::Unknown);
    match (checkup.count(Status::Fail), doubtful) {
        (1.., _) => FAILED,
        (0, 1..) if is_strict => WARNED,
        _ => 0,
    }
}

/// What a probe measured on this machine.
fn floor(path: &Path, machine: &BTreeMap<String, String>) -> Result<Floor, String> {
    let saved = Saved::read(path).map_err(|error| error.to_string())?;
    let differs = diff::machines(&saved.machine, machine);
    if !differs.is_empty() {
        return Err(format!(
            "`{}` was measured on another machine: {}\nhelp: measure this one with `hw probe --json`",
            path.display(),
            differs.join("; ")
        ));
    }
    let none = || {
        format!(
            "`{}` holds no measurements; write it with `hw probe --json`",
            path.display()
        )
    };
    saved.floor.ok_or_else(none)
}

fn explain(name: &str) -> Ended {
    let check = check::find(name).map(text::explain);
    let measured = || Kind::named(name).map(text::measurement);
    let text = check.or_else(measured).or_else(|| text::group(name));
    print(&text.ok_or_else(|| no_check_of(name, &pipewright_hw::probe::ALL))?)?;
    Ok(0)
}

fn script(asked: &Asked, only: Option<Which>) -> Ended {
    let selection = Selection {
        profile: asked.profile.profile(),
        ..Selection::default()
    };
    let declared = asked.declared()?;
    let (host, _) = asked.host()?;
    let checkup = check::check(&host, &declared, None, &selection);
    let script::Scripts { tune, untune } = script::scripts(&host, &checkup, &declared.hot());
    print(&match only {
        Some(Which::Tune) => tune,
        Some(Which::Untune) => untune,
        None => format!("# ---- tune.sh\n{tune}\n# ---- untune.sh\n{untune}"),
    })?;
    Ok(0)
}

fn run_diff((a, b): (&Path, &Path), is_json: bool, is_strict: bool) -> Ended {
    let read = |path: &Path| Saved::read(path).map_err(|error| error.to_string());
    let diff = Diff::of(&read(a)?, &read(b)?);
    print(&match is_json {
        true => diff.to_string(),
        false => diff.text(),
    })?;
    Ok(if is_strict && !diff.is_empty() {
        WARNED
    } else {
        0
    })
}

/// Says it, coloured only where somebody looks.
fn print(text: &str) -> Result<(), Problem> {
    say::text(text).map_err(Problem::Unwritten)
}

fn no_check(name: &str) -> String {
    no_check_of(name, &[])
}

/// There is no check of this name, and none of these measurements.
fn no_check_of(name: &str, measured: &[Kind]) -> String {
    let checks = check::checks().iter().map(|check| check.id.as_str());
    let ids = measured.iter().map(|kind| kind.id()).chain(checks);
    let near = pipewright_spec::suggest::nearest(&name.to_uppercase(), ids);
    let help = near.map_or_else(
        || {
            "write an id such as `C09`, or the letter of a group: C, F, S, I, M, L, V, B, P"
                .to_owned()
        },
        |near| format!("did you mean `{near}`?"),
    );
    format!("there is no check `{name}`; {help}")
}

impl Asked {
    fn declared(&self) -> Result<Declared, String> {
        let mut pipelines = Vec::new();
        for path in &self.pipeline {
            let reading = read::read(path);
            let shown = path.display().to_string();
            if let Some(problem) = reading.problems().next() {
                return Err(format!(
                    "`{shown}` is no pipeline that can run: `cargo xtask check {shown}` tells all\n{problem}"
                ));
            }
            if reading.pipelines.is_empty() {
                return Err(format!("`{shown}` holds no pipeline"));
            }
            let found = reading.pipelines.into_iter();
            pipelines.extend(found.map(|found| Declaration::new(shown.clone(), found.model)));
        }
        let demands = Demands {
            p99: self.p99,
            rate: self.rate,
            service: self.service,
            item: self.item,
            locked: self.locked,
            huge_pages: self.huge_pages,
        };
        Ok(Declared { pipelines, demands })
    }

    /// The machine, and whether it is this one.
    fn host(&self) -> Result<(Host, bool), String> {
        let here = PathBuf::from(".");
        let Some(root) = &self.root else {
            return Ok((Host::here(&here), true));
        };
        if !["proc", "sys"].iter().any(|name| root.join(name).is_dir()) {
            return Err(format!(
                "`{}` is no machine: it holds neither a folder `proc` nor a folder `sys`\nhelp: give the folder that stands for `/`, in which they are",
                root.display()
            ));
        }
        let facts = Facts {
            os: "linux".to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            ..Facts::default()
        };
        Ok((Host::recorded(root, &here, facts, None), false))
    }
}
