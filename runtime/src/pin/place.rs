//! Which thread runs on which core, and which of them have to share.

use std::collections::BTreeSet;

use pipewright_spec::{
    cores::CoreSet,
    info::{PinnedInfo, TopologyInfo},
    options::Wait,
};

use crate::{
    error::StartError,
    machine::{MOST_PINNED, Machine},
    settings::{IDLE_NS, Settings},
};

/// Something that a run does otherwise than it was told, because of the machine. Results, order and states are the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Warning {
    /// A pinned stage has no cores of its own, because there are more threads than cores: its threads run where there is
    /// room, and sleep when they wait.
    #[error(
        "`{stage}` shares its cores: {threads} pinned threads and {workers} workers are more than the {usable} usable cores"
    )]
    Shares {
        /// The first stage of the segment.
        stage: &'static str,
        /// Pinned threads of the run.
        threads: usize,
        /// Workers of the run.
        workers: usize,
        /// Cores that this process may use.
        usable: usize,
    },
    /// A pinned stage names cores that another one has already.
    #[error("`{stage}` shares core {core}, which a stage before it has for its own")]
    Taken {
        /// The first stage of the segment.
        stage: &'static str,
        /// The core.
        core: u32,
    },
    /// The system did not let a thread be moved to its core.
    #[error("a thread of `{stage}` could not be moved to core {core}, and runs on any")]
    NotPinned {
        /// The first stage of the segment.
        stage: &'static str,
        /// The core.
        core: u32,
    },
}

/// Where the pinned threads of a run are.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    /// One for each pinned segment.
    pub(crate) seats: Vec<Seat>,
    pub(crate) warnings: Vec<Warning>,
}

/// Where the threads of one segment are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The core of each thread; `None` where it shares.
    pub(crate) cores: Box<[Option<u32>]>,
    pub(crate) wait: Wait,
}

/// Places the pinned threads on this machine, and sizes the pool to what is left.
pub(crate) fn place(
    settings: &mut Settings,
    info: &'static TopologyInfo,
    machine: &Machine,
) -> Result<Placement, StartError> {
    if info.pinned.is_empty() {
        return Ok(Placement::default());
    }
    let usable = machine.usable().map(|cpu| cpu.id).collect();
    place_on(settings, info, &usable)
}

fn place_on(
    settings: &mut Settings,
    info: &'static TopologyInfo,
    usable: &BTreeSet<u32>,
) -> Result<Placement, StartError> {
    let mut placement = Placement::default();
    for pinned in info.pinned {
        let cores = cores_of(settings, info, pinned)?;
        check_usable(name(info, pinned), &cores, usable)?;
        placement.seats.push(Seat {
            cores: cores.into_iter().map(Some).collect(),
            wait: settings.stages[usize::from(pinned.stages[0])].wait,
        });
    }
    let threads = placement.seats.iter().map(|seat| seat.cores.len()).sum();
    let workers = workers(settings, info, threads, usable.len());
    settings.set_threads(workers, threads);
    placement.share_taken(info);
    placement.share_what_does_not_fit(info, workers, threads, usable.len());
    no_rest_for_spinning_sources(settings, info, &placement);
    Ok(placement)
}

/// The pool shrinks first, to what pinned threads leave, and has at least one worker if there is anything for it.
fn workers(settings: &Settings, info: &TopologyInfo, threads: usize, usable: usize) -> usize {
    if !info.has_pool {
        0
    } else if settings.pool.workers.is_some() {
        settings.workers
    } else {
        usable.saturating_sub(threads).clamp(1, settings.workers.max(1))
    }
}

