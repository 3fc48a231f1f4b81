//! `bench history`: what was saved over time, and where it changed.
//!
//! It gates nothing unless it is asked to (`--deny-worse`): a change that is seen in the history is older than the change that is
//! being judged.

mod json;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{build, show};
use crate::{
    error::{Error, code},
    history::{self, Changed, History, Key, LEAST, Line, P},
    machine::Machine,
    metrics::find,
    results::Saved,
    stats::FEWEST_POINTS,
};

/// What is done with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Show the series, the newest values last
    Show {
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell where series changed: the first commit of what is new, by how much, and how sure that is
    Changes {
        #[command(flatten)]
        which: Which,
        /// The chance below which a change is told
        #[arg(long, value_name = "P", default_value_t = P)]
        p: f64,
        /// The smallest change that is told, as a share
        #[arg(long, value_name = "SHARE", default_value_t = LEAST)]
        least: f64,
        /// Exit with 10 if a series became worse and nobody has acknowledged it
        #[arg(long)]
        deny_worse: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Acknowledge changes that `changes` tells, with a reason: they are told as such from then on, and deny nothing
    Ack {
        /// The first commit of what is new, or its beginning
        commit: String,
        #[command(flatten)]
        which: Which,
        /// Why it is all right, or known
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Do not tell where it is saved
        #[arg(long, conflicts_with = "json")]
        quiet: bool,
    },
    /// Add a saved result, as `run --save` and `ab --save` do
    Add {
        /// The result
        result: PathBuf,
        /// Where histories lie [default: .pipewright]
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which series.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only series that have this in their scenario or metric
    #[arg(value_name = "PATTERN")]
    pattern: Option<String>,
    /// The class of machines [default: that of this one]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Where histories lie [default: .pipewright]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Where histories and baselines lie, if nothing else is said.
pub(crate) fn home(folder: Option<&Path>) -> PathBuf {
    match folder {
        Some(folder) => folder.to_path_buf(),
        None => build::root().join(".pipewright"),
    }
}

/// `bench history`.
pub(crate) fn run(action: &Action) -> Result<u8, Error> {
    match action {
        Action::Show { which, json } => {
            let history = which.history()?;
            let all = which.series(&history)?;
            match json {
                true => show::json(&json::series(&all))?,
                false => all
                    .iter()
                    .try_for_each(|(key, lines)| show::print(&shown(key, lines)))?,
            }
        }
        Action::Changes {
            which,
            p,
            least,
            deny_worse,
            json,
        } => {
            check("--p", *p, 0.5)?;
            check("--least", *least, 10.0)?;
            let history = which.history()?;
            let seen: Vec<Seen<'_>> = which
                .series(&history)?
                .into_iter()
                .map(|(key, lines)| Seen::of(&history, key, lines, *p, *least))
                .collect();
            match json {
                true => show::json(&json::changes(&seen))?,
                false => show::print(&seen.iter().map(Seen::told).collect::<Vec<_>>().join("\n"))?,
            }
            if *deny_worse && seen.iter().any(Seen::is_worse) {
                return Ok(code::REGRESSED);
            }
        }
        Action::Ack {
            commit,
            which,
            reason,
            json,
            quiet,
        } => {
            let found = acknowledge(commit, which, reason)?;
            match json {
                true => show::json(&found)?,
                false => show::print(&found.told(*quiet))?,
            }
        }
        Action::Add {
            result,
            folder,
            json,
        } => {
            let added = added(&Saved::load(result)?, &home(folder.as_deref()))?;
            match json {
                true => show::json(&added)?,
                false => show::print(&added.to_string())?,
            }
        }
    }
    Ok(code::PASS)
}

fn check(name: &str, value: f64, most: f64) -> Result<(), Error> {
    match (0.0..=most).contains(&value) {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "`{name}` is {value}; give a number from 0 to {most}"
        ))),
    }
}

/// Changes that somebody acknowledged.
#[derive(Debug, Serialize)]
struct Acknowledged {
    acknowledged: Vec<json::Change>,
    saved: PathBuf,
}

impl Acknowledged {
    fn told(&self, quiet: bool) -> String {
        let names = self.acknowledged.iter().map(|one| {
            let words = in_words(&one.metric, &one.change);
            format!("acknowledged: {} {}: {words}", one.scenario, one.metric)
        });
        let saved = (!quiet).then(|| format!("saved: {}", self.saved.display()));
        names.chain(saved).collect::<Vec<_>>().join("\n")
    }
}

