//! Compares what a run did with what the interpreter says.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use pipewright::{Ledger, StageMetrics};
use pipewright_tests::shapes::{Shape, State};

use crate::{
    env::{Called, Env, Record},
    item::Trace,
    oracle::{self, AtStage, Expected, Order},
    rules,
};

/// What a run told when it ended.
pub struct Outcome {
    pub stages: Vec<StageMetrics>,
    pub ledger: Ledger,
    /// The final counts of stages with one state, or one for each worker; `None` if there is no state.
    pub states: Vec<(usize, Option<u64>)>,
}

macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}

/// Is everything as it must be? `pushed`: what was pushed.
pub fn check(env: &Env, outcome: &Outcome, pushed: &[Trace]) -> Result<(), String> {
    let shape = env.shape();
    let records: Vec<Record> = (0..shape.stages.len())
        .map(|at| std::mem::take(&mut *env.record(at)))
        .collect();
    let lost: Vec<HashSet<u64>> = records
        .iter()
        .map(|record| record.lost.iter().copied().collect())
        .collect();
    let given: Vec<u64> = outcome
        .stages
        .iter()
        .zip(&shape.stages)
        .map(|(stage, of)| {
            if of.form.is_source() {
                stage.received
            } else {
                0
            }
        })
        .collect();
    let expected = oracle::interpret(shape, env.plan(), &given, pushed, &lost);
    ledger(&outcome.ledger, &expected)?;
    let orders = oracle::orders(shape);
    let counts = counts(&records);
    for (at, record) in records.iter().enumerate() {
        let here = &expected.stages[at];
        let state = outcome
            .states
            .iter()
            .find(|(stage, _)| *stage == at)
            .map(|(_, count)| *count);
        metrics(&outcome.stages[at], here, shape, at)
            .and_then(|()| batches(env, record, here, at))
            .and_then(|()| taken(record, here, &counts))
            .and_then(|()| calls(shape, record, here, at, state))
            .and_then(|()| order(shape, record, orders[at], at))
            .map_err(|why| format!("s{at}: {why}"))?;
    }
    drop(records);
    ensure!(
        env.living() == 0,
        "{} items were not dropped, or dropped twice",
        env.living()
    );
    Ok(())
}

fn ledger(ledger: &Ledger, expected: &Expected) -> Result<(), String> {
    let sum = |of: fn(&AtStage) -> u64| expected.stages.iter().map(of).sum::<u64>();
    let delivered = expected
        .stages
        .iter()
        .map(|stage| stage.taken.len() as u64)
        .sum::<u64>();
    let told = [
        ledger.received,
        ledger.created,
        ledger.delivered,
        ledger.filtered,
        ledger.failed,
        ledger.panicked,
    ];
    let filtered: u64 = expected
        .stages
        .iter()
        .filter(|stage| !stage.came.is_empty())
        .map(AtStage::filtered)
        .sum();
    let counted = [
        expected.received,
        expected.created,
        delivered,
        filtered,
        sum(|stage| stage.failed),
        sum(|stage| stage.panicked),
    ];
    ensure!(told == counted, "{ledger}\nmust have {counted:?}");
    ensure!(
        ledger.is_balanced() && ledger.dropped == 0 && ledger.in_flight == 0,
        "{ledger}"
    );
    Ok(())
}

fn metrics(told: &StageMetrics, here: &AtStage, shape: &Shape, at: usize) -> Result<(), String> {
    let source = shape.stages[at].form.is_source();
    let came = if source {
        here.sent
    } else {
        here.came.len() as u64
    };
    let filtered = if source { 0 } else { here.filtered() };
    let counts = [
        told.received,
        told.sent,
        told.filtered,
        told.failed,
        told.panicked,
        told.dropped,
        told.in_flight,
    ];
    let counted = [came, here.sent, filtered, here.failed, here.panicked, 0, 0];
    ensure!(counts == counted, "{told:?}\nmust have {counted:?}");
    for (door, told) in &told.routed {
        let variant = ["A", "B", "C"]
            .iter()
            .position(|name| name == door)
            .ok_or("an unknown door")?;
        let counted = here.routed.get(&variant).copied().unwrap_or(0);
        ensure!(
            *told == counted,
            "{told} items by {door}, must be {counted}"
        );
    }
    Ok(())
}

