//! `bench insn`: instructions an item, which no other load on the machine changes; against references, or of two revisions.

use std::{collections::BTreeMap, path::Path};

use super::{
    build::{Package, Subject},
    ci, gates,
    options::{Interrupt, Output, Source, matching},
    progress::Progress,
    saving::Keeper,
};
use crate::{
    error::{Error, code},
    metrics,
    process::Binary,
    protocol::Scenario,
    results::{SavedMetric, SavedScenario, Values},
    session::Side,
};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only scenarios that have one of these in their name [default: those that have references]
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// What to compare with: a revision, or a binary of trials [default: the references]
    #[arg(long, value_name = "REV|FILE")]
    base: Option<String>,
    /// How many times each is counted; the least counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// Exit with 14 if nothing could be counted on this machine, or compared with the references
    #[arg(long)]
    deny_skipped: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    source: Source,
}

/// Instructions an item, and where they were counted.
const METRIC: &str = "instructions_per_item";

/// `bench insn`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let package = args.source.package("trial")?;
    let b = args.source.subject("trial")?;
    let a = base(args, &package)?;
    let names = names(args, &b.binary()?)?;
    let subjects: Vec<(Side, &Subject)> = match &a {
        Some(a) => vec![(Side::A, a), (Side::B, &b)],
        None => vec![(Side::A, &b)],
    };
    let mut keeper = Keeper::new(&args.output, "insn", &subjects);
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(names.len() * subjects.len(), args.output.quiet);
    let (references, mut skipped) = match ci::bounds()? {
        Ok(references) => (references, None),
        // Two revisions are compared with each other.
        Err(why) => (BTreeMap::new(), Some(why).filter(|_| a.is_none())),
    };
    let mut lines = Vec::new();
    let (mut compared, mut failed) = (0, 0);
    let mut measure = || -> Result<(), Error> {
        for name in &names {
            let mut values = Vec::new();
            for (side, subject) in &subjects {
                match interrupt.check(least(&subject.binary, name, args.tries))? {
                    Ok(found) => values.push((*side, found)),
                    Err(why) => {
                        skipped = Some(why);
                        return Ok(());
                    }
                }
                progress.step(name);
            }
            let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
            compared += usize::from(a.is_some() || references.contains_key(name));
            let (line, is_good) = judged(name, &numbers, references.get(name).copied());
            failed += usize::from(!is_good);
            lines.push(line);
            keeper.keep(scenario(name, &values))?;
        }
        Ok(())
    };
    let ended = measure();
    progress.end();
    if let Some(why) = &skipped {
        lines.push(format!("SKIPPED: {why}"));
        keeper.saved.limits.push(format!("skipped: {why}"));
    }
    let verdict = match (failed, &skipped, compared) {
        (1.., ..) => "more instructions",
        (_, Some(_), _) => "skipped",
        // There is no reference for the trials of somebody else.
        (_, None, 0) => "measured",
        _ => "pass",
    };
    keeper.end(ended, verdict, |saved| {
        lines.push(format!("verdict: {}", saved.verdict));
        lines.join("\n")
    })?;
    Ok(match verdict {
        "more instructions" => code::BUDGET,
        "skipped" if args.deny_skipped => code::REFUSED,
        _ => code::PASS,
    })
}

fn base(args: &Args, package: &Package) -> Result<Option<Subject>, Error> {
    let base = args.base.as_deref();
    base.map(|what| Subject::at(what, package)).transpose()
}

/// What is counted: `fused` of `throughput/fused`.
fn names(args: &Args, binary: &Binary) -> Result<Vec<String>, Error> {
    let counts = |scenario: &Scenario| scenario.counts;
    let all: Vec<Scenario> = binary
        .list()?
        .scenarios
        .into_iter()
        .filter(counts)
        .collect();
    let meant = match args.patterns.is_empty() {
        false => matching(&args.patterns, &all)?,
        true => {
            let references = ci::bounds()?.unwrap_or_default();
            let known = |scenario: &&Scenario| references.contains_key(name(scenario));
            let known: Vec<Scenario> = all.iter().filter(known).cloned().collect();
            // The trials of somebody else have other names.
            if known.is_empty() { all } else { known }
        }
    };
    match meant.is_empty() {
        false => Ok(meant.iter().map(|one| name(one).to_owned()).collect()),
        true => Err(Error::Usage(
            "no scenario can be asked for a number of items".to_owned(),
        )),
    }
}

