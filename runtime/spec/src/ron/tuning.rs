//! The reader of tuning files: numbers that change at run time.

use std::collections::BTreeMap;

use super::fields::{self, Field};
use super::syntax;
use super::tree::Node;
use crate::check::{
    MAX_THREADS, Need, batch_need, budget_need, cores_need, idle_need, in_flight_need, linger_need,
    needs, panic_misfit, queue_need, realtime_misfit, too_many,
};
use crate::cores::CoreSet;
use crate::guards::{breaker_misfit, retry_misfits};
use crate::info::{GuardInfo, Kind, StageInfo, StateKind, TopologyInfo};
use crate::model::{Given, Name};
use crate::options::{
    self, Change, Enforce, Group, Key, KeyInfo, OnPanic, PIPELINE_KEYS, PipelineOptions, Pool,
    Priority, STAGE_KEYS, StageOptions, Wait,
};
use crate::report::{Problem, Problems, Source, Span};
use crate::suggest;
use crate::units::{Duration, Rate, short};

/// The numbers of a tuning file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TuningFile {
    /// The stages it names, in its order.
    pub stages: Vec<StageTuning>,
    /// `pool: (..)`.
    pub pool: Pool<Span>,
    /// `quantum`, in nanoseconds.
    pub quantum_ns: Option<Given<u64, Span>>,
    /// `memory`, in bytes.
    pub memory: Option<Given<u64, Span>>,
    /// `hw: (enforce: ..)`.
    pub enforce: Option<Given<Enforce, Span>>,
}

/// The numbers for a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTuning {
    /// The stage.
    pub name: Name<Span>,
    /// `batch`.
    pub batch: Option<Given<u32, Span>>,
    /// `linger`, in nanoseconds.
    pub linger_ns: Option<Given<u64, Span>>,
    /// How long a batch may take.
    pub budget_ns: Option<Given<u64, Span>>,
    /// `idle`, in nanoseconds.
    pub idle_ns: Option<Given<u64, Span>>,
    /// `queue`.
    pub queue: Option<Given<u32, Span>>,
    /// `in_flight`.
    pub in_flight: Option<Given<u32, Span>>,
    /// `priority`.
    pub priority: Option<Given<Priority, Span>>,
    /// `on_panic`.
    pub on_panic: Option<Given<OnPanic, Span>>,
    /// `cores`.
    pub cores: Option<Given<CoreSet, Span>>,
    /// `wait`.
    pub wait: Option<Given<Wait, Span>>,
    /// `realtime`.
    pub realtime: Option<Given<u32, Span>>,
    /// `workers`.
    pub workers: Option<Given<u32, Span>>,
    /// `timeout`, in nanoseconds.
    pub timeout_ns: Option<Given<u64, Span>>,
    /// `rate`.
    pub rate: Option<Given<Rate, Span>>,
    /// `shed: (..)`.
    pub shed: Option<Given<Group<Span>, Span>>,
    /// `retry: (..)`.
    pub retry: Option<Given<Group<Span>, Span>>,
    /// `breaker: (..)`.
    pub breaker: Option<Given<Group<Span>, Span>>,
}

/// Reads a tuning file: keys that can change at run time, and that this version has.
///
/// [`TuningFile::check_against`] then checks it against a pipeline.
pub fn tuning(source: &Source) -> Result<TuningFile, Problems<Span>> {
    let (file, mut problems) = parts(source)?;
    problems.sort();
    problems.into_result(file)
}

/// As [`tuning`], for a known pipeline: what is wrong with the file and what does not fit the pipeline, all at once.
pub fn tuning_of(source: &Source, info: &TopologyInfo) -> Result<TuningFile, Problems<Span>> {
    let (file, mut problems) = parts(source)?;
    problems.extend(file.check_against(info));
    problems.sort();
    problems.into_result(file)
}

