//! Models of flights.

use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::Flight;

/// A future: it is done when it was told to be, and it notices if two poll it at once.
struct Slow {
    done: AtomicBool,
    polled: AtomicBool,
}

/// A flight of futures, the run queue, and how many have ended.
struct World {
    flight: Flight<Batch>,
    queue: Mutex<Vec<Batch>>,
    futures: [Slow; 2],
}

/// The batch: the futures that are still under way.
struct Batch {
    left: Vec<usize>,
}

impl World {
    fn new(futures: usize) -> Arc<Self> {
        let slow = || Slow {
            done: AtomicBool::new(false),
            polled: AtomicBool::new(false),
        };
        let world = Self {
            flight: Flight::new(2),
            queue: Mutex::new(Vec::new()),
            futures: [slow(), slow()],
        };
        world.flight.begin();
        let left = (0..futures).collect();
        world.queue.lock().unwrap().push(Batch { left });
        Arc::new(world)
    }

    /// Ends a future and wakes it, as whoever it waits for does.
    fn finish(&self, future: usize) {
        self.futures[future].done.store(true, Ordering::Release);
        self.flight.wake(future, |batch| self.leave(batch));
    }

    fn leave(&self, batch: Batch) {
        self.queue.lock().unwrap().push(batch);
    }

    /// Parks a batch, as who runs it does.
    fn park(&self, batch: Batch) {
        if let Some(batch) = self.flight.park(batch) {
            self.leave(batch);
        }
    }

    fn poll(&self, future: usize) -> bool {
        let slow = &self.futures[future];
        let other = slow.polled.swap(true, Ordering::Relaxed);
        assert!(!other, "two poll it at once");
        let done = slow.done.load(Ordering::Acquire);
        slow.polled.store(false, Ordering::Relaxed);
        done
    }

    /// Runs the flight if it is in the queue. True: all have ended.
    fn run(&self, first: bool) -> bool {
        let Some(mut batch) = self.queue.lock().unwrap().pop() else {
            return false;
        };
        let mut words = Vec::new();
        self.flight.take_woken(&mut words);
        let woken = |future: &usize| first || words[0] & (1 << future) != 0;
        batch
            .left
            .retain(|future| !woken(future) || !self.poll(*future));
        if batch.left.is_empty() {
            self.flight.end();
            return true;
        }
        self.park(batch);
        false
    }
}

fn model(preemptions: usize, futures: usize, model: impl Fn(&Arc<World>) + Send + Sync + 'static) {
    crate::loom_models::check(preemptions, move || {
        let world = World::new(futures);
        model(&world);
    });
}

/// The worker parks while two futures are woken, and whoever rings leaves the batch to another run: in the end all have ended.
#[test]
fn loom_no_wake_up_is_lost_and_no_future_is_polled_twice_at_once() {
    model(3, 2, |world| {
        let wakers = [0, 1].map(|future| {
            let world = Arc::clone(world);
            thread::spawn(move || world.finish(future))
        });
        let mut over = world.run(true);
        for waker in wakers {
            waker.join().unwrap();
        }
        // Nothing is left that could ring: what was woken is in the queue.
        while !over && !world.queue.lock().unwrap().is_empty() {
            over = world.run(false);
        }
        assert!(over, "a future was woken and is not polled");
    });
}

/// A future is woken while it is polled, and another worker takes the batch over at once.
#[test]
fn loom_who_is_woken_while_it_is_polled_is_polled_again() {
    model(3, 1, |world| {
        let worker = {
            let world = Arc::clone(world);
            thread::spawn(move || world.run(true))
        };
        let other = {
            let world = Arc::clone(world);
            thread::spawn(move || world.run(false))
        };
        world.finish(0);
        let mut over = worker.join().unwrap();
        over |= other.join().unwrap();
        while !over && !world.queue.lock().unwrap().is_empty() {
            over = world.run(false) || world.run(true);
        }
        assert!(over, "a future was woken and is not polled");
    });
}

/// A waker is used when its batch is done, and when another batch has its place.
#[test]
fn loom_who_is_woken_behind_its_end_wakes_nobody_else_for_good() {
    model(3, 1, |world| {
        let late = {
            let world = Arc::clone(world);
            thread::spawn(move || world.finish(0))
        };
        world.futures[0].done.store(true, Ordering::Release);
        let first = world.run(true);
        assert!(first, "it was done");
        // The same flight, another batch: it is parked, and the late waker may ring it.
        world.flight.begin();
        world.park(Batch { left: vec![1] });
        world.finish(1);
        late.join().unwrap();
        let mut over = false;
        while !over && !world.queue.lock().unwrap().is_empty() {
            over = world.run(false);
        }
        assert!(over, "the second batch ends");
    });
}

/// An alarm goes off while the worker parks, and a stop takes the batch away: exactly one of them has it.
#[test]
fn loom_a_parked_batch_is_taken_by_one_of_those_who_ring() {
    model(3, 1, |world| {
        assert!(world.flight.set_alarm(5) && !world.flight.set_alarm(7));
        let batch = world.queue.lock().unwrap().pop().unwrap();
        let rings = [true, false].map(|alarm| {
            let world = Arc::clone(world);
            thread::spawn(move || match alarm {
                true => world.flight.alarm(5, |batch| world.leave(batch)),
                false => world.flight.ring(|batch| world.leave(batch)),
            })
        });
        world.park(batch);
        for ring in rings {
            ring.join().unwrap();
        }
        assert_eq!(world.queue.lock().unwrap().len(), 1);
        assert!(world.flight.set_alarm(9), "it is off");
    });
}

/// The run ends while a future is woken: who empties the queue behind that has the batch, and nothing is put there later.
#[test]
fn loom_a_batch_that_is_woken_at_the_end_is_not_missed() {
    model(3, 1, |world| {
        let batch = world.queue.lock().unwrap().pop().unwrap();
        let waker = {
            let world = Arc::clone(world);
            thread::spawn(move || world.finish(0))
        };
        world.park(batch);
        let parked = usize::from(world.flight.close().is_some());
        let queued = world.queue.lock().unwrap().drain(..).count();
        assert_eq!(parked + queued, 1);
        waker.join().unwrap();
        assert!(world.queue.lock().unwrap().is_empty(), "it came too late");
    });
}
