//! Records visited in random order by a pipeline: what `prefetch` on a stage gives.

use std::{fmt, sync::Arc};

use pipewright::{Merge, pipeline};

/// A record of one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Record(pub [u64; 8]);

/// Where records are and which are wanted.
pub struct Env {
    /// All of them.
    pub table: Arc<[Record]>,
    /// The positions, in the order in which they are visited.
    pub walk: Arc<[u32]>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("records", &self.table.len())
            .field("visits", &self.walk.len())
            .finish()
    }
}

impl Env {
    fn record(&self, at: &u32) -> &Record {
        &self.table[*at as usize]
    }
}

/// What came of the records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(pub u64);

impl Merge for Sum {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

/// About 45 ns of which each step needs the one before.
#[inline(always)]
pub fn work(from: u64, record: &Record) -> u64 {
    (0..3).fold(from, |x, _| {
        record.0.iter().fold(x, |x, word| {
            (x ^ word)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(23)
        })
    })
}

/// A record after another: what comes of one goes into the next.
#[inline(always)]
pub fn visit(at: u32, table: &[Record], sum: &mut Sum) -> u64 {
    sum.0 = work(sum.0, &table[at as usize]);
    sum.0
}

/// Without `prefetch`.
#[pipeline(env = Env)]
pub mod plain {
    use super::*;

    /// The walk.
    #[source]
    pub fn walk(env: &Env) -> Arc<[u32]> {
        Arc::clone(&env.walk)
    }

    /// The visit.
    #[stage(from = walk, per_worker)]
    pub fn lookup(at: u32, sum: &mut Sum, env: &Env) -> u64 {
        visit(at, &env.table, sum)
    }

    /// The end.
    #[sink(from = lookup)]
    pub fn last(_: u64) {}
}

/// With it.
#[pipeline(env = Env)]
pub mod ahead {
    use super::*;

    /// The walk.
    #[source]
    pub fn walk(env: &Env) -> Arc<[u32]> {
        Arc::clone(&env.walk)
    }

    /// The visit.
    #[stage(from = walk, per_worker, prefetch = Env::record)]
    pub fn lookup(at: u32, sum: &mut Sum, env: &Env) -> u64 {
        visit(at, &env.table, sum)
    }

    /// The end.
    #[sink(from = lookup)]
    pub fn last(_: u64) {}
}

/// Runs one of them with one worker.
macro_rules! run {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Panics
        ///
        /// If the run fails, which it has no reason to.
        pub fn $name(table: &Arc<[Record]>, walk: &Arc<[u32]>) -> u64 {
            let env = Env {
                table: Arc::clone(table),
                walk: Arc::clone(walk),
            };
            let run = self::$name::pipeline()
                .workers(1)
                .start(env)
                .expect("the pipeline starts");
            let mut report = run.wait().expect("nothing fails");
            report
                .take_state::<self::$name::lookup>()
                .expect("the stage has a state")
                .0
        }
    };
}
run!(plain, "What comes of the walk without `prefetch`.");
run!(ahead, "What comes of the walk with `prefetch`.");
