//! What pipelines ask of the machine.

use pipewright::machine::{Machine, kernel};
use pipewright_spec::{
    model::{Model, Stage},
    options::{Priority, Smt, Value, Wait},
    plan::{self, Head, Plan},
    units::Rate,
};

/// Pipelines, and what they are expected to do.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The pipelines of one process.
    pub pipelines: Vec<Declaration>,
    /// What no pipeline says.
    pub demands: Demands,
}

/// What is expected of a pipeline and does not stand in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demands {
    /// The time in which 99 of 100 items are to be done, in nanoseconds.
    pub p99: Option<u64>,
    /// Items that come in a time.
    pub rate: Option<Rate>,
    /// What one item takes on one worker, in nanoseconds.
    pub service: Option<u64>,
    /// Bytes of an item.
    pub item: Option<u64>,
    /// Bytes that are to be locked in memory.
    pub locked: Option<u64>,
    /// Huge pages that are to be reserved.
    pub huge_pages: Option<u64>,
}

/// A pipeline as it is written.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Its file.
    pub file: String,
    model: Model<()>,
    plan: Plan,
}

/// The threads of a loop that has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// `pipeline.stage`, of the first stage of the loop.
    pub(crate) name: String,
    pub(crate) cores: Vec<u32>,
    pub(crate) wait: Wait,
    pub(crate) realtime: Option<u8>,
    pub(crate) is_critical: bool,
}

/// A link between two loops that have threads of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: Pinned,
    pub(crate) to: Pinned,
}

/// The workers of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) name: String,
    /// As many as are asked for.
    pub(crate) workers: Option<usize>,
    /// The cores that it names.
    pub(crate) cores: Option<Vec<u32>>,
    pub(crate) smt: Option<Smt>,
    pub(crate) numa: Option<u32>,
}

/// A time that a stage counts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// `pipeline.stage`.
    pub(crate) stage: String,
    /// The key, such as `linger`.
    pub(crate) key: &'static str,
    pub(crate) ns: u64,
}

impl Declaration {
    /// A pipeline that was read from a file and has no mistake.
    pub fn new(file: impl Into<String>, model: Model<()>) -> Self {
        let plan = plan::plan(&model);
        Self {
            file: file.into(),
            model,
            plan,
        }
    }

    fn name(&self, stage: &Stage<()>) -> String {
        format!("{}.{}", self.model.name, stage.name.text)
    }

    /// The bytes that its buffers may take.
    fn memory(&self) -> Option<u64> {
        Some(self.model.options.memory.as_ref()?.value)
    }

