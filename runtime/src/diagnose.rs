//! The traits that say in the user's words what does not fit. They have no other purpose than their messages.

use std::{error::Error, fmt, hash::Hash, marker::PhantomData};

use crate::{
    breaker::Refused,
    calls::{Answers, Called},
    error::Panicked,
    flights::TimedOut,
    letter::DeadLetter,
    link::Hashed,
};

/// An item type that takes what another stage sends: the same type.
#[diagnostic::on_unimplemented(
    message = "`{Producer}` sends `{Sent}`, but `{Consumer}` takes `{Self}`",
    label = "receives `{Sent}`",
    note = "`Option`, `Result` and `impl Iterator` are unwrapped only when written literally, not through an alias"
)]
pub trait Receives<Sent, Producer, Consumer>: Sized {
    /// The item, unchanged.
    fn receive(sent: Sent) -> Self;
}

impl<T, Producer, Consumer> Receives<T, Producer, Consumer> for T {
    #[inline(always)]
    fn receive(sent: T) -> T {
        sent
    }
}

/// As [`Receives`], where an error is sent.
#[diagnostic::on_unimplemented(
    message = "`{Producer}` fails with `{Sent}`, but `{Consumer}` takes `{Self}`",
    label = "receives `{Sent}`",
    note = "take `{Sent}`, or `DeadLetter<{Sent}>` written literally, not through an alias"
)]
pub trait ReceivesError<Sent, Producer, Consumer>: Sized {
    /// The error, unchanged.
    fn receive(sent: Sent) -> Self;
}

impl<E, Producer, Consumer> ReceivesError<E, Producer, Consumer> for E {
    #[inline(always)]
    fn receive(sent: E) -> E {
        sent
    }
}

/// As [`Receives`], where the reader is called with a slice of items.
#[diagnostic::on_unimplemented(
    message = "`{Producer}` sends `{Sent}`, but `{Consumer}` takes a batch of `{Self}`",
    label = "receives a batch of `{Sent}`",
    note = "in a stage `&[T]` and `&mut [T]` are batches of `T`; one buffer is a `Vec<T>`"
)]
pub trait ReceivesOne<Sent, Producer, Consumer>: Sized {
    /// The item, unchanged.
    fn receive(sent: Sent) -> Self;
}

impl<T, Producer, Consumer> ReceivesOne<T, Producer, Consumer> for T {
    #[inline(always)]
    fn receive(sent: T) -> T {
        sent
    }
}

/// What takes the letters of a stage without their items.
#[diagnostic::on_unimplemented(
    message = "`{Producer}` fails with `{Failed}`, but `{Consumer}` takes `{Self}`",
    label = "receives a dead letter of `{Failed}`",
    note = "take `{Failed}`, `DeadLetter<{Failed}>`, or with the item `DeadLetter<{Failed}, T>`"
)]
pub trait ReceivesLetter<Failed, Producer, Consumer>: Sized {
    /// The letter, unchanged.
    fn receive(letter: DeadLetter<Failed>) -> Self;
}

impl<E, Producer, Consumer> ReceivesLetter<E, Producer, Consumer> for DeadLetter<E> {
    fn receive(letter: Self) -> Self {
        letter
    }
}

/// What takes the letters of a stage with their items.
#[diagnostic::on_unimplemented(
    message = "`{Producer}` takes `{Item}` and fails with `{Failed}`, but `{Consumer}` takes `{Self}`",
    label = "receives a dead letter of `{Failed}` and `{Item}`",
    note = "take `{Failed}`, `DeadLetter<{Failed}>`, or with the item `DeadLetter<{Failed}, {Item}>`"
)]
pub trait ReceivesKeptLetter<Failed, Item, Producer, Consumer>: Sized {
    /// The letter, unchanged.
    fn receive(letter: DeadLetter<Failed, Item>) -> Self;
}

impl<E, T, Producer, Consumer> ReceivesKeptLetter<E, T, Producer, Consumer> for DeadLetter<E, T> {
    fn receive(letter: Self) -> Self {
        letter
    }
}

