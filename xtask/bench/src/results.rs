//! Saved results: `pipewright.bench/1`.
//!
//! A file is written beside its place and then renamed, so that what lies there is always whole; while a run goes on it is
//! written after every block and says that it is partial.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    details::Details,
    error::Error,
    findings::Findings,
    machine::Machine,
    metrics::{Better, Metric, Scale},
    process::canary,
    session::{Session, Side},
    stats::{Interval, median, median_deviation},
    targets::{Found, Unknown},
    verdict::{CONFIDENCE, Differences, Judged, Verdict},
};

pub(crate) use crate::whole::replace;

/// Its name and version. What is added keeps it; what changes does not.
pub(crate) const SCHEMA: &str = "pipewright.bench/1";

/// A saved result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Saved {
    pub(crate) schema: String,
    /// Time and commit.
    pub(crate) run_id: String,
    pub(crate) started: String,
    /// `quick`, `full` or `soak`.
    pub(crate) mode: String,
    /// What was typed after `bench`.
    pub(crate) command: Vec<String>,
    /// It was interrupted, or still goes on.
    pub(crate) partial: bool,
    pub(crate) code: BTreeMap<Side, Code>,
    pub(crate) env: Machine,
    /// What limits how far it can be trusted.
    pub(crate) limits: Vec<String>,
    pub(crate) scenarios: Vec<SavedScenario>,
    pub(crate) verdict: String,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Code {
    /// The commit, or the path of a binary.
    pub(crate) revision: String,
    /// Were there changes that are not committed?
    pub(crate) dirty: bool,
    /// A digest of the binary.
    pub(crate) binary: String,
    /// How it was built, as names and values; nothing of binaries that do not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) build: BTreeMap<String, String>,
}

/// What came of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SavedScenario {
    pub(crate) id: String,
    pub(crate) seed: u64,
    pub(crate) blocks: usize,
    /// Trials that did not count, by the reason.
    pub(crate) disturbed: BTreeMap<String, usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    /// What the canary took around the trials that count, in nanoseconds: their median. None without guards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) canary_ns: Option<f64>,
    pub(crate) metrics: Vec<SavedMetric>,
    /// How many latencies there were of each length in nanoseconds, of all trials of a side.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) latencies: BTreeMap<Side, Vec<(u64, u64)>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<Found>,
    /// Targets that could not be judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unknown_targets: Vec<Unknown>,
    /// What reports show besides.
    #[serde(default)]
    pub(crate) details: Details,
    /// What was found besides.
    #[serde(default, skip_serializing_if = "Findings::are_none")]
    pub(crate) findings: Findings,
}

/// What came of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SavedMetric {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    pub(crate) scale: Scale,
    pub(crate) gate: bool,
    pub(crate) sides: BTreeMap<Side, Values>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Change>,
}

/// The values of a side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Values {
    pub(crate) median: f64,
    /// The median distance from it.
    pub(crate) mad: f64,
    /// One for each trial, in order.
    pub(crate) values: Vec<f64>,
}

/// How B differs from A, as a change of the value itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Change {
    pub(crate) estimate: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<[f64; 2]>,
    pub(crate) confidence: f64,
    pub(crate) method: String,
    pub(crate) blocks: usize,
    /// The smallest change that is found in 80 % of cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mde: Option<f64>,
    pub(crate) band: f64,
    pub(crate) p: f64,
    pub(crate) suspect: bool,
    pub(crate) verdict: Verdict,
}

/// How changes are estimated.
pub(crate) const METHOD: &str = "hodges-lehmann, paired by block, exact signed-rank interval";

impl Values {
    /// Of at least one value.
    pub(crate) fn of(values: Vec<f64>) -> Option<Self> {
        Some(Self {
            median: median(&values)?,
            mad: median_deviation(&values)?,
            values,
        })
    }
}

impl Change {
    pub(crate) fn of(differences: &Differences, judged: &Judged, method: &str) -> Self {
        let metric = differences.metric;
        // What is worse may be less.
        let ends = |found: Interval| {
            let ends = [metric.change(found.low), metric.change(found.high)];
            [ends[0].min(ends[1]), ends[0].max(ends[1])]
        };
        Self {
            estimate: metric.change(judged.estimate),
            interval: judged.interval.map(ends),
            confidence: judged.interval.map_or(CONFIDENCE, |found| found.confidence),
            method: method.to_owned(),
            blocks: differences.worse.len(),
            mde: judged.mde.map(|mde| metric.change(mde).abs()),
            band: differences.band,
            p: judged.p,
            suspect: judged.suspect,
            verdict: judged.verdict.clone(),
        }
    }
}

impl SavedMetric {
    pub(crate) fn of(metric: &Metric, gate: bool, sides: BTreeMap<Side, Values>) -> Self {
        Self {
            name: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            better: metric.better,
            scale: metric.scale,
            gate,
            sides,
            change: None,
        }
    }
}

