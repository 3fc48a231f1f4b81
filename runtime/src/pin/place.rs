//! Which thread runs on which core, and which of them have to share.

#[cfg(test)]
mod tests;

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
    pub(crate) stage: &'static str,
    /// The core of each thread; `None` where it shares.
    pub(crate) cores: Box<[Option<u32>]>,
    pub(crate) wait: Wait,
    /// The real-time priority of its threads.
    pub(crate) realtime: Option<u8>,
    /// The lane of the most urgent stage.
    pub(crate) lane: Lane,
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

    /// The cores that its threads have to themselves.
    pub(crate) fn owned(&self) -> impl Iterator<Item = u32> + '_ {
        self.cores.iter().flatten().copied()
    }

    fn owns(&self) -> usize {
        self.owned().count()
    }
}

impl Placement {
    /// The cores that threads have to themselves.
    pub(crate) fn owned(&self) -> Vec<u32> {
        self.seats.iter().flat_map(Seat::owned).collect()
    }

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
