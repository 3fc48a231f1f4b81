//! Dry runs: a pipeline on the calling thread, with a clock that the test turns.

mod assembly;
mod audit;
mod calls;
mod doors;
mod ends;
mod engine;
mod guarded;
mod span;

use std::{any::Any, fmt, time::Duration};

use pipewright_spec::info::Kind;

pub use self::{
    assembly::DryAssembly,
    calls::DryCall,
    span::{IntoSpan, SpanError},
};
use self::{
    assembly::Stub,
    engine::{Engine, Timed},
};
use crate::{
    builder::Builder,
    call::{Item, Outlet, open},
    calls::Entry,
    diagnose::StageOf,
    error::TuningError,
    graph::{Blueprint, States},
    intake::NEVER,
    live::{self, Change},
    metrics::Metrics,
    report::{Failed, Report},
    running::Of,
    settings::Settings,
    sync::{Arc, AtomicU64, Ordering},
};

/// A pipeline that runs on the calling thread, when it is told to, with a clock that only [`advance`](Self::advance)
/// turns: for tests.
///
/// Stages are the same functions, with the same batches, keys, states, errors and panics as in a run with threads; the
/// report accounts for every item in the same way. Sources are not called: the test [feeds](Self::feed) stages instead,
/// and [takes](Self::take) what a stage sent, or lets it flow on to the sinks. A state is made when the first item comes
/// that needs it. Nothing moves before [`run`](Self::run), [`take`](Self::take), [`take_err`](Self::take_err) or
/// [`drain`](Self::drain); then everything moves at the times at which it was fed, in the order of the source. So two
/// runs with the same calls do the same.
///
/// What guards a stage (`breaker`, `rate`, `retry`) goes by the same clock: items wait in front of it until the clock says that they may
/// go on, and what is behind them waits with them. A drain moves the clock on for as long as a breaker makes them wait. Calls take
/// no time, so none is slow. What a breaker gives back (`on_open = nack`) is counted as returned, and does not come again unless the
/// test feeds it again.
///
/// ```text
/// let mut run = mempool::pipeline().dry_run(Env::fake());
/// run.feed::<mempool::decode>([frame(1), frame(1)]);
/// run.advance("50us");
/// assert_eq!(run.take::<mempool::dedup>(), [tx(1)]);
/// assert_eq!(run.metrics().stage::<mempool::dedup>().filtered, 1);
/// ```
///
/// `'s` is what closures borrow that stand for stages; it is declared before the run. Naming a stage that cannot do what is asked of it (feeding a
/// source, taking from a sink) is a mistake in the test, and panics there.
pub struct DryRun<'s, P: Blueprint> {
    engine: Engine<'s, P::Env>,
    desk: <P::Queued as Entry<P::Input>>::Desk,
    /// Answers whose callers had gone.
    late_answers: Arc<AtomicU64>,
    pipeline: Of<P>,
}

impl<P: Blueprint> Builder<P> {
    /// Runs the pipeline on this thread, step by step, without sources and with a clock of its own: for tests. Numbers
    /// come from the topology and from tuning files given here; there is one worker, whatever [`workers`](Self::workers)
    /// says, and the environment variable is not read, so that a test does the same everywhere.
    pub fn dry_run<'s>(mut self, env: P::Env) -> DryRun<'s, P> {
        self.settings.begin();
        let assembly = DryAssembly::<P>::new();
        let (parts, input_copy) = (assembly.parts, assembly.input_copy);
        let late_answers = Arc::default();
        DryRun {
            desk: <P::Queued as Entry<P::Input>>::desk(&late_answers),
            late_answers,
            engine: Engine::new(P::TOPOLOGY, self.settings, env, parts, input_copy),
            pipeline: Of::default(),
        }
    }
}

impl<'s, P: Blueprint> DryRun<'s, P> {
    /// Puts items before stage `S`, as if a stage that it reads had just sent them.
    ///
    /// # Panics
    ///
    /// If `S` is a source.
    #[track_caller]
    pub fn feed<S: StageOf<P>>(&mut self, items: impl IntoIterator<Item = S::In>) {
        let stage = usize::from(S::ID);
        self.refuse(stage, Kind::Source, "takes no items: use `feed_from`");
        for item in items {
            self.engine.feed(stage, Box::new(item));
        }
    }

