//! A forked job: a record in the frame of the call to `join` that forked it.

use std::{
    any::Any,
    mem::MaybeUninit,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, thread,
};

use crate::sync::{AtomicU32, UnsafeCell};

/// It lies in a slot, or it was taken and its taker has not said yet who that is.
pub(super) const OFFERED: u32 = 0;
/// Its result is there.
pub(super) const DONE: u32 = 1;
/// From here on: the number of the worker that runs it.
pub(super) const TAKEN: u32 = 2;

/// What lists and slots know of a job; the rest depends on types.
#[derive(Debug)]
pub(super) struct Link {
    /// What became of it since it was offered.
    pub(super) state: AtomicU32,
    run: unsafe fn(*const Link),
}

/// A job with its work and the place for its result.
#[repr(C)]
pub(super) struct Job<B, R> {
    link: Link,
    work: UnsafeCell<MaybeUninit<B>>,
    result: UnsafeCell<MaybeUninit<thread::Result<R>>>,
}

impl<B: FnOnce() -> R + Send, R: Send> Job<B, R> {
    pub(super) fn new(work: B) -> Self {
        Self {
            link: Link {
                state: AtomicU32::new(OFFERED),
                run: run::<B, R>,
            },
            work: UnsafeCell::new(MaybeUninit::new(work)),
            result: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The pointer by which it is known. It may be used for the whole job, as [`run`] does.
    pub(super) fn link(&self) -> *const Link {
        ptr::from_ref(self).cast()
    }

    /// Takes the work out.
    ///
    /// # Safety
    ///
    /// Once, by whoever has the job: its thread while it is in its list or when it got it back, else the one that took it.
    pub(super) unsafe fn work(&self) -> B {
        self.work.with_mut(|work| {
            // SAFETY: nobody else is here, as the caller promises.
            let work = unsafe { &*work };
            // SAFETY: it was there from the beginning, and is taken out once, as the caller promises.
            unsafe { work.assume_init_read() }
        })
    }

    /// Takes the result out.
    ///
    /// # Safety
    ///
    /// Once, by the job's thread, after it has seen [`DONE`].
    pub(super) unsafe fn result(&self) -> Result<R, Box<dyn Any + Send>> {
        self.result.with_mut(|result| {
            // SAFETY: after `DONE` nobody else is here.
            let result = unsafe { &*result };
            // SAFETY: `run` wrote it before `DONE`, which the caller has seen, and it is taken out once.
            unsafe { result.assume_init_read() }
        })
    }
}

impl Link {
    /// Runs the job and leaves its result in it. The caller says [`DONE`] afterwards.
    ///
    /// # Safety
    ///
    /// Once, by the one that took `job` from a slot.
    pub(super) unsafe fn run(job: *const Self) {
        // SAFETY: its thread waits for `DONE` before its frame goes.
        let run = unsafe { (*job).run };
        // SAFETY: as the caller promises; `run` was made for the type of this job.
        unsafe { run(job) };
    }
}

/// # Safety
///
/// As [`Link::run`], for the link of a `Job<B, R>`.
unsafe fn run<B: FnOnce() -> R + Send, R: Send>(job: *const Link) {
    // SAFETY: the pointer was made from the whole job, in which the link comes first, and the job stays until `DONE`.
    let job = unsafe { &*job.cast::<Job<B, R>>() };
    // SAFETY: the caller took the job, and runs it once.
    let work = unsafe { job.work() };
    // The panic goes on in the job's thread, so nobody goes on with what it left half done.
    let result = catch_unwind(AssertUnwindSafe(work));
    job.result.with_mut(|place| {
        // SAFETY: its thread reads it after `DONE`, and nobody else knows the place.
        unsafe { (*place).write(result) };
    });
}
