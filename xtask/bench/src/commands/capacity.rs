//! `bench capacity`: how many items a second a pipeline can take for good.
//!
//! A rate is sustainable if all of its items were taken, their latency kept to the limit, and little was left when the last one
//! had come. The search doubles the rate until it is not, and halves the gap in ratio until its ends are 3 % apart; each rate has
//! three trials, of which two decide. Nothing of it depends on what was tried before, as a feedback loop does. Trials that the machine
//! disturbed are made again; that the generator is late, or that it does not become steady, is what a rate is judged by.

mod slo;

use std::{cell::RefCell, collections::BTreeMap, thread, time::Duration};

use self::slo::{Kept, Slo};
use super::{
    load::ItemArgs,
    options::{Guarded, Interrupt, Output, Source, during_ms, open_loop, rate},
    progress::Progress,
    saving::Keeper,
    show,
};
use crate::{
    details::{Details, Tried},
    error::{Error, code},
    findings::{self, Findings, Point},
    guards::{Guards, Reason},
    limit::limit,
    load::Load,
    metrics,
    protocol::{Answer, Request},
    results::{Saved, SavedScenario},
    session::Side,
};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A scenario with an open loop
    #[arg(default_value = "latency/events")]
    scenario: String,
    /// The most that percentiles of the latency may be, such as `p50=1ms,p99=10ms`: of p50, p95, p99, p99.9 and max
    #[arg(
        long,
        value_name = "PERCENTILE=TIME,..",
        value_delimiter = ',',
        default_value = "p99=10ms"
    )]
    slo: Vec<String>,
    /// The rate that is tried first
    #[arg(long, value_name = "RATE", default_value = "5k/s")]
    from: String,
    /// How long a trial counts
    #[arg(long, value_name = "TIME", default_value = "3s")]
    during: String,
    /// How many workers the pipeline has [default: the scenario's own number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    #[command(flatten)]
    items: ItemArgs,
    #[command(flatten)]
    guarded: Guarded,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    source: Source,
}

/// What a trial at a rate said.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Sustainable,
    /// Why not.
    Not(String),
    /// The generator cannot offer so much: that says nothing of the pipeline.
    GeneratorLate,
    /// Why nothing is known of it: the machine disturbed it again and again.
    Disturbed(String),
}

/// Where the limit lies.
#[derive(Clone, Debug, PartialEq)]
enum Limit {
    /// Between these rates, and what the upper one broke.
    Between(f64, f64, String),
    /// Not even the first rate.
    Below(f64, String),
    /// Above it; the generator has no more.
    Above(f64),
    /// Why nothing is known of it.
    Refused(String),
}

/// How far the ends of the bracket are apart at last.
const CLOSE: f64 = 1.03;
/// How often a bracket of twice as much is halved until they are.
const HALVINGS: usize = 5;
/// No pipeline takes more: the plan would not fit into memory.
const MOST: f64 = 1e7;

/// `bench capacity`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let slo = Slo::typed(&args.slo)?;
    let measure_ms = during_ms(&args.during, Duration::from_millis(1))?;
    let from = rate("--from", &args.from)?;
    let asked = args.items.asked()?;
    let subject = args.source.subject("trial")?;
    let binary = subject.binary()?;
    let listing = binary.list()?;
    let scenario = open_loop(&args.scenario, &listing.scenarios)?;
    asked.fits(scenario)?;
    let interrupt = Interrupt::watch()?;
    let watched = args.guarded.watched(Guards::default());
    let subjects = [(Side::A, &subject)];
    let keeper = args.guarded.keeper(&args.output, "capacity", &subjects);
    let search_of = RefCell::new(Search {
        args,
        keeper,
        capacity: findings::Capacity {
            slo: slo.limits(),
            ..findings::Capacity::default()
        },
        sustained: None,
        disturbed: BTreeMap::new(),
        refused: None,
    });
    // Each rate that is sustainable before any is not makes it one rate more; who waits is told of those that are certain.
    let progress = Progress::new(1 + HALVINGS, args.output.quiet);
    let mut doubles = true;
    let found = search(from, |rate| {
        let said = majority(|seed| {
            let request = asked.of(Request {
                workers: args.workers.map(|workers| workers as usize),
                load: Some(Load::steady(rate, measure_ms)),
                ..Request::new(&args.scenario, seed, [200, measure_ms])
            });
            let trial = || interrupt.check(watched.trial(&binary, &request));
            let found = watched.undisturbed(
                Reason::is_of_machine,
                &mut search_of.borrow_mut().disturbed,
                trial,
            )?;
            let trial = match found {
                Ok(trial) => trial,
                Err(why) => return Ok(Said::Disturbed(why)),
            };
            let late = trial.reasons.contains(&Reason::GeneratorLate);
            let said = judge(&trial.answer, late, &slo);
            search_of.borrow_mut().tried(rate, &trial.answer, &said)?;
            Ok(said)
        })?;
        doubles &= said == Said::Sustainable;
        if doubles {
            progress.more(1);
        }
        progress.step(&format!("{rate:>10.0} /s  {}", word(&said)));
        Ok(said)
    });
    progress.end();
    let mut search = search_of.into_inner();
    let ended = found.and_then(|limit| {
        search.found(&limit);
        search.keep()?;
        Ok(told(&limit, &args.scenario, &slo))
    });
    let verdict = ended.as_deref().unwrap_or("unfinished").to_owned();
    let told = verdict.clone();
    search
        .keeper
        .end(ended.map(|_| ()), &verdict, |saved| text(saved, &told))?;
    Ok(code::PASS)
}

