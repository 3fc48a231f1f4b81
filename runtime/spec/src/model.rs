//! The model of a pipeline: what attributes and RON files both become.
//!
//! `P` is the place a thing was written at, so that a check can point at it.

use std::fmt::{self, Debug};

use crate::options::{PipelineOptions, StageOptions, Value};

/// Where something was written: a compiler span, or a range of a text.
pub trait Place: Clone + Debug {}

impl<T: Clone + Debug> Place for T {}

/// A name and the place it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<P> {
    /// The name.
    pub text: String,
    /// Where it is written.
    pub place: P,
}

impl<P> Name<P> {
    /// A name that was written at `place`.
    pub fn new(text: impl Into<String>, place: P) -> Self {
        Self {
            text: text.into(),
            place,
        }
    }

    /// The same name at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Name<Q> {
        Name {
            text: self.text,
            place: f(self.place),
        }
    }
}

/// A value that was written for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<T, P> {
    /// The value.
    pub value: T,
    /// Where the key is written.
    pub key: P,
    /// Where the value is written.
    pub place: P,
}

impl<T, P> Given<T, P> {
    /// The same value at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Given<T, Q> {
        Given {
            value: self.value,
            key: f(self.key),
            place: f(self.place),
        }
    }
}

/// Which of the three attributes a function carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It makes items.
    Source,
    /// It takes items and passes items on.
    Stage,
    /// It takes items and ends their way.
    Sink,
}

impl Kind {
    /// The word for it: `source`, `stage` or `sink`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Stage => "stage",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of the push input in `from = input`.
pub const INPUT: &str = "input";

/// The name of the error door in `from = stage::Err`.
pub const ERR: &str = "Err";

/// The name of the door in `from = stage::Diverted`, by which items leave uncalled while the breaker of the stage is open. Only a
/// stage with `on_open = divert` has it.
pub const DIVERTED: &str = "Diverted";

/// An output that a stage reads: `decode`, `classify::Swap`, `price::Err` or `input`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door<P> {
    /// The stage whose output it is, or `input`.
    pub stage: Name<P>,
    /// The variant or `Err`, where one is named.
    pub door: Option<Name<P>>,
}

impl<P> Door<P> {
    /// Is this the push input?
    pub fn is_input(&self) -> bool {
        self.stage.text == INPUT
    }

    /// Is this the error door of a stage?
    pub fn is_err(&self) -> bool {
        self.door.as_ref().is_some_and(|door| door.text == ERR)
    }

    /// The door as it is written: `classify::Swap`.
    pub fn path(&self) -> String {
        match &self.door {
            Some(door) => format!("{}::{}", self.stage.text, door.text),
            None => self.stage.text.clone(),
        }
    }

    /// The same door at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Door<Q> {
        Door {
            stage: self.stage.map_place(f),
            door: self.door.map(|door| door.map_place(f)),
        }
    }
}

/// A whole pipeline as it was written.
#[derive(Clone, Debug)]
pub struct Model<P> {
    /// Its name: the module, or the stem of the file.
    pub name: String,
    /// Where it starts.
    pub place: P,
    /// Its stages, sources and sinks in the order they were written in.
    pub stages: Vec<Stage<P>>,
    /// Options of the pipeline as a whole.
    pub options: PipelineOptions<P>,
}

impl<P> Model<P> {
    /// The index of the stage with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name.text == name)
    }

    /// Is this the door of errors, or that of diverted items?
    pub fn is_side_door(&self, door: &Door<P>) -> bool {
        let diverts = || {
            let producer = self.find(&door.stage.text).map(|at| &self.stages[at]);
            producer.is_some_and(Stage::diverts)
        };
        door.is_err() || door.door.as_ref().is_some_and(|door| door.text == DIVERTED) && diverts()
    }

    /// Does a stage read the push input?
    pub fn reads_input(&self) -> bool {
        self.stages
            .iter()
            .any(|stage| stage.from.iter().any(Door::is_input))
    }

    /// The same model at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Model<Q> {
        Model {
            name: self.name,
            place: f(self.place),
            stages: self
                .stages
                .into_iter()
                .map(|stage| stage.map_place(f))
                .collect(),
            options: self.options.map_place(f),
        }
    }
}

/// A stage, source or sink.
#[derive(Clone, Debug)]
pub struct Stage<P> {
    /// Its name in the pipeline.
    pub name: Name<P>,
    /// The function that it runs, where that has another name (`run: "decode"`).
    pub run: Option<Name<P>>,
    /// What it is; `None` while only the RON is known.
    pub kind: Option<Kind>,
    /// What it reads; empty for a source.
    pub from: Vec<Door<P>>,
    /// The options that were given.
    pub options: StageOptions<P>,
    /// What the function looks like; `None` while only the RON is known.
    pub signature: Option<Signature>,
}

impl<P: Place> Stage<P> {
    /// A stage of which nothing but the name is known.
    pub fn new(name: Name<P>) -> Self {
        Self {
            name,
            run: None,
            kind: None,
            from: Vec::new(),
            options: StageOptions::default(),
            signature: None,
        }
    }
}

impl<P> Stage<P> {
    /// Is it known to be a source?
    pub fn is_source(&self) -> bool {
        self.kind == Some(Kind::Source)
    }