/// What could be read, and what is wrong with the rest; only a syntax error stops.
fn parts(source: &Source) -> Result<(TuningFile, Problems<Span>), Problems<Span>> {
    let node = syntax::read(source)?;
    let mut problems = Problems::new();
    let mut file = TuningFile::default();
    let mut options = PipelineOptions::default();
    for field in fields::fields(
        node,
        "the parts of a tuning file",
        "( stages: { .. }, )",
        &mut problems,
    ) {
        match field.0 {
            "stages" => file.stages = stages(field.2, &mut problems),
            _ => pipeline_key(field, &mut options, &mut problems),
        }
    }
    file.pool = options.pool;
    file.enforce = options.hw.enforce;
    file.quantum_ns = options.quantum.map(nanoseconds);
    file.memory = options.memory;
    Ok((file, problems))
}

fn nanoseconds(given: Given<Duration, Span>) -> Given<u64, Span> {
    Given {
        value: given.value.ns(),
        key: given.key,
        place: given.place,
    }
}

fn pipeline_key(
    (key, at, node): Field<'_>,
    options: &mut PipelineOptions<Span>,
    problems: &mut Problems<Span>,
) {
    match options::find_pipeline(key) {
        None => {
            let known = PIPELINE_KEYS
                .iter()
                .filter(|info| info.is_tunable())
                .map(|info| info.name);
            problems.push(fields::unknown_key(
                "a tuning file",
                key,
                at,
                known.chain(["stages"]),
            ));
        }
        Some(info) => match refused(info, &at) {
            Some(problem) => problems.push(problem),
            None => {
                if let Err(found) = options.set(info, fields::raw(node.value), at, node.place) {
                    problems.extend(found);
                }
            }
        },
    }
}

/// Why a known key has no place in a tuning file.
fn refused(info: &KeyInfo, at: &Span) -> Option<Problem<Span>> {
    (info.change == Change::Shape).then(|| {
        let message = format!(
            "`{}` is part of the shape of a pipeline, which is fixed when it is compiled",
            info.name
        );
        let help = "change it where the pipeline is written, and compile again";
        Problem::new("E_SHAPE", message, at.clone()).help(help)
    })
}

fn stages(node: Node<'_>, problems: &mut Problems<Span>) -> Vec<StageTuning> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut stages = Vec::new();
    for (name, node) in fields::stages(node, problems) {
        if let Some(first) = seen.get(&name.text) {
            let message = format!("`{}` is given twice", short(&name.text));
            let problem = Problem::new("E_DUPLICATE_STAGE", message, name.place).help("keep one");
            problems.push(problem.related(first.clone(), "first given here"));
            continue;
        }
        seen.insert(name.text.clone(), name.place.clone());
        stages.push(stage(name, node, problems));
    }
    stages
}

fn stage(name: Name<Span>, node: Node<'_>, problems: &mut Problems<Span>) -> StageTuning {
    let mut options = StageOptions::default();
    let example = format!("\"{}\": (batch: 64)", short(&name.text));
    for (key, at, node) in fields::fields(node, "the numbers of a stage", &example, problems) {
        let Some(info) = options::find(key) else {
            let known = STAGE_KEYS
                .iter()
                .filter(|info| info.is_tunable())
                .map(|info| info.name);
            problems.push(fields::unknown_key("a tuned stage", key, at, known));
            continue;
        };
        if let Some(problem) = refused(info, &at) {
            problems.push(problem);
        } else if let Err(found) = options.set(info, fields::raw(node.value), at, node.place) {
            problems.extend(found);
        }
    }
    StageTuning {
        name,
        batch: options.batch,
        linger_ns: options.linger.map(nanoseconds),
        budget_ns: options.budget.map(nanoseconds),
        idle_ns: options.idle.map(nanoseconds),
        queue: options.queue,
        in_flight: options.in_flight,
        priority: options.priority,
        on_panic: options.on_panic,
        cores: options.cores,
        wait: options.wait,
        realtime: options.realtime,
        workers: options.workers,
        timeout_ns: options.timeout.map(nanoseconds),
        rate: options.rate,
        shed: options.shed,
        retry: options.retry,
        breaker: options.breaker,
    }
}

