//! loom models of forks: who runs a job, that its result arrives, and that nobody sleeps beside a job that waits.

use std::{panic::AssertUnwindSafe, time::Instant};

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{Forks, Pace, seat::Seat};
use crate::{idle::Idle, loom_models::check};

/// A run's forks and what else its workers would see.
struct World {
    forks: Forks,
    idle: Arc<Idle>,
    over: AtomicBool,
    /// Jobs that were run.
    runs: AtomicUsize,
}

impl World {
    fn new(workers: usize) -> Arc<Self> {
        let idle = Arc::new(Idle::new(workers));
        Arc::new(Self {
            forks: Forks::new(workers, Arc::clone(&idle), Instant::now()),
            idle,
            over: AtomicBool::new(false),
            runs: AtomicUsize::new(0),
        })
    }

    /// The calling thread becomes worker `id` for as long as `work` takes.
    fn sit<R>(&self, id: usize, work: impl FnOnce(&Seat) -> R) -> R {
        self.idle.enlist(id, thread::current());
        self.forks.waiting.enlist(id, thread::current());
        let seat = self.forks.seat(id);
        // SAFETY: each thread of a model is one worker, and leaves before the world goes.
        unsafe { seat.sit(&self.forks, id, None) };
        let done = work(seat);
        seat.leave();
        done
    }

    fn run<T>(&self, result: T) -> T {
        self.runs.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// One look at the worker `owner`; true if it had something.
    fn help(&self, seat: &Seat, owner: usize) -> bool {
        let taken = self.forks.take(owner);
        let helped = taken.is_some();
        if let Some(taken) = taken {
            seat.serve(&self.forks, taken, &mut Pace::default());
        }
        helped
    }

    /// Helps `owner` until the run is over, and sleeps in between, as a worker does that has nothing else to do.
    fn rest(&self, id: usize, owner: usize) {
        self.sit(id, |seat| {
            while !self.over.load(Ordering::Acquire) {
                if self.help(seat, owner) {
                    continue;
                }
                // A job is counted before it is in its slot.
                crate::sync::spin_loop();
                let visible = || {
                    self.forks.ask_asleep();
                    self.forks.has_offers() || self.over.load(Ordering::Acquire)
                };
                if self.idle.park(id, None, visible) {
                    self.forks.pass_on();
                }
            }
        });
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.idle.wake_all();
    }
}

/// The owner takes the job back, or another one takes it: one of them runs it, and the result is there. If the owner sleeps
/// until then, it is woken.
#[test]
fn loom_a_job_is_run_once_and_its_result_arrives() {
    check(3, || {
        let world = World::new(2);
        let thief = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.sit(1, |seat| world.help(seat, 0)))
        };
        let results = world.sit(0, |seat| seat.fork(|| 1, || world.run(Box::new(2))));
        assert_eq!(results, (1, Box::new(2)));
        thief.join().unwrap();
        assert_eq!(world.runs.load(Ordering::Relaxed), 1, "a job runs once");
    });
}

#[test]
fn loom_two_thieves_do_not_take_the_same_job() {
    check(2, || {
        let world = World::new(3);
        let thieves: Vec<_> = (1..3)
            .map(|id| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.sit(id, |seat| world.help(seat, 0)))
            })
            .collect();
        let results = world.sit(0, |seat| {
            seat.fork(|| seat.fork(|| 1, || world.run(2)), || world.run(3))
        });
        assert_eq!(results, ((1, 2), 3));
        let taken = thieves
            .into_iter()
            .map(|thief| usize::from(thief.join().unwrap()));
        assert!(taken.sum::<usize>() <= 2);
        assert_eq!(world.runs.load(Ordering::Relaxed), 2, "each job runs once");
    });
}

