//! What generated code implements: a pipeline's types, and how its segments hang together.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError},
};

use pipewright_spec::info::TopologyInfo;

use crate::{
    batch::{Collector, Due},
    calls::Entry,
    carrier::Task,
    diagnose::{Common, Crossing, Shareable},
    dry_run::DryAssembly,
    error::InitError,
    link::Merge,
    pin::Start,
    shared::Shared,
    source::{Ingress, Pulled},
    stage::StageFn,
    sync::{Mutex, MutexGuard},
    worker::Worker,
};

/// A pipeline. Implemented by what `#[pipeline]` generates.
pub trait Blueprint: Sized + 'static {
    /// The shared read-only context that stages take as `&Env`.
    type Env: 'static;
    /// What is pushed into the pipeline; [`NoInput`] where no stage reads `input`.
    type Input: 'static;
    /// What waits in its input: [`Self::Input`], with its call where requests are answered.
    #[doc(hidden)]
    type Queued: Entry<Self::Input>;
    /// Workers can share its environment.
    #[doc(hidden)]
    const SHARED: Shareable<Self::Env>;
    /// What is pushed can go from thread to thread.
    #[doc(hidden)]
    const CROSSING: Crossing<Self::Queued>;
    /// How the keys of what waits in its input are hashed, where it is shed by key.
    #[doc(hidden)]
    const SHED_KEY: Option<fn(&Self::Queued) -> u64> = None;
    /// Its shape.
    const TOPOLOGY: &'static TopologyInfo;
    /// Opens its sources and makes its states.
    #[doc(hidden)]
    fn open<'e>(
        env: &'e Common<Self::Env>,
        site: &Site<'_, Self::Queued>,
    ) -> Result<impl Graph + 'e, InitError>;
    /// Tells a dry run how its stages are called.
    #[doc(hidden)]
    fn dry(assembly: &mut DryAssembly<Self>);
}

/// Stands for the input of a pipeline that has none; it has no values.
#[derive(Clone, Copy, Debug)]
pub enum NoInput {}

/// The segments of a pipeline. Generated.
pub trait Graph: Send + Sync + Sized {
    /// What each worker has for itself.
    type Local;
    /// Makes a worker's own part.
    fn local(&self, w: &Worker<'_>) -> Result<Self::Local, InitError>;
    /// Pulls a batch from a source and carries it as far as it goes, together with other workers.
    fn pull(&self, source: usize, local: &mut Self::Local, w: &mut Worker<'_>) -> Pulled;
    /// Carries a batch on that was left at a link.
    fn task(&self, task: Task, local: &mut Self::Local, w: &mut Worker<'_>);
    /// Pulls from a source and runs the items through the whole pipeline.
    fn solo(&mut self, source: usize, local: &mut Self::Local, w: &mut Worker<'_>) -> Pulled;
    /// Calls the batch stages whose partial batches are due.
    fn flush(&mut self, local: &mut Self::Local, w: &mut Worker<'_>, due: Due);
    /// The life of a thread of the pinned segment number `place`.
    fn pinned(&self, place: usize, w: &mut Worker<'_>, start: Start<'_>) -> Result<(), InitError> {
        let (_, _, _) = (place, w, start);
        Ok(())
    }
    /// Leaves a worker's states when it ends.
    fn retire(local: Self::Local, states: &States);
    /// Leaves the states that workers shared.
    fn finish(self, states: &States);
}

/// The graph of a pipeline that does not compile: it has no values. Generated beside the errors, so that they are not
/// followed by others.
#[derive(Clone, Copy, Debug)]
pub enum NoGraph {}

/// Opens a pipeline that does not compile.
///
/// # Errors
///
/// Always; nothing that compiles calls it.
pub fn never() -> Result<NoGraph, InitError> {
    Err(InitError::new("pipeline", "it does not compile"))
}

impl Graph for NoGraph {
    type Local = NoGraph;

    fn local(&self, _: &Worker<'_>) -> Result<NoGraph, InitError> {
        match *self {}
    }

    fn pull(&self, _: usize, _: &mut NoGraph, _: &mut Worker<'_>) -> Pulled {
        match *self {}
    }

    fn task(&self, _: Task, _: &mut NoGraph, _: &mut Worker<'_>) {
        match *self {}
    }

    fn solo(&mut self, _: usize, _: &mut NoGraph, _: &mut Worker<'_>) -> Pulled {
        match *self {}
    }

    fn flush(&mut self, _: &mut NoGraph, _: &mut Worker<'_>, _: Due) {
        match *self {}
    }

    fn retire(local: NoGraph, _: &States) {
        match local {}
    }

    fn finish(self, _: &States) {
        match self {}
    }
}

/// Where a pipeline is opened: what its parts are made from.
#[derive(Debug)]
pub struct Site<'s, I> {
    pub(crate) shared: &'s Arc<Shared>,
    pub(crate) input: Option<&'s Arc<Ingress<I>>>,
}

impl<I> Site<'_, I> {
    /// A collector for the batch stage with this id.
    pub fn collector<T>(&self, stage: u16) -> Collector<T> {
        collector(self.shared, stage)
    }
}

impl Worker<'_> {
    /// A collector for the batch stage with this id.
    pub fn collector<T>(&self, stage: u16) -> Collector<T> {
        collector(self.shared, stage)
    }
}

fn collector<T>(shared: &Shared, stage: u16) -> Collector<T> {
    Collector::new(shared.live.fill(stage))
}

/// The states of the stages when the run has ended, by stage.
#[derive(Default)]
pub struct States(Mutex<HashMap<TypeId, Box<dyn Any + Send>>>);

impl States {
    /// Leaves the state of stage `S`.
    pub fn put<S: StageFn>(&self, state: S::State)
    where
        S::State: Send + 'static,
    {
        self.map().insert(TypeId::of::<S>(), Box::new(state));
    }

    /// Leaves one worker's state of stage `S`, merged with those of the others.
    pub fn merge<S: StageFn>(&self, state: S::State)
    where
        S::State: Merge + Send + 'static,
    {
        let mut map = self.map();
        match map
            .get_mut(&TypeId::of::<S>())
            .and_then(|other| other.downcast_mut::<S::State>())
        {
            Some(merged) => merged.merge(state),
            None => {
                map.insert(TypeId::of::<S>(), Box::new(state));
            }
        }
    }

    pub(crate) fn take<S: StageFn>(&self) -> Option<S::State>
    where
        S::State: 'static,
    {
        let state = self.map().remove(&TypeId::of::<S>())?;
        state.downcast().ok().map(|state| *state)
    }

    fn map(&self) -> MutexGuard<'_, HashMap<TypeId, Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States")
            .field("len", &self.map().len())
            .finish()
    }
}
