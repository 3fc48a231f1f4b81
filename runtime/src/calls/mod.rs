//! Requests on their way to an answer: what travels with them, and what waits in the input of a pipeline that has `reply`.
//!
//! **On the way.** In such a pipeline every item on a link between `input` and the stage that answers is a [`Called`]: the item,
//! and the [`Call`] that it belongs to, if it belongs to one. Generated code parts them where the item comes into a loop, gives
//! the function the bare item, and joins them again at the next link. So a stage knows nothing of calls.
//!
//! **Every call is answered once.** A call is a value that cannot be copied, and dropping it answers. Wherever an item ends, its
//! call is dropped with it: in a loop when a stage does not pass the item on, while unwinding when it panics, with a carrier,
//! a ring or an input that is dropped because the run has stopped. What it says then follows from two things: in which stage
//! the item was ([`Call::at`]), and whether the thread unwinds.
//!
//! | in a stage | unwinding | answer |
//! |---|---|---|
//! | yes | no | `Filtered` by this stage |
//! | yes | yes | `Panicked` in this stage |
//! | no | | `ShutDown`; or `Overloaded`, `BreakerOpen` or `Expired`, where a full queue or an open breaker drops it or its time is up: between two stages an item is lost only when it is dropped, and who drops it says why ([`crate::dropped`]) |

mod caller;
mod error;

use std::{fmt, mem, sync::Arc, thread};

#[cfg(feature = "async")]
pub use self::caller::Calling;
pub(crate) use self::caller::replied;
pub use self::{
    caller::{Caller, Itself},
    error::CallError,
};
use crate::{
    call_slots::{Answerer, Slots},
    diagnose::{CopiesForCaller, Crossing, FailsWith},
    dropped::{self, Why},
    graph::Blueprint,
    stage::StageFn,
    sync::AtomicU64,
};

/// A pipeline whose requests are answered. Implemented by `#[pipeline(reply = ..)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` answers no calls",
    label = "has no `reply`",
    note = "name the stage whose output is the answer: `#[pipeline(reply = stage)]`"
)]
pub trait Answers: Blueprint<Queued = Called<<Self as Blueprint>::Input, Self>> {
    /// What the stage that answers returns.
    type Reply: 'static;
    /// The error of the last stage on the way that can fail; [`Infallible`](std::convert::Infallible) if none can.
    type Failure: 'static;
    /// An answer can go from thread to thread.
    #[doc(hidden)]
    const REPLY: Crossing<Self::Reply>;
    /// So can an error.
    #[doc(hidden)]
    const FAILURE: Crossing<Self::Failure>;
}

/// What a caller gets.
pub(crate) type Answer<P> = Result<<P as Answers>::Reply, Refusal<<P as Answers>::Failure>>;

/// Why there is no reply, of a request that was taken. Stages by their number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal<E> {
    Filtered(u16),
    Failed(u16, E),
    Panicked(u16),
    Overloaded,
    BreakerOpen,
    Expired,
    ShutDown,
}

/// In no stage: on a link, or in the input.
const BETWEEN: u16 = u16::MAX;

/// The call that an item belongs to, or none: items come from `send` and from sources, too. Dropping it answers.
pub struct Call<P: Answers> {
    answerer: Option<Answerer<Answer<P>>>,
    /// The stage that the item is in.
    at: u16,
}

/// An item on its way to the stage that answers, with its call.
pub struct Called<T, P: Answers> {
    /// The item.
    pub item: T,
    /// Who waits for the answer.
    pub call: Call<P>,
}

impl<P: Answers> Call<P> {
    /// Nobody waits.
    #[inline(always)]
    pub const fn none() -> Self {
        Self {
            answerer: None,
            at: BETWEEN,
        }
    }

    pub(crate) fn of(answerer: Answerer<Answer<P>>) -> Self {
        Self {
            answerer: Some(answerer),
            at: BETWEEN,
        }
    }

    /// The item comes into a stage: if it ends there, it was this one.
    #[inline(always)]
    pub fn at(mut self, stage: u16) -> Self {
        self.at = stage;
        self
    }

