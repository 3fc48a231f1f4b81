//! What a run says when it ends, with the ledger that accounts for every item.

use std::{fmt, time::Duration};

use pipewright_spec::info::{DoorInfo, Kind, TopologyInfo};

use crate::{
    dropped::Dropped,
    error::{RunError, StartError},
    graph::{Blueprint, States},
    health::Health,
    late::LateBatch,
    live::Retuning,
    metrics::{Metrics, StageMetrics, input_received},
    shared::{PanicNote, Shared},
    stage::StageFn,
};

/// What a run did.
///
/// It prints as a table with one line per stage, and the ledger under it.
#[must_use = "the report says whether every item is accounted for"]
pub struct Report<P> {
    metrics: Metrics<P>,
    ledger: Ledger,
    panics: Vec<PanicNote>,
    warnings: Vec<String>,
    retunings: Vec<Retuning>,
    late_batches: Vec<LateBatch>,
    health: Health,
    elapsed: Duration,
    name: &'static str,
    workers: usize,
    pinned: usize,
    states: States,
}

/// A run that failed, with what it did until then.
pub struct Failed<P> {
    /// Why.
    pub error: RunError,
    /// What it did.
    pub report: Report<P>,
}

/// A pipeline that was to run to its end did not; see [`Builder::run`](crate::Builder::run).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Aborted<P> {
    /// It did not start.
    #[error(transparent)]
    Start(StartError),
    /// It ended early. The report is in it.
    #[error(transparent)]
    Run(Box<Failed<P>>),
}

/// Where every item went: `received + created = delivered + filtered + failed + panicked + dropped + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Items that sources gave and that were pushed.
    pub received: u64,
    /// Items that one-to-many stages made more than they took, copies for several readers, and errors that are read.
    pub created: u64,
    /// Items that sinks took.
    pub delivered: u64,
    /// Items that stages did not pass on, and said so.
    pub filtered: u64,
    /// Items that failed; as errors, those that are read go on as items.
    pub failed: u64,
    /// Items that were lost to a panic.
    pub panicked: u64,
    /// Items that were dropped.
    pub dropped: u64,
    /// The same, by the reason.
    pub dropped_by: Dropped,
    /// Items that are still on their way; none when a run has ended.
    pub in_flight: u64,
}

impl Ledger {
    /// Does every item that came in go out once?
    pub fn is_balanced(&self) -> bool {
        let came = u128::from(self.received) + u128::from(self.created);
        let went = [
            self.delivered,
            self.filtered,
            self.failed,
            self.panicked,
            self.dropped,
            self.in_flight,
        ];
        came == went.into_iter().map(u128::from).sum::<u128>()
            && self.dropped == self.dropped_by.total()
    }
}

impl<P: Blueprint> Report<P> {
    /// The report of a run whose threads have ended, or were given up. `waiting`: items left in its input; `given`: those that
    /// were taken out of it.
    pub(crate) fn of(
        shared: &Shared,
        waiting: u64,
        given: u64,
        states: States,
    ) -> Result<Self, Box<Failed<P>>> {
        let metrics = Metrics::read(shared);
        let (mut ledger, mut wrong) = audit(shared, metrics.stages());
        // Items that were pushed and never taken; only a run that stopped leaves any.
        ledger.received += waiting;
        ledger.dropped += waiting;
        ledger.dropped_by.stopped += waiting;
        // In the hands of a thread that was given up, which has not counted them yet.
        let held = given.saturating_sub(input_received(shared));
        ledger.received += held;
        ledger.in_flight += held;
        if held > 0 {
            let lost = format!("{held} items that were taken from the input were not counted");
            wrong.get_or_insert(RunError::Ledger(lost));
        }
        let error = shared.error().or(wrong);
        let health = Health::at_end(shared, &metrics, error.as_ref());
        let report = Self {
            warnings: warnings(shared, &metrics),
            metrics,
            ledger,
            panics: shared.panics(),
            retunings: shared.live.log(),
            late_batches: shared.late.told(),
            health,
            elapsed: shared.elapsed(),
            name: shared.info.name,
            workers: shared.settings.workers,
            pinned: shared.pins.threads(),
            states,
        };
        match error {
            None => Ok(report),
            Some(error) => Err(Box::new(Failed { error, report })),
        }
    }

    /// The report of a run of one worker that was counted elsewhere.
    pub(crate) fn of_parts(
        metrics: Metrics<P>,
        ledger: Ledger,
        panics: Vec<PanicNote>,
        elapsed: Duration,
        states: States,
    ) -> Self {
        Self {
            metrics,
            ledger,
            panics,
            warnings: Vec::new(),
            retunings: Vec::new(),
            late_batches: Vec::new(),
            health: Health::Healthy,
            elapsed,
            name: P::TOPOLOGY.name,
            workers: 1,
            pinned: 0,
            states,
        }
    }