/// The cores of a segment: those of its stages, which are the same.
fn cores_of(
    settings: &Settings,
    info: &'static TopologyInfo,
    pinned: &PinnedInfo,
) -> Result<Vec<u32>, StartError> {
    let of = |stage: u16| settings.stages[usize::from(stage)].cores.clone();
    let first = of(pinned.stages[0]);
    let other = pinned.stages.iter().find(|stage| of(**stage) != first);
    if let Some(other) = other {
        let stage = info.stages[usize::from(*other)].name;
        return Err(StartError::Cores(format!(
            "`{stage}` runs in one loop with `{}`, and a tuning file gives them different cores; give both the same",
            name(info, pinned)
        )));
    }
    Ok(first.map_or_else(Vec::new, |cores| cores.iter().collect()))
}

fn check_usable(stage: &str, cores: &[u32], usable: &BTreeSet<u32>) -> Result<(), StartError> {
    let bad: Vec<u32> = cores
        .iter()
        .copied()
        .filter(|core| !usable.contains(core) || *core > MOST_PINNED)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(StartError::Cores(format!(
        "`{stage}` is pinned to {}, which this process may not use; it may use {}",
        named(&bad),
        named(&usable.iter().copied().filter(|core| *core <= MOST_PINNED).collect::<Vec<_>>()),
    )))
}

/// `core 3`, `cores 0-3`.
fn named(cores: &[u32]) -> String {
    let list: Vec<String> = cores.iter().map(ToString::to_string).collect();
    let list = list.join(",");
    let list = CoreSet::parse(&list).map_or(list, |set| set.to_string());
    format!("core{} {list}", if cores.len() == 1 { "" } else { "s" })
}