    /// The item is in no stage any more.
    #[inline(always)]
    pub fn left(self) -> Self {
        self.at(BETWEEN)
    }

    /// As [`Self::at`], of a call that lies somewhere.
    pub(crate) fn set_at(&mut self, stage: u16) {
        self.at = stage;
    }

    /// As [`Self::left`], of a call that lies somewhere.
    pub(crate) fn set_left(&mut self) {
        self.at = BETWEEN;
    }

    /// Answers.
    #[inline]
    pub fn answer(mut self, reply: P::Reply) {
        if let Some(answerer) = self.answerer.take() {
            answerer.answer(Ok(reply));
        }
    }

    /// Answers with a copy, where the answer has readers in the pipeline, too.
    #[inline]
    pub fn answer_copy(self, reply: Option<P::Reply>) {
        if let Some(reply) = reply {
            self.answer(reply);
        }
    }

    /// Answers with the error of stage `S`, by its number.
    pub fn fail<S: StageFn>(mut self, stage: u16, error: S::Err)
    where
        P::Failure: FailsWith<S::Err, S>,
    {
        if let Some(answerer) = self.answerer.take() {
            answerer.answer(Err(Refusal::Failed(stage, P::Failure::made_of(error))));
        }
    }

    /// As [`Self::fail`], with a copy of an error that has a reader.
    pub fn fail_copy<S: StageFn>(self, stage: u16, error: Option<S::Err>)
    where
        P::Failure: FailsWith<S::Err, S>,
    {
        if let Some(error) = error {
            self.fail::<S>(stage, error);
        }
    }

    /// Its item panicked in this stage, in a call that is over.
    pub(crate) fn panic(mut self, stage: u16) {
        if let Some(answerer) = self.answerer.take() {
            answerer.answer(Err(Refusal::Panicked(stage)));
        }
    }

    /// The item goes on by a way that does not lead to the answer.
    #[inline(always)]
    pub fn end(self) {}

    /// A copy of what stage `S` sends, if somebody waits for it.
    #[inline(always)]
    pub fn copy<T: CopiesForCaller<S>, S: StageFn>(&self, item: &T) -> Option<T> {
        self.answerer.is_some().then(|| item.copy())
    }
}

impl<P: Answers> Drop for Call<P> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(answerer) = self.answerer.take() {
            refuse::<P>(answerer, self.at);
        }
    }
}

/// Answers a call that ends.
#[cold]
#[inline(never)]
fn refuse<P: Answers>(answerer: Answerer<Answer<P>>, at: u16) {
    let left = match dropped::why() {
        // Nobody waits for that, and nothing was done in vain.
        Why::Expired => answerer.leave(),
        _ => Err(answerer),
    };
    let Err(answerer) = left else { return };
    answerer.answer(Err(match at {
        BETWEEN => match dropped::why() {
            Why::Overflow | Why::Shed => Refusal::Overloaded,
            Why::Expired => Refusal::Expired,
            Why::Breaker => Refusal::BreakerOpen,
            // No call is given back: its item comes from an input, which gives nothing again.
            Why::Stopped | Why::Returned => Refusal::ShutDown,
        },
        stage if thread::panicking() => Refusal::Panicked(stage),
        stage => Refusal::Filtered(stage),
    }));
}

impl<T, P: Answers> Called<T, P> {
    /// Has its caller left, because the time was up or the future was dropped?
    pub(crate) fn is_gone(&self) -> bool {
        let answerer = self.call.answerer.as_ref();
        answerer.is_some_and(Answerer::is_gone)
    }

    /// An item that leaves a stage with its call.
    #[inline(always)]
    pub fn new(item: T, call: Call<P>) -> Self {
        let call = call.left();
        Self { item, call }
    }
}

/// The calls of the items that collect for a batch stage.
pub struct Calls<P: Answers>(Vec<Call<P>>);

impl<P: Answers> Calls<P> {
    /// None yet.
    #[allow(clippy::new_without_default, reason = "only generated code makes one")]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    #[inline(always)]
    pub fn push(&mut self, call: Call<P>) {
        self.0.push(call);
    }

