//! The machine: its cpus, how they hang together, and which of them this process may use.
//!
//! [`Machine::read`] reads what Linux tells in `/sys` and `/proc`; on other systems, and where files are missing, it
//! assumes one node of plain cores, and says so in its notes. [`Machine::simulate`] makes one up, so that what depends on
//! the machine can be tried on any other.

mod cgroup;
mod clock;
mod crowd;
mod demands;
mod files;
mod fit;
mod placement;
mod realtime;
#[cfg(test)]
mod recording;
mod seating;
mod shortfall;
mod simulate;
mod steal;
mod sysfs;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};

pub(crate) use self::{
    cgroup::Levels,
    crowd::{Asleep, Crowd, Present, Room, room_for},
    demands::{Workers, unmet},
    files::Files,
    placement::{Caller, MOST_PINNED, Placement, Wish},
    seating::{Seating, bind, current_cpu},
    shortfall::named,
    steal::Victims,
};
pub use self::{
    placement::PlaceError,
    realtime::{REALTIME, RealtimeError, realtime},
    shortfall::Shortfall,
    simulate::TopologyError,
};

/// The readers of what the kernel tells, for the repository's own packages. Not for anybody else: it changes without notice.
#[doc(hidden)]
pub mod kernel {
    pub use super::{
        cgroup::{Levels, cpu_max},
        clock::clock_discipline,
        files::{Files, Why, parse_list},
        fit::{
            Sharing, efficient, is_all_isolated, is_quick_clock, sharing, short_memory,
            short_quota, slow_clock,
        },
    };
    /// How long a batch waits to be filled, in nanoseconds, where nothing else is said.
    pub use crate::settings::LINGER_NS;
    /// Bytes between what two threads write.
    pub const PADDING: usize = align_of::<crossbeam_utils::CachePadded<u8>>();
    /// How many items a batch has at most, where nothing else is said.
    pub use crate::settings::BATCH;
}

/// The environment variable that replaces the machine by a made-up one.
const VARIABLE: &str = "PIPEWRIGHT_TOPO";

/// The machine that runs are placed on: the one that `PIPEWRIGHT_TOPO` describes, or this one.
///
/// What was read a moment ago is not read again, as long as the calling thread may run on the same cpus; `sysfs.rs` says
/// how long that is.
pub(crate) fn here() -> Result<Machine, TopologyError> {
    match std::env::var_os(VARIABLE) {
        Some(text) => Machine::simulate(&text.to_string_lossy()),
        None => {
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            let files = Files::at("/".as_ref());
            Ok(known.machine(files, seating::allowed(), Instant::now()))
        }
    }
}

/// What the last start of a run has read: it takes longer than starting the workers.
static KNOWN: Mutex<sysfs::Known> = Mutex::new(sysfs::Known::nothing());

/// A machine as this process sees it.
///
/// ```
/// use pipewright::machine::Machine;
///
/// let machine = Machine::read();
/// assert!(machine.parallelism() >= 1);
/// for note in machine.notes() {
///     println!("{note}");
/// }
/// println!("{machine}");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Ascending by id, never empty.
    cpus: Vec<Cpu>,
    quota: Option<f64>,
    simulated: bool,
    notes: Vec<String>,
}

/// What runs one thread: a core, or one of the hardware threads of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cpu {
    /// The number by which the system knows it.
    pub id: u32,
    /// Its physical core, named by the lowest cpu of that core.
    pub core: u32,
    /// The processor package (socket) that it is in.
    pub package: u32,
    /// Its third-level cache, named by the lowest cpu that shares it.
    pub l3: u32,
    /// The memory node that it is on.
    pub node: u32,
    /// Fast or efficient.
    pub kind: CoreKind,
    /// Is it switched on?
    pub online: bool,
    /// Is it kept free of other work (`isolcpus`)?
    pub isolated: bool,
    /// May this process run on it: is it online, in the affinity mask and in the cpuset?
    pub usable: bool,
}

