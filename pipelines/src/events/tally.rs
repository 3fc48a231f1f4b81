//! What is counted while a run goes on: events by what they are, rejects by their reason.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pipewright::{Merge, sink};

use super::{
    notices::{Notices, Topic},
    reject::{Fault, Reason, Reject},
    types::{Event, Format, Kind, Severity},
};

/// How many rejects are kept to be told at the end.
const TOLD: usize = 20;

/// The rejects of a run.
#[derive(Debug, Default)]
pub struct Tally {
    rejects: Mutex<Rejects>,
    /// Where they are told as they come.
    notices: Option<Arc<Notices>>,
}

/// What was rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejects {
    /// How many, by reason.
    pub by_reason: BTreeMap<&'static str, u64>,
    /// Inputs that could not be read, or not to their end, which fails the run. They are none of those.
    pub unreadable: u64,
    /// The first of all these, as they came; none where they are told at once.
    pub told: Vec<String>,
}

impl Tally {
    /// Of a run that tells its rejects as they come, if it has where to.
    pub(super) fn new(notices: Option<Arc<Notices>>) -> Self {
        Self {
            rejects: Mutex::default(),
            notices,
        }
    }

    pub(super) fn reject(&self, reject: &Reject) {
        let mut rejects = self.rejects();
        match reject.reason {
            Reason::Fault(Fault::Unreadable(_)) => rejects.unreadable += 1,
            _ => *rejects.by_reason.entry(reject.reason.code()).or_default() += 1,
        }
        match &self.notices {
            Some(notices) => notices.tell(Topic::Rejected, || format!("rejected: {reject}")),
            None if rejects.told.len() < TOLD => rejects.told.push(reject.to_string()),
            None => {}
        }
    }

    /// What was rejected so far.
    pub fn seen(&self) -> Rejects {
        self.rejects().clone()
    }

    /// A panic elsewhere leaves counts that are still true.
    fn rejects(&self) -> MutexGuard<'_, Rejects> {
        self.rejects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events by what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By kind, in the order of [`Kind::ALL`].
    pub kinds: [u64; 6],
    /// By format, in the order of [`Format::ALL`].
    pub formats: [u64; 7],
    /// By severity, the least first.
    pub severities: [u64; 5],
}

impl Counts {
    /// Counts an event.
    pub fn add(&mut self, kind: Kind, format: Format, severity: Severity) {
        self.kinds[kind as usize] += 1;
        self.formats[format as usize] += 1;
        self.severities[severity as usize] += 1;
    }
}

impl Merge for Counts {
    fn merge(&mut self, other: Self) {
        let add =
            |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, n)| *to += n);
        add(&mut self.kinds, &other.kinds);
        add(&mut self.formats, &other.formats);
        add(&mut self.severities, &other.severities);
    }
}

/// Counts what is left when repetitions are out, by kind, format and severity.
#[sink(per_worker)]
pub fn count(event: Arc<Event>, counts: &mut Counts) {
    counts.add(event.kind, event.format, event.severity);
}
