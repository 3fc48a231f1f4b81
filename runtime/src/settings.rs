//! The numbers of one run: what the topology says, changed by tuning files, by the environment and by code.

use pipewright_spec::{
    cores::CoreSet,
    info::{DoorInfo, Kind, LinkKindInfo, StateKind, TopologyInfo},
    options::{Enforce, OnPanic, Priority, Wait},
};

use crate::{
    error::StartError,
    guard::GuardSettings,
    idle::MAX_WORKERS,
    lane::Lane,
    machine::{Machine, Placement, Wish},
    seats,
    simd::Available,
    source::ShedSettings,
};

/// How long a worker works before it looks around, by default: 64 us.
pub(crate) const QUANTUM_NS: u64 = 64_000;
/// How long an item waits for its batch to fill, by default: 150 us.
pub const LINGER_NS: u64 = 150_000;
/// How long a batch may take, by default: 800 us.
pub(crate) const BUDGET_NS: u64 = 800_000;
/// How long a source that has nothing is left alone, by default: 50 us.
pub(crate) const IDLE_NS: u64 = 50_000;
/// Items that an input holds, by default.
pub(crate) const QUEUE: u32 = 4096;
/// Items that a ring between two pinned threads holds, by default.
pub(crate) const RING: u32 = 1024;
/// Futures of a stage that are under way at once, by default.
pub(crate) const IN_FLIGHT: u32 = 64;
/// Items of a full batch of a batch stage, by default.
pub const BATCH: u32 = 64;
/// Most items that a worker takes from a source into one carrier, by default.
pub(crate) const PULL: u32 = 4096;
/// Most slots of the gates of one link.
const MOST_CARRIERS: usize = 1 << 22;
/// Bounds of the number of tickets.
const CREDITS: std::ops::RangeInclusive<u32> = 8..=1024;
/// Partitions of a keyed stage per worker, and their bounds.
const PARTITIONS_PER_WORKER: usize = 4;
const PARTITIONS: std::ops::RangeInclusive<usize> = 16..=1024;

/// The numbers of one run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) workers: usize,
    /// What was asked of the workers; `workers` follows from it and from the machine.
    pub(crate) pool: Wish,
    /// Was the number of workers said by code, which goes over all files?
    pub(crate) by_code: bool,
    /// What follows where the machine does not give what is asked for.
    pub(crate) enforce: Enforce,
    /// Does the pipeline say that? Then more is looked at.
    pub(crate) enforce_said: bool,
    pub(crate) quantum: u64,
    /// Does the run begin in parallel work and stay there, whatever its items cost? For tests and measurements.
    pub(crate) parallel: bool,
    /// Are batches divided whenever they can be? For tests.
    pub(crate) always_divide: bool,
    /// Most bytes that the buffers between stages may take.
    pub(crate) memory: Option<u64>,
    pub(crate) credits: u32,
    pub(crate) partitions: usize,
    /// The vector levels that segments may use.
    pub(crate) available: Available,
    pub(crate) stages: Box<[StageSettings]>,
    /// What futures find their timers and sockets in.
    #[cfg(feature = "tokio")]
    pub(crate) tokio: Option<tokio::runtime::Handle>,
}

/// The numbers of one stage. Times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct StageSettings {
    pub(crate) batch: Option<u32>,
    pub(crate) linger: u64,
    pub(crate) budget: u64,
    pub(crate) idle: u64,
    pub(crate) queue: u32,
    /// Futures that are under way at once.
    pub(crate) in_flight: u32,
    /// Places of futures, which are made when the run starts: so many, however many are under way later.
    pub(crate) places: u32,
    /// Is it an `async fn`?
    pub(crate) is_async: bool,
    pub(crate) priority: Option<Priority>,
    pub(crate) on_panic: OnPanic,
    /// The cores of its own threads.
    pub(crate) cores: Option<CoreSet>,
    /// How they wait, where it is said.
    pub(crate) wait: Option<Wait>,
    /// Their real-time priority.
    pub(crate) realtime: Option<u8>,
    /// What guards it.
    pub(crate) guard: Option<GuardSettings>,
    /// When it drops what waits in the input.
    pub(crate) shed: Option<ShedSettings>,
}

impl StageSettings {
    /// Is it seen how long its calls run? Those of futures are cancelled.
    pub(crate) fn watches_calls(&self) -> bool {
        !self.is_async
            && self
                .guard
                .as_ref()
                .is_some_and(GuardSettings::watches_calls)
    }
}

