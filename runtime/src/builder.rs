//! Describing a run and starting it.

use std::{
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use pipewright_spec::{info::TopologyInfo, options::Enforce};

use crate::{
    answers::Answers,
    crew::{self, First, thread_name},
    diagnose::Common,
    drive::panic_message,
    error::{StartError, TuningError},
    graph::{Blueprint, NoInput},
    lane::Lane,
    machine::{self, Caller, Files, Machine, Placement},
    pin,
    pressure::MemoryWatch,
    reactor::Reactor,
    report::{Aborted, Report},
    running::{self, Running},
    settings::Settings,
    shared::Shared,
    simd::Level,
    source::{Ingress, Kind, Rules, ShedRule, SourceCtl, Waiting},
    sync::thread,
    tuning,
    warnings::Warnings,
    watch::{Watched, Watching},
};

/// A run that is being described; made by the `pipeline()` function of a pipeline's module.
///
/// Numbers come from, each over the one before: the defaults, the attributes or the topology file, tuning files in the
/// order in which they are given, the file that the environment variable `PIPEWRIGHT_TUNING` names, and these methods.
#[must_use = "a pipeline does nothing until it is started"]
pub struct Builder<P> {
    pub(crate) settings: Settings,
    workers: Option<usize>,
    machine: Option<Machine>,
    pin: Option<bool>,
    watch: Option<MemoryWatch>,
    /// The tuning file that is read again when it changes.
    watched: Option<Watched>,
    pipeline: PhantomData<fn() -> P>,
}

impl<P: Blueprint> Builder<P> {
    /// A run with the numbers of the topology.
    #[doc(hidden)]
    #[allow(
        clippy::new_without_default,
        reason = "users call `pipeline()` of the pipeline's module"
    )]
    pub fn new() -> Self {
        Self {
            settings: Settings::of(P::TOPOLOGY),
            workers: None,
            machine: None,
            pin: None,
            watch: None,
            watched: None,
            pipeline: PhantomData,
        }
    }

    /// Reads numbers from a tuning file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or says something that does not fit the pipeline; the error tells all places.
    pub fn tuning_file(self, path: impl AsRef<Path>) -> Result<Self, TuningError> {
        let (path, text) = tuning::read(path.as_ref())?;
        self.tuning(&path, &text)
    }

    /// Reads numbers from a tuning file, and again whenever it changes while the run goes on, as [`Running::retune_file`] does.
    /// A file that does not fit is refused as a whole, and the running numbers stay; [`Running::retunings`] and the report tell
    /// what came of each change. Its folder is watched, so the file may be replaced. Of several, the last is watched.
    ///
    /// # Errors
    ///
    /// As [`Self::tuning_file`]. That it cannot be watched is an error of [`Self::start`].
    #[cfg(feature = "watch")]
    pub fn watch_tuning(mut self, path: impl AsRef<Path>) -> Result<Self, TuningError> {
        let (name, text) = tuning::read(path.as_ref())?;
        self = self.tuning(&name, &text)?;
        let path = path.as_ref().to_owned();
        self.watched = Some(Watched { path, text });
        Ok(self)
    }

    /// Takes numbers from the text of a tuning file; `name` stands for it in errors.
    ///
    /// # Errors
    ///
    /// As [`Self::tuning_file`].
    pub fn tuning(mut self, name: &str, text: &str) -> Result<Self, TuningError> {
        tuning::apply(&mut self.settings, P::TOPOLOGY, name, text)?;
        Ok(self)
    }

    /// How many workers run the pipeline: 1 to 64. Without it, one for each physical core that this process may use, or as
    /// many as its cpu quota pays for; see [`Machine::parallelism`].
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Binds each worker to its cpu, or leaves it to the system where workers run.
    ///
    /// Without it, workers are bound if `pool(cores = ..)` or `pool(numa = ..)` is given, or if there is a worker for every
    /// core that this process may use, on more than two cores and without a cpu quota; of several runs of one process, the
    /// first. Otherwise, if there is a worker for every core or one worker only, each begins on a cpu of its own, and the system may
    /// move it from there. A thread that a stage starts inherits the binding of its worker: where stages start pools of their own, say
    /// `pin(false)`.
    pub fn pin(mut self, pin: bool) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Places the workers as if on this machine, instead of the one that it runs on or that `PIPEWRIGHT_TOPO` describes.
    /// Workers are never bound to the cpus of a machine that is made up.
    ///
    /// ```
    /// use pipewright::{machine::Machine, pipeline};
    ///
    /// #[pipeline]
    /// mod doubled {
    ///     #[source]
    ///     pub fn numbers() -> std::ops::Range<u64> {
    ///         0..1000
    ///     }
    ///
    ///     #[sink(from = numbers)]
    ///     pub fn check(n: u64) {
    ///         assert!(n < 1000);
    ///     }
    /// }
    ///
    /// let machine = Machine::simulate("2x2").expect("two nodes of two cores");
    /// let run = doubled::pipeline().machine(machine).start(()).expect("a run of four workers");
    /// let report = run.wait().expect("nothing fails");
    /// assert!(report.to_string().contains("on 4 workers"));
    /// ```
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Watches how scarce memory is, with a thread of its own, and works in smaller batches, frees spare buffers or pauses
    /// the sources accordingly; see [`crate::pressure`]. Without it, memory is not watched.
    ///
    /// Where there is neither a memory limit nor PSI to look at, no thread is started, and
    /// [`Running::warnings`] says so.
    pub fn watch_memory(mut self, watch: MemoryWatch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The tokio runtime in which the futures of async stages find their timers and sockets. Its threads wake them; the run's own
    /// workers poll them. Without it, it is the one in whose context the run is started, and if there is none, the run starts one
    /// with a single thread. The runtime must have its timers and its I/O driver enabled, where futures use them, and live as long
    /// as the run.
    #[cfg(feature = "tokio")]
    pub fn tokio(mut self, handle: tokio::runtime::Handle) -> Self {
        self.settings.tokio = Some(handle);
        self
    }

    /// The highest vector level that segments with `simd = ..` use, where they are compiled for it and the machine has it.
    /// Without it, the best. [`Level::Baseline`] switches vector code off, to compare or to rule it out.
    pub fn simd_up_to(mut self, most: Level) -> Self {
        self.settings.available = self.settings.available.up_to(most);
        self
    }

    /// Begins in parallel work and stays there, whatever items cost and however few workers there are. For tests and
    /// measurements: without it, a run decides for itself.
    #[doc(hidden)]
    pub fn in_parallel(mut self) -> Self {
        self.settings.parallel = true;
        self
    }

    /// Divides batches whenever that is possible, whatever their items cost and whoever is idle. For tests: without it, slow
    /// batches are divided when another worker has nothing to do.
    #[doc(hidden)]
    pub fn always_divide(mut self) -> Self {
        self.settings.always_divide = true;
        self
    }

    /// Starts the run: opens the sources, makes the states, and starts the first worker. All or nothing.
    ///
    /// The threads of the other workers start when there is something for them: where items cost next to nothing, one worker is
    /// faster alone. If the system does not let one start then, the run goes on with fewer and says so in
    /// [`Report::warnings`]. Where workers have states of their own, where stages are pinned, and with `hw(enforce = deny)`, all
    /// threads start here.
    ///
    /// What the machine is like is read at most once a second, for threads with the same affinity: cores, cpuset and quota.
    ///
    /// # Errors
    ///
    /// If a state cannot be made, a number is out of range, a thread cannot be started, or the machine does not give what a
    /// pipeline with `hw(enforce = deny)` asks for. Then nothing is left running.
    pub fn start(self, env: P::Env) -> Result<Running<P>, StartError> {
        self.ready(Caller::GoesOn, env)?.start()
    }

    /// What a run begins with.
    fn ready(mut self, caller: fn(u32) -> Caller, env: P::Env) -> Result<Ready<P>, StartError> {
        self.settings.pool.caller = Some(caller(machine::current_cpu()));
        let watch = self.watch.clone();
        let watched = self.watched.take();
        let (settings, mut placement, mut pins) = self.settled()?;
        let warnings = Warnings::new(settings.enforce);
        let short = placement.short.drain(..).chain(pins.short.drain(..));
        warnings.fell_short(short.collect::<Vec<_>>())?;
        let capacity = settings.input_queue(P::TOPOLOGY);
        let rules = Rules {
            overflow: P::TOPOLOGY.overflow_of_input(),
            shed: settings
                .input_shed()
                .map(|shed| ShedRule::new(shed, P::SHED_KEY)),
        };
        let input = Ingress::new(capacity, rules, P::CROSSING);
        let env = Common::new(env, P::SHARED);
        let sources = source_ctls::<P>(&settings, &input);
        let reactor = Reactor::new(&settings).map_err(StartError::Thread)?;
        let shared = Shared::new(
            P::TOPOLOGY,
            settings,
            (placement, pins),
            sources,
            watch,
            warnings,
            reactor,
        );
        input.attach(&shared.idle, &shared.deadlines);
        let watching = watched.map(|watched| watched.start(&shared)).transpose()?;
        shared
            .budget
            .add_queue(capacity as usize * size_of::<P::Queued>());
        Ok(Ready {
            env,
            shared,
            input,
            watching,
        })
    }

    /// The numbers, with those from the environment and from code over them, and where workers and pinned threads are.
    pub(crate) fn settled(self) -> Result<(Settings, Placement, pin::Placement), StartError> {
        let mut settings = self.settings;
        settings.pool.pin = self.pin;
        settle(settings, P::TOPOLOGY, self.workers, self.machine)
    }
}

