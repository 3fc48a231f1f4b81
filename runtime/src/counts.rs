//! The counters of one worker. Only that worker writes them, so counting is a load and a store; anybody may read them.
//!
//! A worker settles what it did before it hands items on. So whoever reads the stages against the stream (sinks first)
//! never sees a stage that has received more than was sent to it.

use pipewright_spec::info::TopologyInfo;

use crate::sync::{AtomicU16, AtomicU64, Ordering};

/// Counters of every stage, as one worker has counted them.
#[derive(Debug)]
pub struct Counts {
    stages: Box<[Cells]>,
    /// Items sent by each variant door, by [`Doors`].
    routed: Box<[AtomicU64]>,
    doors: Doors,
    /// Items taken from the input.
    input: AtomicU64,
    /// The stage that the last loop was in.
    at: AtomicU16,
}

#[derive(Debug, Default)]
struct Cells {
    received: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    diverted: AtomicU64,
    panicked: AtomicU64,
}

/// What one stage counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) diverted: u64,
    pub(crate) panicked: u64,
}

impl Counts {
    pub(crate) fn new(info: &TopologyInfo) -> Self {
        let doors = Doors::of(info);
        Self {
            stages: info.stages.iter().map(|_| Cells::default()).collect(),
            routed: (0..doors.len()).map(|_| AtomicU64::new(0)).collect(),
            doors,
            input: AtomicU64::new(0),
            at: AtomicU16::new(0),
        }
    }

    /// Items that came to a stage.
    #[inline]
    pub fn received(&self, stage: u16, n: u64) {
        add(&self.stages[stage as usize].received, n);
    }

    /// Items that a stage sent by its main door, or that a sink took.
    #[inline]
    pub fn sent(&self, stage: u16, n: u64) {
        add(&self.stages[stage as usize].sent, n);
    }

    /// One item less came to a stage than was counted.
    pub fn unreceived(&self, stage: u16) {
        add(&self.stages[stage as usize].received, 1u64.wrapping_neg());
    }

    /// One item less was lost to a panic than was counted.
    pub(crate) fn unpanicked(&self, stage: u16) {
        add(&self.stages[stage as usize].panicked, 1u64.wrapping_neg());
    }

    /// One item less was sent by a stage than was counted.
    pub fn unsent(&self, stage: u16) {
        add(&self.stages[stage as usize].sent, 1u64.wrapping_neg());
    }

    /// Items that were taken from the input.
    #[inline]
    pub fn input(&self, n: u64) {
        add(&self.input, n);
    }

    /// Items that failed.
    #[inline]
    pub fn failed(&self, stage: u16, n: u64) {
        add(&self.stages[stage as usize].failed, n);
    }

    /// Items that left by `Diverted`.
    #[inline]
    pub fn diverted(&self, stage: u16, n: u64) {
        add(&self.stages[stage as usize].diverted, n);
    }

    /// Items that a stage sent by its variant door number `door`, in the order in which doors are first read.
    #[inline]
    pub fn routed(&self, stage: u16, door: u16, n: u64) {
        add(
            &self.routed[self.doors.base[stage as usize] as usize + door as usize],
            n,
        );
    }

    pub(crate) fn panicked(&self, stage: u16, n: u64) {
        if let Some(cells) = self.stages.get(stage as usize) {
            add(&cells.panicked, n);
        }
    }

    #[inline(always)]
    pub(crate) fn set_at(&self, stage: u16) {
        self.at.store(stage, Ordering::Relaxed);
    }

    pub(crate) fn at(&self) -> u16 {
        self.at.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self, stage: usize) -> Seen {
        // Acquire: pairs with the Release of `add`, for the order among stages that the top of the file promises.
        let cells = &self.stages[stage];
        // An item may be taken back before its loop has settled; a count below zero is shown as zero until then.
        let read = |cell: &AtomicU64| (cell.load(Ordering::Acquire) as i64).max(0) as u64;
        Seen {
            sent: read(&cells.sent),
            failed: read(&cells.failed),
            diverted: read(&cells.diverted),
            panicked: read(&cells.panicked),
            received: read(&cells.received),
        }
    }

    pub(crate) fn read_input(&self) -> u64 {
        self.input.load(Ordering::Acquire)
    }

    pub(crate) fn read_routed(&self, stage: usize, door: &str) -> u64 {
        match self.doors.find(stage, door) {
            Some(i) => self.routed[i].load(Ordering::Acquire),
            None => 0,
        }
    }
}

#[inline]
fn add(cell: &AtomicU64, n: u64) {
    if n != 0 {
        // Relaxed load: this worker is the only writer.
        cell.store(
            cell.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Release,
        );
    }
}

/// Where the count of each variant door lies.
#[derive(Clone, Debug)]
struct Doors {
    /// First door of each stage.
    base: Box<[u16]>,
    names: Box<[&'static str]>,
}

impl Doors {
    fn of(info: &TopologyInfo) -> Self {
        let mut base = Vec::new();
        let mut names: Vec<&'static str> = Vec::new();
        for stage in 0..info.stages.len() {
            let first = names.len();
            base.push(first as u16);
            let read = info.stages.iter().flat_map(|reader| reader.inputs);
            for door in read.filter(|door| usize::from(door.stage) == stage) {
                match door.door {
                    Some(name) if info.is_side_door(stage, name) => {}
                    Some(name) if !names[first..].contains(&name) => names.push(name),
                    _ => {}
                }
            }
        }
        Self {
            base: base.into(),
            names: names.into(),
        }
    }

    fn len(&self) -> usize {
        self.names.len()
    }

    fn find(&self, stage: usize, door: &str) -> Option<usize> {
        let first = self.base[stage] as usize;
        let end = self
            .base
            .get(stage + 1)
            .map_or(self.names.len(), |&end| end as usize);
        self.names[first..end]
            .iter()
            .position(|name| *name == door)
            .map(|i| first + i)
    }
}