    /// Takes all; give the emptied list back with [`Self::give`], so that its memory is used again.
    pub fn take(&mut self) -> Self {
        Self(mem::take(&mut self.0))
    }

    /// Takes all out, which leave the stage.
    pub(crate) fn drain(&mut self) -> impl ExactSizeIterator<Item = Call<P>> {
        // All of them first: if the run stops at one, the others are in no stage.
        for call in &mut self.0 {
            call.at = BETWEEN;
        }
        self.0.drain(..)
    }

    pub(crate) fn give(&mut self, mut emptied: Self) {
        emptied.0.clear();
        if self.0.is_empty() {
            self.0 = emptied.0;
        }
    }
}

/// A key function of bare items, for items with their calls.
pub fn key_of_called<T, P: Answers, K>(
    key: impl Fn(&T) -> K + Send + Sync,
) -> impl Fn(&Called<T, P>) -> K + Send + Sync {
    move |called| key(&called.item)
}

/// Where callers wait for their answers.
pub struct Desk<P: Answers>(pub(crate) Arc<Slots<Answer<P>>>);

// SAFETY: slots hand answers from one thread to another, and that these can cross threads is shown by the pipeline's `REPLY` and
// `FAILURE`, which exist for such types only.
unsafe impl<P: Answers> Send for Desk<P> {}
// SAFETY: as above.
unsafe impl<P: Answers> Sync for Desk<P> {}

impl<P: Answers> Clone for Desk<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What waits in an input: items, or items with their calls.
pub trait Entry<T>: Sized + 'static {
    /// What calls need; nothing, where there are none.
    #[doc(hidden)]
    type Desk: Send + Sync;
    /// Makes that. `late` counts answers whose caller has gone.
    #[doc(hidden)]
    fn desk(late: &Arc<AtomicU64>) -> Self::Desk;
    /// An item that was sent.
    #[doc(hidden)]
    fn sent(item: T) -> Self;
    /// The item.
    #[doc(hidden)]
    fn into_item(self) -> T;
    /// All items of a vector, to be sent.
    #[doc(hidden)]
    fn taken_from(items: &mut Vec<T>) -> Vec<Self>;
    /// Puts those back that were not.
    #[doc(hidden)]
    fn put_back(left: Vec<Self>, items: &mut Vec<T>);
}

impl<T: 'static> Entry<T> for T {
    type Desk = ();

    fn desk(_: &Arc<AtomicU64>) {}

    #[inline(always)]
    fn sent(item: T) -> T {
        item
    }

    #[inline(always)]
    fn into_item(self) -> T {
        self
    }

    fn taken_from(items: &mut Vec<T>) -> Vec<T> {
        mem::take(items)
    }

    fn put_back(left: Vec<T>, items: &mut Vec<T>) {
        *items = left;
    }
}

impl<T: 'static, P: Answers> Entry<T> for Called<T, P> {
    type Desk = Desk<P>;

    fn desk(late: &Arc<AtomicU64>) -> Desk<P> {
        Desk(Slots::new(Arc::clone(late)))
    }

    #[inline(always)]
    fn sent(item: T) -> Self {
        Self::new(item, Call::none())
    }

    #[inline(always)]
    fn into_item(self) -> T {
        self.item
    }

    fn taken_from(items: &mut Vec<T>) -> Vec<Self> {
        items.drain(..).map(Self::sent).collect()
    }

    fn put_back(left: Vec<Self>, items: &mut Vec<T>) {
        items.extend(left.into_iter().map(Self::into_item));
    }
}

impl<P: Answers> fmt::Debug for Desk<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Desk").field(&self.0).finish()
    }
}

impl<P: Answers> fmt::Debug for Calls<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl<P: Answers> fmt::Debug for Call<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("asked", &self.answerer.is_some())
            .finish_non_exhaustive()
    }
}

impl<T: fmt::Debug, P: Answers> fmt::Debug for Called<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called")
            .field("item", &self.item)
            .field("call", &self.call)
            .finish()
    }
}
