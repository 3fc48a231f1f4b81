//! Items are pushed by several threads while the run is drained, stopped or dropped.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use pipewright::{Input, Priority, TrySendError, pipeline};

use crate::harness::{Seen, any, balanced, check, ended, mixed, pause, start, uneven};

/// Threads that push.
const SENDERS: u64 = 2;
/// Items of each.
const EACH: u64 = 16;

/// An item that is counted while it exists.
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

fn is_kept(n: u64) -> bool {
    !mixed(n).is_multiple_of(5)
}

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod numbers {
    use super::*;

    #[stage(from = input, queue = 8)]
    pub fn keep(item: Item) -> Option<Item> {
        is_kept(uneven(item.n)).then_some(item)
    }

    #[stage(from = keep)]
    pub fn count(item: Item, count: &mut u64) -> Item {
        *count += 1;
        item
    }

    #[sink(from = count)]
    pub fn last(item: Item, env: &Seen<u64>) {
        env.see(uneven(item.n));
    }
}

/// Pushes in all the ways there are until the run takes no more; returns how many items were taken.
fn push(input: &Input<Item>, sender: u64, alive: &Arc<AtomicUsize>) -> u64 {
    let mut next = sender * EACH;
    let end = next + EACH;
    let mut taken = 0;
    while next < end {
        let item = Item::new(next, alive);
        let open = match any(4) {
            0 => input.send(item).is_ok(),
            1 => match input.send_timeout(item, Duration::from_micros(any(100))) {
                Err(TrySendError::Full(_)) => continue,
                sent => sent.is_ok(),
            },
            2 => match input.try_send(item) {
                Err(TrySendError::Full(_)) => {
                    shuttle::thread::yield_now();
                    continue;
                }
                sent => sent.is_ok(),
            },
            _ => {
                let many = (1 + any(4)).min(end - next);
                let mut items = vec![item];
                items.extend((1..many).map(|i| Item::new(next + i, alive)));
                let open = input.send_batch(&mut items).is_ok();
                let sent = many - items.len() as u64;
                taken += sent;
                next += sent;
                if open {
                    continue;
                }
                return taken;
            }
        };
        if !open {
            return taken;
        }
        next += 1;
        taken += 1;
    }
    taken
}

/// Starts a run and threads that push, lets `end` end it at some time, and returns how many items each thread could push.
fn pushing<R>(
    seen: &Seen<u64>,
    alive: &Arc<AtomicUsize>,
    end: impl FnOnce(pipewright::Running<numbers::Pipeline>) -> R,
) -> (R, Vec<u64>) {
    let run = start(numbers::pipeline(), seen.clone());
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (input, alive) = (run.input(), Arc::clone(alive));
            shuttle::thread::spawn(move || push(&input, sender, &alive))
        })
        .collect();
    pause(400);
    let ended = end(run);
    let taken = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .collect();
    (ended, taken)
}

