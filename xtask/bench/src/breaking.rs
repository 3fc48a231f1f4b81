//! Where a pipeline breaks under more than it can take, and how it recovers, from what a trial told of each part of its time.

use serde::{Deserialize, Serialize};

use crate::protocol::Part;

/// What was done to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ordeal {
    /// The rates that came, in order; the first and the last one are what it can take easily.
    pub(crate) steps: Vec<Step>,
    /// The largest 99th percentile of the latency, in nanoseconds.
    pub(crate) p99_ns: f64,
    /// How many of its workers may run at once.
    pub(crate) running: f64,
    /// Bytes that may be resident; none if nothing bounds it.
    pub(crate) memory: Option<u64>,
    /// For how long it has to be as before, in milliseconds, until it counts as recovered.
    pub(crate) calm_ms: f64,
}

/// A rate and until when it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// Items a second.
    pub(crate) rate: f64,
    /// Milliseconds from the end of the warm-up.
    pub(crate) until_ms: f64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Broken {
    /// What happened, in order.
    pub(crate) events: Vec<Event>,
    /// The most items a second that it did.
    pub(crate) peak: f64,
    /// What gave out first; none if nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gave_out: Option<GaveOut>,
    /// The 99th percentile of its latency before, in nanoseconds; 0 if too few items came for one.
    pub(crate) usual_p99_ns: f64,
    /// How long it took until its latency was as before, in milliseconds from when the load went back; none if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recovered_ms: Option<f64>,
    pub(crate) steps: Vec<AtRate>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Event {
    pub(crate) at_ms: f64,
    /// Items a second that came then.
    pub(crate) rate: f64,
    pub(crate) what: What,
    pub(crate) evidence: String,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    LatencyBreach,
    QueueFull,
    BreakerChanged,
    Shedding,
    Failing,
    MemoryGuard,
    ThroughputCollapse,
    GeneratorLate,
}

/// A resource, and how it is known that it gave out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct GaveOut {
    pub(crate) resource: Resource,
    pub(crate) evidence: String,
}

/// What there is only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resource {
    /// The workers, or their processors.
    Workers,
    /// What only so many items may be in at once.
    Stage,
    Memory,
    /// Who offers the items, which says nothing of the pipeline.
    Generator,
    /// None of these: it waited, though it had workers and memory.
    Waiting,
}

/// What it did while a rate came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AtRate {
    pub(crate) rate: f64,
    pub(crate) offered: f64,
    pub(crate) done: f64,
    pub(crate) refused: u64,
    /// None if too few items came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ns: Option<f64>,
    /// The share of the workers' time.
    pub(crate) busy: f64,
    pub(crate) resident: u64,
}

impl What {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::LatencyBreach => "p99 above its limit",
            Self::QueueFull => "input full",
            Self::BreakerChanged => "breaker opened",
            Self::Shedding => "shedding",
            Self::Failing => "items fail",
            Self::MemoryGuard => "memory scarce",
            Self::ThroughputCollapse => "throughput collapses",
            Self::GeneratorLate => "generator late",
        }
    }
}

impl Resource {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Workers => "the workers",
            Self::Stage => "a stage",
            Self::Memory => "memory",
            Self::Generator => "the generator, which says nothing of the pipeline",
            Self::Waiting => "none: it waits for something else",
        }
    }
}

/// Goodput below this share of the most that there was, and of what comes, is a collapse.
const COLLAPSE: f64 = 0.9;
/// Latency may be so much above what it was before.
const AS_BEFORE: f64 = 1.5;
/// Workers that are busy for more of their time have no more to give.
const BUSY: f64 = 0.9;
/// Of the memory that there is.
const SCARCE: f64 = 0.8;
/// A generator that is late by more than this share of the latency's limit is the reason for it.
const LATE: f64 = 0.1;

