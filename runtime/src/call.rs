//! One call of a stage by itself, and where what it sends goes: what dry runs are made of.
//!
//! A running pipeline nests its stages in one loop and has no use for this. A dry run calls them one by one and sees what
//! each of them sends.

use std::{
    any::Any,
    fmt,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{batch::Batch, emit::Emit, stage::StageFn};

/// A stage or sink that is called with one item. Implemented by the attributes.
pub trait Call: StageFn {
    /// Calls it; what it sends goes to `out`.
    fn call(
        item: Self::In,
        state: &mut Self::State,
        env: &Self::Env,
        out: &mut Outlet<Self::Out, Self::Err>,
    );
}

/// A stage or sink that is called with a batch. Implemented by the attributes.
pub trait CallBatch: StageFn {
    /// Calls it; what it sends goes to `out`.
    fn call(
        items: &mut Batch<Self::In>,
        state: &mut Self::State,
        env: &Self::Env,
        out: &mut Outlet<Self::Out, Self::Err>,
    );
}

/// Where a stage's items and errors go, in a dry run.
///
/// A closure that stands for a stage is given one: see [`DryRun::stub_with`](crate::DryRun::stub_with).
pub struct Outlet<T, E> {
    sent: Vec<T>,
    /// With the place of the item that failed among those of the call.
    failed: Vec<(usize, E)>,
    /// The place of the item whose results come.
    at: usize,
    took: u64,
    /// What a call sends by an `Emit`: it counts when the call returns and has not failed.
    emit: Emit<T>,
    /// How long a future may take, by the clock on the wall.
    patience: Duration,
    /// Did one take longer?
    late: bool,
}

/// How long a future without `timeout` may take in a dry run: 10 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl<T, E> Outlet<T, E> {
    pub(crate) const fn new() -> Self {
        Self {
            sent: Vec::new(),
            failed: Vec::new(),
            at: 0,
            took: 0,
            emit: Emit::new(),
            patience: PATIENCE,
            late: false,
        }
    }

    /// Futures may take so long.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Did a future take longer since this was asked last?
    pub(crate) fn take_late(&mut self) -> bool {
        std::mem::take(&mut self.late)
    }

    /// Sends an item by the main door.
    pub fn send(&mut self, item: T) {
        self.sent.push(item);
    }

    /// Lets the item fail: sends an error by the `Err` door.
    pub fn fail(&mut self, error: E) {
        // A call that fails has sent nothing.
        self.emit.clear();
        self.failed.push((self.at, error));
    }

    /// What comes next is about the item at this place of the batch.
    #[doc(hidden)]
    pub fn is_of(&mut self, place: usize) {
        self.at = place;
    }

    /// A sink took its item.
    #[doc(hidden)]
    pub fn took(&mut self) {
        self.took += 1;
    }

    /// A sink took so many items.
    #[doc(hidden)]
    pub fn took_many(&mut self, items: usize) {
        self.took += items as u64;
    }

    /// For a stage with an `Emit`.
    #[doc(hidden)]
    pub fn emit(&mut self) -> &mut Emit<T> {
        &mut self.emit
    }

    /// Has nothing come since it was emptied?
    pub(crate) fn is_untouched(&self) -> bool {
        self.sent.is_empty() && self.failed.is_empty() && self.took == 0 && self.emit.is_empty()
    }

    /// Takes out what came: items, errors, and how many items a sink took. Of a call that panicked, what it had put into
    /// its `Emit` is gone.
    pub(crate) fn empty(&mut self, panicked: bool) -> (Vec<T>, Vec<(usize, E)>, u64) {
        self.at = 0;
        if panicked {
            self.emit.clear();
        }
        self.sent.append(self.emit.items());
        (
            std::mem::take(&mut self.sent),
            std::mem::take(&mut self.failed),
            std::mem::take(&mut self.took),
        )
    }
}

impl<T, E> fmt::Debug for Outlet<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("sent", &self.sent.len())
            .field("failed", &self.failed.len())
            .finish_non_exhaustive()
    }
}

/// Waits on this thread until a future has ended; `None`, which `out` remembers, if it takes too long.
pub fn finished<F: Future, T, E>(future: F, out: &mut Outlet<T, E>) -> Option<F::Output> {
    let mut future = pin!(future);
    let unpark = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut context, begun) = (Context::from_waker(&unpark), Instant::now());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = out.patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            out.late = true;
            return None;
        }
        thread::park_timeout(left);
    }
}

/// Wakes the thread that waits in [`finished`].
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An item without its type.
pub(crate) type Item = Box<dyn Any>;

/// Makes a copy of an item without its type.
pub(crate) type CopyFn = Box<dyn Fn(&dyn Any) -> Item>;

/// An item that leaves by the door of a variant.
pub struct Routed {
    pub(crate) door: &'static str,
    pub(crate) item: Item,
    /// For a door with several readers.
    pub(crate) copy: Option<CopyFn>,
}

/// What the variant `door` holds.
pub fn routed<T: 'static>(door: &'static str, item: T) -> Routed {
    Routed {
        door,
        item: Box::new(item),
        copy: None,
    }
}

/// What the variant `door` holds, where the door has several readers.
pub fn routed_copied<T: 'static>(door: &'static str, item: T, copy: fn(&T) -> T) -> Routed {
    Routed {
        copy: Some(copier(copy)),
        ..routed(door, item)
    }
}

/// Copies items of type `T`.
pub(crate) fn copier<T: 'static>(copy: fn(&T) -> T) -> CopyFn {
    Box::new(move |item| match item.downcast_ref() {
        Some(item) => Box::new(copy(item)),
        None => wrong_type(),
    })
}

/// Gives an item its type again.
pub(crate) fn open<T: 'static>(item: Item) -> T {
    match item.downcast() {
        Ok(item) => *item,
        Err(_) => wrong_type(),
    }
}

/// Generated code mentions every link with its types, so this does not compile in the first place.
#[cold]
pub(crate) fn wrong_type() -> ! {
    unreachable!("a link handed on an item of another type")
}

/// The environment of a stage that takes none.
pub fn no_env<E: ?Sized>(_: &E) -> &() {
    &()
}

impl fmt::Debug for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed")
            .field("door", &self.door)
            .finish_non_exhaustive()
    }
}
