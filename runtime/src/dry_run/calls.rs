//! Calls of a dry run. A request is fed with the same [`Call`](crate::calls) as in a run with threads: it lies beside its item
//! where the item waits and where it was sent, is answered by the stage that answers, and by being dropped wherever the item
//! ends. Stages are called with bare items, so the engine lends the call to what comes of its item.

use std::{any::Any, time::Duration};

use super::{
    DryRun,
    assembly::DryAssembly,
    engine::{Engine, Node, Timed, When},
};
use crate::{
    call::{Item, open},
    call_slots::Asker,
    calls::{Answer, Answers, Call, CallError, Itself, replied},
    graph::Blueprint,
    intake::NEVER,
    stage::StageFn,
};

/// How long the clock of a dry run goes on for the sake of a call, in nanoseconds: a day.
const PATIENCE_NS: u64 = 86_400_000_000_000;

/// What a call gives.
type Replied<P> =
    Result<<P as Answers>::Reply, CallError<<P as Blueprint>::Input, <P as Answers>::Failure>>;

/// The call of an item, without the types of its answer. Dropping it answers.
pub(super) trait Token {
    /// The item is in this stage.
    fn enter(&mut self, stage: u16);
    /// The item is in no stage.
    fn leave(&mut self);
    /// The stage panicked.
    fn panicked(self: Box<Self>, stage: u16);
    /// With its types again.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<P: Answers> Token for Call<P> {
    fn enter(&mut self, stage: u16) {
        self.set_at(stage);
    }

    fn leave(&mut self) {
        self.set_left();
    }

    fn panicked(self: Box<Self>, stage: u16) {
        self.panic(stage);
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The call of an item, if it belongs to one.
pub(super) type MaybeCall = Option<Box<dyn Token>>;

/// Answers a call with what a stage sends; it comes back if stages read it, too.
pub(super) type AnswerFn = Box<dyn Fn(Box<dyn Any>, Item) -> Option<Item>>;

fn call_of<P: Answers>(call: Box<dyn Any>) -> Call<P> {
    call.downcast().map_or_else(|_| Call::none(), |call| *call)
}

impl<P: Answers> DryAssembly<P> {
    /// Calls come through the stage.
    pub fn passes(&mut self, id: u16) {
        self.part(id).passes = true;
    }

    /// The stage answers calls.
    pub fn answers<S: StageFn>(&mut self, id: u16, answer: fn(Call<P>, S::Out)) {
        self.part(id).answer = Some(Box::new(move |call, item| {
            answer(call_of(call), open(item));
            None
        }));
    }

    /// The stage answers calls, and stages read what it sends.
    pub fn answers_copied<S: StageFn>(&mut self, id: u16, answer: fn(Call<P>, S::Out) -> S::Out) {
        self.part(id).answer = Some(Box::new(move |call, item| {
            Some(Box::new(answer(call_of(call), open(item))))
        }));
    }

    /// Errors of the stage end calls.
    pub fn fails<S: StageFn>(&mut self, id: u16, fail: fn(Call<P>, S::Err)) {
        self.part(id).fail = Some(Box::new(move |call, error| {
            fail(call_of(call), open(error));
            None
        }));
    }

    /// Errors of the stage end calls, and stages read them.
    pub fn fails_copied<S: StageFn>(&mut self, id: u16, fail: fn(Call<P>, S::Err) -> S::Err) {
        self.part(id).fail = Some(Box::new(move |call, error| {
            Some(Box::new(fail(call_of(call), open(error))))
        }));
    }
}

impl<P: Blueprint> DryRun<'_, P> {
    /// Sends a request and runs until it is answered, as [`Running::call`](crate::Running::call) does. Where the request has to wait, for its
    /// batch to be full or for a guard, the clock goes on for as long as that takes, but at most for a day.
    ///
    /// `Same` is this pipeline, and never written.
    ///
    /// ```
    /// use pipewright::{CallError, pipeline};
    ///
    /// #[pipeline(reply = half)]
    /// mod halves {
    ///     #[stage(from = input)]
    ///     pub fn even(n: u64) -> Option<u64> {
    ///         n.is_multiple_of(2).then_some(n)
    ///     }
    ///
    ///     #[stage(from = even, batch = 8, linger = "1ms")]
    ///     pub fn half(numbers: &mut [u64]) {
    ///         numbers.iter_mut().for_each(|n| *n /= 2);
    ///     }
    /// }
    ///
    /// let mut run = halves::pipeline().dry_run(());
    /// assert_eq!(run.call(14), Ok(7));
    /// assert_eq!(run.elapsed(), std::time::Duration::from_millis(1));
    /// assert_eq!(run.call(13), Err(CallError::Filtered { stage: "even" }));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Running::call`](crate::Running::call).
    pub fn call<Same>(&mut self, request: P::Input) -> Replied<Same>
    where
        P: Itself<Same>,
        Same: Answers,
    {
        let request = P::request(request);
        P::dry_run(self).call_until(request, NEVER)
    }

    /// As [`call`](Self::call), for at most `timeout` by the clock of the run, as
    /// [`Running::call_within`](crate::Running::call_within) does.
    ///
    /// # Errors
    ///
    /// [`CallError::Deadline`] if the time is up; else as [`call`](Self::call).
    pub fn call_within<Same>(&mut self, request: P::Input, timeout: Duration) -> Replied<Same>
    where
        P: Itself<Same>,
        Same: Answers,
    {
        let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(NEVER);
        let until = self.engine.now.saturating_add(timeout);
        let request = P::request(request);
        P::dry_run(self).call_until(request, until)
    }

    /// Sends a request without running anything, so that several can be on their way together; [`DryCall::answer`] has its
    /// answer when the run has got there.
    ///
    /// # Errors
    ///
    /// As [`Running::try_call`](crate::Running::try_call).
    pub fn ask<Same>(
        &mut self,
        request: P::Input,
    ) -> Result<DryCall<Same>, CallError<Same::Input, Same::Failure>>
    where
        P: Itself<Same>,
        Same: Answers,
    {
        let request = P::request(request);
        P::dry_run(self).begin(request, NEVER)
    }
}

impl<P: Answers> DryRun<'_, P> {
    fn begin(
        &mut self,
        request: P::Input,
        until: u64,
    ) -> Result<DryCall<P>, CallError<P::Input, P::Failure>> {
        if self.engine.error.is_some() {
            return Err(CallError::ShutDown(Some(request)));
        }
        let (asker, call) = asked::<P>(self);
        let refused = self
            .engine
            .feed_input(Box::new(request), Some(Box::new(call)), until);
        let Some(refused) = refused else {
            return Ok(DryCall(asker));
        };
        let Timed { item, call, .. } = refused;
        // Nobody has worked on it: its end is no answer.
        drop(call);
        asker.discard();
        Err(CallError::Overloaded(Some(open(item))))
    }

