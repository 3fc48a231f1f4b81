//! What a run does otherwise than asked: told while it runs and in its report, and never printed by itself.

use std::sync::PoisonError;

use crate::sync::{Mutex, MutexGuard};

/// Most warnings that a run keeps.
const MOST: usize = 16;

/// The warnings of one run.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_kept_once_and_not_too_many() {
        let warnings = Warnings::default();
        for n in 0..2 * MOST {
            warnings.add(format!("the {}th", n / 2));
        }
        let list = warnings.list();
        assert_eq!((list.len(), list[1].as_str()), (MOST, "the 1th"));
        warnings.add("one more");
        assert_eq!(warnings.list(), list);
    }
}
