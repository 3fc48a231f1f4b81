//! The tasks of the lanes that all workers serve together, and when each lane was last served.
//!
//! Urgent tasks wait in one queue for all workers, first come, first served, which gives short tasks the best tail (Kaffes et
//! al., "Shinjuku", NSDI 2019). Tasks of the lane `normal` are in the workers' own queues.

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use pipewright_spec::info::TopologyInfo;

use crate::{
    carrier::Task,
    lane::{AGE_NS, LANES, Lane, Lanes},
    settings::Settings,
    sync::{AtomicU64, Ordering},
};

/// Most tasks that wait in a lane; more go where those of `normal` do.
const MOST_TASKS: usize = 4096;

/// The queues of a run.
pub(crate) struct LaneQueues {
    used: Lanes,
    /// The lane of each link, from the stages behind it.
    links: Box<[Lane]>,
    /// One for each lane; `None` for `normal`, and where a lane is not in use.
    queues: [Option<ArrayQueue<Task>>; LANES],
    /// When each lane was last served or seen empty, in nanoseconds of the run.
    served: [CachePadded<AtomicU64>; LANES],
}

impl LaneQueues {
    /// With room for `bound` tasks in all, which is what there can be.
    pub(crate) fn new(settings: &Settings, info: &TopologyInfo, bound: usize) -> Self {
        let (links, sources) = settings.lanes(info);
        let named = links.iter().chain(&sources);
        let used = match info.sources.iter().any(|source| source.stage.is_none()) {
            // What is pushed comes in any lane.
            true => Lanes::ALL,
            false => named.fold(Lanes::NORMAL, |lanes, lane| lanes.and(*lane)),
        };
        let queue = |lane: Lane| {
            let carries = !info.links.is_empty() || settings.workers > 1;
            let shared = lane != Lane::NORMAL && used.has(lane) && carries;
            shared.then(|| ArrayQueue::new(bound.min(MOST_TASKS)))
        };
        Self {
            used,
            links,
            queues: Lane::ALL.map(queue),
            served: std::array::from_fn(|_| CachePadded::new(AtomicU64::new(0))),
        }
    }

    /// The lanes in use.
    pub(crate) fn used(&self) -> Lanes {
        self.used
    }

    /// The lane of a batch at a link, drawn from its source in the lane `drawn`.
    pub(crate) fn at(&self, link: u16, drawn: Lane) -> Lane {
        self.links
            .get(usize::from(link))
            .map_or(drawn, |lane| lane.with(drawn))
    }

    /// Has a lane a queue here?
    pub(crate) fn has_queue(&self, lane: Lane) -> bool {
        self.queues[lane.index()].is_some()
    }

    /// Leaves a task in a lane; it comes back if the lane has no queue here, or no room.
    pub(crate) fn push(&self, lane: Lane, task: Task) -> Result<(), Task> {
        match &self.queues[lane.index()] {
            Some(queue) => queue.push(task),
            None => Err(task),
        }
    }

    pub(crate) fn pop(&self, lane: Lane) -> Option<Task> {
        self.queues[lane.index()].as_ref()?.pop()
    }

    pub(crate) fn waits_in(&self, lane: Lane) -> bool {
        self.queues[lane.index()]
            .as_ref()
            .is_some_and(|queue| !queue.is_empty())
    }

    /// Is no task in any lane?
    pub(crate) fn is_empty(&self) -> bool {
        Lane::ALL.into_iter().all(|lane| !self.waits_in(lane))
    }

    /// A lane was served, or had nothing to do.
    pub(crate) fn served(&self, lane: Lane, now: u64) {
        // Where there is one lane it cannot starve, and workers need not write to the same place.
        if self.used != Lanes::NORMAL {
            // Relaxed: it is a time, and nothing else depends on it.
            self.served[lane.index()].store(now, Ordering::Relaxed);
        }
    }

    /// Has this lane waited too long?
    pub(crate) fn is_aged(&self, lane: Lane, now: u64) -> bool {
        now.saturating_sub(self.served[lane.index()].load(Ordering::Relaxed)) > AGE_NS
    }
}