    fn pinned(&self) -> impl Iterator<Item = (usize, Pinned)> + '_ {
        let segments = self.plan.segments.iter().enumerate();
        segments.filter_map(|(at, segment)| {
            let cores = segment.cores.as_ref()?.as_slice().to_vec();
            let head = match segment.head {
                Head::Source(stage) => Some(stage),
                Head::Input | Head::Link(_) => None,
            };
            let stages: Vec<&Stage<()>> = head
                .iter()
                .chain(&segment.stages)
                .map(|stage| &self.model.stages[*stage])
                .collect();
            let said =
                |stage: &&Stage<()>| stage.options.realtime.as_ref().map(|given| given.value);
            let realtime = stages
                .iter()
                .find_map(said)
                .and_then(|n| u8::try_from(n).ok());
            let wait = stages
                .iter()
                .find_map(|stage| stage.options.wait.as_ref().map(|given| given.value));
            let default = match realtime {
                Some(_) => Wait::Park,
                None => Wait::Adaptive,
            };
            let critical = |stage: &&Stage<()>| {
                let given = stage.options.priority.as_ref();
                given.is_some_and(|given| given.value == Priority::Critical)
            };
            let pinned = Pinned {
                name: self.name(stages.first()?),
                cores,
                wait: wait.unwrap_or(default),
                realtime,
                is_critical: stages.iter().any(critical),
            };
            Some((at, pinned))
        })
    }

    fn edges(&self) -> Vec<Edge> {
        let pinned: Vec<(usize, Pinned)> = self.pinned().collect();
        let of = |segment: usize| {
            pinned
                .iter()
                .find(|(at, _)| *at == segment)
                .map(|(_, p)| p.clone())
        };
        let mut edges = Vec::new();
        for link in &self.plan.links {
            for (stage, _) in &link.from {
                let from = self.plan.segment_of(*stage).and_then(of);
                if let (Some(from), Some(to)) = (from, of(link.segment)) {
                    edges.push(Edge { from, to });
                }
            }
        }
        edges
    }

    fn pool(&self) -> Option<Pool> {
        let has_pool = self
            .plan
            .segments
            .iter()
            .any(|segment| !segment.is_pinned());
        has_pool.then(|| {
            let pool = &self.model.options.pool;
            Pool {
                name: self.model.name.clone(),
                workers: pool.workers.as_ref().map(|given| given.value as usize),
                cores: pool
                    .cores
                    .as_ref()
                    .map(|given| given.value.as_slice().to_vec()),
                smt: pool.smt.as_ref().map(|given| given.value),
                numa: pool.numa.as_ref().map(|given| given.value),
            }
        })
    }

    /// The times that its stages count on.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for stage in &self.model.stages {
            let options = &stage.options;
            let mut add = |key, ns: Option<u64>| {
                let stage = self.name(stage);
                spans.extend(ns.map(|ns| Span { stage, key, ns }));
            };
            let batches = stage
                .signature
                .is_some_and(|signature| signature.is_batch());
            let linger = options.linger.as_ref().map(|given| given.value.ns());
            add("linger", linger.or(batches.then_some(kernel::LINGER_NS)));
            let pinned_spin = options
                .wait
                .as_ref()
                .is_some_and(|given| given.value == Wait::Spin);
            let idle = options.idle.as_ref().map(|given| given.value.ns());
            add("idle", idle.filter(|ns| *ns > 0 && !pinned_spin));
            add(
                "timeout",
                options.timeout.as_ref().map(|given| given.value.ns()),
            );
            let rate = options.rate.as_ref().map(|given| given.value);
            add("rate", rate.map(|rate| rate.per.ns() / rate.count.max(1)));
            for (key, group) in [("breaker", &options.breaker), ("retry", &options.retry)] {
                let Some(group) = group else { continue };
                for field in &group.value.fields {
                    if let (Value::Time(time), "window" | "open" | "backoff") =
                        (&field.value, field.name)
                    {
                        let key = match (key, field.name) {
                            ("breaker", "window") => "breaker window",
                            ("breaker", _) => "breaker open",
                            _ => "retry backoff",
                        };
                        add(key, Some(time.ns()));
                    }
                }
            }
        }
        spans
    }

    /// For each breaker with a window in time: its stage, the window in nanoseconds, and the items that it needs in it.
    fn windows(&self) -> Vec<(String, u64, u64)> {
        let breakers = self.model.stages.iter().filter_map(|stage| {
            let group = &stage.options.breaker.as_ref()?.value;
            let time = |name, other| match group.find(name).map(|field| &field.value) {
                Some(Value::Time(time)) => Some(time.ns()),
                Some(_) => None,
                None => Some(other),
            };
            let items = match group.find("min_items").map(|field| &field.value) {
                Some(Value::Count(items)) => *items,
                _ => pipewright_spec::guards::MIN_ITEMS.into(),
            };
            Some((
                self.name(stage),
                time("window", pipewright_spec::guards::WINDOW_NS)?,
                items,
            ))
        });
        breakers.collect()
    }
}

impl Declared {
    /// Is there a pipeline?
    pub(crate) fn is_empty(&self) -> bool {
        self.pipelines.is_empty()
    }

    /// The loops that have threads of their own.
    pub(crate) fn pinned(&self) -> Vec<Pinned> {
        let all = self.pipelines.iter().flat_map(Declaration::pinned);
        all.map(|(_, pinned)| pinned).collect()
    }

