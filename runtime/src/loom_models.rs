//! loom models of the concurrent pieces: every interleaving of a few threads, within a bound of preemptions.
//!
//! `cargo xtask loom` runs them. Each model asserts what the piece promises at the top of its file.

use loom::{
    cell::UnsafeCell,
    model::Builder,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    credit::Credits,
    deposit::DepositRing,
    idle::Idle,
    intake::{Buffers, Intake, Pushed, Shares},
    lane::Lane,
    meet::Meet,
    ring::Ring,
    spare::Spare,
    token::Token,
};

/// One taker takes all.
const ALL: Shares = Shares {
    sharers: 1,
    least: 1,
};

/// Tries a model in all interleavings with so many preemptions.
pub(crate) fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// A source under a token, tickets, and a gate: the way of a batch through an ordered or a serial link.
struct World {
    ring: Ring<usize>,
    credits: Credits,
    source: Mutex<usize>,
    arrivals: AtomicUsize,
    total: usize,
    /// The state behind the gate; loom reports it if two holders touch it at once.
    state: UnsafeCell<Vec<usize>>,
    ordered: bool,
}

impl World {
    fn work(&self) {
        while let Some(ticket) = self.credits.take(0, Lane::NORMAL) {
            let sequence = {
                let mut next = self.source.lock().unwrap();
                if *next == self.total {
                    drop(next);
                    self.credits.release(ticket);
                    return;
                }
                *next += 1;
                *next - 1
            };
            let number = if self.ordered {
                sequence
            } else {
                self.arrivals.fetch_add(1, Ordering::AcqRel)
            };
            let Some(mut hold) = self
                .ring
                .arrive(number as u64, Box::new(sequence * 8 + ticket as usize))
            else {
                continue;
            };
            loop {
                let batch = *hold.take().expect("a holder that goes on has a batch");
                // SAFETY: the point of the model: loom fails it if another holder is here.
                self.state
                    .with_mut(|state| unsafe { (*state).push(batch / 8) });
                self.credits.release((batch % 8) as u32);
                if !self.ring.advance(&mut hold) {
                    break;
                }
            }
        }
    }
}

fn gate(
    threads: usize,
    total: usize,
    credits: u32,
    bound: usize,
    ordered: bool,
    preemptions: usize,
) {
    check(preemptions, move || {
        let world = Arc::new(World {
            ring: Ring::new(bound),
            credits: Credits::new(credits, 1),
            source: Mutex::new(0),
            arrivals: AtomicUsize::new(0),
            total,
            state: UnsafeCell::new(Vec::new()),
            ordered,
        });
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.work())
            })
            .collect();
        world.work();
        for other in others {
            other.join().unwrap();
        }
        // A worker that found no credit has left; what it would have done is done here.
        world.work();
        world.state.with(|state| {
            // SAFETY: all other threads have ended.
            let state = unsafe { &*state };
            assert_eq!(state.len(), total, "a batch was lost");
            assert!(!ordered || state.is_sorted(), "out of order: {state:?}");
        });
    });
}

#[test]
fn loom_ordered_gate_of_two_threads() {
    gate(2, 4, 2, 2, true, 3);
}

#[test]
fn loom_ordered_gate_of_three_threads() {
    gate(3, 3, 2, 2, true, 2);
}

#[test]
fn loom_serial_gate_of_two_threads() {
    gate(2, 4, 2, 2, false, 3);
}

#[test]
fn loom_serial_gate_of_three_threads() {
    gate(3, 3, 2, 2, false, 2);
}

