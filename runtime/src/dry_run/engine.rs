//! What moves items in a dry run: a queue before every stage, doors behind it, and a clock that only the caller turns.
//!
//! Every item carries the time at which it came and its place among those that came. What a stage makes of it inherits
//! both, and a stage takes its items in that order. So it does not matter when a stage is asked to run: it sees what it
//! would have seen had every item moved at once.
//!
//! What a stage sent stays at its doors until a reader runs, so that the caller can take it instead.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use pipewright_spec::{
    info::{DoorInfo, TopologyInfo},
    options::Overflow,
};

use super::{
    assembly::{Machine, Outputs, Part},
    calls::{MaybeCall, panicked_in, send},
    guarded::DryGuard,
};
use crate::{
    call::{CopyFn, Item, PATIENCE},
    dropped::{Dropped, Why, drop_for},
    error::RunError,
    flights::TimedOut,
    intake::NEVER,
    metrics::against_the_stream,
    reactor::Reactor,
    settings::{BATCH, Settings, StageSettings},
    shared::PanicNote,
};

/// The state of a dry run, without its types.
pub(super) struct Engine<'s, E> {
    pub(super) env: E,
    pub(super) info: &'static TopologyInfo,
    pub(super) nodes: Vec<Node<'s, E>>,
    pub(super) input: Input,
    pub(super) error: Option<RunError>,
    pub(super) panics: Vec<PanicNote>,
    /// Nanoseconds since the run began.
    pub(super) now: u64,
    pub(super) settings: Settings,
    /// What futures find their timers and sockets in.
    reactor: Reactor,
    /// Stages such that every reader comes after what it reads.
    order: Vec<usize>,
    /// Items that were fed so far.
    fed: u64,
    /// The time until which items may wait in a guarded stage, if it is later than the clock.
    limit: u64,
}

/// One stage.
pub(super) struct Node<'s, E> {
    pub(super) part: Part<'s, E>,
    pub(super) tally: Tally,
    /// What came and is not called yet.
    pub(super) queue: Vec<Timed>,
    /// What waits for its batch to fill.
    pub(super) held: Vec<Timed>,
    /// What left by the main door and no reader has asked for.
    pub(super) sent: Vec<Timed>,
    /// What left by the `Err` door and no reader has asked for.
    pub(super) failed: Vec<Timed>,
    /// What left by `Diverted` and no reader has asked for.
    pub(super) diverted: Vec<Timed>,
    /// What stands between its items and its calls.
    pub(super) guard: Option<DryGuard>,
    /// How long its futures may take, by the clock on the wall.
    pub(super) late: TimedOut,
    is_async: bool,
}

/// The push input.
#[derive(Default)]
pub(super) struct Input {
    /// Items that were pushed.
    pub(super) count: u64,
    pub(super) waiting: Vec<Timed>,
    pub(super) copy: Option<CopyFn>,
}

/// What a stage has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Items that the caller put before the stage; of a source, items that the caller gave for it.
    pub(super) fed: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) diverted: u64,
    pub(super) panicked: u64,
    /// Items that were dropped before the stage.
    pub(super) dropped: Dropped,
    /// Items that were dropped in the stage because the run stopped.
    pub(super) dropped_inside: u64,
    /// Batches over their budget, and the longest of them in nanoseconds.
    pub(super) late_batches: u64,
    pub(super) longest_batch: u64,
    /// Items and errors that the caller took.
    pub(super) taken: u64,
    pub(super) taken_errors: u64,
    /// Items by the door of their variant.
    pub(super) routed: Vec<(&'static str, u64)>,
}

/// An item, and when it came.
pub(super) struct Timed {
    pub(super) item: Item,
    pub(super) when: When,
    /// Of an error: the item that failed, where a dead letter has it.
    pub(super) kept: Option<Item>,
    /// The call that it belongs to.
    pub(super) call: MaybeCall,
}

