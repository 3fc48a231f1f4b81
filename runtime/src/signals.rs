//! Signals that ask a process to end, and the runs that are told of them.
//!
//! The handler only writes into a pipe (`signal-hook`); a thread reads from there and rings the bells of the runs.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGXFSZ},
    flag, iterator,
};

use crate::ending::Bell;

/// The signals that ask a process to end: `SIGTERM` and `SIGINT`.
///
/// Make it before the run, at the beginning of `main`: from then on the signals no longer end the process by themselves.
/// [`Running::wait_for`](crate::Running::wait_for) ends a run when one comes. `SIGXFSZ`, which ends a process that writes a file
/// larger than it may, is ignored, so that the write fails instead.
///
/// ```no_run
/// use std::{process::ExitCode, time::Duration};
/// use pipewright::{Signals, pipeline};
///
/// #[pipeline]
/// mod numbers {
///     #[source]
///     pub fn count() -> impl Iterator<Item = u64> {
///         0..
///     }
///
///     #[sink(from = count)]
///     pub fn sum(n: u64, sum: &mut u64) {
///         *sum = sum.wrapping_add(n);
///     }
/// }
///
/// fn main() -> ExitCode {
///     let signals = match Signals::listen() {
///         Ok(signals) => signals,
///         Err(_) => return ExitCode::FAILURE,
///     };
///     let run = match numbers::pipeline().start(()) {
///         Ok(run) => run,
///         Err(error) => return error.exit_code(),
///     };
///     match run.wait_for(&signals, Duration::from_secs(25)) {
///         Ok(report) => report.exit_code(),
///         Err(failed) => failed.exit_code(),
///     }
/// }
/// ```
pub struct Signals {
    bells: Arc<Bells>,
    handle: iterator::Handle,
    thread: Option<thread::JoinHandle<()>>,
}

/// The runs that are told of a signal, and how many came.
#[derive(Default)]
struct Bells(Mutex<Rings>);

#[derive(Default)]
struct Rings {
    bells: Vec<Weak<Bell>>,
    received: u32,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    ///
    /// If the system does not let them be taken, or does not start the thread that waits for them.
    pub fn listen() -> io::Result<Self> {
        // A handler that does nothing but set a flag that nobody reads.
        flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = iterator::Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        let bells = Arc::new(Bells::default());
        let told = Arc::clone(&bells);
        let thread = thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || signals.forever().for_each(|_| told.ring()))?;
        Ok(Self {
            bells,
            handle,
            thread: Some(thread),
        })
    }

    /// How many came so far.
    pub fn received(&self) -> u32 {
        self.bells.lock().received
    }

    /// Tells a run of the signals from now on, and of those that came before.
    pub(crate) fn tell(&self, bell: &Arc<Bell>) {
        let mut rings = self.bells.lock();
        rings.bells.retain(|bell| bell.strong_count() > 0);
        rings.bells.push(Arc::downgrade(bell));
        (0..rings.received).for_each(|_| bell.ask());
    }
}

impl Bells {
    fn ring(&self) {
        let mut rings = self.lock();
        rings.received += 1;
        let bells = rings.bells.iter().filter_map(Weak::upgrade);
        bells.for_each(|bell| bell.ask());
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It has nothing that could panic.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("received", &self.received())
            .finish_non_exhaustive()
    }
}
