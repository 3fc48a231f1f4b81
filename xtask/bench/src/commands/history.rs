//! `bench history`: what was saved over time, and where it changed.
//!
//! It gates nothing: a change that is seen in the history is older than the change that is being judged.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

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
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a saved result, as `run --save` and `ab --save` do
    Add {
        /// The result
        result: PathBuf,
        /// Where histories lie [default: .pipewright]
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
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
        Action::Show { which } => {
            let history = which.history()?;
            for (key, lines) in which.series(&history)? {
                show::print(&shown(&key, &lines))?;
            }
        }
        Action::Changes {
            which,
            p,
            least,
            json,
        } => {
            check("--p", *p, 0.5)?;
            check("--least", *least, 10.0)?;
            let history = which.history()?;
            let series = which.series(&history)?;
            let lines = series
                .iter()
                .map(|(key, lines)| told(key, lines, *p, *least));
            show::print(&match json {
                true => as_json(&series, *p, *least)?,
                false => lines.collect::<Vec<_>>().join("\n"),
            })?;
        }
        Action::Add { result, folder } => {
            let saved = Saved::load(result)?;
            show::print(&add(&saved, &home(folder.as_deref()))?)?;
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

/// Adds a result; what happened.
pub(crate) fn add(saved: &Saved, folder: &Path) -> Result<String, Error> {
    let place = history::place(folder, &saved.env.class);
    Ok(match history::append(folder, saved)? {
        0 => format!("history: nothing new for {}", place.display()),
        lines => format!("history: {lines} lines more in {}", place.display()),
    })
}

impl Which {
    fn history(&self) -> Result<History, Error> {
        let folder = home(self.folder.as_deref());
        let class = match &self.class {
            Some(class) => class.clone(),
            None => Machine::read(Path::new("/")).class,
        };
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
    for line in lines.iter().skip(lines.len().saturating_sub(LAST)) {
        text.push_str(&format!(
            "\n  {}  {:<10} {:>12} +- {} in {} trials",
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

/// Where a series changed, in lines.
fn told(key: &Key, lines: &[&Line], p: f64, least: f64) -> String {
    let name = name(key, lines);
    let Some(found) = history::changes(lines, p, least) else {
        return format!("{name}: too few to see changes, {FEWEST_POINTS} are needed");
    };
    if found.is_empty() {
        return format!("{name}: no change");
    }
    let mut text = name;
    for one in &found {
        let line = lines[one.at];
        text.push_str(&format!(
            "\n  {}  {:<10} {}",
            one.started,
            commit(&one.commit, line.dirty),
            in_words(&key.metric, one)
        ));
    }
    text
}

/// `worse by -6.1 %, from 1.00 M/s to 939.0 k/s, p = 1.2e-9`.
pub(crate) fn in_words(metric: &str, found: &Changed) -> String {
    let word = if found.worse { "worse" } else { "better" };
    let Some(metric) = find(metric) else {
        return format!("{word}, from {} to {}", found.before, found.after);
    };
    format!(
        "{word} by {}, from {} to {}, p = {:.1e}",
        metric.shown(found.change),
        metric.value(found.before),
        metric.value(found.after),
        found.p
    )
}

fn as_json(series: &[(Key, Vec<&Line>)], p: f64, least: f64) -> Result<String, Error> {
    let all = series.iter().map(|(key, lines)| {
        serde_json::json!({
            "scenario": key.scenario,
            "metric": key.metric,
            "setup": key.setup,
            "runs": lines.len(),
            "changes": history::changes(lines, p, least),
        })
    });
    serde_json::to_string_pretty(&all.collect::<Vec<_>>())
        .map_err(|error| Error::Tool(error.to_string()))
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
            let series = history.series();
            let (key, lines) = series.first_key_value().expect("there is one");
            let text = told(key, lines, P, LEAST);
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
