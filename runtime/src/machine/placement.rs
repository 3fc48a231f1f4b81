//! Where workers sit: how many there are, on which cpu each of them, whether they are bound to it, and whom they steal
//! from. Pure: it knows the machine and the wish, and touches neither.
//!
//! Seats are given out core by core: the first thread of every core, fast cores before efficient ones and node by node,
//! then the second threads. So few workers are near each other, and a core is shared last. Cpus that pinned threads have are
//! taken when there is no other.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pipewright_spec::options::Smt;

use super::{Cpu, Machine, Shortfall, steal::Victims};
use crate::idle::MAX_WORKERS;

/// The highest cpu that a thread can be bound to: the width of the system's cpu set.
pub(crate) const MOST_PINNED: u32 = 1023;
/// On so few cores the scheduler of the system does better than fixed seats, which cannot give way to other programs.
const FEW_CORES: usize = 2;

/// What the pool asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) workers: Option<usize>,
    pub(crate) cores: Option<Box<[u32]>>,
    pub(crate) smt: Option<Smt>,
    pub(crate) numa: Option<u32>,
    pub(crate) pin: Option<bool>,
    /// Cpus that threads outside of the pool have.
    pub(crate) taken: Vec<u32>,
    /// The thread that starts the run.
    pub(crate) caller: Option<Caller>,
}

/// The thread that starts a run, and its cpu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// It is the first worker: that one's seat is there, unless workers are bound because that was asked for.
    Works(u32),
    /// It goes on beside the workers: where they begin on their cpus, its core is taken last.
    GoesOn(u32),
}

/// Where the workers of a run sit.
#[derive(Debug)]
pub(crate) struct Placement {
    /// One for each worker; never empty.
    pub(crate) seats: Box<[Seat]>,
    /// Memory nodes that have a worker.
    pub(crate) nodes: usize,
    pub(crate) pin: Pin,
    /// Cpus that the pool may use.
    pub(crate) cpus: usize,
    /// What the pool asks for and does not get.
    pub(crate) short: Vec<Shortfall>,
}

/// Are workers bound to their cpus?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    /// The system places and moves them.
    No,
    /// Each begins on its cpu, and the system may move it from there: there is a worker for every core, or only one, which has
    /// the thread that starts the run beside it. Systems that pack new threads on few cores, as those of virtual machines may,
    /// take long to spread them.
    Begun,
    /// They are, because the run has the machine to itself, as far as can be told.
    Auto,
    /// They are, because the pool names cores or a node, or says so.
    Asked,
}

impl Placement {
    /// Is each worker bound to its cpu, or may it be?
    pub(crate) fn is_bound(&self) -> bool {
        matches!(self.pin, Pin::Asked | Pin::Auto)
    }
}

/// Where one worker sits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) cpu: u32,
    /// Its memory node, counted among those that have a worker.
    pub(crate) node: u16,
    pub(crate) victims: Victims,
}

/// A pool that does not fit the machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A core that the machine has not.
    #[error("this machine has no core {core}; write some of `{usable}`")]
    NoCore {
        /// The core.
        core: u32,
        /// Those that can be written.
        usable: String,
    },
    /// A core that is switched off.
    #[error("core {core} is offline; write some of `{usable}`")]
    Offline {
        /// The core.
        core: u32,
        /// Those that can be written.
        usable: String,
    },
    /// A core outside of the affinity mask or the cpuset of this process.
    #[error(
        "this process may not run on core {core}; write some of `{usable}`, or start it with another cpuset or affinity mask"
    )]
    NotAllowed {
        /// The core.
        core: u32,
        /// Those that can be written.
        usable: String,
    },
    /// A core that no thread can be bound to.
    #[error(
        "no thread can be bound to core {core}; cores above {MOST_PINNED} do not fit the system's cpu set"
    )]
    TooHigh {
        /// The core.
        core: u32,
    },
    /// A memory node without a usable core.
    #[error("memory node {node} has no core that this process may use; write one of `{usable}`")]
    NoNode {
        /// The node.
        node: u32,
        /// Those that can be written.
        usable: String,
    },
    /// More workers than cores that the pool may use.
    #[error("the pool has {workers} workers on {cores} {}; write at most `workers = {cores}`, or name more cores", if *cores == 1 { "core" } else { "cores" })]
    FewCores {
        /// The workers.
        workers: usize,
        /// The cores.
        cores: usize,
    },
}

