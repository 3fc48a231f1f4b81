//! Stages that share a cache.

use std::sync::Arc;

use pipewright::pipeline;
use quick_cache::sync::Cache;

use crate::tasks::Sum;

/// Keys in the cache.
const KEYS: u64 = 1 << 14;

/// A cache that stages read or write `count` times.
#[derive(Clone, Debug)]
pub struct Shelf {
    cache: Arc<Cache<u64, u64>>,
    /// Times that it is read or written.
    pub count: u64,
    /// Is it written?
    pub set: bool,
}

impl Shelf {
    /// A cache that holds every key, to be read so many times.
    pub fn new(count: u64) -> Self {
        let cache = Cache::new(2 * KEYS as usize);
        (0..KEYS).for_each(|key| cache.insert(key, key));
        Self {
            cache: Arc::new(cache),
            count,
            set: false,
        }
    }

    /// Reads or writes it as often as it says; the sum of what was read.
    ///
    /// # Panics
    ///
    /// If the pipeline cannot be started.
    pub fn touch_all(&self, workers: usize) -> Sum {
        let run = touched::pipeline().workers(workers).start(self.clone());
        let report = run.expect("the workers can be started").wait();
        let mut report = report.expect("no stage fails");
        report.take_state::<touched::touch>().unwrap_or_default()
    }
}

/// One stage that reads or writes the cache.
#[pipeline(env = Shelf)]
pub mod touched {
    use super::*;

    /// The numbers.
    #[source]
    pub fn keys(env: &Shelf) -> std::ops::Range<u64> {
        0..env.count
    }

    /// Reads or writes under a scattered key.
    #[sink(from = keys, per_worker, order = any)]
    pub fn touch(key: u64, env: &Shelf, sum: &mut Sum) {
        let key = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50;
        if env.set {
            env.cache.insert(key, key);
        } else {
            sum.0 = sum.0.wrapping_add(env.cache.get(&key).unwrap_or(1));
        }
    }
}