/// A search while it goes on.
struct Search<'a> {
    args: &'a Args,
    keeper: Keeper,
    capacity: findings::Capacity,
    /// The answer at the highest rate that was sustainable.
    sustained: Option<(f64, Answer)>,
    /// Trials that the machine disturbed, by the reason, and why it was given up.
    disturbed: BTreeMap<String, usize>,
    refused: Option<String>,
}

impl Search<'_> {
    /// A trial was made.
    fn tried(&mut self, rate: f64, answer: &Answer, said: &Said) -> Result<(), Error> {
        let metric = |name: &str| answer.metrics.get(name).copied();
        self.capacity.points.push(Point {
            rate,
            achieved: metric("throughput").unwrap_or(0.0),
            p50_ns: metric("latency_p50"),
            p99_ns: metric("latency_p99"),
            said: word(said).to_owned(),
        });
        let higher = self
            .sustained
            .as_ref()
            .is_none_or(|(most, _)| rate >= *most);
        if *said == Said::Sustainable && higher {
            self.sustained = Some((rate, answer.clone()));
        }
        self.keep()
    }

    /// The search is over.
    fn found(&mut self, limit: &Limit) {
        let (low, high, why) = match limit {
            Limit::Between(low, high, why) => (Some(*low), Some(*high), why.clone()),
            Limit::Below(rate, why) => (None, Some(*rate), why.clone()),
            Limit::Above(rate) => (Some(*rate), None, "the generator has no more".to_owned()),
            Limit::Refused(why) => {
                self.refused = Some(why.clone());
                (None, None, why.clone())
            }
        };
        self.capacity.knee = knee(&self.capacity.points);
        self.capacity.low = low;
        self.capacity.high = high;
        self.capacity.why = why;
    }

    fn keep(&mut self) -> Result<(), Error> {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let workers = self.args.workers.unwrap_or(1) as usize;
        let sustained = self.sustained.as_ref();
        let known = sustained.map(|(_, answer)| Details::of(&[(Side::A, answer)]));
        self.keeper.keep(SavedScenario {
            id: self.args.scenario.clone(),
            disturbed: self.disturbed.clone(),
            refused: self.refused.clone(),
            details: Details {
                curve: self.capacity.points.iter().map(tried).collect(),
                shared: known.unwrap_or_default().shared,
                ..Details::default()
            },
            findings: Findings {
                capacity: Some(self.capacity.clone()),
                limit: sustained.and_then(|(_, answer)| limit(&[answer], workers, cpus, false)),
                ..Findings::default()
            },
            ..SavedScenario::default()
        })
    }
}

/// A point of the curve that reports draw.
fn tried(point: &Point) -> Tried {
    Tried {
        offered: point.rate,
        achieved: point.achieved,
        p50: point.p50_ns,
        p99: point.p99_ns,
        sustainable: point.said == word(&Said::Sustainable),
    }
}

/// The rate at which there is most for its latency: throughput by median latency (Kleinrock, "Power and Deterministic Rules of Thumb
/// for Probabilistic Problems in Computer Communications", 1979).
fn knee(points: &[Point]) -> Option<f64> {
    let power = |point: &Point| Some(point.achieved / point.p50_ns.filter(|ns| *ns > 0.0)?);
    let sustained = points
        .iter()
        .filter(|point| point.said == word(&Said::Sustainable));
    let of = sustained.filter_map(|point| Some((point.rate, power(point)?)));
    let best = of.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(best.0)
}