fn name(info: &'static TopologyInfo, pinned: &PinnedInfo) -> &'static str {
    info.stages[usize::from(pinned.stages[0])].name
}

impl Seat {
    /// Gives its cores up: its threads run where there is room, and never spin for long.
    fn share(&mut self) {
        self.cores.iter_mut().for_each(|core| *core = None);
        if self.wait == Wait::Spin {
            self.wait = Wait::Adaptive;
        }
    }

    fn owns(&self) -> usize {
        self.cores.iter().flatten().count()
    }
}

impl Placement {
    /// Of two segments that name one core, the one before has it.
    fn share_taken(&mut self, info: &'static TopologyInfo) {
        let mut taken: BTreeSet<u32> = BTreeSet::new();
        for (seat, pinned) in self.seats.iter_mut().zip(info.pinned) {
            let twice = seat.cores.iter().flatten().find(|core| taken.contains(core));
            if let Some(&core) = twice {
                let stage = name(info, pinned);
                self.warnings.push(Warning::Taken { stage, core });
                seat.share();
            }
            taken.extend(seat.cores.iter().flatten());
        }
    }

    /// While there are more threads than cores, the last segment gives its cores up.
    fn share_what_does_not_fit(
        &mut self,
        info: &'static TopologyInfo,
        workers: usize,
        threads: usize,
        usable: usize,
    ) {
        let sharing = |seats: &[Seat]| seats.iter().any(|seat| seat.owns() < seat.cores.len());
        loop {
            let own: usize = self.seats.iter().map(Seat::owns).sum();
            // Threads that share need a core to share, as workers do.
            let others = workers.max(usize::from(sharing(&self.seats)));
            if own + others <= usable {
                return;
            }
            let last = self.seats.iter().rposition(|seat| seat.owns() > 0);
            let Some(last) = last else { return };
            self.seats[last].share();
            let stage = name(info, &info.pinned[last]);
            self.warnings.push(Warning::Shares {
                stage,
                threads,
                workers,
                usable,
            });
        }
    }
}

/// A source that spins is asked again at once, unless its `idle` says otherwise.
fn no_rest_for_spinning_sources(
    settings: &mut Settings,
    info: &TopologyInfo,
    placement: &Placement,
) {
    for (seat, pinned) in placement.seats.iter().zip(info.pinned) {
        let stage = usize::from(pinned.stages[0]);
        let idle = &mut settings.stages[stage].idle;
        let is_default = info.stages[stage].idle_ns.is_none() && *idle == IDLE_NS;
        if seat.wait == Wait::Spin && pinned.source.is_some() && is_default {
            *idle = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use pipewright_spec::info::{Kind, StageInfo, StateKind};

    use super::*;

    const fn stage(name: &'static str, cores: &'static [u32], wait: Wait) -> StageInfo {
        StageInfo {
            name,
            kind: Kind::Stage,
            file: "",
            line: 0,
            state: StateKind::None,
            fallible: false,
            many: false,
            is_poll: false,
            is_batch: false,
            batch: None,
            linger_ns: None,
            idle_ns: None,
            queue: None,
            priority: None,
            cores: Some(cores),
            wait: Some(wait),
            on_panic: None,
            on_error: None,
            inputs: &[],
        }
    }

    const fn pinned(stages: &'static [u16]) -> PinnedInfo {
        PinnedInfo {
            stages,
            source: None,
            link: None,
        }
    }

    static INFO: TopologyInfo = TopologyInfo {
        name: "three",
        stages: &[
            stage("first", &[0], Wait::Spin),
            stage("middle", &[1, 2], Wait::Park),
            stage("last", &[3], Wait::Spin),
        ],
        links: &[],
        sources: &[],
        pinned: &[pinned(&[0]), pinned(&[1]), pinned(&[2])],
        has_pool: true,
        pool: pipewright_spec::info::PoolInfo::NONE,
        quantum_ns: None,
        drawing: "",
    };

    /// Workers that are given, cores that are usable; the workers that there are, which segments have their cores, and how
    /// they wait.
    #[track_caller]
    fn check(given: Option<usize>, usable: u32, workers: usize, own: [bool; 3], waits: [Wait; 3]) {
        let mut settings = Settings::of(&INFO);
        settings.set_threads(usable as usize, 0);
        if let Some(given) = given {
            settings.set_threads(given, 0);
            settings.pool.workers = Some(given);
        }
        let placement = place_on(&mut settings, &INFO, &(0..usable).collect()).unwrap();
        assert_eq!(settings.workers, workers);
        let owns = |seat: &Seat| seat.owns() == seat.cores.len();
        assert!(placement.seats.iter().map(owns).eq(own));
        assert!(placement.seats.iter().map(|seat| seat.wait).eq(waits));
        let sharing = own.iter().filter(|own| !**own).count();
        assert_eq!(placement.warnings.len(), sharing, "{:?}", placement.warnings);
    }

    #[test]
    fn the_pool_shrinks_first_and_then_the_last_segments_share() {
        const AS_GIVEN: [Wait; 3] = [Wait::Spin, Wait::Park, Wait::Spin];
        const LAST: [Wait; 3] = [Wait::Spin, Wait::Park, Wait::Adaptive];
        check(None, 8, 4, [true, true, true], AS_GIVEN);
        check(None, 5, 1, [true, true, true], AS_GIVEN);
        check(None, 4, 1, [true, true, false], LAST);
        check(Some(2), 4, 2, [true, false, false], LAST);
        check(
            Some(4),
            4,
            4,
            [false, false, false],
            [Wait::Adaptive, Wait::Park, Wait::Adaptive],
        );
    }

    #[test]
    fn cores_that_are_not_there_are_named_with_those_that_are() {
        let mut settings = Settings::of(&INFO);
        let usable = [0, 1, 5, 6, 7].into_iter().collect();
        let error = place_on(&mut settings, &INFO, &usable).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`middle` is pinned to core 2, which this process may not use; it may use cores 0,1,5-7"
        );
    }

    #[test]
    fn a_core_belongs_to_the_first_that_names_it() {
        let mut settings = Settings::of(&INFO);
        settings.stages[2].cores = CoreSet::of(&[1]);
        let placement = place_on(&mut settings, &INFO, &(0..8).collect()).unwrap();
        let stage = "last";
        assert_eq!(placement.warnings, [Warning::Taken { stage, core: 1 }]);
        assert_eq!(placement.seats[2].cores[..], [None]);
        assert_eq!(placement.seats[2].wait, Wait::Adaptive);
    }
}
