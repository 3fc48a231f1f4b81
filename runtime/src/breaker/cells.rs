//! Calls that passed and are not counted in the window yet, by thread.
//!
//! A breaker has a cell for each of up to 64 threads at a time; a thread has the same number in all of them while it lives. Only
//! the thread of a cell writes to it, so a call that passes costs a plain load and store of a line that nobody else wants.
//! A cell is granted some calls before it has to be folded into the window, which reads the clock: few where calls are rare, so
//! that what is not folded is never old, and up to [`MOST`] where they are not. Where calls have become rare since the last fold,
//! those that passed are taken to be spread over the time since, and only those of the window count in it.
//!
//! What a cell holds belongs to the control word that it names. When another thread has changed the state meanwhile, the
//! words differ and the calls are late.

use std::cell::Cell as Own;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Threads that have a cell.
pub(super) const CELLS: usize = 64;
/// The most calls between two folds.
pub(super) const MOST: u32 = 256;
/// No control word.
const NONE: u64 = u64::MAX;

/// What one thread has not folded yet.
#[derive(Debug)]
pub(super) struct Cell {
    word: AtomicU64,
    /// Calls that may pass until it is folded, this one included.
    left: AtomicU32,
    granted: AtomicU32,
    /// When it was folded.
    folded: AtomicU64,
}

/// The cells of one breaker.
#[derive(Debug)]
pub(super) struct Cells(Box<[CachePadded<Cell>; CELLS]>);

impl Cells {
    pub(super) fn new() -> Self {
        let cell = |_| {
            CachePadded::new(Cell {
                word: AtomicU64::new(NONE),
                left: AtomicU32::new(0),
                granted: AtomicU32::new(0),
                folded: AtomicU64::new(0),
            })
        };
        Self(Box::new(std::array::from_fn(cell)))
    }

    /// The cell of this thread; `None` if more threads than there are cells live.
    #[inline]
    pub(super) fn own(&self) -> Option<&Cell> {
        self.0.get(own_number()).map(|cell| &**cell)
    }

    /// Calls of all threads that passed under this control word in a window that ends now, and are not folded.
    pub(super) fn pending(&self, word: u64, now: u64, window: u64) -> u64 {
        let cells = self.0.iter().filter(|cell| cell.is_of(word));
        cells.map(|cell| cell.passed_within(now, window)).sum()
    }

    /// Calls of all threads that passed under other control words than this one, and are not folded: they are late, and their
    /// threads have not come back to find that out.
    pub(super) fn outdated(&self, word: u64) -> u64 {
        let cells = self.0.iter().filter(|cell| !cell.is_of(word));
        cells.map(|cell| cell.passed()).sum()
    }
}

impl Cell {
    /// Do calls under this control word count here?
    #[inline]
    pub(super) fn is_of(&self, word: u64) -> bool {
        self.word.load(Ordering::Relaxed) == word
    }

    /// A call passed; false if the cell is to be folded now.
    #[inline]
    pub(super) fn pass(&self) -> bool {
        // Relaxed: only this thread writes.
        let left = self.left.load(Ordering::Relaxed).saturating_sub(1);
        self.left.store(left, Ordering::Relaxed);
        left > 0
    }

    fn passed(&self) -> u64 {
        let granted = self.granted.load(Ordering::Relaxed);
        u64::from(granted.saturating_sub(self.left.load(Ordering::Relaxed)))
    }

    /// Of those that passed, how many did so in a window that ends now, if they are spread evenly since the last fold.
    pub(super) fn passed_within(&self, now: u64, window: u64) -> u64 {
        let since = now.saturating_sub(self.folded.load(Ordering::Relaxed));
        match since > window {
            true => (u128::from(self.passed()) * u128::from(window) / u128::from(since)) as u64,
            false => self.passed(),
        }
    }

    /// Takes what passed, and under which control word. From here on it counts calls under `word`, if any, and is granted more
    /// of them if it was full sooner than in `period`, else fewer.
    pub(super) fn fold(&self, word: Option<u64>, now: u64, period: u64, most: u32) -> (u64, u64) {
        let word = word.unwrap_or(NONE);
        let (passed, before) = (self.passed(), self.word.load(Ordering::Relaxed));
        let soon = now.saturating_sub(self.folded.load(Ordering::Relaxed)) < period;
        let granted = self.granted.load(Ordering::Relaxed);
        let granted = match (before == word, soon) {
            (true, true) => (granted * 2).clamp(1, most),
            (true, false) => (granted / 2).max(1),
            (false, _) => 1,
        };
        // Emptied before it is another word's, so that nobody who looks takes it for calls of that word.
        self.left.store(granted, Ordering::Relaxed);
        self.granted.store(granted, Ordering::Relaxed);
        self.word.store(word, Ordering::Relaxed);
        self.folded.store(now, Ordering::Relaxed);
        (passed, before)
    }
}

/// The number of this thread's cell.
#[cfg(not(any(loom, shuttle)))]
#[inline]
pub(super) fn own_number() -> usize {
    thread_local!(static NUMBER: Own<usize> = const { Own::new(numbers::UNASKED) });
    let number = NUMBER.with(Own::get);
    if number != numbers::UNASKED {
        return number;
    }
    let number = numbers::claim();
    NUMBER.with(|own| own.set(number));
    number
}

/// In models every call goes to the window, because threads that are models share what is local to one of the system.
#[cfg(any(loom, shuttle))]
pub(super) fn own_number() -> usize {
    let none: Own<usize> = Own::new(CELLS);
    none.get()
}

/// Which numbers threads have.
#[cfg(not(any(loom, shuttle)))]
mod numbers {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::CELLS;

    /// This thread has not asked for a number.
    pub(super) const UNASKED: usize = usize::MAX;
    static TAKEN: AtomicU64 = AtomicU64::new(0);

    /// Gives the number back when the thread ends.
    struct Owned(usize);

    impl Drop for Owned {
        fn drop(&mut self) {
            if self.0 < CELLS {
                // Release: the next thread with this number sees what this one has written to its cells.
                TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
            }
        }
    }

    thread_local!(static OWNED: Owned = Owned(take()));

    /// A number that no other thread has while this one lives; `CELLS` if there is none, or the thread is ending.
    #[cold]
    pub(super) fn claim() -> usize {
        OWNED.try_with(|owned| owned.0).unwrap_or(CELLS)
    }

    fn take() -> usize {
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones() as usize;
            if free >= CELLS {
                return CELLS;
            }
            // Acquire: pairs with the Release of the thread that had it.
            let with = taken | 1 << free;
            match TAKEN.compare_exchange_weak(taken, with, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return free,
                Err(now) => taken = now,
            }
        }
    }
}
