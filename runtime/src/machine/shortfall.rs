//! What a run asks of the machine and does not get.

use super::{RealtimeError, placement::MOST_PINNED};

/// Something that a run asks of the machine and does not get. The run can do without: results, order and states are the
/// same.
///
/// What follows is up to `hw(enforce = ..)` of the pipeline: nothing (`off`), a warning in
/// [`Running::warnings`](crate::Running::warnings) and in the report (`warn`, the default), or no run at all but
/// [`StartError::Machine`](crate::StartError::Machine) (`deny`).
///
/// ```
/// use pipewright::{StartError, machine::{Machine, Shortfall}, pipeline};
///
/// #[pipeline(hw(enforce = deny))]
/// mod crowded {
///     #[source]
///     pub fn ticks() -> std::ops::Range<u64> {
///         0..1000
///     }
///
///     #[stage(from = ticks, cores = "0")]
///     pub fn half(n: u64) -> u64 {
///         n / 2
///     }
///
///     #[sink(from = half, cores = "1")]
///     pub fn last(_: u64) {}
/// }
///
/// // On two cores there is none for a worker of the pool besides the two pinned threads.
/// let machine = Machine::simulate("1x2").expect("a machine");
/// let error = crowded::pipeline().machine(machine).start(()).map(drop).unwrap_err();
/// let StartError::Machine(short) = error else {
///     panic!("{error}");
/// };
/// let [Shortfall::Shares { stage, usable, .. }] = &*short else {
///     panic!("{short:?}");
/// };
/// assert_eq!((*stage, *usable), ("last", 2));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Shortfall {
    /// A pinned stage has no cores to itself, because there are more threads than cores: its threads run where there is
    /// room, and sleep when they wait.
    #[error(
        "`{stage}` shares {}: {} and {} are more than the {usable} usable cores{}",
        named(cores), count(*threads, "pinned thread"), count(*workers, "worker"), also(*spins, *realtime)
    )]
    Shares {
        /// The first stage of the loop that these threads run.
        stage: &'static str,
        /// The cores that it asks for.
        cores: Vec<u32>,
        /// Pinned threads of the run.
        threads: usize,
        /// Workers of the run.
        workers: usize,
        /// Cores that this process may use.
        usable: usize,
        /// It asks to spin; it waits as `adaptive`.
        spins: bool,
        /// It asks for real-time priority; it has none.
        realtime: bool,
    },
    /// A pinned stage names a core that another one has.
    #[error("`{stage}` shares core {core}, which `{owner}` has{}", also(*spins, *realtime))]
    Taken {
        /// The first stage of the loop that shares.
        stage: &'static str,
        /// The core.
        core: u32,
        /// The first stage of the loop that has it.
        owner: &'static str,
        /// It asks to spin; it waits as `adaptive`.
        spins: bool,
        /// It asks for real-time priority; it has none.
        realtime: bool,
    },
    /// The system did not let a thread of a pinned stage be bound to its core.
    #[error("a thread of `{stage}` could not be bound to core {core}, and runs on any")]
    NotPinned {
        /// The first stage of the loop.
        stage: &'static str,
        /// The core.
        core: u32,
    },
    /// A pinned stage has no real-time priority.
    #[error("`{stage}` has no real-time priority: {source}")]
    NotRealtime {
        /// The stage.
        stage: &'static str,
        /// Why not.
        source: RealtimeError,
    },
    /// There are fewer cpus for the workers than there are workers, because the process may not use all cpus of the machine.
    #[error(
        "{workers} workers share {usable} cpus: the machine has {online}, and this process may not use the others"
    )]
    FewCpus {
        /// The workers that the pool asks for.
        workers: usize,
        /// The cpus that this process may use.
        usable: usize,
        /// The cpus that are switched on.
        online: usize,
    },
    /// Workers share physical cores, though the pool says `smt = avoid`.
    #[error("{workers} workers share {cores} cores, though `smt = avoid`")]
    SharedCores {
        /// The workers.
        workers: usize,
        /// The cores.
        cores: usize,
    },
    /// Workers are not bound to their cpus, because the system's cpu set is too narrow for one of them.
    #[error(
        "workers are not bound to cpus, because a thread cannot be bound to one above {MOST_PINNED}"
    )]
    HighCpu,
    /// Two pinned threads have one physical core: each runs slower while the other does. Looked at where the pipeline
    /// says `hw(enforce = ..)`, as all that follow but the last.
    #[error("cpu {} of `{stage}` and cpu {} of `{other}` are one physical core", cpus.0, cpus.1)]
    OneCore {
        /// The first stage of a loop.
        stage: &'static str,
        /// The first stage of the other loop, or of the same one.
        other: &'static str,
        /// Their cpus.
        cpus: (u32, u32),
    },
    /// A critical stage is pinned to efficient cores.
    #[error("`{stage}` is critical and pinned to the efficient {}", named(cores))]
    Efficient {
        /// The first stage of the loop.
        stage: &'static str,
        /// Those of its cores.
        cores: Vec<u32>,
    },
    /// The control groups give less time than the threads take; one that spins takes all of it.
    #[error(
        "{} have the time of {quota:.1} cpus, and stand still when it is used up{}",
        count(*threads, "thread"), spun(*spins)
    )]
    Quota {
        /// The threads of the run.
        threads: usize,
        /// How many cpus' worth of time there is.
        quota: f64,
        /// A stage that spins.
        spins: Option<&'static str>,
    },
    /// The workers are not bound, and may run on isolated cpus only, where the system does not spread them.
    #[error(
        "{workers} workers may run on isolated cpus only, and stay on the one that they begin on"
    )]
    OnlyIsolated {
        /// The workers.
        workers: usize,
    },
    /// The buffers may take more memory than there is.
    #[error("`memory` is {asked} bytes, and there are {room}")]
    Memory {
        /// What the pipeline says, in bytes.
        asked: u64,
        /// What is available, or what the control groups allow, in bytes.
        room: u64,
    },
    /// Reading the clock is a system call.
    #[error("the clock of this machine is `{clock}`, which takes a system call to read")]
    SlowClock {
        /// What the kernel calls it.
        clock: String,
    },
    /// The system did not let workers be bound to their cpus.
    #[error("the system did not let workers be bound to their cpus, so it decides where they run")]
    NotBound,
}

