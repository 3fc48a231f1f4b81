//! Pools of objects.

use std::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::Arc,
};

use super::{
    BuildError, ObjectStats, PoolError,
    depot::{DepotRef, MOST_BLOCKS, Shape},
    pool::magazine,
    rack::Round,
    thread,
};

/// Objects that are made once and used again, in place.
///
/// All are made when the pool is built. [`Objects::take`] hands one out as its last user left it; with a `reset`, that is
/// called when it is given back, on the thread that does it. Objects are never moved. They are dropped with the pool: when
/// its last handle and its last object are gone (see the [module](super) for when that is). If dropping one panics, the panic
/// hook tells and the others are dropped; it goes no further, because the last one may be given back by any thread.
///
/// ```
/// use pipewright::memory::Objects;
///
/// let lines = Objects::with_reset(100, || String::with_capacity(1024), String::clear)?;
/// let mut line = lines.take()?;
/// line.push_str("no allocation");
/// drop(line);
/// assert!(lines.take()?.is_empty());
/// assert_eq!(lines.stats().in_use, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Objects<T: Send> {
    shared: Arc<Shared>,
    reset: Option<fn(&mut T)>,
}

#[derive(Debug)]
struct Shared(DepotRef);

/// An object and its cache lines, which it shares with no other.
#[repr(align(64))]
struct Place<T>(UnsafeCell<T>);

/// The objects; only dropped as such.
struct Places<T>(#[expect(dead_code, reason = "used through pointers")] Vec<Place<T>>);

// SAFETY: the objects are reached through handles, of which there is one for each; here they are only dropped.
unsafe impl<T: Send> Sync for Places<T> {}

impl<T: Send + 'static> Objects<T> {
    /// A pool of so many objects, made one after the other.
    ///
    /// # Errors
    ///
    /// [`BuildError::Empty`] if there are none, [`BuildError::TooMany`] if there are more than 2 Gi.
    ///
    /// # Panics
    ///
    /// If `make` does.
    pub fn new(count: usize, make: impl FnMut() -> T) -> Result<Self, BuildError> {
        Self::build(count, make, None)
    }

    /// The same, with what is done to an object whenever it is given back. If it panics, the object goes back as it is and
    /// the panic goes on.
    ///
    /// # Errors
    ///
    /// As of [`Objects::new`].
    ///
    /// # Panics
    ///
    /// If `make` does.
    pub fn with_reset(
        count: usize,
        make: impl FnMut() -> T,
        reset: fn(&mut T),
    ) -> Result<Self, BuildError> {
        Self::build(count, make, Some(reset))
    }

    fn build(
        count: usize,
        mut make: impl FnMut() -> T,
        reset: Option<fn(&mut T)>,
    ) -> Result<Self, BuildError> {
        if count == 0 {
            return Err(BuildError::Empty);
        }
        let most = MOST_BLOCKS;
        if count > most {
            return Err(BuildError::TooMany { count, most });
        }
        let place = |_| Place(UnsafeCell::new(make()));
        let mut places: Vec<Place<T>> = (0..count).map(place).collect();
        let start = NonNull::from(places.as_mut_slice()).cast::<Place<T>>();
        let shape = Shape {
            size: size_of::<T>(),
            rounds: magazine(count),
            way: thread::next_way(),
        };
        // SAFETY: `at` is less than the number of places.
        let objects = (0..count).map(|at| unsafe { start.add(at) }.cast());
        let depot = DepotRef::new(shape, objects, Box::new(Places(places)));
        Ok(Self {
            shared: Arc::new(Shared(depot)),
            reset,
        })
    }
}

impl<T: Send> Objects<T> {
    /// An object that nobody uses. O(1).
    ///
    /// # Errors
    ///
    /// [`PoolError::NoObject`] if there is none left.
    #[inline]
    pub fn take(&self) -> Result<Object<T>, PoolError> {
        match thread::take(&self.shared.0) {
            Some(round) => Ok(Object {
                round: Return(ManuallyDrop::new(round)),
                reset: self.reset,
                object: PhantomData,
            }),
            None => Err(self.exhausted()),
        }
    }

    /// Gives back the objects that lie free in this thread's magazines, so that other threads can have them.
    pub fn flush(&self) {
        thread::flush(&self.shared.0);
    }

    /// What was counted until now.
    pub fn stats(&self) -> ObjectStats {
        ObjectStats::of(&self.shared.0)
    }

    #[cold]
    fn exhausted(&self) -> PoolError {
        PoolError::NoObject {
            capacity: self.shared.0.capacity(),
        }
    }
}

impl<T: Send> Clone for Objects<T> {
    /// Another handle on the same pool.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            reset: self.reset,
        }
    }
}

impl<T: Send> fmt::Debug for Objects<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.close();
        thread::leave(&self.0);
    }
}

/// An object of a pool of [`Objects`], given back when this is dropped: on any thread, in O(1), without a lock.
pub struct Object<T: Send> {
    round: Return,
    reset: Option<fn(&mut T)>,
    object: PhantomData<T>,
}

impl<T: Send> Deref for Object<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the block is a place of the pool, with an object in it, and this handle's alone.
        unsafe { self.round.0.block().cast::<T>().as_ref() }
    }
}

impl<T: Send> DerefMut for Object<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.round.0.block().cast::<T>().as_mut() }
    }
}

/// Gives the object back. A field of its own, because fields are dropped even if `reset` panics.
struct Return(ManuallyDrop<Round>);

impl Drop for Return {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `drop` runs once, and nothing uses this after it.
        thread::give(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

impl<T: Send> Drop for Object<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(reset) = self.reset {
            reset(self);
        }
    }
}

impl<T: Send + fmt::Debug> fmt::Debug for Object<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Send + fmt::Display> fmt::Display for Object<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
