//! What no pipeline can be faster than on a machine: what `hw probe` measures and `hw check` compares with.

use serde::{Deserialize, Serialize};

/// The floor of a machine, in nanoseconds unless said otherwise. What was not measured is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Floor {
    /// One reading of the clock.
    pub clock: Option<f64>,
    /// By how much the counters of two cpus differ at most.
    pub tsc_skew: Option<f64>,
    /// From waking a thread that sleeps until it runs.
    pub wake: Option<Percentiles>,
    /// By how much a timed sleep takes too long.
    pub oversleep: Option<Percentiles>,
    /// How long a thread that never sleeps is kept from running at a time.
    pub jitter: Option<Percentiles>,
    /// Per cent of the time for which a thread that never sleeps is kept from running.
    pub stolen: Option<f64>,
    /// What handing a line of memory to another cpu takes, one way.
    pub handoffs: Vec<Handoff>,
    /// What all cpus together read from memory, in bytes per second.
    pub bandwidth: Option<f64>,
}

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    /// Half of them are shorter.
    pub p50: f64,
    /// One in a hundred is longer.
    pub p99: f64,
    /// One in a thousand is longer.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// What handing a line of memory from one cpu to another takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// The two cpus, the lower one first.
    pub cpus: (u32, u32),
    /// One way.
    pub ns: f64,
}

impl Floor {
    /// What handing a line from one cpu to the other takes, if it was measured.
    pub fn handoff(&self, a: u32, b: u32) -> Option<f64> {
        let cpus = (a.min(b), a.max(b));
        let found = self.handoffs.iter().find(|handoff| handoff.cpus == cpus)?;
        Some(found.ns)
    }
}