    /// The links between them.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        self.pipelines.iter().flat_map(Declaration::edges).collect()
    }

    /// The pools.
    pub(crate) fn pools(&self) -> Vec<Pool> {
        self.pipelines
            .iter()
            .filter_map(Declaration::pool)
            .collect()
    }

    /// The times that stages count on.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.pipelines.iter().flat_map(Declaration::spans).collect()
    }

    /// The windows of breakers: the stage, nanoseconds, and the items that are needed in it.
    pub(crate) fn windows(&self) -> Vec<(String, u64, u64)> {
        self.pipelines
            .iter()
            .flat_map(Declaration::windows)
            .collect()
    }

    /// The cpus that pinned stages have, ascending.
    pub fn hot(&self) -> Vec<u32> {
        cpus(self.pinned().into_iter())
    }

    /// Those of them whose threads never sleep.
    pub(crate) fn spinning(&self) -> Vec<u32> {
        cpus(
            self.pinned()
                .into_iter()
                .filter(|pinned| pinned.wait == Wait::Spin),
        )
    }

    /// The bytes that pipelines say their buffers may take, and those that are to be locked; `None` if no pipeline says any.
    pub(crate) fn memory(&self) -> Option<u64> {
        let said = self.pipelines.iter().filter_map(Declaration::memory);
        let sum = said.reduce(u64::saturating_add)?;
        Some(sum.saturating_add(self.demands.locked.unwrap_or(0)))
    }

    /// The names of pipelines that do not say how much memory they take.
    pub(crate) fn without_memory(&self) -> Vec<String> {
        let silent = self.pipelines.iter().filter(|one| one.memory().is_none());
        silent.map(|one| one.model.name.clone()).collect()
    }

    /// The threads that run at once: pinned ones, and the workers that are asked for or that fit.
    pub(crate) fn threads(&self, machine: &Machine) -> usize {
        let pinned: usize = self.pinned().iter().map(|pinned| pinned.cores.len()).sum();
        let left = machine.parallelism().saturating_sub(pinned).max(1);
        let workers = self
            .pools()
            .iter()
            .map(|pool| pool.workers.unwrap_or(left))
            .sum::<usize>();
        pinned + workers
    }

    /// The names of pipelines' stages whose threads have one of these cpus.
    pub(crate) fn on(&self, cpus: &[u32]) -> Vec<String> {
        let mut names: Vec<String> = self
            .pinned()
            .into_iter()
            .filter(|pinned| pinned.cores.iter().any(|core| cpus.contains(core)))
            .map(|pinned| pinned.name)
            .collect();
        names.dedup();
        names
    }
}

fn cpus(pinned: impl Iterator<Item = Pinned>) -> Vec<u32> {
    let mut cpus: Vec<u32> = pinned.flat_map(|pinned| pinned.cores).collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

impl Declaration {
    /// The hand-overs on the longest way through it.
    fn hops(&self) -> usize {
        let mut depth = vec![0_usize; self.plan.segments.len()];
        // Producers come before consumers, so one pass is enough.
        for (at, segment) in self.plan.segments.iter().enumerate() {
            for out in &segment.outs {
                let to = self.plan.links[out.link].segment;
                depth[to] = depth[to].max(depth[at] + 1);
            }
        }
        depth.into_iter().max().unwrap_or(0)
    }

    /// The stage with the largest batch that is asked for.
    fn largest_batch(&self) -> Option<(String, u64)> {
        let asked = self.model.stages.iter().filter_map(|stage| {
            let batch = stage.options.batch.as_ref()?.value;
            Some((self.name(stage), u64::from(batch)))
        });
        asked.max_by_key(|(_, batch)| *batch)
    }
}

impl Declared {
    /// The hand-overs on the longest way.
    pub(crate) fn hops(&self) -> usize {
        self.pipelines
            .iter()
            .map(Declaration::hops)
            .max()
            .unwrap_or(0)
    }

    /// The stage with the largest batch that is asked for.
    pub(crate) fn largest_batch(&self) -> Option<(String, u64)> {
        let all = self.pipelines.iter().filter_map(Declaration::largest_batch);
        all.max_by_key(|(_, batch)| *batch)
    }
}
