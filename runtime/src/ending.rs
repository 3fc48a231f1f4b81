//! Waiting for the end of a run: as long as it takes, until a deadline, or until a signal asks for the end.
//!
//! A run rings its [`Bell`] when its last thread has ended, and a signal rings it too. Who waits sleeps under the bell's lock and
//! looks at what was rung, so nothing is missed that was rung before.
//!
//! **The order of an ending.** The run takes no more in; what was taken goes on to the sinks, batches that are not full first of
//! all; at the deadline, or at the second signal, what is left is dropped and counted; and a thread that has not left a
//! moment later is inside of a user's function that does not return. It cannot be ended, so it is left alone, and the run is
//! over without it: that, and what it may still hold, is said in the error.

use std::{fmt, process::ExitCode, sync::PoisonError, time::Duration};

use crate::{
    error::{RunError, StartError},
    graph::Blueprint,
    report::{Failed, Report},
    sync::{Condvar, Instant, Mutex, MutexGuard},
};

/// How long threads may take to leave when everything is dropped: what one call of a user's function usually takes.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// What is rung when a run ends, or is asked to end.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<Rung>,
    changed: Condvar,
}

/// What was rung so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rung {
    /// The run is over.
    pub(crate) over: bool,
    /// So often it was asked to end.
    pub(crate) asked: u32,
}

impl Bell {
    /// Rings when what it returns is dropped, whatever happens until then.
    pub(crate) fn at_end(&self) -> impl Drop + '_ {
        struct AtEnd<'b>(&'b Bell);
        impl Drop for AtEnd<'_> {
            fn drop(&mut self) {
                self.0.ring(|rung| rung.over = true);
            }
        }
        AtEnd(self)
    }

    /// Somebody asks for the end.
    #[cfg(feature = "signals")]
    pub(crate) fn ask(&self) {
        self.ring(|rung| rung.asked += 1);
    }

    /// Waits until the run is over, was asked to end more than `asked` times, or the time has come; returns what was rung.
    pub(crate) fn wait(&self, asked: u32, until: Option<Instant>) -> Rung {
        let mut rung = self.lock();
        while !rung.over && rung.asked <= asked {
            rung = match until {
                None => self
                    .changed
                    .wait(rung)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = self.changed.wait_timeout(rung, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *rung
    }

    fn ring(&self, change: impl FnOnce(&mut Rung)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        // Under the lock only numbers change.
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bell").field(&*self.lock()).finish()
    }
}

/// Items that a run had not finished when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// The stage that they were on their way to, or in; `input` for those that waited there.
    pub stage: &'static str,
    /// Those that were dropped, and counted as dropped.
    pub dropped: u64,
    /// At most so many are held by a function that has not returned, together with those that it was given at once.
    pub held: u64,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stage,
            dropped,
            held,
        } = self;
        write!(f, "`{stage}`: {dropped} dropped")?;
        match held {
            0 => Ok(()),
            held => write!(f, ", {held} held by a call that has not returned"),
        }
    }
}

/// What is left, for a message.
pub(crate) fn listed(left: &[Left]) -> String {
    match left {
        [] => "nothing was left".to_owned(),
        left => left
            .iter()
            .map(Left::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    }
}

impl<P: Blueprint> Report<P> {
    /// What the run had not finished.
    pub(crate) fn left(&self) -> Box<[Left]> {
        let stages = self.metrics().stages().iter();
        let in_stages = stages.map(|stage| (stage.name, stage.dropped, stage.in_flight));
        // What the ledger has besides was never taken out of the input, or is in the hands of whoever took it.
        let (dropped, held) = self
            .metrics()
            .stages()
            .iter()
            .fold((0, 0), |(dropped, held), stage| {
                (dropped + stage.dropped, held + stage.in_flight)
            });
        let ledger = self.ledger();
        let waiting = ledger.dropped.saturating_sub(dropped);
        let taken = ledger.in_flight.saturating_sub(held);
        in_stages
            .chain([("input", waiting, taken)])
            .filter(|(_, dropped, held)| dropped + held > 0)
            .map(|(stage, dropped, held)| Left {
                stage,
                dropped,
                held,
            })
            .collect()
    }

    /// The exit code of a program that did nothing but this run: 0, or 3 if items failed or were lost to a panic.
    ///
    /// Programs for which errors are in the order of things return [`ExitCode::SUCCESS`] instead.
    pub fn exit_code(&self) -> ExitCode {
        let ledger = self.ledger();
        match ledger.failed + ledger.panicked {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(3),
        }
    }
}

impl<P> Failed<P> {
    /// The exit code of a program whose run has failed: 4 if it did not end in time, 70 if the ledger does not balance (a bug of
    /// pipewright), otherwise 1.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.error {
            RunError::Deadline { .. } => 4,
            RunError::Ledger(_) => 70,
            _ => 1,
        })
    }
}

impl StartError {
    /// The exit code of a program whose run does not start: 2.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(2)
    }
}
