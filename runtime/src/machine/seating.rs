//! The workers of a run take their seats: each binds its own thread to its cpu, or begins there, where the
//! placement says so.
//!
//! A run that binds its workers because it seems to have the machine to itself must not do so beside another one: both
//! would take the same cpus, and a run that has little to do keeps one cpu only. So of all runs of a process one at a time
//! binds its workers unasked.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use core_affinity::CoreId;

use super::{
    Placement, Shortfall,
    placement::{Pin, Seat},
};
use crate::{error::StartError, warnings::Warnings};

/// Has a run of this process bound its workers unasked?
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The placement of a run.
#[derive(Debug)]
pub(crate) struct Seating {
    placement: Placement,
    bound: bool,
    /// Do workers begin on their cpus?
    begun: bool,
    /// The cpu on which each worker was last seen, or [`AWAY`].
    seen: Box<[AtomicU32]>,
    /// Where the thread that starts the run can run: a worker that is started by one that is bound already inherits that.
    free: Option<Allowed>,
    /// Given back when the run ends.
    _claim: Option<Claim>,
}

impl Seating {
    pub(crate) fn new(placement: Placement) -> Self {
        let claim = if placement.pin == Pin::Auto {
            Claim::take()
        } else {
            None
        };
        let bound = placement.pin == Pin::Asked || claim.is_some();
        Self {
            bound,
            free: if bound { allowed() } else { None },
            begun: placement.pin == Pin::Begun,
            seen: placement
                .seats
                .iter()
                .map(|_| AtomicU32::new(AWAY))
                .collect(),
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

    /// Cpus that the pool may use.
    pub(crate) fn cpus(&self) -> usize {
        self.placement.cpus
    }

    /// Memory nodes that have a worker.
    pub(crate) fn nodes(&self) -> usize {
        self.placement.nodes
    }

    /// Was it asked for that each worker is bound to its cpu?
    pub(crate) fn is_asked(&self) -> bool {
        self.placement.pin == Pin::Asked
    }

    /// Moves the calling thread to where this worker begins, if workers begin on cpus of their own. It may leave it at once.
    fn begin(&self, worker: usize) {
        if self.begun {
            let cpu = self.seat(worker).cpu;
            begin_on(cpu);
            self.seen[worker].store(cpu, Ordering::Relaxed);
        }
    }

    /// The calling thread is this worker and stays where it is.
    pub(crate) fn stay(&self, worker: usize) {
        if self.begun {
            self.seen[worker].store(current_cpu(), Ordering::Relaxed);
        }
    }

    /// Binds the calling thread to the cpu of this worker, if workers are bound. If the system refuses, the run says so
    /// once and goes on unbound, unless it enforces what it asks for.
    pub(crate) fn sit(&self, worker: usize, warnings: &Warnings) -> Result<(), StartError> {
        self.begin(worker);
        if !self.bound || bind(self.seat(worker).cpu) {
            return Ok(());
        }
        if let Some(free) = &self.free {
            let_go(free);
        }
        warnings.fell_short([Shortfall::NotBound])
    }

    /// The calling thread takes the place of a worker that does not need it now. If the system refuses, it runs anywhere.
    pub(crate) fn sit_in(&self, worker: usize) {
        if self.bound {
            bind(self.seat(worker).cpu);
        }
    }

    /// This worker sleeps now; its cpu is free for others.
    pub(crate) fn leave(&self, worker: usize) {
        if self.begun {
            self.seen[worker].store(AWAY, Ordering::Relaxed);
        }
    }

    /// This worker was woken. A system that packs threads may have put it on the cpu of another one that is at work, to wait
    /// for it there: then it goes to its own.
    pub(crate) fn come_back(&self, worker: usize) {
        if !self.begun {
            return;
        }
        let here = current_cpu();
        // Relaxed: a hint. Whoever misses another worker here shares a cpu with it until the system divides them.
        let taken = |(other, seen): (usize, &AtomicU32)| {
            other != worker && seen.load(Ordering::Relaxed) == here
        };
        let own = self.seat(worker).cpu;
        let mut at = here;
        if own != here && self.seen.iter().enumerate().any(taken) {
            begin_on(own);
            at = own;
        }
        self.seen[worker].store(at, Ordering::Relaxed);
    }
}

/// The place of a worker that sleeps.
const AWAY: u32 = u32::MAX;

/// The cpu on which the calling thread is; one that no machine has if the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn current_cpu() -> u32 {
    u32::try_from(rustix::thread::sched_getcpu()).unwrap_or(AWAY)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn current_cpu() -> u32 {
    AWAY
}

/// The cpus on which a thread can run: those of its affinity mask and its cpuset that are online.
#[cfg(target_os = "linux")]
pub(super) type Allowed = rustix::thread::CpuSet;
#[cfg(not(target_os = "linux"))]
pub(super) type Allowed = std::convert::Infallible;

/// Those of the calling thread; `None` if the system does not tell, or has more than fit.
#[cfg(target_os = "linux")]
pub(super) fn allowed() -> Option<Allowed> {
    rustix::thread::sched_getaffinity(None).ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allowed() -> Option<Allowed> {
    None
}

/// Moves the calling thread to a cpu, without binding it there. If the system does not tell where the thread may run, or
/// refuses, the thread stays where it is: nobody relies on it.
#[cfg(target_os = "linux")]
fn begin_on(cpu: u32) {
    let Some(allowed) = allowed() else {
        return;
    };
    if bind(cpu) {
        let_go(&allowed);
    }
}

/// Lets the calling thread run on these cpus, where another one like it can.
#[cfg(target_os = "linux")]
fn let_go(allowed: &Allowed) {
    // If the system refuses, it stays bound, which is slower and nothing else.
    let _ = rustix::thread::sched_setaffinity(None, allowed);
}

#[cfg(not(target_os = "linux"))]
fn let_go(_: &Allowed) {}

#[cfg(not(target_os = "linux"))]
fn begin_on(_: u32) {}

/// Binds the calling thread to a cpu. False if the system does not let it.
pub(crate) fn bind(cpu: u32) -> bool {
    core_affinity::set_for_current(CoreId { id: cpu as usize })
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
    use pipewright_spec::options::Enforce;

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
        let warnings = Warnings::new(Enforce::Warn);
        let seating = Seating::new(machine.place(&wish).expect("a pool"));
        let last = machine.parallelism() - 1;
        let (bound, cpu) = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                seating.sit(last, &warnings).expect("it goes on");
                (allowed(), seating.seat(last).cpu)
            });
            worker.join().expect("it does not panic")
        });
        assert_eq!(bound, format!("Cpus_allowed_list:\t{cpu}"));
        assert!(warnings.list().is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_worker_that_begins_on_a_cpu_may_leave_it() {
        let last = Machine::read().usable().last().expect("a cpu").id;
        let (before, after) = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let before = allowed();
                begin_on(last);
                (before, allowed())
            });
            worker.join().expect("it does not panic")
        });
        assert_eq!(before, after);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_worker_that_cannot_be_bound_runs_anywhere_and_says_so_once() {
        // A recording names cpus that this machine has not.
        let wish = Wish {
            cores: Some([1023].into()),
            ..Wish::default()
        };
        let warnings = Warnings::new(Enforce::Warn);
        let placement = recorded("high_ids").place(&wish).expect("a pool");
        let seating = Seating::new(placement);
        if Machine::read().cpu(1023).is_some() {
            return;
        }
        let before = allowed();
        for _ in 0..2 {
            seating.sit(0, &warnings).expect("it goes on");
        }
        assert_eq!(allowed(), before);
        assert_eq!(
            warnings.list(),
            ["the system did not let workers be bound to their cpus, so it decides where they run"]
        );
        let denied = seating.sit(0, &Warnings::new(Enforce::Deny));
        assert!(matches!(
            denied,
            Err(StartError::Machine(short)) if matches!(*short, [Shortfall::NotBound])
        ));
    }

    #[test]
    fn of_several_runs_one_binds_its_workers_unasked() {
        // No other test of this binary starts a run on a recorded machine.
        let place = || {
            let placement = recorded("one_node").place(&Wish::default());
            Seating::new(placement.expect("a pool"))
        };
        let first = place();
        assert!(first.bound && !place().bound);
        drop(first);
        assert!(place().bound);
    }
}
