//! The numbers that can change while a run goes on, and the log of what changed them.
//!
//! **Whole or not at all.** A file is read and checked against the pipeline before anything changes. A number that is fixed when
//! a run starts may stand in it as it is; if it stands there otherwise, the file is refused.
//!
//! **Between batches.** A worker reads `quantum` when it plans a pull, and a source's numbers when it asks it. The size of a batch and
//! its `linger` are one word, which a collector reads when the first item of a batch comes: so a batch has one size from its
//! first item to its last. A breaker changes its numbers as it changes its state (see [`crate::breaker`]); what guards hold asks again.
//! How others change is told where they are: lanes (`lane_queues.rs`), the room of the input (`intake.rs`), the times of shedding
//! (`source/rules.rs`), seats of futures (`flights/mod.rs`), permits of a stage (`guard/bulkhead.rs`), how threads wait (`pin/mod.rs`).

mod compared;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use pipewright_spec::options::OnPanic;

pub(crate) use self::compared::changed;
use crate::{
    budget::Resized,
    error::TuningError,
    settings::{BATCH, Settings},
    shared::Shared,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Entries of the log that are kept: the last ones.
const KEPT: usize = 256;

/// What came of changing the numbers of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retuning {
    /// When, since the run began.
    pub at: Duration,
    /// The file, or what was named in its place.
    pub source: String,
    /// What changed, which may be nothing; or why it was refused, with all places. Then everything stayed as it was.
    pub outcome: Result<Vec<Change>, String>,
}

/// A number that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The stage; `None` for a number of the pipeline.
    pub stage: Option<&'static str>,
    /// The key, as it is written in a file.
    pub key: &'static str,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stage) = self.stage {
            write!(f, "{stage}.")?;
        }
        write!(f, "{} {} -> {}", self.key, self.from, self.to)
    }
}

impl fmt::Display for Retuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, source, .. } = self;
        write!(f, "at {:.3} s `{source}`", at.as_secs_f64())?;
        match &self.outcome {
            Err(why) => {
                // What is wrong first, and where; the others are in the field.
                let mut lines = why.lines().map(str::trim).take(2);
                let (what, place) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
                write!(f, " was refused: {what} {place}")
            }
            Ok(changes) if changes.is_empty() => f.write_str(" changed nothing"),
            Ok(changes) => {
                let changes: Vec<String> = changes.iter().map(Change::to_string).collect();
                write!(f, " changed {}", changes.join(", "))
            }
        }
    }
}

/// The numbers of one run as they are now.
pub(crate) struct Live {
    quantum: AtomicU64,
    stages: Box<[LiveStage]>,
    told: Mutex<Told>,
}

struct LiveStage {
    fill: Arc<Fill>,
    budget: AtomicU64,
    idle: AtomicU64,
}

struct Told {
    settings: Settings,
    log: VecDeque<Retuning>,
}

impl Told {
    fn add(&mut self, at: Duration, name: &str, outcome: Result<Vec<Change>, String>) {
        let source = name.to_owned();
        self.log.push_back(Retuning {
            at,
            source,
            outcome,
        });
        if self.log.len() > KEPT {
            self.log.pop_front();
        }
    }
}

/// How far a batch is filled: its size, and how long its first item waits.
#[derive(Debug)]
pub(crate) struct Fill(AtomicU64);

/// Bits of the size, below those of the time. The table of the keys bounds both.
const SIZE_BITS: u32 = 21;

impl Fill {
    pub(crate) fn new(size: u32, linger: u64) -> Self {
        Self(AtomicU64::new(Self::word(size, linger)))
    }

    /// Items, at least one; and nanoseconds.
    #[inline]
    pub(crate) fn get(&self) -> (usize, u64) {
        // Relaxed: both are in the one word.
        let word = self.0.load(Ordering::Relaxed);
        let size = word & ((1 << SIZE_BITS) - 1);
        (size.max(1) as usize, word >> SIZE_BITS)
    }

    fn set(&self, size: u32, linger: u64) {
        self.0.store(Self::word(size, linger), Ordering::Relaxed);
    }

    fn word(size: u32, linger: u64) -> u64 {
        linger << SIZE_BITS | u64::from(size).min((1 << SIZE_BITS) - 1)
    }
}

impl Live {
    pub(crate) fn new(settings: &Settings) -> Self {
        let stages = settings.stages.iter().map(|stage| LiveStage {
            fill: Arc::new(Fill::new(stage.batch.unwrap_or(BATCH), stage.linger)),
            budget: AtomicU64::new(stage.budget),
            idle: AtomicU64::new(stage.idle),
        });
        Self {
            quantum: AtomicU64::new(settings.quantum),
            stages: stages.collect(),
            told: Mutex::new(Told {
                settings: settings.clone(),
                log: VecDeque::new(),
            }),
        }
    }

