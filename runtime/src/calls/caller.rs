//! Calling: a request is pushed with one end of a slot, and the caller waits at the other.

use std::{fmt, sync::Arc, time::Duration};

use pipewright_spec::options::Priority;

use super::{Answer, Answers, Call, CallError, Called, Desk, Refusal};
use crate::{
    call_slots::{Asker, Slots},
    dry_run::DryRun,
    graph::Blueprint,
    lane::Lane,
    running::Running,
    source::Ingress,
    sync::Instant,
};

/// What a call gives.
type Replied<P> = Result<<P as Answers>::Reply, Refused<P>>;

/// Why there is none.
type Refused<P> = CallError<<P as Blueprint>::Input, <P as Answers>::Failure>;

/// A pipeline, by another name: `Same` is `Self`.
///
/// A method whose result has a type of a trait that `Self` has not is not found, and the compiler tells that in its own words. One
/// whose result has a type of `Same` is found, and then the trait says what is missing: see [`Answers`].
pub trait Itself<Same: Blueprint>: Blueprint {
    /// The run, unchanged.
    fn run(run: &Running<Self>) -> &Running<Same>;
    /// The dry run, unchanged.
    fn dry_run<'r, 's>(run: &'r mut DryRun<'s, Self>) -> &'r mut DryRun<'s, Same>;
    /// The request, unchanged.
    fn request(request: Self::Input) -> Same::Input;
}

impl<P: Blueprint> Itself<P> for P {
    #[inline(always)]
    fn run(run: &Running<P>) -> &Running<P> {
        run
    }

    fn dry_run<'r, 's>(run: &'r mut DryRun<'s, P>) -> &'r mut DryRun<'s, P> {
        run
    }

    #[inline(always)]
    fn request(request: P::Input) -> P::Input {
        request
    }
}

/// A handle that calls a running pipeline, for other threads and tasks; clones call the same one. Made by
/// [`Running::caller`].
///
/// When the run is over, every call is refused.
pub struct Caller<P: Answers> {
    input: Arc<Ingress<P::Queued>>,
    desk: Desk<P>,
    lane: Lane,
}

/// Where calls go.
struct Counter<'c, P: Answers> {
    input: &'c Ingress<P::Queued>,
    slots: &'c Arc<Slots<Answer<P>>>,
    lane: Lane,
}

/// How long a request waits for room.
#[derive(Clone, Copy)]
enum Room {
    Now,
    Until(Option<Instant>),
}

impl<P: Blueprint> Running<P> {
    /// Sends a request, waiting while the input is full, and waits for its answer: what the stage returns that `reply` names.
    ///
    /// `Same` is this pipeline, and never written.
    ///
    /// It waits as long as that takes, so it must not be called by a stage of the same pipeline: its worker would wait for
    /// itself.
    ///
    /// # Errors
    ///
    /// If the request ends before it is answered, or the pipeline takes no more; see [`CallError`].
    pub fn call<Same>(&self, request: P::Input) -> Replied<Same>
    where
        P: Itself<Same>,
        Same: Answers,
    {
        let request = P::request(request);
        P::run(self).calls().call(request, Room::Until(None))
    }

    /// As [`call`](Self::call), if there is room for the request at once.
    ///
    /// # Errors
    ///
    /// Gives the request back in [`CallError::Overloaded`] if the input is full; else as [`call`](Self::call).
    pub fn try_call<Same>(&self, request: P::Input) -> Replied<Same>
    where
        P: Itself<Same>,
        Same: Answers,
    {
        let request = P::request(request);
        P::run(self).calls().call(request, Room::Now)
    }

    /// As [`call`](Self::call), waiting at most `timeout` for room and for the answer together. An answer that comes later is
    /// thrown away, and counted by [`Metrics::late_answers`](crate::Metrics::late_answers).
    ///
    /// # Errors
    ///
    /// [`CallError::Deadline`] if the time is up; else as [`call`](Self::call).
    pub fn call_within<Same>(&self, request: P::Input, timeout: Duration) -> Replied<Same>
    where
        P: Itself<Same>,
        Same: Answers,
    {
        let request = P::request(request);
        P::run(self).calls().call(request, until(timeout))
    }