/// Every item that panics is in a batch that was lost, and no batch was lost without one.
fn batches(env: &Env, record: &Record, here: &AtStage, at: usize) -> Result<(), String> {
    if let Some(breach) = record.breaches.first() {
        return Err(breach.clone());
    }
    let every = env.plan().panics[at];
    let panics = |tag: &u64| rules::panics(at, *tag, every);
    let came: HashSet<u64> = here.came.iter().map(|trace| trace.tag).collect();
    let lost: HashSet<u64> = record.lost.iter().copied().collect();
    ensure!(lost.is_subset(&came), "lost what never came");
    ensure!(
        lost.is_empty() || lost.iter().any(panics),
        "a batch was lost without a reason"
    );
    let batch = env.shape().stages[at].form.is_batch();
    let spared = came
        .iter()
        .filter(|tag| batch && panics(tag) && !lost.contains(tag))
        .count();
    ensure!(spared == 0, "{spared} items that panic were not lost");
    Ok(())
}

/// How often each stage's state had counted when it saw an item.
type Counts = HashMap<(usize, u64), u64>;

fn counts(records: &[Record]) -> Counts {
    let calls = records
        .iter()
        .enumerate()
        .flat_map(|(at, record)| record.calls.iter().map(move |call| (at, call)));
    calls
        .map(|(at, call)| ((at, call.trace.tag), call.count))
        .collect()
}

/// A sink took what it must, once, and every item tells what really happened to it.
fn taken(record: &Record, here: &AtStage, counts: &Counts) -> Result<(), String> {
    let mut seen = HashSet::new();
    for item in &record.taken {
        let must = here
            .taken
            .get(&item.tag)
            .ok_or_else(|| format!("took {item:?}, which nobody sent"))?;
        ensure!(seen.insert(item.tag), "took {item:?} twice");
        let marks = must
            .marks
            .iter()
            .map(|(stage, tag)| Some((*stage, *counts.get(&(*stage, *tag))?)));
        let marks: Option<Vec<_>> = marks.collect();
        let must = Trace {
            marks: marks.ok_or("an item passed a state that did not see it")?,
            ..must.clone()
        };
        ensure!(**item == must, "took {item:?}\nmust be {must:?}");
    }
    let left: Vec<&Trace> = here
        .taken
        .values()
        .filter(|trace| !seen.contains(&trace.tag))
        .take(3)
        .collect();
    ensure!(
        left.is_empty(),
        "took {} of {} items, and not {left:?}",
        seen.len(),
        here.taken.len()
    );
    Ok(())
}

/// The state was called for each item once, and it counted what it should.
fn calls(
    shape: &Shape,
    record: &Record,
    here: &AtStage,
    at: usize,
    last: Option<Option<u64>>,
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for call in &record.calls {
        let tag = call.trace.tag;
        let panics = here
            .calls
            .get(&tag)
            .ok_or_else(|| format!("called for {call:?}, which nobody sent"))?;
        ensure!(seen.insert(tag), "called twice for {call:?}");
        // Of a batch only the last call tells that it panicked.
        ensure!(
            shape.stages[at].form.is_batch() || *panics == call.panicked,
            "{call:?} panics: {panics}"
        );
    }
    ensure!(
        seen.len() == here.calls.len(),
        "called for {} of {} items",
        seen.len(),
        here.calls.len()
    );
    let count = replay(shape, record, at)?;
    match (shape.stages[at].state, last) {
        (State::Serial | State::PerWorker, Some(Some(told))) => ensure!(
            told == count,
            "the state counted {told} items, must be {count}"
        ),
        // A dry run makes a state when the first item comes that needs it.
        (State::Serial | State::PerWorker, _) => {
            ensure!(count == 0, "there is no state, and it counted {count}")
        }
        _ => {}
    }
    Ok(())
}

