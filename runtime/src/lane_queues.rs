//! The tasks of the lanes that all workers serve together, and when each lane was last served.
//!
//! Urgent tasks wait in one queue for all workers, first come, first served, which gives short tasks the best tail (Kaffes et
//! al., "Shinjuku", NSDI 2019). Tasks of the lane `normal` are in the workers' own queues.
//!
//! **Priorities change** while the run goes on: first the queue of a lane is made that was not in use, then the lane is in use, and
//! then links and sources have it. A lane that is in use stays so: what waits there is served as before. A worker that does not
//! know of a lane yet finds nothing, sees before it sleeps that something waits in some lane, and looks again.

use std::sync::OnceLock;

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use pipewright_spec::info::TopologyInfo;

use crate::{
    carrier::Task,
    lane::{AGE_NS, LANES, Lane, Lanes},
    settings::Settings,
    sync::{AtomicU8, AtomicU64, Ordering},
};

/// Most tasks that wait in a lane; more go where those of `normal` do.
const MOST_TASKS: usize = 4096;

/// The queues of a run.
pub(crate) struct LaneQueues {
    used: AtomicU8,
    /// The lane of each link, from the stages behind it.
    links: Box<[AtomicU8]>,
    /// One for each lane that was ever in use but `normal`; none where there are no tasks.
    queues: [OnceLock<ArrayQueue<Task>>; LANES],
    /// Tasks that a queue has room for; 0 where there are none.
    room: usize,
    /// When each lane was last served or seen empty, in nanoseconds of the run.
    served: [CachePadded<AtomicU64>; LANES],
}

impl LaneQueues {
    /// With room for `bound` tasks in all, which is what there can be.
    pub(crate) fn new(settings: &Settings, info: &TopologyInfo, bound: usize) -> Self {
        let carries = !info.links.is_empty() || settings.workers > 1;
        let queues = Self {
            used: AtomicU8::new(Lanes::NORMAL.bits()),
            links: info
                .links
                .iter()
                .map(|_| AtomicU8::new(Lane::NORMAL.index() as u8))
                .collect(),
            queues: Lane::ALL.map(|_| OnceLock::new()),
            room: if carries { bound.min(MOST_TASKS) } else { 0 },
            served: std::array::from_fn(|_| CachePadded::new(AtomicU64::new(0))),
        };
        let (links, sources) = settings.lanes(info);
        queues.retune(info, &links, &sources);
        queues
    }

    /// From now on these are the lanes of links and sources. What was left in others is served there.
    pub(crate) fn retune(&self, info: &TopologyInfo, links: &[Lane], sources: &[Lane]) {
        let named = links.iter().chain(sources);
        let used = match info.sources.iter().any(|source| source.stage.is_none()) {
            // What is pushed comes in any lane.
            true => Lanes::ALL,
            false => named.fold(Lanes::NORMAL, |lanes, lane| lanes.and(*lane)),
        };
        if self.room > 0 {
            for lane in Lane::ALL {
                if lane != Lane::NORMAL && used.has(lane) {
                    self.queues[lane.index()].get_or_init(|| ArrayQueue::new(self.room));
                }
            }
        }
        // Relaxed, both: a queue says by itself whether it is there.
        self.used.fetch_or(used.bits(), Ordering::Relaxed);
        for (own, lane) in self.links.iter().zip(links) {
            own.store(lane.index() as u8, Ordering::Relaxed);
        }
    }

    /// The lanes in use.
    pub(crate) fn used(&self) -> Lanes {
        Lanes::of_bits(self.used.load(Ordering::Relaxed))
    }

    /// The lane of a batch at a link, drawn from its source in the lane `drawn`.
    pub(crate) fn at(&self, link: u16, drawn: Lane) -> Lane {
        self.links.get(usize::from(link)).map_or(drawn, |lane| {
            Lane::from_index(lane.load(Ordering::Relaxed).into()).with(drawn)
        })
    }

    /// Has a lane a queue here?
    pub(crate) fn has_queue(&self, lane: Lane) -> bool {
        self.queues[lane.index()].get().is_some()
    }

    /// Leaves a task in a lane; it comes back if the lane has no queue here, or no room.
    pub(crate) fn push(&self, lane: Lane, task: Task) -> Result<(), Task> {
        match self.queues[lane.index()].get() {
            Some(queue) => queue.push(task),
            None => Err(task),
        }
    }

    pub(crate) fn pop(&self, lane: Lane) -> Option<Task> {
        self.queues[lane.index()].get()?.pop()
    }

    pub(crate) fn waits_in(&self, lane: Lane) -> bool {
        self.queues[lane.index()]
            .get()
            .is_some_and(|queue| !queue.is_empty())
    }

    /// Is no task in any lane?
    pub(crate) fn is_empty(&self) -> bool {
        Lane::ALL.into_iter().all(|lane| !self.waits_in(lane))
    }

    /// A lane was served, or had nothing to do.
    pub(crate) fn served(&self, lane: Lane, now: u64) {
        // Where there is one lane it cannot starve, and workers need not write to the same place.
        if self.used() != Lanes::NORMAL {
            // Relaxed: it is a time, and nothing else depends on it.
            self.served[lane.index()].store(now, Ordering::Relaxed);
        }
    }

    /// Has this lane waited too long?
    pub(crate) fn is_aged(&self, lane: Lane, now: u64) -> bool {
        now.saturating_sub(self.served[lane.index()].load(Ordering::Relaxed)) > AGE_NS
    }
}
