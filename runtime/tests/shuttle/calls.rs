//! Requests are called by several threads, some with a time limit, while stages panic and the run is drained, stopped or dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pipewright::{CallError, Caller, Running, pipeline};

use crate::harness::{any, balanced, check, ended, mixed, pause, start, uneven};

/// Threads that call.
const CALLERS: u64 = 2;
/// Calls of each.
const EACH: u64 = 8;

/// A request or an answer, which is counted while it exists.
pub struct Item {
    n: u64,
    alive: Arc<AtomicUsize>,
}

impl Item {
    fn new(n: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self {
            n,
            alive: Arc::clone(alive),
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Filtered,
    Panics,
}

fn fate(n: u64) -> Fate {
    match mixed(n) % 6 {
        0 => Fate::Filtered,
        1 => Fate::Panics,
        _ => Fate::Answered,
    }
}

#[pipeline(quantum = "1us", reply = last)]
mod requests {
    use super::*;

    #[stage(from = input, queue = 4)]
    pub fn keep(item: Item) -> Option<Item> {
        (fate(uneven(item.n)) != Fate::Filtered).then_some(item)
    }

    #[stage(from = keep, key = |item: &Item| item.n % 2)]
    pub fn keyed(item: Item, count: &mut u64) -> Item {
        *count += 1;
        item
    }

    #[stage(from = keyed)]
    pub fn frail(item: Item) -> Item {
        if fate(item.n) == Fate::Panics {
            std::panic::resume_unwind(Box::new("asked to"));
        }
        item
    }

    #[stage(from = frail)]
    pub fn last(item: Item, count: &mut u64) -> Item {
        *count += 1;
        item
    }
}

/// What one thread saw.
#[derive(Debug, Default)]
struct Told {
    /// Requests that were taken.
    taken: u64,
    answered: u64,
    /// Calls that were given up.
    late: u64,
}

/// Calls in all the ways there are until the run takes no more. Every call returns, and an answer is that of its request.
fn call(caller: &Caller<requests::Pipeline>, first: u64, alive: &Arc<AtomicUsize>) -> Told {
    let mut told = Told::default();
    let mut n = first;
    while n < first + EACH {
        let request = Item::new(n, alive);
        let answer = match any(3) {
            0 => caller.call(request),
            1 => caller.try_call(request),
            _ => caller.call_within(request, Duration::from_micros(any(200))),
        };
        told.taken += 1;
        match answer {
            Ok(answer) => {
                assert_eq!((answer.n, fate(n)), (n, Fate::Answered));
                told.answered += 1;
            }
            // Where threads are coroutines, one that unwinds is taken for all of them.
            Err(CallError::Filtered { .. } | CallError::Panicked { .. }) => {
                assert_ne!(fate(n), Fate::Answered);
            }
            Err(CallError::Deadline(None)) => told.late += 1,
            Err(CallError::ShutDown(None)) => {}
            Err(error) => {
                told.taken -= 1;
                let over = !error.is_overloaded() && !matches!(error, CallError::Deadline(_));
                let request = error.into_request().expect("it was not taken");
                assert_eq!(request.n, n);
                if over {
                    return told;
                }
                shuttle::thread::yield_now();
                continue;
            }
        }
        n += 1;
    }
    told
}

fn calling<R>(
    alive: &Arc<AtomicUsize>,
    end: impl FnOnce(Running<requests::Pipeline>) -> R,
) -> (R, Told) {
    let run = start(requests::pipeline(), ());
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (caller, alive) = (run.caller(), Arc::clone(alive));
            shuttle::thread::spawn(move || call(&caller, number * EACH, &alive))
        })
        .collect();
    pause(400);
    let ended = end(run);
    let mut all = Told::default();
    for caller in callers {
        let told = caller.join().unwrap();
        all.taken += told.taken;
        all.answered += told.answered;
        all.late += told.late;
    }
    (ended, all)
}

#[test]
fn calls_are_answered_when_a_run_is_drained() {
    check(|| {
        let alive = Arc::default();
        let (report, told) = calling(&alive, |run| ended(run.drain()));
        let ledger = report.ledger();
        assert_eq!(ledger.received, told.taken, "{report}");
        let given = told.answered..=told.answered + told.late;
        assert!(given.contains(&ledger.delivered), "{told:?} {report}");
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn calls_are_answered_when_a_run_is_stopped() {
    check(|| {
        let alive = Arc::default();
        let (report, told) = calling(&alive, |run| run.stop().unwrap());
        balanced(&report);
        let ledger = report.ledger();
        assert_eq!(ledger.received, told.taken, "{told:?} {report}");
        assert!(ledger.delivered >= told.answered, "{told:?} {report}");
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn calls_are_answered_when_a_run_is_dropped() {
    check(|| {
        let alive = Arc::default();
        let ((), told) = calling(&alive, drop);
        assert!(told.answered <= told.taken);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}