/// Goes through the calls again: each state counts on, and begins anew after a panic if the stage says so. Returns what
/// all states that are left have counted.
fn replay(shape: &Shape, record: &Record, at: usize) -> Result<u64, String> {
    let stage = &shape.stages[at];
    let reset = match stage.state {
        State::PerWorker => !matches!(stage.on_panic, Some("keep" | "isolate")),
        _ => stage.on_panic == Some("reset"),
    };
    let which = |call: &Called| match stage.state {
        State::Serial => 0,
        State::PerWorker => call.instance,
        _ => rules::key(at, call.trace.tag),
    };
    let mut states: HashMap<u64, u64> = HashMap::new();
    for call in &record.calls {
        let count = states.entry(which(call)).or_default();
        *count += 1;
        ensure!(call.count == *count, "{call:?} must have counted {count}");
        if call.panicked && reset {
            *count = 0;
        }
    }
    Ok(states.values().sum())
}

/// What a stage sees is in the order that it is promised.
fn order(shape: &Shape, record: &Record, order: Order, at: usize) -> Result<(), String> {
    let stage = &shape.stages[at];
    let of_calls = || record.calls.iter().map(|call| &call.trace);
    let of_taken = || record.taken.iter().map(|item| &**item);
    match (order, stage.state) {
        (Order::Nothing, _) | (_, State::PerWorker) => Ok(()),
        (Order::Source, State::Serial) => in_order(of_calls(), |trace| trace.stream),
        (Order::Source, State::Keyed) => in_order(of_calls(), |trace| {
            (trace.stream, rules::key(at, trace.tag))
        }),
        (Order::Source, State::None) => in_order(of_taken(), |trace| trace.stream),
        (Order::Ways, State::Serial) => in_order(of_calls(), |trace| (trace.stream, trace.path)),
        (Order::Ways, State::None) => in_order(of_taken(), |trace| (trace.stream, trace.path)),
        (Order::Ways, State::Keyed) => in_order(of_calls(), |trace| {
            (trace.stream, rules::key(at, trace.tag), trace.path)
        }),
        (Order::Keys, state) => {
            let seen: Vec<&Trace> = match state {
                State::None => of_taken().collect(),
                _ => of_calls().collect(),
            };
            // Order is that of one way, as ways that meet behind a keyed stage are not joined, and of the keys at all keyed
            // stages passed, as each divides the items again.
            let passed = |trace: &&Trace| trace.keys.iter().any(|(keyed, _)| *keyed < at);
            let own = |trace: &Trace| (state == State::Keyed).then(|| rules::key(at, trace.tag));
            let seen = seen.into_iter().filter(passed);
            in_order(seen, |trace| {
                (trace.stream, trace.keys.clone(), own(trace), trace.path)
            })
        }
    }
}

/// Within each group the items are in the order of their source, and what one call made is in the order in which it made it.
fn in_order<'a, G: Hash + Eq>(
    seen: impl IntoIterator<Item = &'a Trace>,
    group: impl Fn(&'a Trace) -> G,
) -> Result<(), String> {
    let mut groups: HashMap<G, Vec<&Trace>> = HashMap::new();
    for trace in seen {
        let of_root = groups.entry(group(trace)).or_default();
        if let Some(last) = of_root.last().filter(|last| last.root != trace.root) {
            ensure!(last.root < trace.root, "{trace:?}\ncame behind {last:?}");
            of_root.clear();
        }
        if let Some(wrong) = of_root.iter().find(|before| is_before(trace, before)) {
            return Err(format!("{trace:?}\ncame behind {wrong:?}"));
        }
        of_root.push(trace);
    }
    Ok(())
}

/// Was `a` made before `b` by a call from which both come?
fn is_before(a: &Trace, b: &Trace) -> bool {
    // Ways that part and meet again may do so in any order.
    let parting = a.line.iter().zip(&b.line).find(|(a, b)| a != b);
    a.path == b.path && parting.is_some_and(|((from_a, a), (from_b, b))| from_a == from_b && a < b)
}
