//! Acknowledging: a source that can replay is told up to where everything is done.
//!
//! **What is promised.** A position is committed when every item before it was delivered to each sink that it was routed to, was
//! filtered, or left by a door (an `Err` that is read, or dropped by `on_error`). After a crash the source begins at the
//! last position that was committed: items may come twice, and none is missing.
//!
//! **How it is kept.** All carriers of a pull share its ticket, whatever links they take, also the parts of a keyed
//! stage, the pieces of a divided batch, and what waits at a gate; a loop calls its batch stages with what they hold before it lets
//! go of its batch. So when a ticket's last reference is given back, its items are done, and the batch is said to be done in the line of
//! its source (see [`crate::ack_ring`]). A worker that has the pipeline to itself has no tickets: it empties its batch stages after each round, and
//! then everything that it took is done.
//!
//! **What is lost is not committed.** Items are lost only where the run stops: a panic stops a run with an acknowledged source, whatever
//! stage it was in. The stop is announced before a lost item's ticket is given back, and nothing is said to be done
//! any more once it is announced. So a batch in which an item was lost, and all behind it, come again.
//!
//! **What is given back** (`on_open = nack`) is not committed either, and comes again in the same run: its batch is marked in the line
//! before its ticket is given back, and then the source is not asked. When all that is on its way has arrived, and no
//! breaker that gave something back turns items away any more, the source goes back to where everything is done
//! ([`Rewind`]), and gives what is behind that again. A source that has ended is kept until all is done. When the run closes,
//! no source goes back: what was given back comes with the next run.
//!
//! **Who commits.** One thread of the run, every 10 ms if something is done, and once more when the workers have ended. If a commit
//! fails the run stops.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{
    ack_ring::{AckRing, Standing},
    beside::Chore,
    error::RunError,
    shared::Shared,
    sync::Mutex,
};

/// Batches of a source that may be on their way, or wait for one that is, before the source is not asked any more.
pub(crate) const ROOM: usize = 1024;

/// How often is committed.
const EVERY: Duration = Duration::from_millis(10);

/// The state of a source with `acks`: it says where it is, and who keeps that.
///
/// ```
/// use std::{convert::Infallible, sync::{Arc, atomic::{AtomicU64, Ordering}}};
/// use pipewright::{Acknowledge, Commit, Emit, Flow, pipeline};
///
/// /// Numbers from where the last run ended.
/// pub struct Numbers {
///     next: u64,
///     kept: Arc<AtomicU64>,
/// }
///
/// pub struct Keeper(Arc<AtomicU64>);
///
/// impl Acknowledge for Numbers {
///     type Position = u64;
///     type Committer = Keeper;
///     type Error = Infallible;
///
///     fn committer(&mut self) -> Result<Keeper, Infallible> {
///         Ok(Keeper(Arc::clone(&self.kept)))
///     }
///
///     fn position(&self) -> u64 {
///         self.next
///     }
/// }
///
/// impl Commit<u64> for Keeper {
///     type Error = Infallible;
///
///     fn commit(&mut self, position: u64) -> Result<(), Infallible> {
///         self.0.store(position, Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// #[pipeline(env = Arc<AtomicU64>)]
/// mod counted {
///     use super::*;
///
///     fn resume(kept: &Arc<AtomicU64>) -> Numbers {
///         Numbers { next: kept.load(Ordering::Relaxed), kept: Arc::clone(kept) }
///     }
///
///     #[source(state = resume, acks)]
///     pub fn numbers(from: &mut Numbers, out: &mut Emit<u64>) -> Flow {
///         if from.next == 1000 {
///             return Flow::Done;
///         }
///         out.send(from.next);
///         from.next += 1;
///         Flow::More
///     }
///
///     #[sink(from = numbers)]
///     pub fn store(_n: u64) {}
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kept = Arc::new(AtomicU64::new(990));
/// counted::pipeline().start(Arc::clone(&kept))?.wait()?;
/// assert_eq!(kept.load(Ordering::Relaxed), 1000);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "the state of a source with `acks` says where it is, and `{Self}` does not",
    label = "does not implement `Acknowledge`",
    note = "implement `pipewright::Acknowledge` for it, or remove `acks`"
)]
pub trait Acknowledge {
    /// A place in what the source reads.
    type Position: Send + 'static;
    /// Who keeps positions. It is used by a thread of its own, while the source goes on.
    type Committer: Commit<Self::Position>;
    /// Why there is none.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Who keeps the positions of this source. Called once, before the source is asked for items.
    ///
    /// # Errors
    ///
    /// If there is none; the pipeline does not start then.
    fn committer(&mut self) -> Result<Self::Committer, Self::Error>;