    fn call_until(&mut self, request: P::Input, until: u64) -> Replied<P> {
        let mut call = self.begin(request, until)?;
        let last = until.min(self.engine.now.saturating_add(PATIENCE_NS));
        loop {
            self.engine.run();
            if let Some(answer) = call.answer() {
                return answer;
            }
            let due = self.engine.next_due();
            if self.engine.error.is_some() {
                return Err(CallError::ShutDown(None));
            }
            if due.is_none_or(|due| due >= last) {
                break;
            }
            self.engine.now = self.engine.now.max(due.unwrap_or(last));
        }
        self.engine.now = last;
        self.engine.run();
        let answer = call.answer();
        answer.unwrap_or(Err(CallError::Deadline(None)))
    }
}

/// The two ends of a call.
fn asked<P: Answers>(run: &DryRun<'_, P>) -> (Asker<Answer<P>>, Call<P>) {
    let (asker, answerer) = run.desk.0.ask();
    (asker, Call::of(answerer))
}

/// A call that was begun by [`DryRun::ask`]. Dropping it cancels the call.
#[must_use = "a call that is dropped is canceled"]
pub struct DryCall<P: Answers>(Asker<Answer<P>>);

impl<P: Answers> DryCall<P> {
    /// The answer, if there is one already. It is given once.
    pub fn answer(&mut self) -> Option<Replied<P>> {
        self.0.take().map(replied::<P>)
    }
}

impl<P: Answers> std::fmt::Debug for DryCall<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DryCall").finish_non_exhaustive()
    }
}

/// What a stage has sent leaves it, unless it answers a call.
pub(super) fn send<E>(node: &mut Node<'_, E>, item: Item, when: When, call: MaybeCall) {
    let (item, call) = match (&node.part.answer, call) {
        (Some(answer), Some(call)) => (answer(call.into_any(), item), None),
        (_, call) => (Some(item), call),
    };
    if let Some(item) = item {
        node.sent.push(Timed {
            item,
            when,
            kept: None,
            call,
        });
    }
}

/// The items of these calls are lost to a panic.
pub(super) fn panicked_in(stage: usize, calls: Vec<MaybeCall>) {
    for call in calls.into_iter().flatten() {
        call.panicked(stage as u16);
    }
}

impl<E> Engine<'_, E> {
    /// Errors that a stage has sent since there were `known` end their calls, if that is what they do.
    pub(super) fn fail_calls(&mut self, stage: usize, known: usize) {
        let node = &mut self.nodes[stage];
        let Some(fail) = &node.part.fail else { return };
        for mut error in node.failed.split_off(known.min(node.failed.len())) {
            let item = match error.call.take() {
                Some(call) => fail(call.into_any(), error.item),
                None => Some(error.item),
            };
            if let Some(item) = item {
                node.failed.push(Timed { item, ..error });
            }
        }
    }

    /// The next time at which something that waits may go on.
    pub(super) fn next_due(&self) -> Option<u64> {
        let nodes = self.nodes.iter().zip(&self.settings.stages);
        let due = nodes.filter_map(|(node, settings)| {
            let held = node.held.first();
            let full = held.map(|first| first.when.at.saturating_add(settings.linger));
            let guard = node.guard.as_ref().filter(|_| !node.queue.is_empty());
            let free = guard.and_then(|guard| guard.due);
            full.into_iter().chain(free).min()
        });
        due.filter(|due| *due > self.now).min()
    }
}