/// An item that can be copied for its dead letter.
#[diagnostic::on_unimplemented(
    message = "a reader of `{Producer}::Err` takes the failed item too, so `{Self}` must be `Clone`",
    label = "cannot be copied before `{Producer}` is called",
    note = "derive `Clone`, wrap it in `Arc`, or take `DeadLetter<E>` without the item"
)]
pub trait Keeps<Producer> {
    /// A copy.
    fn keep(&self) -> Self;
}

impl<T: Clone, Producer> Keeps<Producer> for T {
    #[inline(always)]
    fn keep(&self) -> T {
        self.clone()
    }
}

/// An item that can be copied for several readers.
#[diagnostic::on_unimplemented(
    message = "`{Producer}` has several readers, so `{Self}` must be `Clone`",
    label = "another reader of `{Producer}`",
    note = "wrap it in `Arc`, or route with an enum"
)]
pub trait Copies<Producer> {
    /// A copy.
    fn copy(&self) -> Self;
}

impl<T: Clone, Producer> Copies<Producer> for T {
    #[inline(always)]
    fn copy(&self) -> T {
        self.clone()
    }
}

/// An item that can be tried again.
#[diagnostic::on_unimplemented(
    message = "`{Stage}` tries again with the same item, so `{Self}` must be `Clone`",
    label = "is kept for another try",
    note = "derive `Clone`, or wrap it in `Arc`"
)]
pub trait Saves<Stage> {
    /// A copy that is kept.
    fn save(&self) -> Self;
}

impl<T: Clone, Stage> Saves<Stage> for T {
    #[inline(always)]
    fn save(&self) -> T {
        self.clone()
    }
}

/// An answer, or an error, that also has a reader in the pipeline.
#[diagnostic::on_unimplemented(
    message = "what `{Producer}` sends is read by stages and goes to callers, so `{Self}` must be `Clone`",
    label = "goes to callers, too",
    note = "wrap it in `Arc`, or let no other stage read it"
)]
pub trait CopiesForCaller<Producer> {
    /// A copy.
    fn copy(&self) -> Self;
}

impl<T: Clone, Producer> CopiesForCaller<Producer> for T {
    #[inline(always)]
    fn copy(&self) -> T {
        self.clone()
    }
}

/// The error of calls, as a stage on their way fails with it: the same type, or one that is made from it.
#[diagnostic::on_unimplemented(
    message = "`{Stage}` fails with `{Error}`, but calls of this pipeline fail with `{Self}`",
    label = "ends a call",
    note = "calls fail with the error of the last stage on their way that can fail: implement `From<{Error}>` for it, or let both fail with one type"
)]
pub trait FailsWith<Error, Stage>: Sized {
    /// The error of the call.
    fn made_of(error: Error) -> Self;
}

impl<Error, Stage, F: From<Error>> FailsWith<Error, Stage> for F {
    #[inline(always)]
    fn made_of(error: Error) -> F {
        error.into()
    }
}

/// The pipeline's environment, as a stage wants it: the same type.
#[diagnostic::on_unimplemented(
    message = "`{Consumer}` needs the environment `{Wanted}`, but this pipeline has `{Self}`",
    label = "needs `{Wanted}`",
    note = "give the pipeline its environment: `#[pipeline(env = {Wanted})]`"
)]
pub trait IsEnv<Wanted, Consumer> {
    /// The environment, unchanged.
    fn get(&self) -> &Wanted;
}

impl<T, Consumer> IsEnv<T, Consumer> for T {
    #[inline(always)]
    fn get(&self) -> &T {
        self
    }
}

/// An item that can move from one worker to another.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot move to another worker",
    label = "`{Self}` is not `Send`",
    note = "items are handed from thread to thread; use `Arc` instead of `Rc`, and own what is borrowed"
)]
pub trait CrossesThreads {}

impl<T: Send + 'static> CrossesThreads for T {}

/// Shows that items of type `T` can move from one worker to another. Whatever holds items in flight asks for it when it is
/// made and states no bound of its own, so that a type which cannot move is one error.
///
/// It also knows how to see that nobody waits for an item any more, where that can be.
pub struct Crossing<T>(Option<Gone<T>>);

