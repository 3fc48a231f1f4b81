//! How a dry run calls each stage: collected from generated code, which knows the types.

use std::{any::Any, collections::HashMap, fmt, marker::PhantomData, mem, time::Duration};

use super::calls::AnswerFn;
use crate::{
    batch::Batch,
    breaker::Refused,
    call::{Call, CallBatch, CopyFn, Item, Outlet, Routed, copier, open, wrong_type},
    classify::ErrorClass,
    diagnose::StageKey,
    error::{InitError, Panicked},
    flights::TimedOut,
    graph::{Blueprint, States},
    letter::Whence,
    running::Of,
    stage::{Init, Keyed, StageFn},
};

/// Takes from generated code how the stages of a pipeline are called, copied and routed.
pub struct DryAssembly<P: Blueprint> {
    pub(super) parts: Vec<Part<'static, P::Env>>,
    pub(super) input_copy: Option<CopyFn>,
    pipeline: Of<P>,
}

type RouteFn = Box<dyn Fn(Item) -> Routed>;
/// Makes a letter of an error, of the item if it was kept, and of where that came from.
pub(super) type LetterFn = Box<dyn Fn(Item, Option<Item>, Whence) -> Item>;
type ClassFn = Box<dyn Fn(&dyn Any) -> (ErrorClass, String)>;
type LateFn = Box<dyn Fn(TimedOut) -> Item>;
type RefusalFn = Box<dyn Fn(Refused) -> Item>;
type PanicFn = Box<dyn Fn(Panicked) -> Item>;
type FallbackFn<E> = Box<dyn Fn(Item, &E) -> Item>;
type TextFn = Box<dyn Fn(&dyn Any) -> String>;

/// What a dry run knows about the types of one stage.
pub(super) struct Part<'s, E> {
    pub(super) machine: Option<Box<dyn Machine<E> + 's>>,
    pub(super) copy: Option<CopyFn>,
    pub(super) err_copy: Option<CopyFn>,
    /// Copies what its breaker diverts.
    pub(super) in_copy: Option<CopyFn>,
    pub(super) route: Option<RouteFn>,
    /// What an error says.
    pub(super) err_text: Option<TextFn>,
    /// Copies the item of a call, where a dead letter has it or it may be tried again.
    pub(super) keep: Option<CopyFn>,
    /// The readers of its errors that take dead letters.
    pub(super) letters: Vec<(usize, LetterFn)>,
    /// What an error says about whom is called, of a guarded stage; with its text where it is fatal.
    pub(super) class: Option<ClassFn>,
    /// The error of an item that is turned away.
    pub(super) refusal: Option<RefusalFn>,
    /// The error of an item with which the stage panicked.
    pub(super) panic: Option<PanicFn>,
    /// What another function makes of an item that is turned away.
    pub(super) fallback: Option<FallbackFn<E>>,
    /// The error of an item whose future takes too long.
    pub(super) late: Option<LateFn>,
    /// Do calls come through it?
    pub(super) passes: bool,
    /// Answers a call with what it sends.
    pub(super) answer: Option<AnswerFn>,
    /// Ends a call with its error.
    pub(super) fail: Option<AnswerFn>,
}

/// A stage with its states, without its types.
pub(super) trait Machine<E> {
    /// Calls the stage: with all items at once if it collects, else with the only one.
    fn call(&mut self, items: Vec<Item>, env: &E) -> Result<(), InitError>;
    /// What the last call sent.
    fn outputs(&mut self, panicked: bool) -> Outputs;
    /// How long its futures may take, by the clock on the wall.
    fn set_patience(&mut self, patience: Duration);
    /// Is it called with batches?
    fn collects(&self) -> bool;
    /// Drops the state that the last call used, so that it is made anew.
    fn reset(&mut self);
    /// Leaves the state for the report.
    fn retire(self: Box<Self>, states: &States);
}

/// What a call sent.
#[derive(Default)]
pub(super) struct Outputs {
    pub(super) sent: Vec<Item>,
    /// With the place of the item that failed among those of the call.
    pub(super) failed: Vec<(usize, Item)>,
    /// Items that a sink took.
    pub(super) took: u64,
    /// The future took too long.
    pub(super) late: bool,
}

type EnvOf<P, S> = fn(&<P as Blueprint>::Env) -> &<S as StageFn>::Env;

impl<P: Blueprint> DryAssembly<P> {
    pub(super) fn new() -> Self {
        let stages = P::TOPOLOGY.stages.iter();
        let mut assembly = Self {
            parts: stages.map(|_| Part::default()).collect(),
            input_copy: None,
            pipeline: PhantomData,
        };
        P::dry(&mut assembly);
        assembly
    }

