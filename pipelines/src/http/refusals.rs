//! What a server has answered by itself, or with an error, counted by its code.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many requests were answered with each code of [`problem`](super::problem). Clones count together; handlers find theirs among
/// the request's extensions.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeMap<&'static str, u64>>>);

/// The code of an answer, which the server counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem(pub(super) &'static str);

impl Refusals {
    /// The counts until now.
    pub fn seen(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clone()
    }

    pub(super) fn count(&self, code: &'static str) {
        *self.lock().entry(code).or_default() += 1;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
