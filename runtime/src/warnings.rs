//! What a run does otherwise than asked: told while it runs and in its report, and never printed by itself.

use std::sync::PoisonError;

use crate::sync::{Mutex, MutexGuard};

use pipewright_spec::options::Enforce;

use crate::{error::StartError, machine::Shortfall};

/// Most warnings that a run keeps.
const MOST: usize = 16;

/// The warnings of one run.
#[derive(Debug)]
pub(crate) struct Warnings {
    enforce: Enforce,
    all: Mutex<Vec<String>>,
}

impl Warnings {
    /// None yet. `enforce`: what follows where the machine does not give what is asked for.
    pub(crate) fn new(enforce: Enforce) -> Self {
        let all = Mutex::default();
        Self { enforce, all }
    }

    /// The machine does not give all that is asked for: the run goes on, or must not start.
    pub(crate) fn fell_short(&self, of: impl Into<Box<[Shortfall]>>) -> Result<(), StartError> {
        let all = of.into();
        match self.enforce {
            Enforce::Deny if !all.is_empty() => return Err(StartError::Machine(all)),
            Enforce::Warn => all.iter().for_each(|short| self.add(short.to_string())),
            Enforce::Off | Enforce::Deny => {}
        }
        Ok(())
    }

    /// Adds a warning; each text once.
    pub(crate) fn add(&self, warning: impl Into<String>) {
        let warning = warning.into();
        let mut all = self.all();
        if all.len() < MOST && !all.contains(&warning) {
            all.push(warning);
        }
    }

    /// In the order in which they came.
    pub(crate) fn list(&self) -> Vec<String> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<String>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_kept_once_and_not_too_many() {
        let warnings = Warnings::new(Enforce::Warn);
        for n in 0..2 * MOST {
            warnings.add(format!("the {}th", n / 2));
        }
        let list = warnings.list();
        assert_eq!((list.len(), list[1].as_str()), (MOST, "the 1th"));
        warnings.add("one more");
        assert_eq!(warnings.list(), list);
    }
    #[test]
    fn what_the_machine_does_not_give_is_told_as_the_pipeline_says() {
        let one = || Shortfall::SharedCores {
            workers: 4,
            cores: 2,
        };
        let fall = || [one()];
        for (enforce, told) in [(Enforce::Off, false), (Enforce::Warn, true)] {
            let warnings = Warnings::new(enforce);
            assert!(warnings.fell_short(fall()).is_ok());
            assert_eq!(warnings.list().contains(&one().to_string()), told);
        }
        let denied = Warnings::new(Enforce::Deny)
            .fell_short(fall())
            .expect_err("it must not start");
        assert_eq!(
            denied.to_string(),
            "4 workers share 2 cores, though `smt = avoid`; write at most `workers = 2`, or `hw(enforce = warn)` to run like that"
        );
        let denied = Warnings::new(Enforce::Deny)
            .fell_short([one(), Shortfall::NotBound])
            .expect_err("it must not start");
        assert_eq!(
            denied.to_string(),
            "4 workers share 2 cores, though `smt = avoid`; write at most `workers = 2`\nthe system did not let workers be bound to their cpus, so it decides where they run; say `pin(false)` before `start`, or `hw(enforce = warn)` to run like that"
        );
        assert!(Warnings::new(Enforce::Deny).fell_short([]).is_ok());
    }
}