/// Has the caller of an item left?
pub(crate) type Gone<T> = fn(&T) -> bool;

impl<T> Crossing<T> {
    /// The same with a number beside each item.
    pub(crate) const fn hashed(self) -> Crossing<Hashed<T>> {
        Crossing(None)
    }

    /// How to see that the caller of an item has left.
    pub(crate) const fn gone(self) -> Option<Gone<T>> {
        self.0
    }

    /// The same with a call of pipeline `P`, which hands over an answer or an error.
    pub const fn called<P: Answers>(self) -> Crossing<Called<T, P>> {
        // The pipeline shows that these can cross threads.
        let (_, _) = (P::REPLY, P::FAILURE);
        Crossing(Some(Called::is_gone))
    }
}

impl<T> Clone for Crossing<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Crossing<T> {}

impl<T> fmt::Debug for Crossing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crossing")
    }
}

/// Refuses item types that cannot move from one worker to another.
pub const fn crosses_threads<T: CrossesThreads>() -> Crossing<T> {
    Crossing(None)
}

/// An environment that all workers can share.
#[diagnostic::on_unimplemented(
    message = "the environment `{Self}` is shared by all workers and is not `Sync`",
    label = "cannot be shared",
    note = "use `Mutex`, atomics or `Arc` inside it instead of `Cell`, `RefCell` and `Rc`"
)]
pub trait SharedByWorkers {}

impl<T: Send + Sync + 'static> SharedByWorkers for T {}

/// Shows that workers can share an environment of type `T`; as [`Crossing`] for items.
pub struct Shareable<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for Shareable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shareable")
    }
}

/// Refuses environments that workers cannot share.
pub const fn shared_by_workers<T: SharedByWorkers>() -> Shareable<T> {
    Shareable(PhantomData)
}

/// The environment of a run, or a reference to it, on its way to the workers.
pub struct Common<E>(E);

impl<E> Common<E> {
    /// `env`, which workers can share.
    pub(crate) const fn new(env: E, _: Shareable<E>) -> Self {
        Self(env)
    }

    /// The environment.
    pub const fn get(&self) -> &E {
        &self.0
    }
}

// SAFETY: it is made with a `Shareable<E>`, which exists for `E: Send + Sync` only.
unsafe impl<E> Send for Common<E> {}
// SAFETY: as above.
unsafe impl<E> Sync for Common<E> {}

impl<E> fmt::Debug for Common<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Common")
    }
}

/// A state that makes itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `Default`, so its first value is unknown",
    label = "needs a first value",
    note = "name a function that makes it: `state = path::to::make`"
)]
pub trait WorkerState: Sized {
    /// The first value.
    fn first() -> Self;
}

impl<T: Default> WorkerState for T {
    fn first() -> T {
        T::default()
    }
}

/// A stage of pipeline `P`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stage of `{P}`",
    label = "not a stage of this pipeline"
)]
pub trait StageOf<P>: crate::stage::StageFn {
    /// Its number among the stages of the pipeline.
    const ID: u16;
}

/// A key of a keyed stage.
#[diagnostic::on_unimplemented(
    message = "a key needs `Hash + Eq + Clone + Send` and must own its data, which `{Self}` does not",
    label = "this key",
    note = "for floats use their bits"
)]
pub trait StageKey: Hash + Eq + Clone + Send + 'static {}

impl<T: Hash + Eq + Clone + Send + 'static> StageKey for T {}

/// A key on its way out of the function that found it.
#[derive(Debug)]
pub struct Key<K>(pub(crate) K);

/// A key that is no reference.
pub trait OwnedKey<K> {
    /// The key.
    fn owned(self) -> K;
}

impl<K> OwnedKey<K> for Key<K> {
    #[inline(always)]
    fn owned(self) -> K {
        self.0
    }
}

impl<'i, T: ?Sized> Key<&'i T> {
    /// Found before [`OwnedKey::owned`] where the key is a reference, and refuses it.
    pub fn owned(self) -> &'i T
    where
        &'i T: OutlivesItem,
    {
        self.0
    }
}