impl Shortfall {
    /// The rule that says so, as `cargo xtask hw explain` tells it: `P04`.
    pub fn id(&self) -> &'static str {
        match self {
            Self::NotPinned { .. } | Self::HighCpu | Self::NotBound => "P02",
            Self::Taken { .. } => "P03",
            Self::SharedCores { .. } | Self::OneCore { .. } => "P04",
            Self::Shares { .. } | Self::FewCpus { .. } => "P06",
            Self::OnlyIsolated { .. } => "P07",
            Self::Efficient { .. } => "P08",
            Self::NotRealtime { .. } => "P14",
            Self::Quota { .. } => "L06",
            Self::Memory { .. } => "M01",
            Self::SlowClock { .. } => "C09",
        }
    }

    /// What to write so that nothing is asked for in vain.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Shares {
                stage,
                threads,
                workers,
                ..
            } => format!(
                "remove `cores` of `{stage}`, give stages in a row the same cores, or run it on {} cores",
                threads + workers
            ),
            Self::Taken { stage, .. } => format!("write other `cores` for `{stage}`"),
            Self::NotPinned { stage, .. } => format!("remove `cores` of `{stage}`"),
            Self::NotRealtime { stage, .. } => format!("or remove `realtime` of `{stage}`"),
            Self::FewCpus { usable, .. } => format!(
                "write at most `workers = {usable}`, or start it with another cpuset or affinity mask"
            ),
            Self::SharedCores { cores, .. } => format!("write at most `workers = {cores}`"),
            Self::OneCore { other, .. } => format!("write other `cores` for `{other}`"),
            Self::Efficient { stage, .. } => format!("write faster `cores` for `{stage}`"),
            Self::Quota {
                spins: Some(stage), ..
            } => format!("write `wait = park` for `{stage}`, or start it without a quota"),
            Self::Quota { quota, .. } => format!(
                "have at most {}, or start it with a larger quota",
                count((*quota as usize).max(1), "thread")
            ),
            Self::OnlyIsolated { .. } => {
                "write the `cores` of the pool, or start it with other cpus".to_owned()
            }
            Self::Memory { room, .. } => format!("write at most `memory = {room}`"),
            Self::SlowClock { .. } => "let the kernel use `tsc`, if the machine has it".to_owned(),
            Self::HighCpu | Self::NotBound => "say `pin(false)` before `start`".to_owned(),
        }
    }
}

/// `core 3`, `cores 0-3`.
pub(crate) fn named(cores: &[u32]) -> String {
    let list = super::placement::listed(cores.iter().copied());
    format!("core{} {list}", if cores.len() == 1 { "" } else { "s" })
}

/// What a stage that spins does to a quota.
fn spun(stage: Option<&str>) -> String {
    stage.map_or(String::new(), |stage| {
        format!("; `{stage}` spins, and uses it up")
    })
}

/// `1 worker`, `2 workers`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What else a stage gives up that has no core to itself.
fn also(spins: bool, realtime: bool) -> &'static str {
    match (spins, realtime) {
        (true, _) => "; it waits as `adaptive`, not as `spin`",
        (_, true) => "; it has no real-time priority",
        _ => "",
    }
}
