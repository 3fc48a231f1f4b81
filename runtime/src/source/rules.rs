//! What becomes of items of which there are too many, as the readers of an input say.

use std::sync::PoisonError;

use pipewright_spec::options::Overflow;

use super::shed::{KeyHash, ShedSettings};
use crate::{lane::Lane, sync::Mutex};

/// What becomes of items of which there are too many.
pub(crate) struct Rules<T> {
    /// What happens when the input is full.
    pub(crate) overflow: Overflow,
    /// When items have waited for too long, if that is of interest.
    pub(crate) shed: Option<ShedRule<T>>,
}

/// When items have waited for too long, and how their keys are hashed, if they have any.
pub(crate) struct ShedRule<T> {
    /// Read once a pull, and changed as a whole.
    settings: Mutex<ShedSettings>,
    pub(super) key: Option<KeyHash<T>>,
}

impl<T> ShedRule<T> {
    pub(crate) fn new(settings: ShedSettings, key: Option<KeyHash<T>>) -> Self {
        Self {
            settings: Mutex::new(settings),
            key,
        }
    }

    pub(super) fn settings(&self) -> ShedSettings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other numbers, from the next pull on.
    pub(super) fn retune(&self, settings: ShedSettings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

/// The lanes of which an item is dropped for one of this lane, the first that has any.
pub(super) fn victims(overflow: Overflow, lane: Lane) -> impl Iterator<Item = Lane> {
    let lower = Lane::ALL
        .into_iter()
        .rev()
        .take_while(move |low| *low > lane);
    let (first, last) = match overflow {
        Overflow::DropOldest => (Some(lane), None),
        Overflow::ShedLowest => (None, Some(lane)),
        _ => (None, None),
    };
    let displaces = overflow != Overflow::DropNewest;
    let all = first.into_iter().chain(lower).chain(last);
    all.filter(move |_| displaces)
}