#[test]
fn what_was_pushed_before_a_drain_arrives_in_the_order_of_each_sender() {
    check(|| {
        let (seen, alive) = (Seen::new(), Arc::default());
        let (report, taken) = pushing(&seen, &alive, |run| ended(run.drain()));
        let mut report = report;
        let items = seen.take();
        for (sender, taken) in (0..).zip(&taken) {
            let own = sender * EACH..sender * EACH + EACH;
            let mine = items.iter().copied().filter(|n| own.contains(n));
            let expect = (own.start..own.start + taken).filter(|n| is_kept(*n));
            assert!(mine.eq(expect), "sender {sender} of {taken}: {items:?}");
        }
        let ledger = report.ledger();
        assert_eq!(ledger.received, taken.iter().sum::<u64>(), "{report}");
        assert_eq!(ledger.delivered, items.len() as u64, "{report}");
        assert_eq!((ledger.dropped, ledger.panicked), (0, 0), "{report}");
        let counted = report.take_state::<numbers::count>();
        assert_eq!(counted, Some(items.len() as u64));
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_queue_that_becomes_larger_and_smaller_keeps_its_items() {
    check(|| {
        let (seen, alive) = (Seen::new(), Arc::default());
        let (report, taken) = pushing(&seen, &alive, |run| {
            for _ in 0..3 {
                let text = format!("(stages: {{ \"keep\": (queue: {}) }})", 1 + any(12));
                run.retune("by the schedule", &text).unwrap();
                pause(100);
            }
            ended(run.drain())
        });
        let ledger = report.ledger();
        assert_eq!(ledger.received, taken.iter().sum::<u64>(), "{report}");
        assert_eq!(ledger.delivered, seen.take().len() as u64, "{report}");
        assert_eq!((ledger.dropped, ledger.panicked), (0, 0), "{report}");
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn what_a_stop_drops_is_counted_and_freed() {
    check(|| {
        let (seen, alive) = (Seen::new(), Arc::default());
        let (report, taken) = pushing(&seen, &alive, |run| run.stop().unwrap());
        balanced(&report);
        let ledger = report.ledger();
        assert_eq!(ledger.received, taken.iter().sum::<u64>(), "{report}");
        assert_eq!(ledger.delivered, seen.take().len() as u64, "{report}");
        assert_eq!(alive.load(Ordering::Relaxed), 0, "{report}");
    });
}

#[test]
fn a_run_that_is_dropped_ends_and_frees_its_items() {
    check(|| {
        let (seen, alive) = (Seen::new(), Arc::default());
        let ((), taken) = pushing(&seen, &alive, drop);
        assert!(seen.take().len() as u64 <= taken.iter().sum());
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_snapshot_never_shows_an_item_that_was_received_before_it_was_sent() {
    check(|| {
        let (seen, alive) = (Seen::new(), Arc::default());
        let look = |run: pipewright::Running<numbers::Pipeline>| {
            for _ in 0..4 {
                pause(50);
                let metrics = run.metrics();
                let [keep, count, last] =
                    ["keep", "count", "last"].map(|name| metrics.get(name).unwrap());
                assert!(keep.sent >= count.received, "{metrics:?}");
                assert!(count.sent >= last.received, "{metrics:?}");
            }
            ended(run.drain())
        };
        let (report, _) = pushing(&seen, &alive, look);
        assert_eq!(report.ledger().delivered, seen.take().len() as u64);
    });
}

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod displacing {
    use super::*;

    #[stage(from = input, queue = 2, overflow = drop_oldest)]
    pub fn keep(item: Item) -> Item {
        uneven(item.n);
        item
    }

    #[sink(from = keep)]
    pub fn last(item: Item, env: &Seen<u64>) {
        env.see(item.n);
    }
}

#[test]
fn what_a_full_input_drops_is_counted_and_freed_and_the_rest_stays_in_order() {
    check(|| {
        let (seen, alive): (Seen<u64>, Arc<AtomicUsize>) = (Seen::new(), Arc::default());
        let run = start(displacing::pipeline(), seen.clone());
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (input, alive) = (run.input(), Arc::clone(&alive));
                shuttle::thread::spawn(move || {
                    let items = sender * EACH..sender * EACH + EACH;
                    let sent = items.map(|n| match any(3) {
                        0 => input.try_send(Item::new(n, &alive)).is_ok(),
                        1 => input.send_batch(&mut vec![Item::new(n, &alive)]).is_ok(),
                        _ => input.send(Item::new(n, &alive)).is_ok(),
                    });
                    sent.take_while(|sent| *sent).count() as u64
                })
            })
            .collect();
        pause(400);
        let report = ended(run.drain());
        let sent: Vec<u64> = senders.into_iter().map(|s| s.join().unwrap()).collect();
        let ledger = report.ledger();
        assert_eq!(ledger.received, sent.iter().sum::<u64>(), "{report}");
        assert_eq!(ledger.dropped, ledger.dropped_by.overflow, "{report}");
        let items = seen.take();
        assert_eq!(ledger.delivered, items.len() as u64, "{report}");
        for sender in 0..SENDERS {
            let mine: Vec<_> = items.iter().filter(|n| **n / EACH == sender).collect();
            assert!(mine.is_sorted(), "sender {sender}: {items:?}");
        }
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}

/// Tells of each item that has come to the end.
pub struct Answers(shuttle::sync::Mutex<shuttle::sync::mpsc::Sender<u64>>);

#[pipeline(env = Answers, quantum = "1us")]
mod answered {
    use super::*;

    #[stage(from = input)]
    pub fn work(n: u64) -> u64 {
        uneven(n)
    }

    #[stage(from = work, key = |n| n % 2)]
    pub fn keyed(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[sink(from = keyed)]
    pub fn last(n: u64, env: &Answers) {
        env.0.lock().unwrap().send(n).unwrap();
    }
}

#[test]
fn an_item_arrives_although_nothing_comes_after_it() {
    check(|| {
        let (answer, answers) = shuttle::sync::mpsc::channel();
        let env = Answers(shuttle::sync::Mutex::new(answer));
        let run = start(answered::pipeline(), env);
        for n in 0..12 {
            let lane = [Priority::Normal, Priority::Critical, Priority::Low][n as usize % 3];
            run.send_at(lane, n).unwrap();
            // Whoever sleeps now is woken by nobody else.
            assert_eq!(answers.recv(), Ok(n));
        }
        assert_eq!(ended(run.drain()).ledger().delivered, 12);
    });
}