impl Settings {
    /// What the topology says, for one worker until [`Self::set_threads`] is called.
    pub(crate) fn of(info: &TopologyInfo) -> Self {
        let stages = info
            .stages
            .iter()
            .enumerate()
            .map(|(id, stage)| StageSettings {
                batch: stage.batch,
                linger: stage.linger_ns.unwrap_or(LINGER_NS),
                budget: stage.budget_ns.unwrap_or(BUDGET_NS),
                idle: stage.idle_ns.unwrap_or(IDLE_NS),
                queue: stage.queue.unwrap_or(match info.reads_ring(id as u16) {
                    true => RING,
                    false => QUEUE,
                }),
                in_flight: stage.in_flight.unwrap_or(IN_FLIGHT),
                places: stage.in_flight.unwrap_or(IN_FLIGHT),
                is_async: stage.is_async,
                priority: stage.priority,
                cores: stage.cores.and_then(CoreSet::of),
                wait: stage.wait,
                realtime: stage.realtime,
                guard: info.guard_of(id as u16).map(GuardSettings::of),
                shed: info
                    .load_of(id as u16)
                    .and_then(|load| Some(ShedSettings::of(load.shed?))),
                on_panic: stage
                    .on_panic
                    .unwrap_or_else(|| default_on_panic(stage.kind, stage.state)),
            });
        let mut settings = Self {
            workers: 1,
            pool: Wish {
                workers: info.pool.workers.map(|n| n as usize),
                cores: info.pool.cores.map(Box::from),
                smt: info.pool.smt,
                numa: info.pool.numa,
                pin: None,
                taken: Vec::new(),
                caller: None,
            },
            by_code: false,
            enforce: info.enforce.unwrap_or(Enforce::Warn),
            enforce_said: info.enforce.is_some(),
            quantum: info.quantum_ns.unwrap_or(QUANTUM_NS),
            parallel: false,
            always_divide: false,
            memory: info.memory,
            credits: 0,
            partitions: 0,
            available: Available::detected(),
            stages: stages.collect(),
            #[cfg(feature = "tokio")]
            tokio: None,
        };
        settings.set_threads(1, 0);
        settings
    }

    /// Sets the number of workers and of pinned threads, and everything that follows from it.
    pub(crate) fn set_threads(&mut self, workers: usize, pinned: usize) {
        self.workers = workers;
        let wanted = (4 * (workers + pinned) as u32).next_power_of_two();
        // A source that gives one item at a time must have tickets for as many futures as there may be.
        let futures = self.stages.iter().filter(|stage| stage.is_async);
        let futures = futures.map(|stage| stage.in_flight).max().unwrap_or(0);
        let wanted = wanted.max(futures.next_power_of_two());
        self.credits = wanted.clamp(*CREDITS.start(), *CREDITS.end());
        let wanted = (PARTITIONS_PER_WORKER * workers).next_power_of_two();
        self.partitions = wanted.clamp(*PARTITIONS.start(), *PARTITIONS.end());
    }

    /// A run begins with these numbers.
    pub(crate) fn begin(&mut self) {
        for stage in &mut self.stages {
            stage.places = stage.in_flight;
        }
    }

    /// Gives the workers their seats on a machine.
    pub(crate) fn place(&mut self, machine: &Machine) -> Result<Placement, StartError> {
        if let Some(workers) = self.pool.workers
            && (workers == 0 || workers > MAX_WORKERS)
        {
            return Err(StartError::Number(format!(
                "a pool has 1 to {MAX_WORKERS} workers, not {workers}"
            )));
        }
        let placement = machine.place(&self.pool)?;
        self.set_threads(placement.seats.len(), 0);
        Ok(placement)
    }

    /// The cores that stages ask for.
    pub(crate) fn named_cores(&self) -> Vec<u32> {
        let named = self.stages.iter().filter_map(|stage| stage.cores.as_ref());
        named.flat_map(CoreSet::iter).collect()
    }

    /// Items that the input holds: the largest `queue` of the stages that read it.
    pub(crate) fn input_queue(&self, info: &TopologyInfo) -> u32 {
        let stages = info.stages.iter().zip(&self.stages);
        let readers = stages.filter(|(stage, _)| stage.reads_input());
        let queues = readers.map(|(_, settings)| settings.queue);
        queues.max().unwrap_or(1)
    }

    /// Places in the pool: for its workers, and for those that may have to stand in for others (see [`crate::quarantine`]).
    pub(crate) fn seats(&self) -> usize {
        // Nobody stands in for pinned threads.
        let watched = |stage: &&StageSettings| stage.watches_calls() && stage.cores.is_none();
        let spare = self.stages.iter().filter(watched).count() * seats::MOST;
        (self.workers + spare).min(MAX_WORKERS.max(self.workers))
    }

    /// May batches have to wait in a stage?
    pub(crate) fn has_waits(&self) -> bool {
        let waits = |stage: &StageSettings| stage.guard.is_some() || stage.is_async;
        self.stages.iter().any(waits)
    }

    /// When what waits in the input is dropped.
    pub(crate) fn input_shed(&self) -> Option<ShedSettings> {
        self.stages.iter().find_map(|stage| stage.shed)
    }

