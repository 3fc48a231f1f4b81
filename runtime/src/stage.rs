//! What `#[stage]`, `#[source]` and `#[sink]` add beside a function: a type of the same name, and its traits.

use std::{
    hash::{BuildHasher, Hash},
    marker::PhantomData,
};

use foldhash::fast::FixedState;

use crate::{
    breaker::Refused,
    classify::{Classify, ErrorClass},
    diagnose::{
        Copies, FallsBack, FindsMemory, IsEnv, Key, MakesState, Receives, ReceivesError,
        ReceivesOne, Saves, Shown, StageKey, TellsPanic, TellsRefusal, TellsTimeout,
    },
    error::{InitError, Panicked},
    flights::TimedOut,
    graph::States,
    link::Merge,
    prefetch::{Handle, prefetch},
};

/// A stage, source or sink, as a type. Its traits are implemented by the attributes.
pub trait StageFn: 'static {
    /// The item that it takes; `()` for a source.
    type In;
    /// The item that it sends; `()` for a sink.
    type Out;
    /// The error that leaves by its `Err` door; [`Infallible`](std::convert::Infallible) if it cannot fail.
    type Err;
    /// Its `&mut` state, or `()`.
    type State;
    /// Its `&` environment, or `()`.
    type Env;
    /// Its name.
    const NAME: &'static str;
}

/// How a stage's state is made.
pub trait Init<E: ?Sized>: StageFn {
    /// A new state.
    fn init(env: &E) -> Result<Self::State, InitError>;
}

/// How a keyed stage finds an item's key.
pub trait Keyed: StageFn {
    /// The key of an item.
    fn key(item: &Self::In) -> impl StageKey + use<Self>;
}

/// The hash of a key, the same in every run.
pub fn hash_of_key(key: &impl Hash) -> u64 {
    FixedState::default().hash_one(key)
}

/// How a stage with `prefetch = ..` finds the memory that an item leads to.
pub trait LooksAhead<E: ?Sized>: StageFn {
    /// Asks for it.
    fn ask(item: &Self::In, env: &E);
}

/// Asks for what an item that is a handle leads to.
#[inline(always)]
pub fn ask_target<H: Handle>(item: &H) {
    prefetch(item.target());
}

/// What a closure of the item finds.
#[inline(always)]
pub fn found_of<I, T: ?Sized>(item: &I, find: impl for<'a> FnOnce(&'a I) -> &'a T) -> &T {
    find(item)
}

/// What a closure of the item and the environment finds.
#[inline(always)]
pub fn found_in<'x, I, E: ?Sized, T: ?Sized>(
    item: &'x I,
    env: &'x E,
    find: impl for<'a> FnOnce(&'a I, &'a E) -> &'a T,
) -> &'x T {
    find(item, env)
}

/// What a function with a name finds, whatever it takes.
#[inline(always)]
pub fn found_by<'x, I, E: ?Sized, M, F: FindsMemory<I, E, M>>(
    item: &'x I,
    env: &'x E,
    find: F,
) -> &'x F::Found {
    find.find(item, env)
}

/// Hands an item from stage `P` to stage `C`: where the two types must meet.
#[inline(always)]
pub fn link<P: StageFn, C: StageFn>(item: P::Out) -> C::In
where
    C::In: Receives<P::Out, P, C>,
{
    <C::In as Receives<P::Out, P, C>>::receive(item)
}

/// Hands an error of stage `P` to stage `C`.
#[inline(always)]
pub fn err_link<P: StageFn, C: StageFn>(error: P::Err) -> C::In
where
    C::In: ReceivesError<P::Err, P, C>,
{
    <C::In as ReceivesError<P::Err, P, C>>::receive(error)
}

/// Hands an item that stage `P` did not take to stage `C`.
#[inline(always)]
pub fn diverted_link<P: StageFn, C: StageFn>(item: P::In) -> C::In
where
    C::In: Receives<P::In, P, C>,
{
    <C::In as Receives<P::In, P, C>>::receive(item)
}

/// As [`link`], to a stage that is called with a slice of items.
#[inline(always)]
pub fn slice_link<P: StageFn, C: StageFn>(item: P::Out) -> C::In
where
    C::In: ReceivesOne<P::Out, P, C>,
{
    <C::In as ReceivesOne<P::Out, P, C>>::receive(item)
}

/// What a variant of a stage's output holds. Its type is known before it is asked who takes it.
#[derive(Debug)]
pub struct Held<T>(pub T);

