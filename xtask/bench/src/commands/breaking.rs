//! `bench break`: where a pipeline breaks under more than it can take, what gives out first, and whether it recovers.
//!
//! One process gets half of what it can take, then all of it and a step more each time, and then half again. Who does not recover
//! then is metastable (Bronson et al., "Metastable Failures in Distributed Systems", 2021), and fails; but only if that happens twice,
//! because a neighbour on the machine may look the same once.

use std::{fs, thread};

use super::{
    load::ItemArgs,
    options::{Interrupt, Output, Source, open_loop, rate, time},
    saving::Keeper,
};
use crate::{
    breaking::{Broken, FEWEST, Ordeal, Step},
    details::Details,
    error::{Error, code},
    findings::Findings,
    limit::limit,
    load::{Arrivals, Load, Phase},
    metrics,
    process::Binary,
    protocol::{Answer, Request, Scenario},
    results::{Saved, SavedScenario},
    session::Side,
};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A scenario with an open loop
    #[arg(default_value = "latency/events")]
    scenario: String,
    /// What it can take, such as `200k/s` [default: what a closed loop of the same thing reaches]
    #[arg(long, value_name = "RATE")]
    capacity: Option<String>,
    /// The largest 99th percentile of the latency
    #[arg(long, value_name = "TIME", default_value = "10ms")]
    p99: String,
    /// How much more each step has, in per cent of the capacity
    #[arg(long, value_name = "PERCENT", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1000))]
    up: u32,
    /// How many steps there are, the first of which is the capacity itself
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=40))]
    steps: u32,
    /// How long a step is [default: 3s]
    #[arg(long, value_name = "TIME")]
    step: Option<String>,
    /// How long it is watched afterwards [default: 10s]
    #[arg(long, value_name = "TIME")]
    watch: Option<String>,
    /// One spike of ten times as much as before, instead of steps
    #[arg(long, conflicts_with_all = ["steps", "up"])]
    spike: bool,
    /// Steps of 0.4 s, watched for 3 s
    #[arg(long, conflicts_with_all = ["step", "watch"])]
    short: bool,
    /// How many workers the pipeline has [default: the scenario's own number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    /// What is drawn comes from this number
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    items: ItemArgs,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    source: Source,
}

/// The verdict on what cannot be judged.
const UNKNOWN: &str = "unknown: too few items for a p99; give it longer steps (`--step`)";

/// How much a spike has, of what came before.
const SPIKE: f64 = 10.0;
/// How much it gets before and after, of what it can take.
const EASY: f64 = 0.5;
/// Trials of which two have to fail to recover.
const TRIALS: u64 = 3;

/// How long things take, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    step: u64,
    watch: u64,
}

impl Times {
    /// How long a part is whose latency is told by itself: so long that half as many items again come as a 99th percentile takes, for
    /// arrivals are drawn. A step is the longest.
    fn part(self, rate: f64) -> u64 {
        let filled = (1.5e3 * FEWEST as f64 / rate.max(1.0)).ceil() as u64;
        (self.step / 8).clamp(20, 250).max(filled).min(self.step)
    }
}

impl Args {
    fn times(&self) -> Result<Times, Error> {
        let ms = |name: &str, text: &Option<String>, usual: [u64; 2]| match (text, self.short) {
            (Some(text), _) => time(name, text).map(|time| time.as_millis().max(1) as u64),
            (None, false) => Ok(usual[0]),
            (None, true) => Ok(usual[1]),
        };
        Ok(Times {
            step: ms("--step", &self.step, [3_000, 400])?,
            watch: ms("--watch", &self.watch, [10_000, 3_000])?,
        })
    }

    /// The rates that come, in items a second.
    fn rates(&self, capacity: f64) -> Vec<f64> {
        let easy = EASY * capacity;
        let hard: Vec<f64> = match self.spike {
            true => vec![SPIKE * easy],
            false => (0..self.steps)
                .map(|step| capacity * (1.0 + f64::from(step * self.up) / 100.0))
                .collect(),
        };
        [vec![easy], hard, vec![easy]].concat()
    }

