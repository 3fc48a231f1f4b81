//! loom models of slots: every interleaving of the two ends of a call, within a bound of preemptions. A caller that nobody
//! wakes is a deadlock there, a slot that both ends use is a failure, and one that both free is a double free.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use loom::{
    model::Builder,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
};

use super::{Answerer, Asker, Slots};

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// One call: `ask` has the caller's end, another thread answers 7. Afterwards the slot is back, once, and is used again.
fn call(preemptions: usize, ask: fn(&Slots<Box<u32>>, Asker<Box<u32>>) -> bool) {
    check(preemptions, move || {
        let slots = Slots::new(Arc::new(AtomicU64::new(0)));
        let (asker, answerer) = slots.ask();
        let worker = thread::spawn(move || answerer.answer(Box::new(7)));
        let taken = ask(&slots, asker);
        worker.join().unwrap();
        assert_eq!(slots.shelf(0, |free| free.len()), 1, "the slot is back");
        assert_eq!(
            slots.late.load(Ordering::Relaxed),
            u64::from(!taken),
            "an answer is taken, or late"
        );
        let (asker, answerer) = slots.ask();
        assert_eq!(
            slots.shelf(0, |free| free.len()),
            0,
            "the slot is used again"
        );
        Answerer::answer(answerer, Box::new(8));
        assert_eq!(Asker::wait(&mut { asker }, &slots, None), Some(Box::new(8)));
    });
}

#[test]
fn loom_a_caller_that_sleeps_is_woken_with_its_answer() {
    call(3, |slots, mut asker| {
        assert_eq!(asker.wait(slots, None), Some(Box::new(7)));
        true
    });
}

#[test]
fn loom_a_caller_that_goes_away_leaves_the_slot_to_the_answer() {
    call(3, |_, asker| {
        drop(asker);
        false
    });
}

/// Counts how often it is used. It unparks nobody: loom takes that for the end of a thread that is waited for.
struct Used(AtomicUsize);

impl Wake for Used {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

fn waker() -> (Arc<Used>, Waker) {
    let used = Arc::new(Used(AtomicUsize::new(0)));
    (Arc::clone(&used), Waker::from(used))
}

#[test]
fn loom_a_task_that_is_polled_with_one_waker_and_another_is_woken_by_the_last() {
    call(3, |_, mut asker| {
        let (_, first) = waker();
        let mut answer = asker.poll(&Context::from_waker(&first));
        if answer.is_pending() {
            let (used, last) = waker();
            answer = asker.poll(&Context::from_waker(&last));
            while answer.is_pending() && used.0.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            if answer.is_pending() {
                answer = asker.poll(&Context::from_waker(&last));
            }
        }
        assert_eq!(
            answer,
            Poll::Ready(Box::new(7)),
            "whoever is woken has an answer"
        );
        true
    });
}

#[test]
fn loom_a_task_that_is_dropped_after_it_was_polled_leaves_the_slot_once() {
    call(3, |_, mut asker| {
        let (_, waker) = waker();
        asker.poll(&Context::from_waker(&waker)).is_ready()
    });
}
