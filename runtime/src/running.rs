//! A run that is going on.

mod input;
mod monitor;

use std::{fmt, marker::PhantomData, path::Path, sync::Arc, time::Duration};

use pipewright_spec::options::Priority;

use crate::{
    breaker::Breaker,
    calls::Entry,
    diagnose::StageOf,
    drive::panic_message,
    ending::GRACE,
    error::{RunError, SendBatchError, SendError, TuningError},
    graph::{Blueprint, States},
    health::Health,
    lane::Lane,
    late::LateBatch,
    live::{Change, Retuning},
    metrics::Metrics,
    report::{Failed, Report, warnings},
    shared::Shared,
    source::Ingress,
    sync::{Instant, thread::JoinHandle},
    tuning,
    watch::Watching,
};

pub use self::{input::Input, monitor::Monitor};
#[cfg(feature = "signals")]
use crate::signals::Signals;

/// A pipeline that runs. Dropping it stops it and waits for its threads; [`Self::drain`] finishes what is on its way.
#[must_use = "dropping a running pipeline stops it; call `wait`, `drain` or `stop`"]
pub struct Running<P: Blueprint> {
    shared: Arc<Shared>,
    input: Arc<Ingress<P::Queued>>,
    /// What calls need.
    desk: <P::Queued as Entry<P::Input>>::Desk,
    main: Option<JoinHandle<States>>,
    watching: Option<Watching>,
}