/// Does what [`Builder::settled`] says, for every pipeline.
fn settle(
    mut settings: Settings,
    info: &'static TopologyInfo,
    workers: Option<usize>,
    machine: Option<Machine>,
) -> Result<(Settings, Placement, pin::Placement), StartError> {
    if let Some(path) = std::env::var_os(tuning::VARIABLE) {
        let (path, text) = tuning::read(Path::new(&path))?;
        tuning::apply(&mut settings, info, &path, &text)?;
    }
    if let Some(workers) = workers {
        settings.pool.workers = Some(workers);
        settings.by_code = true;
    }
    let machine = match machine {
        Some(machine) => machine,
        None => machine::here().map_err(StartError::Topology)?,
    };
    settings.pool.taken = settings.named_cores();
    let mut placement = settings.place(&machine)?;
    let pins = pin::place(&mut settings, info, &machine)?;
    if !pins.seats.is_empty() {
        // The pool shrinks before pinned threads share, and keeps away from the cores that they have.
        settings.pool.workers = Some(settings.workers.max(1));
        settings.pool.taken = pins.owned();
        placement = machine.place(&settings.pool)?;
    }
    settings.check(info)?;
    settings.begin();
    if settings.enforce_said && settings.enforce != Enforce::Off {
        let files = Files::at("/".as_ref());
        let workers = machine::Workers {
            count: settings.workers,
            are_bound: placement.is_bound(),
        };
        let unmet = machine::unmet(&machine, &files, workers, &pins, settings.memory);
        placement.short.extend(unmet);
    }
    Ok((settings, placement, pins))
}

