//! loom models of the seats.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{Seats, StandIn};
use crate::loom_models::check;

/// A pool of two workers with one more seat.
struct World {
    seats: Seats<()>,
    over: AtomicBool,
    /// Workers that were called off and have come back, or have seen the end.
    back: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        let seats = Seats::new(2, 3);
        seats.furnish(2, ());
        Arc::new(Self {
            seats,
            over: AtomicBool::new(false),
            back: AtomicUsize::new(0),
        })
    }

    /// A worker at a boundary: it gives way if another one stands in for it.
    fn boundary(&self, id: usize) {
        if self.seats.is_marked(id) {
            self.seats.wait(id, || self.over.load(Ordering::Acquire));
            self.back.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ends(&self) {
        self.over.store(true, Ordering::Release);
        self.seats.wake_all();
    }
}

#[test]
fn loom_a_worker_that_was_called_off_sees_the_end_of_the_run() {
    check(3, || {
        let world = World::new();
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || world.boundary(0)
        });
        let put = matches!(world.seats.put(0, 7), StandIn::New(2, ()));
        assert!(put, "there is an empty seat, and one of this stage");
        world.ends();
        worker.join().unwrap();
        // Once the run is over, whoever is called off comes back at once.
        world.boundary(0);
        assert_eq!(world.back.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_worker_that_has_given_way_is_called_or_another_one_is_refused() {
    check(3, || {
        let world = World::new();
        assert!(matches!(world.seats.put(0, 7), StandIn::New(2, ())));
        let worker = thread::spawn({
            let world = Arc::clone(&world);
            move || world.boundary(0)
        });
        let called = matches!(world.seats.put(1, 7), StandIn::Called);
        if !called {
            // It had not given way yet. Nobody is there for worker 1, which is told nothing.
            assert!(!world.seats.is_marked(1));
            world.ends();
        }
        // Called or at the end, it comes back: if it did not, this would never return.
        worker.join().unwrap();
        assert_eq!(world.back.load(Ordering::Relaxed), 1);
        assert_eq!(world.seats.of(7), usize::from(called));
    });
}