    /// What every stage has counted.
    pub fn metrics(&self) -> &Metrics<P> {
        &self.metrics
    }

    /// Where every item went.
    pub fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The first panics that were caught.
    pub fn panics(&self) -> &[PanicNote] {
        &self.panics
    }

    /// What the run did otherwise than asked, such as workers that the system did not let be bound to their cpus; and calls that
    /// hung still when it ended.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How the run was when it ended: healthy, degraded (a breaker was open, memory was scarce), or stopped by an error.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What was asked of the numbers of the run while it went on, and what came of it; see [`Running::retune`](crate::Running::retune).
    pub fn retunings(&self) -> &[Retuning] {
        &self.retunings
    }

    /// Batches that took longer than their `budget`: of each stage one in a second, the last 64; none in a dry run.
    pub fn late_batches(&self) -> &[LateBatch] {
        &self.late_batches
    }

    /// How long the run took, from start to end.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Takes the final state of a stage with `&mut` state: the one state of a serial stage, the merged one of a
    /// `per_worker` stage whose state is [`Merge`](crate::Merge). `None` for others, and when it was taken before.
    pub fn take_state<S: StageFn>(&mut self) -> Option<S::State>
    where
        S::State: 'static,
    {
        self.states.take::<S>()
    }
}

/// What is told of the run, and of the calls that hang.
pub(crate) fn warnings<P: Blueprint>(shared: &Shared, metrics: &Metrics<P>) -> Vec<String> {
    let told = shared.warnings.list().into_iter();
    told.chain(Health::hanging(metrics)).collect()
}

/// Adds the stages up and checks what each of them must fulfil.
fn audit(shared: &Shared, stages: &[StageMetrics]) -> (Ledger, Option<RunError>) {
    let mut ledger = Ledger {
        received: input_received(shared),
        ..Ledger::default()
    };
    let mut wrong = None;
    let mut read = vec![0u64; stages.len()];
    for (stage, info) in stages.iter().zip(shared.info.stages) {
        for door in info.inputs {
            match door.stage {
                // Each reader of the input gets its own copy.
                DoorInfo::INPUT => {}
                from => {
                    read[usize::from(from)] +=
                        come_by(&stages[usize::from(from)], door, shared.info)
                }
            }
        }
        if let Some(problem) = problem_of(stage, info.many) {
            wrong.get_or_insert(RunError::Ledger(problem));
        }
    }
    let input_readers = shared
        .info
        .stages
        .iter()
        .filter(|stage| stage.reads_input())
        .count() as u64;
    ledger.created += input_received(shared) * input_readers.saturating_sub(1);
    for (stage, read) in stages.iter().zip(read) {
        if stage.kind == Kind::Source {
            ledger.received += stage.received;
        } else {
            ledger.in_flight += stage.in_flight;
        }
        let ends = shared
            .info
            .find(stage.name)
            .is_some_and(|id| shared.info.ends_at(id));
        if ends {
            ledger.delivered += stage.sent;
        }
        ledger.filtered += stage.filtered;
        ledger.failed += stage.failed;
        ledger.panicked += stage.panicked;
        ledger.dropped += stage.dropped;
        ledger.dropped_by = ledger.dropped_by.and(stage.dropped_by);
        let kept = if ends { stage.sent } else { 0 };
        let inside = stage.received;
        let left = read
            + kept
            + stage.filtered
            + stage.failed
            + stage.panicked
            + dropped_after(shared, stage);
        ledger.created += left.saturating_sub(inside);
    }
    if wrong.is_none() && !ledger.is_balanced() {
        wrong = Some(RunError::Ledger(format!("{ledger:?}")));
    }
    (ledger, wrong)
}

/// Items that came from `stage` to one reader.
fn come_by(stage: &StageMetrics, door: &DoorInfo, info: &TopologyInfo) -> u64 {
    match door.door {
        None => stage.sent,
        Some("Err") if info.stages[usize::from(door.stage)].fallible => stage.failed,
        Some("Diverted") if info.diverts(door.stage) => stage.diverted,
        Some(variant) => stage
            .routed
            .iter()
            .find(|(name, _)| *name == variant)
            .map_or(0, |(_, n)| *n),
    }
}

