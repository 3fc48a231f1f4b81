//! How much memory the buffers between stages take, and the `memory` that they may take.
//!
//! **What counts** is what the pipeline itself allocates to hand items over: the buffers of batches, on their way and spare,
//! by their capacity, and from the beginning the queue of the input and the rings between pinned threads. What items own
//! elsewhere does not, nor what a stage keeps.
//!
//! **What follows.** A buffer is counted when it is made, again when it comes back larger than it left, and no more when it is
//! freed. From three quarters of the limit on, workers take smaller batches. Where it leaves no room for what one more batch
//! needs ([`Budget::is_over`]), buffers that come back are freed instead of kept, a worker that would pull frees the spare
//! ones first, and no source is asked until enough came back or nothing is on its way any more. So one batch is always
//! possible, however little the limit is, and nothing is ever dropped. A batch whose items multiply on their way may go over.
//!
//! **Waking.** Who sleeps because of the limit has looked at the sum behind the fence of [`crate::idle`]. Whoever makes room
//! for a batch, or gives back the last ticket while there is none, wakes a sleeper afterwards.

use std::fmt;

use crossbeam_utils::CachePadded;

use crate::{
    pressure::Level,
    sync::{AtomicUsize, Ordering},
};

/// The buffers of one run.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Bytes; `usize::MAX` where there is no limit.
    limit: AtomicUsize,
    /// Pulls that may be on their way at once.
    pulls: usize,
    /// Bytes that a batch needs at the link where it needs most.
    need: AtomicUsize,
    used: CachePadded<AtomicUsize>,
    /// Of those, what the queue of the input and the rings between pinned threads take, full.
    queues: AtomicUsize,
    most: AtomicUsize,
}

impl Budget {
    /// Of a run that may have so many pulls on their way at once.
    pub(crate) fn new(limit: Option<u64>, pulls: u32) -> Self {
        Self {
            limit: AtomicUsize::new(bytes_of(limit)),
            pulls: pulls.max(1) as usize,
            need: AtomicUsize::new(0),
            used: CachePadded::new(AtomicUsize::new(0)),
            queues: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    /// Another limit from now on. What is on its way may go over it until it comes back.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(bytes_of(limit), Ordering::Relaxed);
    }

    /// Is there a limit?
    pub(crate) fn is_limited(&self) -> bool {
        self.limit() != usize::MAX
    }

    #[inline]
    fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Items of a size that one pull may take, or a new buffer holds: as many as fit into `bytes` and into a pull's share, at
    /// least one.
    pub(crate) fn items_in(&self, bytes: usize, size: usize) -> usize {
        // A batch has a buffer on both sides of the loop that it is in.
        let share = self.limit() / (2 * self.pulls);
        (share.min(bytes) / size.max(1)).max(1)
    }

    /// A batch may need so much at some link.
    pub(crate) fn needs(&self, bytes: usize) {
        self.need.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Something was allocated.
    pub(crate) fn add(&self, bytes: usize) {
        // Relaxed, here and below: the sum is all that is passed on.
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(used, Ordering::Relaxed);
    }

    /// A queue of so many bytes was made.
    pub(crate) fn add_queue(&self, bytes: usize) {
        self.queues.fetch_add(bytes, Ordering::Relaxed);
        self.add(bytes);
    }

    /// A queue has another size. Whoever waits for room is to be woken.
    pub(crate) fn change_queue(&self, size: Resized) {
        self.add_queue(size.grows());
        self.queues.fetch_sub(size.shrinks(), Ordering::Relaxed);
        let _ = self.subtract(size.shrinks());
    }

    /// Something was freed; true if that made room for a batch, and somebody is to be woken.
    #[must_use]
    pub(crate) fn subtract(&self, bytes: usize) -> bool {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        let mark = self.mark();
        before > mark && before - bytes <= mark
    }

    /// Is there no room for one more batch?
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.is_limited() && self.used.load(Ordering::Relaxed) > self.mark()
    }

    /// The most that may be used before a pull.
    fn mark(&self) -> usize {
        self.limit()
            .saturating_sub(self.need.load(Ordering::Relaxed))
    }

    /// How scarce it is.
    #[inline]
    pub(crate) fn level(&self) -> Level {
        if !self.is_limited() {
            return Level::None;
        }
        let used = self.used.load(Ordering::Relaxed);
        if used > self.limit() {
            return Level::High;
        }
        if used > self.limit() / 4 * 3 {
            return Level::Some;
        }
        Level::None
    }

    /// Why a run cannot begin.
    pub(crate) fn misfit(&self) -> Option<Misfit> {
        Misfit::of(self.limit(), self.queues.load(Ordering::Relaxed))
    }

    /// Why it cannot go on with this limit and a queue of another size.
    pub(crate) fn misfit_with(&self, limit: Option<u64>, size: Resized) -> Option<Misfit> {
        let queues = self.queues.load(Ordering::Relaxed) + size.grows();
        Misfit::of(bytes_of(limit), queues.saturating_sub(size.shrinks()))
    }

    pub(crate) fn seen(&self) -> Buffers {
        Buffers {
            bytes: self.used.load(Ordering::Relaxed),
            most: self.most.load(Ordering::Relaxed),
            limit: self.is_limited().then_some(self.limit()),
        }
    }
}

/// The bytes that a queue takes, full, before a change and after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resized {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Resized {
    fn grows(self) -> usize {
        self.after.saturating_sub(self.before)
    }

    fn shrinks(self) -> usize {
        self.before.saturating_sub(self.after)
    }
}

/// What a run has before anything is on its way is more than it may have, so that it would wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    limit: usize,
    queues: usize,
}

