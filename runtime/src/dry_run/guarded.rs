//! Guarded stages in a dry run: what waits there waits by the clock of the run.
//!
//! A guarded stage takes its items one by one and in order. Each has a time, that at which it came or, if something ahead of it
//! had to wait, when that was over; the guard is asked at that time. An item that may not be called before a time that the
//! clock has not reached stays in front of the stage, with all that come behind it. At the end of the run the clock
//! moves on for as long as they have to wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};

use pipewright_spec::info::Kind;

use super::{
    calls::{panicked_in, send},
    engine::{Engine, Timed, When},
};
use crate::{
    breaker::{Clock, Hand, Refused, Ticket},
    classify::ErrorClass,
    dropped::{Why, drop_for},
    error::RunError,
    guard::{Admission, Failures, Guard, GuardMetrics, GuardSettings, HELD_AT_END_NS, TurnsAway},
    looks::Looks,
    settings::Settings,
    sync::Arc,
};

/// What guards a stage, and its time.
pub(super) struct DryGuard {
    guard: Rc<Guard>,
    hand: Hand,
    /// The time of the guard, in nanoseconds of the run.
    at: u64,
    /// Since when its first item waits.
    since: Option<u64>,
    /// Until when, if it is known.
    pub(super) due: Option<u64>,
    /// Tries again of its first item.
    tries: u32,
    /// The next one is not before this time.
    not_before: u64,
    /// It is the last one.
    last: bool,
}

impl DryGuard {
    pub(super) fn new(settings: &GuardSettings) -> Self {
        let (clock, hand) = Clock::manual();
        // There is no thread that looks.
        let looks = Arc::new(Looks::new(0, 0));
        Self {
            guard: Rc::new(Guard::new(
                &settings.clone().with_clock(&clock),
                0,
                1,
                &looks,
            )),
            hand,
            at: 0,
            since: None,
            due: None,
            tries: 0,
            not_before: 0,
            last: false,
        }
    }

