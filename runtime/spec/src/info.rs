//! The shape of a compiled pipeline: constants that generated code holds and the runtime reads.

use crate::model::{DIVERTED, ERR};
pub use crate::model::{Kind, StateKind};
pub use crate::options::{Enforce, OnError, OnPanic, Overflow, Priority, Smt, Wait};
pub use crate::plan::LinkKind as LinkKindInfo;

/// Everything about a pipeline that is fixed when it is compiled.
#[derive(Clone, Copy, Debug)]
pub struct TopologyInfo {
    /// The name of the pipeline.
    pub name: &'static str,
    /// Its stages, sources and sinks; their ids are their places in this list.
    pub stages: &'static [StageInfo],
    /// Its links, in the order of the plan.
    pub links: &'static [LinkInfo],
    /// Its sources, the push input last.
    pub sources: &'static [SourceInfo],
    /// Its segments that have threads of their own, producers before consumers.
    pub pinned: &'static [PinnedInfo],
    /// Its stages that something guards, in the order of the stages.
    pub guards: &'static [GuardInfo],
    /// Its stages that say what becomes of items of which there are too many, in the order of the stages.
    pub loads: &'static [LoadInfo],
    /// Is there something for the workers of the pool to run?
    pub has_pool: bool,
    /// `pool(..)`.
    pub pool: PoolInfo,
    /// `hw(enforce = ..)`, where given.
    pub enforce: Option<Enforce>,
    /// `quantum`, where given.
    pub quantum_ns: Option<u64>,
    /// `memory`, in bytes, where given.
    pub memory: Option<u64>,
    /// The drawing of the pipeline as text.
    pub drawing: &'static str,
}

impl TopologyInfo {
    /// A pool without anything to run: what others are described from.
    pub const EMPTY: Self = Self {
        name: "",
        stages: &[],
        links: &[],
        sources: &[],
        pinned: &[],
        guards: &[],
        loads: &[],
        has_pool: true,
        pool: PoolInfo::NONE,
        enforce: None,
        quantum_ns: None,
        memory: None,
        drawing: "",
    };

    /// The index of the stage with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name == name)
    }

    /// Do items end when they leave this stage? In a sink, and in a stage that answers calls and that no other stage reads.
    pub fn ends_at(&self, stage: usize) -> bool {
        let info = &self.stages[stage];
        let is_main =
            |door: &DoorInfo| !door.door.is_some_and(|name| self.is_side_door(stage, name));
        let mut doors = self.stages.iter().flat_map(|reader| reader.inputs);
        let read = doors.any(|door| usize::from(door.stage) == stage && is_main(door));
        info.kind == Kind::Sink || (info.kind == Kind::Stage && !read)
    }

    /// Is a door that of a stage's errors, or that of what its breaker diverts?
    pub fn is_side_door(&self, stage: usize, door: &str) -> bool {
        match door {
            ERR => self.stages[stage].fallible,
            DIVERTED => self.diverts(stage as u16),
            _ => false,
        }
    }

    /// Do the items of a stage leave by `Diverted` while its breaker is open?
    pub fn diverts(&self, stage: u16) -> bool {
        let fields = self.guard_of(stage).and_then(|guard| guard.breaker);
        let divert = |field: &FieldInfo| {
            field.name == "on_open" && field.value == FieldValue::Word("divert")
        };
        fields.is_some_and(|fields| fields.iter().any(divert))
    }

    /// The pinned segment that a stage is in.
    pub fn pinned_with(&self, stage: u16) -> Option<usize> {
        self.pinned
            .iter()
            .position(|pinned| pinned.stages.contains(&stage))
    }

    /// What guards a stage.
    pub fn guard_of(&self, stage: u16) -> Option<&'static GuardInfo> {
        self.guards.iter().find(|guard| guard.stage == stage)
    }

    /// What a stage says about items of which there are too many.
    pub fn load_of(&self, stage: u16) -> Option<&'static LoadInfo> {
        self.loads.iter().find(|load| load.stage == stage)
    }

    /// What happens when the queue in front of a stage is full.
    pub fn overflow_at(&self, stage: u16) -> Overflow {
        let given = self.load_of(stage).and_then(|load| load.overflow);
        given.unwrap_or(Overflow::Block)
    }

    /// What happens when the push input is full: what its readers say, who agree.
    pub fn overflow_of_input(&self) -> Overflow {
        let mut readers = (0..).zip(self.stages).filter(|(_, s)| s.reads_input());
        let given = readers.find_map(|(at, _)| self.load_of(at)?.overflow);
        given.unwrap_or(Overflow::Block)
    }

    /// Does a stage take its items from a ring?
    pub fn reads_ring(&self, stage: u16) -> bool {
        self.links
            .iter()
            .any(|link| link.to == stage && link.kind == LinkKindInfo::Ring)
    }
}

/// What the pipeline says about its workers; each is `None` where it was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolInfo {
    /// How many there are.
    pub workers: Option<u32>,
    /// The cores that they run on, ascending.
    pub cores: Option<&'static [u32]>,
    /// Whether they share physical cores.
    pub smt: Option<Smt>,
    /// The memory node that they run on.
    pub numa: Option<u32>,
}

impl PoolInfo {
    /// Nothing was given.
    pub const NONE: Self = Self {
        workers: None,
        cores: None,
        smt: None,
        numa: None,
    };
}

