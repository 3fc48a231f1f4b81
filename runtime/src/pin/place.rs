//! Which thread runs on which core, and which of them have to share.

use std::collections::{BTreeMap, BTreeSet};

use pipewright_spec::{
    check::realtime_misfit,
    cores::CoreSet,
    info::{PinnedInfo, TopologyInfo},
    options::Wait,
};

use crate::{
    error::StartError,
    lane::Lane,
    machine::{MOST_PINNED, Machine, Shortfall, named},
    settings::{IDLE_NS, Settings, StageSettings},
};

/// Where the pinned threads of a run are.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    /// One for each pinned segment.
    pub(crate) seats: Vec<Seat>,
    /// Are the threads bound to their cores? Not on a machine that is made up.
    pub(crate) bound: bool,
    /// What the segments ask for and do not get.
    pub(crate) short: Vec<Shortfall>,
}

/// Where the threads of one segment are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The first stage of the segment.
    stage: &'static str,
    /// The core of each thread; `None` where it shares.
    pub(crate) cores: Box<[Option<u32>]>,
    pub(crate) wait: Wait,
    /// The real-time priority of its threads.
    pub(crate) realtime: Option<u8>,
    /// The lane of the most urgent stage.
    lane: Lane,
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
    let mut placement = place_on(settings, info, &usable)?;
    placement.bound = !machine.is_simulated();
    Ok(placement)
}

fn place_on(
    settings: &mut Settings,
    info: &'static TopologyInfo,
    usable: &BTreeSet<u32>,
) -> Result<Placement, StartError> {
    let mut placement = Placement::default();
    for pinned in info.pinned {
        placement.seats.push(seat(settings, info, pinned, usable)?);
    }
    let threads = placement.seats.iter().map(|seat| seat.cores.len()).sum();
    let workers = workers(settings, info, threads, usable.len());
    settings.set_threads(workers, threads);
    placement.share_taken();
    placement.share_what_does_not_fit(workers, threads, usable.len());
    no_rest_for_spinning_sources(settings, info, &placement);
    Ok(placement)
}

/// What the stages of a segment ask for.
fn seat(
    settings: &Settings,
    info: &'static TopologyInfo,
    pinned: &PinnedInfo,
    usable: &BTreeSet<u32>,
) -> Result<Seat, StartError> {
    let stage = info.stages[usize::from(pinned.stages[0])].name;
    let cores = agreed(settings, info, pinned, "cores", |stage| stage.cores.clone())?;
    let cores: Vec<u32> = cores.iter().flat_map(CoreSet::iter).collect();
    check_usable(stage, &cores, usable)?;
    let wait = agreed(settings, info, pinned, "wait", |stage| stage.wait)?;
    let realtime = agreed(settings, info, pinned, "realtime", |stage| stage.realtime)?;
    let default = if realtime.is_some() {
        Wait::Park
    } else {
        Wait::Adaptive
    };
    let wait = wait.unwrap_or(default);
    if realtime.is_some()
        && let Some((message, help)) = realtime_misfit(wait, stage)
    {
        return Err(StartError::Cores(format!("{message}; {help}")));
    }
    let said = |stage: &u16| settings.stages[usize::from(*stage)].priority;
    let lane = pinned.stages.iter().filter_map(said).map(Lane::of);
    Ok(Seat {
        stage,
        cores: cores.into_iter().map(Some).collect(),
        wait,
        realtime,
        lane: lane.reduce(Lane::with).unwrap_or(Lane::NORMAL),
    })
}

/// What the stages of a segment say about its threads: those that say something say the same.
fn agreed<T: PartialEq>(
    settings: &Settings,
    info: &'static TopologyInfo,
    pinned: &PinnedInfo,
    key: &str,
    of: impl Fn(&StageSettings) -> Option<T>,
) -> Result<Option<T>, StartError> {
    let mut said = pinned.stages.iter().filter_map(|stage| {
        let value = of(&settings.stages[usize::from(*stage)])?;
        Some((info.stages[usize::from(*stage)].name, value))
    });
    let Some((first, value)) = said.next() else {
        return Ok(None);
    };
    match said.find(|(_, other)| *other != value) {
        Some((other, _)) => Err(StartError::Cores(format!(
            "`{other}` runs in one loop with `{first}`, and a tuning file gives them different `{key}`; give both the same"
        ))),
        None => Ok(Some(value)),
    }
}

/// The pool shrinks first, to what pinned threads leave, and has at least one worker if there is anything for it.
fn workers(settings: &Settings, info: &TopologyInfo, threads: usize, usable: usize) -> usize {
    if !info.has_pool {
        0
    } else if settings.pool.workers.is_some() {
        settings.workers
    } else {
        usable
            .saturating_sub(threads)
            .clamp(1, settings.workers.max(1))
    }
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
        named(
            &usable
                .iter()
                .copied()
                .filter(|core| *core <= MOST_PINNED)
                .collect::<Vec<_>>()
        ),
    )))
}