impl Ordeal {
    /// Reads what happened. `full_stage`: a stage that only so many items may be in and that has no time left, with its utilisation.
    pub(crate) fn judge(&self, parts: &[Part], full_stage: Option<(&str, f64)>) -> Broken {
        let seen: Vec<Seen> = seen(parts);
        let (before, after) = (self.end_of_first(), self.begin_of_last());
        let calm = seen.iter().filter(|part| part.end_ms <= before);
        let calm: Vec<f64> = calm.filter_map(|part| part.p99_ns).collect();
        let usual = crate::stats::median(&calm).unwrap_or(0.0);
        let worst_calm = calm.iter().copied().fold(0.0, f64::max);
        let hard: Vec<&Seen> = seen
            .iter()
            .filter(|part| part.from_ms >= before && part.end_ms <= after)
            .collect();
        let peak = hard.iter().map(|part| part.done).fold(0.0, f64::max);
        let events = self.events(&hard, peak);
        let recovered_ms = self.recovered(&seen, after, (usual * AS_BEFORE).max(worst_calm));
        let gave_out = self.gave_out(&hard, &events, full_stage);
        Broken {
            events,
            peak,
            gave_out,
            usual_p99_ns: usual,
            recovered_ms,
            steps: self.at_rates(&seen),
        }
    }

    fn end_of_first(&self) -> f64 {
        self.steps.first().map_or(0.0, |step| step.until_ms)
    }

    fn begin_of_last(&self) -> f64 {
        let before_last = self.steps.len().checked_sub(2);
        before_last.map_or(0.0, |at| self.steps[at].until_ms)
    }

    fn rate_at(&self, ms: f64) -> f64 {
        let step = self.steps.iter().find(|step| ms <= step.until_ms);
        step.or(self.steps.last()).map_or(0.0, |step| step.rate)
    }

    /// The first time of each thing that happened, in order.
    fn events(&self, hard: &[&Seen], peak: f64) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        let mut reached = false;
        for part in hard {
            reached |= part.done >= peak;
            for (what, evidence) in self.signs(part, reached.then_some(peak)) {
                if events.iter().all(|event| event.what != what) {
                    events.push(Event {
                        at_ms: part.from_ms,
                        rate: self.rate_at(part.end_ms),
                        what,
                        evidence,
                    });
                }
            }
        }
        events
    }

    /// What is to be seen in a part of the time. `peak`: the most that was done, if that lies before.
    fn signs(&self, part: &Seen, peak: Option<f64>) -> Vec<(What, String)> {
        let mut signs = Vec::new();
        let mut sign = |is: bool, what, evidence: String| {
            if is {
                signs.push((what, evidence));
            }
        };
        let p99 = part.p99_ns.unwrap_or(0.0);
        sign(
            part.late_ns > self.p99_ns * LATE,
            What::GeneratorLate,
            format!("{:.1} ms on the average", part.late_ns / 1e6),
        );
        sign(
            p99 > self.p99_ns,
            What::LatencyBreach,
            format!("{:.1} ms", p99 / 1e6),
        );
        sign(
            part.refused > 0,
            What::QueueFull,
            format!("{} of {} items refused", part.refused, part.offered),
        );
        sign(
            part.breakers > 0,
            What::BreakerChanged,
            format!("{} changes of state", part.breakers),
        );
        sign(
            part.shed > 0,
            What::Shedding,
            format!("{} items dropped", part.shed),
        );
        sign(
            part.failed > 0,
            What::Failing,
            format!("{} items", part.failed),
        );
        let scarce = self
            .memory
            .is_some_and(|most| part.resident as f64 > SCARCE * most as f64);
        sign(
            part.held_back > 0 || scarce,
            What::MemoryGuard,
            format!(
                "{:.0} MiB resident",
                part.resident as f64 / f64::from(1 << 20)
            ),
        );
        sign(
            // Who does all that comes does not collapse, however little that is.
            peak.is_some_and(|peak| part.done < COLLAPSE * peak) && !part.does_all(),
            What::ThroughputCollapse,
            format!("{:.0} a second of {:.0}", part.done, peak.unwrap_or(0.0)),
        );
        signs
    }

    /// How long after the load went back everything was as before, and stayed so.
    fn recovered(&self, seen: &[Seen], after: f64, most_p99: f64) -> Option<f64> {
        let calm = |part: &Seen| {
            part.p99_ns.is_some_and(|p99| p99 <= most_p99)
                && part.does_all()
                && part.refused == 0
                && part.shed + part.failed == 0
        };
        let later: Vec<&Seen> = seen.iter().filter(|part| part.from_ms >= after).collect();
        let mut since = after;
        for part in later {
            if !calm(part) {
                since = part.end_ms;
            } else if part.end_ms - since >= self.calm_ms {
                return Some(since - after);
            }
        }
        None
    }

    /// What had nothing left when it first went wrong.
    fn gave_out(
        &self,
        hard: &[&Seen],
        events: &[Event],
        full_stage: Option<(&str, f64)>,
    ) -> Option<GaveOut> {
        let first = events.first()?;
        let part = hard.iter().find(|part| part.from_ms >= first.at_ms)?;
        let busy = part.busy / self.running.max(1.0);
        let gave = |resource, evidence| Some(GaveOut { resource, evidence });
        match first.what {
            What::GeneratorLate => gave(Resource::Generator, first.evidence.clone()),
            What::MemoryGuard => gave(Resource::Memory, first.evidence.clone()),
            _ => match full_stage.filter(|(_, utilisation)| *utilisation > BUSY) {
                Some((stage, utilisation)) => gave(
                    Resource::Stage,
                    format!(
                        "`{stage}` is in use for {:.0} % of the time",
                        100.0 * utilisation
                    ),
                ),
                None if busy > BUSY => gave(
                    Resource::Workers,
                    format!("busy for {:.0} % of their time", 100.0 * busy),
                ),
                None => gave(
                    Resource::Waiting,
                    format!("workers were busy for {:.0} % of their time", 100.0 * busy),
                ),
            },
        }
    }

    fn at_rates(&self, seen: &[Seen]) -> Vec<AtRate> {
        let mut from = 0.0;
        let mut rows = Vec::new();
        for step in &self.steps {
            let of = |part: &&Seen| part.from_ms >= from && part.end_ms <= step.until_ms + 1.0;
            let parts: Vec<&Seen> = seen.iter().filter(of).collect();
            from = step.until_ms;
            if parts.is_empty() {
                continue;
            }
            let mean = |value: &dyn Fn(&Seen) -> f64| {
                parts.iter().map(|part| value(part)).sum::<f64>() / parts.len() as f64
            };
            let p99: Vec<f64> = parts.iter().filter_map(|part| part.p99_ns).collect();
            rows.push(AtRate {
                rate: step.rate,
                offered: mean(&|part| part.offered as f64 * 1e3 / (part.end_ms - part.from_ms)),
                done: mean(&|part| part.done),
                refused: parts.iter().map(|part| part.refused).sum(),
                p99_ns: crate::stats::median(&p99),
                busy: mean(&|part| part.busy) / self.running.max(1.0),
                resident: parts.iter().map(|part| part.resident).max().unwrap_or(0),
            });
        }
        rows
    }
}

