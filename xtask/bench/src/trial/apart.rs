//! A processor for the generator alone.
//!
//! A generator that shares one with what it measures comes late to its items, and then a trial says more of the system's scheduler
//! than of the pipeline. Threads inherit where they may run from who starts them. So while the subject starts, this thread may not
//! run on the last processor it has, and afterwards it runs nowhere else.

use std::time::Duration;

use self::system::{Allowed, allow, allowed, last, only, without};
use crate::load::{SPIN_ALONE, SPIN_SHARED};

/// Where this thread could run before, and the processor that is the generator's; nothing, if it has none to itself.
#[derive(Debug)]
pub(super) struct Apart(Option<(Allowed, usize)>);

impl Apart {
    /// From now on threads that are started run on other processors than the generator, if they need fewer than there are.
    pub(super) fn leave_one(needed: usize) -> Self {
        let before = allowed().filter(|(_, count)| *count > needed.max(1));
        // Where the system refuses, they share all of them.
        Self(before.and_then(|(before, _)| {
            let last = last(&before)?;
            allow(&without(&before, last)).then_some((before, last))
        }))
    }

    /// This thread is the generator, and starts nothing from now on.
    pub(super) fn take_it(&self) {
        if let Some((before, last)) = &self.0 {
            // It was allowed there a moment ago. If it is not any more, it shares the others, and is late.
            allow(&only(before, *last));
        }
    }

    /// How long the generator spins before an item's time.
    pub(super) fn spin(&self) -> Duration {
        match self.0 {
            Some(_) => SPIN_ALONE,
            None => SPIN_SHARED,
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some((before, _)) = &self.0 {
            // As above: it was allowed before.
            allow(before);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) type Allowed = CpuSet;

    /// Where this thread may run, and how many processors that are; nothing, if there are more than fit.
    pub(super) fn allowed() -> Option<(Allowed, usize)> {
        let all = sched_getaffinity(None).ok()?;
        Some((all, all.count() as usize))
    }

    pub(super) fn last(all: &Allowed) -> Option<usize> {
        (0..CpuSet::MAX_CPU).rev().find(|cpu| all.is_set(*cpu))
    }

    pub(super) fn without(all: &Allowed, cpu: usize) -> Allowed {
        let mut others = *all;
        others.unset(cpu);
        others
    }

    pub(super) fn only(_: &Allowed, cpu: usize) -> Allowed {
        let mut one = CpuSet::new();
        one.set(cpu);
        one
    }

    /// Lets this thread run there; whether the system let it.
    pub(super) fn allow(where_to: &Allowed) -> bool {
        sched_setaffinity(None, where_to).is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) type Allowed = std::convert::Infallible;

    pub(super) fn allowed() -> Option<(Allowed, usize)> {
        None
    }

    pub(super) fn last(all: &Allowed) -> Option<usize> {
        match *all {}
    }

    pub(super) fn without(all: &Allowed, _: usize) -> Allowed {
        match *all {}
    }

    pub(super) fn only(all: &Allowed, _: usize) -> Allowed {
        match *all {}
    }

    pub(super) fn allow(where_to: &Allowed) -> bool {
        match *where_to {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The processors of this thread, and of one that it starts.
    fn seen() -> [Vec<usize>; 2] {
        let here = || {
            let (all, _) = allowed().expect("Linux tells");
            (0..Allowed::MAX_CPU)
                .filter(|cpu| all.is_set(*cpu))
                .collect()
        };
        let there = std::thread::scope(|scope| scope.spawn(here).join().expect("it ends"));
        [here(), there]
    }

    #[test]
    fn threads_that_are_started_leave_the_generator_one_processor_where_they_need_not_all() {
        let all = seen()[0].clone();
        let count = all.len();
        let others = all[..count - 1].to_vec();
        let check = |needed: usize, is_apart: bool| {
            let apart = Apart::leave_one(needed);
            let expect = if is_apart { &others } else { &all };
            assert_eq!(&seen()[1], expect, "{needed} of {count}");
            apart.take_it();
            let expect = if is_apart { &all[count - 1..] } else { &all };
            assert_eq!(&seen()[0], expect, "{needed} of {count}");
            let spin = if is_apart { SPIN_ALONE } else { SPIN_SHARED };
            assert_eq!(apart.spin(), spin);
            drop(apart);
            assert_eq!(seen(), [all.clone(), all.clone()]);
        };
        check(0, count > 1);
        check(1, count > 1);
        check(count - 1, count > 1);
        check(count, false);
        check(usize::MAX, false);
    }
}