/// Acknowledges what became different with a commit, as `changes` tells it without more options.
fn acknowledge(commit: &str, which: &Which, reason: &str) -> Result<Acknowledged, Error> {
    if reason.trim().is_empty() {
        return Err(Error::Usage(
            "`--reason` is empty; say why the change is all right, or known".to_owned(),
        ));
    }
    let history = which.history()?;
    let seen: Vec<Seen<'_>> = which
        .series(&history)?
        .into_iter()
        .map(|(key, lines)| Seen::of(&history, key, lines, P, LEAST))
        .collect();
    let all = seen.iter().flat_map(|seen| {
        let changes = seen.changes.iter().flatten();
        changes.map(move |(change, _)| (&seen.key, seen.lines[change.at], change))
    });
    let all: Vec<(&Key, &Line, &Changed)> = all.collect();
    let meant: Vec<_> = all
        .iter()
        .copied()
        .filter(|(_, _, change)| !commit.is_empty() && change.commit.starts_with(commit))
        .collect();
    if meant.is_empty() {
        let mut there: Vec<&str> = all.iter().map(|(.., change)| &*change.commit).collect();
        there.sort_unstable();
        there.dedup();
        let there = match there.as_slice() {
            [] => "nothing has changed".to_owned(),
            there => format!("there are changes at `{}`", there.join("`, `")),
        };
        return Err(Error::Usage(format!(
            "no series changed at `{commit}`; {there}"
        )));
    }
    let folder = home(which.folder.as_deref());
    let saved = History::acknowledge(&folder, &which.class(), &meant, reason.trim())?;
    let of = |(key, _, change): &(&Key, &Line, &Changed)| json::Change::of(key, change);
    Ok(Acknowledged {
        acknowledged: meant.iter().map(of).collect(),
        saved,
    })
}

/// What a result added to the history of its class.
#[derive(Debug, Serialize)]
struct Added {
    class: String,
    lines: usize,
    saved: PathBuf,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.saved.display();
        match self.lines {
            0 => write!(f, "history: nothing new for {place}"),
            lines => write!(f, "history: {lines} lines more in {place}"),
        }
    }
}

fn added(saved: &Saved, folder: &Path) -> Result<Added, Error> {
    Ok(Added {
        lines: history::append(folder, saved)?,
        class: saved.env.class.clone(),
        saved: history::place(folder, &saved.env.class),
    })
}

/// Adds a result; what happened.
pub(crate) fn add(saved: &Saved, folder: &Path) -> Result<String, Error> {
    added(saved, folder).map(|added| added.to_string())
}

impl Which {
    fn class(&self) -> String {
        match &self.class {
            Some(class) => class.clone(),
            None => Machine::read(Path::new("/")).class,
        }
    }

    fn history(&self) -> Result<History, Error> {
        let folder = home(self.folder.as_deref());
        let class = self.class();
        let history = History::read(&folder, &class)?;
        if !history.lines.is_empty() {
            return Ok(history);
        }
        let there = history::classes(&folder);
        let there = match there.as_slice() {
            [] => "there is none yet: `cargo xtask bench run --save` begins one".to_owned(),
            classes => format!("there are `{}`", classes.join("`, `")),
        };
        Err(Error::Usage(format!(
            "`{}` has no history of the class `{class}`; {there}",
            folder.display()
        )))
    }

    fn series<'a>(&self, history: &'a History) -> Result<Vec<(Key, Vec<&'a Line>)>, Error> {
        let pattern = self.pattern.as_deref().unwrap_or_default();
        let meant = |key: &Key| key.scenario.contains(pattern) || key.metric.contains(pattern);
        let all = history.series().into_iter();
        let found: Vec<_> = all.filter(|(key, _)| meant(key)).collect();
        match found.is_empty() {
            false => Ok(found),
            true => Err(Error::Usage(format!(
                "no series has `{pattern}` in its scenario or metric"
            ))),
        }
    }
}

/// Runs that are told one by one.
const LAST: usize = 10;

fn name(key: &Key, lines: &[&Line]) -> String {
    let runs = match lines.len() {
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    };
    format!("{} {} ({}), {runs}", key.scenario, key.metric, key.setup)
}

/// A series as a line of blocks, and its last runs.
fn shown(key: &Key, lines: &[&Line]) -> String {
    let value = |value: f64| {
        find(&key.metric).map_or_else(|| value.to_string(), |metric| metric.value(value))
    };
    let medians: Vec<f64> = lines.iter().map(|line| line.median).collect();
    let mut text = format!("{}\n  {}", name(key, lines), sparkline(&medians));
    let normal = history::at_usual_speed(lines);
    let last = lines.iter().zip(normal);
    for (line, normal) in last.skip(lines.len().saturating_sub(LAST)) {
        // Beside what was measured, and never in its place: the canary is not the pipeline.
        let normal = normal.map_or_else(String::new, |normal| {
            format!(", {} at the machine's usual speed", value(normal))
        });
        text.push_str(&format!(
            "\n  {}  {:<10} {:>12} +- {} in {} trials{normal}",
            line.started,
            commit(&line.commit, line.dirty),
            value(line.median),
            value(line.mad),
            line.trials
        ));
    }
    text
}