impl Misfit {
    pub(crate) const HELP: &str = "write more than that, or a smaller `queue`";

    fn of(limit: usize, queues: usize) -> Option<Self> {
        (queues > limit).then_some(Self { limit, queues })
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, queues) = (Size(self.limit), Size(self.queues));
        write!(
            f,
            "`memory` is {limit}, and what waits in queues alone may take {queues}"
        )
    }
}

/// Memory of the buffers between stages: batches on their way and spare ones, and the queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buffers {
    /// Bytes that they take now.
    pub bytes: usize,
    /// The most that they took, in bytes.
    pub most: usize,
    /// What they may take, in bytes: `memory` of the pipeline, if it says so.
    pub limit: Option<usize>,
}

impl fmt::Display for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "buffers: {}, at most {}",
            Size(self.bytes),
            Size(self.most)
        )?;
        match self.limit {
            Some(limit) => write!(f, ", limit {}", Size(limit)),
            None => Ok(()),
        }
    }
}

fn bytes_of(limit: Option<u64>) -> usize {
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// A number of bytes, as people read it.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(usize, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match UNITS.iter().find(|(unit, _)| self.0 >= *unit) {
            Some((unit, name)) if self.0.is_multiple_of(*unit) => {
                write!(f, "{} {name}", self.0 / unit)
            }
            Some((unit, name)) => write!(f, "{:.1} {name}", self.0 as f64 / *unit as f64),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_in_the_largest_unit_that_it_fills() {
        let check = |bytes: usize, expect: &str| assert_eq!(Size(bytes).to_string(), expect);
        check(0, "0 bytes");
        check(1023, "1023 bytes");
        check(1024, "1 KiB");
        check(1536, "1.5 KiB");
        check(64 << 20, "64 MiB");
        check(3 << 30, "3 GiB");
    }

    #[test]
    fn the_level_rises_as_the_limit_comes_near() {
        let check = |used: usize, expect: Level| {
            let budget = Budget::new(Some(1000), 8);
            budget.add(used);
            assert_eq!(
                (budget.level(), budget.is_over()),
                (expect, used > 1000),
                "{used}"
            );
        };
        check(0, Level::None);
        check(750, Level::None);
        check(751, Level::Some);
        check(1000, Level::Some);
        check(1001, Level::High);
    }

    #[test]
    fn who_takes_it_below_the_limit_is_told_once() {
        let budget = Budget::new(Some(100), 8);
        budget.add(130);
        let freed: Vec<bool> = [10, 20, 10, 90].map(|bytes| budget.subtract(bytes)).into();
        assert_eq!(freed, [false, true, false, false]);
        assert_eq!(
            budget.seen(),
            Buffers {
                bytes: 0,
                most: 130,
                limit: Some(100)
            }
        );
    }

    #[test]
    fn what_a_batch_needs_is_kept_free() {
        let budget = Budget::new(Some(100), 8);
        budget.needs(30);
        budget.needs(20);
        budget.add(70);
        assert!(!budget.is_over());
        budget.add(1);
        assert!(budget.is_over() && budget.misfit().is_none());
        assert!(budget.subtract(1));
    }

    #[test]
    fn a_pull_has_its_share_and_at_least_one_item() {
        let check = |limit: Option<u64>, size: usize, expect: usize| {
            assert_eq!(
                Budget::new(limit, 8).items_in(4096, size),
                expect,
                "{limit:?} {size}"
            );
        };
        check(None, 8, 512);
        check(None, 0, 4096);
        check(Some(1 << 20), 8, 512);
        check(Some(1 << 14), 8, 128);
        check(Some(1 << 14), 4096, 1);
        check(Some(0), 8, 1);
    }

    #[test]
    fn a_run_without_a_limit_is_never_short() {
        let budget = Budget::new(None, 8);
        budget.add(usize::MAX / 2);
        assert!(!budget.is_over() && budget.level() == Level::None && budget.misfit().is_none());
    }

    #[test]
    fn queues_that_are_too_large_are_told_with_both_sizes() {
        let budget = Budget::new(Some(1 << 20), 8);
        budget.add(1 << 20);
        budget.add_queue(3 << 20);
        let told = budget.misfit().map(|misfit| misfit.to_string());
        assert_eq!(
            told.as_deref(),
            Some("`memory` is 1 MiB, and what waits in queues alone may take 3 MiB")
        );
    }

    #[test]
    fn a_change_is_refused_that_a_run_could_not_begin_with() {
        let budget = Budget::new(Some(100), 8);
        budget.add(500);
        budget.add_queue(80);
        let check =
            |limit: Option<u64>, before: usize, after: usize, expect: Option<(usize, usize)>| {
                let misfit = budget.misfit_with(limit, Resized { before, after });
                let told = misfit.map(|misfit| (misfit.limit, misfit.queues));
                assert_eq!(told, expect, "{limit:?} {before} {after}");
            };
        check(Some(100), 50, 50, None);
        check(Some(100), 50, 70, None);
        check(Some(100), 50, 71, Some((100, 101)));
        check(Some(60), 50, 30, None);
        check(Some(59), 50, 30, Some((59, 60)));
        check(None, 50, 1 << 40, None);
        budget.change_queue(Resized {
            before: 50,
            after: 71,
        });
        assert_eq!(
            (budget.misfit().is_some(), budget.seen().bytes),
            (true, 601)
        );
        budget.change_queue(Resized {
            before: 71,
            after: 0,
        });
        assert_eq!(
            (budget.misfit().is_some(), budget.seen().bytes),
            (false, 530)
        );
    }
}