/// The job of the first side's panic is run or not; in either case it is over when the panic leaves.
#[test]
fn loom_a_panic_leaves_when_the_other_side_is_over() {
    check(2, || {
        let world = World::new(2);
        let thief = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.sit(1, |seat| world.help(seat, 0)))
        };
        let inside = Arc::new(AtomicBool::new(false));
        let caught = world.sit(0, |seat| {
            let job = || {
                inside.store(true, Ordering::Relaxed);
                world.run(());
                inside.store(false, Ordering::Relaxed);
            };
            // Without the hook, which prints.
            let a = || std::panic::resume_unwind(Box::new(7));
            std::panic::catch_unwind(AssertUnwindSafe(|| seat.fork(a, job)))
        });
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&7));
        assert!(!inside.load(Ordering::Relaxed), "the job was left alone");
        let taken = thief.join().unwrap();
        assert_eq!(world.runs.load(Ordering::Relaxed), usize::from(taken));
    });
}

/// The owner goes on only when its job was run by the other one, which sleeps when it finds nothing: so the model fails if a
/// sleeper is not woken for a job. It forks again and again meanwhile, as a stage does.
#[test]
fn loom_a_sleeper_is_woken_for_a_job() {
    check(2, || {
        let world = World::new(2);
        let thief = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.rest(1, 0))
        };
        world.sit(0, |seat| {
            let done = AtomicBool::new(false);
            seat.fork(
                || {
                    while !done.load(Ordering::Acquire) {
                        crate::sync::spin_loop();
                    }
                },
                || done.store(true, Ordering::Release),
            );
        });
        world.end();
        thief.join().unwrap();
    });
}

/// As before, for the second job: the one who sleeps has asked again.
#[test]
fn loom_a_sleeper_is_woken_for_the_next_job_too() {
    check(1, || {
        let world = World::new(2);
        let thief = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.rest(1, 0))
        };
        world.sit(0, |seat| {
            for _ in 0..2 {
                let done = AtomicBool::new(false);
                seat.fork(
                    || {
                        // The thief asks at some time; only a fork after that can answer.
                        while !done.load(Ordering::Acquire) {
                            seat.fork(|| (), || ());
                            crate::sync::spin_loop();
                        }
                    },
                    || done.store(true, Ordering::Release),
                );
            }
        });
        world.end();
        thief.join().unwrap();
    });
}

/// Two sleepers and two jobs that need both: an answer wakes one sleeper, and that one sees to the other. Threads change where
/// they spin or sleep; with one preemption more this takes many minutes.
#[test]
fn loom_the_one_that_is_woken_sees_to_the_next() {
    check(0, || {
        let world = World::new(3);
        let thieves: Vec<_> = (1..3)
            .map(|id| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.rest(id, 0))
            })
            .collect();
        world.sit(0, |seat| {
            let begun = AtomicUsize::new(0);
            let meet = || {
                begun.fetch_add(1, Ordering::AcqRel);
                while begun.load(Ordering::Acquire) < 2 {
                    crate::sync::spin_loop();
                }
            };
            let wait = || {
                while begun.load(Ordering::Acquire) < 2 {
                    seat.fork(|| (), || ());
                    crate::sync::spin_loop();
                }
            };
            seat.fork(|| seat.fork(wait, meet), meet);
        });
        world.end();
        for thief in thieves {
            thief.join().unwrap();
        }
    });
}

/// The one that took a job forks itself, and the owner, which waits for it, may take that.
#[test]
fn loom_an_owner_that_waits_helps_its_thief() {
    check(2, || {
        let world = World::new(2);
        let thief = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.sit(1, |seat| world.help(seat, 0)))
        };
        let inner = Arc::clone(&world);
        let owner = thread::current().id();
        let results = world.sit(0, |seat| {
            seat.fork(
                || 1,
                move || {
                    // Whoever runs this forks at its own seat.
                    let id = usize::from(thread::current().id() != owner);
                    inner.forks.seat(id).fork(|| inner.run(2), || inner.run(3))
                },
            )
        });
        assert_eq!(results, (1, (2, 3)));
        thief.join().unwrap();
        assert_eq!(world.runs.load(Ordering::Relaxed), 2);
    });
}