/// A key that lives longer than its item. No reference is known to.
#[diagnostic::on_unimplemented(
    message = "the key is the reference `{Self}`, and a key outlives its item",
    label = "returns a reference",
    note = "return a copy, or the value that it refers to if that is `Copy`"
)]
pub trait OutlivesItem {}

/// An error that can be told when it ends the run.
#[diagnostic::on_unimplemented(
    message = "with `on_error = stop` the error ends the run and is shown, but `{Self}` is not `Display`",
    label = "not `Display`",
    note = "implement `Display`, or read the stage's `::Err`"
)]
pub trait Shown: fmt::Display {}

impl<E: fmt::Display> Shown for E {}

/// An error that can say that a breaker turned the item away.
#[diagnostic::on_unimplemented(
    message = "items leave by `::Err` while the breaker is open, but `{Self}` cannot say that they were refused",
    label = "does not implement `From<pipewright::breaker::Refused>`",
    note = "implement `From<pipewright::breaker::Refused>`, or write `on_open = hold` without `hold`, or `on_open = drop`"
)]
pub trait TellsRefusal {
    /// The error.
    fn refused(refused: Refused) -> Self;
}

impl<E: From<Refused>> TellsRefusal for E {
    fn refused(refused: Refused) -> Self {
        refused.into()
    }
}

/// An error that can say that a stage panicked.
#[diagnostic::on_unimplemented(
    message = "items that panic leave by `::Err`, but `{Self}` cannot say that they did",
    label = "does not implement `From<pipewright::Panicked>`",
    note = "implement `From<pipewright::Panicked>`, or write `on_panic = isolate`"
)]
pub trait TellsPanic {
    /// The error.
    fn panicked(panicked: Panicked) -> Self;
}

impl<E: From<Panicked>> TellsPanic for E {
    fn panicked(panicked: Panicked) -> Self {
        panicked.into()
    }
}

/// A function that takes the place of a stage whose breaker is open.
#[diagnostic::on_unimplemented(
    message = "`fallback = ..` must name a function that makes a `{Out}` of a `{Item}`",
    label = "does not make a `{Out}` of a `{Item}`",
    note = "write `fn({Item}) -> {Out}` or `fn({Item}, &Env) -> {Out}`"
)]
pub trait FallsBack<Item, Out, Env: ?Sized, Marker> {
    /// What it makes of the item.
    fn fall_back(self, item: Item, env: &Env) -> Out;
}

/// Marks `fn(Item) -> Out`.
#[derive(Debug)]
pub enum TakesItem {}
/// Marks `fn(Item, &Env) -> Out`.
#[derive(Debug)]
pub enum TakesItemAndEnv {}

impl<Item, Out, Env: ?Sized, F: FnOnce(Item) -> Out> FallsBack<Item, Out, Env, TakesItem> for F {
    #[inline]
    fn fall_back(self, item: Item, _: &Env) -> Out {
        self(item)
    }
}

impl<Item, Out, Env: ?Sized, F: FnOnce(Item, &Env) -> Out>
    FallsBack<Item, Out, Env, TakesItemAndEnv> for F
{
    #[inline]
    fn fall_back(self, item: Item, env: &Env) -> Out {
        self(item, env)
    }
}

/// An error that can say that a future took too long.
#[diagnostic::on_unimplemented(
    message = "a future that takes longer than `timeout` is cancelled, but `{Self}` cannot say so",
    label = "does not implement `From<pipewright::TimedOut>`",
    note = "implement `From<pipewright::TimedOut>`, or remove `timeout`"
)]
pub trait TellsTimeout {
    /// The error.
    fn timed_out(late: TimedOut) -> Self;
}

impl<E: From<TimedOut>> TellsTimeout for E {
    fn timed_out(late: TimedOut) -> Self {
        late.into()
    }
}

/// A function that makes a state: from nothing or from the environment, perhaps failing.
#[diagnostic::on_unimplemented(
    message = "`state = ..` must name a function that makes a `{State}`",
    label = "does not make a `{State}`",
    note = "write `fn() -> {State}`, `fn(&Env) -> {State}`, or either with a `Result`"
)]
pub trait MakesState<State, Env, Marker> {
    /// A new state.
    fn make(self, env: &Env) -> Result<State, Box<dyn Error + Send + Sync>>;
}

