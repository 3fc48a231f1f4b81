//! loom models of senders that wait: every interleaving of a few threads, within a bound of preemptions. A sleeper that nobody
//! wakes is a deadlock there, because sleeping has no end.

use std::time::Duration;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{Senders, Wait};
use crate::loom_models::check;

/// A queue without items: only how many there are, and for how many there is room.
struct Queue {
    senders: Senders,
    room: AtomicUsize,
    items: AtomicUsize,
    closed: AtomicBool,
}

impl Queue {
    fn full(items: usize) -> Arc<Self> {
        Arc::new(Self {
            senders: Senders::new(),
            room: AtomicUsize::new(0),
            items: AtomicUsize::new(items),
            closed: AtomicBool::new(false),
        })
    }

    fn take_of(count: &AtomicUsize) -> bool {
        count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| n.checked_sub(1))
            .is_ok()
    }

    fn push(&self) -> bool {
        let pushed = Self::take_of(&self.room);
        if pushed {
            self.items.fetch_add(1, Ordering::Release);
        }
        pushed
    }

    fn has_room(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn wait(&self, wait: &mut Wait) {
        self.senders
            .wait(wait, Duration::MAX, || self.has_room() || self.is_closed());
    }

    fn leave(&self, wait: &mut Wait) {
        self.senders.leave(wait, || self.has_room());
    }

    /// Sends an item; false if the queue was closed before.
    fn send(&self) -> bool {
        let mut wait = Wait::new();
        let sent = loop {
            if self.push() {
                break true;
            }
            if self.is_closed() {
                break false;
            }
            self.wait(&mut wait);
        };
        self.leave(&mut wait);
        sent
    }

    fn take(&self) -> bool {
        let taken = Self::take_of(&self.items);
        if taken {
            self.room.fetch_add(1, Ordering::Relaxed);
            self.senders.serve(|| self.has_room());
        }
        taken
    }
}

#[test]
fn loom_each_sender_at_a_full_queue_gets_room() {
    check(3, || {
        let queue = Queue::full(1);
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || assert!(queue.send()))
            })
            .collect();
        // What fills the queue, and what the first of them sends: then there is room for the other.
        let mut taken = 0;
        while taken < 2 {
            match queue.take() {
                true => taken += 1,
                false => thread::yield_now(),
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(queue.items.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_a_sender_that_gives_up_leaves_no_other_behind() {
    check(3, || {
        let queue = Queue::full(1);
        let impatient = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut wait = Wait::new();
                queue.wait(&mut wait);
                let pushed = queue.push();
                queue.leave(&mut wait);
                pushed
            })
        };
        let sender = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || assert!(queue.send()))
        };
        assert!(queue.take());
        // If the room was not enough for both, there is an item that makes more.
        while !queue.take() {
            thread::yield_now();
        }
        impatient.join().unwrap();
        queue.take();
        sender.join().unwrap();
    });
}

#[test]
fn loom_all_senders_see_that_a_queue_is_closed() {
    check(3, || {
        let queue = Queue::full(1);
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || assert!(!queue.send()))
            })
            .collect();
        queue.closed.store(true, Ordering::Relaxed);
        queue.senders.serve_all();
        for sender in senders {
            sender.join().unwrap();
        }
    });
}
