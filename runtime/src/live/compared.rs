//! What a file would change, and what of that cannot change while a run goes on.

use std::fmt;

use pipewright_spec::{
    check::realtime_misfit,
    cores::CoreSet,
    info::TopologyInfo,
    options::{Key, Wait, info},
    report::{Problem, Problems, Source, Span},
    ron::TuningFile,
    units,
};

use super::Change;
use crate::{
    budget::Misfit,
    error::TuningError,
    settings::{Settings, StageSettings},
    source::ShedSettings,
    tuning,
};

/// The settings with what a file changes, and what that is. `fits` says what of them does not fit into the memory of the run.
pub(crate) fn changed(
    before: &Settings,
    topology: &TopologyInfo,
    name: &str,
    text: &str,
    fits: impl Fn(&Settings) -> Option<Misfit>,
) -> Result<(Settings, Vec<Change>), TuningError> {
    let source = Source::new(name, text);
    let file = tuning::parse(&source, topology)?;
    let mut after = before.clone();
    tuning::change(&mut after, topology, &file);
    let changes: Vec<(Key, Change)> = changes(before, &after, topology);
    let mut problems = Problems::new();
    for (key, change) in &changes {
        if let Some(why) = why_fixed(*key, change, topology)
            && let Some(place) = file.place_of(change.stage, change.key)
        {
            let message = format!("`{}` is fixed when a run starts: {why}", change.key);
            let help = format!("leave it at {}, or start the run again", change.from);
            problems.push(Problem::new("E_FIXED", message, place.clone()).help(help));
        }
    }
    problems.extend(misfits(before, &after, topology, &file));
    problems.extend(too_many_futures(&after, topology, &file));
    problems.extend(waits(&after, topology, &file));
    problems.extend(fits(&after).and_then(|misfit| too_large(misfit, topology, &file)));
    if !problems.is_empty() {
        return Err(TuningError::Wrong(problems.render(&source)));
    }
    Ok((
        after,
        changes.into_iter().map(|(_, change)| change).collect(),
    ))
}

/// Why a number cannot change while a run goes on; `None` if it can.
fn why_fixed(key: Key, change: &Change, topology: &TopologyInfo) -> Option<&'static str> {
    let stage = change.stage.and_then(|name| topology.find(name));
    let reads_ring = || stage.is_some_and(|stage| topology.reads_ring(stage as u16));
    Some(match (key, change.key) {
        (Key::Queue, _) if reads_ring() => "the ring between two pinned threads is made then",
        (Key::Wait, _) if [&change.from, &change.to].contains(&&Wait::Spin.to_string()) => {
            "nobody wakes threads that spin"
        }
        _ if info(key).live => return None,
        (Key::Pool, "pool.workers") => "its threads are made then",
        (Key::Pool, _) => "its threads take their seats then",
        (Key::Hw, _) => "what the machine gives is looked at then",
        (Key::Cores, _) => "its threads are made then, and each has its part of the items",
        (Key::Realtime, _) => "its threads take their priority then",
        _ => "what it bounds is made then",
    })
}

/// Queues for which there is not enough memory, as at the start of a run.
fn too_large(misfit: Misfit, topology: &TopologyInfo, file: &TuningFile) -> Option<Problem<Span>> {
    let place = |stage, key: Key| file.place_of(stage, info(key).name);
    let mut queues = topology.stages.iter();
    let queue = queues.find_map(|stage| place(Some(stage.name), Key::Queue));
    let place = place(None, Key::Memory).or(queue)?;
    Some(Problem::new("E_MEMORY", misfit.to_string(), place.clone()).help(Misfit::HELP))
}

/// Threads that would have to wait in two ways, or in one that does not go with their priority.
fn waits(after: &Settings, topology: &TopologyInfo, file: &TuningFile) -> Problems<Span> {
    let mut problems = Problems::new();
    let name = info(Key::Wait).name;
    for pinned in topology.pinned {
        let stages = || pinned.stages.iter().map(|stage| usize::from(*stage));
        let realtime = stages().any(|stage| after.stages[stage].realtime.is_some());
        let said = stages().filter_map(|stage| Some((stage, after.stages[stage].wait?)));
        let Some((first, wait)) = said.clone().next() else {
            continue;
        };
        for (stage, other) in said {
            let (of, beside) = (topology.stages[stage].name, topology.stages[first].name);
            let (code, (message, help)) = match realtime_misfit(other, of).filter(|_| realtime) {
                Some(misfit) => ("E_REALTIME", misfit),
                None if other == wait => continue,
                None => {
                    let message = format!(
                        "`{of}` runs in one loop with `{beside}`, which says another `{name}`"
                    );
                    ("E_ONE_LOOP", (message, "give both the same"))
                }
            };
            let at = file.place_of(Some(of), name);
            if let Some(place) = at.or(file.place_of(Some(beside), name)) {
                problems.push(Problem::new(code, message, place.clone()).help(help));
            }
        }
    }
    problems
}

/// Futures for which there are no places.
fn too_many_futures(
    after: &Settings,
    topology: &TopologyInfo,
    file: &TuningFile,
) -> Problems<Span> {
    let mut problems = Problems::new();
    for (settings, stage) in after.stages.iter().zip(topology.stages) {
        let name = info(Key::InFlight).name;
        if settings.in_flight > settings.places
            && let Some(place) = file.place_of(Some(stage.name), name)
        {
            let most = settings.places;
            let message = format!(
                "`{name}` of `{}` cannot be more than {most} in this run: the places of futures are made when it starts",
                stage.name
            );
            let help = format!("write {most} or less, or start the run again");
            problems.push(Problem::new("E_FIXED", message, place.clone()).help(help));
        }
    }
    problems
}

