//! What waits for a time: batches that a guarded stage has put aside (see [`crate::guard`]).
//!
//! **States.** A batch here belongs to nobody: it waits with all that it has, its ticket, the outputs that it has made so far
//! and, behind a gate, the right to pass it. Its ticket bounds how many can wait, so that a stage that waits for long holds its
//! sources back and takes no more memory.
//!
//! **Who looks.** The earliest time is one word. Workers compare it with their time at every boundary between batches, and bound
//! their sleep by it, as they do for sources that rest: one sleeper takes the clock over and wakes in time. Whoever finds
//! batches that are due leaves them in the run queues, where they are tasks like all others. A run without guarded stages has
//! the end of time in that word.
//!
//! **Why nothing is left behind.** A worker that puts a batch aside first writes the word, then wakes a sleeper, whose look
//! before it sleeps reads the word: of the two fences one comes first, as with every task (see [`crate::idle`]). If the batch
//! is earlier than what the sleeper wakes for, the woken one takes the clock over.
//!
//! **How it ends.** A drain makes everything due that waits for the sake of others only (the pause before another try, a
//! rate). What waits for a breaker goes on waiting, because trying would be in vain. When the run stops, each worker drops
//! what is here before it leaves, and as nobody puts anything aside after its own last look, nothing stays.
//!
//! **Alarms.** The flights of an async stage lie elsewhere (see [`crate::flights`]), and only their time is here: a flight is rung
//! when it has come.
//!
//! It is locked: batches come here when something is wrong, and once, and flights when the earliest time for which they wait changes.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, sync::PoisonError};

use crate::{
    carrier::Task,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Nothing waits.
const NEVER: u64 = u64::MAX;

/// What waits for a time in a run.
pub(crate) struct Aside {
    /// When the first is due, in nanoseconds of the run.
    first: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The earliest first, and of several those that came first.
    heap: BinaryHeap<Reverse<Entry>>,
    came: u64,
}

struct Entry {
    due: u64,
    came: u64,
    what: What,
}

/// What waits.
pub(crate) enum What {
    /// A batch.
    Batch(Parked),
    /// The flight with this number of a stage, which lies elsewhere, is rung.
    Alarm { stage: u16, flight: usize },
}

/// A batch that waits.
pub struct Parked {
    /// When it is due, in nanoseconds of the run.
    pub(crate) due: u64,
    /// The guarded stage that put it aside.
    pub(crate) stage: u16,
    /// Does it wait for the sake of others only, so that a drain ends that?
    pub(crate) collapses: bool,
    /// Was it being drained already when that was decided?
    pub(crate) closing: bool,
    /// Items that wait.
    pub(crate) items: u64,
    /// Does it wait to try again, and not for what the guard says?
    pub(crate) retries: bool,
    /// The news of the guard that are older than its decision (see [`crate::guard`]).
    pub(crate) news: u64,
    pub(crate) task: Task,
    /// The flight that it is, which parks by itself and is rung when it is due.
    pub(crate) flight: Option<usize>,
}

impl Aside {
    pub(crate) fn new() -> Self {
        Self {
            first: AtomicU64::new(NEVER),
            waiting: Mutex::new(Waiting::default()),
        }
    }

    /// Is something due at the time `now`?
    #[inline]
    pub(crate) fn is_due(&self, now: u64) -> bool {
        // Relaxed: what waits is taken under the lock.
        self.first.load(Ordering::Relaxed) <= now
    }

    /// When the first is due, if something waits.
    pub(crate) fn first(&self) -> Option<u64> {
        Some(self.first.load(Ordering::Relaxed)).filter(|first| *first != NEVER)
    }

    /// Puts a batch aside; true if it is due before all others, so that somebody has to be told.
    pub(crate) fn put(&self, parked: Parked) -> bool {
        self.put_until(parked.due, What::Batch(parked))
    }

    /// Rings a flight at the time `due`; true as in [`Self::put`].
    pub(crate) fn set_alarm(&self, due: u64, stage: u16, flight: usize) -> bool {
        self.put_until(due, What::Alarm { stage, flight })
    }

    fn put_until(&self, due: u64, what: What) -> bool {
        let mut waiting = self.lock();
        let earlier = due < self.first.load(Ordering::Relaxed);
        let came = waiting.came;
        waiting.came += 1;
        waiting.heap.push(Reverse(Entry { due, came, what }));
        if earlier {
            self.first.store(due, Ordering::Relaxed);
        }
        earlier
    }

    /// Takes what is due at the time `now` and was due first, with that time.
    pub(crate) fn take_due(&self, now: u64) -> Option<(u64, What)> {
        let mut waiting = self.lock();
        let due = |Reverse(entry): &Reverse<Entry>| entry.due <= now;
        let first = waiting.heap.peek().is_some_and(due);
        let entry = first.then(|| waiting.heap.pop()).flatten();
        self.publish(&waiting);
        entry.map(|Reverse(entry)| (entry.due, entry.what))
    }

    /// Makes what fits due now; true if there was any.
    pub(crate) fn release(&self, fits: impl Fn(&Parked) -> bool) -> bool {
        let mut waiting = self.lock();
        let mut any = false;
        let mut entries = std::mem::take(&mut waiting.heap).into_vec();
        for Reverse(entry) in &mut entries {
            if matches!(&entry.what, What::Batch(parked) if fits(parked)) {
                entry.due = 0;
                any = true;
            }
        }
        waiting.heap = entries.into();
        self.publish(&waiting);
        any
    }

    /// Takes all batches that wait.
    pub(crate) fn clear(&self) -> Vec<Parked> {
        let mut waiting = self.lock();
        let left = std::mem::take(&mut waiting.heap);
        self.publish(&waiting);
        left.into_iter()
            .filter_map(|Reverse(entry)| match entry.what {
                What::Batch(parked) => Some(parked),
                What::Alarm { .. } => None,
            })
            .collect()
    }

    fn publish(&self, waiting: &Waiting) {
        let first = waiting
            .heap
            .peek()
            .map_or(NEVER, |Reverse(entry)| entry.due);
        self.first.store(first, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Only moves happen under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a loop behind a gate comes to: it is done with its batch, or has to put it aside, and the gate stays its.
pub trait Served {
    /// Can it be put aside?
    const WAITS: bool;
    /// The batch, if it waits.
    fn parked(self) -> Option<Parked>;
}

impl Served for () {
    const WAITS: bool = false;

    #[inline(always)]
    fn parked(self) -> Option<Parked> {
        None
    }
}

impl Served for Option<Parked> {
    const WAITS: bool = true;

    #[inline(always)]
    fn parked(self) -> Option<Parked> {
        self
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.came).cmp(&(other.due, other.came))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside")
            .field("first", &self.first())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked")
            .field("due", &self.due)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