    /// Puts items behind source `S`, as if it had just given them.
    ///
    /// # Panics
    ///
    /// If `S` is not a source.
    #[track_caller]
    pub fn feed_from<S: StageOf<P>>(&mut self, items: impl IntoIterator<Item = S::Out>) {
        let stage = usize::from(S::ID);
        self.refuse(stage, Kind::Stage, "is called itself: use `feed`");
        self.refuse(stage, Kind::Sink, "sends nothing: use `feed`");
        for item in items {
            self.engine.feed_from(stage, Box::new(item));
        }
    }

    /// Pushes items to the stages that read `input`, as [`Running::send`](crate::Running::send) does. As no stage takes them
    /// meanwhile, more than `queue` of them do with the input what its `overflow` says; with `block`, which would wait, all are
    /// pushed. Returns those that `reject` gives back.
    pub fn feed_input(&mut self, items: impl IntoIterator<Item = P::Input>) -> Vec<P::Input> {
        self.feed_until(NEVER, items)
    }

    /// Pushes items that are of no use after a time, as [`Running::send_within`](crate::Running::send_within) does. Those that have to
    /// wait for so long in front of a guarded stage are dropped and counted.
    pub fn feed_input_within(
        &mut self,
        items: impl IntoIterator<Item = P::Input>,
        within: Duration,
    ) -> Vec<P::Input> {
        let within = u64::try_from(within.as_nanos()).unwrap_or(NEVER);
        self.feed_until(self.engine.now.saturating_add(within), items)
    }

    fn feed_until(
        &mut self,
        until: u64,
        items: impl IntoIterator<Item = P::Input>,
    ) -> Vec<P::Input> {
        let boxed = items.into_iter().map(|item| Box::new(item) as Item);
        let refused = boxed.filter_map(|item| self.engine.feed_input(item, None, until));
        refused.map(|refused| open(refused.item)).collect()
    }

    /// Changes numbers as [`Running::retune`](crate::Running::retune) does, from the next batch on.
    ///
    /// # Errors
    ///
    /// If the text does not fit the pipeline, or changes what is fixed when a run starts.
    pub fn retune(&mut self, name: &str, text: &str) -> Result<Vec<Change>, TuningError> {
        // It has neither queues nor buffers.
        let fits = |_: &Settings| None;
        let before = &self.engine.settings;
        let (settings, changes) = live::changed(before, P::TOPOLOGY, name, text, fits)?;
        self.engine.retune(settings);
        Ok(changes)
    }

    /// Puts the clock forward, by a [`Duration`] or by a text such as `"50us"`. A batch that is not full waits until its
    /// `linger` has passed; what the clock makes due happens with the next call that moves items.
    ///
    /// # Panics
    ///
    /// If a text is not a time with a unit; [`try_advance`](Self::try_advance) returns that as an error.
    #[track_caller]
    pub fn advance(&mut self, span: impl IntoSpan) {
        if let Err(error) = self.try_advance(span) {
            panic!("{error}");
        }
    }

    /// Puts the clock forward, by a span that may be wrong.
    ///
    /// # Errors
    ///
    /// If a text is not a time with a unit. The clock stays where it is.
    pub fn try_advance(&mut self, span: impl IntoSpan) -> Result<(), SpanError> {
        let span = u64::try_from(span.into_span()?.as_nanos()).unwrap_or(u64::MAX);
        self.engine.now = self.engine.now.saturating_add(span);
        Ok(())
    }