impl<P: Blueprint> Running<P> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        input: Arc<Ingress<P::Queued>>,
        main: JoinHandle<States>,
        watching: Option<Watching>,
    ) -> Self {
        let desk = <P::Queued as Entry<P::Input>>::desk(&shared.late_answers);
        Self {
            shared,
            input,
            desk,
            main: Some(main),
            watching,
        }
    }

    /// Pushes an item to the stages that read `input`; waits while the input is full.
    ///
    /// Where the input says `overflow = reject`, a full one gives the item back instead; with `drop_oldest`, `shed_lowest` or
    /// `drop_newest` an item is dropped and counted, which may be this one. This holds for everything that sends.
    ///
    /// # Errors
    ///
    /// Gives the item back if the pipeline takes no more: it was drained, stopped, or has failed. Or if the input is full and
    /// says `overflow = reject`.
    pub fn send(&self, item: P::Input) -> Result<(), SendError<P::Input>> {
        send(&self.input, Lane::NORMAL, item, None)
    }

    /// Pushes an item in a lane; waits while the input is full. Workers take more urgent items first, and the others often
    /// enough that they go on too: see [`Priority`].
    ///
    /// What has been taken stays in its order: behind a stage that keeps order, items come in the order in which they were
    /// taken.
    ///
    /// # Errors
    ///
    /// Gives the item back if the pipeline takes no more.
    pub fn send_at(&self, priority: Priority, item: P::Input) -> Result<(), SendError<P::Input>> {
        send(&self.input, Lane::of(priority), item, None)
    }

    /// Pushes an item that is of no use after a time, and waits for room for as long. If its time is up before a stage has begun with
    /// it, or before a further one has, it is dropped and counted (`dropped_by.expired`).
    ///
    /// Once items were taken out of the input together, they expire together, with the last of them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pipewright::pipeline;
    ///
    /// #[pipeline]
    /// mod quotes {
    ///     #[sink(from = input)]
    ///     pub fn show(price: u64) {
    ///         println!("{price}");
    ///     }
    /// }
    ///
    /// let run = quotes::pipeline().start(())?;
    /// run.send_within(42, Duration::from_secs(10))?;
    /// // Too late already.
    /// run.send_within(43, Duration::ZERO)?;
    /// assert_eq!(run.drain()?.ledger().dropped_by.expired, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Gives the item back if there was no room in time, or if the pipeline takes no more.
    pub fn send_within(&self, item: P::Input, within: Duration) -> Result<(), SendError<P::Input>> {
        send_within(&self.input, item, within)
    }

    /// Pushes an item without waiting.
    ///
    /// # Errors
    ///
    /// Gives the item back if the input is full or takes no more.
    pub fn try_send(&self, item: P::Input) -> Result<(), SendError<P::Input>> {
        try_send(&self.input, item)
    }

    /// Pushes every item of an iterator as soon as it is made, waiting while the input is full, and returns how many were
    /// pushed.
    ///
    /// # Errors
    ///
    /// Gives the first item back that was not taken, if the pipeline takes no more; the iterator still has the others.
    pub fn send_all(
        &self,
        items: impl IntoIterator<Item = P::Input>,
    ) -> Result<u64, SendError<P::Input>> {
        send_all(&self.input, items)
    }

    /// Moves all items of a vector into the pipeline, waiting while the input is full. The vector is empty afterwards and
    /// keeps its memory. Much cheaper than one by one.
    ///
    /// # Errors
    ///
    /// If the pipeline takes no more, or if the input is full and says `overflow = reject`; what was not taken is still in the
    /// vector.
    pub fn send_batch(&self, items: &mut Vec<P::Input>) -> Result<(), SendBatchError> {
        send_batch(&self.input, Lane::NORMAL, items)
    }

    /// As [`send_batch`](Self::send_batch), in a lane.
    ///
    /// # Errors
    ///
    /// If the pipeline takes no more, or if the input is full and says `overflow = reject`; what was not taken is still in the
    /// vector.
    pub fn send_batch_at(
        &self,
        priority: Priority,
        items: &mut Vec<P::Input>,
    ) -> Result<(), SendBatchError> {
        send_batch(&self.input, Lane::of(priority), items)
    }

    /// A handle for another thread to push with.
    pub fn input(&self) -> Input<P::Input, P::Queued> {
        Input::of(&self.input)
    }

    pub(crate) fn ingress(&self) -> &Arc<Ingress<P::Queued>> {
        &self.input
    }

    pub(crate) fn desk(&self) -> &<P::Queued as Entry<P::Input>>::Desk {
        &self.desk
    }

    /// What every stage has counted so far. It never shows an item that was received before it was sent, except between two
    /// pinned stages: what one of them hands over item by item counts as sent when its batch is done.
    pub fn metrics(&self) -> Metrics<P> {
        Metrics::read(&self.shared)
    }

    /// Changes numbers of the run as the text of a tuning file says: wholly, or not at all. They hold from the next batch on.
    /// `name` stands for the text in errors and in the log. Returns what changed.
    ///
    /// `quantum` and `memory` can change while a run goes on, and of stages `batch`, `linger`, `budget`, `idle`, `queue` (of the
    /// input), `in_flight` (up to what it was when the run started), `priority`, `wait` (but for `spin`), `on_panic`, and the
    /// numbers of `breaker`, `retry`, `rate`, `timeout`, `workers` and `shed`. The others are fixed when it starts; they may stand
    /// in the text as they are. Queues have to fit into `memory`, as when it starts. A queue that becomes smaller keeps what waits in it; so do stages in which there are too many
    /// workers or futures.
    ///
    /// ```
    /// use pipewright::pipeline;
    ///
    /// #[pipeline]
    /// mod doubled {
    ///     use pipewright::Batch;
    ///
    ///     #[stage(from = input, batch = 64, linger = "1ms")]
    ///     pub fn double(numbers: &mut Batch<u64>) {
    ///         numbers.iter_mut().for_each(|n| *n *= 2);
    ///     }
    ///
    ///     #[sink(from = double)]
    ///     pub fn check(n: u64) {
    ///         assert!(n.is_multiple_of(2));
    ///     }
    /// }
    ///
    /// let run = doubled::pipeline().start(())?;
    /// let changes = run.retune("by hand", r#"(stages: { "double": (batch: 256) })"#)?;
    /// assert_eq!(changes[0].to_string(), "double.batch 64 -> 256");
    /// run.send(21)?;
    /// println!("{}", run.drain()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text does not fit the pipeline, or changes what is fixed; the error tells all places, and everything stays as it
    /// was.
    pub fn retune(&self, name: &str, text: &str) -> Result<Vec<Change>, TuningError> {
        self.shared.retune(name, text)
    }

    /// Changes numbers of the run as a tuning file says; see [`Self::retune`].
    ///
    /// # Errors
    ///
    /// As [`Self::retune`], or if the file cannot be read.
    pub fn retune_file(&self, path: impl AsRef<Path>) -> Result<Vec<Change>, TuningError> {
        let (path, text) = tuning::read(path.as_ref())?;
        self.shared.retune(&path, &text)
    }

    /// What was asked of the numbers of this run so far, and what came of it: the last 256 times.
    pub fn retunings(&self) -> Vec<Retuning> {
        self.shared.live.log()
    }

    /// Batches that took longer than their `budget`: of each stage one in a second, the last 64.
    pub fn late_batches(&self) -> Vec<LateBatch> {
        self.shared.late.told()
    }

    /// How the run is: healthy, degraded and why, or stopped. Costs as much as [`Self::metrics`].
    ///
    /// ```
    /// use pipewright::{Health, pipeline};
    ///
    /// #[pipeline]
    /// mod numbers {
    ///     #[sink(from = input)]
    ///     pub fn take(_: u64) {}
    /// }
    ///
    /// let run = numbers::pipeline().start(())?;
    /// match run.health() {
    ///     Health::Healthy => {}
    ///     // As a probe of an orchestrator would say it.
    ///     other => println!("{other}"),
    /// }
    /// println!("{}", run.drain()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn health(&self) -> Health {
        Health::of(&self.shared, &self.metrics())
    }

    /// The breaker of a stage with `breaker(..)`: its events, and its state, which can be forced. What waits notices within 100 ms
    /// that somebody did. `None` for a stage without.
    ///
    /// ```text
    /// run.breaker::<orders::enrich>().expect("it has one").force_open();
    /// ```
    pub fn breaker<S: StageOf<P>>(&self) -> Option<&Breaker> {
        self.shared.guards.of(S::ID.into())?.breaker()
    }

    /// What the run does otherwise than asked, such as workers that the system did not let be bound to their cpus; and calls that
    /// hang, while they do. Told at the end by the report, too.
    pub fn warnings(&self) -> Vec<String> {
        warnings(&self.shared, &self.metrics())
    }

    /// Has everything been done, or has the run failed?
    pub fn is_finished(&self) -> bool {
        self.main.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes no more items in, and does not wait for those that were taken: whoever ends several runs tells all of them first, and
    /// then [drains](Self::drain) one after the other. Sources are not read further.
    ///
    /// ```
    /// use pipewright::pipeline;
    ///
    /// #[pipeline]
    /// mod prices {
    ///     #[sink(from = input)]
    ///     pub fn show(price: u64) {
    ///         println!("{price}");
    ///     }
    /// }
    ///
    /// let runs = [prices::pipeline().start(())?, prices::pipeline().start(())?];
    /// runs[0].send(42)?;
    /// // While the first one ends, the other one takes nothing that would have to be waited for.
    /// runs.iter().for_each(|run| run.close());
    /// assert_eq!(runs[1].send(43), Err(pipewright::SendError::Closed(43)));
    /// for (run, expect) in runs.into_iter().zip([1, 0]) {
    ///     assert_eq!(run.drain()?.ledger().delivered, expect);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.shared.close();
    }

    /// Takes no more items in, finishes those that were taken, and ends. Sources are not read further.
    ///
    /// # Errors
    ///
    /// If the run has failed. The report is in the error.
    pub fn drain(mut self) -> Result<Report<P>, Box<Failed<P>>> {
        self.shared.close();
        self.end()
    }

    /// As [`Self::drain`], for at most so long. What is not finished then is dropped and counted. A function that has not
    /// returned a second later keeps its thread, and the run ends without it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pipewright::pipeline;
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
    /// let run = numbers::pipeline().start(())?;
    /// let report = run.drain_within(Duration::from_secs(25))?;
    /// assert!(report.ledger().is_balanced());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::Deadline`] with what was left, by stage, if it did not end in time; or why the run has failed. The report is
    /// in the error.
    pub fn drain_within(mut self, within: Duration) -> Result<Report<P>, Box<Failed<P>>> {
        self.shared.close_within(within);
        self.end_within(within, u32::MAX)
    }

    /// Waits as [`Self::wait`]; when a signal asks the process to end, drains as [`Self::drain_within`]; and at a second signal
    /// drops what is left.
    ///
    /// # Errors
    ///
    /// As [`Self::drain_within`].
    #[cfg(feature = "signals")]
    pub fn wait_for(
        mut self,
        signals: &Signals,
        within: Duration,
    ) -> Result<Report<P>, Box<Failed<P>>> {
        signals.tell(&self.shared.bell);
        let rung = self.shared.bell.wait(0, None);
        if rung.over {
            return self.end();
        }
        self.shared.close_within(within);
        self.end_within(within, 1)
    }

    /// Waits until all sources have ended and every item is done. A pipeline with an `input` ends when it is drained.
    ///
    /// # Errors
    ///
    /// If the run has failed. The report is in the error.
    pub fn wait(mut self) -> Result<Report<P>, Box<Failed<P>>> {
        self.end()
    }

    /// Drops what is on its way, counting it, and ends.
    ///
    /// # Errors
    ///
    /// If the run has failed. The report is in the error.
    pub fn stop(mut self) -> Result<Report<P>, Box<Failed<P>>> {
        self.shared.stop();
        self.end()
    }

    /// Ends a run that takes no more in, within a time, or when it was asked to end more than `asked` times.
    fn end_within(&mut self, within: Duration, asked: u32) -> Result<Report<P>, Box<Failed<P>>> {
        let bell = Arc::clone(&self.shared.bell);
        // A time that the clock cannot tell is none.
        let until = Instant::now().checked_add(within);
        if bell.wait(asked, until).over {
            return self.end();
        }
        self.shared.fail(RunError::Deadline {
            within,
            left: Box::default(),
        });
        let ended = if bell.wait(u32::MAX, Instant::now().checked_add(GRACE)).over {
            self.end()
        } else {
            self.watching = None;
            // It holds what it uses, and ends when the function returns.
            drop(self.main.take());
            ended(&self.shared, &self.input, Ok(States::default()))
        };
        ended.map_err(|mut failed| {
            if let RunError::Deadline { left, .. } = &mut failed.error {
                *left = failed.report.left();
            }
            failed
        })
    }

    fn end(&mut self) -> Result<Report<P>, Box<Failed<P>>> {
        let ran = match self.main.take() {
            Some(main) => main.join(),
            None => Ok(States::default()),
        };
        self.watching = None;
        ended(&self.shared, &self.input, ran)
    }
}