    fn request(&self, scenario: &str, measure_ms: u64) -> Result<Request, Error> {
        let request = Request {
            workers: self.workers.map(|workers| workers as usize),
            ..Request::new(scenario, self.seed, [200, measure_ms])
        };
        Ok(self.items.asked()?.of(request))
    }
}

/// `bench break`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let times = args.times()?;
    let p99_ns = time("--p99", &args.p99)?.as_nanos() as f64;
    let given = args.capacity.as_deref();
    let given = given.map(|text| rate("--capacity", text)).transpose()?;
    let subject = args.source.subject("trial")?;
    let binary = subject.binary()?;
    let scenarios = binary.list()?.scenarios;
    let scenario = open_loop(&args.scenario, &scenarios)?;
    args.items.asked()?.fits(scenario)?;
    let interrupt = Interrupt::watch()?;
    let capacity = match given {
        Some(rate) => rate,
        None => interrupt.check(saturated(args, &binary, &scenarios))?,
    };
    let (load, steps) = plan(&args.rates(capacity), times);
    let workers = args.workers.unwrap_or(1) as usize;
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let ordeal = Ordeal {
        steps,
        p99_ns,
        running: workers.min(cpus) as f64,
        memory: memory_limit(),
        calm_ms: (times.watch as f64 / 4.0).min(2_000.0),
    };
    let mut keeper = Keeper::new(&args.output, "break", &[(Side::A, &subject)]);
    let mut ended = Ok(());
    let mut recovered = None;
    let mut known = true;
    for trial in 0..TRIALS {
        let request = Request {
            seed: args.seed + trial,
            load: Some(load.clone()),
            part_ms: Some(times.part(EASY * capacity)),
            ..args.request(&args.scenario, load.during_ms())?
        };
        if !args.output.quiet {
            let seconds = (request.warmup_ms + load.during_ms()).div_ceil(1_000);
            eprintln!(
                "{}: {capacity:.0} a second, {seconds} s left in this trial",
                args.scenario
            );
        }
        match interrupt.check(binary.run(&request)) {
            Err(error) => {
                ended = Err(error);
                break;
            }
            Ok(answer) => {
                let scenario = told(args, &ordeal, &answer, workers, cpus);
                let broken = scenario.findings.breaking.as_ref();
                let is_well = broken.is_some_and(|broken| broken.recovered_ms.is_some());
                known = broken.is_some_and(|broken| broken.usual_p99_ns > 0.0);
                keeper.keep(scenario)?;
                if !known {
                    break;
                }
                // Either twice decides; to recover at once needs no second time.
                if is_well || recovered == Some(false) {
                    recovered = Some(is_well);
                    break;
                }
                recovered = Some(false);
            }
        }
    }
    let (verdict, code) = match recovered {
        _ if !known => (UNKNOWN, code::PASS),
        Some(true) => ("recovered", code::PASS),
        _ => ("metastable: it did not recover", code::TARGET),
    };
    keeper.end(ended, verdict, |saved| text(saved, capacity))?;
    Ok(code)
}

/// What a closed loop of the same thing reaches.
fn saturated(args: &Args, binary: &Binary, scenarios: &[Scenario]) -> Result<f64, Error> {
    let name = args.scenario.split_once('/').map_or("", |(_, name)| name);
    let id = format!("throughput/{name}");
    if scenarios.iter().all(|scenario| scenario.id != id) {
        return Err(Error::Usage(format!(
            "there is no `{id}` to find out what it can take: say it with `--capacity`, such as `--capacity 200k/s`"
        )));
    }
    let measure_ms = if args.short { 300 } else { 2_000 };
    let answer = binary.run(&args.request(&id, measure_ms)?)?;
    let reached = answer.metrics.get("throughput").copied();
    reached
        .filter(|rate| *rate > 0.0)
        .ok_or_else(|| Error::Tool(format!("`{id}` told no throughput")))
}

fn plan(rates: &[f64], times: Times) -> (Load, Vec<Step>) {
    let (mut phases, mut steps, mut until) = (Vec::new(), Vec::new(), 0);
    for (at, rate) in rates.iter().copied().enumerate() {
        let during_ms = match at + 1 == rates.len() {
            true => times.watch,
            false => times.step,
        };
        until += during_ms;
        phases.push(Phase::Steady { rate, during_ms });
        steps.push(Step {
            rate,
            until_ms: until as f64,
        });
    }
    let load = Load {
        arrivals: Arrivals::Poisson,
        phases,
    };
    (load, steps)
}