/// A part of the time by itself.
#[derive(Clone, Debug, Default)]
struct Seen {
    from_ms: f64,
    end_ms: f64,
    offered: u64,
    refused: u64,
    /// Items a second.
    done: f64,
    p99_ns: Option<f64>,
    late_ns: f64,
    busy: f64,
    resident: u64,
    breakers: u64,
    shed: u64,
    failed: u64,
    held_back: u64,
}

impl Seen {
    /// Is about as much done as comes?
    fn does_all(&self) -> bool {
        let offered =
            self.offered as f64 * 1e3 / (self.end_ms - self.from_ms).max(f64::MIN_POSITIVE);
        self.done >= COLLAPSE * offered
    }
}

fn seen(parts: &[Part]) -> Vec<Seen> {
    let mut before = &Part::default();
    let mut all = Vec::new();
    for part in parts {
        let took = (part.end_ms - before.end_ms).max(f64::MIN_POSITIVE);
        let since = |now: u64, then: u64| now.saturating_sub(then);
        all.push(Seen {
            from_ms: before.end_ms,
            end_ms: part.end_ms,
            offered: part.offered,
            refused: part.refused,
            done: part.done as f64 * 1e3 / took,
            p99_ns: quantile(&part.latencies, 0.99),
            late_ns: part.late_ns as f64,
            busy: part.busy,
            resident: part.resident,
            breakers: since(part.signs.breakers, before.signs.breakers),
            shed: since(part.signs.shed, before.signs.shed),
            failed: since(part.signs.failed, before.signs.failed),
            held_back: since(part.signs.held_back, before.signs.held_back),
        });
        before = part;
    }
    all
}

/// Items that a part of the time needs for a 99th percentile.
pub(crate) const FEWEST: u64 = 100;

/// A percentile of lengths and their counts, in order; none if there are fewer than a hundred.
fn quantile(counts: &[(u64, u64)], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let mut below = 0;
    let reached = |(_, count): &&(u64, u64)| {
        below += count;
        below as f64 >= total as f64 * share
    };
    let found = counts.iter().find(reached).filter(|_| total >= FEWEST)?;
    Some(found.0 as f64)
}

#[cfg(test)]
mod tests;
