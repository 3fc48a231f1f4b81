//! What commands find besides the values of metrics, as it is saved: fields of `pipewright.bench/1` that are there where something was
//! found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{breaking::Broken, limit::Limit, memory::Leak, protocol::StageShare, stats::Fitted};

/// What was found of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct Findings {
    /// What two scenarios have in common that were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interface: Option<String>,
    /// The stage that limits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<Limit>,
    /// How many items a second it takes for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<Capacity>,
    /// Where it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) breaking: Option<Broken>,
    /// What more workers bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scaling: Option<Scaling>,
    /// What it allocates and keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    /// Metrics that went up or down over a soak.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trends: Vec<Drift>,
}

/// How many items a second it takes for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Capacity {
    /// What the latency has to keep to: the most of each percentile, in nanoseconds.
    #[serde(default)]
    pub(crate) slo: BTreeMap<String, f64>,
    /// It takes so many; none if not even the first rate, or if the search was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) low: Option<f64>,
    /// And not so many; none if the generator has no more, or if the search was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) high: Option<f64>,
    /// What is wrong there.
    pub(crate) why: String,
    /// The rate with the most items a second for its latency, if any was sustainable (Kleinrock's power).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) knee: Option<f64>,
    /// Every trial, in the order in which they were made.
    pub(crate) points: Vec<Point>,
}

/// A trial at a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Point {
    /// Items a second that came.
    pub(crate) rate: f64,
    /// Items a second that were done.
    pub(crate) achieved: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ns: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ns: Option<f64>,
    /// `sustainable`, or why not.
    pub(crate) said: String,
}

/// What more workers bring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Scaling {
    /// For each number of workers, the items a second of each round.
    pub(crate) rounds: Vec<(u32, Vec<f64>)>,
    /// The universal scalability law, where it could be fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) law: Option<Fitted>,
}

/// What it allocates and keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Memory {
    /// Live bytes at equal distances in time.
    pub(crate) live_bytes: Vec<i64>,
    /// Live bytes each time that it was started and had ended.
    pub(crate) drained: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leak: Option<Leak>,
    /// What its stages allocated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stages: Vec<StageShare>,
}

/// A metric that went up or down over a soak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Drift {
    pub(crate) metric: String,
    /// By how much over all of it, as a share of its median.
    pub(crate) change: f64,
    /// How likely it is to look so by chance (Mann and Kendall).
    pub(crate) p: f64,
}

impl Findings {
    /// Was nothing found?
    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}
