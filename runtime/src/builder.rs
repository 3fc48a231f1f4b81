//! Describing a run and starting it.

use std::{
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, PoisonError},
};

use crossbeam_deque::Worker as Queue;

use crate::{
    carrier::Task,
    diagnose::Common,
    drive::panic_message,
    error::{InitError, StartError, TuningError},
    graph::{Blueprint, Graph, Site, States},
    lane::Lane,
    machine::{self, Machine, Placement},
    pressure::{MemoryWatch, Sampler},
    pin,
    running::Running,
    settings::Settings, simd::Level,
    shared::Shared,
    source::{Ingress, Kind, SourceCtl, Waiting},
    sync::{AtomicBool, Condvar, Mutex, mpsc, thread},
    tuning,
    urgent::Interrupt,
    shelf::Shelf,
    warnings::Warnings,
    worker::{Worker, work},
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
    /// first. A thread that a stage starts inherits the binding of its worker: where stages start pools of their own, say
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

    /// Starts the run: opens the sources, makes the states, and starts the workers. All or nothing.
    ///
    /// # Errors
    ///
    /// If a state cannot be made, a number is out of range, a thread cannot be started, or the machine does not give what a
    /// pipeline with `hw(enforce = deny)` asks for. Then nothing is left running.
    pub fn start(self, env: P::Env) -> Result<Running<P>, StartError> {
        let watch = self.watch.clone();
        let (settings, mut placement, mut pins) = self.settled()?;
        let warnings = Warnings::new(settings.enforce);
        for short in placement.short.drain(..).chain(pins.short.drain(..)) {
            warnings.fell_short(short)?;
        }
        let capacity = input_capacity::<P>(&settings);
        let input = Ingress::new(capacity, P::CROSSING);
        let env = Common::new(env, P::SHARED);
        let sources = source_ctls::<P>(&settings, &input);
        let shared = Shared::new(
            P::TOPOLOGY,
            settings,
            placement,
            pins,
            sources,
            watch,
            warnings,
        );
        input.attach(&shared.idle);
        let (told, heard) = mpsc::sync_channel(1);
        let name = thread_name(P::TOPOLOGY.name, 0);
        let main = {
            let (shared, input) = (Arc::clone(&shared), Arc::clone(&input));
            let run = move || run::<P>(&env, &shared, &input, &told);
            thread::Builder::new()
                .name(name)
                .spawn(run)
                .map_err(StartError::Thread)?
        };
        match heard.recv() {
            Ok(Ok(())) => Ok(Running::new(shared, input, main)),
            Ok(Err(error)) => {
                // The thread has told why and ends.
                let _ = main.join();
                Err(error)
            }
            Err(_) => {
                let message = main.join().err().map_or_else(String::new, panic_message);
                Err(StartError::Panicked(message))
            }
        }
    }

    /// The numbers, with those from the environment and from code over them, and where workers and pinned threads are.
    pub(crate) fn settled(
        mut self,
    ) -> Result<(Settings, Placement, pin::Placement), StartError> {
        if let Some(path) = std::env::var_os(tuning::VARIABLE) {
            let (path, text) = tuning::read(Path::new(&path))?;
            tuning::apply(&mut self.settings, P::TOPOLOGY, &path, &text)?;
        }
        if let Some(workers) = self.workers {
            self.settings.pool.workers = Some(workers);
        }
        let machine = match self.machine {
            Some(machine) => machine,
            None => machine::here().map_err(StartError::Topology)?,
        };
        self.settings.pool.pin = self.pin;
        let mut placement = self.settings.place(&machine)?;
        let pins = pin::place(&mut self.settings, P::TOPOLOGY, &machine)?;
        if self.settings.workers != placement.seats.len() {
            // The pool shrinks before pinned threads share.
            self.settings.pool.workers = Some(self.settings.workers.max(1));
            placement = machine.place(&self.settings.pool)?;
        }
        self.settings.check(P::TOPOLOGY)?;
        Ok((self.settings, placement, pins))
    }
}