impl<P> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<P: Blueprint<Input = NoInput>> Builder<P> {
    /// Runs the pipeline to its end, with the calling thread as its first worker. So one worker needs no thread at all, and
    /// a short run starts none, however many workers it may have; see [`start`](Self::start). A state that one of the others makes
    /// when it comes, and cannot, ends the run. For pipelines that end by themselves: those without `input`.
    ///
    /// The calling thread is never bound to a cpu. If that was asked for ([`pin`](Self::pin), or `cores` or `numa` of the
    /// pool), it waits instead, as with [`start`](Self::start) and [`wait`](Running::wait).
    ///
    /// ```
    /// use pipewright::pipeline;
    ///
    /// #[pipeline]
    /// mod squares {
    ///     #[source]
    ///     pub fn numbers() -> std::ops::Range<u64> {
    ///         0..1000
    ///     }
    ///
    ///     #[sink(from = numbers)]
    ///     pub fn sum(n: u64, sum: &mut u64) {
    ///         *sum += n * n;
    ///     }
    /// }
    ///
    /// let mut report = squares::pipeline().run(())?;
    /// assert_eq!(report.take_state::<squares::sum>(), Some(332_833_500));
    /// # Ok::<(), pipewright::Aborted<_>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the run does not start, as [`start`](Self::start), or if it fails; then the report is in the error.
    pub fn run(self, env: P::Env) -> Result<Report<P>, Aborted<P>> {
        let ready = self.ready(Caller::Works, env).map_err(Aborted::Start)?;
        match ready.shared.seating.is_asked() {
            true => ready
                .start()
                .map_err(Aborted::Start)?
                .wait()
                .map_err(Aborted::Run),
            false => ready.run_here(),
        }
    }
}