impl TuningFile {
    /// Where a number of the pipeline, or of one of its stages, stands: a key such as `batch`, or a field of one such as
    /// `pool.workers` or `breaker.open`.
    pub fn place_of(&self, stage: Option<&str>, name: &str) -> Option<&Span> {
        let (key, field) = name
            .split_once('.')
            .map_or((name, None), |(key, field)| (key, Some(field)));
        let Some(stage) = stage else {
            return self.place_in_pipeline(key, field);
        };
        let stage = self.stages.iter().find(|tuned| tuned.name.text == stage)?;
        match options::find(key)?.key {
            Key::Batch => place(&stage.batch),
            Key::Linger => place(&stage.linger_ns),
            Key::Budget => place(&stage.budget_ns),
            Key::Idle => place(&stage.idle_ns),
            Key::Queue => place(&stage.queue),
            Key::InFlight => place(&stage.in_flight),
            Key::Priority => place(&stage.priority),
            Key::OnPanic => place(&stage.on_panic),
            Key::Cores => place(&stage.cores),
            Key::Wait => place(&stage.wait),
            Key::Realtime => place(&stage.realtime),
            Key::Breaker => place_in(&stage.breaker, field),
            Key::Rate => place(&stage.rate),
            Key::Retry => place_in(&stage.retry, field),
            Key::Shed => place_in(&stage.shed, field),
            Key::Workers => place(&stage.workers),
            Key::Timeout => place(&stage.timeout_ns),
            _ => None,
        }
    }

    fn place_in_pipeline(&self, key: &str, field: Option<&str>) -> Option<&Span> {
        match (key, field) {
            ("quantum", _) => place(&self.quantum_ns),
            ("memory", _) => place(&self.memory),
            ("hw", _) => place(&self.enforce),
            ("pool", Some("workers")) => place(&self.pool.workers),
            ("pool", Some("cores")) => place(&self.pool.cores),
            ("pool", Some("smt")) => place(&self.pool.smt),
            ("pool", Some("numa")) => place(&self.pool.numa),
            _ => None,
        }
    }

    /// What of this file does not fit a pipeline: stages that it has not, and keys without effect.
    pub fn check_against(&self, topology: &TopologyInfo) -> Problems<Span> {
        let mut problems = Problems::new();
        for stage in &self.stages {
            match topology.find(&stage.name.text) {
                Some(found) => stage.check_against(topology, found, &mut problems),
                None => problems.push(unknown(stage, topology)),
            }
        }
        problems
    }
}

fn place<T>(given: &Option<Given<T, Span>>) -> Option<&Span> {
    given.as_ref().map(|given| &given.place)
}

/// Where a field of a group stands, or else the group.
fn place_in<'g>(
    given: &'g Option<Given<Group<Span>, Span>>,
    field: Option<&str>,
) -> Option<&'g Span> {
    let given = given.as_ref()?;
    let found = field.and_then(|name| given.value.find(name));
    Some(found.map_or(&given.place, |field| &field.place))
}

fn unknown(stage: &StageTuning, topology: &TopologyInfo) -> Problem<Span> {
    let Name { text, place } = &stage.name;
    let message = format!("`{}` has no stage `{}`", topology.name, short(text));
    let names = topology.stages.iter().map(|stage| stage.name);
    Problem::new("E_UNKNOWN_STAGE", message, place.clone()).help(suggest::help(
        text,
        "its stages",
        names,
    ))
}

impl StageTuning {
    fn check_against(&self, topology: &TopologyInfo, found: usize, problems: &mut Problems<Span>) {
        let info = &topology.stages[found];
        let (source, keyed) = (info.kind == Kind::Source, info.state == StateKind::Keyed);
        needed(
            &self.batch,
            batch_need(source, info.is_batch),
            info,
            problems,
        );
        needed(
            &self.linger_ns,
            linger_need(info.is_batch, keyed),
            info,
            problems,
        );
        needed(&self.budget_ns, budget_need(info.is_batch), info, problems);
        needed(&self.idle_ns, idle_need(info.is_poll), info, problems);
        needed(
            &self.queue,
            queue_need(
                options::Key::Queue,
                info.reads_input(),
                topology.reads_ring(found as u16),
            ),
            info,
            problems,
        );
        let futures = in_flight_need(info.is_async);
        needed(&self.in_flight, futures, info, problems);
        let pinned = info.cores.is_some();
        needed(
            &self.wait,
            cores_need(options::Key::Wait, pinned),
            info,
            problems,
        );
        needed(
            &self.realtime,
            cores_need(options::Key::Realtime, pinned),
            info,
            problems,
        );
        self.check_cores(info, problems);
        self.check_realtime(info, problems);
        self.check_guards(topology, found, problems);
        self.check_panic(topology, info, problems);
    }