/// Numbers of guards that do not fit each other, or that cannot change while a run goes on.
fn misfits(
    before: &Settings,
    after: &Settings,
    topology: &TopologyInfo,
    file: &TuningFile,
) -> Problems<Span> {
    let mut problems = Problems::new();
    let stages = before.stages.iter().zip(&after.stages);
    for ((before, after), stage) in stages.zip(topology.stages) {
        let (Some(before), Some(after)) = (&before.guard, &after.guard) else {
            continue;
        };
        if let Some((key, why)) = before.misfit(after)
            && let Some(place) = file.place_of(Some(stage.name), info(key).name)
        {
            let message = format!("`{}` of `{}`: {why}", info(key).name, stage.name);
            let help = "leave what it does not fit, or start the run again";
            problems.push(Problem::new("E_FIXED", message, place.clone()).help(help));
        }
    }
    problems
}

type ShedTime = fn(ShedSettings) -> u64;

/// The numbers of `shed(..)`, in nanoseconds.
const SHED: [(&str, ShedTime); 2] = [
    ("shed.target", |shed| shed.target),
    ("shed.interval", |shed| shed.interval),
];

/// What differs, in the order of the table of the keys.
fn changes(before: &Settings, after: &Settings, topology: &TopologyInfo) -> Vec<(Key, Change)> {
    let mut changes = Vec::new();
    let mut differ = |stage: Option<&'static str>, key: Key, name, values: [String; 2]| {
        let [from, to] = values;
        if from != to {
            changes.push((
                key,
                Change {
                    stage,
                    key: name,
                    from,
                    to,
                },
            ));
        }
    };
    let both = [before, after];
    let pool = [
        ("pool.workers", both.map(workers)),
        ("pool.cores", both.map(|s| listed(s.pool.cores.as_deref()))),
        ("pool.smt", both.map(|s| format!("{:?}", s.pool.smt))),
        ("pool.numa", both.map(|s| or_none(s.pool.numa))),
    ];
    for (name, values) in pool {
        differ(None, Key::Pool, name, values);
    }
    differ(None, Key::Quantum, "quantum", both.map(|s| time(s.quantum)));
    differ(None, Key::Memory, "memory", both.map(|s| bytes(s.memory)));
    let enforce = both.map(|s| s.enforce.name().to_owned());
    differ(None, Key::Hw, "hw.enforce", enforce);
    for (id, stage) in topology.stages.iter().enumerate() {
        let both = both.map(|settings| &settings.stages[id]);
        let values = [
            (Key::OnPanic, both.map(|s| s.on_panic.name().to_owned())),
            (
                Key::Priority,
                both.map(|s| named(s.priority.map(|word| word.name()))),
            ),
            (
                Key::Cores,
                both.map(|s| or_none(s.cores.as_ref().map(CoreSet::to_string))),
            ),
            (
                Key::Wait,
                both.map(|s| named(s.wait.map(|word| word.name()))),
            ),
            (Key::Realtime, both.map(|s| or_none(s.realtime))),
            (Key::Batch, both.map(|s| or_none(s.batch))),
            (Key::Linger, both.map(|s| time(s.linger))),
            (Key::Budget, both.map(|s| time(s.budget))),
            (Key::Idle, both.map(|s| time(s.idle))),
            (Key::Queue, both.map(|s| s.queue.to_string())),
            (Key::InFlight, both.map(|s| s.in_flight.to_string())),
        ];
        for (key, values) in values {
            differ(Some(stage.name), key, info(key).name, values);
        }
        let shed = both.map(|s| s.shed);
        for (name, part) in SHED {
            let value = |shed: Option<ShedSettings>| or_none(shed.map(|shed| time(part(shed))));
            differ(Some(stage.name), Key::Shed, name, shed.map(value));
        }
        for (key, name, values) in guarded(both) {
            differ(Some(stage.name), key, name, values);
        }
    }
    changes
}

/// The numbers of guards, before and after.
fn guarded(both: [&StageSettings; 2]) -> Vec<(Key, &'static str, [String; 2])> {
    let [Some(before), Some(after)] = both.map(|stage| stage.guard.as_ref()) else {
        return Vec::new();
    };
    let numbers = before.listed().into_iter().zip(after.listed());
    numbers
        .map(|((key, name, before), (.., after))| (key, name, [before, after].map(or_none)))
        .collect()
}

fn workers(settings: &Settings) -> String {
    settings
        .pool
        .workers
        .unwrap_or(settings.workers)
        .to_string()
}

fn time(ns: u64) -> String {
    units::Duration::from_ns(ns).to_string()
}

fn bytes(bytes: Option<u64>) -> String {
    or_none(bytes.map(|bytes| units::show_count(bytes).replace('"', "")))
}

fn named(name: Option<&str>) -> String {
    name.unwrap_or("its default").to_owned()
}

fn or_none(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| named(None), |value| value.to_string())
}

fn listed(cores: Option<&[u32]>) -> String {
    or_none(cores.and_then(CoreSet::of).map(|cores| cores.to_string()))
}
