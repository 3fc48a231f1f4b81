//! The sequential interpreter: what must come to every stage of a random pipeline, and what must leave it.
//!
//! It reads the shape and the rules and nothing of the runtime. The one thing that it takes from a run is which items were
//! in a batch that panicked, because the cut of batches is not promised.

use std::collections::{BTreeMap, HashMap, HashSet};

use pipewright_tests::shapes::{Door, Form, Shape, State};

use crate::{
    env::Plan,
    item::Trace,
    rules::{self, Fate},
};

/// What must happen at every stage.
pub struct Expected {
    /// By stage.
    pub stages: Vec<AtStage>,
    /// Items of sources, and those that are pushed.
    pub received: u64,
    /// Items that came into being on the way.
    pub created: u64,
}

/// What must happen at one stage.
#[derive(Default)]
pub struct AtStage {
    /// What comes. The marks have the tag with which an item was counted in place of the count, which depends on the order.
    pub came: Vec<Trace>,
    /// Items sent, or taken by a sink.
    pub sent: u64,
    pub failed: u64,
    pub panicked: u64,
    /// Items by variant.
    pub routed: BTreeMap<usize, u64>,
    /// What a sink takes.
    pub taken: HashMap<u64, Trace>,
    /// The tags of items for which the state is called, and whether that call panics.
    pub calls: HashMap<u64, bool>,
}

impl AtStage {
    pub fn filtered(&self) -> u64 {
        (self.came.len() as u64).saturating_sub(self.sent + self.failed + self.panicked)
    }
}

/// Interprets a shape. `given`: items that each source gave; `pushed`: items that were pushed; `lost`: tags that were in
/// batches that panicked, by stage.
pub fn interpret(
    shape: &Shape,
    plan: &Plan,
    given: &[u64],
    pushed: &[Trace],
    lost: &[HashSet<u64>],
) -> Expected {
    let mut doors: HashMap<Door, Vec<Trace>> = HashMap::new();
    doors.insert(Door::Input, pushed.to_vec());
    let mut expected = Expected {
        stages: Vec::new(),
        received: pushed.len() as u64 + given.iter().sum::<u64>(),
        created: 0,
    };
    for (at, stage) in shape.stages.iter().enumerate() {
        let mut step = Step {
            shape,
            plan,
            at,
            lost: &lost[at],
            here: AtStage::default(),
            doors: &mut doors,
        };
        if stage.form.is_source() {
            step.here.sent = given[at];
            let items = (0..given[at]).map(|n| Trace::root(at as u64, n));
            step.doors.entry(Door::Main(at)).or_default().extend(items);
        } else {
            step.run();
        }
        let here = step.here;
        expected.stages.push(here);
    }
    expected.created = created(shape, &expected.stages, &doors);
    expected
}

/// Items that stages made more than they took, copies for several readers, and errors that are read.
fn created(shape: &Shape, stages: &[AtStage], doors: &HashMap<Door, Vec<Trace>>) -> u64 {
    let read = |door: Door| {
        doors.get(&door).map_or(0, Vec::len) as u64 * shape.readers(door).count() as u64
    };
    let mut sum = read(Door::Input).saturating_sub(doors[&Door::Input].len() as u64);
    for (at, stage) in stages.iter().enumerate() {
        let form = shape.stages[at].form;
        let came = if form.is_source() {
            stage.sent
        } else {
            stage.came.len() as u64
        };
        let taken = if form.is_sink() { stage.sent } else { 0 };
        let variants: u64 = (0..3).map(|variant| read(Door::Variant(at, variant))).sum();
        let onward = read(Door::Main(at)) + read(Door::Err(at)) + variants;
        let left = onward + taken + stage.failed + stage.panicked + stage.filtered();
        sum += left.saturating_sub(came);
    }
    sum
}

struct Step<'a> {
    shape: &'a Shape,
    plan: &'a Plan,
    at: usize,
    lost: &'a HashSet<u64>,
    here: AtStage,
    doors: &'a mut HashMap<Door, Vec<Trace>>,
}