    /// Guards that are not there cannot be tuned.
    fn check_guards(&self, topology: &TopologyInfo, found: usize, problems: &mut Problems<Span>) {
        let info = &topology.stages[found];
        let guard = topology.guard_of(found as u16);
        self.check_breaker(info, guard, problems);
        self.check_retry(info, guard, problems);
        self.check_presence(topology, found, problems);
    }

    fn check_panic(
        &self,
        topology: &TopologyInfo,
        info: &StageInfo,
        problems: &mut Problems<Span>,
    ) {
        if let Some(given) = &self.on_panic
            && let Some((message, help)) = panic_misfit(given.value, info.state, info.name)
        {
            problems.push(Problem::new("E_NEEDS", message, given.place.clone()).help(help));
        }
        if let Some(given) = &self.on_panic
            && given.value == OnPanic::DeadLetter
            && info.on_panic != Some(OnPanic::DeadLetter)
        {
            let message = format!(
                "`on_panic = dead_letter` of `{}` was not compiled in",
                info.name
            );
            let help = "give it where the pipeline is written, and compile again";
            problems.push(Problem::new("E_SHAPE", message, given.place.clone()).help(help));
        }
        let acked = topology.sources.iter().any(|source| source.acks);
        if let Some(given) = self
            .on_panic
            .as_ref()
            .filter(|given| acked && !matches!(given.value, OnPanic::Stop | OnPanic::DeadLetter))
        {
            let message = format!(
                "`{}` has a source with `acks`, and an item that panics in `{}` would be lost",
                topology.name, info.name
            );
            problems.push(
                Problem::new("E_ACKS_PANIC", message, given.place.clone())
                    .help("write `stop`, or remove it"),
            );
        }
    }
}

impl StageTuning {
    /// Whether a stage has them at all is shape.
    fn check_presence(&self, topology: &TopologyInfo, found: usize, problems: &mut Problems<Span>) {
        let info = &topology.stages[found];
        let guard = topology.guard_of(found as u16);
        let load = topology.load_of(found as u16);
        if let Some(given) = &self.shed
            && load.is_none_or(|load| load.shed.is_none())
        {
            problems.push(without("shed", info, &given.key));
        }
        if let Some(given) = &self.workers
            && guard.is_none_or(|guard| guard.workers.is_none())
        {
            problems.push(without("workers", info, &given.key));
        }
        if let Some(given) = &self.timeout_ns
            && guard.is_none_or(|guard| guard.timeout_ns.is_none())
        {
            problems.push(without("timeout", info, &given.key));
        }
        if let Some(given) = &self.rate
            && guard.is_none_or(|guard| guard.rate.is_none())
        {
            problems.push(without("rate", info, &given.key));
        }
    }

    /// Whether a stage has threads of its own, and whether it has one or several, is shape.
    fn check_cores(&self, info: &StageInfo, problems: &mut Problems<Span>) {
        let Some(given) = &self.cores else { return };
        let problem = match info.cores {
            None => Problem::new(
                "E_SHAPE",
                format!("`{}` was compiled without `cores`", info.name),
                given.key.clone(),
            )
            .help("add `cores` where the pipeline is written, and compile again"),
            Some(compiled) if compiled.len() == 1 && given.value.len() > 1 => Problem::new(
                "E_SHAPE",
                format!("`{}` was compiled for one core", info.name),
                given.place.clone(),
            )
            .help("write one core, or give several where the pipeline is written"),
            Some(_) => match too_many(&given.value) {
                Some(message) => Problem::new("E_MANY_CORES", message, given.place.clone())
                    .help(format!("name at most {MAX_THREADS} cores")),
                None => return,
            },
        };
        problems.push(problem);
    }
}