impl Seat {
    /// Gives its cores up: its threads run where there is room, and neither spin for long nor go before others. Returns
    /// whether they were asked to do the one or the other.
    fn share(&mut self) -> (bool, bool) {
        self.cores.iter_mut().for_each(|core| *core = None);
        let (spins, realtime) = (self.wait == Wait::Spin, self.realtime.take().is_some());
        if spins {
            self.wait = Wait::Adaptive;
        }
        (spins, realtime)
    }

    fn owned(&self) -> impl Iterator<Item = u32> + '_ {
        self.cores.iter().flatten().copied()
    }

    fn owns(&self) -> usize {
        self.owned().count()
    }
}

impl Placement {
    /// The segments in the order of their claims to a core: the most urgent lane first, and in a lane the order of the
    /// stream.
    fn claims(&self) -> Vec<usize> {
        let mut claims: Vec<usize> = (0..self.seats.len()).collect();
        claims.sort_by_key(|seat| self.seats[*seat].lane);
        claims
    }

    /// Of two segments that name one core, the one with the better claim has it.
    fn share_taken(&mut self) {
        let mut taken: BTreeMap<u32, &'static str> = BTreeMap::new();
        for claim in self.claims() {
            let seat = &mut self.seats[claim];
            let twice = seat
                .owned()
                .find_map(|core| Some((core, *taken.get(&core)?)));
            if let Some((core, owner)) = twice {
                let (spins, realtime) = seat.share();
                self.short.push(Shortfall::Taken {
                    stage: seat.stage,
                    core,
                    owner,
                    spins,
                    realtime,
                });
            }
            taken.extend(seat.owned().map(|core| (core, seat.stage)));
        }
    }