    /// Refuses numbers of guards that do not fit each other, and more batches on their way than gates can have slots for.
    pub(crate) fn check(&self, info: &TopologyInfo) -> Result<(), StartError> {
        for (stage, info) in self.stages.iter().zip(info.stages) {
            if let Some(Err(wrong)) = stage.guard.as_ref().map(GuardSettings::check) {
                return Err(StartError::Number(format!("`{}`: {wrong}", info.name)));
            }
        }
        for link in 0..info.links.len() {
            let gates = self.parts_at(info, link);
            if self.most_at(info, link).saturating_mul(gates) > MOST_CARRIERS {
                let stage = info.stages[usize::from(info.links[link].to)].name;
                return Err(StartError::Number(format!(
                    "{} workers divide the items on their way to `{stage}` into too many batches, because of the keyed stages before it; use fewer workers",
                    self.workers
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn on_panic(&self, stage: u16) -> OnPanic {
        self.stages
            .get(stage as usize)
            .map_or(OnPanic::Stop, |stage| stage.on_panic)
    }

    /// Most carriers that can be on their way to `link` at once; to a keyed link, before they are divided.
    pub(crate) fn most_at(&self, info: &TopologyInfo, link: usize) -> usize {
        let tickets = self.credits as usize;
        if matches!(info.links[link].kind, LinkKindInfo::Ordered) {
            return tickets;
        }
        let paths = usize::from(info.links[link].paths).max(1);
        links_before(info, link)
            .map(|before| self.parts_at(info, before))
            .fold(tickets.saturating_mul(paths), usize::saturating_mul)
    }

    /// The parts in which a carrier comes to a link; 1 for what a source gives, which has a number behind those of the links.
    pub(crate) fn parts_of(&self, info: &TopologyInfo, link: u16) -> usize {
        let links = info.links.len();
        if usize::from(link) < links {
            self.parts_at(info, link.into())
        } else {
            1
        }
    }

    /// The parts in which a link divides a carrier: by partition of the keys, or by the thread that has them.
    fn parts_at(&self, info: &TopologyInfo, link: usize) -> usize {
        let link = &info.links[link];
        let LinkKindInfo::Keyed { .. } = link.kind else {
            return 1;
        };
        let cores = self.stages[usize::from(link.to)].cores.as_ref();
        cores.map_or(self.partitions, CoreSet::len)
    }

    /// The lane of each link, and of each source: what the stages say that are run for what comes from there.
    pub(crate) fn lanes(&self, info: &TopologyInfo) -> (Box<[Lane]>, Box<[Lane]>) {
        let links = info.links.iter().map(|link| self.lane_of(info, link.to));
        let sources = info.sources.iter().map(|source| match source.stage {
            Some(stage) => self.lane_of(info, stage),
            // What is pushed brings its own.
            None => Lane::NORMAL,
        });
        (links.collect(), sources.collect())
    }

    /// The lane of the segment that begins with `first`.
    fn lane_of(&self, info: &TopologyInfo, first: u16) -> Lane {
        let mut lane = Lane::NORMAL;
        let mut seen = vec![false; info.stages.len()];
        let mut ahead = vec![first];
        while let Some(stage) = ahead.pop() {
            if std::mem::replace(&mut seen[usize::from(stage)], true) {
                continue;
            }
            if let Some(priority) = self.stages[usize::from(stage)].priority {
                lane = lane.with(Lane::of(priority));
            }
            ahead.extend(run_with(info, stage));
        }
        lane
    }

    /// Most carriers on their way at once, at all links together: at a keyed link, before they are divided and after.
    pub(crate) fn most_carriers(&self, info: &TopologyInfo) -> usize {
        let at = |link: usize| {
            let keyed = matches!(info.links[link].kind, LinkKindInfo::Keyed { .. });
            let parts = if keyed { self.partitions + 1 } else { 1 };
            self.most_at(info, link).saturating_mul(parts)
        };
        // `check` bounds every summand.
        (0..info.links.len()).map(at).sum::<usize>().max(1)
    }
}

/// A stateless stage loses one item, per-worker state is made anew, and state that items share stops the run.
fn default_on_panic(kind: Kind, state: StateKind) -> OnPanic {
    match (kind, state) {
        (Kind::Source, _) => OnPanic::Stop,
        (_, StateKind::None) => OnPanic::Isolate,
        (_, StateKind::PerWorker) => OnPanic::Reset,
        _ => OnPanic::Stop,
    }
}

/// The stages that read `stage` in the same loop: those that no link leads to.
fn run_with(info: &TopologyInfo, stage: u16) -> impl Iterator<Item = u16> + '_ {
    let reads = move |reader: u16| {
        let mut doors = info.stages[usize::from(reader)].inputs.iter();
        doors.any(|door| door.stage == stage)
    };
    let fused = |reader: u16| info.links.iter().all(|link| link.to != reader);
    (0..info.stages.len() as u16).filter(move |reader| reads(*reader) && fused(*reader))
}

/// The links whose items, or what became of them, come to `link`.
fn links_before(info: &TopologyInfo, link: usize) -> impl Iterator<Item = usize> + '_ {
    fn visit(info: &TopologyInfo, stage: usize, seen: &mut [bool]) {
        for door in info.stages[stage].inputs {
            let from = usize::from(door.stage);
            if door.stage != DoorInfo::INPUT && !std::mem::replace(&mut seen[from], true) {
                visit(info, from, seen);
            }
        }
    }
    let mut before = vec![false; info.stages.len()];
    visit(info, usize::from(info.links[link].to), &mut before);
    (0..info.links.len()).filter(move |link| before[usize::from(info.links[*link].to)])
}