fn told(
    args: &Args,
    ordeal: &Ordeal,
    answer: &Answer,
    workers: usize,
    cpus: usize,
) -> SavedScenario {
    let limit = limit(&[answer], workers, cpus, false);
    // While it has more than it can take, who only one may be in at a time is always in use.
    let full = limit.as_ref().filter(|limit| !limit.by_workers);
    let broken = ordeal.judge(
        &answer.timeline,
        full.map(|limit| (limit.stage.as_str(), 1.0)),
    );
    SavedScenario {
        id: args.scenario.clone(),
        seed: args.seed,
        details: Details::of(&[(Side::A, answer)]),
        findings: Findings {
            breaking: Some(broken),
            limit,
            ..Findings::default()
        },
        ..SavedScenario::default()
    }
}

/// Bytes that this process may have: of its control group, or of the machine.
fn memory_limit() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let machine = || {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    let groups = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limits = groups.into_iter().filter_map(number);
    limits.chain(machine()).min()
}

fn text(saved: &Saved, capacity: f64) -> String {
    let mut lines = Vec::new();
    for scenario in &saved.scenarios {
        let Some(broken) = &scenario.findings.breaking else {
            continue;
        };
        lines.push(format!(
            "{}: it can take about {}",
            scenario.id,
            items(capacity)
        ));
        lines.extend(table(broken, capacity));
        if let Some(limit) = &scenario.findings.limit {
            lines.extend(limit.lines().iter().take(1).map(|line| format!("  {line}")));
        }
    }
    lines.extend(saved.limits.iter().map(|limit| format!("note: {limit}")));
    if saved.partial {
        lines.push("note: partial: not everything was measured".to_owned());
    }
    lines.push(format!("verdict: {}", saved.verdict));
    lines.join("\n")
}

fn table(broken: &Broken, capacity: f64) -> Vec<String> {
    let mut lines = vec![format!(
        "  {:>6} {:>12} {:>12} {:>10} {:>7} {:>9} {:>10}",
        "times", "offered", "done", "p99", "busy", "refused", "resident"
    )];
    for step in &broken.steps {
        lines.push(format!(
            "  {:>5.2}x {:>12} {:>12} {:>10} {:>5.0} % {:>9} {:>6.1} MiB",
            step.rate / capacity,
            items(step.offered),
            items(step.done),
            step.p99_ns.map_or_else(|| "-".to_owned(), ns),
            100.0 * step.busy,
            step.refused,
            step.resident as f64 / f64::from(1 << 20)
        ));
    }
    match broken.events.is_empty() {
        true => lines.push("  nothing happened: give it more with `--up` or `--steps`".to_owned()),
        false => lines.push("  in this order:".to_owned()),
    }
    for event in &broken.events {
        lines.push(format!(
            "  {:>8.2} s at {:.2}x  {}: {}",
            event.at_ms / 1e3,
            event.rate / capacity,
            event.what.word(),
            event.evidence
        ));
    }
    if let Some(gave) = &broken.gave_out {
        lines.push(format!(
            "  gave out first: {}: {}",
            gave.resource.word(),
            gave.evidence
        ));
    }
    lines.push(format!("  most that it did: {}", items(broken.peak)));
    lines.push(match broken.recovered_ms {
        Some(ms) => format!(
            "  as before (p99 {}) {:.2} s after the load had gone back",
            ns(broken.usual_p99_ns),
            ms / 1e3
        ),
        None => format!(
            "  not as before (p99 {}) as long as it was watched",
            ns(broken.usual_p99_ns)
        ),
    });
    lines
}

fn shown(metric: &str, value: f64) -> String {
    metrics::find(metric).map_or_else(String::new, |metric| metric.value(value))
}

fn items(rate: f64) -> String {
    shown("throughput", rate)
}

fn ns(value: f64) -> String {
    shown("latency_p99", value)
}