/// A time and, among what came at that time, a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct When {
    pub(super) at: u64,
    pub(super) place: u64,
    /// The source, and the item's number there; unknown of what a batch stage sent.
    pub(super) from: Option<(&'static str, u32)>,
    /// Calls with the item, where it failed.
    pub(super) calls: u32,
    /// When it is of no use any more.
    pub(super) until: u64,
}

impl When {
    /// The same, at a later time.
    pub(super) fn at(self, at: u64) -> Self {
        Self { at, ..self }
    }
}

impl<'s, E> Engine<'s, E> {
    pub(super) fn new(
        info: &'static TopologyInfo,
        settings: Settings,
        env: E,
        parts: Vec<Part<'s, E>>,
        input_copy: Option<CopyFn>,
    ) -> Self {
        let mut order = against_the_stream(info);
        order.reverse();
        Self {
            env,
            info,
            nodes: parts
                .into_iter()
                .zip(&settings.stages)
                .map(|(part, settings)| Node::new(part, settings))
                .collect(),
            input: Input {
                copy: input_copy,
                ..Input::default()
            },
            error: None,
            panics: Vec::new(),
            now: 0,
            reactor: Reactor::aside(&settings),
            settings,
            order,
            fed: 0,
            limit: 0,
        }
    }

    /// Puts an item before a stage.
    pub(super) fn feed(&mut self, stage: usize, item: Item) {
        let item = self.timed(item, None);
        let node = &mut self.nodes[stage];
        node.tally.fed += 1;
        node.queue.push(item);
    }

    /// Puts an item behind a source.
    pub(super) fn feed_from(&mut self, source: usize, item: Item) {
        let from = (
            self.info.stages[source].name,
            self.nodes[source].tally.fed as u32,
        );
        let item = self.timed(item, Some(from));
        let node = &mut self.nodes[source];
        node.tally.fed += 1;
        node.tally.sent += 1;
        node.sent.push(item);
    }

    /// Pushes an item that is of no use after `until`; gives it back if the input is full and says so.
    pub(super) fn feed_input(&mut self, item: Item, call: MaybeCall, until: u64) -> Option<Timed> {
        let full = self.input.waiting.len() >= self.settings.input_queue(self.info) as usize;
        let overflow = self.info.overflow_of_input();
        let mut item = self.timed(item, Some(("input", self.input.count as u32)));
        (item.when.until, item.call) = (until, call);
        if full && overflow == Overflow::Reject {
            return Some(item);
        }
        self.input.count += 1;
        if full && overflow.is_lossy() {
            self.drop_before_input_readers();
        }
        match overflow {
            Overflow::DropNewest if full => {
                drop_for(Why::Overflow, item);
                return None;
            }
            // All items of a dry run are of one lane.
            Overflow::DropOldest | Overflow::ShedLowest if full => {
                drop_for(Why::Overflow, self.input.waiting.remove(0));
            }
            _ => {}
        }
        self.input.waiting.push(item);
        None
    }

    fn drop_before_input_readers(&mut self) {
        for (node, stage) in self.nodes.iter_mut().zip(self.info.stages) {
            node.tally.dropped.overflow += u64::from(stage.reads_input());
        }
    }

    /// Calls something else instead of a stage. What waits for its batch waits before the stage again.
    pub(super) fn replace(&mut self, stage: usize, machine: Box<dyn Machine<E> + 's>) {
        let node = &mut self.nodes[stage];
        node.queue.append(&mut node.held);
        node.part.machine = Some(machine);
    }

    /// Runs every stage.
    pub(super) fn run(&mut self) {
        for i in 0..self.order.len() {
            self.step(self.order[i]);
        }
    }

    /// Runs a stage and all that it reads.
    pub(super) fn run_to(&mut self, stage: usize) {
        let mut wanted = vec![false; self.nodes.len()];
        wanted[stage] = true;
        for &reader in self.order.iter().rev() {
            for door in self.info.stages[reader].inputs {
                if wanted[reader] && door.stage != DoorInfo::INPUT {
                    wanted[usize::from(door.stage)] = true;
                }
            }
        }
        for i in 0..self.order.len() {
            if wanted[self.order[i]] {
                self.step(self.order[i]);
            }
        }
    }