    /// The place behind everything that was sent so far: where to begin if all of that is done. Called after each batch.
    fn position(&self) -> Self::Position;

    /// Must everything that was sent be done before more is asked for? A source says so while it looks for an item that ends
    /// the process. Default: no.
    fn is_careful(&self) -> bool {
        false
    }
}

/// The state of a source with `acks` that can go back within a run. A stage with `on_open = nack` behind it gives items back while its
/// breaker is open, and the source gives them again when that is over, with all that it gave after them.
///
/// ```
/// # use std::convert::Infallible;
/// # struct Keeper;
/// # impl pipewright::Commit<u64> for Keeper {
/// #     type Error = Infallible;
/// #     fn commit(&mut self, _: u64) -> Result<(), Infallible> { Ok(()) }
/// # }
/// # struct Numbers { next: u64 }
/// # impl pipewright::Acknowledge for Numbers {
/// #     type Position = u64;
/// #     type Committer = Keeper;
/// #     type Error = Infallible;
/// #     fn committer(&mut self) -> Result<Keeper, Infallible> { Ok(Keeper) }
/// #     fn position(&self) -> u64 { self.next }
/// # }
/// impl pipewright::Rewind for Numbers {
///     fn rewind(&mut self, position: u64) -> Result<(), Infallible> {
///         self.next = position;
///         Ok(())
///     }
/// }
/// # use pipewright::Rewind;
/// # let mut numbers = Numbers { next: 7 };
/// # assert!(numbers.rewind(3).is_ok() && numbers.next == 3);
/// ```
#[diagnostic::on_unimplemented(
    message = "a stage gives items back to this source (`on_open = nack`), and `{Self}` cannot give them again",
    label = "does not implement `Rewind`",
    note = "implement `pipewright::Rewind` for it, or write `on_open = hold`, which keeps the items until the breaker lets them through"
)]
pub trait Rewind: Acknowledge<Position: Clone> {
    /// Goes back to `position`, which is that of the beginning or one behind a batch that was given: what is given next is what came
    /// behind it. It may have said [`Flow::Done`](crate::Flow::Done) meanwhile, and is asked again.
    ///
    /// # Errors
    ///
    /// If it cannot; the run stops then, and the items come with the next one.
    fn rewind(&mut self, position: Self::Position) -> Result<(), Self::Error>;
}

/// Keeps the positions of a source.
pub trait Commit<P>: Send + 'static {
    /// Why a position could not be kept.
    type Error: fmt::Display;

    /// Keeps a position, durably: everything before it is done. Positions come in the order of the source, not each of
    /// them.
    ///
    /// # Errors
    ///
    /// If it could not be kept, or if what sinks have taken could not be made durable before; the run stops then.
    fn commit(&mut self, position: P) -> Result<(), Self::Error>;
}

/// The acknowledgements of a source, without their types.
pub(crate) trait Acks: Send + Sync {
    fn has_room(&self) -> bool;
    fn is_empty(&self) -> bool;
    fn done(&self, batch: u64);
    fn all_done(&self);
    /// Items of a batch were given back.
    fn give_back(&self, batch: u64);
    /// Where the batches are.
    fn standing(&self) -> Standing;
    /// Commits what may be.
    fn commit(&self) -> Result<(), String>;
}

impl dyn Acks {
    /// Has the source to give items again?
    pub(crate) fn has_some_back(&self) -> bool {
        matches!(self.standing(), Standing::Returned { .. })
    }
}

impl fmt::Debug for dyn Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acks")
    }
}

/// The acknowledgements of a source with positions of type `P`, kept by `C`.
pub(crate) struct Typed<P, C> {
    pub(crate) ring: AckRing<P>,
    committer: Mutex<C>,
    /// Copies a position, where the source goes back.
    copy: Option<fn(&P) -> P>,
}

impl<P, C> Typed<P, C> {
    pub(crate) fn new(committer: C) -> Self {
        Self {
            ring: AckRing::new(ROOM),
            committer: Mutex::new(committer),
            copy: None,
        }
    }

    /// Of a source that begins at `position`, and goes back.
    fn rewinding(committer: C, position: P, copy: fn(&P) -> P) -> Self {
        let this = Self {
            copy: Some(copy),
            ..Self::new(committer)
        };
        this.ring.begin(position);
        this
    }
}

impl<P: Send, C: Commit<P>> Acks for Typed<P, C> {
    fn has_room(&self) -> bool {
        self.ring.has_room()
    }

    fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    fn done(&self, batch: u64) {
        self.ring.done(batch);
    }

    fn all_done(&self) {
        self.ring.all_done();
    }

    fn give_back(&self, batch: u64) {
        self.ring.give_back(batch);
    }

    fn standing(&self) -> Standing {
        self.ring.standing()
    }

    fn commit(&self) -> Result<(), String> {
        // If a commit panicked, the run has failed, and this is not called again.
        let mut committer = self
            .committer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Taken under the lock, so that positions are committed in order.
        let position = match self.copy {
            None => self.ring.take(),
            Some(copy) => self.ring.take_copy(copy),
        };
        match position {
            Some(position) => committer
                .commit(position)
                .map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}

/// Commits for all sources; false if that failed, which stops the run.
pub(crate) fn commit(shared: &Shared) -> bool {
    for (at, source) in shared.sources.iter().enumerate() {
        let Some(acks) = source.acks() else { continue };
        let commit = std::panic::AssertUnwindSafe(|| acks.commit());
        let result = std::panic::catch_unwind(commit)
            .unwrap_or_else(|payload| Err(crate::drive::panic_message(payload)));
        if let Err(error) = result {
            shared.fail(RunError::Commit {
                name: shared.source_name(at),
                error,
            });
            return false;
        }
    }
    true
}

/// Commits while a run goes on, if there is a source to commit for.
pub(crate) fn chore(shared: &Shared) -> Option<Chore<'_>> {
    shared.has_acks.then(|| Chore {
        name: "commits",
        every: EVERY,
        look: Box::new(|| commit(shared)),
    })
}

/// Notes the position of a state behind a batch.
type Note<S> = Box<dyn Fn(&S, u64) + Send + Sync>;

/// The acknowledgements of a source whose state is `S`.
pub struct Acked<S> {
    pub(crate) acks: Arc<dyn Acks>,
    pub(crate) note: Note<S>,
    is_careful: fn(&S) -> bool,
    back: Option<Back<S>>,
}

/// Lets a state go back to where everything is done.
type Back<S> = Box<dyn Fn(&mut S) -> Result<(), Failure> + Send + Sync>;

/// Why something cannot be done.
type Failure = Box<dyn Error + Send + Sync>;

impl<S> Acked<S> {
    /// May the source be asked, and for how many items of the `limit`? 0 if not.
    pub(crate) fn allows(&self, state: &S, limit: u64) -> u64 {
        match (self.is_careful)(state) {
            true => u64::from(self.acks.is_empty()),
            false if self.acks.has_room() => limit,
            false => 0,
        }
    }

    /// Lets the state go back, if it does that.
    pub(crate) fn back(&self) -> Option<&Back<S>> {
        self.back.as_ref()
    }
}

/// How the acknowledgements of a source are made; generated code says it where the type of its state is written.
pub type Acknowledged<S> = fn(&mut S) -> Result<Acked<S>, Box<dyn Error + Send + Sync>>;

/// The acknowledgements of a source with this state.
///
/// # Errors
///
/// If there is nobody who keeps positions.
pub fn acknowledged<S: Acknowledge>(
    state: &mut S,
) -> Result<Acked<S>, Box<dyn Error + Send + Sync>> {
    let committer = state.committer().map_err(Into::into)?;
    Ok(acked(Arc::new(Typed::new(committer)), None))
}

/// As [`acknowledged`], where items may be given back.
///
/// # Errors
///
/// If there is nobody who keeps positions.
pub fn acknowledged_and_rewound<S: Rewind>(
    state: &mut S,
) -> Result<Acked<S>, Box<dyn Error + Send + Sync>> {
    let committer = state.committer().map_err(Into::into)?;
    let (position, copy) = (state.position(), Clone::clone as fn(&S::Position) -> _);
    let acks = Arc::new(Typed::rewinding(committer, position, copy));
    let line = Arc::clone(&acks);
    let back = move |state: &mut S| match line.ring.go_back(copy) {
        Some(position) => state.rewind(position).map_err(Into::into),
        None => Ok(()),
    };
    Ok(acked(acks, Some(Box::new(back))))
}

fn acked<S: Acknowledge>(
    acks: Arc<Typed<S::Position, S::Committer>>,
    back: Option<Back<S>>,
) -> Acked<S> {
    let line = Arc::clone(&acks);
    Acked {
        acks,
        is_careful: S::is_careful,
        note: Box::new(move |state, batch| line.ring.push(batch, state.position())),
        back,
    }
}

impl<S> fmt::Debug for Acked<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acked")
    }
}