/// Items that the stage had made, or the source had given, when the run stopped.
fn dropped_after(shared: &Shared, stage: &StageMetrics) -> u64 {
    let id = shared.info.find(stage.name).unwrap_or_default();
    let made = shared.dropped_inside(id);
    if stage.kind == Kind::Source {
        stage.dropped
    } else {
        made
    }
}

/// What cannot be: more going out of a stage than came in, or items that are still on their way.
fn problem_of(stage: &StageMetrics, many: bool) -> Option<String> {
    let name = stage.name;
    let out = stage.sent + stage.failed + stage.diverted + stage.panicked;
    if stage.kind != Kind::Source && !many && out > stage.received {
        return Some(format!(
            "`{name}` received {} items, but {out} left it",
            stage.received
        ));
    }
    let routed: u64 = stage.routed.iter().map(|(_, n)| n).sum();
    if !stage.routed.is_empty() && routed != stage.sent {
        return Some(format!(
            "`{name}` sent {} items, but {routed} by its doors",
            stage.sent
        ));
    }
    if stage.in_flight > 0 {
        return Some(format!(
            "{} items that were sent to `{name}` did not arrive",
            stage.in_flight
        ));
    }
    None
}

impl<P> fmt::Display for Report<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let counted = |n: usize, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        write!(
            f,
            "{} ran {seconds:.3} s on {}",
            self.name,
            counted(self.workers, "worker")
        )?;
        if self.pinned > 0 {
            write!(f, " and {}", counted(self.pinned, "pinned thread"))?;
        }
        writeln!(f)?;
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        for retuning in &self.retunings {
            writeln!(f, "  {retuning}")?;
        }
        if !self.health.is_healthy() {
            writeln!(f, "  at the end {}", self.health)?;
        }
        let stages = &self.metrics.stages;
        let width = stages
            .iter()
            .map(|stage| stage.name.len())
            .max()
            .unwrap_or(0)
            .max(5);
        writeln!(
            f,
            "  {:width$}  {:>12}  {:>12}  {:>10}  {:>10}  {:>10}  {:>10}",
            "stage", "received", "sent", "filtered", "failed", "panicked", "dropped"
        )?;
        for s in stages {
            writeln!(
                f,
                "  {:width$}  {:>12}  {:>12}  {:>10}  {:>10}  {:>10}  {:>10}",
                s.name, s.received, s.sent, s.filtered, s.failed, s.panicked, s.dropped
            )?;
        }
        for s in stages.iter().filter(|s| s.dropped_by.has_reasons()) {
            writeln!(f, "  `{}`: {}", s.name, s.dropped_by)?;
        }
        for (name, guard) in stages
            .iter()
            .filter_map(|s| Some((s.name, s.guard.as_ref()?)))
        {
            writeln!(f, "  `{name}`: {guard}")?;
        }
        let flights = stages
            .iter()
            .filter_map(|s| Some((s.name, s.flights.as_ref()?)));
        for (name, flights) in flights {
            writeln!(f, "  `{name}`: {flights}")?;
        }
        for late in stages.iter().filter(|stage| stage.late_batches > 0) {
            let (name, batches, longest) = (late.name, late.late_batches, late.longest_batch);
            writeln!(
                f,
                "  `{name}`: batches over budget: {batches}, the longest took {longest:?}"
            )?;
        }
        if let Some(memory) = self.metrics.memory {
            writeln!(f, "  {memory}")?;
        }
        if self.metrics.buffers.limit.is_some() {
            writeln!(f, "  {}", self.metrics.buffers)?;
        }
        if self.metrics.late_answers > 0 {
            let late = counted(self.metrics.late_answers as usize, "answer");
            writeln!(f, "  {late} too late, when callers had gone")?;
        }
        for note in &self.panics {
            writeln!(f, "  `{}` panicked: {}", note.stage, note.message)?;
        }
        write!(f, "{}", self.ledger)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_balanced() {
            "balanced"
        } else {
            "NOT BALANCED"
        };
        write!(
            f,
            "ledger, {verdict}: {} received + {} created = {} delivered + {} filtered + {} failed + {} panicked + {} dropped + {} in flight",
            self.received,
            self.created,
            self.delivered,
            self.filtered,
            self.failed,
            self.panicked,
            self.dropped,
            self.in_flight
        )?;
        match self.dropped_by.has_reasons() {
            false => Ok(()),
            true => write!(f, " ({})", self.dropped_by),
        }
    }
}

impl<P> fmt::Debug for Report<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("metrics", &self.metrics)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for Failed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed")
            .field("error", &self.error)
            .field("report", &self.report)
            .finish()
    }
}

impl<P> fmt::Display for Failed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<P> std::error::Error for Failed<P> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