impl StageTuning {
    /// A thread with real-time priority sleeps, whichever of the two keys is tuned.
    fn check_realtime(&self, info: &StageInfo, problems: &mut Problems<Span>) {
        let tuned = self.wait.as_ref().map(|given| given.value);
        let has_it = self.realtime.is_some() || info.realtime.is_some();
        let at = self.wait.as_ref().map(|given| &given.place);
        let at = at.or(self.realtime.as_ref().map(|given| &given.key));
        if let (Some(wait), Some(at), true) = (tuned.or(info.wait), at, has_it)
            && let Some((message, help)) = realtime_misfit(wait, info.name)
        {
            problems.push(Problem::new("E_REALTIME", message, at.clone()).help(help));
        }
    }
}

impl StageTuning {
    /// Whether a stage has a breaker, and what becomes of items that do not wait, is shape.
    fn check_breaker(
        &self,
        info: &StageInfo,
        guard: Option<&GuardInfo>,
        problems: &mut Problems<Span>,
    ) {
        let Some(given) = &self.breaker else { return };
        let Some(compiled) = guard.and_then(|guard| guard.breaker) else {
            problems.push(without("breaker", info, &given.key));
            return;
        };
        let compiled = |name: &str| {
            compiled
                .iter()
                .find(|field| field.name == name)
                .map(|field| field.value)
        };
        for name in ["on_open", "hold", "fallback"] {
            // How long items wait is a number, if they may leave at all.
            let tunable = name == "hold" && compiled(name).is_some();
            if let Some(field) = given.value.find(name).filter(|_| !tunable) {
                let message = format!("`{name}` of `{}` was not compiled in", info.name);
                let help = "give it where the pipeline is written, and compile again";
                problems.push(Problem::new("E_SHAPE", message, field.key.clone()).help(help));
            }
        }
        let tuned = |name: &str| given.value.find(name)?.value.as_field();
        let find = |name: &str| tuned(name).or_else(|| compiled(name));
        if let Some((name, why, help)) = breaker_misfit(find) {
            let place = given
                .value
                .find(name)
                .map_or(&given.key, |field| &field.place);
            let message = format!("`{name}` of the breaker of `{}`: {why}", info.name);
            problems.push(Problem::new("E_BREAKER", message, place.clone()).help(help));
        }
    }
}

impl StageTuning {
    /// Whether a stage tries again is shape.
    fn check_retry(
        &self,
        info: &StageInfo,
        guard: Option<&GuardInfo>,
        problems: &mut Problems<Span>,
    ) {
        let Some(given) = &self.retry else { return };
        let Some(compiled) = guard.and_then(|guard| guard.retry) else {
            problems.push(without("retry", info, &given.key));
            return;
        };
        let tuned = |name: &str| given.value.find(name)?.value.as_field();
        let compiled = |name: &str| {
            compiled
                .iter()
                .find(|field| field.name == name)
                .map(|field| field.value)
        };
        if retry_misfits(|name| tuned(name).or_else(|| compiled(name))) {
            let message = format!(
                "the longest pause of `{}` is shorter than the first",
                info.name
            );
            let help = "let `max_backoff` be at least `backoff`";
            problems.push(Problem::new("E_RETRY", message, given.place.clone()).help(help));
        }
    }
}

/// Whether a stage has a key is shape.
fn without(key: &str, info: &StageInfo, at: &Span) -> Problem<Span> {
    let message = format!("`{}` was compiled without `{key}`", info.name);
    let help = format!("add `{key}` where the pipeline is written, and compile again");
    Problem::new("E_SHAPE", message, at.clone()).help(help)
}

fn needed<T>(
    given: &Option<Given<T, Span>>,
    need: Need,
    info: &StageInfo,
    problems: &mut Problems<Span>,
) {
    let (key, fits, what, _) = need;
    if let Some(given) = given.as_ref().filter(|_| !fits) {
        let message = needs(key, what, info.name);
        problems.push(Problem::new("E_NEEDS", message, given.key.clone()).help("remove it"));
    }
}
