//! `bench ab`: two binaries, block by block.

use std::fmt;

use super::{
    build::{Package, Subject},
    load::LoadArgs,
    options::{Common, Interrupt},
    progress::Progress,
    saving::{self, Keeper},
};
use crate::{
    error::{Error, code},
    machine,
    metrics::Better,
    process::Binary,
    protocol::{Request, Scenario},
    results::{Saved, SavedScenario},
    session::{self, Session, Side},
    verdict::Verdict,
};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// What to compare with: a revision, or a binary of trials
    #[arg(long, value_name = "REV|FILE")]
    base: String,
    /// What is compared: a revision, or a binary of trials [default: the working tree]
    #[arg(long, value_name = "REV|FILE")]
    head: Option<String>,
    /// Trials of a package of the workspace, such as `my-pipeline/trial` [default: the repository's own]
    #[arg(long, value_name = "PACKAGE/BIN")]
    trials: Option<String>,
    #[command(flatten)]
    deny: Deny,
    #[command(flatten)]
    load: LoadArgs,
}

/// What else fails.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Deny {
    /// Exit with 13 if what gates is inconclusive
    #[arg(long)]
    deny_inconclusive: bool,
    /// Exit with 14 if what gates is refused
    #[arg(long)]
    deny_refused: bool,
}

/// `bench ab`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let common = &args.common;
    let package = match &args.trials {
        Some(text) => Package::parse(text)?,
        None => Package::own("trial"),
    };
    let asked = args.load.asked(common.mode().measure_ms)?;
    let a = Subject::at(&args.base, &package)?;
    let b = match &args.head {
        Some(head) => Subject::at(head, &package)?,
        None => Subject::built(&package)?,
    };
    let scenarios = common.choose(&both(&a.binary()?, &b.binary()?)?)?;
    let mut pairs = Vec::new();
    for asked in &asked {
        let fitting = asked.fitting(&scenarios)?.into_iter();
        pairs.extend(fitting.map(|scenario| Pair {
            id: asked.called(&scenario.id),
            requests: [&scenario.id, &scenario.id].map(|id| asked.of(common.request(id))),
            interface: None,
        }));
    }
    let keeper = compare(common, [&a, &b], &pairs, summary)?;
    Ok(exit(&keeper.saved, args.deny))
}

/// What is compared with each other.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// What it is called in the result.
    pub(crate) id: String,
    /// What is asked of A and of B, but for the seed.
    pub(crate) requests: [Request; 2],
    /// What both do, if they are two scenarios.
    pub(crate) interface: Option<String>,
}

/// Compares all pairs, block by block; the result, which was saved and printed.
pub(crate) fn compare(
    common: &Common,
    [a, b]: [&Subject; 2],
    pairs: &[Pair],
    summary: fn(&Saved) -> String,
) -> Result<Keeper, Error> {
    let targets = common.targets()?;
    let folder = tempfile::tempdir_in(machine::scratch())
        .map_err(|error| Error::file("make a folder in", &machine::scratch(), &error))?;
    let sides = [
        a.binary()?.copied(folder.path(), "A")?,
        b.binary()?.copied(folder.path(), "B")?,
    ];
    let subjects = [(Side::A, a), (Side::B, b)];
    let mut keeper = common.keeper(common.mode().name, &subjects);
    let plan = common.plan(&targets, pairs.len());
    let (watched, rules) = (common.watched(&targets), common.rules(&targets));
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(pairs.len() * plan.most, common.output.quiet);
    let mut ended = Ok(());
    for pair in pairs {
        let trial = |side: Side, seed| {
            let request = Request {
                seed,
                ..pair.requests[side as usize].clone()
            };
            interrupt.check(watched.trial(&sides[side as usize], &request))
        };
        ended = session::run(plan, &rules, trial, |step| {
            let mut one = SavedScenario::compared(&pair.id, plan.seed, step.session);
            one.details.asked = Some(pair.requests[0].clone());
            one.findings.interface.clone_from(&pair.interface);
            progress.step(&Live(&pair.id, step.session).to_string());
            if step.last {
                progress.skip(plan.most.saturating_sub(step.session.blocks.len()));
            }
            keeper.keep(one)
        })
        .map(|_| ());
        if ended.is_err() {
            break;
        }
    }
    progress.end();
    let verdict = summary(&keeper.saved);
    keeper.end(ended, &verdict, saving::text)?;
    Ok(keeper)
}

/// What both can measure.
fn both(a: &Binary, b: &Binary) -> Result<Vec<Scenario>, Error> {
    let (a, b) = (a.list()?, b.list()?);
    let common = |scenario: &Scenario| a.scenarios.iter().any(|other| other.id == scenario.id);
    let found: Vec<Scenario> = b.scenarios.into_iter().filter(common).collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::Usage(
            "the two binaries have no scenario in common".to_owned(),
        )),
    }
}

/// The verdicts on what gates.
pub(crate) fn gating(saved: &Saved) -> impl Iterator<Item = &Verdict> {
    let metrics = saved
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.metrics);
    let gating = metrics.filter(|metric| metric.gate);
    gating.filter_map(|metric| Some(&metric.change.as_ref()?.verdict))
}

/// The worst that was said of what gates.
fn summary(saved: &Saved) -> String {
    let has = |word: &str| gating(saved).any(|verdict| verdict.word() == word);
    let refused = saved
        .scenarios
        .iter()
        .any(|scenario| scenario.refused.is_some());
    let words = ["regressed", "refused", "inconclusive", "improved"];
    let worst = words
        .into_iter()
        .find(|word| has(word) || *word == "refused" && refused);
    worst.unwrap_or("equivalent").to_owned()
}

fn exit(saved: &Saved, deny: Deny) -> u8 {
    let has = |word: &str| gating(saved).any(|verdict| verdict.word() == word);
    match has("regressed") {
        true => code::REGRESSED,
        false => denied(saved, deny),
    }
}

/// The exit code of what is not known, where that is denied.
pub(crate) fn denied(saved: &Saved, deny: Deny) -> u8 {
    let has = |word: &str| gating(saved).any(|verdict| verdict.word() == word);
    let refused = has("refused")
        || saved
            .scenarios
            .iter()
            .any(|scenario| scenario.refused.is_some());
    match () {
        () if refused && deny.deny_refused => code::REFUSED,
        () if has("inconclusive") && deny.deny_inconclusive => code::INCONCLUSIVE,
        () => code::PASS,
    }
}

/// A scenario while it is compared, in a line.
struct Live<'a>(&'a str, &'a Session);

impl fmt::Display for Live<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  block {}", self.0, self.1.blocks.len())?;
        for (differences, judged) in self
            .1
            .judged
            .iter()
            .filter(|(differences, _)| differences.gate)
        {
            let metric = differences.metric;
            let shown = |worse: f64| metric.shown(metric.change(worse));
            write!(f, "  {} {}", metric.name, shown(judged.estimate))?;
            if let Some(found) = judged.interval {
                // What is worse may be less.
                let [low, high] = match metric.better {
                    Better::Lower => [found.low, found.high],
                    Better::Higher => [found.high, found.low],
                };
                write!(f, " [{}, {}]", shown(low), shown(high))?;
            }
        }
        Ok(())
    }
}
