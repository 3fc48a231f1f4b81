//! The workers of a run take their seats: each binds its own thread to its cpu, where the placement says so.
//!
//! A run that binds its workers because it seems to have the machine to itself must not do so beside another one: both
//! would take the same cpus, and a run that has little to do keeps one cpu only. So of all runs of a process one at a time
//! binds its workers unasked.

use std::sync::atomic::{AtomicBool, Ordering};

use core_affinity::CoreId;

use super::{
    Placement,
    placement::{Pin, Seat},
};
use crate::warnings::Warnings;

/// Has a run of this process bound its workers unasked?
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The placement of a run.
#[derive(Debug)]
pub(crate) struct Seating {
    placement: Placement,
    bound: bool,
    /// Given back when the run ends.
    _claim: Option<Claim>,
}

impl Seating {
    pub(crate) fn new(placement: Placement, warnings: &Warnings) -> Self {
        let claim = if placement.pin == Pin::Auto {
            Claim::take()
        } else {
            None
        };
        for warning in &placement.warnings {
            warnings.add(warning);
        }
        Self {
            bound: placement.pin == Pin::Asked || claim.is_some(),
            placement,
            _claim: claim,
        }
    }

    /// The seat of a worker. Pinned threads, which are counted behind the workers, have cores of their own and steal from
    /// nobody; their memory is counted with the node of the first worker.
    pub(crate) fn seat(&self, worker: usize) -> &Seat {
        let seats = &self.placement.seats;
        seats.get(worker).unwrap_or(&seats[0])
    }

    /// Memory nodes that have a worker.
    pub(crate) fn nodes(&self) -> usize {
        self.placement.nodes
    }

    /// Was it asked for that each worker is bound to its cpu?
    pub(crate) fn is_asked(&self) -> bool {
        self.placement.pin == Pin::Asked
    }

    /// Binds the calling thread to the cpu of this worker, if workers are bound. If the system refuses, the run goes on
    /// unbound, and says so once.
    pub(crate) fn sit(&self, worker: usize, warnings: &Warnings) {
        let id = self.seat(worker).cpu as usize;
        if self.bound && !core_affinity::set_for_current(CoreId { id }) {
            warnings.add("the system did not let workers be bound to their cpus, so it decides where they run");
        }
    }
}

/// The right to bind workers unasked.
#[derive(Debug)]
struct Claim;

impl Claim {
    fn take() -> Option<Self> {
        // Relaxed: nothing else is passed on with it.
        (!TAKEN.swap(true, Ordering::Relaxed)).then_some(Self)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Machine, Wish, tests::recorded},
        *,
    };

    fn allowed() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
        let line = status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list:"));
        line.expect("the mask").to_owned()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_worker_binds_its_own_thread_to_its_cpu() {
        let machine = Machine::read();
        let wish = Wish {
            pin: Some(true),
            ..Wish::default()
        };
        let warnings = Warnings::default();
        let seating = Seating::new(machine.place(&wish).expect("a pool"), &warnings);
        let last = machine.parallelism() - 1;
        let (bound, cpu) = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                seating.sit(last, &warnings);
                (allowed(), seating.seat(last).cpu)
            });
            worker.join().expect("it does not panic")
        });
        assert_eq!(bound, format!("Cpus_allowed_list:\t{cpu}"));
        assert!(warnings.list().is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_worker_that_cannot_be_bound_runs_anywhere_and_says_so_once() {
        // A recording names cpus that this machine has not.
        let wish = Wish {
            cores: Some([1023].into()),
            ..Wish::default()
        };
        let warnings = Warnings::default();
        let placement = recorded("high_ids").place(&wish).expect("a pool");
        let seating = Seating::new(placement, &warnings);
        if Machine::read().cpu(1023).is_some() {
            return;
        }
        let before = allowed();
        seating.sit(0, &warnings);
        seating.sit(0, &warnings);
        assert_eq!(allowed(), before);
        assert_eq!(
            warnings.list(),
            ["the system did not let workers be bound to their cpus, so it decides where they run"]
        );
    }

    #[test]
    fn of_several_runs_one_binds_its_workers_unasked() {
        // No other test of this binary starts a run on a recorded machine.
        let place = || {
            let placement = recorded("one_node").place(&Wish::default());
            Seating::new(placement.expect("a pool"), &Warnings::default())
        };
        let first = place();
        assert!(first.bound && !place().bound);
        drop(first);
        assert!(place().bound);
    }
}