    /// A stage without a state.
    pub fn plain<S: Call<State = ()>>(&mut self, id: u16, env: EnvOf<P, S>) {
        self.put::<S>(id, env, NoState(()), one::<S>, false);
    }

    /// A stage with one state.
    pub fn stateful<S: Call + Init<P::Env>>(&mut self, id: u16, env: EnvOf<P, S>)
    where
        S::State: Send,
    {
        self.per_worker::<S>(id, env, |state, states| states.put::<S>(state));
    }

    /// A stage of which every worker has its own state, left in the report by `leave`. A dry run is one worker.
    pub fn per_worker<S: Call + Init<P::Env>>(
        &mut self,
        id: u16,
        env: EnvOf<P, S>,
        leave: fn(S::State, &States),
    ) {
        self.put::<S>(id, env, OneState { state: None, leave }, one::<S>, false);
    }

    /// A stage with one state per key.
    pub fn keyed<S: Call + Init<P::Env> + Keyed>(&mut self, id: u16, env: EnvOf<P, S>) {
        self.put::<S>(id, env, PerKey::<S, _>::new(S::key), one::<S>, false);
    }

    /// A batch stage without a state.
    pub fn batch<S: CallBatch<State = ()>>(&mut self, id: u16, env: EnvOf<P, S>) {
        self.put::<S>(id, env, NoState(()), many::<S>, true);
    }

    /// A batch stage with one state.
    pub fn stateful_batch<S: CallBatch + Init<P::Env>>(&mut self, id: u16, env: EnvOf<P, S>)
    where
        S::State: Send,
    {
        self.per_worker_batch::<S>(id, env, |state, states| states.put::<S>(state));
    }

    /// A batch stage of which every worker has its own state, left in the report by `leave`.
    pub fn per_worker_batch<S: CallBatch + Init<P::Env>>(
        &mut self,
        id: u16,
        env: EnvOf<P, S>,
        leave: fn(S::State, &States),
    ) {
        self.put::<S>(id, env, OneState { state: None, leave }, many::<S>, true);
    }

    /// The items of a stage or source have several readers.
    pub fn copies<S: StageFn>(&mut self, id: u16, copy: fn(&S::Out) -> S::Out) {
        self.part(id).copy = Some(copier(copy));
    }

    /// The errors of a stage have several readers.
    pub fn err_copies<S: StageFn>(&mut self, id: u16, copy: fn(&S::Err) -> S::Err) {
        self.part(id).err_copy = Some(copier(copy));
    }

    /// What the breaker of a stage diverts has several readers.
    pub fn diverted_copies<S: StageFn>(&mut self, id: u16, copy: fn(&S::In) -> S::In) {
        self.part(id).in_copy = Some(copier(copy));
    }

    /// The push input has several readers.
    pub fn input_copies(&mut self, copy: fn(&P::Input) -> P::Input) {
        self.input_copy = Some(copier(copy));
    }

    /// The items of a stage or source leave by the doors of their variants.
    pub fn routes<S: StageFn>(&mut self, id: u16, route: impl Fn(S::Out) -> Routed + 'static) {
        self.part(id).route = Some(Box::new(move |item| route(open(item))));
    }

    /// The stage `C` takes the errors of a stage as dead letters.
    pub fn letters<S: StageFn, C: StageFn>(
        &mut self,
        id: u16,
        reader: u16,
        make: fn(S::Err, Whence) -> C::In,
    ) {
        let make: LetterFn = Box::new(move |error, _, whence| Box::new(make(open(error), whence)));
        self.part(id).letters.push((reader.into(), make));
    }

    /// As [`Self::letters`], with the items that failed.
    pub fn kept_letters<S: StageFn, C: StageFn>(
        &mut self,
        id: u16,
        reader: u16,
        keep: fn(&S::In) -> S::In,
        make: fn(S::Err, S::In, Whence) -> C::In,
    ) {
        let make: LetterFn = Box::new(move |error, kept, whence| match kept {
            Some(kept) => Box::new(make(open(error), open(kept), whence)),
            None => wrong_type(),
        });
        let part = self.part(id);
        part.letters.push((reader.into(), make));
        part.keep = Some(copier(keep));
    }

    /// An error of the stage ends the run, told by `shown`.
    pub fn stops<S: StageFn>(&mut self, id: u16, shown: fn(&S::Err) -> String) {
        let text = move |error: &dyn Any| match error.downcast_ref::<S::Err>() {
            Some(error) => shown(error),
            None => wrong_type(),
        };
        self.part(id).err_text = Some(Box::new(text));
    }

