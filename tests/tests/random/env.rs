//! The environment of random pipelines: what sources give, and the record of all that happened.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use pipewright::{Emit, Flow, Merge};
use pipewright_tests::shapes::Shape;

use crate::item::{Item, Trace};

/// Shared by the stages and the test.
#[derive(Clone, Debug)]
pub struct Env(Arc<Inner>);

/// What one run is given.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Items of each source, by the number of its stage.
    pub counts: Vec<u64>,
    /// Each stage panics once in so many items, or never.
    pub panics: Vec<u64>,
    /// The largest batch that each stage may be given.
    pub batches: Vec<u32>,
    /// How much work an item is.
    pub work: u64,
}

#[derive(Debug)]
struct Inner {
    shape: Shape,
    plan: Plan,
    living: Arc<AtomicI64>,
    instances: AtomicU64,
    records: Vec<Mutex<Record>>,
}

/// What a stage was seen doing.
#[derive(Debug, Default)]
pub struct Record {
    /// What a sink took, in order.
    pub taken: Vec<Item>,
    /// What a stage with a state was called with, in the order of the calls.
    pub calls: Vec<Called>,
    /// The items that batches lost which panicked.
    pub lost: Vec<u64>,
    /// What must not be.
    pub breaches: Vec<String>,
}

/// A call of a stage with a state.
#[derive(Debug)]
pub struct Called {
    /// The item.
    pub trace: Trace,
    /// Which state it was, of one worker or key.
    pub instance: u64,
    /// How many items that state had seen, this one included.
    pub count: u64,
    /// Did the call panic behind this item?
    pub panicked: bool,
}

impl Env {
    /// Of one run.
    pub fn new(shape: &Shape, plan: Plan) -> Self {
        Self(Arc::new(Inner {
            shape: shape.clone(),
            plan,
            living: Arc::default(),
            instances: AtomicU64::new(1),
            records: shape.stages.iter().map(|_| Mutex::default()).collect(),
        }))
    }

    /// The shape of the pipeline.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// What the run is given.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// Items of a source.
    pub fn count(&self, source: usize) -> u64 {
        self.0.plan.counts[source]
    }

    /// The items of a source.
    pub fn given(&self, source: usize) -> Given {
        Given {
            env: self.clone(),
            source: source as u64,
            next: 0,
            end: self.count(source),
        }
    }

    /// A new item.
    pub fn item(&self, stream: u64, root: u64) -> Item {
        Item::new(Trace::root(stream, root), &self.0.living)
    }

    /// Items that exist.
    pub fn living(&self) -> i64 {
        self.0.living.load(Ordering::Relaxed)
    }

    /// The record of a stage.
    pub fn record(&self, stage: usize) -> MutexGuard<'_, Record> {
        self.0.records[stage]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of a stage.
    pub fn call<'a>(&'a self, stage: usize, tally: Option<&'a mut Tally>) -> Call<'a> {
        Call {
            env: self,
            stage,
            tally,
        }
    }
}

/// A call of a stage.
#[derive(Debug)]
pub struct Call<'a> {
    /// The environment.
    pub env: &'a Env,
    /// The number of the stage.
    pub stage: usize,
    /// Its state.
    pub tally: Option<&'a mut Tally>,
}

/// The state of a stage: it counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Which one it is; 0 if it was made by `Default`.
    pub instance: u64,
    /// Items that it has seen.
    pub count: u64,
}

impl Tally {
    /// A state with a number of its own.
    #[allow(clippy::new_ret_no_self, reason = "it does return one")]
    pub fn new(env: &Env) -> Self {
        Self {
            instance: env.0.instances.fetch_add(1, Ordering::Relaxed),
            count: 0,
        }
    }
}

impl Merge for Tally {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
    }
}

/// The items of a source, one after the other.
#[derive(Debug)]
pub struct Given {
    env: Env,
    source: u64,
    next: u64,
    end: u64,
}

impl Iterator for Given {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let n = self.next;
        (n < self.end).then(|| {
            self.next += 1;
            self.env.item(self.source, n)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.next) as usize;
        (left, Some(left))
    }
}

impl Given {
    /// As a source that is polled: up to three at a time, and now and then none.
    pub fn poll(&mut self, out: &mut Emit<Item>) -> Flow {
        for _ in 0..1 + self.next % 3 {
            match self.next() {
                Some(item) => out.send(item),
                None => return Flow::Done,
            }
        }
        if self.next % 257 == 3 {
            Flow::Idle
        } else {
            Flow::More
        }
    }
}
