//! What the stages have counted, as plain data.

use std::{fmt, time::Duration};

use pipewright_spec::info::{DoorInfo, Kind, TopologyInfo};

use crate::{
    budget::Buffers,
    counts::Seen,
    diagnose::StageOf,
    dropped::{Dropped, Losses},
    flights::FlightMetrics,
    graph::Blueprint,
    guard::GuardMetrics,
    pressure::MemoryPressure,
    running::Of,
    shared::Shared,
    sync::Ordering,
    worker_stats::WorkerMetrics,
};

/// What every stage of a pipeline has counted at one moment.
pub struct Metrics<P> {
    pub(crate) stages: Box<[StageMetrics]>,
    pub(crate) workers: Box<[WorkerMetrics]>,
    pub(crate) memory: Option<MemoryPressure>,
    pub(crate) buffers: Buffers,
    pub(crate) late_answers: u64,
    pipeline: Of<P>,
}

/// What one stage has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageMetrics {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Items that came to it; of a source, those that it gave.
    pub received: u64,
    /// Items that it sent by its main door; of a sink, those that it took.
    pub sent: u64,
    /// Items that it did not pass on, and said so (`None`, `false`, not retained); of a one-to-many stage, how many fewer
    /// it sent in all than it received.
    pub filtered: u64,
    /// Items that left as errors.
    pub failed: u64,
    /// Items that left by `Diverted`, uncalled; its guard tells them.
    pub(crate) diverted: u64,
    /// Items that were lost to a panic.
    pub panicked: u64,
    /// Items that were dropped, before this stage or, when the run stopped, after it had made them.
    pub dropped: u64,
    /// The same, by the reason.
    pub dropped_by: Dropped,
    /// Items that are on their way to it.
    pub in_flight: u64,
    /// Items sent by each variant door that is read.
    pub routed: Vec<(&'static str, u64)>,
    /// Batches that took longer than `budget`.
    pub late_batches: u64,
    /// How long the longest of them took.
    pub longest_batch: Duration,
    /// What guards it has counted; `None` if nothing does.
    pub guard: Option<GuardMetrics>,
    /// What was counted of its futures; `None` if it is no `async fn`.
    pub flights: Option<FlightMetrics>,
}

impl<P: Blueprint> Metrics<P> {
    pub(crate) fn read(shared: &Shared) -> Self {
        Self {
            stages: read(shared),
            workers: workers(shared),
            memory: shared.memory.is_some().then(|| shared.pressure.seen()),
            buffers: shared.budget.seen(),
            late_answers: shared.late_answers.load(Ordering::Relaxed),
            pipeline: Of::default(),
        }
    }

    /// Of stages that were counted elsewhere.
    pub(crate) fn of_stages(stages: Box<[StageMetrics]>, late_answers: u64) -> Self {
        Self {
            stages,
            workers: Box::default(),
            memory: None,
            buffers: Buffers::default(),
            late_answers,
            pipeline: Of::default(),
        }
    }

    /// What a stage has counted, by its type: `metrics.stage::<mempool::verify>()`.
    pub fn stage<S: StageOf<P>>(&self) -> &StageMetrics {
        &self.stages[usize::from(S::ID)]
    }

    /// What a stage has counted, by its name.
    pub fn get(&self, name: &str) -> Option<&StageMetrics> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// What each worker did with its time; none in a dry run.
    pub fn workers(&self) -> &[WorkerMetrics] {
        &self.workers
    }

    /// How scarce memory was; `None` for a run that does not watch it (see
    /// [`Builder::watch_memory`](crate::Builder::watch_memory)).
    pub fn memory(&self) -> Option<MemoryPressure> {
        self.memory
    }

    /// What the buffers between stages take; nothing in a dry run, which hands no batches over.
    pub fn buffers(&self) -> Buffers {
        self.buffers
    }

    /// Answers that were thrown away because their callers had gone: their time was up, or their future was dropped.
    pub fn late_answers(&self) -> u64 {
        self.late_answers
    }

    /// All stages, in the order in which they are written.
    pub fn stages(&self) -> &[StageMetrics] {
        &self.stages
    }
}

impl<P> fmt::Debug for Metrics<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("stages", &self.stages)
            .field("workers", &self.workers)
            .field("memory", &self.memory)
            .field("buffers", &self.buffers)
            .field("late_answers", &self.late_answers)
            .finish()
    }
}

fn workers(shared: &Shared) -> Box<[WorkerMetrics]> {
    let age = shared.elapsed();
    let workers = shared.settings.workers;
    let seats = shared.stats.iter().take(shared.settings.seats());
    // Those that stand in for others, where any ever did.
    seats
        .enumerate()
        .filter(|(id, stats)| *id < workers || stats.has_begun())
        .map(|(_, stats)| stats.read(shared.info, age))
        .collect()
}

