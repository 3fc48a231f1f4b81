//! `bench ab`: two binaries, block by block.

use std::fmt;

use super::{
    build::Subject,
    options::{Common, Interrupt},
    progress::Progress,
    run::{begin, keep, place, tell},
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

/// `bench ab`. `deny` says whether inconclusive and refused metrics fail.
pub(crate) fn run(
    common: &Common,
    base: &str,
    head: Option<&str>,
    deny: [bool; 2],
) -> Result<u8, Error> {
    let targets = common.targets()?;
    let a = Subject::at(base)?;
    let b = match head {
        Some(head) => Subject::at(head)?,
        None => Subject::built("trial")?,
    };
    let scenarios = common.choose(&both(&a.binary()?, &b.binary()?)?)?;
    let folder = tempfile::tempdir_in(machine::scratch())
        .map_err(|error| Error::file("make a folder in", &machine::scratch(), &error))?;
    let sides = [
        a.binary()?.copied(folder.path(), "A")?,
        b.binary()?.copied(folder.path(), "B")?,
    ];
    let mut saved = begin(
        common,
        "ab",
        common.mode().name,
        &[(Side::A, &a), (Side::B, &b)],
    );
    let place = place(common, &saved);
    let plan = common.plan(&targets);
    let (watched, rules) = (common.watched(&targets), common.rules(&targets));
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(scenarios.len() * plan.most, common.quiet);
    for scenario in &scenarios {
        let request = common.request(&scenario.id);
        let trial = |side, seed| {
            let request = Request {
                seed,
                ..request.clone()
            };
            interrupt.check(watched.trial(&sides[side as usize], &request))
        };
        let at = saved.scenarios.len();
        let ended = session::run(plan, &rules, trial, |step| {
            let mut one = SavedScenario::compared(&scenario.id, plan.seed, step.session);
            one.details.asked = Some(request.clone());
            saved.scenarios.truncate(at);
            saved.scenarios.push(one);
            progress.step(&Live(&scenario.id, step.session).to_string());
            if step.last {
                progress.skip(plan.most.saturating_sub(step.session.blocks.len()));
            }
            saved.save(&place)
        });
        if let Err(error) = ended {
            finish(common, &mut saved, &place, true)?;
            return Err(error);
        }
    }
    progress.end();
    finish(common, &mut saved, &place, false)?;
    keep(common, &saved)?;
    Ok(exit(&saved, deny))
}

fn finish(
    common: &Common,
    saved: &mut Saved,
    place: &std::path::Path,
    partial: bool,
) -> Result<(), Error> {
    saved.partial = partial;
    saved.verdict = summary(saved);
    saved.save(place)?;
    tell(common, saved, place)
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
fn gating(saved: &Saved) -> impl Iterator<Item = &Verdict> {
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

fn exit(saved: &Saved, [deny_inconclusive, deny_refused]: [bool; 2]) -> u8 {
    let has = |word: &str| gating(saved).any(|verdict| verdict.word() == word);
    let refused = has("refused")
        || saved
            .scenarios
            .iter()
            .any(|scenario| scenario.refused.is_some());
    match () {
        () if has("regressed") => code::REGRESSED,
        () if refused && deny_refused => code::REFUSED,
        () if has("inconclusive") && deny_inconclusive => code::INCONCLUSIVE,
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