/// The report of a run whose first thread has ended, with the states or with a panic.
pub(crate) fn ended<P: Blueprint>(
    shared: &Shared,
    input: &Ingress<P::Queued>,
    ran: std::thread::Result<States>,
) -> Result<Report<P>, Box<Failed<P>>> {
    let states = ran.unwrap_or_else(|payload| {
        let message = panic_message(payload);
        shared.fail(RunError::Panicked {
            stage: P::TOPOLOGY.name,
            message,
        });
        States::default()
    });
    let given = input.given();
    Report::of(shared, input.abandon(), given, states)
}

impl<P: Blueprint> Drop for Running<P> {
    fn drop(&mut self) {
        if let Some(main) = self.main.take() {
            self.shared.stop();
            // What it panicked with was already told by the panic itself; a destructor has nobody to tell.
            let _ = main.join();
        }
    }
}

impl<P: Blueprint> fmt::Debug for Running<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

fn send<T, Q: Entry<T>>(
    input: &Ingress<Q>,
    lane: Lane,
    item: T,
    until: Option<Instant>,
) -> Result<(), SendError<T>> {
    taken(input, input.send(lane, Q::sent(item), until))
}

fn send_within<T, Q: Entry<T>>(
    input: &Ingress<Q>,
    item: T,
    within: Duration,
) -> Result<(), SendError<T>> {
    // A time that the clock cannot tell is none.
    let deadline = Instant::now().checked_add(within);
    let how = input.until(Lane::NORMAL, deadline);
    taken(input, input.send(how, Q::sent(item), deadline))
}