impl Step<'_> {
    fn run(&mut self) {
        let from = self.shape.stages[self.at].from.clone();
        let came: Vec<Trace> = from
            .iter()
            .flat_map(|door| self.doors.get(door).cloned().unwrap_or_default())
            .collect();
        self.here.came.clone_from(&came);
        for trace in came {
            self.item(trace);
        }
    }

    fn item(&mut self, mut trace: Trace) {
        let (at, stage) = (self.at, &self.shape.stages[self.at]);
        if stage.state == State::Keyed && stage.bad_keys && rules::key_panics(at, trace.tag) {
            self.here.panicked += 1;
            return;
        }
        let panics = match stage.form.is_batch() {
            true => self.lost.contains(&trace.tag),
            false => rules::panics(at, trace.tag, self.plan.panics[at]),
        };
        if stage.state != State::None {
            self.here.calls.insert(trace.tag, panics);
            if stage.form != Form::Keep {
                trace.marks.push((at, trace.tag));
                if stage.state == State::Keyed {
                    trace.keys.push((at, rules::key(at, trace.tag)));
                }
            }
        }
        if panics {
            self.here.panicked += 1;
            // Without a state an iterator goes on item by item, so what it gave before it panicked is on its way.
            if stage.form == Form::Many && stage.state == State::None {
                self.grow(&trace, rules::copies(at, trace.tag) / 2);
            }
            return;
        }
        self.goes(trace, stage.form);
    }

    fn goes(&mut self, trace: Trace, form: Form) {
        let at = self.at;
        match form {
            Form::Keep if rules::passes(at, trace.tag) => self.send(Door::Main(at), trace),
            Form::Opt if rules::passes(at, trace.tag) => self.pass(Door::Main(at), trace),
            Form::Keep | Form::Opt => {}
            Form::Many | Form::Emit | Form::SliceEmit => {
                self.grow(&trace, rules::copies(at, trace.tag))
            }
            Form::BatchMut if rules::passes(at, trace.tag) => {
                self.grow(&trace, rules::grown(at, trace.tag))
            }
            Form::BatchMut => {}
            Form::Route(of) => {
                let variant = rules::variant(at, trace.tag, of);
                *self.here.routed.entry(variant).or_default() += 1;
                let mut trace = trace;
                trace.routed(at, variant);
                self.send(Door::Variant(at, variant), trace);
            }
            _ if form.is_fallible() => match rules::fate(at, trace.tag, form == Form::ResOpt) {
                Fate::Failed => self.fail(trace),
                Fate::Left => {}
                Fate::Sent if form == Form::EmitRes => {
                    self.grow(&trace, rules::copies(at, trace.tag))
                }
                Fate::Sent if form.is_sink() => self.take(trace),
                Fate::Sent => self.pass(Door::Main(at), trace),
            },
            _ if form.is_sink() => self.take(trace),
            _ => self.pass(Door::Main(at), trace),
        }
    }

    fn take(&mut self, trace: Trace) {
        self.here.sent += 1;
        self.here.taken.insert(trace.tag, trace);
    }

    fn fail(&mut self, mut trace: Trace) {
        self.here.failed += 1;
        trace.failed(self.at);
        self.doors
            .entry(Door::Err(self.at))
            .or_default()
            .push(trace);
    }

    fn pass(&mut self, door: Door, mut trace: Trace) {
        trace.passed(self.at);
        self.send(door, trace);
    }

    fn grow(&mut self, trace: &Trace, copies: u32) {
        for n in 0..copies {
            let mut trace = trace.clone();
            trace.grown(self.at, n);
            self.send(Door::Main(self.at), trace);
        }
    }

    fn send(&mut self, door: Door, trace: Trace) {
        self.here.sent += 1;
        self.doors.entry(door).or_default().push(trace);
    }
}

/// What a stage is promised about the order of what it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// That of each source.
    Source,
    /// That of each source, on each way. A batch stage holds items back and lets them go together, so where ways meet behind
    /// one, items overtake each other.
    Ways,
    /// That of each source, on each way and for each key of the keyed stages passed.
    Keys,
    /// None.
    Nothing,
}

/// What every stage sees.
pub fn orders(shape: &Shape) -> Vec<Order> {
    let (mut sees, mut gives): (Vec<Order>, Vec<Order>) = (Vec::new(), Vec::new());
    // Have items passed a batch stage? A place where ways meet?
    let (mut batched, mut met): (Vec<bool>, Vec<bool>) = (Vec::new(), Vec::new());
    for stage in &shape.stages {
        let from: Vec<Option<usize>> = stage.from.iter().map(producer).collect();
        let orders: Vec<Order> = from
            .iter()
            .map(|from| from.map_or(Order::Source, |from| gives[from]))
            .collect();
        let behind_batch = from.iter().flatten().any(|from| batched[*from]);
        let parted = from.len() > 1 && behind_batch;
        let seen = match () {
            () if stage.any || orders.contains(&Order::Nothing) => Order::Nothing,
            () if orders.contains(&Order::Keys) => Order::Keys,
            () if orders.contains(&Order::Ways) || parted => Order::Ways,
            () => Order::Source,
        };
        sees.push(seen);
        let ways_met = from.len() > 1 || from.iter().flatten().any(|from| met[*from]);
        let shared = matches!(stage.state, State::None | State::PerWorker);
        gives.push(match (stage.state, seen) {
            // What a filter passes on does not tell its key.
            (State::Keyed, _) if stage.form == Form::Keep => Order::Nothing,
            // Where keys meet what is in the order of the source, only the former stay in order.
            (State::Keyed, Order::Keys) if orders.iter().any(|order| *order != Order::Keys) => {
                Order::Nothing
            }
            (State::Keyed, Order::Source | Order::Ways) => Order::Keys,
            // Workers share what several stages behind a keyed stage send to a stage that any of them may run.
            (_, Order::Keys) if shared && from.len() > 1 => Order::Nothing,
            // The ways may meet in front of the stage, but each has its own batches.
            (_, Order::Source) if stage.form.is_batch() && ways_met => Order::Ways,
            _ => seen,
        });
        batched.push(behind_batch || stage.form.is_batch());
        met.push(ways_met);
    }
    sees
}

fn producer(door: &Door) -> Option<usize> {
    match door {
        Door::Input => None,
        Door::Main(from) | Door::Err(from) | Door::Variant(from, _) => Some(*from),
    }
}