    /// While there are more threads than cores, the segment with the weakest claim gives its cores up.
    fn share_what_does_not_fit(&mut self, workers: usize, threads: usize, usable: usize) {
        let sharing = |seats: &[Seat]| seats.iter().any(|seat| seat.owns() < seat.cores.len());
        loop {
            let own: usize = self.seats.iter().map(Seat::owns).sum();
            // Threads that share need a core to share, as workers do.
            let others = workers.max(usize::from(sharing(&self.seats)));
            if own + others <= usable {
                return;
            }
            let owner = |claim: &usize| self.seats[*claim].owns() > 0;
            let Some(weakest) = self.claims().into_iter().rfind(owner) else {
                return;
            };
            let seat = &mut self.seats[weakest];
            let (stage, cores) = (seat.stage, seat.owned().collect());
            let (spins, realtime) = seat.share();
            self.short.push(Shortfall::Shares {
                stage,
                cores,
                threads,
                workers,
                usable,
                spins,
                realtime,
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
    use pipewright_spec::{
        info::{Kind, StageInfo, StateKind},
        options::Priority,
    };

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
            realtime: None,
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
        enforce: None,
        quantum_ns: None,
        drawing: "",
    };

    /// On so many cores, after `change`: the workers, which segments have their cores, how they wait, and what is told.
    #[track_caller]
    fn check(
        usable: u32,
        change: impl FnOnce(&mut Settings),
        workers: usize,
        own: [bool; 3],
        waits: [Wait; 3],
        told: &[&str],
    ) {
        let mut settings = Settings::of(&INFO);
        settings.set_threads(usable as usize, 0);
        change(&mut settings);
        let placement = place_on(&mut settings, &INFO, &(0..usable).collect()).unwrap();
        assert_eq!(settings.workers, workers);
        let owns = |seat: &Seat| seat.owns() == seat.cores.len();
        assert!(placement.seats.iter().map(owns).eq(own), "{placement:?}");
        assert!(
            placement.seats.iter().map(|seat| seat.wait).eq(waits),
            "{placement:?}"
        );
        let short: Vec<String> = placement.short.iter().map(ToString::to_string).collect();
        assert_eq!(short, told);
    }

    const AS_GIVEN: [Wait; 3] = [Wait::Spin, Wait::Park, Wait::Spin];
    const LAST: [Wait; 3] = [Wait::Spin, Wait::Park, Wait::Adaptive];

    fn of_workers(workers: usize) -> impl FnOnce(&mut Settings) {
        move |settings| {
            settings.set_threads(workers, 0);
            settings.pool.workers = Some(workers);
        }
    }

    #[test]
    fn the_pool_shrinks_first_and_then_the_last_segments_share() {
        check(8, |_| (), 4, [true, true, true], AS_GIVEN, &[]);
        check(5, |_| (), 1, [true, true, true], AS_GIVEN, &[]);
        check(
            4,
            |_| (),
            1,
            [true, true, false],
            LAST,
            &[
                "`last` shares core 3: 4 pinned threads and 1 worker are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
            ],
        );
        check(
            4,
            of_workers(2),
            2,
            [true, false, false],
            LAST,
            &[
                "`last` shares core 3: 4 pinned threads and 2 workers are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
                "`middle` shares cores 1-2: 4 pinned threads and 2 workers are more than the 4 usable cores",
            ],
        );
        check(
            4,
            of_workers(4),
            4,
            [false, false, false],
            [Wait::Adaptive, Wait::Park, Wait::Adaptive],
            &[
                "`last` shares core 3: 4 pinned threads and 4 workers are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
                "`middle` shares cores 1-2: 4 pinned threads and 4 workers are more than the 4 usable cores",
                "`first` shares core 0: 4 pinned threads and 4 workers are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
            ],
        );
    }

    #[test]
    fn the_least_urgent_segments_share_first() {
        let urgent = |stages: [(usize, Priority); 2]| {
            move |settings: &mut Settings| {
                for (stage, priority) in stages {
                    settings.stages[stage].priority = Some(priority);
                }
            }
        };
        check(
            4,
            urgent([(0, Priority::Low), (2, Priority::Critical)]),
            1,
            [false, true, true],
            [Wait::Adaptive, Wait::Park, Wait::Spin],
            &[
                "`first` shares core 0: 4 pinned threads and 1 worker are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
            ],
        );
        check(
            4,
            urgent([(0, Priority::High), (2, Priority::High)]),
            1,
            [true, false, true],
            AS_GIVEN,
            &[
                "`middle` shares cores 1-2: 4 pinned threads and 1 worker are more than the 4 usable cores",
            ],
        );
    }

    #[test]
    fn threads_that_share_have_no_real_time_priority() {
        let realtime = |settings: &mut Settings| {
            settings.stages[1].realtime = Some(10);
            settings.stages[1].priority = Some(Priority::Low);
        };
        check(
            4,
            realtime,
            1,
            [true, false, true],
            AS_GIVEN,
            &[
                "`middle` shares cores 1-2: 4 pinned threads and 1 worker are more than the 4 usable cores; it has no real-time priority",
            ],
        );
        let mut settings = Settings::of(&INFO);
        realtime(&mut settings);
        let placement = place_on(&mut settings, &INFO, &(0..8).collect()).unwrap();
        assert_eq!(placement.seats[1].realtime, Some(10));
        let placement = place_on(&mut settings, &INFO, &(0..4).collect()).unwrap();
        assert_eq!(placement.seats[1].realtime, None);
    }

    /// What is wrong after a change.
    #[track_caller]
    fn refused(info: &'static TopologyInfo, change: impl FnOnce(&mut Settings), expect: &str) {
        let mut settings = Settings::of(info);
        change(&mut settings);
        let usable = [0, 1, 2, 3, 5, 6, 7].into_iter().collect();
        let error = place_on(&mut settings, info, &usable).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn cores_that_are_not_there_are_named_with_those_that_are() {
        refused(
            &INFO,
            |settings| settings.stages[1].cores = CoreSet::of(&[4]),
            "`middle` is pinned to core 4, which this process may not use; it may use cores 0-3,5-7",
        );
    }

    #[test]
    fn a_thread_that_does_not_sleep_has_no_real_time_priority() {
        refused(
            &INFO,
            |settings| settings.stages[2].realtime = Some(1),
            "`wait = spin` of `last` does not go with `realtime`: a thread that never sleeps starves the kernel's own threads of its core, and the kernel stops it for 50 ms of each second; write `wait = park`, which is the default with `realtime`, or remove `realtime`",
        );
    }

    #[test]
    fn stages_of_one_loop_are_told_alike() {
        static TWO: TopologyInfo = TopologyInfo {
            pinned: &[pinned(&[0, 1]), pinned(&[2])],
            stages: &[
                stage("first", &[0], Wait::Spin),
                stage("middle", &[0], Wait::Spin),
                stage("last", &[3], Wait::Spin),
            ],
            ..INFO
        };
        refused(
            &TWO,
            |settings| settings.stages[1].wait = Some(Wait::Park),
            "`middle` runs in one loop with `first`, and a tuning file gives them different `wait`; give both the same",
        );
        refused(
            &TWO,
            |settings| settings.stages[1].cores = CoreSet::of(&[1]),
            "`middle` runs in one loop with `first`, and a tuning file gives them different `cores`; give both the same",
        );
    }

    #[test]
    fn a_core_belongs_to_the_better_claim() {
        let shared = |settings: &mut Settings| settings.stages[2].cores = CoreSet::of(&[1]);
        check(
            8,
            shared,
            4,
            [true, true, false],
            LAST,
            &["`last` shares core 1, which `middle` has; it waits as `adaptive`, not as `spin`"],
        );
        check(
            8,
            |settings| {
                shared(settings);
                settings.stages[2].priority = Some(Priority::High);
            },
            4,
            [true, false, true],
            AS_GIVEN,
            &["`middle` shares core 1, which `last` has"],
        );
    }
}