/// A commit as people write it: `+` says that there were changes that are not committed.
fn commit(revision: &str, dirty: bool) -> String {
    let short: String = revision.chars().take(8).collect();
    format!("{short}{}", if dirty { "+" } else { "" })
}

/// A block for each value, from the least to the most.
fn sparkline(values: &[f64]) -> String {
    const BLOCKS: [char; 8] = [
        '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}',
        '\u{2588}',
    ];
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let block = |value: &f64| {
        let share = (value - least) / (most - least);
        // Where all are the same the share is no number, and the cast makes it 0.
        BLOCKS[((share * 8.0) as usize).min(7)]
    };
    values.iter().map(block).collect()
}

/// A series with its changes, and who has acknowledged them.
struct Seen<'h> {
    key: Key,
    lines: Vec<&'h Line>,
    /// None if it is too short.
    changes: Option<Vec<(Changed, Option<&'h str>)>>,
}

impl<'h> Seen<'h> {
    fn of(history: &'h History, key: Key, lines: Vec<&'h Line>, p: f64, least: f64) -> Self {
        let reason = |change: &Changed| {
            let ack = history.acknowledged(&key, &lines, change);
            ack.map(|ack| ack.reason.as_str())
        };
        let changes = history::changes(&lines, p, least).map(|found| {
            let with_reason = |change| {
                let reason = reason(&change);
                (change, reason)
            };
            found.into_iter().map(with_reason).collect()
        });
        Self {
            key,
            lines,
            changes,
        }
    }

    /// Did it become worse, and nobody has acknowledged that?
    fn is_worse(&self) -> bool {
        let mut changes = self.changes.iter().flatten();
        changes.any(|(change, reason)| change.worse && reason.is_none())
    }

    /// Where it changed, in lines.
    fn told(&self) -> String {
        let name = name(&self.key, &self.lines);
        let Some(found) = &self.changes else {
            return format!("{name}: too few to see changes, {FEWEST_POINTS} are needed");
        };
        if found.is_empty() {
            return format!("{name}: no change");
        }
        let mut text = name;
        for (one, reason) in found {
            text.push_str(&format!(
                "\n  {}  {:<10} {}{}",
                one.started,
                commit(&one.commit, self.lines[one.at].dirty),
                in_words(&self.key.metric, one),
                acknowledged(*reason)
            ));
        }
        text
    }
}

/// `; acknowledged: the reason`, or nothing.
pub(crate) fn acknowledged(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!("; acknowledged: {reason}"))
}

/// `worse by -6.1 %, from 1.00 M/s to 939.0 k/s, p = 1.2e-9`.
pub(crate) fn in_words(metric: &str, found: &Changed) -> String {
    let word = if found.worse { "worse" } else { "better" };
    let Some(metric) = find(metric) else {
        return format!("{word}, from {} to {}", found.before, found.after);
    };
    let canary = found.canary.map_or_else(String::new, |slower| {
        format!(", while the canary took {:+.1} %", 100.0 * slower)
    });
    format!(
        "{word} by {}, from {} to {}, p = {:.1e}{canary}",
        metric.shown(found.change),
        metric.value(found.before),
        metric.value(found.after),
        found.p
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::run as saved;

    #[test]
    fn a_series_is_a_line_of_blocks() {
        assert_eq!(sparkline(&[1.0, 2.0, 8.0]), "\u{2581}\u{2582}\u{2588}");
        assert_eq!(sparkline(&[3.0, 3.0]), "\u{2581}\u{2581}");
    }

    #[test]
    fn changes_and_series_that_are_too_short_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |days: std::ops::Range<usize>, expect: &str| {
            for day in days {
                let rate = if day < 9 { 1000.0 } else { 1250.0 };
                let noise = (day % 4) as f64;
                history::append(folder.path(), &saved(day, rate + noise)).expect("it is written");
            }
            let history = History::read(folder.path(), "c").expect("it is there");
            let (key, lines) = history.series().pop_first().expect("there is one");
            let text = Seen::of(&history, key, lines, P, LEAST).told();
            assert!(text.starts_with(expect), "{text}");
        };
        check(
            1..9,
            "throughput/fused throughput (quick), 8 runs: too few to see changes, 12 are needed",
        );
        check(
            9..17,
            "throughput/fused throughput (quick), 16 runs\n  2026-01-09T00:00:00Z  commit9    better by +25.0 %, from 1.0 k/s to 1.3 k/s, p = ",
        );
    }
}