    /// The time of the guard, in nanoseconds of the run.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn seen(&self) -> GuardMetrics {
        self.guard.seen(self.at)
    }

    /// Its first item is done with.
    fn is_done(&mut self) {
        self.waits_no_more();
        (self.tries, self.not_before, self.last) = (0, 0, false);
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
    /// Goes by other numbers from now on.
    pub(super) fn retune(&mut self, settings: Settings) {
        let stages = self.settings.stages.iter().zip(&settings.stages);
        for (node, (before, after)) in self.nodes.iter_mut().zip(stages) {
            let (Some(before), Some(after)) = (&before.guard, &after.guard) else {
                continue;
            };
            if let Some(own) = node
                .guard
                .as_mut()
                .filter(|_| before.listed() != after.listed())
            {
                own.guard.retune(after);
                // What waits asks again.
                own.not_before = own.not_before.min(own.at);
            }
        }
        self.settings = settings;
    }

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

    /// Asks the guard until the item is done with, or has to wait for longer than until `limit`.
    fn ask(&mut self, stage: usize, own: &mut DryGuard, item: Timed, limit: u64) -> Option<Timed> {
        let ends = limit == u64::MAX;
        let mut item = item;
        loop {
            // A drain ends the pause before another try, which is the last one.
            own.last |= ends && own.tries > 0;
            if own.not_before > own.at && !ends {
                own.waits_from_now_on();
                let due = own.not_before.min(item.when.until);
                if due > limit {
                    own.due = Some(due);
                    return Some(item);
                }
                own.go_to(due);
            }
            if item.when.until <= own.at {
                own.is_done();
                self.nodes[stage].tally.dropped.expired += 1;
                drop_for(Why::Expired, item);
                return None;
            }
            let guard = Rc::clone(&own.guard);
            let last_call = ends.then_some(item.when.at.saturating_add(HELD_AT_END_NS));
            match guard.admit(1, 1, own.at, Some(item.when.at), last_call) {
                Admission::Later(wait) => {
                    let due = own.at.saturating_add(wait).min(item.when.until);
                    own.waits_from_now_on();
                    if due > limit {
                        own.due = Some(due);
                        return Some(item);
                    }
                    own.go_to(due);
                }
                Admission::Wait(due) => {
                    let due = due.min(item.when.until);
                    own.waits_from_now_on();
                    if due > limit {
                        own.due = Some(due);
                        return Some(item);
                    }
                    own.go_to(due);
                }
                Admission::Call(ticket, _) => item = self.try_item(stage, own, item, ticket)?,
                Admission::Refuse(refused) => {
                    own.waits_no_more();
                    match guard.turns_away() {
                        TurnsAway::Fails => self.refuse(stage, refused, item, own),
                        TurnsAway::Diverts => self.divert(stage, item, own),
                        TurnsAway::FallsBack => self.fall_back(stage, item, own),
                    }
                    own.is_done();
                    guard.refuses(1);
                    return None;
                }
                Admission::Drop => {
                    own.is_done();
                    guard.drops(1);
                    drop_for(Why::Breaker, item);
                    self.nodes[stage].tally.dropped.breaker += 1;
                    return None;
                }
                // Sources are not called here; whoever has fed the item may do it again.
                Admission::GiveBack => {
                    own.is_done();
                    guard.gives_back(1);
                    self.nodes[stage].tally.dropped.returned += 1;
                    return None;
                }
            }
        }
    }

    /// Calls the stage with an item, which comes back if it is to be tried again.
    fn try_item(
        &mut self,
        stage: usize,
        own: &mut DryGuard,
        item: Timed,
        ticket: Option<Ticket<'_>>,
    ) -> Option<Timed> {
        own.waits_no_more();
        let keep = self.nodes[stage].part.keep.as_ref();
        let kept = keep.map(|keep| keep(&*item.item));
        if own.tries == 0 {
            own.guard.first_tries(1);
        }
        let node = &self.nodes[stage];
        let (panicked, known) = (node.tally.panicked, node.failed.len());
        let is_panic = self.call_only(
            stage,
            vec![item.item],
            vec![item.call],
            item.when.at(own.at),
        );
        let classes = self.classes(stage, known);
        let panicked = self.nodes[stage].tally.panicked > panicked && own.guard.counts_panics();
        let failed = panicked
            || classes
                .iter()
                .any(|(class, _)| own.guard.is_failure(*class));
        if let Some(ticket) = ticket {
            let failures = Failures::default();
            let failures = if failed { failures.with(1) } else { failures };
            ticket.settle_batch(1, failures.count, failures.rows(1));
        }
        // An item that panicked is not called again.
        let may = !is_panic && !own.last;
        let fits = |class: &ErrorClass| may && own.guard.tries_again(*class, own.tries);
        if let (Some(kept), Some((class, _))) = (kept, classes.first())
            && fits(class)
        {
            self.take_back(stage, known);
            own.tries += 1;
            own.not_before = own.at.saturating_add(own.guard.pause(own.tries));
            return Some(Timed {
                item: kept,
                when: item.when,
                kept: None,
                // Calls do not pass stages that try again.
                call: None,
            });
        }
        for error in &mut self.nodes[stage].failed[known..] {
            error.when.calls = own.tries + 1;
        }
        own.is_done();
        let fatal = classes
            .into_iter()
            .find(|(class, _)| *class == ErrorClass::Fatal);
        if let Some((_, error)) = fatal {
            let stage = self.info.stages[stage].name;
            self.fail(RunError::Failed { stage, error });
        }
        self.stop_for_errors(stage, known);
        self.fail_calls(stage, known);
        None
    }

    /// An item that failed is before the stage again.
    fn take_back(&mut self, stage: usize, known: usize) {
        let node = &mut self.nodes[stage];
        node.tally.received -= 1;
        node.tally.failed -= (node.failed.len() - known) as u64;
        node.failed.truncate(known);
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

    /// An item leaves as it is.
    fn divert(&mut self, stage: usize, mut item: Timed, own: &DryGuard) {
        if let Some(call) = &mut item.call {
            call.enter(stage as u16);
        }
        let node = &mut self.nodes[stage];
        node.tally.received += 1;
        node.tally.diverted += 1;
        node.diverted.push(Timed {
            when: item.when.at(own.at),
            ..item
        });
    }

    /// Another function takes an item.
    fn fall_back(&mut self, stage: usize, item: Timed, own: &DryGuard) {
        let (env, when) = (&self.env, item.when.at(own.at));
        let node = &mut self.nodes[stage];
        let Some(fallback) = &node.part.fallback else {
            return;
        };
        node.tally.received += 1;
        let mut call = item.call;
        if let Some(call) = &mut call {
            call.enter(stage as u16);
        }
        match catch_unwind(AssertUnwindSafe(|| fallback(item.item, env))) {
            Ok(item) => {
                node.tally.sent += 1;
                if self.info.stages[stage].kind != Kind::Sink {
                    send(node, item, when, call);
                }
            }
            Err(payload) => {
                panicked_in(stage, vec![call]);
                self.panicked(stage, 1, payload);
            }
        }
    }

    /// An item fails without a call.
    fn refuse(&mut self, stage: usize, refused: Refused, mut item: Timed, own: &DryGuard) {
        if let Some(call) = &mut item.call {
            call.enter(stage as u16);
        }
        let node = &mut self.nodes[stage];
        let known = node.failed.len();
        let Some(refusal) = &node.part.refusal else {
            return;
        };
        node.tally.received += 1;
        node.tally.failed += 1;
        node.failed.push(Timed {
            item: refusal(refused),
            when: When {
                calls: own.tries,
                ..item.when.at(own.at)
            },
            kept: node.part.keep.is_some().then_some(item.item),
            call: item.call,
        });
        self.fail_calls(stage, known);
    }
}
