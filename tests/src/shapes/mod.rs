//! Random pipelines as plain data: what the generator makes, what the build script writes as Rust, and what the
//! sequential interpreter of the tests reads. Whoever has the seed has the same pipelines.
//!
//! The build script compiles these modules into itself, so they use nothing of this package.

pub mod generate;
pub mod write;

/// A pipeline. Stages only read stages before them.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The stages, in the order in which they are written; number 3 is called `s3`.
    pub stages: Vec<Stage>,
    /// The quantum, in microseconds, if the pipeline names one.
    pub quantum_us: Option<u32>,
}

/// A source, stage or sink.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What its function looks like.
    pub form: Form,
    /// The `&mut` state of the function.
    pub state: State,
    /// What it reads.
    pub from: Vec<Door>,
    /// Has it `order = any`?
    pub any: bool,
    /// What it says about panics.
    pub on_panic: Option<&'static str>,
    /// Its lane.
    pub priority: Option<&'static str>,
    /// Its batch, if it names one.
    pub batch: Option<u32>,
    /// Does its key function panic now and then?
    pub bad_keys: bool,
    /// The cores of its own threads, if it has such.
    pub cores: Option<&'static str>,
    /// Is it an `async fn`, with how many futures at once?
    pub futures: Option<u32>,
}

/// An output that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// The push input.
    Input,
    /// What a stage sends.
    Main(usize),
    /// The errors of a stage.
    Err(usize),
    /// What a stage sends by one of its variants.
    Variant(usize, usize),
}

/// The `&mut` state of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// None.
    None,
    /// One for all items.
    Serial,
    /// One for each worker.
    PerWorker,
    /// One for each key.
    Keyed,
}

/// What a function looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A source: a range of numbers. It is read by a stage that makes items of them.
    Range,
    /// A source: a vector.
    Vector,
    /// A source: an iterator.
    Iterator,
    /// A source: a function that is polled.
    Poll,
    /// Makes an item of a number.
    Born,
    /// `fn(T) -> T`.
    Map,
    /// `fn(&mut T)`.
    InPlace,
    /// `fn(&T) -> bool`.
    Keep,
    /// `fn(T) -> Option<T>`.
    Opt,
    /// `fn(T) -> Result<T, T>`.
    Res,
    /// `fn(T) -> Result<Option<T>, T>`.
    ResOpt,
    /// `fn(T) -> impl Iterator<Item = T>`.
    Many,
    /// `fn(T, &mut Emit<T>)`.
    Emit,
    /// `fn(T, &mut Emit<T>) -> Result<(), T>`.
    EmitRes,
    /// `fn(T) -> Route2` or `Route3`.
    Route(usize),
    /// `fn(&mut Batch<T>)`, which leaves some out and adds others.
    BatchMut,
    /// `fn(&mut [T])`.
    SliceMut,
    /// `fn(&[T], &mut Emit<T>)`.
    SliceEmit,
    /// A sink: `fn(T)`.
    Sink,
    /// A sink: `fn(T) -> Result<(), T>`.
    SinkRes,
    /// A sink: `fn(&[T])`.
    SinkSlice,
}

impl Form {
    /// Is it a source?
    pub fn is_source(self) -> bool {
        matches!(
            self,
            Self::Range | Self::Vector | Self::Iterator | Self::Poll
        )
    }

    /// Is it a sink?
    pub fn is_sink(self) -> bool {
        matches!(self, Self::Sink | Self::SinkRes | Self::SinkSlice)
    }

    /// Does it return a `Result`?
    pub fn is_fallible(self) -> bool {
        matches!(
            self,
            Self::Res | Self::ResOpt | Self::EmitRes | Self::SinkRes
        )
    }

    /// Is it called with many items at a time?
    pub fn is_batch(self) -> bool {
        matches!(
            self,
            Self::BatchMut | Self::SliceMut | Self::SliceEmit | Self::SinkSlice
        )
    }
}

impl Shape {
    /// Does a stage read the push input?
    pub fn reads_input(&self) -> bool {
        self.readers(Door::Input).next().is_some()
    }

    /// The stages that read a door.
    pub fn readers(&self, door: Door) -> impl Iterator<Item = usize> + '_ {
        let stages = self.stages.iter().enumerate();
        stages
            .filter(move |(_, stage)| stage.from.contains(&door))
            .map(|(at, _)| at)
    }

    /// The sources.
    pub fn sources(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.stages.len()).filter(|at| self.stages[*at].form.is_source())
    }

    /// The stages whose state is left in the report.
    pub fn states(&self) -> impl Iterator<Item = usize> + '_ {
        let left = |at: &usize| matches!(self.stages[*at].state, State::Serial | State::PerWorker);
        (0..self.stages.len()).filter(left)
    }
}
