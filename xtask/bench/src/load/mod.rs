//! Open-loop load: a plan of when what comes, made from a seed before the run, and a generator that keeps to it.
//!
//! Items come when the plan says, whether or not the system is ready, and their latency counts from then on: a system that
//! stands still is seen by everything that came meanwhile (Gil Tene on coordinated omission). How late the generator itself
//! was is a part of the result.

mod arrivals;
mod drive;
mod level;
mod mix;
mod phase;

pub use arrivals::{Arrivals, plan};
pub use drive::{Drive, SPIN_ALONE, SPIN_SHARED, drive};
pub use level::Level;
pub use mix::{Kind, Mix, Shares};
pub use phase::Phase;

use serde::{Deserialize, Serialize};

/// What comes, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Load {
    /// How items follow each other.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// How many come a second, one phase after the other.
    pub phases: Vec<Phase>,
}

impl Load {
    /// So many items a second, by Poisson, for so long.
    pub fn steady(rate: f64, ms: u64) -> Self {
        Self {
            arrivals: Arrivals::Poisson,
            phases: vec![Phase::Steady {
                rate,
                during_ms: ms,
            }],
        }
    }

    /// How long it is, in milliseconds.
    pub fn during_ms(&self) -> u64 {
        match &self.arrivals {
            Arrivals::Trace(times) => times.last().map_or(0, |last| last / 1_000_000),
            _ => self.phases.iter().map(Phase::during_ms).sum(),
        }
    }
}