/// Marks `fn() -> S`.
#[derive(Debug)]
pub enum FromNothing {}
/// Marks `fn(&Env) -> S`.
#[derive(Debug)]
pub enum FromEnv {}
/// Marks `fn() -> Result<S, E>`.
#[derive(Debug)]
pub struct FromNothingOrFail<E>(std::marker::PhantomData<E>);
/// Marks `fn(&Env) -> Result<S, E>`.
#[derive(Debug)]
pub struct FromEnvOrFail<E>(std::marker::PhantomData<E>);

impl<S, Env, F: FnOnce() -> S> MakesState<S, Env, FromNothing> for F {
    fn make(self, _: &Env) -> Result<S, Box<dyn Error + Send + Sync>> {
        Ok(self())
    }
}

impl<S, Env, F: FnOnce(&Env) -> S> MakesState<S, Env, FromEnv> for F {
    fn make(self, env: &Env) -> Result<S, Box<dyn Error + Send + Sync>> {
        Ok(self(env))
    }
}

impl<S, Env, E, F> MakesState<S, Env, FromNothingOrFail<E>> for F
where
    F: FnOnce() -> Result<S, E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn make(self, _: &Env) -> Result<S, Box<dyn Error + Send + Sync>> {
        self().map_err(Into::into)
    }
}

impl<S, Env, E, F> MakesState<S, Env, FromEnvOrFail<E>> for F
where
    F: FnOnce(&Env) -> Result<S, E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn make(self, env: &Env) -> Result<S, Box<dyn Error + Send + Sync>> {
        self(env).map_err(Into::into)
    }
}

/// A function that finds the memory that an item leads to: from the item, from the item and the environment, or a method of the
/// environment.
#[diagnostic::on_unimplemented(
    message = "`prefetch = ..` must name a function that leads from a `{Item}` to a reference",
    label = "does not lead from a `{Item}` to a reference",
    note = "write `fn(&{Item}) -> &T`, `fn(&{Item}, &Env) -> &T`, or a method `fn(&self, item: &{Item}) -> &T` of the environment"
)]
pub trait FindsMemory<Item, Env: ?Sized, Marker> {
    /// What is found.
    type Found: ?Sized;
    /// Finds it.
    fn find<'x>(self, item: &'x Item, env: &'x Env) -> &'x Self::Found;
}

/// Marks `fn(&Item) -> &T`.
#[derive(Debug)]
pub struct OfItem<T: ?Sized>(PhantomData<T>);
/// Marks `fn(&Item, &Env) -> &T`.
#[derive(Debug)]
pub struct OfItemInEnv<T: ?Sized>(PhantomData<T>);
/// Marks `fn(&Env, &Item) -> &T`, which a method of the environment is.
#[derive(Debug)]
pub struct OfEnv<T: ?Sized>(PhantomData<T>);

impl<I, E: ?Sized, T: ?Sized, F: for<'a> FnOnce(&'a I) -> &'a T> FindsMemory<I, E, OfItem<T>>
    for F
{
    type Found = T;

    #[inline(always)]
    fn find<'x>(self, item: &'x I, _: &'x E) -> &'x T {
        self(item)
    }
}

impl<I, E: ?Sized, T: ?Sized, F: for<'a> FnOnce(&'a I, &'a E) -> &'a T>
    FindsMemory<I, E, OfItemInEnv<T>> for F
{
    type Found = T;

    #[inline(always)]
    fn find<'x>(self, item: &'x I, env: &'x E) -> &'x T {
        self(item, env)
    }
}

impl<I, E: ?Sized, T: ?Sized, F: for<'a> FnOnce(&'a E, &'a I) -> &'a T> FindsMemory<I, E, OfEnv<T>>
    for F
{
    type Found = T;

    #[inline(always)]
    fn find<'x>(self, item: &'x I, env: &'x E) -> &'x T {
        self(env, item)
    }
}