impl Machine {
    /// Can threads be bound to all of these cores?
    pub(crate) fn check_cores(&self, cores: &[u32]) -> Result<(), PlaceError> {
        let usable = || listed(self.usable().map(|cpu| cpu.id));
        for &core in cores {
            match self.cpu(core) {
                _ if core > MOST_PINNED => return Err(PlaceError::TooHigh { core }),
                None => {
                    return Err(PlaceError::NoCore {
                        core,
                        usable: usable(),
                    });
                }
                Some(cpu) if !cpu.online => {
                    return Err(PlaceError::Offline {
                        core,
                        usable: usable(),
                    });
                }
                Some(cpu) if !cpu.usable => {
                    return Err(PlaceError::NotAllowed {
                        core,
                        usable: usable(),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Gives workers their seats.
    pub(crate) fn place(&self, wish: &Wish) -> Result<Placement, PlaceError> {
        let mut seats = self.seats(wish)?;
        let first = |seats: &[Candidate]| seats.iter().filter(|seat| seat.rank == 0).count();
        let (all, whole_cores) = (seats.len(), first(&seats));
        let free = seats.iter().filter(|seat| !seat.taken).count();
        if free > 0 {
            // Where others have all cpus, the pool shares them.
            seats.truncate(free);
        }
        let cores = first(&seats).max(1);
        let asked = wish.cores.is_some() || wish.numa.is_some();
        let workers = match wish.workers {
            Some(workers) if asked && workers > all => {
                let cores = all;
                return Err(PlaceError::FewCores { workers, cores });
            }
            Some(workers) => workers.max(1),
            None => self
                .within_quota(wish.most(seats.len(), cores))
                .min(MAX_WORKERS),
        };
        let mut short = Vec::new();
        if workers > seats.len() && wish.smt == Some(Smt::Avoid) {
            short.push(Shortfall::SharedCores { workers, cores });
        }
        let usable = self.usable().count();
        let online = self.cpus.iter().filter(|cpu| cpu.online).count();
        if workers > usable && usable < online {
            short.push(Shortfall::FewCpus {
                workers,
                usable,
                online,
            });
        }
        let whole = (cores..=seats.len()).contains(&workers);
        let alone = whole_cores > FEW_CORES && self.quota().is_none();
        let mut pin = match wish.pin {
            _ if self.is_simulated() => Pin::No,
            Some(false) => Pin::No,
            Some(true) => Pin::Asked,
            None if asked => Pin::Asked,
            None if whole && alone => Pin::Auto,
            None if all > 1 && (workers == 1 || workers >= cores) => Pin::Begun,
            None => Pin::No,
        };
        match wish.caller {
            Some(Caller::Works(cpu)) if pin != Pin::Asked => give_first(&mut seats, cpu),
            Some(Caller::GoesOn(cpu)) if pin == Pin::Begun => give_last(&mut seats, cpu, cores),
            _ => {}
        }
        let cpus: Vec<Cpu> = seats
            .iter()
            .cycle()
            .take(workers)
            .map(|seat| seat.cpu)
            .collect();
        if cpus.iter().any(|cpu| cpu.id > MOST_PINNED) && pin != Pin::No {
            short.push(Shortfall::HighCpu);
            pin = Pin::No;
        }
        Ok(placement(seats.len(), &cpus, pin, short))
    }

    /// The cpus that workers may sit on, in the order in which they are taken.
    fn seats(&self, wish: &Wish) -> Result<Vec<Candidate>, PlaceError> {
        if let Some(cores) = &wish.cores {
            self.check_cores(cores)?;
        }
        let named = |cpu: &&Cpu| {
            wish.cores
                .as_ref()
                .is_none_or(|cores| cores.contains(&cpu.id))
        };
        let near = |cpu: &&Cpu| wish.numa.is_none_or(|node| node == cpu.node);
        let mut threads: BTreeMap<u32, usize> = BTreeMap::new();
        let mut seats: Vec<Candidate> = Vec::new();
        let mut own: Vec<&Cpu> = self.usable().filter(named).filter(near).collect();
        // A core of which one thread is taken is shared.
        own.sort_by_key(|cpu| !wish.taken.contains(&cpu.id));
        for &cpu in own {
            let rank = threads.entry(cpu.core).or_default();
            seats.push(Candidate {
                rank: *rank,
                taken: wish.taken.contains(&cpu.id),
                cpu,
            });
            *rank += 1;
        }
        if wish.smt == Some(Smt::Avoid) {
            seats.retain(|seat| seat.rank == 0);
        }
        seats.sort_by_key(|Candidate { rank, taken, cpu }| {
            (
                *taken,
                *rank,
                cpu.kind,
                cpu.node,
                cpu.package,
                cpu.l3,
                cpu.core,
                cpu.id,
            )
        });
        match wish.numa {
            Some(node) if seats.is_empty() => {
                let usable = listed(self.nodes().into_iter());
                Err(PlaceError::NoNode { node, usable })
            }
            _ => Ok(seats),
        }
    }
}

/// Gives the first seat to cpu `id`, if it has one, and its seat to the cpu of its core that comes first: so those that come
/// first are on as many cores as before.
fn give_first(seats: &mut [Candidate], id: u32) {
    let Some(at) = seats.iter().position(|seat| seat.cpu.id == id) else {
        return;
    };
    let core = seats[at].cpu.core;
    let of_core = seats.iter().position(|seat| seat.cpu.core == core);
    let of_core = of_core.unwrap_or(at);
    seats.swap(at, of_core);
    seats.swap(of_core, 0);
}

/// Of the first seats of all `cores`, gives the last one to the core of cpu `id`; where there is one core, the last of its
/// threads to that cpu.
fn give_last(seats: &mut [Candidate], id: u32, cores: usize) {
    let Some(cpu) = seats.iter().map(|seat| seat.cpu).find(|cpu| cpu.id == id) else {
        return;
    };
    let (seats, at) = match cores {
        1 => {
            let at = seats.iter().position(|seat| seat.cpu.id == id);
            (seats, at)
        }
        _ => {
            let firsts = &mut seats[..cores];
            let at = firsts.iter().position(|seat| seat.cpu.core == cpu.core);
            (firsts, at)
        }
    };
    if let Some(at) = at {
        seats[at..].rotate_left(1);
    }
}

/// A cpu that a worker may sit on, and how many threads of its core come before it.
struct Candidate {
    rank: usize,
    /// Has a thread outside of the pool this cpu?
    taken: bool,
    cpu: Cpu,
}

impl Placement {
    /// With so many seats in all. Those behind the workers' are for others who stand in for them, and have the places of
    /// the first ones; all workers steal from there, too.
    pub(crate) fn with_seats(mut self, seats: usize) -> Self {
        let workers = self.seats.len();
        let seat = |id: usize| {
            let seat = self.seats[id % workers].clone();
            let extra = (workers..seats).filter(|other| *other != id);
            let victims = match id < workers {
                true => seat.victims.and(extra),
                false => Victims::of(0, &[]).and((0..workers).chain(extra)),
            };
            Seat { victims, ..seat }
        };
        self.seats = (0..seats.max(workers)).map(seat).collect();
        self
    }
}

impl Wish {
    /// Most workers that nobody asked for: a core is shared where the list of cores or `smt` says so.
    fn most(&self, seats: usize, cores: usize) -> usize {
        match self.smt {
            Some(Smt::Use) => seats,
            _ if self.cores.is_some() => seats,
            _ => cores,
        }
    }
}

/// Workers on `cpus`, of `all` that the pool may use.
fn placement(all: usize, cpus: &[Cpu], pin: Pin, short: Vec<Shortfall>) -> Placement {
    let mut nodes: Vec<u32> = cpus.iter().map(|cpu| cpu.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let seat = |(me, cpu): (usize, &Cpu)| Seat {
        cpu: cpu.id,
        node: nodes.binary_search(&cpu.node).unwrap_or(0) as u16,
        victims: Victims::of(me, cpus),
    };
    Placement {
        seats: cpus.iter().enumerate().map(seat).collect(),
        nodes: nodes.len(),
        pin,
        cpus: all,
        short,
    }
}

/// The shortest list that means these numbers, which ascend.
pub(super) fn listed(numbers: impl Iterator<Item = u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let run = |&(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}
