//! What a probe found.

use serde::{Deserialize, Serialize};

use super::{plateaus::Plateau, stats::Summary};

/// All that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The cpus that were measured.
    pub cpus: Vec<u32>,
    /// How long it took.
    pub seconds: f64,
    /// In the order in which they were taken.
    pub measurements: Vec<Measurement>,
}

impl Probe {
    /// The measurement of this id, such as `A7`, if it was measured.
    pub fn measured(&self, id: &str) -> Option<&Measurement> {
        self.measurements
            .iter()
            .find(|one| one.id == id && one.outcome == Outcome::Measured)
    }

    /// A row of a measurement.
    pub fn row(&self, id: &str, name: &str) -> Option<&Row> {
        self.measured(id)?.rows.iter().find(|row| row.name == name)
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Such as `A7`.
    pub id: String,
    /// What it is.
    pub title: String,
    /// Whether there is a result.
    pub outcome: Outcome,
    /// How good it is.
    pub rating: Rating,
    /// How long it took.
    pub seconds: f64,
    /// The figures.
    pub rows: Vec<Row>,
    /// What follows from them, one sentence each.
    pub notes: Vec<String>,
    /// What is drawn of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// Whether there is a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There is.
    Measured,
    /// There is none, for this reason.
    Skipped(String),
}

/// How good a result is for measuring and for pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// As it should be.
    Pass,
    /// A fact, neither good nor bad.
    Info,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Fail,
}

/// Samples of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What it is; within a measurement no two are called the same.
    pub name: String,
    /// What the numbers are.
    pub unit: Unit,
    /// The percentiles of the samples.
    pub summary: Summary,
}

impl Row {
    /// Least, median, p99, p99.9 and most, as they are read; of a single number only that, in the middle.
    pub(crate) fn written(&self, missing: &str) -> [String; 5] {
        let Summary {
            n,
            min,
            p50,
            p99,
            p999,
            max,
            ..
        } = self.summary;
        let ends = |number| (n > 1).then_some(number);
        [ends(min), Some(p50), p99, p999, ends(max)].map(|number| {
            number.map_or_else(|| missing.to_owned(), |number| self.unit.write(number))
        })
    }
}

/// What numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// A time.
    Nanoseconds,
    /// A part of a whole, of which 1 is all.
    Part,
    /// Bytes per second.
    BytesPerSecond,
    /// Cycles per second.
    Hertz,
    /// Things per second.
    PerSecond,
}

impl Unit {
    /// As it stands in files.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Part => "part",
            Unit::BytesPerSecond => "B/s",
            Unit::Hertz => "Hz",
            Unit::PerSecond => "1/s",
        }
    }

    pub(crate) fn write(self, number: f64) -> String {
        use pipewright_draw::format;
        match self {
            Unit::Nanoseconds => format::nanoseconds(number),
            Unit::Part => format::percent(number),
            Unit::BytesPerSecond => format!("{}/s", format::bytes(number)),
            Unit::Hertz => format!("{} GHz", format::digits(number / 1e9)),
            Unit::PerSecond => format!("{}/s", format::count(number)),
        }
    }
}

/// What is drawn of a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Detail {
    /// One way from each cpu to each other one, in nanoseconds, in the order of the probe's cpus.
    Handoffs(Vec<Vec<Option<f64>>>),
    /// From each memory node's cpus to each node's memory, in nanoseconds.
    Nodes(Vec<Vec<Option<f64>>>),
    /// For each cpu, gaps that are at least so long (ns), in a second.
    Gaps(Vec<Curve>),
    /// For sizes in bytes, what an access takes (ns).
    Latency(Vec<Curve>),
    /// The levels of memory.
    Plateaus(Vec<Plateau>),
    /// For seconds since it began, cycles per second.
    Frequency(Vec<Curve>),
    /// For each round, how long it took (ns).
    Canary(Vec<f64>),
    /// For so many cpus, what an addition to one shared number takes (ns).
    Contention(Vec<Curve>),
}

/// A named curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its points, ascending.
    pub points: Vec<(f64, f64)>,
}

impl Measurement {
    pub(crate) fn new(id: &str, title: &str) -> Self {
        Measurement {
            id: id.to_owned(),
            title: title.to_owned(),
            outcome: Outcome::Measured,
            rating: Rating::Info,
            seconds: 0.0,
            rows: Vec::new(),
            notes: Vec::new(),
            details: Vec::new(),
        }
    }

    /// Adds the percentiles of samples, if there are any.
    pub(crate) fn row(
        &mut self,
        name: impl Into<String>,
        unit: Unit,
        samples: impl IntoIterator<Item = f64>,
    ) -> Option<Summary> {
        self.summary(name, unit, Summary::of(samples))
    }

    pub(crate) fn summary(
        &mut self,
        name: impl Into<String>,
        unit: Unit,
        summary: Option<Summary>,
    ) -> Option<Summary> {
        let summary = summary?;
        self.rows.push(Row {
            name: name.into(),
            unit,
            summary,
        });
        Some(summary)
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(crate) fn of(&self, name: &str) -> Option<Summary> {
        self.rows
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.summary)
    }
}