    /// Runs every stage, calls the batch stages with what they hold, and moves the clock on for as long as items have to wait.
    /// If the run has failed, drops and counts what is on its way.
    pub(super) fn finish(&mut self) {
        self.limit = u64::MAX;
        for i in 0..self.order.len() {
            let stage = self.order[i];
            self.step(stage);
            self.flush(stage, self.now);
            let at = self.nodes[stage].guard.as_ref().map_or(0, DryGuard::at);
            self.now = self.now.max(at);
        }
        if self.error.is_some() {
            for stage in 0..self.nodes.len() {
                self.collect(stage);
                let node = &mut self.nodes[stage];
                node.tally.dropped.stopped += (node.queue.len() + node.held.len()) as u64;
                node.queue.clear();
                node.held.clear();
            }
        }
    }

    /// Runs a stage: calls it with what came, at the times at which it came.
    fn step(&mut self, stage: usize) {
        if self.error.is_some() || self.nodes[stage].part.machine.is_none() {
            return;
        }
        self.collect(stage);
        let mut queue = mem::take(&mut self.nodes[stage].queue);
        queue.sort_by_key(|item| item.when);
        let mut queue = queue.into_iter();
        while self.error.is_none() {
            let Some(item) = queue.next() else { break };
            if item.when.until <= item.when.at {
                self.nodes[stage].tally.dropped.expired += 1;
                drop_for(Why::Expired, item);
                continue;
            }
            if self.nodes[stage].guard.is_some() {
                let limit = self.limit.max(self.now);
                if let Some(waits) = self.call_guarded(stage, item, limit) {
                    let rest = std::iter::once(waits).chain(queue);
                    self.nodes[stage].queue = rest.collect();
                    return;
                }
            } else if self.collects(stage) {
                self.flush_if_due(stage, item.when.at);
                self.hold(stage, item);
            } else {
                self.call(stage, vec![item.item], vec![item.call], item.when);
            }
        }
        self.nodes[stage].queue = queue.collect();
        self.flush_if_due(stage, self.now);
    }

    fn collects(&self, stage: usize) -> bool {
        let machine = &self.nodes[stage].part.machine;
        machine.as_ref().is_some_and(|machine| machine.collects())
    }

    /// Adds an item to the batch of a batch stage, and calls the stage if the batch is full.
    fn hold(&mut self, stage: usize, item: Timed) {
        let at = item.when.at;
        let size = self.settings.stages[stage].batch.unwrap_or(BATCH);
        let held = &mut self.nodes[stage].held;
        held.push(item);
        if held.len() >= size as usize {
            self.flush(stage, at);
        }
    }

    /// Calls a batch stage if its first item has waited for `linger` at the time `now`.
    fn flush_if_due(&mut self, stage: usize, now: u64) {
        let Some(first) = self.nodes[stage].held.first() else {
            return;
        };
        let due = first
            .when
            .at
            .saturating_add(self.settings.stages[stage].linger);
        if due <= now {
            self.flush(stage, due);
        }
    }

    /// Calls a batch stage with what it holds.
    fn flush(&mut self, stage: usize, at: u64) {
        if self.error.is_some() {
            return;
        }
        let held = mem::take(&mut self.nodes[stage].held);
        let (Some(first), Some(last)) = (held.first(), held.last()) else {
            return;
        };
        let took = at.saturating_sub(first.when.at);
        if took > self.settings.stages[stage].budget {
            let tally = &mut self.nodes[stage].tally;
            tally.late_batches += 1;
            tally.longest_batch = tally.longest_batch.max(took);
        }
        let when = When {
            at,
            place: last.when.place,
            from: None,
            calls: 1,
            until: NEVER,
        };
        let parts = held.into_iter().map(|item| (item.item, item.call));
        let (items, calls) = parts.unzip();
        self.call(stage, items, calls, when);
    }