/// What is fixed about a stage, and the numbers it starts with.
#[derive(Clone, Copy, Debug)]
pub struct StageInfo {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The source file of its function.
    pub file: &'static str,
    /// The line of its function.
    pub line: u32,
    /// How it holds state.
    pub state: StateKind,
    /// Has it an `Err` door?
    pub fallible: bool,
    /// May one item become many?
    pub many: bool,
    /// Is it a source that is polled?
    pub is_poll: bool,
    /// Does it take many items at a time?
    pub is_batch: bool,
    /// Is it an `async fn`?
    pub is_async: bool,
    /// `in_flight`, where given.
    pub in_flight: Option<u32>,
    /// `batch`, where given.
    pub batch: Option<u32>,
    /// `linger`, where given.
    pub linger_ns: Option<u64>,
    /// `budget`, where given.
    pub budget_ns: Option<u64>,
    /// `idle`, where given.
    pub idle_ns: Option<u64>,
    /// `queue`, where given.
    pub queue: Option<u32>,
    /// `priority`, where given.
    pub priority: Option<Priority>,
    /// `cores`, where given.
    pub cores: Option<&'static [u32]>,
    /// `wait`, where given.
    pub wait: Option<Wait>,
    /// `realtime`, where given.
    pub realtime: Option<u8>,
    /// `on_panic`, where given.
    pub on_panic: Option<OnPanic>,
    /// `on_error`, where given.
    pub on_error: Option<OnError>,
    /// What it reads.
    pub inputs: &'static [DoorInfo],
}

impl StageInfo {
    /// A stage without a name that reads nothing: what others are described from.
    pub const EMPTY: Self = Self {
        name: "",
        kind: Kind::Stage,
        file: "",
        line: 0,
        state: StateKind::None,
        fallible: false,
        many: false,
        is_poll: false,
        is_batch: false,
        is_async: false,
        in_flight: None,
        batch: None,
        linger_ns: None,
        budget_ns: None,
        idle_ns: None,
        queue: None,
        priority: None,
        cores: None,
        wait: None,
        realtime: None,
        on_panic: None,
        on_error: None,
        inputs: &[],
    };

    /// Does it read the push input?
    pub fn reads_input(&self) -> bool {
        self.inputs.iter().any(|door| door.stage == DoorInfo::INPUT)
    }
}

/// An output that a stage reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorInfo {
    /// The stage whose output it is, or [`DoorInfo::INPUT`].
    pub stage: u16,
    /// The variant or `Err`, where one is named.
    pub door: Option<&'static str>,
}

impl DoorInfo {
    /// Stands for the push input.
    pub const INPUT: u16 = u16::MAX;
}

/// A link between segments.
#[derive(Clone, Copy, Debug)]
pub struct LinkInfo {
    /// The stage that it feeds.
    pub to: u16,
    /// How it hands items over.
    pub kind: LinkKindInfo,
    /// How many carriers a ticket of each source sends here, in the order of the sources.
    pub parts: &'static [u8],
    /// The most carriers that one ticket sends here.
    pub paths: u8,
    /// Do its items carry their position in the source batch?
    pub tagged: bool,
}

/// A segment with threads of its own.
#[derive(Clone, Copy, Debug)]
pub struct PinnedInfo {
    /// Its stages; the first one heads it.
    pub stages: &'static [u16],
    /// The source that heads it, by its place among the sources.
    pub source: Option<u16>,
    /// The link that heads it.
    pub link: Option<u16>,
}

/// A source of items.
#[derive(Clone, Copy, Debug)]
pub struct SourceInfo {
    /// The source stage, or `None` for the push input.
    pub stage: Option<u16>,
    /// The links that keep order and that tickets of this source pass.
    pub gates: &'static [u16],
    /// Is it told up to where everything is done?
    pub acks: bool,
}

/// What guards a stage, with the numbers that were given.
#[derive(Clone, Copy, Debug)]
pub struct GuardInfo {
    /// The stage.
    pub stage: u16,
    /// `workers`, where given.
    pub workers: Option<u32>,
    /// `timeout`, where given.
    pub timeout_ns: Option<u64>,
    /// `rate`, where given.
    pub rate: Option<RateInfo>,
    /// `retry(..)`, where given.
    pub retry: Option<&'static [FieldInfo]>,
    /// `breaker(..)`, where given.
    pub breaker: Option<&'static [FieldInfo]>,
}

/// What a stage says about items of which there are too many.
#[derive(Clone, Copy, Debug)]
pub struct LoadInfo {
    /// The stage.
    pub stage: u16,
    /// `overflow`, where given.
    pub overflow: Option<Overflow>,
    /// `shed(..)`, where given.
    pub shed: Option<&'static [FieldInfo]>,
}

/// So many items in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateInfo {
    /// How many.
    pub items: u64,
    /// In how many nanoseconds.
    pub per_ns: u64,
}

/// A field of a group such as `breaker(..)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name.
    pub name: &'static str,
    /// What was given.
    pub value: FieldValue<'static>,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'v> {
    /// A number.
    Count(u64),
    /// A time in nanoseconds.
    Time(u64),
    /// A word.
    Word(&'static str),
    /// Several words.
    Words(&'v [&'static str]),
}