impl SavedScenario {
    /// Of a comparison.
    pub(crate) fn compared(id: &str, seed: u64, session: &Session) -> Self {
        let metric = |(differences, judged): &(Differences, Judged)| {
            let metric = differences.metric;
            let sides = [Side::A, Side::B]
                .into_iter()
                .filter_map(|side| Some((side, Values::of(session.values(side, metric.name))?)));
            let mut saved = SavedMetric::of(metric, differences.gate, sides.collect());
            let mut change = Change::of(differences, judged, METHOD);
            if let Some(why) = &session.refused {
                change.verdict = Verdict::Refused { why: why.clone() };
            }
            saved.change = Some(change);
            saved
        };
        let trials = || session.blocks.iter().flat_map(|block| &block.trials);
        let answers: Vec<_> = trials()
            .map(|(side, trial)| (*side, &trial.answer))
            .collect();
        let latencies = [Side::A, Side::B].map(|side| {
            let of = trials().filter(|(of, _)| *of == side);
            (
                side,
                merged(of.map(|(_, trial)| trial.answer.latencies.as_slice())),
            )
        });
        Self {
            id: id.to_owned(),
            seed,
            blocks: session.blocks.len(),
            disturbed: session
                .disturbed
                .iter()
                .map(|(reason, n)| (reason.name().to_owned(), *n))
                .collect(),
            refused: session.refused.clone(),
            canary_ns: canary(&trials().map(|(_, trial)| trial).collect::<Vec<_>>()),
            metrics: session.judged.iter().map(metric).collect(),
            latencies: latencies
                .into_iter()
                .filter(|(_, all)| !all.is_empty())
                .collect(),
            targets: Vec::new(),
            unknown_targets: Vec::new(),
            details: Details::of(&answers),
            findings: Findings::default(),
        }
    }
}

/// Counts of the same length together.
pub(crate) fn merged<T: AsRef<[(u64, u64)]>>(all: impl Iterator<Item = T>) -> Vec<(u64, u64)> {
    let mut counts = BTreeMap::new();
    for one in all {
        for (length, count) in one.as_ref() {
            *counts.entry(*length).or_insert(0) += count;
        }
    }
    counts.into_iter().collect()
}

/// What is read before the rest: with another schema the rest would not be understood.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

impl Saved {
    /// What was measured; the newer side of a comparison.
    pub(crate) fn newer(&self) -> Option<&Code> {
        let older = || self.code.get(&Side::A);
        self.code.get(&Side::B).or_else(older)
    }

    /// Writes it beside its place and renames it.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let text =
            serde_json::to_string_pretty(self).map_err(|error| Error::Tool(error.to_string()))?;
        replace(path, |file| file.write_all(text.as_bytes()))
            .map_err(|error| Error::file("write", path, &error))
    }

    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let name = path.display();
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Usage(format!("there is no result `{name}`")),
            io::ErrorKind::InvalidData => Error::Usage(format!(
                "`{name}` is no text, so it is no result of `bench`"
            )),
            _ => Error::file("read", path, &error),
        })?;
        let broken = |error: serde_json::Error| {
            Error::Usage(format!(
                "`{name}` is no result of `bench`, or it is damaged: {error}"
            ))
        };
        let head: Head = serde_json::from_str(&text).map_err(broken)?;
        if head.schema.starts_with("pipewright.hw/") {
            return Err(Error::Usage(format!(
                "`{name}` is a result of `cargo xtask hw`, and not of `bench`"
            )));
        }
        if head.schema != SCHEMA {
            return Err(Error::Usage(format!(
                "`{name}` has the schema `{}`, and this reads `{SCHEMA}`; measure again, or use the version that wrote it",
                head.schema
            )));
        }
        serde_json::from_str(&text).map_err(broken)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn saved() -> Saved {
        Saved {
            schema: SCHEMA.to_owned(),
            run_id: "x".to_owned(),
            started: "2026-01-01T00:00:00Z".to_owned(),
            mode: "quick".to_owned(),
            command: vec!["run".to_owned()],
            partial: false,
            code: BTreeMap::new(),
            env: Machine {
                class: "c".to_owned(),
                fields: BTreeMap::new(),
            },
            limits: vec![],
            scenarios: vec![],
            verdict: "pass".to_owned(),
        }
    }

    #[test]
    fn what_was_saved_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/run.json");
        saved().save(&path).expect("it can be written");
        assert_eq!(Saved::load(&path).expect("it can be read"), saved());
    }

    #[test]
    fn files_that_are_no_results_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        let check = |text: Option<&str>, expect: &str| {
            if let Some(text) = text {
                fs::write(&path, text).expect("a file");
            }
            let error = Saved::load(&path).expect_err("it is no result");
            assert!(error.to_string().contains(expect), "{error}");
            assert_eq!(error.code(), 2);
        };
        fs::write(&path, [0xff, 0xfe]).expect("a file");
        check(None, "is no text");
        fs::remove_file(&path).expect("it was there");
        check(None, "there is no result");
        check(Some("{\"schema\": \"pipewri"), "is damaged");
        check(Some("{}"), "is no result");
        check(Some("{\"schema\":\"pipewright.bench/1\"}"), "missing field");
        check(
            Some("{\"schema\":\"pipewright.hw/1\"}"),
            "is a result of `cargo xtask hw`",
        );
        check(
            Some("{\"schema\":\"pipewright.bench/7\",\"news\":1}"),
            "has the schema `pipewright.bench/7`",
        );
    }
}
