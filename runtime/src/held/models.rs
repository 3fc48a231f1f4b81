//! loom models of threads that wait in the middle of a batch.

use std::time::Duration;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::Held;
use crate::{loom_models::check, sync::thread::current};

/// A guard that says no until it says yes, and what it tells of that.
struct World {
    held: Held,
    admits: AtomicBool,
    news: AtomicU64,
    stopping: AtomicBool,
}

impl World {
    fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            held: Held::new(threads),
            admits: AtomicBool::new(false),
            news: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    /// The life of a thread, until the guard says yes, or the run stops.
    fn life(&self, index: usize) {
        self.held.enlist(index, current());
        loop {
            let news = self.news.load(Ordering::Acquire);
            let stops = || self.stopping.load(Ordering::Acquire);
            if self.admits.load(Ordering::Relaxed) || stops() {
                return;
            }
            let told = || self.news.load(Ordering::Acquire) != news || stops();
            // As long as it takes: whoever changes something has to tell.
            self.held.wait(index, || (!told()).then_some(Duration::MAX));
        }
    }

    /// The guard says yes from now on.
    fn admit(&self) {
        self.admits.store(true, Ordering::Relaxed);
        self.news.fetch_add(1, Ordering::Release);
        self.held.tell();
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.held.tell();
    }
}

#[test]
fn loom_a_thread_that_waits_in_a_stage_hears_of_what_it_waits_for() {
    check(3, || {
        let world = World::new(1);
        let waits = thread::spawn({
            let world = Arc::clone(&world);
            move || world.life(0)
        });
        world.admit();
        // If it missed that, this would never return.
        waits.join().unwrap();
    });
}

#[test]
fn loom_all_threads_that_wait_in_a_stage_hear_of_the_end() {
    check(2, || {
        let world = World::new(2);
        let waits = [0, 1].map(|index| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.life(index))
        });
        world.stop();
        for thread in waits {
            thread.join().unwrap();
        }
    });
}

#[test]
fn loom_of_two_who_tell_at_once_neither_takes_the_wake_up_of_the_other() {
    check(2, || {
        let world = World::new(1);
        let waits = thread::spawn({
            let world = Arc::clone(&world);
            move || world.life(0)
        });
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                // News that let it in no more than before.
                world.news.fetch_add(1, Ordering::Release);
                world.held.tell();
            }
        });
        world.admit();
        other.join().unwrap();
        waits.join().unwrap();
    });
}