    /// Is it known to be a sink?
    pub fn is_sink(&self) -> bool {
        self.kind == Some(Kind::Sink)
    }

    /// Does something stand between its items and its calls, so that they may have to wait?
    pub fn is_guarded(&self) -> bool {
        let StageOptions {
            breaker,
            rate,
            retry,
            timeout,
            workers,
            ..
        } = &self.options;
        let guards = breaker.is_some() || rate.is_some() || retry.is_some() || timeout.is_some();
        (guards || workers.is_some()) && !self.is_source()
    }

    /// Is it seen how long its calls run, as far as the topology says, so that another worker can stand in for one whose call hangs?
    pub fn watches_calls(&self) -> bool {
        let StageOptions {
            breaker, timeout, ..
        } = &self.options;
        let breaker = breaker.as_ref();
        let slow = breaker.is_some_and(|given| given.value.find("slow").is_some());
        let timed = timeout.is_some() || slow;
        timed && self.is_guarded() && !self.is_async()
    }

    /// Do its items leave by [`DIVERTED`] while its breaker is open?
    pub fn diverts(&self) -> bool {
        self.on_open() == Some("divert")
    }

    /// Does it give items back to their sources while its breaker is open?
    pub fn gives_back(&self) -> bool {
        self.on_open() == Some("nack")
    }

    fn on_open(&self) -> Option<&'static str> {
        let breaker = self.options.breaker.as_ref()?;
        match breaker.value.find("on_open")?.value {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Is it known to be an `async fn`?
    pub fn is_async(&self) -> bool {
        self.signature.is_some_and(|signature| signature.is_async)
    }

    /// How its function holds state, as far as that is known.
    pub fn state(&self) -> Option<StateKind> {
        self.signature.map(|signature| signature.state)
    }

    /// The same stage at another kind of place.
    pub fn map_place<Q>(self, f: &mut impl FnMut(P) -> Q) -> Stage<Q> {
        Stage {
            name: self.name.map_place(f),
            run: self.run.map(|run| run.map_place(f)),
            kind: self.kind,
            from: self
                .from
                .into_iter()
                .map(|door| door.map_place(f))
                .collect(),
            options: self.options.map_place(f),
            signature: self.signature,
        }
    }
}

/// What a function takes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Takes {
    /// Nothing: it is a source.
    Nothing,
    /// `x: T`.
    Item,
    /// `x: &mut T`, changed in place.
    ItemMut,
    /// `x: &T`, a filter.
    ItemRef,
    /// `xs: &mut Batch<T>`.
    Batch,
    /// `xs: &mut [T]`.
    SliceMut,
    /// `xs: &[T]`.
    Slice,
}

/// What a function gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gives {
    /// `()`: a sink, or a stage that changes items in place.
    Unit,
    /// One output.
    One,
    /// `Option<O>`.
    Option,
    /// `Result<O, E>`.
    Result,
    /// `Result<Option<O>, E>`.
    ResultOption,
    /// `impl Iterator<Item = O>`.
    Many,
    /// Nothing, but it takes `&mut Emit<O>`.
    Emit,
    /// `Result<(), E>`, and it takes `&mut Emit<O>`.
    EmitResult,
    /// `bool` of a filter.
    Keep,
    /// `Result<(), E>` of a sink.
    UnitResult,
    /// `Vec<Result<O, E>>`: what a batch stage sends for each of its items, or why not.
    Verdicts,
    /// `Vec<Result<(), E>>`: whether a batch stage lets each of its items pass, or a sink took it.
    Judged,
    /// `Flow` of a source that is polled.
    Flow,
    /// A source that can be split between workers.
    Splittable,
}

/// How a function holds state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// It has none.
    None,
    /// `&mut S`: one state, and one item at a time.
    Serial,
    /// `&mut S` with `per_worker`: one state for each worker.
    PerWorker,
    /// `&mut S` with `key`: one state for each key.
    Keyed,
}

/// What the macro saw of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Its first parameter.
    pub takes: Takes,
    /// Its return type, or `Emit`.
    pub gives: Gives,
    /// Its `&mut S`.
    pub state: StateKind,
    /// Does it take `&Env`?
    pub env: bool,
    /// Is it an `async fn`?
    pub is_async: bool,
}

impl Signature {
    /// Has it an `Err` door?
    pub const fn fallible(&self) -> bool {
        matches!(
            self.gives,
            Gives::Result
                | Gives::ResultOption
                | Gives::EmitResult
                | Gives::UnitResult
                | Gives::Verdicts
                | Gives::Judged
        )
    }

    /// May one item become many?
    pub const fn one_to_many(&self) -> bool {
        matches!(self.gives, Gives::Many | Gives::Emit | Gives::EmitResult)
    }

    /// Does it take many items at a time?
    pub const fn is_batch(&self) -> bool {
        matches!(self.takes, Takes::Batch | Takes::SliceMut | Takes::Slice)
    }

    /// Does it say of each item of a batch what became of it?
    pub const fn judges(&self) -> bool {
        matches!(self.gives, Gives::Verdicts | Gives::Judged)
    }

    /// Is it a source that is polled?
    pub const fn is_poll(&self) -> bool {
        matches!(self.gives, Gives::Flow)
    }
}