impl<T> Held<T> {
    /// Hands it from stage `P` to stage `C`.
    #[inline(always)]
    pub fn link<P: StageFn, C: StageFn>(self) -> C::In
    where
        C::In: Receives<T, P, C>,
    {
        <C::In as Receives<T, P, C>>::receive(self.0)
    }
}

/// The text of the error of a stage that ends the run.
pub fn shown<E: Shown>(error: &E) -> String {
    error.to_string()
}

/// Tells what an error says, with its text where it is fatal.
pub type ClassFn<E> = fn(&E) -> (ErrorClass, String);

/// What an error says, with its text where it is fatal.
pub fn class_of<E: Classify>(error: &E) -> (ErrorClass, String) {
    let class = error.class();
    let text = if class == ErrorClass::Fatal {
        error.to_string()
    } else {
        String::new()
    };
    (class, text)
}

/// The error of an item that a breaker turned away.
pub fn refused<E: TellsRefusal>(refused: Refused) -> E {
    E::refused(refused)
}

/// The error of an item with which its stage panicked.
pub fn panicked<E: TellsPanic>(panicked: Panicked) -> E {
    E::panicked(panicked)
}

/// What the function makes of an item that takes the place of stage `S`.
#[inline]
pub fn fallback<S: StageFn, E: ?Sized, M, F: FallsBack<S::In, S::Out, E, M>>(
    item: S::In,
    env: &E,
    function: F,
) -> S::Out {
    function.fall_back(item, env)
}

/// The error of an item whose future was cancelled because it took too long.
pub fn timed_out<E: TellsTimeout>(late: TimedOut) -> E {
    E::timed_out(late)
}

/// Keeps an item of stage `S` for another try.
#[inline(always)]
pub fn saved<T: Saves<S>, S: StageFn>(item: &T) -> T {
    item.save()
}

/// Copies an item for one of several readers of stage `P`.
#[inline(always)]
pub fn copy<T: Copies<P>, P: StageFn>(item: &T) -> T {
    item.copy()
}

/// The environment of the pipeline, as stage `S` takes it.
#[inline(always)]
pub fn env_for<S: StageFn, E: IsEnv<S::Env, S>>(env: &E) -> &S::Env {
    env.get()
}

/// Makes the state of stage `S` by its `state = ..` function.
pub fn make_state<S: StageFn, E, F: MakesState<S::State, E, M>, M>(
    make: F,
    env: &E,
) -> Result<S::State, InitError> {
    make.make(env)
        .map_err(|error| InitError::new(S::NAME, error))
}

/// Gives a key function its argument type. The lifetime has a name so that a key that borrows gets as far as
/// [`Key::owned`], which refuses it in words.
#[inline(always)]
pub fn key_of<'i, S: StageFn, K: StageKey>(
    item: &'i S::In,
    key: impl FnOnce(&'i S::In) -> K,
) -> Key<K> {
    Key(key(item))
}

/// A key function, as the link that partitions by it holds it.
pub trait KeyFn<T>: Send + Sync {
    /// The key.
    type Key: Hash + Eq + Send + 'static;
    /// The key of an item.
    fn key(&self, item: &T) -> Self::Key;
}

impl<T, K: Hash + Eq + Send + 'static, F: Fn(&T) -> K + Send + Sync> KeyFn<T> for F {
    type Key = K;

    #[inline(always)]
    fn key(&self, item: &T) -> K {
        self(item)
    }
}

/// Leaves a worker's state of stage `S` when the run ends: merged with those of the others if it can be, else dropped.
/// Generated code calls `leave` through a reference, so that the merging one is found first where it applies.
#[derive(Debug)]
pub struct Leave<S>(PhantomData<S>);

impl<S> Leave<S> {
    /// Of stage `S`.
    #[allow(clippy::new_without_default, reason = "only generated code makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Leaves a state that can be merged.
pub trait LeaveMerged<S: StageFn> {
    /// Merges it into `states`.
    fn leave(&self, state: S::State, states: &States);
}

impl<S: StageFn> LeaveMerged<S> for Leave<S>
where
    S::State: Merge + Send + 'static,
{
    fn leave(&self, state: S::State, states: &States) {
        states.merge::<S>(state);
    }
}

/// Leaves a state that cannot be merged.
pub trait LeaveDropped<S: StageFn> {
    /// Drops it.
    fn leave(&self, state: S::State, states: &States);
}

impl<S: StageFn> LeaveDropped<S> for &Leave<S> {
    fn leave(&self, _: S::State, _: &States) {}
}
