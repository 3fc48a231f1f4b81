//! Guarded stages in a dry run: what waits there waits by the clock of the run.
//!
//! A guarded stage takes its items one by one and in order. Each has a time, that at which it came or, if something ahead of it
//! had to wait, when that was over; the guard is asked at that time. An item that may not be called before a time that the
//! clock has not reached stays in front of the stage, with all that come behind it. At the end of the run the clock
//! moves on for as long as they have to wait.

use std::{rc::Rc, time::Duration};

use super::engine::{Engine, Timed};
use crate::{
    breaker::{Clock, Hand, Refused},
    classify::ErrorClass,
    error::RunError,
    guard::{Admission, Failures, Guard, GuardMetrics, GuardSettings},
};

/// What guards a stage, and its time.
pub(super) struct DryGuard {
    guard: Rc<Guard>,
    hand: Hand,
    /// The time of the guard, in nanoseconds of the run.
    at: u64,
    /// Since when its first item waits.
    since: Option<u64>,
}

impl DryGuard {
    pub(super) fn new(settings: &GuardSettings) -> Self {
        let (clock, hand) = Clock::manual();
        Self {
            guard: Rc::new(Guard::new(&settings.clone().with_clock(&clock))),
            hand,
            at: 0,
            since: None,
        }
    }

    /// The time of the guard, in nanoseconds of the run.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn seen(&self) -> GuardMetrics {
        self.guard.seen()
    }

    fn waits_from_now_on(&mut self) {
        if self.since.is_none() {
            self.since = Some(self.at);
            self.guard.waits(1);
        }
    }

    fn waits_no_more(&mut self) {
        if self.since.take().is_some() {
            self.guard.resumed(1);
        }
    }

    fn go_to(&mut self, at: u64) {
        self.hand
            .advance(Duration::from_nanos(at.saturating_sub(self.at)));
        self.at = self.at.max(at);
    }
}

impl<E> Engine<'_, E> {
    /// Calls a guarded stage with an item, or gives it back if that has to wait for longer than until `limit`.
    pub(super) fn call_guarded(&mut self, stage: usize, item: Timed, limit: u64) -> Option<Timed> {
        let Some(mut own) = self.nodes[stage].guard.take() else {
            return Some(item);
        };
        own.go_to(item.when.at);
        let back = self.ask(stage, &mut own, item, limit);
        self.nodes[stage].guard = Some(own);
        back
    }

    fn ask(&mut self, stage: usize, own: &mut DryGuard, item: Timed, limit: u64) -> Option<Timed> {
        let guard = Rc::clone(&own.guard);
        let ticket = loop {
            match guard.admit(1, own.at, Some(item.when.at), limit == u64::MAX) {
                Admission::Later(wait) => {
                    let due = own.at.saturating_add(wait);
                    if due > limit {
                        own.waits_from_now_on();
                        return Some(item);
                    }
                    own.go_to(due);
                }
                Admission::Wait(due) => {
                    own.waits_from_now_on();
                    if due > limit {
                        return Some(item);
                    }
                    own.go_to(due);
                }
                Admission::Call(ticket, _) => break ticket,
                Admission::Refuse(refused) => {
                    own.waits_no_more();
                    guard.refuses(1);
                    self.refuse(stage, refused, item, own.at);
                    return None;
                }
                Admission::Drop => {
                    own.waits_no_more();
                    guard.drops(1);
                    self.nodes[stage].tally.dropped += 1;
                    return None;
                }
            }
        };
        own.waits_no_more();
        let panicked = self.nodes[stage].tally.panicked;
        let known = self.nodes[stage].failed.len();
        self.call(stage, vec![item.item], item.when.at(own.at));
        let mut failed = 0;
        if self.nodes[stage].tally.panicked > panicked && guard.counts_panics() {
            failed = 1;
        }
        for (class, text) in self.classes(stage, known) {
            failed += u32::from(guard.is_failure(class));
            if class == ErrorClass::Fatal {
                let stage = self.info.stages[stage].name;
                self.fail(RunError::Failed { stage, error: text });
            }
        }
        if let Some(ticket) = ticket {
            let failures = Failures::default();
            let failures = if failed > 0 {
                failures.with(1)
            } else {
                failures
            };
            ticket.settle_batch(1, failed, failures.rows(1));
        }
        None
    }

    /// What the errors say that a stage has sent since there were `known`, with their text where they are fatal.
    fn classes(&self, stage: usize, known: usize) -> Vec<(ErrorClass, String)> {
        let node = &self.nodes[stage];
        let Some(class) = &node.part.class else {
            return Vec::new();
        };
        node.failed[known..]
            .iter()
            .map(|error| class(&*error.item))
            .collect()
    }

    /// An item fails without a call.
    fn refuse(&mut self, stage: usize, refused: Refused, item: Timed, at: u64) {
        let node = &mut self.nodes[stage];
        let Some(refusal) = &node.part.refusal else {
            return;
        };
        node.tally.received += 1;
        node.tally.failed += 1;
        node.failed.push(Timed {
            item: refusal(refused),
            when: item.when.at(at),
            kept: node.part.keep.is_some().then_some(item.item),
        });
    }
}
