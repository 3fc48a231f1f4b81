//! Pools of objects: made once, reset when they come back, dropped with the last handle.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use pipewright::memory::{Class, Objects, Pool, PoolError};
use pipewright_tests::blocks::on_a_thread;

/// Counts how many there are.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>, u64);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive), 0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn objects_are_made_once_and_dropped_with_the_last_handle() {
    let alive = Arc::new(AtomicUsize::new(0));
    let objects = Objects::new(100, || Counted::new(&alive)).unwrap();
    assert_eq!(alive.load(Ordering::SeqCst), 100);
    let mut one = objects.take().unwrap();
    one.1 = 7;
    let held: Vec<_> = std::iter::from_fn(|| objects.take().ok()).collect();
    assert_eq!(held.len(), 99);
    assert_eq!(
        objects.take().map(drop).unwrap_err(),
        PoolError::NoObject { capacity: 100 }
    );
    drop(held);
    let used = objects.clone();
    on_a_thread(move || drop(used.take().unwrap()));
    assert_eq!(objects.stats().in_use, 1);
    drop(objects);
    assert_eq!(alive.load(Ordering::SeqCst), 100, "one is still in use");
    assert_eq!(one.1, 7);
    on_a_thread(move || drop(one));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_thread_that_lives_on_gives_up_a_pool_that_is_gone() {
    let alive = Arc::new(AtomicUsize::new(0));
    // What makes the thread give it up, and what is then alive.
    let (to_thread, orders) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    let (done, answers) = mpsc::channel();
    let work = move || {
        for order in orders {
            order();
            done.send(()).unwrap();
        }
    };
    let run = move |order: Box<dyn FnOnce() + Send>| {
        to_thread.send(order).unwrap();
        answers.recv().unwrap();
    };
    let make = || Objects::new(64, || Counted::new(&alive)).unwrap();

    thread::scope(|scope| {
        let thread = scope.spawn(work);
        let objects = make();
        let (late, used) = (objects.take().unwrap(), objects.clone());
        run(Box::new(move || drop(used.take().unwrap())));
        drop(objects);
        assert_eq!(alive.load(Ordering::SeqCst), 64);
        run(Box::new(move || drop(late)));
        assert_eq!(alive.load(Ordering::SeqCst), 0, "it frees an object of it");

        let objects = make();
        let used = objects.clone();
        run(Box::new(move || drop(used.take().unwrap())));
        drop(objects);
        run(Box::new(|| {
            let other = Pool::builder().blocks(Class::Bytes64, 1).build().unwrap();
            drop(other.alloc(1).unwrap());
        }));
        assert_eq!(alive.load(Ordering::SeqCst), 0, "it uses another pool");

        let objects = make();
        let used = objects.clone();
        run(Box::new(move || drop(used.take().unwrap())));
        drop(objects);
        // No more orders.
        drop(run);
        thread.join().unwrap();
    });
    assert_eq!(alive.load(Ordering::SeqCst), 0, "it ends");
}

#[test]
fn an_object_is_reset_when_it_is_given_back_and_returns_even_if_that_panics() {
    let reset = |n: &mut u64| {
        assert_ne!(*n, 13, "an unlucky number");
        *n = 0;
    };
    let objects = Objects::with_reset(1, || 0, reset).unwrap();
    *objects.take().unwrap() = 5;
    assert_eq!(*objects.take().unwrap(), 0);
    let mut unlucky = objects.take().unwrap();
    *unlucky = 13;
    assert!(catch_unwind(AssertUnwindSafe(move || drop(unlucky))).is_err());
    let mut again = objects.take().unwrap();
    assert_eq!(*again, 13, "it came back as it was");
    *again = 1;
}

#[test]
fn a_panic_of_an_objects_drop_ends_there_and_the_others_are_dropped() {
    struct Fragile(Arc<AtomicUsize>);

    impl Drop for Fragile {
        fn drop(&mut self) {
            assert_ne!(self.0.fetch_add(1, Ordering::SeqCst), 0, "the first one");
        }
    }

    let dropped = Arc::new(AtomicUsize::new(0));
    let objects = Objects::new(3, || Fragile(Arc::clone(&dropped))).unwrap();
    let last = objects.take().unwrap();
    drop(objects);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(last);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}