/// A run that can begin.
struct Ready<P: Blueprint> {
    env: Common<P::Env>,
    shared: Arc<Shared>,
    input: Arc<Ingress<P::Queued>>,
    watching: Option<Watching>,
}

impl<P: Blueprint> Ready<P> {
    /// On threads of its own.
    fn start(self) -> Result<Running<P>, StartError> {
        let Self {
            env,
            shared,
            input,
            watching,
        } = self;
        let begun = Arc::new(Answers::default());
        let main = {
            let (shared, input) = (Arc::clone(&shared), Arc::clone(&input));
            let (bell, told) = (Arc::clone(&shared.bell), Arc::clone(&begun));
            let run = move || {
                let _end = bell.at_end();
                let _told = told.at_end();
                crew::run::<P>(First::Started, &env, &shared, &input, &told)
            };
            thread::Builder::new()
                .name(thread_name(P::TOPOLOGY.name, 0))
                .spawn(run)
                .map_err(StartError::Thread)?
        };
        match begun.hear() {
            Some(Ok(())) => Ok(Running::new(shared, input, main, watching)),
            Some(Err(error)) => {
                // The thread has told why and ends.
                let _ = main.join();
                Err(error)
            }
            None => {
                let message = main.join().err().map_or_else(String::new, panic_message);
                Err(StartError::Panicked(message))
            }
        }
    }

    /// On this thread, and those of the other workers.
    fn run_here(self) -> Result<Report<P>, Aborted<P>> {
        let Self {
            env,
            shared,
            input,
            watching,
        } = self;
        let told = Answers::default();
        let run = || {
            let _told = told.at_end();
            crew::run::<P>(First::Lent, &env, &shared, &input, &told)
        };
        let ran = catch_unwind(AssertUnwindSafe(run));
        drop(watching);
        match told.hear() {
            Some(Ok(())) => running::ended(&shared, &input, ran).map_err(Aborted::Run),
            Some(Err(error)) => Err(Aborted::Start(error)),
            None => {
                let message = ran.err().map_or_else(String::new, panic_message);
                Err(Aborted::Start(StartError::Panicked(message)))
            }
        }
    }
}

fn source_ctls<P: Blueprint>(
    settings: &Settings,
    input: &Arc<Ingress<P::Queued>>,
) -> Box<[SourceCtl]> {
    let info = P::TOPOLOGY;
    let ctl = |stage: Option<u16>, lane: Lane| match stage {
        Some(stage) => {
            let batch = settings.stages[usize::from(stage)].batch;
            let pinned = info.pinned_with(stage).is_some();
            SourceCtl::new(Kind::Pulled, batch, lane).pinned(pinned)
        }
        None => SourceCtl::new(
            Kind::Input(Arc::clone(input) as Arc<dyn Waiting>),
            None,
            lane,
        ),
    };
    let (_, lanes) = settings.lanes(info);
    info.sources
        .iter()
        .zip(lanes)
        .map(|(source, lane)| ctl(source.stage, lane))
        .collect()
}
