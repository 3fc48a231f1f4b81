//! The stamps of items that cannot carry them.

use std::{
    ops::DerefMut,
    sync::{Mutex, PoisonError},
};

use pipewright_bench::trial::Stamp;

/// More items than can be on their way: what inputs and queues have room for, and some batches.
const UNDER_WAY: usize = 1 << 16;

/// The stamps of items that are on their way, by their numbers.
#[derive(Debug)]
pub(crate) struct Stamps(Box<[Mutex<Option<Stamp>>]>);

impl Default for Stamps {
    fn default() -> Self {
        Self((0..UNDER_WAY).map(|_| Mutex::default()).collect())
    }
}

impl Stamps {
    pub(crate) fn put(&self, number: u64, stamp: Stamp) {
        *self.slot(number) = Some(stamp);
    }

    pub(crate) fn take(&self, number: u64) -> Option<Stamp> {
        self.slot(number).take()
    }

    fn slot(&self, number: u64) -> impl DerefMut<Target = Option<Stamp>> {
        let slot = &self.0[number as usize % UNDER_WAY];
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