/// The bound of the ring is no formality: with a shorter one two batches meet in a slot, and that is noticed.
#[test]
#[should_panic(expected = "two batches met in one slot")]
fn loom_a_ring_shorter_than_the_credits_is_caught() {
    check(1, || {
        let ring = Arc::new(Ring::new(2));
        let bring = |number: u64| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.arrive(number, Box::new(number)).is_some())
        };
        // Number 0 has not passed, so 1 waits, and 3 finds it in its slot.
        let threads = [bring(1), bring(3)];
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn loom_all_tickets_are_exclusive() {
    check(3, || {
        struct Shared {
            credits: Credits,
            state: UnsafeCell<u32>,
            shared: AtomicUsize,
        }
        let shared = Arc::new(Shared {
            credits: Credits::new(2, 0),
            state: UnsafeCell::new(0),
            shared: AtomicUsize::new(0),
        });
        let worker = |shared: &Shared| {
            if shared.credits.take_all() {
                // SAFETY: the point of the model: with all tickets nobody else reads.
                shared.state.with_mut(|state| unsafe { *state += 1 });
                shared.credits.open();
            } else if let Some(ticket) = shared.credits.take(0, Lane::NORMAL) {
                // SAFETY: with a ticket others may read, but nobody writes.
                let seen = shared.state.with(|state| unsafe { *state });
                shared.shared.fetch_add(seen as usize, Ordering::Relaxed);
                shared.credits.share(ticket);
                shared.credits.release(ticket);
                shared.credits.release(ticket);
            }
        };
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || worker(&shared))
            })
            .collect();
        worker(&shared);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shared.credits.free(), 2, "a ticket was lost");
    });
}

#[test]
fn loom_a_token_has_one_user() {
    check(3, || {
        let token = Arc::new(Token::new(0u32));
        let work = |token: &Token<u32>| token.grab(|value| *value += 1).is_some();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let token = Arc::clone(&token);
                thread::spawn(move || work(&token))
            })
            .collect();
        let mut grabbed = u32::from(work(&token));
        for thread in threads {
            grabbed += u32::from(thread.join().unwrap());
        }
        assert_eq!(
            token.grab(|value| *value),
            Some(grabbed),
            "a change was lost"
        );
        assert!(grabbed > 0, "nobody got a free token");
    });
}

#[test]
fn loom_no_wake_up_is_lost() {
    a_sleeper_is_woken(Idle::wake_one);
}

#[test]
fn loom_no_wake_up_of_one_worker_is_lost() {
    a_sleeper_is_woken(|idle| idle.wake(0));
}

/// Work is made visible, and then `wake` is called.
fn a_sleeper_is_woken(wake: fn(&Idle)) {
    check(3, move || {
        let idle = Arc::new(Idle::new(1));
        let work = Arc::new(AtomicBool::new(false));
        let sleeper = {
            let (idle, work) = (Arc::clone(&idle), Arc::clone(&work));
            thread::spawn(move || {
                idle.enlist(0, thread::current());
                // loom reports a deadlock if it sleeps for ever.
                while !work.load(Ordering::Relaxed) {
                    idle.park(0, None, || work.load(Ordering::Relaxed));
                }
            })
        };
        work.store(true, Ordering::Relaxed);
        wake(&idle);
        sleeper.join().unwrap();
    });
}