    /// As [`try_call`](Self::try_call), for tasks: the request is sent now, and the future is ready when there is an answer.
    /// It needs no runtime of its own, and works in any.
    ///
    /// A future that is dropped cancels its call: the answer is thrown away. So a time limit is that of the executor, such as
    /// `tokio::time::timeout(limit, run.call_async(request))`.
    ///
    /// # Errors
    ///
    /// As [`try_call`](Self::try_call): a full input refuses, because a task cannot wait for room.
    #[cfg(feature = "async")]
    pub fn call_async(&self, request: P::Input) -> Calling<'_, P>
    where
        P: Answers,
    {
        self.calls().begin(request)
    }

    /// A handle for other threads and tasks to call with.
    pub fn caller(&self) -> Caller<P>
    where
        P: Answers,
    {
        Caller {
            input: Arc::clone(self.ingress()),
            desk: self.desk().clone(),
            lane: Lane::NORMAL,
        }
    }

    fn calls(&self) -> Counter<'_, P>
    where
        P: Answers,
    {
        Counter {
            input: self.ingress(),
            slots: &self.desk().0,
            lane: Lane::NORMAL,
        }
    }
}

impl<P: Answers> Caller<P> {
    /// A handle whose requests go in a lane, as what [`Running::send_at`] sends; without, they go in that of
    /// [`Priority::Normal`].
    ///
    /// ```
    /// use pipewright::{Priority, pipeline};
    ///
    /// #[pipeline(reply = double)]
    /// mod numbers {
    ///     #[stage(from = input)]
    ///     pub fn double(n: u64) -> u64 {
    ///         n * 2
    ///     }
    /// }
    ///
    /// let run = numbers::pipeline().start(())?;
    /// let urgent = run.caller().at(Priority::Critical);
    /// assert_eq!(urgent.call(21)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn at(&self, priority: Priority) -> Self {
        Self {
            lane: Lane::of(priority),
            ..self.clone()
        }
    }

    /// Sends a request and waits for its answer, as [`Running::call`].
    ///
    /// # Errors
    ///
    /// As [`Running::call`].
    pub fn call(&self, request: P::Input) -> Replied<P> {
        self.desk().call(request, Room::Until(None))
    }

    /// As [`call`](Self::call), if there is room for the request at once, as [`Running::try_call`].
    ///
    /// # Errors
    ///
    /// As [`Running::try_call`].
    pub fn try_call(&self, request: P::Input) -> Replied<P> {
        self.desk().call(request, Room::Now)
    }

    /// As [`call`](Self::call), waiting at most `timeout`, as [`Running::call_within`].
    ///
    /// # Errors
    ///
    /// As [`Running::call_within`].
    pub fn call_within(&self, request: P::Input, timeout: Duration) -> Replied<P> {
        self.desk().call(request, until(timeout))
    }

    /// As [`try_call`](Self::try_call), for tasks, as [`Running::call_async`].
    ///
    /// # Errors
    ///
    /// As [`Running::call_async`].
    #[cfg(feature = "async")]
    pub fn call_async(&self, request: P::Input) -> Calling<'_, P> {
        self.desk().begin(request)
    }

    fn desk(&self) -> Counter<'_, P> {
        Counter {
            input: &self.input,
            slots: &self.desk.0,
            lane: self.lane,
        }
    }
}