/// Reads all workers' counters. Stages are read against the stream, so that what is sent after a reader was read shows
/// as being on its way and nothing shows as received before it was sent.
fn read(shared: &Shared) -> Box<[StageMetrics]> {
    let info = shared.info;
    let mut seen = vec![Seen::default(); info.stages.len()];
    for stage in against_the_stream(info) {
        for counts in &shared.counts {
            let one = counts.read(stage);
            seen[stage].received += one.received;
            seen[stage].sent += one.sent;
            seen[stage].failed += one.failed;
            seen[stage].diverted += one.diverted;
            seen[stage].panicked += one.panicked;
        }
    }
    (0..info.stages.len())
        .map(|stage| stage_metrics(shared, &seen, stage))
        .collect()
}

fn stage_metrics(shared: &Shared, seen: &[Seen], stage: usize) -> StageMetrics {
    let info = &shared.info.stages[stage];
    let Seen {
        received,
        sent,
        failed,
        diverted,
        panicked,
    } = seen[stage];
    let made = shared.dropped_inside(stage);
    let source = info.kind == Kind::Source;
    let leave = sent + failed + diverted + panicked + made;
    let filtered = if source {
        0
    } else {
        received.saturating_sub(leave)
    };
    let dropped = dropped_before(shared, stage);
    let before = dropped.total();
    let come: u64 = info
        .inputs
        .iter()
        .map(|door| sent_by(shared, seen, door))
        .sum();
    StageMetrics {
        name: info.name,
        kind: info.kind,
        received: if source { sent + before } else { received },
        sent,
        filtered,
        failed,
        diverted,
        panicked,
        dropped: before + made,
        dropped_by: Dropped {
            stopped: dropped.stopped + made,
            ..dropped
        },
        in_flight: if source {
            0
        } else {
            come.saturating_sub(received + before)
        },
        routed: doors_of(shared.info, stage)
            .into_iter()
            .map(|door| (door, routed(shared, stage, door)))
            .collect(),
        late_batches: shared.late.of(stage).0,
        longest_batch: shared.late.of(stage).1,
        guard: guard_metrics(shared, stage),
        flights: shared.flights.of(stage).map(|hub| hub.seen()),
    }
}

fn guard_metrics(shared: &Shared, stage: usize) -> Option<GuardMetrics> {
    let seen = shared.guards.of(stage)?.seen(shared.now());
    Some(GuardMetrics {
        quarantined: shared.seats.of(stage as u16) as u64,
        ..seen
    })
}

/// Items that a stage has sent by the door that a reader reads.
pub(crate) fn sent_by(shared: &Shared, seen: &[Seen], door: &DoorInfo) -> u64 {
    if door.stage == DoorInfo::INPUT {
        return input_received(shared);
    }
    let stage = usize::from(door.stage);
    match door.door {
        None => seen[stage].sent,
        Some("Err") if shared.info.stages[stage].fallible => seen[stage].failed,
        Some("Diverted") if shared.info.diverts(door.stage) => seen[stage].diverted,
        Some(variant) => routed(shared, stage, variant),
    }
}

/// Items that were taken from the input.
pub(crate) fn input_received(shared: &Shared) -> u64 {
    let input = shared
        .info
        .sources
        .iter()
        .position(|source| source.stage.is_none());
    let dropped = input.map_or(0, |source| {
        sum(shared.losses_at_source(source).map(Losses::read)).total()
    });
    shared
        .counts
        .iter()
        .map(|counts| counts.read_input())
        .sum::<u64>()
        + dropped
}

fn routed(shared: &Shared, stage: usize, door: &str) -> u64 {
    shared
        .counts
        .iter()
        .map(|counts| counts.read_routed(stage, door))
        .sum()
}

/// Items dropped on their way to a stage, or pulled from a source and dropped.
fn dropped_before(shared: &Shared, stage: usize) -> Dropped {
    sum(shared.losses_before(stage).map(Losses::read))
}

fn sum(dropped: impl Iterator<Item = Dropped>) -> Dropped {
    dropped.fold(Dropped::default(), Dropped::and)
}

/// The variant doors of a stage that are read.
pub(crate) fn doors_of(info: &TopologyInfo, stage: usize) -> Vec<&'static str> {
    let mut doors = Vec::new();
    for door in info.stages.iter().flat_map(|reader| reader.inputs) {
        let Some(name) = door.door.filter(|_| usize::from(door.stage) == stage) else {
            continue;
        };
        if !info.is_side_door(stage, name) && !doors.contains(&name) {
            doors.push(name);
        }
    }
    doors
}

/// Stages such that every reader comes before what it reads.
pub(crate) fn against_the_stream(info: &TopologyInfo) -> Vec<usize> {
    fn visit(info: &TopologyInfo, stage: usize, seen: &mut [bool], order: &mut Vec<usize>) {
        if std::mem::replace(&mut seen[stage], true) {
            return;
        }
        for door in info.stages[stage].inputs {
            if door.stage != DoorInfo::INPUT {
                visit(info, usize::from(door.stage), seen, order);
            }
        }
        order.push(stage);
    }
    let mut seen = vec![false; info.stages.len()];
    let mut order = Vec::new();
    for stage in 0..info.stages.len() {
        visit(info, stage, &mut seen, &mut order);
    }
    order.reverse();
    order
}