    /// The stage is guarded: `class` tells what an error says.
    pub fn guarded<S: StageFn>(&mut self, id: u16, class: fn(&S::Err) -> (ErrorClass, String)) {
        let class = move |error: &dyn Any| match error.downcast_ref::<S::Err>() {
            Some(error) => class(error),
            None => wrong_type(),
        };
        self.part(id).class = Some(Box::new(class));
    }

    /// The stage tries items again.
    pub fn keeps<S: StageFn>(&mut self, id: u16, keep: fn(&S::In) -> S::In) {
        self.part(id).keep = Some(copier(keep));
    }

    /// The guard of the stage may turn items away.
    pub fn refuses<S: StageFn>(&mut self, id: u16, refused: fn(Refused) -> S::Err) {
        self.part(id).refusal = Some(Box::new(move |why| Box::new(refused(why))));
    }

    /// Items with which the stage panics leave by its `Err`.
    pub fn panics<S: StageFn>(&mut self, id: u16, panicked: fn(Panicked) -> S::Err) {
        self.part(id).panic = Some(Box::new(move |why| Box::new(panicked(why))));
    }

    /// Where the guard of the stage turns items away, another function takes its place.
    pub fn falls_back<S: StageFn>(&mut self, id: u16, call: fn(S::In, &P::Env) -> S::Out) {
        self.part(id).fallback = Some(Box::new(move |item, env| Box::new(call(open(item), env))));
    }

    /// Futures of the stage may take too long.
    pub fn times_out<S: StageFn>(&mut self, id: u16, late: fn(TimedOut) -> S::Err) {
        self.part(id).late = Some(Box::new(move |why| Box::new(late(why))));
    }

    fn put<S: StageFn>(
        &mut self,
        id: u16,
        env: EnvOf<P, S>,
        store: impl Store<S, P::Env> + 'static,
        call: CallFn<S>,
        collects: bool,
    ) {
        self.part(id).machine = Some(Box::new(Typed {
            store,
            env,
            call,
            collects,
            out: Outlet::new(),
        }));
    }

    pub(super) fn part(&mut self, id: u16) -> &mut Part<'static, P::Env> {
        &mut self.parts[usize::from(id)]
    }
}

impl<P: Blueprint> fmt::Debug for DryAssembly<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DryAssembly")
            .field("pipeline", &P::TOPOLOGY.name)
            .finish_non_exhaustive()
    }
}

impl<E> Default for Part<'_, E> {
    fn default() -> Self {
        Self {
            machine: None,
            copy: None,
            err_copy: None,
            in_copy: None,
            route: None,
            err_text: None,
            keep: None,
            letters: Vec::new(),
            class: None,
            refusal: None,
            panic: None,
            fallback: None,
            late: None,
            passes: false,
            answer: None,
            fail: None,
        }
    }
}

/// Calls a stage with items that belong to one state.
type CallFn<S> = fn(
    Vec<<S as StageFn>::In>,
    &mut <S as StageFn>::State,
    &<S as StageFn>::Env,
    &mut Outlet<<S as StageFn>::Out, <S as StageFn>::Err>,
);

fn one<S: Call>(
    items: Vec<S::In>,
    state: &mut S::State,
    env: &S::Env,
    out: &mut Outlet<S::Out, S::Err>,
) {
    for item in items {
        S::call(item, state, env, out);
    }
}

fn many<S: CallBatch>(
    items: Vec<S::In>,
    state: &mut S::State,
    env: &S::Env,
    out: &mut Outlet<S::Out, S::Err>,
) {
    S::call(&mut Batch::from(items), state, env, out);
}

/// A stage as it was written.
struct Typed<S: StageFn, E, T> {
    store: T,
    env: fn(&E) -> &S::Env,
    call: CallFn<S>,
    collects: bool,
    out: Outlet<S::Out, S::Err>,
}

impl<S: StageFn, E, T: Store<S, E>> Machine<E> for Typed<S, E, T> {
    fn call(&mut self, items: Vec<Item>, env: &E) -> Result<(), InitError> {
        let items: Vec<S::In> = items.into_iter().map(open).collect();
        let state = self.store.state(&items, env)?;
        (self.call)(items, state, (self.env)(env), &mut self.out);
        Ok(())
    }

    fn outputs(&mut self, panicked: bool) -> Outputs {
        outputs(&mut self.out, panicked)
    }