#[test]
fn loom_two_publishers_wake_two_sleepers() {
    check(2, || {
        let idle = Arc::new(Idle::new(2));
        let tasks = Arc::new(AtomicUsize::new(0));
        let take = |tasks: &AtomicUsize| {
            tasks
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
        };
        let sleepers: Vec<_> = (0..2)
            .map(|id| {
                let (idle, tasks) = (Arc::clone(&idle), Arc::clone(&tasks));
                thread::spawn(move || {
                    idle.enlist(id, thread::current());
                    while !take(&tasks) {
                        idle.park(id, None, || tasks.load(Ordering::Relaxed) > 0);
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            tasks.fetch_add(1, Ordering::Relaxed);
            idle.wake_one();
        }
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

#[test]
fn loom_parts_meet_once() {
    check(3, || {
        let meet = Arc::new(Meet::new(2, 2));
        let whole = Arc::new(Mutex::new(Vec::new()));
        let bring = |meet: &Meet<u32>, whole: &Mutex<Vec<Vec<u32>>>, part: usize| {
            let mut parts = Vec::new();
            if meet.bring(0, part, Box::new(part as u32), 2, |part| parts.push(*part)) {
                whole.lock().unwrap().push(parts);
            }
        };
        let other = {
            let (meet, whole) = (Arc::clone(&meet), Arc::clone(&whole));
            thread::spawn(move || bring(&meet, &whole, 1))
        };
        bring(&meet, &whole, 0);
        other.join().unwrap();
        assert_eq!(*whole.lock().unwrap(), [vec![0, 1]]);
    });
}

#[test]
fn loom_a_pushed_item_never_waits_beside_a_sleeping_worker() {
    check(3, || {
        let intake = Arc::new(Intake::new(8));
        let idle = Arc::new(Idle::new(1));
        let push = |intake: &Intake<u32>, idle: &Idle, shard| {
            let pushed = intake.push(shard, Lane::NORMAL, &mut Some(1));
            if pushed == (Pushed::Some { news: true }) {
                idle.wake_one();
            }
        };
        idle.enlist(0, thread::current());
        let other = {
            let (intake, idle) = (Arc::clone(&intake), Arc::clone(&idle));
            thread::spawn(move || {
                push(&intake, &idle, 0);
                push(&intake, &idle, 0);
            })
        };
        // Two items, however they come: the model fails if the worker sleeps for ever.
        let mut taken = Vec::new();
        while taken.len() < 2 {
            if intake.take(
                Lane::NORMAL,
                8,
                ALL,
                Buffers::Kept,
                &mut taken,
                &mut Vec::new(),
            ) == 0
            {
                idle.park(0, None, || !intake.is_empty());
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn loom_a_searcher_passes_on_what_it_does_not_take() {
    check(2, || {
        let idle = Arc::new(Idle::new(2));
        let work = Arc::new(AtomicUsize::new(0));
        let take = |work: &AtomicUsize| {
            work.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
        };
        // Each worker does one piece of work and leaves, so that both are needed.
        let worker = move |id: usize, idle: &Idle, work: &AtomicUsize| {
            idle.enlist(id, thread::current());
            let mut searched = false;
            loop {
                if take(work) {
                    if searched && work.load(Ordering::Acquire) > 0 {
                        idle.wake_one();
                    }
                    return;
                }
                if idle.start_search() {
                    let _ = work.load(Ordering::Acquire);
                    idle.stop_search();
                    searched = true;
                    if work.load(Ordering::Acquire) > 0 {
                        continue;
                    }
                }
                idle.park(id, None, || work.load(Ordering::Acquire) > 0);
            }
        };
        let other = {
            let (idle, work) = (Arc::clone(&idle), Arc::clone(&work));
            thread::spawn(move || worker(1, &idle, &work))
        };
        let publisher = {
            let (idle, work) = (Arc::clone(&idle), Arc::clone(&work));
            thread::spawn(move || {
                for _ in 0..2 {
                    work.fetch_add(1, Ordering::AcqRel);
                    idle.wake_one();
                }
            })
        };
        worker(0, &idle, &work);
        publisher.join().unwrap();
        other.join().unwrap();
    });
}

/// Two workers leave batches for one thread, which sleeps when it has nothing: in a ring of two slots, which is as many as
/// there are tickets. Every batch comes once and in order, and no wake-up is lost.
#[test]
fn loom_batches_left_for_a_pinned_thread_come_once_and_in_order() {
    struct World {
        ring: DepositRing<usize>,
        credits: Credits,
        numbers: Mutex<usize>,
        idle: Idle,
    }
    const TOTAL: usize = 3;
    fn leave(world: &World) {
        while let Some(ticket) = world.credits.take(0, Lane::NORMAL) {
            let number = {
                let mut next = world.numbers.lock().unwrap();
                if *next == TOTAL {
                    drop(next);
                    world.credits.release(ticket);
                    return;
                }
                *next += 1;
                *next - 1
            };
            let batch = Box::new(number * 8 + ticket as usize);
            world.ring.leave(number as u64, batch);
            world.idle.wake_one();
        }
    }
    check(2, || {
        let world = Arc::new(World {
            ring: DepositRing::new(2),
            credits: Credits::new(2, 0),
            numbers: Mutex::new(0),
            idle: Idle::new(1),
        });
        let taker = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.idle.enlist(0, thread::current());
                let mut taker = world.ring.taker().expect("it is the only one");
                assert!(world.ring.taker().is_none());
                let mut next = 0;
                while next < TOTAL {
                    let Some(batch) = taker.take() else {
                        world.idle.park(0, None, || taker.is_ready());
                        continue;
                    };
                    assert_eq!(*batch / 8, next);
                    next += 1;
                    world.credits.release((*batch % 8) as u32);
                    // A worker that found no ticket has left; this thread goes on for it.
                    leave(&world);
                }
            })
        };
        leave(&world);
        taker.join().unwrap();
    });
}

/// A pinned thread sleeps until a ring has items. The one that pushes publishes and then looks for the sleeper.
#[test]
fn loom_a_sleeper_at_a_ring_is_woken() {
    check(3, || {
        let (mut producer, mut consumer) = crate::spsc::ring::<usize>(4);
        let idle = Arc::new(Idle::new(1));
        let sleeper = {
            let idle = Arc::clone(&idle);
            thread::spawn(move || {
                idle.enlist(0, thread::current());
                let mut taken = 0;
                loop {
                    let closed = consumer.is_closed();
                    let before = taken;
                    taken += consumer.drain().count();
                    if taken != before {
                        continue;
                    }
                    if closed && consumer.is_empty() {
                        return assert_eq!(taken, 2);
                    }
                    idle.park(0, None, || !consumer.is_empty() || consumer.is_closed());
                }
            })
        };
        for n in 0..2 {
            producer.push(n).expect("there is room");
            producer.flush();
            idle.wake_one();
        }
        drop(producer);
        idle.wake_one();
        sleeper.join().unwrap();
    });
}

/// Two workers take and give back buffers. Nobody has one that another has, and what was written to it is seen.
#[test]
fn loom_a_spare_buffer_has_one_user_at_a_time() {
    check(3, || {
        let spare = Arc::new(Spare::<UnsafeCell<usize>>::new(2));
        spare
            .give(Box::new(UnsafeCell::new(0)))
            .expect("there is room");
        let use_twice = |spare: &Spare<UnsafeCell<usize>>| {
            let mut used = 0;
            for _ in 0..2 {
                if let Some(buffer) = spare.take() {
                    // SAFETY: loom reports it if another thread has the buffer.
                    buffer.with_mut(|uses| unsafe { *uses += 1 });
                    used += 1;
                    spare.give(buffer).expect("there is room");
                }
            }
            used
        };
        let other = {
            let spare = Arc::clone(&spare);
            thread::spawn(move || use_twice(&spare))
        };
        let used = use_twice(&spare) + other.join().unwrap();
        let buffer = spare.take().expect("nobody has it");
        // SAFETY: as above.
        assert_eq!(buffer.with(|uses| unsafe { *uses }), used);
        assert!(spare.take().is_none());
    });
}

/// Two workers work on one pull, and one of them pulls again: what is learned is what the pull has cost, or nothing.
#[test]
fn loom_costs_are_learned_from_whole_pulls() {
    check(3, || {
        let credits = Arc::new(Credits::new(1, 0));
        let ticket = credits.take(0, Lane::NORMAL).expect("a free ticket");
        credits.share(ticket);
        let other = {
            let credits = Arc::clone(&credits);
            thread::spawn(move || {
                credits.charge(ticket, 5);
                let spent = credits.spent(ticket);
                credits.release(ticket);
                spent
            })
        };
        credits.pulled(ticket, 2);
        credits.charge(ticket, 7);
        let mine = credits.spent(ticket);
        credits.release(ticket);
        // Once it is free it may be another pull's, whose cost is its own.
        if let Some(again) = credits.take(0, Lane::NORMAL) {
            credits.pulled(again, 1);
            credits.charge(again, 1);
            let spent = credits
                .spent(again)
                .map(|(_, spent)| (spent.items, spent.ns));
            assert_eq!(spent, Some((1, 1)));
        }
        let theirs = other.join().expect("it ends");
        for (_, spent) in [mine, theirs].into_iter().flatten() {
            assert_eq!((spent.items, spent.ns, spent.longest), (2, 12, 7));
        }
        assert!(mine.is_none() || theirs.is_none());
    });
}
