//! The items of random pipelines: each knows where it came from and what was done to it.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use pipewright_tests::shapes::generate::mix;

/// What is known of an item. Two items of one run never have the same tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The source, or the sender and lane, that gave it.
    pub stream: u64,
    /// Its place among what the stream gave.
    pub root: u64,
    /// What it is, in one number.
    pub tag: u64,
    /// The one-to-many calls that it comes from: the tag of the item that was called with, and its place among what the
    /// call sent.
    pub line: Vec<(u64, u32)>,
    /// The stages that it passed, and the doors by which it left them, in one number; filters do not show.
    pub path: u64,
    /// The keyed stages that it passed, with its key there.
    pub keys: Vec<(usize, u64)>,
    /// The stages with a state that it passed, with the state's count there.
    pub marks: Vec<(usize, u64)>,
}

impl Trace {
    /// Number `root` of what a stream gives.
    pub fn root(stream: u64, root: u64) -> Self {
        Self {
            stream,
            root,
            tag: mix(stream << 40 ^ root),
            ..Self::default()
        }
    }

    /// What a stage makes of it.
    pub fn passed(&mut self, stage: usize) {
        self.changed(stage, 0);
        self.way(stage, 0);
    }

    /// What a route makes of it.
    pub fn routed(&mut self, stage: usize, variant: usize) {
        self.changed(stage, 0);
        self.way(stage, 1 + variant);
    }

    /// The error that a stage makes of it.
    pub fn failed(&mut self, stage: usize) {
        self.changed(stage, 1000);
        self.way(stage, 1000);
    }

    /// Number `n` of what a one-to-many call makes of it.
    pub fn grown(&mut self, stage: usize, n: u32) {
        self.line.push((self.tag, n));
        self.changed(stage, u64::from(n) + 1);
        self.way(stage, 0);
    }

    fn changed(&mut self, stage: usize, how: u64) {
        self.tag = mix(self.tag ^ mix((stage as u64 + 1) << 32 | how));
    }

    fn way(&mut self, stage: usize, door: usize) {
        self.path = mix(self.path ^ mix((stage as u64 + 1) << 32 | door as u64));
    }
}

/// An item: a trace that is counted while it lives.
#[derive(Debug)]
pub struct Item {
    trace: Trace,
    living: Arc<AtomicI64>,
}

impl Item {
    /// An item that `living` counts.
    pub fn new(trace: Trace, living: &Arc<AtomicI64>) -> Self {
        living.fetch_add(1, Ordering::Relaxed);
        Self {
            trace,
            living: Arc::clone(living),
        }
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        Self::new(self.trace.clone(), &self.living)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.living.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for Item {
    type Target = Trace;

    fn deref(&self) -> &Trace {
        &self.trace
    }
}

impl DerefMut for Item {
    fn deref_mut(&mut self) -> &mut Trace {
        &mut self.trace
    }
}
