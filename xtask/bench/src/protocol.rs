//! What `bench` and a binary of trials say to each other.
//!
//! `trial list` prints a [`Listing`], `trial run REQUEST` does one trial, as the [`Request`] in JSON asks, and prints one
//! [`Answer`]; both are one line of JSON. Each trial has a process of its own, so that the layout of memory, the seeds of hashes
//! and where threads begin are drawn anew. `trial count NAME ITEMS` takes so many items through `throughput/NAME` on one worker, for
//! who counts instructions.
//!
//! What a scenario does is told by how its name begins: `throughput/` goes as fast as it can, `latency/` takes items at their own
//! times, `memory/` tells what is allocated and `drain/` whether all of it is given back, both with an allocator that counts.
//! [`crate::trial`] answers all of this for whatever takes items.
//!
//! Fields that came later are left out where they say nothing, so that binaries of older revisions still understand what is asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::load::{Level, Load, Shares};

/// Its name and version; whoever reads a line with another one refuses it.
pub const PROTOCOL: &str = "pipewright.trial/1";

/// What a binary can measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// [`PROTOCOL`].
    pub protocol: String,
    /// What can be measured.
    pub scenarios: Vec<Scenario>,
    /// How the binary was built, as names and values; what is not there is unknown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build: BTreeMap<String, String>,
}

/// Something that can be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, such as `throughput/linear`.
    pub id: String,
    /// What it does, in a line.
    pub about: String,
    /// Does it take items at their own times, instead of as fast as they go?
    pub open_loop: bool,
    /// The names of the metrics that its answers have.
    pub metrics: Vec<String>,
    /// What it does, whoever does it: scenarios with one interface take the same items and have the same results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Can it be asked for a number of items (`items`) instead of for a time?
    #[serde(default, skip_serializing_if = "is_false")]
    pub counts: bool,
    /// May it allocate for its items?
    #[serde(default, skip_serializing_if = "is_false")]
    pub allocates: bool,
    /// Does it know levels and mixes?
    #[serde(default, skip_serializing_if = "is_false")]
    pub levels: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Request {
    /// Which scenario.
    pub scenario: String,
    /// Of all that is drawn.
    pub seed: u64,
    /// How long it runs before it counts, in milliseconds.
    pub warmup_ms: u64,
    /// How long it counts, in milliseconds.
    pub measure_ms: u64,
    /// How many workers; the scenario's own number without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// What comes; the scenario's own load without. Only where the loop is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// How much there is to do; [`Level::Medium`] without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Which share each kind of event has; [`Shares::default`] without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<[u16; 6]>"))]
    pub mix: Option<Shares>,
    /// Take exactly so many items, however long it takes; only where the scenario `counts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// How often `drain/` starts and ends what it measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u32>,
    /// Tell the time in parts of so many milliseconds, instead of in a number of equal parts; only where the loop is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_ms: Option<u64>,
    /// A known fault, by which the verdicts are tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plant: Option<Plant>,
}

impl Request {
    /// A trial of this scenario, so many milliseconds after such a warm-up, and nothing else said.
    pub fn new(scenario: &str, seed: u64, [warmup_ms, measure_ms]: [u64; 2]) -> Self {
        Self {
            scenario: scenario.to_owned(),
            seed,
            warmup_ms,
            measure_ms,
            workers: None,
            load: None,
            level: None,
            mix: None,
            items: None,
            cycles: None,
            part_ms: None,
            plant: None,
        }
    }

    /// Workers that are asked for: one, if nothing is said of them.
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or(1)
    }
}

/// A known fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Plant {
    /// The stage `price`, which is most of what an item costs, works so many per cent longer.
    Slower(f64),
    /// The stage `enrich` works as long as all others together, and half as long again.
    SlowStage,
    /// Once in the middle of the trial the stage `price` stands still for so many milliseconds.
    Stall(u64),
    /// Each item leaves so many bytes behind.
    Leak(usize),
    /// The stage `price` allocates for each item.
    Allocate,
}