fn try_send<T, Q: Entry<T>>(input: &Ingress<Q>, item: T) -> Result<(), SendError<T>> {
    taken(input, input.send_now(Lane::NORMAL, Q::sent(item)))
}

/// Whether an item was taken. Where a full input drops items, one that displaces no other is taken, and dropped.
#[inline]
fn taken<T, Q: Entry<T>>(
    input: &Ingress<Q>,
    sent: Result<(), SendError<Q>>,
) -> Result<(), SendError<T>> {
    let sent = match sent {
        Err(SendError::Full(item)) if input.drops() => input.lose(item),
        sent => sent,
    };
    sent.map_err(|refused| refused.map(Q::into_item))
}

/// Sends each item as soon as the iterator has made it. Nothing is held meanwhile: the iterator may take its time, or wait for
/// what was sent before.
fn send_all<T, Q: Entry<T>>(
    input: &Ingress<Q>,
    items: impl IntoIterator<Item = T>,
) -> Result<u64, SendError<T>> {
    let mut sent = 0;
    for item in items {
        send(input, Lane::NORMAL, item, None)?;
        sent += 1;
    }
    Ok(sent)
}

fn send_batch<T, Q: Entry<T>>(
    input: &Ingress<Q>,
    lane: Lane,
    items: &mut Vec<T>,
) -> Result<(), SendBatchError> {
    let mut queued = Q::taken_from(items);
    let sent = input.send_batch(lane, &mut queued);
    Q::put_back(queued, items);
    sent
}

/// Keeps the pipeline's type without owning one.
pub(crate) type Of<P> = PhantomData<fn() -> P>;