impl<P> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The largest `queue` of the stages that read the input.
fn input_capacity<P: Blueprint>(settings: &Settings) -> u32 {
    let readers = P::TOPOLOGY
        .stages
        .iter()
        .zip(&settings.stages)
        .filter(|(stage, _)| stage.reads_input());
    readers
        .map(|(_, settings)| settings.queue)
        .max()
        .unwrap_or(1)
}

fn source_ctls<P: Blueprint>(
    settings: &Settings,
    input: &Arc<Ingress<P::Input>>,
) -> Box<[SourceCtl]> {
    let info = P::TOPOLOGY;
    let ctl = |stage: Option<u16>, lane: Lane| match stage {
        Some(stage) => {
            let batch = settings.stages[usize::from(stage)].batch;
            let pinned = info.pinned_with(stage).is_some();
            SourceCtl::new(Kind::Pulled, batch, lane).pinned(pinned)
        }
        None => SourceCtl::new(Kind::Input(Arc::clone(input) as Arc<dyn Waiting>), None, lane),
    };
    let (_, lanes) = settings.lanes(info);
    info.sources
        .iter()
        .zip(lanes)
        .map(|(source, lane)| ctl(source.stage, lane))
        .collect()
}

fn thread_name(pipeline: &str, worker: usize) -> String {
    format!("{pipeline}-{worker}")
}

/// Lets the workers begin together, or not at all.
pub(crate) struct Go(Mutex<Option<bool>>, Condvar);

impl Go {
    fn say(&self, go: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(go);
        self.1.notify_all();
    }

    pub(crate) fn wait(&self) -> bool {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = self
            .1
            .wait_while(said, |said| said.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *said == Some(true)
    }
}

type Told<'a> = &'a mpsc::SyncSender<Result<(), StartError>>;

/// The run's first thread: opens the pipeline, is worker 0, and ends when all workers have. Sources and states may
/// borrow the environment, which lives here.
fn run<P: Blueprint>(
    env: &Common<P::Env>,
    shared: &Arc<Shared>,
    input: &Arc<Ingress<P::Input>>,
    told: Told<'_>,
) -> States {
    let states = States::default();
    let site = Site {
        shared,
        input: Some(input),
    };
    let graph = match guarded(|| P::open(env, &site)) {
        Ok(graph) => graph,
        Err(error) => {
            shared.finish();
            // The starter waits for this; if it is gone, so is the run.
            let _ = told.send(Err(error));
            return states;
        }
    };
    let shelf = Shelf::new(graph);
    run_workers(&shelf, shared, &states, told);
    shelf.into_inner().finish(&states);
    states
}

fn guarded<T>(make: impl FnOnce() -> Result<T, InitError>) -> Result<T, StartError> {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(made) => made.map_err(StartError::State),
        Err(payload) => Err(StartError::Panicked(panic_message(payload))),
    }
}

