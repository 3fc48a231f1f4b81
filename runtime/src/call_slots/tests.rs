//! Slots with the threads of the system.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use super::{SHELVES, Slots};

fn free<A>(slots: &Slots<A>) -> usize {
    (0..SHELVES)
        .map(|shelf| slots.shelf(shelf, |free| free.len()))
        .sum()
}

#[test]
fn an_answer_that_is_there_is_taken_at_once() {
    let slots = Slots::new(Arc::default());
    for n in 0..10 {
        let (mut asker, answerer) = slots.ask();
        answerer.answer(n);
        assert_eq!(asker.wait(&slots, None), Some(n));
    }
    assert_eq!((free(&slots), slots.late.load(Ordering::Relaxed)), (1, 0));
}

#[test]
fn a_caller_whose_time_is_up_leaves_a_late_answer() {
    let slots = Slots::new(Arc::default());
    let (mut asker, answerer) = slots.ask();
    assert_eq!(asker.wait(&slots, Some(Instant::now())), None);
    drop(asker);
    answerer.answer("late".to_owned());
    assert_eq!((free(&slots), slots.late.load(Ordering::Relaxed)), (1, 1));
}

#[test]
fn an_answer_that_nobody_takes_is_late_too() {
    let slots = Slots::new(Arc::default());
    let (asker, answerer) = slots.ask();
    answerer.answer(1);
    drop(asker);
    assert_eq!((free(&slots), slots.late.load(Ordering::Relaxed)), (1, 1));
}

#[test]
fn answers_after_the_slots_are_gone_harm_nobody() {
    let slots = Slots::new(Arc::default());
    let (asker, answerer) = slots.ask();
    drop((slots, asker));
    answerer.answer(vec![1, 2, 3]);
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn only_the_last_waker_is_woken_and_none_is_kept() {
    let slots = Slots::new(Arc::default());
    let (mut asker, answerer) = slots.ask();
    let counts = [0, 1].map(|n| Arc::new(Count(AtomicUsize::new(n))));
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        assert!(asker.poll(&Context::from_waker(&waker)).is_pending());
        assert!(asker.poll(&Context::from_waker(&waker)).is_pending());
    }
    answerer.answer(5);
    assert_eq!(
        counts
            .each_ref()
            .map(|count| count.0.load(Ordering::Relaxed)),
        [0, 2]
    );
    assert_eq!(
        asker.poll(&Context::from_waker(Waker::noop())),
        Poll::Ready(5)
    );
    assert_eq!(counts.map(|count| Arc::strong_count(&count)), [1, 1]);
    assert_eq!((free(&slots), slots.late.load(Ordering::Relaxed)), (1, 0));
}

struct Wrong;

impl Wake for Wrong {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    let slots = Slots::new(Arc::default());
    let (mut asker, answerer) = slots.ask();
    let waker = Waker::from(Arc::new(Wrong));
    assert!(asker.poll(&Context::from_waker(&waker)).is_pending());
    answerer.answer(5);
    assert_eq!(asker.wait(&slots, None), Some(5));
}

#[test]
fn many_callers_get_their_own_answers() {
    const CALLS: u64 = 2_000;
    let slots = Slots::new(Arc::default());
    let (send, receive) = std::sync::mpsc::channel::<(u64, super::Answerer<u64>)>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (n, answerer) in receive {
                answerer.answer(n * 2);
            }
        });
        for caller in 0..4 {
            let (slots, send) = (&slots, send.clone());
            scope.spawn(move || {
                for n in caller * CALLS..(caller + 1) * CALLS {
                    let (mut asker, answerer) = slots.ask();
                    send.send((n, answerer)).expect("the worker runs");
                    let far = n
                        .is_multiple_of(2)
                        .then(|| Instant::now() + Duration::from_secs(60));
                    assert_eq!(asker.wait(slots, far), Some(n * 2));
                }
            });
        }
        drop(send);
    });
    assert!((1..=4).contains(&free(&slots)), "{} slots", free(&slots));
    assert_eq!(slots.late.load(Ordering::Relaxed), 0);
}