    /// How long a worker works before it looks around, in nanoseconds.
    pub(crate) fn quantum(&self) -> u64 {
        // Relaxed, here and below: each number stands for itself.
        self.quantum.load(Ordering::Relaxed)
    }

    /// How long a source rests that has nothing, in nanoseconds.
    pub(crate) fn idle(&self, stage: u16) -> u64 {
        self.stages[usize::from(stage)].idle.load(Ordering::Relaxed)
    }

    /// How long a batch of a stage may take, in nanoseconds.
    #[inline]
    pub(crate) fn budget(&self, stage: u16) -> u64 {
        self.stages[usize::from(stage)]
            .budget
            .load(Ordering::Relaxed)
    }

    /// What a batch of a stage is filled with.
    pub(crate) fn fill(&self, stage: u16) -> Arc<Fill> {
        Arc::clone(&self.stages[usize::from(stage)].fill)
    }

    /// What follows a panic in a stage. Takes a lock.
    pub(crate) fn on_panic(&self, stage: u16) -> OnPanic {
        self.told().settings.on_panic(stage)
    }

    /// What was asked so far, the oldest that is kept first.
    pub(crate) fn log(&self) -> Vec<Retuning> {
        self.told().log.iter().cloned().collect()
    }

    /// What was asked last.
    pub(crate) fn last(&self) -> Option<Retuning> {
        self.told().log.back().cloned()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // What it holds is changed by single assignments.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, settings: &Settings) {
        self.quantum.store(settings.quantum, Ordering::Relaxed);
        for (live, stage) in self.stages.iter().zip(&settings.stages) {
            live.fill.set(stage.batch.unwrap_or(BATCH), stage.linger);
            live.budget.store(stage.budget, Ordering::Relaxed);
            live.idle.store(stage.idle, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// Changes the numbers as the text of a tuning file says, wholly or not at all, and writes down what came of it.
    pub(crate) fn retune(&self, name: &str, text: &str) -> Result<Vec<Change>, TuningError> {
        let mut told = self.live.told();
        let fits = |after: &Settings| self.budget.misfit_with(after.memory, self.resized(after));
        let changed = changed(&told.settings, self.info, name, text, fits);
        let outcome = match &changed {
            Ok((settings, changes)) => {
                self.set_numbers(&told.settings, settings);
                told.settings = settings.clone();
                Ok(changes.clone())
            }
            Err(error) => Err(error.to_string()),
        };
        told.add(self.elapsed(), name, outcome);
        changed.map(|(_, changes)| changes)
    }

    /// Writes down that a file could not be read.
    #[cfg(feature = "watch")]
    pub(crate) fn refused(&self, name: &str, why: String) {
        self.live.told().add(self.elapsed(), name, Err(why));
    }

    /// The bytes that the queue of the input takes, full, and would take with these numbers.
    fn resized(&self, after: &Settings) -> Resized {
        let mut sources = self.sources.iter().zip(self.info.sources);
        let input = sources.find(|(_, source)| source.stage.is_none());
        input.map_or_else(Resized::default, |(ctl, _)| ctl.resized(after, self.info))
    }

    fn set_numbers(&self, before: &Settings, after: &Settings) {
        self.live.set(after);
        self.budget.set_limit(after.memory);
        // Everybody is woken below.
        self.budget.change_queue(self.resized(after));
        self.pins.retune(after, self.info);
        let (links, lanes) = after.lanes(self.info);
        self.lanes.retune(self.info, &links, &lanes);
        for (ctl, lane) in self.sources.iter().zip(lanes) {
            ctl.set_lane(lane);
        }
        for (ctl, source) in self.sources.iter().zip(self.info.sources) {
            let Some(stage) = source.stage.map(usize::from) else {
                ctl.retune_input(after, self.info);
                continue;
            };
            ctl.set_batch(after.stages[stage].batch);
            if before.stages[stage].idle != after.stages[stage].idle {
                // It may rest for as long as it was told before.
                ctl.retry_at(0);
            }
        }
        for (id, (before, after)) in before.stages.iter().zip(&after.stages).enumerate() {
            if before.in_flight != after.in_flight
                && let Some(hub) = self.flights.of(id)
            {
                hub.retune(after.in_flight);
                self.release_aside(id as u16);
            }
            if let (Some(settings), Some(guard)) = (&after.guard, self.guards.of(id))
                && before
                    .guard
                    .as_ref()
                    .is_some_and(|before| before.listed() != settings.listed())
            {
                guard.retune(settings);
                self.release_all_aside(id as u16);
            }
        }
        // Those that sleep have gone by the old numbers.
        self.idle.wake_all();
        self.pins.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_and_a_time_go_into_one_word() {
        const HOUR: u64 = 3_600_000_000_000;
        for (size, linger, expect) in [
            (64, 150_000, (64, 150_000)),
            (1 << 20, HOUR, (1 << 20, HOUR)),
            (0, 0, (1, 0)),
        ] {
            assert_eq!(Fill::new(size, linger).get(), expect);
        }
    }
}