    /// The time of the run's clock.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.engine.now)
    }

    /// Runs every stage until nothing moves. Batches that are neither full nor due wait.
    pub fn run(&mut self) {
        self.engine.run();
    }

    /// Runs `S` and all that it reads, and takes what `S` sent, in order, away from its readers. What a reader has
    /// already been given by an earlier call is not taken back.
    ///
    /// # Panics
    ///
    /// If `S` is a sink; [`stub`](Self::stub) shows what comes to it.
    #[track_caller]
    pub fn take<S: StageOf<P>>(&mut self) -> Vec<S::Out> {
        let stage = usize::from(S::ID);
        self.refuse(
            stage,
            Kind::Sink,
            "sends nothing: use `stub` to see its items",
        );
        self.engine.run_to(stage);
        let node = &mut self.engine.nodes[stage];
        node.tally.taken += node.sent.len() as u64;
        opened(&mut node.sent)
    }

    /// Runs `S` and all that it reads, and takes the errors that left it, in order, away from their readers. Errors that
    /// no stage reads, because of `on_error`, can be taken too.
    pub fn take_err<S: StageOf<P>>(&mut self) -> Vec<S::Err> {
        let stage = usize::from(S::ID);
        self.engine.run_to(stage);
        let node = &mut self.engine.nodes[stage];
        node.tally.taken_errors += node.failed.len() as u64;
        opened(&mut node.failed)
    }

    /// Calls `stub` with every item that comes to `S`, instead of `S` itself. A sink has then taken it; a stage has
    /// filtered it out: see [`stub_with`](Self::stub_with).
    ///
    /// # Panics
    ///
    /// If `S` is a source; [`feed_from`](Self::feed_from) stands for one.
    #[track_caller]
    pub fn stub<S: StageOf<P>>(&mut self, mut stub: impl FnMut(S::In) + 's) {
        self.stub_with::<S>(move |item, _| stub(item));
    }

    /// Calls `stub` with every item that comes to `S`, instead of `S` itself, and with the place to send items or an error
    /// to. A batch stage's stub is called item by item. The state of `S` is not made, and not left in the report.
    ///
    /// # Panics
    ///
    /// If `S` is a source; [`feed_from`](Self::feed_from) stands for one.
    #[track_caller]
    pub fn stub_with<S: StageOf<P>>(
        &mut self,
        stub: impl FnMut(S::In, &mut Outlet<S::Out, S::Err>) + 's,
    ) {
        let stage = usize::from(S::ID);
        self.refuse(stage, Kind::Source, "is not called: use `feed_from`");
        let sink = P::TOPOLOGY.stages[stage].kind == Kind::Sink;
        self.engine
            .replace(stage, Box::new(Stub::<S, _>::new(stub, sink)));
    }

    /// The environment that the stages see.
    pub fn env(&self) -> &P::Env {
        &self.engine.env
    }

    /// What every stage has counted so far. What a stage sent by the doors of its variants counts as on its way only when
    /// a reader has run.
    pub fn metrics(&self) -> Metrics<P> {
        let late = self.late_answers.load(Ordering::Relaxed);
        Metrics::of_stages(self.engine.stages(), late)
    }

    /// Runs every stage, calls batch stages with what they hold, and ends. The report's time is that of the run's clock.
    ///
    /// # Errors
    ///
    /// If the run has failed: a stage panicked or failed that stops the run, or its state could not be made. The report is
    /// in the error.
    pub fn drain(mut self) -> Result<Report<P>, Box<Failed<P>>> {
        self.engine.finish();
        let metrics = self.metrics();
        let (ledger, wrong) = self.engine.audit(metrics.stages());
        let elapsed = self.elapsed();
        let states = States::default();
        let engine = self.engine;
        for machine in engine
            .nodes
            .into_iter()
            .filter_map(|node| node.part.machine)
        {
            machine.retire(&states);
        }
        let report = Report::of_parts(metrics, ledger, engine.panics, elapsed, states);
        match engine.error.or(wrong) {
            None => Ok(report),
            Some(error) => Err(Box::new(Failed { error, report })),
        }
    }

    /// A mistake in the test is told at its line.
    #[track_caller]
    fn refuse(&self, stage: usize, kind: Kind, why: &str) {
        let info = &P::TOPOLOGY.stages[stage];
        if info.kind == kind {
            let what = match kind {
                Kind::Source => "a source",
                Kind::Stage => "a stage",
                Kind::Sink => "a sink",
            };
            panic!("`{}` is {what} and {why}", info.name);
        }
    }
}

fn opened<T: Any>(items: &mut Vec<Timed>) -> Vec<T> {
    items.drain(..).map(|item| open(item.item)).collect()
}

impl<P: Blueprint> fmt::Debug for DryRun<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DryRun")
            .field("pipeline", &P::TOPOLOGY.name)
            .field("elapsed", &self.elapsed())
            .field("error", &self.engine.error)
            .finish_non_exhaustive()
    }
}