    fn set_patience(&mut self, patience: Duration) {
        self.out.set_patience(patience);
    }

    fn collects(&self) -> bool {
        self.collects
    }

    fn reset(&mut self) {
        self.store.reset();
    }

    fn retire(self: Box<Self>, states: &States) {
        self.store.retire(states);
    }
}

/// A closure that stands for a stage.
pub(super) struct Stub<S: StageFn, F> {
    stub: F,
    sink: bool,
    out: Outlet<S::Out, S::Err>,
}

impl<S: StageFn, F: FnMut(S::In, &mut Outlet<S::Out, S::Err>)> Stub<S, F> {
    pub(super) fn new(stub: F, sink: bool) -> Self {
        Self {
            stub,
            sink,
            out: Outlet::new(),
        }
    }
}

impl<S: StageFn, E, F: FnMut(S::In, &mut Outlet<S::Out, S::Err>)> Machine<E> for Stub<S, F> {
    fn call(&mut self, items: Vec<Item>, _: &E) -> Result<(), InitError> {
        for item in items {
            (self.stub)(open(item), &mut self.out);
            if self.sink && self.out.is_untouched() {
                self.out.took();
            }
        }
        Ok(())
    }

    fn outputs(&mut self, panicked: bool) -> Outputs {
        outputs(&mut self.out, panicked)
    }

    fn set_patience(&mut self, _: Duration) {}

    fn collects(&self) -> bool {
        false
    }

    fn reset(&mut self) {}

    fn retire(self: Box<Self>, _: &States) {}
}

fn outputs<T: 'static, E: 'static>(out: &mut Outlet<T, E>, panicked: bool) -> Outputs {
    fn boxed<T: 'static>(items: Vec<T>) -> Vec<Item> {
        let items = items.into_iter();
        items.map(|item| Box::new(item) as Item).collect()
    }
    let (sent, failed, took) = out.empty(panicked);
    let failed = failed
        .into_iter()
        .map(|(at, error)| (at, Box::new(error) as Item));
    Outputs {
        sent: boxed(sent),
        failed: failed.collect(),
        took,
        late: out.take_late(),
    }
}

/// Where a stage's states are. A state is made when the first item that needs it comes.
trait Store<S: StageFn, E> {
    /// The state that the items belong to.
    fn state(&mut self, items: &[S::In], env: &E) -> Result<&mut S::State, InitError>;
    /// Drops the state that was used last.
    fn reset(&mut self);
    /// Leaves the state for the report.
    fn retire(self, states: &States);
}

/// The state of a stage that has none.
struct NoState(());

impl<S: StageFn<State = ()>, E> Store<S, E> for NoState {
    fn state(&mut self, _: &[S::In], _: &E) -> Result<&mut (), InitError> {
        Ok(&mut self.0)
    }

    fn reset(&mut self) {}

    fn retire(self, _: &States) {}
}

struct OneState<S: StageFn> {
    state: Option<S::State>,
    leave: fn(S::State, &States),
}

impl<S: Init<E>, E> Store<S, E> for OneState<S> {
    fn state(&mut self, _: &[S::In], env: &E) -> Result<&mut S::State, InitError> {
        let state = match self.state.take() {
            Some(state) => state,
            None => S::init(env)?,
        };
        Ok(self.state.insert(state))
    }

    fn reset(&mut self) {
        self.state = None;
    }

    fn retire(self, states: &States) {
        if let Some(state) = self.state {
            (self.leave)(state, states);
        }
    }
}

struct PerKey<S: StageFn, K> {
    key: fn(&S::In) -> K,
    states: HashMap<K, S::State>,
    last: Option<K>,
}

impl<S: StageFn, K: StageKey> PerKey<S, K> {
    fn new(key: fn(&S::In) -> K) -> Self {
        Self {
            key,
            states: HashMap::new(),
            last: None,
        }
    }
}

impl<S: Init<E>, K: StageKey, E> Store<S, E> for PerKey<S, K> {
    fn state(&mut self, items: &[S::In], env: &E) -> Result<&mut S::State, InitError> {
        use std::collections::hash_map::Entry;
        self.last = None;
        // A keyed stage is called item by item.
        let Some(key) = items.first().map(self.key) else {
            wrong_type()
        };
        self.last = Some(key.clone());
        match self.states.entry(key) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(S::init(env)?)),
        }
    }

    fn reset(&mut self) {
        if let Some(key) = self.last.take() {
            self.states.remove(&key);
        }
    }

    /// As in a run with threads, the states of keys are not left.
    fn retire(self, _: &States) {
        mem::drop(self.states);
    }
}