/// The kind of a core, where a machine has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CoreKind {
    /// The only kind, or the faster one.
    Performance,
    /// The slower one, which takes less power.
    Efficient,
}

impl fmt::Display for CoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Performance => "performance",
            Self::Efficient => "efficient",
        })
    }
}

impl Machine {
    /// Reads the machine that this process runs on. Never fails: what cannot be read is assumed, see [`Self::notes`].
    ///
    /// The affinity mask is that of the calling thread, so call it before the thread is pinned.
    pub fn read() -> Self {
        Self::read_at("/")
    }

    /// Reads the machine whose `sys` and `proc` are below `root`: a recording, or the files of a host that are mounted in
    /// a container.
    pub fn read_at(root: impl AsRef<Path>) -> Self {
        sysfs::read(Files::at(root.as_ref()))
    }

    /// Makes a machine up, from `nodes x cores` or `nodes x cores x threads`. All of it is usable.
    ///
    /// Cpus are numbered as Linux does it: the first threads of all cores, node by node, then the second ones.
    ///
    /// ```
    /// use pipewright::machine::Machine;
    ///
    /// let machine = Machine::simulate("2x4x2")?;
    /// assert_eq!((machine.cpus().len(), machine.nodes().len()), (16, 2));
    /// assert_eq!(machine.siblings(0).map(|cpu| cpu.id).collect::<Vec<_>>(), [0, 8]);
    /// # Ok::<(), pipewright::machine::TopologyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text has another form, or makes no cpu or more than 4096.
    pub fn simulate(text: &str) -> Result<Self, TopologyError> {
        simulate::machine(text)
    }

    /// Every cpu, ascending by id; also those that are offline or that this process may not use.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The cpu with this id.
    pub fn cpu(&self, id: u32) -> Option<&Cpu> {
        let found = self.cpus.binary_search_by_key(&id, |cpu| cpu.id).ok()?;
        Some(&self.cpus[found])
    }

    /// The cpus that this process may use; at least one.
    pub fn usable(&self) -> impl Iterator<Item = &Cpu> {
        self.cpus.iter().filter(|cpu| cpu.usable)
    }

    /// The hardware threads of the core of cpu `id`, with that cpu itself.
    pub fn siblings(&self, id: u32) -> impl Iterator<Item = &Cpu> {
        let core = self.cpu(id).map(|cpu| cpu.core);
        self.cpus.iter().filter(move |cpu| Some(cpu.core) == core)
    }

    /// The memory nodes that have a usable cpu, ascending.
    pub fn nodes(&self) -> Vec<u32> {
        let nodes: BTreeSet<u32> = self.usable().map(|cpu| cpu.node).collect();
        nodes.into_iter().collect()
    }

    /// How many cpus' worth of time the control groups give this process, such as 1.5; `None` without a limit.
    pub fn quota(&self) -> Option<f64> {
        self.quota
    }

    /// How many threads of work are worth running at once: the usable physical cores, or as many as the quota pays for.
    pub fn parallelism(&self) -> usize {
        let cores: BTreeSet<u32> = self.usable().map(|cpu| cpu.core).collect();
        self.within_quota(cores.len())
    }

    /// Was it made up by [`Self::simulate`]?
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// What could not be read, and what is assumed instead.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// `threads`, or the whole cpus of the quota if they are fewer; at least 1.
    fn within_quota(&self, threads: usize) -> usize {
        let paid = self.quota.map_or(usize::MAX, |quota| quota as usize);
        threads.min(paid).max(1)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores: BTreeSet<u32> = self.usable().map(|cpu| cpu.core).collect();
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        write!(
            f,
            "{}, {}, {}",
            count(self.nodes().len(), "node"),
            count(cores.len(), "core"),
            count(self.usable().count(), "cpu")
        )?;
        let others = self.cpus.len() - self.usable().count();
        if others > 0 {
            write!(f, " ({others} more not usable)")?;
        }
        if let Some(quota) = self.quota {
            write!(f, ", time for {quota:.1}")?;
        }
        if self.simulated {
            f.write_str(", simulated")?;
        }
        Ok(())
    }
}
