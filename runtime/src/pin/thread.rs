//! The life of a pinned thread: it makes its states, waits for the others, works, and leaves its states.

use std::{
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use super::Waiter;
use crate::{
    answers::Answers,
    crew::Go,
    drive::panic_message,
    error::{InitError, RunError, StartError},
    graph::{Graph, States},
    machine::{Shortfall, bind, realtime},
    shelf::Shelf,
    source::Pulled,
    sync::{Ordering, fence, thread},
    warnings::Warnings,
    worker::Worker,
};

/// What a pinned thread needs to begin and to end. Handed to generated code.
pub struct Start<'a> {
    states: &'a States,
    ready: &'a Answers,
    go: &'a Go,
    /// It was said that the thread is ready.
    told: &'a Cell<bool>,
    /// The real-time priority that it is to have, and for which stage.
    realtime: Option<(u8, &'static str)>,
    warnings: &'a Warnings,
}

impl<'a> Start<'a> {
    /// The thread has made its states and waits until all are ready; false if the run does not begin.
    pub fn go(&self) -> bool {
        self.told.set(true);
        // The first thread waits for one answer of each.
        self.ready.tell(self.rise());
        self.go.wait()
    }

    /// Takes its real-time priority, now that its states are made.
    fn rise(&self) -> Result<(), StartError> {
        let Some((priority, stage)) = self.realtime else {
            return Ok(());
        };
        realtime(priority).or_else(|source| {
            self.warnings
                .fell_short([Shortfall::NotRealtime { stage, source }])
        })
    }

    /// Where states are left.
    pub fn states(&self) -> &'a States {
        self.states
    }
}

impl fmt::Debug for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").finish_non_exhaustive()
    }
}

/// Runs the pinned thread `w` until the run is over.
pub(crate) fn live<G: Graph>(
    shelf: &Shelf<G>,
    w: Worker<'_>,
    states: &States,
    ready: &Answers,
    go: &Go,
) {
    let mut life =
        |place, w: &mut Worker<'_>, start: Start<'_>| shelf.get().pinned(place, w, start);
    live_as(&mut life, w, states, ready, go);
}

/// What generated code does with a pinned thread: the place of its stages, the thread, and how it begins.
type Life<'l> = &'l mut dyn FnMut(usize, &mut Worker<'_>, Start<'_>) -> Result<(), InitError>;

fn live_as(life: Life<'_>, mut w: Worker<'_>, states: &States, ready: &Answers, go: &Go) {
    let shared = w.shared;
    let Some((place, index)) = shared.pins.of(w.id()) else {
        return;
    };
    let pin = &shared.pins.places()[place];
    pin.idle.enlist(index, thread::current());
    pin.held.enlist(index, thread::current());
    let stage = shared.stage_name(shared.info.pinned[place].stages[0]);
    let core = pin.cores[index].filter(|_| shared.pins.bound);
    if let Some(core) = core
        && !bind(core)
        && let Err(error) = shared
            .warnings
            .fell_short([Shortfall::NotPinned { stage, core }])
    {
        // The starter waits for one answer of each thread.
        ready.tell(Err(error));
        return;
    }
    let told = Cell::new(false);
    let start = Start {
        states,
        ready,
        go,
        told: &told,
        // On a machine that is made up no thread goes before those of the real one.
        realtime: pin
            .realtime
            .filter(|_| shared.pins.bound)
            .map(|priority| (priority, stage)),
        warnings: &shared.warnings,
    };
    let lived = catch_unwind(AssertUnwindSafe(|| life(place, &mut w, start)));
    let error = match lived {
        Ok(Ok(())) => return,
        Ok(Err(error)) => StartError::State(error),
        Err(payload) => StartError::Panicked(panic_message(payload)),
    };
    if told.get() {
        // A panic outside the users' functions is a bug of pipewright; it must not leave the others waiting.
        let stage = shared.info.name;
        let message = error.to_string();
        shared.fail(RunError::Panicked { stage, message });
        shared.finish();
    } else {
        ready.tell(Err(error));
    }
}

/// The life of a thread of a pinned source: pulls until the source has ended.
pub fn feed<'w>(
    w: &mut Worker<'w>,
    source: usize,
    mut pull: impl FnMut(&mut Worker<'w>) -> Pulled,
) {
    let shared = w.shared;
    let ctl = &shared.sources[source];
    let mut wait = Waiter::new(w);
    while wait.goes_on() && !ctl.is_done() {
        let now = w.tick();
        if shared.may_pull_now()
            && ctl.may_be_pulled(now)
            && let Some(ticket) = shared.credits.take(source as u32, ctl.lane())
        {
            match w.pull_with(ticket, &mut pull) {
                Pulled::More => {
                    wait.found();
                    continue;
                }
                Pulled::Done => break,
                Pulled::Idle | Pulled::Busy => {}
            }
        }
        let timeout = ctl.rest_time().map(|at| {
            let left = at.saturating_sub(now);
            Duration::from_nanos(left.max(1))
        });
        wait.rest(timeout, || {
            shared.credits.free() > 0 && shared.may_pull() && ctl.may_be_pulled(now)
        });
    }
    // Pairs with itself in the other threads: of two that end their sources at once, one sees both ended.
    fence(Ordering::SeqCst);
    if shared.is_over() {
        shared.finish();
    }
    // Others of this source may sleep.
    shared.pins.wake_all();
}