impl<P: Answers> Counter<'_, P> {
    fn call(&self, request: P::Input, room: Room) -> Replied<P> {
        let mut asker = self.ask(request, room)?;
        let until = match room {
            Room::Now => None,
            Room::Until(until) => until,
        };
        match asker.wait(self.slots, until) {
            Some(answer) => replied::<P>(answer),
            // Dropping the asker cancels.
            None => Err(CallError::Deadline(None)),
        }
    }

    /// Sends the request.
    fn ask(&self, request: P::Input, room: Room) -> Result<Asker<Answer<P>>, Refused<P>> {
        let (asker, answerer) = self.slots.ask();
        let called = Called::new(request, Call::of(answerer));
        let sent = match room {
            Room::Now => self.input.send_now(self.lane, called),
            Room::Until(until) => {
                let how = self.input.until(self.lane, until);
                self.input.send(how, called, until)
            }
        };
        let refused = match sent {
            Ok(()) => return Ok(asker),
            Err(refused) => refused,
        };
        let closed = !refused.is_full();
        let Called { item, call } = refused.into_inner();
        // Nobody has worked on it: its end is no answer, and not a late one.
        drop(call);
        asker.discard();
        Err(match room {
            _ if closed => CallError::ShutDown(Some(item)),
            Room::Until(_) if self.input.waits() => CallError::Deadline(Some(item)),
            Room::Now | Room::Until(_) => CallError::Overloaded(Some(item)),
        })
    }
}

#[cfg(feature = "async")]
impl<'c, P: Answers> Counter<'c, P> {
    fn begin(&self, request: P::Input) -> Calling<'c, P> {
        // Its future may be dropped.
        self.input.may_be_left();
        let state = match self.ask(request, Room::Now) {
            Ok(asker) => State::Asked(asker),
            Err(error) => State::Refused(error),
        };
        Calling {
            state,
            pipeline: std::marker::PhantomData,
        }
    }
}

fn until(timeout: Duration) -> Room {
    Room::Until(Instant::now().checked_add(timeout))
}

/// An answer, with the names of stages.
pub(crate) fn replied<P: Answers>(answer: Answer<P>) -> Replied<P> {
    let name = |stage: u16| {
        let stage = P::TOPOLOGY.stages.get(usize::from(stage));
        stage.map_or("input", |stage| stage.name)
    };
    answer.map_err(|refusal| match refusal {
        Refusal::Filtered(stage) => CallError::Filtered { stage: name(stage) },
        Refusal::Failed(stage, error) => CallError::Failed {
            stage: name(stage),
            error,
        },
        Refusal::Panicked(stage) => CallError::Panicked { stage: name(stage) },
        Refusal::Expired => CallError::Deadline(None),
        Refusal::BreakerOpen => CallError::BreakerOpen,
        Refusal::Overloaded => CallError::Overloaded(None),
        Refusal::ShutDown => CallError::ShutDown(None),
    })
}

/// A call that was begun by [`Running::call_async`]: a future of its answer. Dropping it cancels the call.
#[cfg(feature = "async")]
#[must_use = "a future that is dropped cancels its call"]
pub struct Calling<'c, P: Answers> {
    state: State<P>,
    pipeline: std::marker::PhantomData<&'c Caller<P>>,
}

#[cfg(feature = "async")]
enum State<P: Answers> {
    Asked(Asker<Answer<P>>),
    Refused(Refused<P>),
    Over,
}

#[cfg(feature = "async")]
impl<P: Answers> Future for Calling<'_, P> {
    type Output = Replied<P>;

    /// Polled again after its answer, it is never ready.
    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Replied<P>> {
        let ready = match &mut self.state {
            State::Asked(asker) => match asker.poll(cx) {
                std::task::Poll::Ready(answer) => replied::<P>(answer),
                std::task::Poll::Pending => return std::task::Poll::Pending,
            },
            State::Refused(_) | State::Over => {
                match std::mem::replace(&mut self.state, State::Over) {
                    State::Refused(error) => Err(error),
                    _ => return std::task::Poll::Pending,
                }
            }
        };
        self.state = State::Over;
        std::task::Poll::Ready(ready)
    }
}

// What it holds does not care where it lies.
#[cfg(feature = "async")]
impl<P: Answers> Unpin for Calling<'_, P> {}

impl<P: Answers> Clone for Caller<P> {
    fn clone(&self) -> Self {
        Self {
            input: Arc::clone(&self.input),
            desk: self.desk.clone(),
            lane: self.lane,
        }
    }
}

impl<P: Answers> fmt::Debug for Caller<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "async")]
impl<P: Answers> fmt::Debug for Calling<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Asked(_) => "Calling(waits)",
            State::Refused(_) => "Calling(refused)",
            State::Over => "Calling(over)",
        })
    }
}
