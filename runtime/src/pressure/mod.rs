//! Memory pressure: how near this process is to the end of its memory, and what a run does about it.
//!
//! A run that is asked to ([`Builder::watch_memory`](crate::Builder::watch_memory)) samples how much of its control
//! group's memory is used, and how long tasks stall for want of memory (PSI). What it sees becomes one of four levels,
//! which workers read between batches:
//!
//! | level | what the run does |
//! |---|---|
//! | none | nothing |
//! | some | works in quanta of a quarter, so batches are smaller, and does not let items linger |
//! | high | works in quanta of a sixteenth, and frees its spare buffers |
//! | critical | pulls nothing from its sources until the level falls; what is on its way is finished |
//!
//! Nothing is dropped at any level, and [`drain`](crate::Running::drain) works at each. A paused input holds its senders
//! back when it is full.
//!
//! A level begins when one of these is reached, and ends when all are below the second number for the time of
//! [`MemoryWatch::hold`]:
//!
//! | | some | high | critical |
//! |---|---|---|---|
//! | used of the limit, without file pages that can be dropped | 80 %, 75 % | 90 %, 85 % | 97 %, 92 % |
//! | PSI `some`, average of 10 s | 10 %, 5 % | 30 %, 15 % | 60 %, 40 % |
//! | PSI `full`, average of 10 s | 2 %, 1 % | 10 %, 5 % | 40 %, 20 % |
//!
//! PSI: <https://docs.kernel.org/accounting/psi.html>. Control groups: <https://docs.kernel.org/admin-guide/cgroup-v2.html>.

mod gauge;
mod sampler;
mod state;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) use self::{gauge::Gauge, sampler::chore};
use crate::{
    machine::Files,
    sync::{AtomicU8, AtomicU64, Ordering},
};

/// How often memory is looked at, by default.
const EVERY: Duration = Duration::from_millis(100);
/// The shortest and the longest time between two looks.
const EVERY_MIN: Duration = Duration::from_millis(1);
const EVERY_MAX: Duration = Duration::from_secs(60);
/// How long the signs of a level must be gone before it ends, by default. Signs that come and go between two levels then change the level once in 2 s at most.
const HOLD: Duration = Duration::from_secs(4);

/// How scarce memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It is not.
    #[default]
    None,
    /// It begins to be.
    Some,
    /// There is little left.
    High,
    /// There is next to nothing left.
    Critical,
}

impl Level {
    const ALL: [Self; 4] = [Self::None, Self::Some, Self::High, Self::Critical];

    fn from_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Some => "some",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// How a run watches its memory; see [`crate::pressure`] for what it does then.
///
/// ```
/// use std::time::Duration;
/// use pipewright::{pipeline, pressure::MemoryWatch};
///
/// #[pipeline]
/// mod squares {
///     #[source]
///     pub fn numbers() -> std::ops::Range<u64> {
///         0..1000
///     }
///
///     #[sink(from = numbers)]
///     pub fn check(n: u64) {
///         assert!(n < 1000);
///     }
/// }
///
/// let watch = MemoryWatch::new().every(Duration::from_millis(20));
/// let run = squares::pipeline().watch_memory(watch).start(()).expect("it starts");
/// let report = run.wait().expect("nothing fails");
/// if let Some(memory) = report.metrics().memory() {
///     println!("at most {}", memory.highest);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryWatch {
    root: PathBuf,
    every: Duration,
    hold: Duration,
}

impl MemoryWatch {
    /// The memory of this process, looked at every 100 ms; a level lasts for at least 4 s.
    pub fn new() -> Self {
        Self {
            root: PathBuf::from("/"),
            every: EVERY,
            hold: HOLD,
        }
    }

    /// How long to wait between two looks, from 1 ms to 60 s; 100 ms by default. A look reads a few small files.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(EVERY_MIN, EVERY_MAX);
        self
    }

    /// How long the signs of a level must be gone before it ends; 4 s by default.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Where `sys` and `proc` are, if not in `/`: a recording, or the files of a host that are mounted in a container.
    #[must_use]
    pub fn root(mut self, root: impl AsRef<Path>) -> Self {
        self.root = root.as_ref().to_path_buf();
        self
    }

    /// What there is to look at; `None` if there is neither a limit nor PSI.
    pub(crate) fn gauge(&self) -> Option<Gauge> {
        Gauge::find(Files::at(&self.root))
    }
}

impl Default for MemoryWatch {
    fn default() -> Self {
        Self::new()
    }
}

/// What a run that watches its memory has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryPressure {
    /// The level now.
    pub level: Level,
    /// The highest level so far.
    pub highest: Level,
    /// How often the level changed.
    pub changes: u64,
}

impl fmt::Display for MemoryPressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.changes == 1 { "" } else { "s" };
        write!(
            f,
            "memory pressure: {}, at most {}, {} change{plural}",
            self.level, self.highest, self.changes
        )
    }
}

/// The level of one run, which its sampler writes and its workers read.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    level: AtomicU8,
    highest: AtomicU8,
    changes: AtomicU64,
}

impl Pressure {
    #[inline]
    pub(crate) fn level(&self) -> Level {
        // Relaxed: the level is all that is passed on. A worker that goes to sleep because of it looks again behind the
        // fence of `Idle::park`, and the sampler wakes the sleepers after it has written.
        Level::from_number(self.level.load(Ordering::Relaxed))
    }

    /// Sets the level; true if it is another one than before. Only the sampler calls it.
    fn set(&self, level: Level) -> bool {
        let number = level as u8;
        let changed = self.level.swap(number, Ordering::Relaxed) != number;
        if changed {
            self.highest.fetch_max(number, Ordering::Relaxed);
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        changed
    }

    pub(crate) fn seen(&self) -> MemoryPressure {
        MemoryPressure {
            level: self.level(),
            highest: Level::from_number(self.highest.load(Ordering::Relaxed)),
            changes: self.changes.load(Ordering::Relaxed),
        }
    }
}