/// What came of a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// [`PROTOCOL`].
    pub protocol: String,
    /// Which scenario.
    pub scenario: String,
    /// The values, by the names of the metrics.
    pub metrics: BTreeMap<String, f64>,
    /// Items a second in each of about ten parts of the time, in order.
    pub windows: Vec<f64>,
    /// What the generator did, where the loop is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// How many latencies there were of each length in nanoseconds, where the loop is open; lengths have two digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<(u64, u64)>,
    /// What the stages did, where the scenario can tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageShare>,
    /// Live bytes at equal distances in time, where the scenario counts them; of `drain/`, after each time that it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live_bytes: Vec<i64>,
    /// What happened in equal parts of the time, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Part>,
    /// How items came through the stages, in their order, where the scenario traces some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Passage>,
    /// A digest of all results that does not depend on their order, if a number of items was asked for and the scenario tells its
    /// results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<u64>,
}

/// What happened in a part of the time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// When it ended, in milliseconds after the warm-up.
    pub end_ms: f64,
    /// Items that were to come in it; 0 where the loop is closed.
    #[serde(default)]
    pub offered: u64,
    /// Items that found the input full.
    #[serde(default)]
    pub refused: u64,
    /// Items that were done.
    pub done: u64,
    /// The most items that were in the pipeline when one came, where the loop is open.
    #[serde(default)]
    pub queued: u64,
    /// Resident bytes at its end; 0 where the system does not tell.
    #[serde(default)]
    pub resident: u64,
    /// How many latencies there were of each length in nanoseconds, of the items that were to come in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<(u64, u64)>,
    /// How much later than planned the generator came to its items, in nanoseconds: the mean, where the loop is open.
    #[serde(default)]
    pub late_ns: u64,
    /// How many processors worked, without that of the generator.
    #[serde(default)]
    pub busy: f64,
    /// What the pipeline did against overload, since it began.
    #[serde(default, skip_serializing_if = "Signs::are_none")]
    pub signs: Signs,
}

/// How items came through a stage: of those that were traced, which are some of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passage {
    /// The stage's name.
    pub stage: String,
    /// How many items were traced.
    pub items: u64,
    /// How long all of them were kept outside before it, in nanoseconds: until the input took them. Only the first stage has that.
    pub blocked_ns: u64,
    /// How long all of them waited inside before it, in nanoseconds.
    pub wait_ns: u64,
    /// How long it worked on all of them, in nanoseconds.
    pub work_ns: u64,
    /// How many times it took of each length in nanoseconds from when an item had left the stage before, or was sent, until it left
    /// this one; lengths have two digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<(u64, u64)>,
    /// Items a second that come to it, as those that were traced tell.
    #[serde(default)]
    pub rate: f64,
    /// The share of the time of those who may work on it that it takes for all items, as those that were traced tell.
    pub utilisation: f64,
    /// How many items it may work on at once; as many as there are workers without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
}

/// What a pipeline did against overload, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Signs {
    /// Items that it took and dropped because there were too many.
    pub shed: u64,
    /// Items that it took and lost in another way: they failed, or a breaker was open.
    pub failed: u64,
    /// How often breakers changed their state.
    pub breakers: u64,
    /// Times at which it held back because memory was scarce.
    pub held_back: u64,
}

impl Signs {
    /// Is there nothing to tell?
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a generator did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Items that were planned.
    pub offered: u64,
    /// Items that the pipeline took.
    pub sent: u64,
    /// Items that found its input full.
    pub refused: u64,
    /// How much later than planned the generator came to items, in nanoseconds: the 99th of 100.
    pub late_p99_ns: u64,
    /// How far the number of items in the pipeline is from the rate times their latency, as a share of it (Little's law).
    pub little_residual: f64,
    /// How long it took to finish what was there when the last item had come, in nanoseconds.
    pub drain_ns: u64,
    /// Did it share its processors with what was measured? Else it had one of its own, unless nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
}

/// What a stage did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StageShare {
    /// Its name.
    pub name: String,
    /// Items that came to it.
    pub items: u64,
    /// How long it worked on them, in nanoseconds.
    pub busy_ns: u64,
    /// Allocations that it made.
    pub allocations: u64,
    /// Bytes that it allocated.
    pub bytes: u64,
    /// Bytes that it allocated and did not free; negative if it freed more, which others had allocated.
    #[serde(default)]
    pub kept: i64,
}