fn name(scenario: &Scenario) -> &str {
    scenario.id.split_once('/').map_or("", |(_, name)| name)
}

/// Instructions that the longer one of two runs may take: valgrind is fifty times as slow as the machine.
const MOST: f64 = 4e8;

/// Instructions an item, or why they cannot be counted here. What starts and ends cancels in the difference of two runs; of several,
/// the least counts, because a machine that is busy adds instructions and never saves any.
fn least(trial: &Path, name: &str, tries: u32) -> Result<Result<f64, String>, Error> {
    let difference = |[few, many]: [u64; 2], tries: u32| -> Result<Result<f64, String>, Error> {
        let mut least = [f64::INFINITY; 2];
        for _ in 0..tries {
            for (least, items) in least.iter_mut().zip([few, many]) {
                match ci::callgrind(trial, name, items)? {
                    Ok(found) => *least = least.min(found),
                    Err(why) => return Ok(Err(why)),
                }
            }
        }
        Ok(Ok((least[1] - least[0]) / (many - few) as f64))
    };
    // How many it takes about says how many items there are.
    match difference([500, 2_500], 1)? {
        Err(why) => Ok(Err(why)),
        Ok(about) => difference(items(about), tries),
    }
}

/// The items of the two runs: as many as for the references, if that does not take too long.
fn items(about: f64) -> [u64; 2] {
    let [few, many] = ci::ITEMS;
    let affordable = (MOST / about.max(1.0)) as u64;
    match affordable >= many {
        true => [few, many],
        false => {
            let many = affordable.max(4_000);
            [many / 8, many]
        }
    }
}

/// A line, and whether it is good. With two values: how the second differs from the first, which may be as much as a reference allows.
fn judged(name: &str, values: &[f64], reference: Option<[f64; 2]>) -> (String, bool) {
    let word = |is_good| if is_good { "ok    " } else { "FAILED" };
    match (values, reference) {
        ([a, b], _) => {
            let is_good = *b <= gates::most(*a);
            let change = 100.0 * (b / a - 1.0);
            (
                format!(
                    "{} {name:<16} {a:>12.3} -> {b:>12.3}  {change:+.2} %, at most {:.3}",
                    word(is_good),
                    gates::most(*a)
                ),
                is_good,
            )
        }
        ([value], Some([reference, most])) => {
            let is_good = *value <= most;
            (
                format!(
                    "{} {name:<16} {value:>12.3}, reference {reference:.3}, at most {most:.3}",
                    word(is_good)
                ),
                is_good,
            )
        }
        ([value], None) => (
            format!("       {name:<16} {value:>12.3}, no reference"),
            true,
        ),
        _ => (format!("       {name:<16} not counted"), true),
    }
}

fn scenario(name: &str, values: &[(Side, f64)]) -> SavedScenario {
    let metric = metrics::find(METRIC).map(|metric| {
        let sides = values
            .iter()
            .filter_map(|(side, value)| Some((*side, Values::of(vec![*value])?)));
        SavedMetric::of(metric, metric.gate, sides.collect())
    });
    SavedScenario {
        id: format!("throughput/{name}"),
        metrics: metric.into_iter().collect(),
        ..SavedScenario::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_instructions_than_allowed_fail() {
        let check = |values: &[f64], reference: Option<[f64; 2]>, word: &str, is_good: bool| {
            let (line, found) = judged("fused", values, reference);
            assert!(line.starts_with(word), "{line}");
            assert_eq!(found, is_good, "{line}");
        };
        check(&[8.4], Some([8.4, 9.1]), "ok", true);
        check(&[9.2], Some([8.4, 9.1]), "FAILED", false);
        check(&[8.4], None, "  ", true);
        check(&[10.0, 10.6], None, "ok", true);
        check(&[10.0, 11.0], None, "FAILED", false);
        check(&[10.0, 5.0], None, "ok", true);
    }

    #[test]
    fn heavy_items_are_counted_in_smaller_numbers() {
        assert_eq!(items(8.0), ci::ITEMS);
        assert_eq!(items(10_000.0), [5_000, 40_000]);
        assert_eq!(items(1e9), [500, 4_000]);
    }
}