    /// Calls a stage, and leaves what it sends at its doors.
    fn call(&mut self, stage: usize, items: Vec<Item>, calls: Vec<MaybeCall>, when: When) {
        let known = self.nodes[stage].failed.len();
        self.call_only(stage, items, calls, when);
        self.stop_for_errors(stage, known);
        self.fail_calls(stage, known);
    }

    /// As [`Self::call`], whatever its errors mean. Says whether it panicked.
    pub(super) fn call_only(
        &mut self,
        stage: usize,
        items: Vec<Item>,
        mut calls: Vec<MaybeCall>,
        when: When,
    ) -> bool {
        for call in calls.iter_mut().flatten() {
            call.enter(stage as u16);
        }
        let env = &self.env;
        let node = &mut self.nodes[stage];
        let _entered = node.is_async.then(|| self.reactor.enter());
        let Some(machine) = &mut node.part.machine else {
            return false;
        };
        let came = items.len() as u64;
        node.tally.received += came;
        let keep = node.part.keep.as_ref();
        let mut kept: Vec<Item> = Vec::new();
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            if let Some(keep) = keep {
                kept = items.iter().map(|item| keep(&**item)).collect();
            }
            machine.call(items, env)
        }));
        let Outputs {
            sent,
            mut failed,
            took,
            late,
        } = machine.outputs(attempt.is_err());
        let mut is_lost = late;
        if let Some(error) = node.part.late.as_ref().filter(|_| late) {
            failed.push((0, error(node.late)));
            is_lost = false;
        }
        node.tally.sent += sent.len() as u64 + took;
        node.tally.failed += failed.len() as u64;
        let mut call_of = |at: usize| calls.get_mut(at).and_then(Option::take);
        for (at, item) in failed {
            // A closure that stands for the stage may send several errors.
            let kept = keep.zip(kept.get(at)).map(|(keep, item)| keep(&**item));
            let call = call_of(at);
            node.failed.push(Timed {
                item,
                when,
                kept,
                call,
            });
        }
        // Where calls come through, what is sent is in the places of the items, or of the only one.
        for (at, item) in sent.into_iter().enumerate() {
            let call = call_of(at);
            send(node, item, when, call);
        }
        let is_panic = attempt.is_err();
        match attempt {
            Ok(Ok(())) if is_lost => {
                let message = too_late(node.late.after);
                panicked_in(stage, calls);
                self.panicked(stage, came, Box::new(message));
            }
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                calls.iter_mut().flatten().for_each(|call| call.leave());
                self.nodes[stage].tally.dropped_inside += came;
                self.fail(RunError::state(error));
            }
            Err(payload) if self.leaves(stage) => {
                self.panicked_out(stage, calls, kept, when, payload);
            }
            Err(payload) => {
                panicked_in(stage, calls);
                self.panicked(stage, came, payload);
            }
        }
        is_panic
    }

    fn timed(&mut self, item: Item, from: Option<(&'static str, u32)>) -> Timed {
        let when = When {
            at: self.now,
            place: self.fed,
            from,
            calls: 1,
            until: NEVER,
        };
        self.fed += 1;
        Timed {
            item,
            when,
            kept: None,
            call: None,
        }
    }
}

impl<'s, E> Node<'s, E> {
    fn new(mut part: Part<'s, E>, settings: &StageSettings) -> Self {
        let guard = settings.guard.as_ref();
        let most = guard.and_then(|guard| guard.timeout);
        let after = most.map_or(PATIENCE, Duration::from_nanos);
        if let Some(machine) = &mut part.machine {
            machine.set_patience(after);
        }
        Self {
            late: TimedOut::after(after),
            is_async: settings.is_async,
            part,
            tally: Tally::default(),
            queue: Vec::new(),
            held: Vec::new(),
            sent: Vec::new(),
            failed: Vec::new(),
            diverted: Vec::new(),
            guard: guard.map(DryGuard::new),
        }
    }
}

fn too_late(most: Duration) -> String {
    format!("a future did not end within the {most:?} that a dry run waits")
}
