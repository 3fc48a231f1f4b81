//! A processor for the generator alone.
//!
//! A generator that shares a processor with what it measures comes late to its items, and then a trial says more of the system's
//! scheduler than of the subject. Threads inherit where they may run from who starts them. So while the subject starts, this thread may
//! not run on the last processor it has, and afterwards it runs nowhere else. The subject sees one processor fewer than there are, as if
//! `taskset` had started it, and that is what it has.

use std::thread;

/// The processors of the generator and of the others; nothing, if they share all of them. When it is dropped, the thread may run again
/// where it could before.
#[derive(Debug)]
pub(super) struct Apart(Option<masks::Masks>);

impl Apart {
    /// From now on threads that are started leave the generator one processor, if there are more than they keep busy.
    pub(super) fn leave_one(busy: usize) -> Self {
        // As many as the mask and the quota leave. A generator that spins beyond a quota takes time from the others.
        let all = thread::available_parallelism().map_or(1, usize::from);
        Self((all > busy.max(1)).then(masks::leave_one).flatten())
    }

    /// This thread is the generator, and starts nothing from now on. Has it a processor of its own?
    pub(super) fn take_it(&self) -> bool {
        self.0.as_ref().is_some_and(masks::Masks::take_it)
    }
}

#[cfg(target_os = "linux")]
mod masks {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    #[derive(Debug)]
    pub(super) struct Masks {
        before: CpuSet,
        own: CpuSet,
    }

    /// Nothing where the system does not tell, or refuses.
    pub(super) fn leave_one() -> Option<Masks> {
        let before = sched_getaffinity(None).ok()?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| before.is_set(*cpu))?;
        let (mut own, mut others) = (CpuSet::new(), before);
        own.set(last);
        others.unset(last);
        sched_setaffinity(None, &others).ok()?;
        Some(Masks { before, own })
    }

    impl Masks {
        pub(super) fn take_it(&self) -> bool {
            sched_setaffinity(None, &self.own).is_ok()
        }
    }

    impl Drop for Masks {
        fn drop(&mut self) {
            // It was allowed before. If it is not any more, the thread stays where it is.
            let _ = sched_setaffinity(None, &self.before);
        }
    }
}

/// Only Linux is asked.
#[cfg(not(target_os = "linux"))]
mod masks {
    #[derive(Debug)]
    pub(super) struct Masks;

    pub(super) fn leave_one() -> Option<Masks> {
        None
    }

    impl Masks {
        pub(super) fn take_it(&self) -> bool {
            false
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::*;

    /// The processors of this thread, and of one that it starts.
    fn seen() -> [Vec<usize>; 2] {
        let here = || {
            let all = sched_getaffinity(None).expect("Linux tells");
            let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
            cpus.collect()
        };
        let there = thread::scope(|scope| scope.spawn(here).join().expect("it ends"));
        [here(), there]
    }

    #[test]
    fn threads_that_are_started_leave_the_generator_a_processor_that_they_do_not_keep_busy() {
        let [all, _] = seen();
        let count = thread::available_parallelism().map_or(1, usize::from);
        let (others, last) = all.split_at(all.len() - 1);
        let check = |busy: usize, is_apart: bool| {
            let apart = Apart::leave_one(busy);
            let expect = if is_apart { others } else { &all };
            assert_eq!(seen()[1], expect, "{busy} of {count}");
            assert_eq!(apart.take_it(), is_apart, "{busy} of {count}");
            let expect = if is_apart { last } else { &all };
            assert_eq!(seen()[0], expect, "{busy} of {count}");
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