fn word(said: &Said) -> &str {
    match said {
        Said::Sustainable => "sustainable",
        Said::Not(why) => why,
        Said::GeneratorLate => "the generator cannot keep up",
        Said::Disturbed(why) => why,
    }
}

fn told(limit: &Limit, name: &str, slo: &Slo) -> String {
    match limit {
        Limit::Between(low, high, why) => {
            format!("{name}: {low:.0} to {high:.0} items a second with {slo}; above it: {why}")
        }
        Limit::Below(rate, why) => format!("{name}: not even {rate:.0} items a second: {why}"),
        Limit::Above(rate) => format!(
            "{name}: more than {rate:.0} items a second; the generator has no more on this machine"
        ),
        Limit::Refused(why) => format!("{name}: refused: {why}"),
    }
}

fn text(saved: &Saved, told: &str) -> String {
    let mut lines = vec![told.to_owned()];
    for scenario in &saved.scenarios {
        if !scenario.disturbed.is_empty() {
            lines.push(format!("  {}", show::head(scenario)));
        }
        if let Some(knee) = scenario.findings.capacity.as_ref().and_then(|one| one.knee) {
            let shown = metrics::find("throughput").map(|metric| metric.value(knee));
            let shown = shown.unwrap_or_default();
            lines.push(format!("  most for its latency at about {shown}"));
        }
        if let Some(limit) = &scenario.findings.limit {
            lines.extend(limit.lines().iter().map(|line| format!("  {line}")));
        }
    }
    lines.extend(saved.limits.iter().map(|limit| format!("note: {limit}")));
    if saved.partial {
        lines.push("note: partial: not everything was measured".to_owned());
    }
    lines.join("\n")
}

/// How long what is left may take when the last item has come, in nanoseconds.
const DRAIN_NS: u64 = 1_000_000_000;

fn judge(answer: &Answer, late: bool, slo: &Slo) -> Said {
    let Some(generator) = answer.generator else {
        return Said::Not("the trial has no open loop".to_owned());
    };
    if generator.refused > 0 {
        return Said::Not(format!(
            "{} of {} items found the input full",
            generator.refused, generator.offered
        ));
    }
    if generator.drain_ns > DRAIN_NS {
        return Said::Not("what was left took more than a second".to_owned());
    }
    match slo.kept(&answer.metrics) {
        Kept::Yes => Said::Sustainable,
        Kept::No(_) if late => Said::GeneratorLate,
        Kept::No(why) => Said::Not(why),
        Kept::Unknown(percentile) => Said::Not(format!(
            "too few items for {percentile}; use a longer `--during`"
        )),
    }
}

/// What two of three trials say.
fn majority(mut trial: impl FnMut(u64) -> Result<Said, Error>) -> Result<Said, Error> {
    let same = |a: &Said, b: &Said| std::mem::discriminant(a) == std::mem::discriminant(b);
    let mut before: Vec<Said> = Vec::new();
    loop {
        let said = trial(before.len() as u64 + 1)?;
        let decides = before.len() == 2 || before.iter().any(|one| same(one, &said));
        // What was disturbed was made again already.
        if decides || matches!(said, Said::Disturbed(_)) {
            return Ok(said);
        }
        before.push(said);
    }
}

fn search(from: f64, mut at: impl FnMut(f64) -> Result<Said, Error>) -> Result<Limit, Error> {
    let (mut low, mut high, mut why) = (None, from, String::new());
    loop {
        match at(high)? {
            Said::Sustainable if high >= MOST => return Ok(Limit::Above(high)),
            Said::Sustainable => {
                low = Some(high);
                high *= 2.0;
            }
            Said::Not(reason) => {
                why = reason;
                break;
            }
            Said::GeneratorLate => break,
            Said::Disturbed(why) => return Ok(Limit::Refused(why)),
        }
    }
    let Some(mut low) = low else {
        let why = if why.is_empty() {
            "the generator cannot keep up".to_owned()
        } else {
            why
        };
        return Ok(Limit::Below(from, why));
    };
    let mut generator = why.is_empty();
    while high / low > CLOSE {
        let middle = (low * high).sqrt();
        match at(middle)? {
            Said::Sustainable => low = middle,
            Said::Not(reason) => (high, why, generator) = (middle, reason, false),
            Said::GeneratorLate => (high, generator) = (middle, true),
            Said::Disturbed(why) => return Ok(Limit::Refused(why)),
        }
    }
    Ok(match generator {
        true => Limit::Above(low),
        false => Limit::Between(low, high, why),
    })
}

#[cfg(test)]
mod tests;