fn run_workers<G: Graph>(shelf: &Shelf<G>, shared: &Shared, states: &States, told: Told<'_>) {
    let queues: Vec<Queue<Task>> = (0..shared.settings.workers)
        .map(|_| Queue::new_fifo())
        .collect();
    // Set once: a run has one set of workers.
    let _ = shared
        .stealers
        .set(queues.iter().map(Queue::stealer).collect());
    let go = Go(Mutex::new(None), Condvar::new());
    let over = AtomicBool::new(false);
    let (ready, all_ready) = mpsc::channel();
    thread::scope(|scope| {
        let mut queues = queues.into_iter().enumerate();
        let first = queues.next();
        let mut crew = Crew {
            scope,
            shelf,
            shared,
            states,
            ready: &ready,
            go: &go,
            started: 0,
            pinned: Vec::new(),
        };
        let mut problem = crew.start(queues).err();
        // Ends when this is left, in whatever way.
        let sampler = Sampler::start(scope, shared, &over).unwrap_or_else(|error| {
            problem.get_or_insert(StartError::Thread(error));
            None
        });
        for _ in 0..crew.started {
            if let Ok(Err(error)) = all_ready.recv() {
                problem.get_or_insert(error);
            }
        }
        let urgent = Interrupt::new(shelf, shared, 0);
        let mut own = first.map(|(id, queue)| {
            // Now that the others are started, which would inherit it.
            if let Err(error) = shared.seating.sit(id, &shared.warnings) {
                problem.get_or_insert(error);
            }
            Worker::new(shared, id, queue, Some(&urgent))
        });
        let local = own.as_ref().map(|w| guarded(|| shelf.local(w))).transpose();
        let local = match (local, problem) {
            (Ok(local), None) => local,
            (Err(error), _) | (Ok(_), Some(error)) => {
                shared.finish();
                go.say(false);
                let _ = told.send(Err(error));
                return;
            }
        };
        let _ = told.send(Ok(()));
        go.say(true);
        // Where every stage is pinned, this thread only waits for the others, and watches memory until then.
        if let (Some(w), Some(local)) = (&mut own, local) {
            work(shelf, local, w, &urgent, states);
        }
        for thread in crew.pinned {
            // What a pinned thread panics with it has told the run.
            let _ = thread.join();
        }
        drop(sampler);
    });
    // What pinned threads left for workers that had ended already, after a stop, is dropped and counted.
    while shared.injector.pop().is_some() {}
}

/// The threads of a run besides the first one, while they are started.
struct Crew<'scope, 'env, G> {
    scope: &'scope thread::Scope<'scope, 'env>,
    shelf: &'scope Shelf<G>,
    shared: &'scope Shared,
    states: &'scope States,
    ready: &'scope mpsc::Sender<Result<(), StartError>>,
    go: &'scope Go,
    started: usize,
    pinned: Vec<thread::ScopedJoinHandle<'scope, ()>>,
}

impl<'scope, G: Graph> Crew<'scope, '_, G> {
    /// Starts a worker for each queue, and the pinned threads.
    fn start(
        &mut self,
        queues: impl Iterator<Item = (usize, Queue<Task>)>,
    ) -> Result<(), StartError> {
        let (shelf, shared, states) = (self.shelf, self.shared, self.states);
        let (ready, go) = (self.ready, self.go);
        for (id, queue) in queues {
            let body = move || worker(shelf, shared, id, queue, states, ready, go);
            self.spawn(thread_name(shared.info.name, id), body)?;
        }
        for (pin, info) in shared.pins.places().iter().zip(shared.info.pinned) {
            let stage = shared.stage_name(info.stages[0]);
            for index in 0..pin.cores.len() {
                let id = pin.first() + index;
                let body = move || {
                    let w = Worker::nested(shared, id, Queue::new_fifo());
                    pin::live(shelf, w, states, ready, go);
                };
                let thread = self.spawn(thread_name(stage, index), body)?;
                self.pinned.push(thread);
            }
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        name: String,
        body: impl FnOnce() + Send + 'scope,
    ) -> Result<thread::ScopedJoinHandle<'scope, ()>, StartError> {
        let thread = thread::Builder::new().name(name);
        let thread = thread.spawn_scoped(self.scope, body).map_err(StartError::Thread)?;
        self.started += 1;
        Ok(thread)
    }
}

fn worker<G: Graph>(
    shelf: &Shelf<G>,
    shared: &Shared,
    id: usize,
    queue: Queue<Task>,
    states: &States,
    ready: &mpsc::Sender<Result<(), StartError>>,
    go: &Go,
) {
    let seated = shared.seating.sit(id, &shared.warnings);
    let urgent = Interrupt::new(shelf, shared, id);
    let mut w = Worker::new(shared, id, queue, Some(&urgent));
    let local = seated.and_then(|()| guarded(|| shelf.local(&w)));
    let (local, answer) = match local {
        Ok(local) => (Some(local), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // The first thread waits for one answer of each worker.
    let _ = ready.send(answer);
    if let (true, Some(local)) = (go.wait(), local) {
        work(shelf, local, &mut w, &urgent, states);
    }
}
