//! A handle that looks at a run and cannot change it.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::Running;
use crate::{graph::Blueprint, health::Health, metrics::Metrics, report::warnings, shared::Shared};

/// A handle that tells how a run is, for threads that serve that to others while somebody else waits for the run; clones look at the
/// same one. Made by [`Running::monitor`]. When the run is over, it tells how it was.
pub struct Monitor<P> {
    shared: Arc<Shared>,
    pipeline: PhantomData<fn() -> P>,
}

impl<P: Blueprint> Running<P> {
    /// A handle for others to look at the run with, which [`wait`](Self::wait) and its like take away.
    ///
    /// ```
    /// use pipewright::{Health, pipeline};
    ///
    /// #[pipeline]
    /// mod numbers {
    ///     #[sink(from = input)]
    ///     pub fn sum(n: u64, sum: &mut u64) {
    ///         *sum += n;
    ///     }
    /// }
    ///
    /// let run = numbers::pipeline().start(())?;
    /// let monitor = run.monitor();
    /// assert!(monitor.health().is_healthy());
    /// run.send(7)?;
    /// let _ = run.drain()?;
    /// assert_eq!(monitor.health(), Health::Stopped(None));
    /// assert_eq!(monitor.metrics().stage::<numbers::sum>().received, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monitor(&self) -> Monitor<P> {
        Monitor {
            shared: Arc::clone(&self.shared),
            pipeline: PhantomData,
        }
    }
}

impl<P: Blueprint> Monitor<P> {
    /// As [`Running::metrics`].
    pub fn metrics(&self) -> Metrics<P> {
        Metrics::read(&self.shared)
    }

    /// As [`Running::health`].
    pub fn health(&self) -> Health {
        Health::of(&self.shared, &self.metrics())
    }

    /// As [`Running::warnings`].
    pub fn warnings(&self) -> Vec<String> {
        warnings(&self.shared, &self.metrics())
    }
}

impl<P> Clone for Monitor<P> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            pipeline: PhantomData,
        }
    }
}

impl<P> fmt::Debug for Monitor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
