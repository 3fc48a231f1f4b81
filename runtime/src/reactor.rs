//! What futures find their timers and sockets in: a tokio runtime, whose handle workers enter while they poll.
//!
//! tokio's threads run its reactor and its timers, and wake futures; they never poll one of a stage. The runtime is the one that the
//! run was given, else the one that it was started in, else one of its own with a single thread.

use std::{fmt, io};

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

use crate::settings::Settings;

/// The runtime of a run; `None` where no stage is async.
pub(crate) struct Reactor {
    handle: Option<Handle>,
    own: Option<Runtime>,
}

impl Reactor {
    pub(crate) fn new(settings: &Settings) -> io::Result<Self> {
        let handle = settings
            .tokio
            .clone()
            .or_else(|| Handle::try_current().ok());
        if !is_used(settings) || handle.is_some() {
            let own = None;
            return Ok(Self { handle, own });
        }
        Self::own()
    }

    /// For a dry run, whose thread waits for its futures: the runtime that it was given, or one of its own, because that of the
    /// thread may stand still meanwhile. If that cannot be started, futures that need one say so.
    pub(crate) fn aside(settings: &Settings) -> Self {
        let given = settings.tokio.clone();
        if given.is_some() || !is_used(settings) {
            let own = None;
            return Self { handle: given, own };
        }
        Self::own().unwrap_or(Self {
            handle: None,
            own: None,
        })
    }

    fn own() -> io::Result<Self> {
        let own = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pipewright-tokio")
            .enable_all()
            .build()?;
        Ok(Self {
            handle: Some(own.handle().clone()),
            own: Some(own),
        })
    }

    /// As long as the guard lives, futures that are polled find the runtime.
    pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.handle.as_ref().map(Handle::enter)
    }
}

fn is_used(settings: &Settings) -> bool {
    settings.stages.iter().any(|stage| stage.is_async)
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            // A run may end on a thread of tokio, where nothing may block.
            own.shutdown_background();
        }
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("own", &self.own.is_some())
            .finish_non_exhaustive()
    }
}
